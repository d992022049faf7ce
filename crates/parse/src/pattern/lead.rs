//! A cheap look at what follows the time that a line begins with: most patterns that begin with one are refused by it.

use super::{Found, Hole, Pattern, Step, is_blank, starts};
use crate::clock::Clock;

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bytes([u64; 4]);

impl Bytes {
    /// Those that the line can go on with at `steps`.
    fn starting(steps: &[Step]) -> Self {
        let mut set = [0; 4];
        for byte in (0..=u8::MAX).filter(|byte| starts(steps, *byte)) {
            set[usize::from(byte / 64)] |= 1 << (byte % 64);
        }
        Self(set)
    }

    /// Whether `byte` is one of them. The end of the line is left to the pattern.
    fn fit(&self, byte: Option<u8>) -> bool {
        byte.is_none_or(|byte| self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1)
    }
}

/// What a pattern wants after the time that it begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lead {
    /// Whether blanks come first.
    blanks: bool,
    next: Bytes,
    /// What comes after a level, and the blanks around it.
    after_level: Option<Bytes>,
}

/// What a line has after the time that it begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ahead {
    next: Option<u8>,
    after_blanks: Option<u8>,
    after_word: Option<u8>,
}

impl Pattern {
    /// `None` if the pattern does not begin with a time of any shape.
    pub(crate) fn lead(&self) -> Option<Lead> {
        let rest = self.steps.strip_prefix(&[Step::Time(None)])?;
        let blanks = matches!(rest.first(), Some(Step::Blanks(least)) if *least > 0);
        let next = if blanks { &rest[1..] } else { rest };
        let after_level = match next {
            [Step::Hole(hole), Step::Blanks(_), after @ ..] if blanks && is_plain_level(hole) => {
                Some(Bytes::starting(after))
            }
            _ => None,
        };
        Some(Lead { blanks, next: Bytes::starting(next), after_level })
    }
}

/// Whether a hole takes a level that ends at a blank.
fn is_plain_level(hole: &Hole) -> bool {
    hole.target == super::Target::Level
        && hole.form == super::Form::Word
        && !hole.absent
        && hole.stops.is_empty()
}

impl Lead {
    /// Whether a line can be of the pattern.
    pub(crate) fn fits(&self, ahead: &Ahead) -> bool {
        let next = if self.blanks { ahead.after_blanks } else { ahead.next };
        self.next.fit(next) && self.after_level.is_none_or(|after| after.fit(ahead.after_word))
    }
}

impl Found<'_> {
    /// `None` if the line does not begin with a time.
    pub(crate) fn ahead(&mut self, line: &[u8], clock: &mut Clock) -> Option<Ahead> {
        let rest = &line[self.any(line, 0, clock)?.end()..];
        let skip = |from: usize, blank: bool| {
            from + rest[from..].iter().take_while(|byte| is_blank(**byte) == blank).count()
        };
        let word = skip(0, true);
        let after = skip(skip(word, false), true);
        Some(Ahead {
            next: rest.first().copied(),
            after_blanks: rest.get(word).copied(),
            after_word: rest.get(after).copied(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_by_what_follows_the_time() {
        for (pattern, line, want) in [
            ("{time} {level} [{.a}] x", "2026-11-01 00:00:00 INFO [a] y", true),
            ("{time} {level} [{.a}] x", "2026-11-01 00:00:00 INFO a", false),
            ("{time} {level} [{.a}] x", "2026-11-01 00:00:00 12 [a]", false),
            ("{time} {level} [{.a}] x", "2026-11-01 00:00:00", true),
            ("{time},{.a}", "2026-11-01 00:00:00,x", true),
            ("{time},{.a}", "2026-11-01 00:00:00 x", false),
            ("{time} {?us={_:int} }{.a:int}", "2026-11-01 00:00:00 us=1 2", true),
            ("{time} {?us={_:int} }{.a:int}", "2026-11-01 00:00:00 x", false),
        ] {
            let lead = Pattern::new(pattern).unwrap().lead().unwrap();
            let ahead = Found::default().ahead(line.as_bytes(), &mut Clock::new(0)).unwrap();
            assert_eq!(lead.fits(&ahead), want, "{pattern} on {line}");
        }
        assert_eq!(Pattern::new("[{time}]").unwrap().lead(), None);
        assert_eq!(Found::default().ahead(b"no time", &mut Clock::new(0)), None);
    }
}
