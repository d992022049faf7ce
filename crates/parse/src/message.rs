//! What a record's message says beside the fields around it.
//!
//! A line in an envelope (syslog, a container runtime, a collector's JSON) carries what the program wrote: that is read as
//! the program's own line ([`payload`]). Messages of known programs have fields of their own (`messages` of the formats
//! that are data), and any message may name who did it ([`actor`]). All of it becomes attributes beside the message, which
//! stays as it is.

mod actor;
mod payload;

use crate::draft::Draft;
use crate::formats;
use crate::tools::Tools;

/// Adds what the message of a line says to what its format said.
pub(crate) fn read(line: &[u8], tools: &mut Tools, draft: &mut Draft) {
    // What a program is known to write says more than what any could.
    if !formats::message(line, tools, draft) {
        payload::read(line, tools, draft);
    }
    actor::note(line, draft);
}

#[cfg(test)]
mod tests;
