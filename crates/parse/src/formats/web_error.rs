//! Error logs of nginx and Apache.

use taffrail_record::{AttributeKind, Severity, TimeFormat};

use crate::class::{self, end_of, find};
use crate::clock::{Clock, Stamp};
use crate::draft::{Draft, DraftAttribute, Known, Name, Place};

/// `2026/11/01 00:00:00 [error] 1234#5678: *9 message, client: 1.2.3.4, ...`.
pub(super) fn nginx(line: &[u8], stamp: &Stamp, draft: &mut Draft) -> bool {
    nginx_fields(line, stamp, draft).is_some()
}

fn nginx_fields(line: &[u8], stamp: &Stamp, draft: &mut Draft) -> Option<()> {
    let level = stamp.end() + 2;
    let slashes = matches!(stamp.format, Some(TimeFormat::Iso { date: b'/', .. }));
    if !slashes || line.get(level - 2..level)? != b" [" {
        return None;
    }
    let level_end = end_of(line, level, class::WORD);
    let severity = Severity::from_text(&line[level..level_end])?;
    let pid = level_end + 2;
    let pid_end = end_of(line, pid, class::WORD);
    let tid = pid_end + 1;
    let tid_end = end_of(line, tid, class::WORD);
    let colon = tid_end + 2;
    let shaped = line.get(level_end..pid) == Some(b"] ")
        && line.get(pid_end) == Some(&b'#')
        && pid < pid_end
        && tid < tid_end
        && line.get(tid_end..colon) == Some(b": ");
    if !shaped {
        return None;
    }
    draft.cut_time(line, 0, stamp);
    draft.cut(line, level, level_end, b"{level}");
    draft.level(severity, line, level, level_end);
    numbers(line, &[(Known::Pid, pid, pid_end), (Known::Tid, tid, tid_end)], draft);
    let mut body = colon;
    if line.get(colon) == Some(&b'*') {
        let end = end_of(line, colon + 1, class::WORD);
        if end > colon + 1 && line.get(end) == Some(&b' ') {
            numbers(line, &[(Known::Connection, colon + 1, end)], draft);
            body = end + 1;
        }
    }
    draft.cut_body(line, body);
    take_client(line, body, draft);
    Some(())
}

fn numbers(line: &[u8], fields: &[(Known, usize, usize)], draft: &mut Draft) {
    for (known, start, end) in fields {
        draft.cut_known(line, *start, *end, *known);
        draft.number(*known, line, *start, *end);
    }
}

/// `, client: 1.2.3.4,` stays in the body and becomes an attribute too.
fn take_client(line: &[u8], body: usize, draft: &mut Draft) {
    let Some(found) = memchr::memmem::find(&line[body..], b", client: ") else {
        return;
    };
    let start = body + found + 10;
    let end = end_of(line, start, class::HOST);
    if start < end {
        draft.attribute(Known::ClientIp, AttributeKind::Text, start, end);
    }
}

/// `[Sun Nov 01 00:00:00.123456 2026] [core:error] [pid 1234:tid 5] [client 1.2.3.4:5678] message`.
pub(super) fn apache(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> bool {
    apache_fields(line, clock, draft).is_some()
}

fn apache_fields(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> Option<()> {
    let ctime = clock.ctime(line.get(1..)?);
    let stamp = ctime.or_else(|| clock.any(&line[1..]))?;
    let after = 1 + stamp.end();
    if line.get(after)? != &b']' {
        return None;
    }
    let (start, end) = group(line, after + 1)?;
    let level = memchr::memchr(b':', &line[start..end]).map_or(start, |at| start + at + 1);
    let severity = Severity::from_text(&line[level..end]).or_else(|| {
        let trace = line[level..end].strip_prefix(b"trace")?;
        matches!(trace, [b'1'..=b'8']).then_some(Severity::TRACE)
    })?;
    if ctime.is_none() && level == start {
        // Others put a time and a level in brackets, too.
        return None;
    }
    draft.cut_time(line, 1, &stamp);
    if level > start + 1 {
        draft.cut_known(line, start, level - 1, Known::Module);
        draft.attribute(Known::Module, AttributeKind::Text, start, level - 1);
    }
    draft.cut(line, level, end, b"{level}");
    draft.level(severity, line, level, end);
    let mut rest = end + 1;
    if let Some((start, end)) = group(line, rest)
        && take_process(line, start, end, draft)
    {
        rest = end + 1;
    }
    rest = take_os_error(line, rest, draft).unwrap_or(rest);
    if let Some((start, end)) = group(line, rest)
        && line[start..end].starts_with(b"client ")
    {
        take_peer(line, start + 7, end, draft);
        rest = end + 1;
    }
    let body = class::skip_blanks(line, rest);
    draft.cut_body(line, body);
    // `AH01075: message`
    let code = end_of(line, body, class::WORD);
    if line[body..code].starts_with(b"AH") && line.get(code) == Some(&b':') {
        note(b"code", AttributeKind::Text, body, code, draft);
    }
    Some(())
}

/// ` (70008)Partial results are valid: ` before the client; gives the place after it.
fn take_os_error(line: &[u8], at: usize, draft: &mut Draft) -> Option<usize> {
    let code = at + 2;
    let code_end = code + line.get(code..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if line.get(at..code) != Some(b" (") || code == code_end || line.get(code_end) != Some(&b')') {
        return None;
    }
    let text = code_end + 1;
    let text_end = text + memchr::memmem::find(&line[text..], b": [client ")?;
    draft.cut_named(line, code, code_end, b"os_error", false);
    note(
        b"os_error",
        AttributeKind::of_number(&line[code..code_end], AttributeKind::Text),
        code,
        code_end,
        draft,
    );
    draft.cut_named(line, text, text_end, b"os_error_text", false);
    note(b"os_error_text", AttributeKind::Text, text, text_end, draft);
    Some(text_end + 1)
}

/// Adds an attribute of a name of its own.
fn note(name: &[u8], kind: AttributeKind, start: usize, end: usize, draft: &mut Draft) {
    let from = draft.names.len();
    draft.names.extend_from_slice(name);
    let name = Name::Built(from, draft.names.len());
    draft.attributes.push(DraftAttribute { name, kind, value: Place::line(start, end) });
}

/// `192.0.2.1:5678`, `2001:db8::1:5678` or an address without a port.
fn take_peer(line: &[u8], start: usize, end: usize, draft: &mut Draft) {
    let port = memchr::memrchr(b':', &line[start..end]).map(|at| start + at + 1);
    let port = port.filter(|port| *port < end && line[*port..end].iter().all(u8::is_ascii_digit));
    let address_end = port.map_or(end, |port| port - 1);
    draft.cut_known(line, start, address_end, Known::ClientIp);
    draft.attribute(Known::ClientIp, AttributeKind::Text, start, address_end);
    if let Some(port) = port {
        numbers(line, &[(Known::ClientPort, port, end)], draft);
    }
}

/// The inside of ` [...]` at `at`.
fn group(line: &[u8], at: usize) -> Option<(usize, usize)> {
    if line.get(at..at + 2)? != b" [" {
        return None;
    }
    Some((at + 2, find(line, at + 2, b']')?))
}

/// `pid 1234` or `pid 1234:tid 5678`.
fn take_process(line: &[u8], start: usize, end: usize, draft: &mut Draft) -> bool {
    let Some(text) = line[start..end].strip_prefix(b"pid ") else {
        return false;
    };
    let pid = start + 4;
    let pid_end = end_of(line, pid, class::WORD).min(end);
    let tid = pid_end + 5;
    let has_tid = text[pid_end - pid..].starts_with(b":tid ");
    if pid == pid_end || !(has_tid || pid_end == end) {
        return false;
    }
    numbers(line, &[(Known::Pid, pid, pid_end)], draft);
    if has_tid {
        numbers(line, &[(Known::Tid, tid, end)], draft);
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::check;

    #[test]
    fn samples() {
        check(
            "2026/11/01 00:00:00 [error] 1234#5678: *9 open() failed, client: 1.2.3.4, server: _",
            "2026-11-01T00:00:00.000000000Z ERROR | open() failed, client: 1.2.3.4, server: _ | level=error pid=1234i tid=5678i connection=9i client_ip=1.2.3.4",
            "{ts:iso/ .0~+0000} [{level}] {.pid}#{.tid}: *{.connection} {body}",
        );
        check(
            "2026/11/01 00:00:00 [notice] 1#1: start worker processes",
            "2026-11-01T00:00:00.000000000Z INFO | start worker processes | level=notice pid=1i tid=1i",
            "{ts:iso/ .0~+0000} [{level}] {.pid}#{.tid}: {body}",
        );
        check(
            "[Sun Nov 01 00:00:00.123456 2026] [core:error] [pid 1234:tid 5] [client 1.2.3.4:567] AH00126: Invalid URI",
            "2026-11-01T00:00:00.123456000Z ERROR | AH00126: Invalid URI | module=core level=error pid=1234i tid=5i client_ip=1.2.3.4 client_port=567i code=AH00126",
            "[{ts:ctime6~+0000}] [{.module}:{level}] [pid {.pid}:tid {.tid}] [client {.client_ip}:{.client_port}] {body}",
        );
        check(
            "[Sun Nov 01 00:00:00.123456 2026] [proxy:warn] [pid 1:tid 5] (111)Connection refused: [client 192.0.2.7:567] gone",
            "2026-11-01T00:00:00.123456000Z WARNING | gone | module=proxy level=warn pid=1i tid=5i os_error=111i os_error_text=Connection refused client_ip=192.0.2.7 client_port=567i",
            "[{ts:ctime6~+0000}] [{.module}:{level}] [pid {.pid}:tid {.tid}] ({.os_error}){.os_error_text}: [client {.client_ip}:{.client_port}] {body}",
        );
        check(
            "[Sun Nov 01 00:00:00 2026] [warn] child died",
            "2026-11-01T00:00:00.000000000Z WARNING | child died | level=warn",
            "[{ts:ctime0~+0000}] [{level}] {body}",
        );
        check(
            "[01/Nov/2026:00:00:00 +0000] [ab:alert] [pid 1] [client 2001:db8::1:567] x",
            "2026-11-01T00:00:00.000000000Z CRITICAL | x | module=ab level=alert pid=1i client_ip=2001:db8::1 client_port=567i",
            "[{ts:clf+0000}] [{.module}:{level}] [pid {.pid}] [client {.client_ip}:{.client_port}] {body}",
        );
        // The wrong day of the week cannot be written again.
        check(
            "[Mon Nov 01 00:00:00 2026] [warn] child died",
            "2026-11-01T00:00:00.000000000Z WARNING | child died | level=warn",
            "",
        );
    }
}
