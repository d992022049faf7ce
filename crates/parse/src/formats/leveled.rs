//! Lines that start with a level and no time: `[LEVEL] AGENT: message`, `LEVEL - message`, `LEVEL: message`.

use taffrail_record::{AttributeKind, Severity};

use crate::class::{self, end_of, skip_blanks};
use crate::draft::{Draft, Known, Place};
use crate::severity_guess::level_word;

/// Bytes of an agent's name at most.
const NAME_MAX: usize = 128;

/// `[LEVEL] AGENT: message`, or `[LEVEL] message` where the level is a known one.
pub(super) fn bracketed(line: &[u8], draft: &mut Draft) -> bool {
    let end = end_of(line, 1, class::WORD);
    if end == 1 || line.get(end) != Some(&b']') {
        return false;
    }
    let word = &line[1..end];
    let agent = skip_blanks(line, end + 1);
    let agent_end = end_of(line, agent, class::TAG);
    let has_agent = agent < agent_end
        && agent_end - agent <= NAME_MAX
        && line.get(agent_end) == Some(&b':')
        && is_last(line, agent_end);
    // A level of the program's own making is told from any other bracket by its capitals.
    let unknown = has_agent && word.len() <= 16 && word.iter().all(u8::is_ascii_uppercase);
    let Some(severity) = Severity::from_text(word).or(unknown.then_some(Severity::INFO)) else {
        return false;
    };
    draft.cut(line, 1, end, b"{level}");
    draft.level(severity, line, 1, end);
    if has_agent {
        draft.cut(line, agent, agent_end, b"{service}");
        draft.service = Some(Place::line(agent, agent_end));
        draft.cut_body(line, skip_blanks(line, agent_end + 1));
    } else {
        draft.cut_body(line, agent);
    }
    true
}

/// Whether the colon at `at` ends a word, as in no path, time or URL.
fn is_last(line: &[u8], at: usize) -> bool {
    matches!(line.get(at + 1), None | Some(b' ' | b'\t'))
}

/// The level that the line after `first` bytes of a record begins with, as in `SEVERE: message`: itself, start and end.
pub(super) fn second(text: &[u8], first: usize) -> Option<(Severity, usize, usize)> {
    let start = first + text[first..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let len = text[start..].iter().take(10).position(|byte| !byte.is_ascii_uppercase())?;
    let colon = text[start + len..].starts_with(b": ");
    let severity = level_word(&text[start..start + len]).filter(|_| colon)?;
    Some((severity, start, start + len))
}

/// `LEVEL - message`, `LEVEL: message` and Python's `LEVEL:logger:message`.
pub(super) fn prefixed(line: &[u8], draft: &mut Draft) -> bool {
    let end = line.iter().take(10).position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(0);
    let separator = match &line[end..] {
        [b':', ..] => end,
        [b' ' | b'\t' | b'-', ..] => skip_blanks(line, end),
        _ => return false,
    };
    let dash = line.get(separator) == Some(&b'-') && (separator > end || is_last(line, separator));
    if !(dash || line.get(separator) == Some(&b':')) {
        return false;
    }
    let Some(severity) = level_word(&line[..end]) else {
        return false;
    };
    draft.cut(line, 0, end, b"{level}");
    draft.level(severity, line, 0, end);
    let mut body = separator + 1;
    if let (b':', Some(logger_end)) = (line[end], logger(line, body)) {
        draft.cut_known(line, body, logger_end, Known::Logger);
        draft.attribute(Known::Logger, AttributeKind::Text, body, logger_end);
        body = logger_end + 1;
    }
    draft.cut_body(line, skip_blanks(line, body));
    true
}

/// The end of a logger's name between the colons of `ERROR:app.db:message`.
fn logger(line: &[u8], start: usize) -> Option<usize> {
    let end = end_of(line, start, class::KEY);
    let is_name = line.get(start)?.is_ascii_alphabetic() && end - start <= NAME_MAX;
    (is_name && line.get(end) == Some(&b':') && line.get(end + 1) != Some(&b'/')).then_some(end)
}

#[cfg(test)]
mod tests {
    use taffrail_record::Severity;

    use crate::formats::tests::check;

    #[test]
    fn second_lines_begin_with_a_level() {
        let text = b"Nov 1, 2026 12:00:00 AM a.B c\r\nSEVERE: gone";
        assert_eq!(super::second(text, 29), Some((Severity::ERROR, 31, 37)));
        assert_eq!(super::second(b"first\nnothing: x", 5), None);
        assert_eq!(super::second(b"first\nINFO", 5), None);
        assert_eq!(super::second(b"first", 5), None);
    }

    #[test]
    fn samples() {
        for (line, want, layout) in [
            ("[ERROR] HERMES: no route", "observed ERROR HERMES | no route", "[{level}] {service}: {body}"),
            (
                "[warn] my-agent: slow",
                "observed WARNING my-agent | slow | level=warn",
                "[{level}] {service}: {body}",
            ),
            (
                "[SUCCESS] bot: done",
                "observed INFO bot | done | level=SUCCESS",
                "[{level}] {service}: {body}",
            ),
            ("[INFO] two words: x", "observed INFO | two words: x", "[{level}] {body}"),
            ("[main] two: x", "observed INFO | [main] two: x", "{body}"),
            ("ERROR - disk full", "observed ERROR | disk full", "{level} - {body}"),
            ("Warning: old", "observed WARNING | old | level=Warning", "{level}: {body}"),
            ("ERROR:app.db:gone", "observed ERROR | gone | logger=app.db", "{level}:{.logger}:{body}"),
            ("ERROR:http://a/ gone", "observed ERROR | http://a/ gone", "{level}:{body}"),
            ("FATAL: {gone}", "observed CRITICAL | {gone} | level=FATAL", "{level}: {body}"),
            ("note: plain English", "observed INFO | note: plain English", "{body}"),
            ("ERROR disk full", "observed ERROR | ERROR disk full", "{body}"),
        ] {
            check(line, want, layout);
        }
    }
}
