//! The header that the lines of a file or a stream stand under.

use std::sync::Arc;

use memchr::memmem;
use taffrail_record::header;

/// Bytes that say that a line is a directive.
const DIRECTIVE_LEN: usize = 8;

/// The header of the next lines.
#[derive(Clone, Default, Debug)]
pub(crate) struct Heading(Option<Arc<str>>);

impl Heading {
    /// That of lines after the first bytes of a file.
    pub(crate) fn of_head(head: &[u8]) -> Self {
        Self(header::of_head(head))
    }

    /// The header of what comes next, whose first bytes these are.
    pub(crate) fn before(&mut self, bytes: &[u8], is_start: bool) -> Option<&Arc<str>> {
        if is_start && self.0.is_none() {
            self.0 = header::of_head(bytes);
        }
        self.0.as_ref()
    }

    /// Passes whole lines, which may be or hold headers: the one that the first of them stands under.
    pub(crate) fn pass(&mut self, lines: &[u8], is_start: bool) -> Option<Arc<str>> {
        self.before(lines, is_start);
        let before = self.0.clone()?;
        if header::is_directive(before.as_bytes()) {
            // The same kind of directive may come again, with other columns.
            let sign = &before.as_bytes()[..DIRECTIVE_LEN];
            let last = memmem::rfind_iter(lines, sign).find(|at| *at == 0 || lines[at - 1] == b'\n');
            if let Some(at) = last {
                self.0 = header::of_head(&lines[comments_before(lines, at)..]).or(self.0.take());
            }
        }
        Some(before)
    }
}

/// Where the comments begin that the line at `at` is the last of.
fn comments_before(lines: &[u8], at: usize) -> usize {
    let mut start = at;
    while start > 0 {
        let before = memchr::memrchr(b'\n', &lines[..start - 1]).map_or(0, |newline| newline + 1);
        if lines[before] != b'#' {
            break;
        }
        start = before;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_under_the_directive_before_them() {
        let mut heading = Heading::default();
        let mut pass =
            |lines: &str, is_start| heading.pass(lines.as_bytes(), is_start).as_deref().map(str::to_owned);
        assert_eq!(pass("x\n#Fields: a b\n1 2\n", false), None);
        assert_eq!(pass("#Version: 1\n#Fields: a b\n1 2\n", true).as_deref(), Some("#Fields: a b"));
        assert_eq!(pass("3 4\n#Fields: c d\n5 #Fields: no\n", false).as_deref(), Some("#Fields: a b"));
        assert_eq!(pass("6 7\n#Date: x\n#Fields: time\n", false).as_deref(), Some("#Fields: c d"));
        assert_eq!(pass("8\n", false).as_deref(), Some("#Fields: time\n#Date: x"));

        let mut csv = Heading::of_head(b"time,level\n1,2\nhalf");
        assert_eq!(csv.pass(b"a,b\n", false).as_deref(), Some("time,level"), "no line but the first is one");
        assert_eq!(csv.pass(b"3,4\n", false).as_deref(), Some("time,level"));
    }
}
