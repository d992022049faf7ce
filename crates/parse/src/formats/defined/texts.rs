//! Which patterns a line can match that begin with a text which says what the line is: by its first bytes, then by the
//! whole text and what follows it.

use super::Format;
use super::starts::Match;
use crate::pattern::TEXT_MIN;

/// The patterns that begin with a text.
#[derive(Debug)]
pub(super) struct Texts {
    /// By first byte.
    groups: Vec<Vec<Group>>,
}

/// The patterns whose texts have the same first bytes, in the order in which they are tried.
#[derive(Debug)]
struct Group {
    start: [u8; TEXT_MIN],
    /// Format, and the pattern's place there.
    patterns: Vec<(usize, usize)>,
}

impl Texts {
    /// Of all formats but the first `own`.
    pub(super) fn new(formats: &[Format], own: usize) -> Self {
        let mut groups: Vec<Vec<Group>> = (0..=u8::MAX).map(|_| Vec::new()).collect();
        for (format, Format { patterns, .. }) in formats.iter().enumerate().skip(own) {
            for (index, pattern) in patterns.iter().enumerate().filter(|(_, one)| one.begins_with_text()) {
                for start in pattern.texts().into_iter().filter_map(<[u8]>::first_chunk) {
                    let of_byte = &mut groups[usize::from(start[0])];
                    let place = (format, index);
                    match of_byte.iter_mut().find(|group| group.start == *start) {
                        Some(group) if group.patterns.last() == Some(&place) => {}
                        Some(group) => group.patterns.push(place),
                        None => of_byte.push(Group { start: *start, patterns: vec![place] }),
                    }
                }
            }
        }
        Self { groups }
    }

    /// The patterns that a line begins as.
    pub(super) fn of<'a>(
        &'a self,
        line: &'a [u8],
        formats: &'a [Format],
    ) -> impl Iterator<Item = Match> + 'a {
        let start: Option<&[u8; TEXT_MIN]> = line.first_chunk();
        let group = start
            .and_then(|start| self.groups[usize::from(start[0])].iter().find(|group| group.start == *start));
        let patterns = group.map_or(&[][..], |group| &group.patterns);
        patterns
            .iter()
            .filter(|(format, pattern)| formats[*format].patterns[*pattern].begins(line))
            .map(|(format, pattern)| Match { format: *format, pattern: *pattern, alike: 0, shape: 0 })
    }
}
