//! Access logs of nginx and Apache: common and combined, with or without a virtual host before and more
//! fields after. The body stays the whole line: people search what they see.

use taffrail_record::{AttributeKind, Severity};

use crate::class::find;
use crate::clock::Clock;
use crate::draft::{Draft, Known};
use crate::quoted;

/// Fields after the common ones that are looked at.
const FIELDS_MAX: usize = 16;
/// What is before the time that a request took.
const DURATIONS: [&str; 6] = ["rt=", "request_time=", "duration=", "took=", "latency=", "time="];

/// `client - user [stamp] "GET /path HTTP/1.1" 200 4030 "referer" "user agent" ...`.
pub(super) fn parse(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> bool {
    fields(line, clock, draft).is_some()
}

fn fields(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> Option<()> {
    let ([client, ident, user], after) = head(line)?;
    let rest = &line[after + 1..];
    let stamp = clock.clf(rest).or_else(|| clock.iso(rest)).or_else(|| clock.any(rest))?;
    let request = after + 1 + stamp.end() + 3;
    if line.get(request - 3..request) != Some(b"] \"") {
        return None;
    }
    let request_end = quoted::end(line, request)?;
    let status = request_end + 2;
    let code = line.get(status..status + 3)?;
    // Traefik writes a `-` for requests that nobody answered.
    let unanswered = code.starts_with(b"- ");
    if line[request_end + 1] != b' ' || !(unanswered || code.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let status_end = status + if unanswered { 1 } else { 3 };
    let bytes = status_end + 1;
    let bytes_end = find(line, bytes, b' ').unwrap_or(line.len());
    if !matches!(line.get(status_end), None | Some(b' ')) {
        return None;
    }
    draft.take_time(after + 1, &stamp);
    draft.severity = Some(severity_of_class(code[0]));
    text(Known::ClientIp, line, client, draft);
    text(Known::Ident, line, ident, draft);
    text(Known::User, line, user, draft);
    take_request(line, request, request_end, draft);
    if !unanswered {
        draft.number(Known::Status, line, status, status_end);
    }
    if line.get(bytes..bytes_end).is_some_and(|text| !text.is_empty() && text.iter().all(u8::is_ascii_digit))
    {
        draft.number(Known::Bytes, line, bytes, bytes_end);
    }
    let rest = take_quoted(line, bytes_end, draft);
    take_duration(line, rest, draft);
    Some(())
}

/// How bad an HTTP status is, by its first digit.
pub(crate) fn severity_of_class(class: u8) -> Severity {
    match class {
        b'5' => Severity::ERROR,
        b'4' => Severity::WARNING,
        _ => Severity::INFO,
    }
}

/// Whether a line in syslog can be one: after the client, and perhaps a virtual host before it, stands the identity, which
/// nobody knows, and after the user the time.
pub(super) fn may_be(text: &[u8]) -> bool {
    let mut at = 0;
    for _ in 0..2 {
        let Some(blank) = find(&text[..text.len().min(at + 128)], at, b' ') else { return false };
        at = blank + 1;
        if text[at..].starts_with(b"- ") {
            return find(text, at + 2, b' ').is_some_and(|end| text.get(end + 1) == Some(&b'['));
        }
    }
    false
}

type Range = (usize, usize);
/// Client, identity and user, and the bracket before the stamp.
type Head = ([Range; 3], usize);

/// The start of the line up to the stamp: the fourth word or, after a virtual host, the fifth.
fn head(line: &[u8]) -> Option<Head> {
    let mut words = [(0, 0); 4];
    let mut at = 0;
    for index in 0..5 {
        if index >= 3 && line.get(at) == Some(&b'[') {
            return Some(([words[index - 3], words[index - 2], words[index - 1]], at));
        }
        let end = find(line.get(..line.len().min(at + 512))?, at, b' ')?;
        // Early no: prose has its second and third words in no such shape.
        if end == at || index == 4 {
            return None;
        }
        words[index] = (at, end);
        at = end + 1;
    }
    None
}

fn take_request(line: &[u8], start: usize, end: usize, draft: &mut Draft) {
    let Some(method_end) = find(&line[..end], start, b' ') else {
        return;
    };
    if method_end == start || !line[start..method_end].iter().all(u8::is_ascii_alphabetic) {
        return;
    }
    draft.attribute(Known::Method, AttributeKind::Text, start, method_end);
    let path = method_end + 1;
    let path_end = memchr::memrchr(b' ', &line[path..end]).map_or(end, |at| path + at);
    text(Known::Path, line, (path, path_end), draft);
}

/// ` "referer" "user agent"`; where they end.
fn take_quoted(line: &[u8], after: usize, draft: &mut Draft) -> usize {
    let mut at = after;
    for known in [Known::Referer, Known::UserAgent] {
        let end = match line.get(at..at + 2) {
            Some(b" \"") => quoted::end(line, at + 2),
            _ => None,
        };
        let Some(end) = end else { return at };
        text(known, line, (at + 2, end), draft);
        at = end + 1;
    }
    at
}

/// How long the request took, where one of the fields after all that are common says so: `rt=0.227`, `42ms`, or a number
/// alone, whose unit is the server's.
fn take_duration(line: &[u8], after: usize, draft: &mut Draft) {
    let is_number = |text: &[u8]| {
        text.first().is_some_and(u8::is_ascii_digit)
            && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    let mut at = after;
    for token in line[after..].split(|byte| *byte == b' ').take(FIELDS_MAX) {
        let (start, end) = (at, at + token.len());
        at = end + 1;
        let named = DURATIONS.iter().find(|name| token.starts_with(name.as_bytes()));
        if let Some(name) = named.filter(|name| is_number(&token[name.len()..])) {
            return draft.number(Known::Duration, line, start + name.len(), end);
        }
        if token.strip_suffix(b"ms").is_some_and(is_number) {
            return draft.number(Known::DurationMs, line, start, end - 2);
        }
        if is_number(token) && end == line.len() && start == after + 1 {
            return draft.number(Known::Duration, line, start, end);
        }
    }
}

fn text(known: Known, line: &[u8], (start, end): (usize, usize), draft: &mut Draft) {
    if start < end && line[start..end] != *b"-" {
        draft.attribute(known, AttributeKind::Text, start, end);
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::check;

    #[test]
    fn samples() {
        for (line, time, rest) in [
            (
                r#"71.58.222.114 - - [01/Nov/2026:00:00:00 +0000] "GET /health?x=1 HTTP/1.1" 200 4030 "-" "kube-probe/1.29" rt=0.227"#,
                "2026-11-01T00:00:00.000000000Z INFO",
                "client_ip=71.58.222.114 method=GET path=/health?x=1 status=200i bytes=4030i user_agent=kube-probe/1.29 duration=0.227",
            ),
            (
                r#"::1 id bob [01/Nov/2026:02:00:00 +0200] "POST /a b HTTP/1.1" 503 -"#,
                "2026-11-01T00:00:00.000000000Z ERROR",
                "client_ip=::1 ident=id user=bob method=POST path=/a b status=503i",
            ),
            (
                r#"shop:443 10.0.0.1 - - [01/Nov/2026:00:00:00 -0000] "\x16\x03" 400 0 "http://a/" "x\"y""#,
                "2026-11-01T00:00:00.000000000Z WARNING",
                r#"client_ip=10.0.0.1 status=400i bytes=0i referer=http://a/ user_agent=x\"y"#,
            ),
            (
                r#"192.0.2.1 - - [01/Nov/2026:00:00:00 +0000] "GET /a HTTP/1.1" - - "-" "curl/8" 7 "web@docker" "-" 0ms"#,
                "2026-11-01T00:00:00.000000000Z INFO",
                "client_ip=192.0.2.1 method=GET path=/a user_agent=curl/8 duration_ms=0i",
            ),
        ] {
            check(line, &format!("{time} | {line} | {rest}"), "{body}");
        }
        for (rest, duration) in [
            ("rt=0.227 uct=0.1", "duration=0.227"),
            ("240 \"shop@docker\" \"http://10.0.0.2:80\" 42ms", "duration_ms=42i"),
            ("5142", "duration=5142i"),
            ("5142 x", ""),
        ] {
            let line = format!(
                r#"192.0.2.7 - - [01/Nov/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl" {rest}"#
            );
            let want = "client_ip=192.0.2.7 method=GET path=/ status=200i bytes=12i user_agent=curl";
            let want = format!("2026-11-01T00:00:00.000000000Z INFO | {line} | {want} {duration}");
            check(&line, want.trim_end(), "{body}");
        }
        let none = r#"192.0.2.7 - ann [01/Nov/2026:00:00:00 +0000] "GET / HTTP/1.1" - 12"#;
        let want = "client_ip=192.0.2.7 user=ann method=GET path=/ bytes=12i";
        check(none, &format!("2026-11-01T00:00:00.000000000Z INFO | {none} | {want}"), "{body}");
        let no = r#"1.2.3.4 - - [01/Nov/2026:00:00:00 +0000] "GET / HTTP/1.1" abc 1"#;
        check(no, &format!("2026-11-01T00:00:00.000000000Z INFO | {no}"), "{body}");
    }
}
