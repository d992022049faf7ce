//! A cursor: journald's name for one entry, and the checkpoint's state that is made of it.

use std::fmt::Write as _;

use taffrail_record::Checkpoint;

/// Bytes of a cursor at most; systemd's own have about 130.
pub(super) const CURSOR_MAX: usize = 512;

/// The name of one entry, as `__CURSOR` gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cursor {
    text: String,
}

/// What a cursor tells of its entry's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Place<'a> {
    /// Whose numbers they are: one journal daemon's, over boots and rotations.
    pub(super) sequence: &'a str,
    /// The entry's number there.
    pub(super) number: u64,
    /// When it was written, in microseconds since 1970.
    pub(super) realtime_us: u64,
}

impl Cursor {
    /// Takes what can be a cursor and nothing else: it goes back to `journalctl` as an argument.
    pub(super) fn new(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b';' | b'-');
        let fits = (1..=CURSOR_MAX).contains(&text.len()) && text.contains('=') && text.bytes().all(plain);
        fits.then(|| Self { text: text.to_owned() })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the entry stands; `None` for a cursor without a number.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        let (mut sequence, mut number, mut realtime_us) = (None, None, None);
        for part in self.text.split(';') {
            match part.split_once('=')? {
                ("s", value) => sequence = Some(value),
                ("i", value) => number = u64::from_str_radix(value, 16).ok(),
                ("t", value) => realtime_us = u64::from_str_radix(value, 16).ok(),
                _ => {}
            }
        }
        Some(Place { sequence: sequence?, number: number?, realtime_us: realtime_us? })
    }

    /// Whether both name the same entry, however they are written.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.text == other.text || self.place().is_some_and(|place| Some(place) == other.place())
    }

    /// Whether this entry comes before `other`: by their numbers, or by time where these do not compare.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (self.place(), other.place()) else { return false };
        if a.sequence == b.sequence { a.number < b.number } else { a.realtime_us < b.realtime_us }
    }

    /// Entries between this one and a later one that are not there; `None` where their numbers do not compare.
    pub(super) fn missing_until(&self, later: &Self) -> Option<u64> {
        let (a, b) = (self.place()?, later.place()?);
        (a.sequence == b.sequence).then(|| b.number.checked_sub(a.number)?.checked_sub(1))?
    }
}

/// Where a journal source goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// The last entry that was handed over.
    pub(super) cursor: Cursor,
    /// Which entries were asked for: under another filter the entry itself need not come again.
    pub(super) filter: u64,
    /// Entries older than this were there before the source was first seen, in microseconds since 1970.
    pub(super) since_us: u64,
}

const HEAD: &str = "journal v1";

impl Mark {
    /// The text for [`Checkpoint::state`].
    pub(super) fn encode(&self) -> String {
        let mut out = HEAD.to_owned();
        // Writing to a String cannot fail.
        let _ =
            write!(out, " filter={:x} since={} cursor={}", self.filter, self.since_us, self.cursor.as_str());
        out
    }

    /// Reads any text; `None` for what it does not understand.
    pub(super) fn decode(checkpoint: &Checkpoint) -> Option<Self> {
        let words = checkpoint.state.strip_prefix(HEAD)?.strip_prefix(' ')?;
        let (mut cursor, mut filter, mut since_us) = (None, None, None);
        for word in words.split(' ') {
            match word.split_once('=')? {
                ("cursor", value) => cursor = Some(Cursor::new(value)?),
                ("filter", value) => filter = Some(u64::from_str_radix(value, 16).ok()?),
                ("since", value) => since_us = Some(value.parse().ok()?),
                // A later release may know more; what it adds cannot change where to go on.
                _ => {}
            }
        }
        Some(Self { cursor: cursor?, filter: filter?, since_us: since_us? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cursor(sequence: &str, number: u64) -> Cursor {
        let text = format!("s={sequence};i={number:x};b=b0;m=17;t=5f3;x=9");
        Cursor::new(&text).unwrap()
    }

    fn decode(state: &str) -> Option<Mark> {
        Mark::decode(&Checkpoint { offset: 1, lines: 1, state: state.to_owned() })
    }

    #[test]
    fn places_compare_within_one_sequence() {
        for (a, b, missing) in [
            (cursor("aa", 5), cursor("aa", 6), Some(0)),
            (cursor("aa", 5), cursor("aa", 16), Some(10)),
            (cursor("aa", 5), cursor("aa", 5), None),
            (cursor("aa", 5), cursor("aa", 4), None),
            (cursor("aa", 5), cursor("ab", 6), None),
            (cursor("aa", 5), Cursor::new("t=5").unwrap(), None),
        ] {
            assert_eq!(a.missing_until(&b), missing, "{a:?} {b:?}");
            assert_eq!(a.is_before(&b), missing.is_some(), "{a:?} {b:?}");
        }
        assert!(cursor("aa", 5).is(&Cursor::new("i=5;s=aa;t=5f3").unwrap()));
        assert!(!cursor("aa", 5).is(&cursor("aa", 6)));
        assert_eq!(cursor("aa", 5).place().unwrap().realtime_us, 0x5f3);
    }

    #[test]
    fn nothing_but_a_cursor_is_one() {
        let long = format!("s={}", "a".repeat(CURSOR_MAX));
        for text in ["", "s", "s=a b", "s=a\n", "s=a\"", "s=$(x)", "--since=x\0", &long] {
            assert_eq!(Cursor::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_anything_else_is_none() {
        let mark = Mark { cursor: cursor("aa", 5), filter: 0xfe, since_us: 77 };
        let text = mark.encode();
        assert_eq!(decode(&text), Some(mark.clone()));
        assert_eq!(decode(&format!("{text} boots=2")), Some(mark), "unknown keys are passed over");
        for state in ["", "journal v1", "journal v1 ", "journal v2 cursor=s=1", "v1 between", "\0\0\0"] {
            assert_eq!(decode(state), None, "{state:?}");
        }
        assert_eq!(decode(&text[..text.len() / 3]), None);
        assert_eq!(decode(&text.replace("cursor=s", "cursor=\u{e9}")), None);
    }

    proptest! {
        #[test]
        fn decoding_is_total(state in ".*", flip in 0usize..100, cut in 0usize..100) {
            decode(&state);
            let mut bytes = Mark { cursor: cursor("aa", 5), filter: 1, since_us: 2 }.encode().into_bytes();
            let len = bytes.len();
            bytes[flip % len] ^= 1 << (flip % 7);
            bytes.truncate(cut);
            decode(&String::from_utf8_lossy(&bytes));
        }
    }
}
