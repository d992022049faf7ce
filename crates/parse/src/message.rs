//! What a record's message says beside the fields around it.
//!
//! A line in an envelope (syslog, a container runtime, a collector's JSON) carries what the program wrote: that is read as
//! the program's own line ([`payload`]). Messages of known programs have fields of their own (`messages` of the formats
//! that are data), and any message may name who did it ([`actor`]). All of it becomes attributes beside the message, which
//! stays as it is.

mod actor;
mod payload;

use crate::clock::Clock;
use crate::draft::Draft;
use crate::formats;
use crate::member::Members;
use crate::pattern::Found;

/// Adds what the message of a line says to what its format said.
pub(crate) fn read(
    line: &[u8],
    clock: &mut Clock,
    members: &mut Members,
    found: &mut Found<'static>,
    draft: &mut Draft,
) {
    // What a program is known to write says more than what any could.
    if !formats::message(line, clock, found, draft) {
        payload::read(line, clock, members, found, draft);
    }
    actor::note(line, draft);
}

#[cfg(test)]
mod tests;
