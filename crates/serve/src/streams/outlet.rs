//! The sockets that a stream writes to by itself.
//!
//! A task for each client that is woken, looks for what is new and writes it costs more than the writing. As long as a client
//! takes all that comes, the stream writes to its socket directly, the same bytes to all. Where a socket takes only a part,
//! the client's own task is woken: it writes the rest at the pace of the client, and what came meanwhile, and gives the
//! socket back once it has caught up ([`super::client`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::Seat;
use super::entry::Entry;
use super::form::Form;
use super::ring::Ring;

/// Entries, and bytes of them, that are written at once: what a client that takes no more keeps in memory.
const PIECE_ENTRIES: usize = 512;
const PIECE_BYTES: usize = 256 << 10;
/// Sockets that are written to before others get a turn.
const TURN: usize = 32;

/// A client's socket.
pub(super) struct Outlet {
    socket: OwnedWriteHalf,
    form: Form,
    seat: Arc<Seat>,
    state: Mutex<State>,
    stuck: Notify,
}

/// Who writes to it.
#[derive(Debug)]
enum State {
    /// The client's task.
    Own,
    /// The stream, what comes after so many entries.
    Fed { next: u64 },
    /// Nobody yet: the client's task is called to write the rest, and then what comes after so many entries.
    Stuck { rest: Bytes, next: u64 },
}

/// What a client's task has to go on with.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Left {
    /// To be written first.
    pub(super) rest: Bytes,
    /// How many entries were published before those that come then.
    pub(super) next: u64,
}

impl Outlet {
    /// The client's task writes to it at first.
    pub(super) fn new(socket: OwnedWriteHalf, form: Form, seat: Arc<Seat>) -> Arc<Self> {
        Arc::new(Self { socket, form, seat, state: Mutex::new(State::Own), stuck: Notify::new() })
    }

    /// Leaves it to the stream to write what is published after `next` entries. False where there is more already.
    pub(super) fn feed(&self, next: u64, ring: &Ring) -> bool {
        *self.state() = State::Fed { next };
        // What was published before that may have passed by.
        if ring.published() > next {
            let mut state = self.state();
            if matches!(*state, State::Fed { next: still } if still == next) {
                *state = State::Own;
                return false;
            }
        }
        true
    }

    /// Gives it back to the client's task.
    pub(super) fn take(&self) -> Option<Left> {
        match std::mem::replace(&mut *self.state(), State::Own) {
            State::Own => None,
            State::Fed { next } => Some(Left { rest: Bytes::new(), next }),
            State::Stuck { rest, next } => Some(Left { rest, next }),
        }
    }

    /// Resolves once the client's task has to go on.
    pub(super) async fn stuck(&self) {
        self.stuck.notified().await;
    }

    /// Writes as the client's task, at the pace of the client.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match self.socket.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.socket.writable().await?
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes as the stream; what follows what the client has.
    fn pour(&self, pieces: &[Piece]) {
        let mut state = self.state();
        for piece in pieces {
            match *state {
                State::Fed { next } if next == piece.next - piece.entries => {
                    self.seat.sends(piece.entries, piece.bytes.len(), Some(piece.next));
                    self.write(&mut state, &piece.bytes, piece.next);
                }
                _ => return,
            }
        }
    }

    fn write(&self, state: &mut State, bytes: &Bytes, next: u64) {
        // An error is met again by the client's task.
        let written = self.socket.try_write(bytes).unwrap_or_default();
        if written == bytes.len() {
            *state = State::Fed { next };
        } else {
            *state = State::Stuck { rest: bytes.slice(written..), next };
            self.stuck.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sockets of a stream.
#[derive(Default)]
pub(super) struct Outlets(Mutex<Vec<Weak<Outlet>>>);

/// Entries in a row, as a form has them.
pub(super) struct Piece {
    pub(super) entries: u64,
    /// How many were published with them.
    pub(super) next: u64,
    pub(super) bytes: Bytes,
}

impl Outlets {
    /// Another one; it leaves by being dropped.
    pub(super) fn add(&self, outlet: &Arc<Outlet>) {
        let mut outlets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Now and then, so that who has gone costs nothing.
        if outlets.len() == outlets.capacity() {
            outlets.retain(|outlet| outlet.strong_count() > 0);
        }
        outlets.push(Arc::downgrade(outlet));
    }

    /// Writes entries to all who have taken everything before them: so many that were published.
    pub(super) async fn pour(&self, from: u64, entries: &[Entry]) {
        let outlets: Vec<Arc<Outlet>> = {
            let outlets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            outlets.iter().filter_map(Weak::upgrade).collect()
        };
        let mut pieces = Form::ALL.map(|_| None);
        for some in outlets.chunks(TURN) {
            for outlet in some {
                let pieces =
                    pieces[outlet.form as usize].get_or_insert_with(|| cut(from, entries, outlet.form));
                outlet.pour(pieces);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Entries as pieces that are not too large.
pub(super) fn cut(from: u64, mut entries: &[Entry], form: Form) -> Vec<Piece> {
    let (mut pieces, mut next) = (Vec::new(), from);
    while !entries.is_empty() {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let had = bytes;
            bytes += entry.event().len();
            had == 0 || bytes <= PIECE_BYTES
        };
        let count = entries.iter().take(PIECE_ENTRIES).take_while(fits).count();
        let (piece, rest) = entries.split_at(count);
        next += count as u64;
        pieces.push(Piece { entries: count as u64, next, bytes: form.entries(piece.iter()) });
        entries = rest;
    }
    pieces
}

impl std::fmt::Debug for Outlets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use taffrail_record::Timestamp;

    use super::*;

    #[test]
    fn pieces_are_bounded_and_leave_nothing_out() {
        let small = Entry::notice("", "x", "a.log", Timestamp(0));
        let large = Entry::notice("", &"x".repeat(PIECE_BYTES), "a.log", Timestamp(0));
        let mut entries = vec![small; PIECE_ENTRIES + 3];
        entries.insert(1, large.clone());
        entries.insert(2, large);
        let pieces = cut(10, &entries, Form::Lines);
        let counts: Vec<(u64, u64)> = pieces.iter().map(|piece| (piece.entries, piece.next)).collect();
        assert_eq!(counts, [(1, 11), (1, 12), (1, 13), (512, 525), (2, 527)]);
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
        assert_eq!(bytes, Form::Lines.entries(entries.iter()));
    }
}
