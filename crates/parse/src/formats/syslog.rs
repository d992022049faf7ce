//! Syslog: RFC 3164 and RFC 5424, with and without `<PRI>`, and RFC 3339 stamps as rsyslog writes them.

use taffrail_record::{AttributeKind, Severity};

use super::cisco;
use crate::class::{self, end_of, find, skip_blanks};
use crate::clock::{Clock, Stamp};
use crate::draft::{Draft, DraftAttribute, Known, LayoutChoice, Name, Place};
use crate::severity_guess::level_word;

/// Bytes of a host name or tag at most.
const TOKEN_MAX: usize = 255;
/// Bytes between the brackets after a tag at most.
const PID_MAX: usize = 64;
/// What daemons and appliances write without a tag.
const TAGLESS: [&[u8]; 5] = [b"last message repeated", b"message repeated", b"-- MARK --", b"CEF:", b"LEEF:"];

/// RFC 5424, table 1, as `syslog.conf` calls them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// ` host tag[pid]: message`
struct Tagged {
    host: (usize, usize),
    tag: (usize, usize),
    pid: Option<(usize, usize)>,
    /// After the colon.
    colon_end: usize,
}

/// `2026-11-01T00:00:00.006000+00:00 web-06 sshd[23165]: message`: most lines of most machines.
pub(super) fn iso(line: &[u8], stamp: &Stamp, draft: &mut Draft) -> bool {
    if !stamp.is_rfc3339() || cisco::is_tagged(line) {
        return false;
    }
    match tagged(line, stamp.end()) {
        Some(found) => {
            take(line, stamp, &found, draft);
            true
        }
        None => tagless(line, stamp, draft),
    }
}

/// `Oct 11 22:14:15 host tag[pid]: message`.
pub(super) fn bsd(line: &[u8], clock: &Clock, draft: &mut Draft) -> bool {
    let Some(stamp) = clock.syslog(line).filter(|_| !cisco::is_tagged(line)) else {
        return false;
    };
    if let Some(found) = tagged(line, stamp.end()) {
        take(line, &stamp, &found, draft);
    } else if !tagless(line, &stamp, draft) {
        let body = end_of_blank(line, stamp.end());
        if body == stamp.end() && body < line.len() {
            return false;
        }
        draft.cut_time(line, 0, &stamp);
        if !hostless(line, stamp.end(), draft) {
            draft.cut_body(line, body);
        }
    }
    true
}

fn take(line: &[u8], stamp: &Stamp, found: &Tagged, draft: &mut Draft) {
    let (true, Some(format)) = (stamp.exact && stamp.trailer == 0, stamp.format) else {
        draft.cut_time(line, 0, stamp);
        return cut_tagged(line, found, draft);
    };
    draft.take_time(0, stamp);
    draft.node = Some(Place::line(found.host.0, found.host.1));
    draft.service = Some(Place::line(found.tag.0, found.tag.1));
    if let Some((start, end)) = found.pid {
        draft.number(Known::Pid, line, start, end);
    }
    let body = end_of_blank(line, found.colon_end);
    draft.body = Place::line(body, line.len());
    let blank = body > found.colon_end;
    draft.choice = LayoutChoice::Syslog { format, pid: found.pid.is_some(), blank };
}

fn cut_tagged(line: &[u8], found: &Tagged, draft: &mut Draft) {
    draft.cut(line, found.host.0, found.host.1, b"{node}");
    draft.node = Some(Place::line(found.host.0, found.host.1));
    draft.cut(line, found.tag.0, found.tag.1, b"{service}");
    draft.service = Some(Place::line(found.tag.0, found.tag.1));
    if let Some((start, end)) = found.pid {
        draft.cut_known(line, start, end, Known::Pid);
        draft.number(Known::Pid, line, start, end);
    }
    draft.cut_body(line, end_of_blank(line, found.colon_end));
}

fn tagged(line: &[u8], at: usize) -> Option<Tagged> {
    let host = at + 1;
    if line.get(at) != Some(&b' ') || !line.get(host)?.is_ascii_alphanumeric() {
        return None;
    }
    let host_end = end_of(line, host, class::HOST);
    let tag = host_end + 1;
    let tag_end = end_of(line, tag, class::TAG);
    let sane = line.get(host_end) == Some(&b' ')
        && line[host_end - 1] != b':'
        && tag_end > tag
        && tag_end - host <= TOKEN_MAX
        && !matches!(&line[tag..tag_end], b"CEF" | b"LEEF")
        && !is_level(&line[host..host_end])
        && !(line[tag].is_ascii_uppercase() && is_level(&line[tag..tag_end]));
    if !sane {
        return None;
    }
    let (pid, colon) = match line.get(tag_end)? {
        b':' => (None, tag_end),
        b'[' => {
            let close = pid_end(line, tag_end + 1)?;
            (Some((tag_end + 1, close)), close + 1)
        }
        _ => return None,
    };
    let ends =
        line.get(colon) == Some(&b':') && (pid.is_some() || matches!(line.get(colon + 1), None | Some(b' ')));
    ends.then_some(Tagged { host: (host, host_end), tag: (tag, tag_end), pid, colon_end: colon + 1 })
}

/// The index of the `]` that closes the pid at `start`.
fn pid_end(line: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while !matches!(line.get(at)?, b']' | b' ') && at - start < PID_MAX {
        at += 1;
    }
    (line[at] == b']' && at > start).then_some(at)
}

/// ` tag[pid]: message` of a program that names no host.
fn hostless(line: &[u8], at: usize, draft: &mut Draft) -> bool {
    let tag = at + 1;
    let tag_end = end_of(line, tag, class::TAG);
    let bracket = line.get(at) == Some(&b' ') && tag_end > tag && line.get(tag_end) == Some(&b'[');
    if line.get(at) == Some(&b' ') && tag_end > tag && is_bare_tag(line, tag, tag_end) {
        draft.cut(line, tag, tag_end, b"{service}");
        draft.service = Some(Place::line(tag, tag_end));
        draft.cut_body(line, end_of_blank(line, tag_end + 1));
        return true;
    }
    let close = if bracket && tag_end - tag <= TOKEN_MAX { pid_end(line, tag_end + 1) } else { None };
    let Some(close) = close.filter(|close| line.get(close + 1) == Some(&b':')) else {
        return false;
    };
    draft.cut(line, tag, tag_end, b"{service}");
    draft.service = Some(Place::line(tag, tag_end));
    draft.cut_known(line, tag_end + 1, close, Known::Pid);
    draft.number(Known::Pid, line, tag_end + 1, close);
    draft.cut_body(line, end_of_blank(line, close + 2));
    true
}

/// Whether `su: ` names a program: letters first, and no level.
fn is_bare_tag(line: &[u8], tag: usize, tag_end: usize) -> bool {
    line.get(tag_end..tag_end + 2) == Some(b": ")
        && line[tag].is_ascii_lowercase()
        && tag_end - tag <= TOKEN_MAX
        && !is_level(&line[tag..tag_end])
}

/// Whether what stands in a name's place is a level: then the line is no syslog.
fn is_level(word: &[u8]) -> bool {
    word.len() <= 9 && word[word.len() - 1].is_ascii_alphabetic() && level_word(word).is_some()
}

/// `host last message repeated 2 times`, `host {"level":"info"}`.
fn tagless(line: &[u8], stamp: &Stamp, draft: &mut Draft) -> bool {
    let Some((host_end, body)) = tagless_body(line, stamp.end()) else { return false };
    draft.cut_time(line, 0, stamp);
    cut_tagless(line, stamp.end() + 1, host_end, body, draft);
    true
}

/// As [`tagless`], the time up to `at` taken.
fn tagless_after(line: &[u8], at: usize, draft: &mut Draft) -> bool {
    let Some((host_end, body)) = tagless_body(line, at) else { return false };
    cut_tagless(line, at + 1, host_end, body, draft);
    true
}

/// The end of the host after `at`, and the start of a message without tag.
fn tagless_body(line: &[u8], at: usize) -> Option<(usize, usize)> {
    let host_end = end_of(line, at + 1, class::HOST);
    let body = skip_blanks(line, host_end);
    let is_message = |rest: &[u8]| {
        TAGLESS.iter().any(|text| rest.starts_with(text))
            || rest.starts_with(b"{") && rest.trim_ascii_end().ends_with(b"}")
    };
    let known = line.get(at) == Some(&b' ')
        && host_end > at + 1
        && body > host_end
        && !is_level(&line[at + 1..host_end])
        && is_message(&line[body..]);
    known.then_some((host_end, body))
}

fn cut_tagless(line: &[u8], host: usize, host_end: usize, body: usize, draft: &mut Draft) {
    draft.cut(line, host, host_end, b"{node}");
    draft.node = Some(Place::line(host, host_end));
    draft.cut(line, body, body, b"");
    draft.cut_body(line, body);
}

/// `<34>` and any of the kinds of syslog after it.
pub(super) fn with_priority(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> bool {
    let Some((priority, at)) = priority(line).filter(|_| !cisco::is_tagged(line)) else {
        return false;
    };
    if !rfc5424(line, at, clock, draft) {
        rfc3164(line, at, clock, draft);
    }
    draft.severity = Some(Severity::from_syslog(priority));
    let facility = FACILITIES.get(usize::from(priority / 8)).copied().unwrap_or_default();
    let (name, value) = (Name::Known(Known::Facility), draft.own_text(facility.as_bytes()));
    draft.attributes.push(DraftAttribute { name, kind: AttributeKind::Text, value });
    true
}

/// `Oct 11 22:14:15 host tag[pid]: message` at `at`, or whatever else stands there.
fn rfc3164(line: &[u8], at: usize, clock: &mut Clock, draft: &mut Draft) {
    let text = &line[at..];
    let stamp = clock.syslog(text).or_else(|| clock.iso(text));
    let mut rest = at;
    if let Some(stamp) = stamp {
        draft.cut_time(line, at, &stamp);
        rest = at + stamp.end();
        if let Some(found) = tagged(line, rest) {
            return cut_tagged(line, &found, draft);
        }
        if tagless_after(line, rest, draft) || hostless(line, rest, draft) {
            return;
        }
        rest = end_of_blank(line, rest);
        // Without a tag, the first word is the host all the same.
        let host_end = end_of(line, rest, class::HOST);
        if host_end > rest && line.get(host_end) == Some(&b' ') && line[host_end - 1] != b':' {
            draft.cut(line, rest, host_end, b"{node}");
            draft.node = Some(Place::line(rest, host_end));
            rest = host_end + 1;
        }
    }
    draft.cut_body(line, rest);
}

fn priority(line: &[u8]) -> Option<(u8, usize)> {
    let end = line.iter().take(5).position(|byte| *byte == b'>')?;
    let digits = line.get(1..end)?;
    let canonical = !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits[0] != b'0');
    let number: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (canonical && number <= 191).then_some((number, end + 1))
}

/// `1 2003-10-11T22:14:15.003Z host app procid msgid [id name="value"] message`, the version at `at`.
fn rfc5424(line: &[u8], at: usize, clock: &mut Clock, draft: &mut Draft) -> bool {
    if line.get(at..at + 2) != Some(b"1 ") {
        return false;
    }
    let time = at + 2;
    let stamp = match &line[time..] {
        [b'-', b' ', ..] => None,
        rest => match clock.iso(rest) {
            Some(stamp) => Some(stamp),
            None => return false,
        },
    };
    let after = time + stamp.map_or(1, |stamp| stamp.end());
    let Some((header, data)) = header(line, after) else {
        return false;
    };
    let Some(data_end) = structured_data_end(line, data) else {
        return false;
    };
    if let Some(stamp) = stamp {
        draft.cut_time(line, time, &stamp);
    }
    take_header(line, &header, draft);
    take_structured_data(line, data, data_end, draft);
    let mut body = end_of_blank(line, data_end);
    if line[body..].starts_with("\u{feff}".as_bytes()) {
        body += 3;
    }
    draft.cut_body(line, body);
    true
}

/// The four fields after the timestamp, and where the structured data starts.
fn header(line: &[u8], after: usize) -> Option<([(usize, usize); 4], usize)> {
    let mut fields = [(0, 0); 4];
    let mut at = after;
    for field in &mut fields {
        let start = at + 1;
        let end = find(line, start, b' ')?;
        if line.get(at) != Some(&b' ') || start == end || end - start > TOKEN_MAX {
            return None;
        }
        *field = (start, end);
        at = end;
    }
    Some((fields, at + 1))
}

fn take_header(line: &[u8], fields: &[(usize, usize); 4], draft: &mut Draft) {
    for (index, (start, end)) in fields.iter().copied().enumerate() {
        if line[start..end] == *b"-" {
            continue;
        }
        match index {
            0 => {
                draft.cut(line, start, end, b"{node}");
                draft.node = Some(Place::line(start, end));
            }
            1 => {
                draft.cut(line, start, end, b"{service}");
                draft.service = Some(Place::line(start, end));
            }
            2 => {
                draft.cut_known(line, start, end, Known::Pid);
                draft.number(Known::Pid, line, start, end);
            }
            _ => {
                draft.cut_known(line, start, end, Known::MsgId);
                draft.attribute(Known::MsgId, AttributeKind::Text, start, end);
            }
        }
    }
}

/// Where `-` or `[...][...]` ends; a blank or the line's end must follow.
fn structured_data_end(line: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    if line.get(at) == Some(&b' ') {
        // Some leave it out.
        return Some(at);
    }
    if line.get(at) == Some(&b'-') {
        at += 1;
    } else {
        while line.get(at) == Some(&b'[') {
            at = element_end(line, at + 1)?;
        }
    }
    (at > start && matches!(line.get(at), None | Some(b' '))).then_some(at)
}

/// The index after the `]` of the element whose id starts at `start`.
fn element_end(line: &[u8], start: usize) -> Option<usize> {
    let mut at = end_of(line, start, class::TAG);
    while line.get(at) == Some(&b' ') {
        let (_, _, value_end) = parameter(line, at + 1)?;
        at = value_end + 1;
    }
    (at > start && line.get(at) == Some(&b']')).then_some(at + 1)
}

/// `name="value"`: the name's end, the value's start and end.
fn parameter(line: &[u8], start: usize) -> Option<(usize, usize, usize)> {
    let name_end = end_of(line, start, class::TAG);
    if name_end == start || line.get(name_end) != Some(&b'=') {
        return None;
    }
    // No blank belongs there, but some write one.
    let quote = class::skip_blanks(line, name_end + 1);
    if line.get(quote) != Some(&b'"') {
        return None;
    }
    let mut at = quote + 1;
    loop {
        match line.get(at)? {
            b'"' => return Some((name_end, quote + 1, at)),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Makes the parameters attributes named `id.name`.
fn take_structured_data(line: &[u8], start: usize, end: usize, draft: &mut Draft) {
    let mut at = start;
    while at < end && line[at] == b'[' {
        let id = at + 1;
        let id_end = end_of(line, id, class::TAG);
        at = id_end;
        while at < end && line[at] == b' ' {
            let Some((name_end, value, value_end)) = parameter(line, at + 1) else {
                return;
            };
            let from = draft.names.len();
            draft.names.extend_from_slice(&line[id..id_end]);
            draft.names.push(b'.');
            draft.names.extend_from_slice(&line[at + 1..name_end]);
            let name = Name::Built(from, draft.names.len());
            take_parameter(line, name, value, value_end, draft);
            at = value_end + 1;
        }
        at += 1;
    }
}

fn take_parameter(line: &[u8], name: Name, start: usize, end: usize, draft: &mut Draft) {
    let mut value = Place::line(start, end);
    if line[start..end].contains(&b'\\') {
        draft.keep_whole();
        let from = draft.scratch.len();
        let mut rest = line[start..end].iter();
        while let Some(byte) = rest.next() {
            let escaped = *byte == b'\\' && matches!(rest.as_slice().first(), Some(b'"' | b'\\' | b']'));
            draft.scratch.push(if escaped { *rest.next().unwrap_or(byte) } else { *byte });
        }
        value = Place::scratch(from, draft.scratch.len());
    } else if let Name::Built(from, to) = name {
        let names = std::mem::take(&mut draft.names);
        draft.cut_named(line, start, end, &names[from..to], false);
        draft.names = names;
    }
    draft.attributes.push(DraftAttribute { name, kind: AttributeKind::Text, value });
}

/// The index after one blank, if there is one.
fn end_of_blank(line: &[u8], at: usize) -> usize {
    at + usize::from(line.get(at) == Some(&b' '))
}

#[cfg(test)]
mod tests;
