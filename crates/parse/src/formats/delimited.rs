//! `TIME - LEVEL - AGENT - message`, also with `|`, and Python's `TIME - NAME - LEVEL - message`.

use taffrail_record::{Severity, TimeFormat, Zone};

use crate::class::{self, end_of, skip_blanks};
use crate::clock::Stamp;
use crate::draft::{Draft, Place};

pub(super) fn parse(line: &[u8], stamp: &Stamp, draft: &mut Draft) -> bool {
    fields(line, stamp, draft).is_some()
}

fn fields(line: &[u8], stamp: &Stamp, draft: &mut Draft) -> Option<()> {
    let plain = matches!(stamp.format, Some(TimeFormat::Iso { date: b'-', zone: Zone::Assumed(_), .. }));
    if !plain || stamp.trailer > 0 {
        return None;
    }
    let first = separator(line, stamp.end())?;
    let first_end = end_of(line, first.after, first.word);
    let second = separator(line, first_end)?;
    let second_end = end_of(line, second.after, second.word);
    let body = separator(line, second_end)?.after;
    let (first, second) = (first.after, second.after);
    if first == first_end || second == second_end {
        return None;
    }
    let first_level = Severity::from_text(&line[first..first_end]);
    let second_level = Severity::from_text(&line[second..second_end]);
    draft.cut_time(line, 0, stamp);
    match (first_level, second_level) {
        (None, Some(severity)) => {
            service(line, first, first_end, draft);
            level(line, severity, second, second_end, draft);
        }
        (severity, _) => {
            level(line, severity.unwrap_or(Severity::INFO), first, first_end, draft);
            service(line, second, second_end, draft);
        }
    }
    draft.cut_body(line, body);
    Some(())
}

fn level(line: &[u8], severity: Severity, start: usize, end: usize, draft: &mut Draft) {
    draft.cut(line, start, end, b"{level}");
    draft.level(severity, line, start, end);
}

fn service(line: &[u8], start: usize, end: usize, draft: &mut Draft) {
    draft.cut(line, start, end, b"{service}");
    draft.service = Some(Place::line(start, end));
}

/// A `-` or `|` between two fields, with the blanks around it.
struct Separator {
    after: usize,
    /// The class of the bytes in a name after it: with dots and dashes, unless a bare dash separates.
    word: u8,
}

fn separator(line: &[u8], at: usize) -> Option<Separator> {
    let mark = skip_blanks(line, at);
    let after = skip_blanks(line, mark + 1);
    let word = match line.get(mark)? {
        b'-' if after == mark + 1 => class::WORD,
        b'-' | b'|' => class::KEY,
        _ => return None,
    };
    Some(Separator { after, word })
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::check;

    #[test]
    fn samples() {
        let time = "2026-11-01T00:00:00";
        check(
            "2026-11-01 00:00:00 - ERROR - HERMES - cannot deliver - retry",
            &format!("{time}.000000000Z ERROR HERMES | cannot deliver - retry"),
            "{ts:iso- .0~+0000} - {level} - {service} - {body}",
        );
        check(
            "2026-11-01T00:00:00.123|warning|my_agent|message",
            &format!("{time}.123000000Z WARNING my_agent | message | level=warning"),
            "{ts:iso-T.3~+0000}|{level}|{service}|{body}",
        );
        check(
            "2026-11-01 00:00:00,500 - app.db - INFO - connected",
            &format!("{time}.500000000Z INFO app.db | connected"),
            "{ts:iso- ,3~+0000} - {service} - {level} - {body}",
        );
        check(
            "2026-11-01 00:00:00 - SUCCESS - bot - done",
            &format!("{time}.000000000Z INFO bot | done | level=SUCCESS"),
            "{ts:iso- .0~+0000} - {level} - {service} - {body}",
        );
        check(
            "2026-11-01 00:00:00-ERROR-bot-done",
            &format!("{time}.000000000Z ERROR bot | done"),
            "{ts:iso- .0~+0000}-{level}-{service}-{body}",
        );
    }
}
