//! Which format a line is in. The first byte leaves few candidates, and each refuses early, so no line pays
//! for formats that it cannot be in. The format that most lines of the source are in is tried before all others of its kind.

mod access;
mod cisco;
mod columns;
mod cri;
mod defined;
mod delimited;
mod json;
mod leveled;
mod logfmt;
mod stamped;
mod syslog;
mod web_error;

use taffrail_record::Severity;

pub(crate) use self::access::severity_of_class;
pub(crate) use self::columns::{Columns, Headed, headed};
use self::defined::Begins;
use self::defined::Tried;
pub(crate) use self::defined::{Follows, Preferred, begins, follows, has_own, is_own, message, preferred};
pub use self::defined::{OwnFormat, use_formats, wrong_samples};
use crate::clock::Clock;
use crate::draft::{Draft, PLAIN};
use crate::message;
use crate::multiline;
use crate::tools::Tools;

/// Bytes of the shortest time that says that a message is a line: a mere number is none.
const DATED_MIN: usize = 15;

/// The formats that the parser knows, in the order in which they are tried.
pub fn format_names() -> impl Iterator<Item = &'static str> {
    let strict = ["json", "cri", "syslog", "web-access", "web-error", "logfmt"];
    let headed = columns::NAMES;
    let loose = ["delimited", "leveled", "stamped", "timed", PLAIN];
    strict.into_iter().chain(headed).chain(defined::names()).chain(loose)
}

/// As [`parse`], for a record of several lines whose first one is `text[..first]`: what it says goes for all of them, and
/// the message is theirs together.
pub(crate) fn parse_lines(
    text: &[u8],
    first: usize,
    only: Option<&'static str>,
    tools: &mut Tools,
    draft: &mut Draft,
) {
    // Some formats go over lines.
    let whole = begins(text)
        .map(Begins::format)
        .or((text[0] == b'{').then_some("json"))
        .or_else(|| tools.columns.format());
    if let Some(format) = whole {
        parse(text, only, tools, draft);
        if draft.format == format {
            return;
        }
    }
    let line = text[..first].strip_suffix(b"\r").unwrap_or(&text[..first]);
    draft.reset(line.len());
    recognise_line(line, only, tools, draft);
    match multiline::contents(text) {
        Some(contents) => {
            draft.keep_whole();
            draft.body = draft.own_text(&contents);
        }
        None => draft.go_on(text, line.len()),
    }
    // The second line of Java's own logging begins with the level.
    if draft.severity.is_none()
        && let Some((severity, start, end)) = leveled::second(text, line.len())
    {
        draft.level(severity, text, start, end);
    }
    if draft.severity.is_none() && multiline::is_trace(text) {
        draft.severity = Some(Severity::ERROR);
    }
    message::read(text, tools, draft);
}

/// Fills `draft`, which stands at an unrecognised line, with what `line` says.
pub(crate) fn parse(line: &[u8], only: Option<&'static str>, tools: &mut Tools, draft: &mut Draft) {
    recognise_line(line, only, tools, draft);
    message::read(line, tools, draft);
}

/// As [`recognise`], for a line of the source, not one inside a line.
fn recognise_line(line: &[u8], only: Option<&'static str>, tools: &mut Tools, draft: &mut Draft) {
    if only.is_none()
        && let Some(preferred) = tools.preferred
        && let Some(format) = defined::parse_preferred(preferred, line, tools, draft)
    {
        draft.format = format;
        return;
    }
    recognise(line, only, tools, draft);
}

/// As [`parse`], without a look into the message.
pub(crate) fn recognise(line: &[u8], only: Option<&'static str>, tools: &mut Tools, draft: &mut Draft) {
    let Some(first) = line.first() else {
        return;
    };
    if let Some(name) = only {
        return recognise_only(name, line, *first, tools, draft);
    }
    draft.format = defined::parse_own(line, *first, tools, draft)
        .or_else(|| under_header(line, tools, draft))
        .or_else(|| defined::parse(line, *first, Tried::Texts, tools, draft))
        .or_else(|| strict(line, *first, tools, draft))
        .or_else(|| defined::parse(line, *first, Tried::Others, tools, draft))
        .or_else(|| loose(line, *first, &mut tools.clock, draft))
        .or_else(|| stamped::inside(line, &mut tools.clock, draft).then_some("timed"))
        .unwrap_or(PLAIN);
}

/// As [`recognise`], for lines that stand under a header which names their columns.
fn under_header(line: &[u8], tools: &mut Tools, draft: &mut Draft) -> Option<&'static str> {
    let Tools { clock, members, columns, .. } = tools;
    columns.parse(line, clock, members, draft)
}

/// The same for lines of which the format is known.
fn recognise_only(name: &'static str, line: &[u8], first: u8, tools: &mut Tools, draft: &mut Draft) {
    let format = match defined::parse_named(name, line, first, tools, draft) {
        Some(format) => format,
        None => under_header(line, tools, draft)
            .or_else(|| strict(line, first, tools, draft))
            .or_else(|| loose(line, first, &mut tools.clock, draft))
            .or_else(|| stamped::inside(line, &mut tools.clock, draft).then_some("timed")),
    };
    match format {
        Some(format) if format == name => draft.format = format,
        _ => draft.reset(line.len()),
    }
}

/// What a line inside another one can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Payload {
    /// Whatever a line can be.
    Any,
    /// What no message is by chance.
    Certain,
}

/// As what a message is to be read that may be one's own line by chance only; `None`: as none.
pub(crate) fn certain(text: &[u8], clock: &mut Clock) -> Option<Payload> {
    if is_dated(text, clock) {
        return Some(Payload::Any);
    }
    let may_be = text.first() == Some(&b'{')
        || defined::may_begin(text)
        || logfmt::may_be(text)
        || access::may_be(text);
    may_be.then_some(Payload::Certain)
}

/// Fills `draft` with what the line says that is the message of another one.
pub(crate) fn parse_payload(text: &[u8], payload: Payload, tools: &mut Tools, draft: &mut Draft) {
    let (Payload::Certain, Some(first)) = (payload, text.first()) else {
        return recognise(text, None, tools, draft);
    };
    let texts = defined::parse(text, *first, Tried::Texts, tools, draft);
    let Tools { clock, members, .. } = tools;
    draft.format = texts
        .or_else(|| match first {
            b'{' => json::parse(text, clock, members, draft).then_some("json"),
            _ if logfmt::parse(text, clock, members, draft) => Some("logfmt"),
            _ => (access::may_be(text) && access::parse(text, clock, draft)).then_some("web-access"),
        })
        .unwrap_or(PLAIN);
}

/// Fills `draft` with what a text says that may be an object of JSON.
pub(crate) fn parse_json(text: &[u8], tools: &mut Tools, draft: &mut Draft) {
    let Tools { clock, members, .. } = tools;
    if json::parse(text, clock, members, draft) {
        draft.format = "json";
    }
}

/// Whether a message begins with a time of its own, with date and year: then it is a line of its program.
fn is_dated(text: &[u8], clock: &mut Clock) -> bool {
    let text = text.strip_prefix(b"[").unwrap_or(text);
    let digits = text.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    // An address or a number is no date: the look that spares most messages the rest.
    let may_be = match (digits, text.get(digits..).unwrap_or_default()) {
        (4, [b'-' | b'/' | b':' | b'.', ..])
        | (1..=2, [b'-' | b'/', ..])
        | (6 | 8, [b' ' | b'-' | b'T' | b'.', ..]) => true,
        (1..=2, [b' ', month, ..]) => month.is_ascii_uppercase(),
        (2, [b'.', b'0'..=b'9', b'0'..=b'9', b'.', year @ ..]) => year.iter().take(4).all(u8::is_ascii_digit),
        _ => false,
    };
    may_be && clock.any(text).is_some_and(|stamp| stamp.year_known && stamp.len >= DATED_MIN)
}

/// Formats that no line has by chance.
fn strict(line: &[u8], first: u8, tools: &mut Tools, draft: &mut Draft) -> Option<&'static str> {
    let Tools { clock, members, .. } = tools;
    match first {
        b'0'..=b'9' => match clock.iso(line) {
            Some(stamp) if cri::parse(line, &stamp, draft) => Some("cri"),
            Some(stamp) if syslog::iso(line, &stamp, draft) => Some("syslog"),
            Some(stamp) if web_error::nginx(line, &stamp, draft) => Some("web-error"),
            None if access::parse(line, clock, draft) => Some("web-access"),
            _ => None,
        },
        b'{' | b' ' | b'\t' => json::parse(line, clock, members, draft).then_some("json"),
        b'<' => syslog::with_priority(line, clock, draft).then_some("syslog"),
        b'[' => web_error::apache(line, clock, draft).then_some("web-error"),
        _ if first.is_ascii_alphabetic() && syslog::bsd(line, clock, draft) => Some("syslog"),
        _ if logfmt::parse(line, clock, members, draft) => Some("logfmt"),
        _ => access::parse(line, clock, draft).then_some("web-access"),
    }
}

/// Shapes that many programs share.
fn loose(line: &[u8], first: u8, clock: &mut Clock, draft: &mut Draft) -> Option<&'static str> {
    match first {
        b'[' if stamped::bracketed(line, clock, draft) => Some("stamped"),
        b'[' if leveled::bracketed(line, draft) => Some("leveled"),
        b'0'..=b'9' => {
            let stamp = clock.any(line)?;
            match () {
                () if delimited::parse(line, &stamp, draft) => Some("delimited"),
                () if stamped::after(line, 0, &stamp, draft) => Some("stamped"),
                () => None,
            }
        }
        b'a'..=b'z' | b'A'..=b'Z' if stamped::named(line, clock, draft) => Some("stamped"),
        b'a'..=b'z' | b'A'..=b'Z' if leveled::prefixed(line, draft) => Some("leveled"),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
