//! What container runtimes put around each line of their programs.

use std::borrow::Cow;

use crate::class::skip_blanks;
use crate::quoted;

/// Bytes of a timestamp of RFC 3339: without a fraction at least, with one and an offset at most.
const STAMP_MIN: usize = 20;
const STAMP_MAX: usize = 40;

/// A line of a program inside a line of its runtime.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    stream: &'a [u8],
    raw: &'a [u8],
    content: Cow<'a, [u8]>,
    is_partial: bool,
    is_docker: bool,
    is_cut: bool,
}

impl<'a> Envelope<'a> {
    /// The envelope that `line` is.
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        match line.first()? {
            b'0'..=b'9' if line.get(10) == Some(&b'T') => Self::of_cri(line),
            b'{' => Self::of_docker(line),
            _ => None,
        }
    }

    /// `2016-10-06T00:17:09.669794202Z stdout F message`; tag `P`: the line goes on.
    fn of_cri(line: &'a [u8]) -> Option<Self> {
        let stamps = line.get(..STAMP_MAX).unwrap_or(line).get(STAMP_MIN..)?;
        let rest = &line[STAMP_MIN + memchr::memchr(b' ', stamps)? + 1..];
        let (stream, rest) =
            rest.split_at_checked(7).filter(|(stream, _)| matches!(*stream, b"stdout " | b"stderr "))?;
        let is_partial = match rest {
            [b'F', ..] => false,
            [b'P', ..] => true,
            _ => return None,
        };
        let tag = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let raw = rest.get(tag + 1..).unwrap_or_default();
        Some(Self { stream, raw, content: Cow::Borrowed(raw), is_partial, is_docker: false, is_cut: false })
    }

    /// `{"log":"message\n","stream":"stdout","time":"..."}`; without `\n` the line goes on.
    fn of_docker(line: &'a [u8]) -> Option<Self> {
        let log = string_after(line, 0, b"{\"log\"")?;
        if log.end == line.len() {
            let raw = &line[log.start..];
            let content = Cow::Borrowed(raw);
            return Some(Self {
                stream: b"",
                raw,
                content,
                is_partial: false,
                is_docker: true,
                is_cut: true,
            });
        }
        let stream = string_after(line, log.end + 1, b",\"stream\"")?;
        let raw = &line[log.start..log.end];
        let (raw, is_partial) = match raw.strip_suffix(br"\n") {
            // A backslash before it makes it two characters.
            Some(whole) if whole.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0 => {
                (whole, false)
            }
            _ => (raw, true),
        };
        let content = if log.is_escaped {
            let mut text = Vec::with_capacity(raw.len());
            quoted::unescape(raw, &mut text);
            Cow::Owned(text)
        } else {
            Cow::Borrowed(raw)
        };
        Some(Self {
            stream: &line[stream.start..stream.end],
            raw,
            content,
            is_partial,
            is_docker: true,
            is_cut: false,
        })
    }

    /// What the program wrote.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// The same as it stands in the line.
    pub(super) fn raw(&self) -> &[u8] {
        self.raw
    }

    /// Whether the program's line goes on in the next envelope.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Whether the program's newline was not escaped, so that the envelope goes on in the next line.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether both are of one runtime and one stream of a program.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.is_docker == other.is_docker && (self.is_cut || other.is_cut || self.stream == other.stream)
    }
}

struct Text {
    start: usize,
    end: usize,
    is_escaped: bool,
}

/// The string after a name and its colon, blanks between them left out of account; to the line's end if it has none.
fn string_after(line: &[u8], start: usize, name: &[u8]) -> Option<Text> {
    let mut at = start;
    let (mark, name) = name.split_first()?;
    if line.get(at) != Some(mark) {
        return None;
    }
    at = skip_blanks(line, at + 1);
    if !line.get(at..)?.starts_with(name) {
        return None;
    }
    at = skip_blanks(line, at + name.len());
    if line.get(at) != Some(&b':') {
        return None;
    }
    at = skip_blanks(line, at + 1);
    if line.get(at) != Some(&b'"') {
        return None;
    }
    let (end, is_escaped) = match quoted::end(line, at + 1) {
        Some(_) => quoted::scan(line, at + 1)?,
        None => (line.len(), false),
    };
    Some(Text { start: at + 1, end, is_escaped })
}
