//! Where a pass over the sources of all followers stands.

use taffrail_source::SourceStatus;

/// Where to go on in the sources of several followers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    /// Which follower.
    follower: usize,
    /// Behind which of its sources.
    after: Option<String>,
}

impl Place {
    /// The next `count` sources of all followers, of which `take` gives the first behind a name; fewer at the end.
    pub(crate) fn next<F>(
        &mut self,
        followers: &[F],
        count: usize,
        take: impl Fn(&F, Option<&str>, usize) -> Vec<SourceStatus>,
    ) -> Vec<SourceStatus> {
        let mut slice = Vec::new();
        while let Some(follower) = followers.get(self.follower) {
            slice.extend(take(follower, self.after.as_deref(), count - slice.len()));
            if slice.len() >= count {
                self.after = slice.last().map(|status| status.source.clone());
                break;
            }
            *self = Self { follower: self.follower + 1, after: None };
        }
        slice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_source::{SourceKind, SourceState};

    #[test]
    fn every_source_of_every_follower_has_its_turn() {
        let followers = [vec!["a", "b", "c"], vec![], vec!["a", "d"], vec!["e"]];
        let take = |names: &Vec<&str>, after: Option<&str>, count: usize| {
            let left = names.iter().filter(|name| after.is_none_or(|after| **name > after));
            let status =
                |name: &&str| SourceStatus::new((*name).to_owned(), SourceKind::File, SourceState::Missing);
            left.take(count).map(status).collect()
        };
        for count in 1..8 {
            let (mut place, mut seen) = (Place::default(), Vec::new());
            loop {
                let slice = place.next(&followers, count, take);
                let is_last = slice.len() < count;
                seen.extend(slice.into_iter().map(|status| status.source));
                if is_last {
                    break;
                }
            }
            assert_eq!(seen, ["a", "b", "c", "a", "d", "e"], "{count} at a time");
        }
    }
}
