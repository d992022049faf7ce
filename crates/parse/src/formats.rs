//! Which format a line is in. The first byte leaves few candidates, and each refuses early, so no line pays
//! for formats that it cannot be in and what it becomes does not depend on the lines before.

mod access;
mod cri;
mod delimited;
mod json;
mod leveled;
mod logfmt;
mod stamped;
mod syslog;
mod web_error;

use crate::clock::Clock;
use crate::draft::{Draft, PLAIN};
use crate::member::Members;

/// The formats that the parser knows, in the order in which they are tried.
pub const fn format_names() -> &'static [&'static str] {
    &[
        "json",
        "cri",
        "syslog",
        "web-access",
        "web-error",
        "delimited",
        "leveled",
        "stamped",
        "logfmt",
        "plain",
    ]
}

/// Fills `draft`, which stands at an unrecognised line, with what `line` says.
pub(crate) fn parse(line: &[u8], clock: &mut Clock, members: &mut Members, draft: &mut Draft) {
    let Some(first) = line.first() else {
        return;
    };
    draft.format = match first {
        b'0'..=b'9' => digit(line, clock, draft),
        b'{' | b' ' | b'\t' if json::parse(line, clock, members, draft) => "json",
        b'<' if syslog::with_priority(line, clock, draft) => "syslog",
        b'[' if web_error::apache(line, clock, draft) => "web-error",
        b'[' if stamped::bracketed(line, clock, draft) => "stamped",
        b'[' if leveled::bracketed(line, draft) => "leveled",
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'@' => letter(line, clock, members, draft),
        b'{' | b' ' | b'\t' | b'<' | b'[' => PLAIN,
        _ if access::parse(line, clock, draft) => "web-access",
        _ => PLAIN,
    };
}

fn digit(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> &'static str {
    let Some(stamp) = clock.iso(line) else {
        return if access::parse(line, clock, draft) { "web-access" } else { PLAIN };
    };
    match () {
        () if cri::parse(line, &stamp, draft) => "cri",
        () if syslog::iso(line, &stamp, draft) => "syslog",
        () if web_error::nginx(line, &stamp, draft) => "web-error",
        () if delimited::parse(line, &stamp, draft) => "delimited",
        () if stamped::after(line, 0, &stamp, draft) => "stamped",
        () => PLAIN,
    }
}

fn letter(line: &[u8], clock: &mut Clock, members: &mut Members, draft: &mut Draft) -> &'static str {
    match () {
        () if syslog::bsd(line, clock, draft) => "syslog",
        () if stamped::ctime(line, clock, draft) => "stamped",
        () if access::parse(line, clock, draft) => "web-access",
        () if leveled::prefixed(line, draft) => "leveled",
        () if logfmt::parse(line, clock, members, draft) => "logfmt",
        () => PLAIN,
    }
}

#[cfg(test)]
pub(crate) mod tests;
