//! What comes to stand at the path, but was somewhere else before: another source may have read it there, and may do so still.

use super::*;

/// By how much the clock of the file system may be behind ours.
const CLOCK_STEP: i64 = 20 * Timestamp::SECOND / 1_000;

/// What is known of a file that came from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// Whether there is somebody who knows what others read.
    has_neighbours: bool,
    /// One about which they are to be asked.
    asked: Option<Identity>,
    /// One that nobody else reads.
    cleared: Option<Identity>,
    /// When it was last looked where the path leads.
    looked: Option<Timestamp>,
}

impl Tail {
    /// The same among others that may read the same file: what is moved to the path is opened after [`Tail::answered`].
    #[must_use]
    pub(crate) fn among_others(mut self) -> Self {
        self.strangers.has_neighbours = true;
        self
    }

    /// The file at the path that others may read.
    pub(crate) fn stranger(&self) -> Option<Identity> {
        self.strangers.asked
    }

    /// Nobody else reads the file, or nobody does any more: then `mark` tells how far it was read.
    pub(crate) fn answered(&mut self, identity: Identity, mark: Option<Mark>, now: Now) {
        (self.strangers.asked, self.strangers.cleared) = (None, Some(identity));
        if let Some(mark) = mark {
            self.given.retain(|given| !given.may_be(&identity));
            self.takes_over(Mark { identity, skip: None, ..mark }, now);
        }
    }

    /// Whether the file at the path must not be opened yet. One that was born since the last look was not moved there.
    pub(super) fn is_strange(&mut self, identity: &Identity) -> bool {
        let is_given = self.given.iter().any(|given| given.may_be(identity));
        let is_own = !is_given && self.identities().any(|own| own.may_be(identity));
        let is_new = !is_given
            && self.strangers.looked.is_some_and(|looked| {
                identity.birth.is_some_and(|birth| birth.saturating_add(CLOCK_STEP) >= looked.0)
            });
        let is_cleared = self.strangers.cleared.is_some_and(|cleared| cleared.is(identity));
        let is_strange = self.strangers.has_neighbours && !is_own && !is_new && !is_cleared;
        self.strangers.asked = is_strange.then_some(*identity);
        is_strange
    }

    /// Notes that the path has led to a file that is known at this time, or nowhere.
    pub(super) fn note_look(&mut self, now: Now) {
        self.looked = now.uptime;
        self.strangers.looked = Some(now.observed);
    }
}
