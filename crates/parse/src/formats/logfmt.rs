//! logfmt: `time=... level=info msg="..." key=value`.

use crate::class::{self, end_of, skip_blanks};
use crate::clock::Clock;
use crate::draft::{Draft, Name};
use crate::member::{Member, Members, Value};
use crate::quoted;

/// Names of which a line must have one: any text can hold two equals signs.
const SIGNS: [&[u8]; 9] =
    [b"msg", b"message", b"level", b"lvl", b"severity", b"time", b"ts", b"timestamp", b"t"];

pub(super) fn parse(line: &[u8], clock: &mut Clock, members: &mut Members, draft: &mut Draft) -> bool {
    members.clear();
    if pairs(line, members).is_none() || members.len() < 2 || !members.any_named(line, draft, &SIGNS) {
        return false;
    }
    members.fill(line, clock, draft);
    true
}

/// Whether a line begins as one.
pub(super) fn may_be(line: &[u8]) -> bool {
    line.get(end_of(line, 0, class::KEY)) == Some(&b'=')
}

fn pairs(line: &[u8], members: &mut Members) -> Option<()> {
    let mut at = 0;
    while at < line.len() {
        let name_end = end_of(line, at, class::KEY);
        if name_end == at || line.get(name_end) != Some(&b'=') {
            return None;
        }
        let name = Name::Line(at, name_end);
        let start = name_end + 1;
        let (member, next) = if line.get(start) == Some(&b'"') {
            let (end, escaped) = quoted::scan(line, start + 1)?;
            (Member { name, start: start + 1, end, value: Value::Quoted { escaped } }, end + 1)
        } else {
            let end = bare_end(line, start)?;
            (Member { name, start, end, value: Value::Bare }, end)
        };
        members.push(member);
        at = skip_blanks(line, next);
        if at == next && at < line.len() {
            return None;
        }
    }
    Some(())
}

/// Where a value without quotes ends; `None` if it holds a quote.
fn bare_end(line: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(byte) = line.get(at) {
        match byte {
            b' ' | b'\t' => break,
            b'"' => return None,
            _ => at += 1,
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::check;

    #[test]
    fn samples() {
        for (line, want, layout) in [
            (
                r#"time=2026-11-01T00:00:00Z level=warn msg="slow query" ms=512 q="a\"b" ok"#,
                r#"2026-11-01T00:00:00.000000000Z WARNING | time=2026-11-01T00:00:00Z level=warn msg="slow query" ms=512 q="a\"b" ok"#,
                "{body}",
            ),
            (
                r#"time=2026-11-01T00:00:00Z level=warn msg="slow query" ms=512 q="a\"b" empty="#,
                r#"2026-11-01T00:00:00.000000000Z WARNING | slow query | level=warn ms=512i q=a"b empty="#,
                r#"time={ts:iso-T.0Z} level={level} msg="{body|j}" ms={.ms} q="{.q|j}" empty={.empty}"#,
            ),
            (
                "ts=1793491200.006 lvl=ERROR app=api msg=boom host=db1",
                "2026-11-01T00:00:00.006000000Z ERROR api@db1 | boom",
                "ts={ts:epoch.3} lvl={level} app={service} msg={body} host={node}",
            ),
            ("a=1 b=2", "observed INFO | a=1 b=2", "{body}"),
            ("level=info x=1", "observed INFO | level=info x=1 | level=info x=1i", "{body}"),
            (
                "level=info msg=a msg=b",
                "observed INFO | a | level=info msg=b",
                "level={level} msg={body} msg={.msg}",
            ),
            ("level=info msg=a k=1 k=2", "observed INFO | a | level=info k=1i", ""),
        ] {
            check(line, want, layout);
        }
    }
}
