//! The newest of what is told to many: one window that holds it, any number of readers that go through it at their own pace.
//!
//! Telling never waits, and what is held is bounded in number and in bytes for all readers together. Who reads too slowly finds
//! in the place of what was let go how much that was.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What is told to readers. Clones share it; readers learn that the last of them is gone.
pub struct Window<T>(Arc<Owner<T>>);

impl<T> Clone for Window<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Ends the reading when it is dropped.
struct Owner<T>(Arc<Shared<T>>);

struct Shared<T> {
    /// Pieces, and bytes of them, that are held at most; the newest is held in any case.
    most: usize,
    most_bytes: usize,
    held: Mutex<Held<T>>,
    arrived: Notify,
    readers: AtomicUsize,
    /// What all readers together were given, and what they missed.
    given: AtomicU64,
    missed: AtomicU64,
}

/// How a window stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Who reads.
    pub readers: usize,
    /// What the pieces count that readers were given, all together.
    pub given: u64,
    /// What those count that they were too slow for.
    pub missed: u64,
}

/// A piece of what is told.
#[derive(Clone, Debug)]
pub struct Piece<T> {
    /// The piece.
    pub value: T,
    /// How much it counts for those who miss it.
    pub count: u64,
    /// The memory that it takes.
    pub bytes: usize,
}

struct Held<T> {
    pieces: VecDeque<Piece<T>>,
    bytes: usize,
    /// Where the first of them stands, and where the next one will.
    start: Place,
    end: Place,
    is_closed: bool,
}

/// A place in all that was ever told: pieces before it, and what they count.
#[derive(Clone, Copy, Default)]
struct Place {
    pieces: u64,
    count: u64,
}

/// What a reader finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next<T> {
    /// The next piece.
    Piece(T),
    /// So much was let go before it was read.
    Missed(u64),
    /// Nothing more will come.
    Closed,
}

/// Goes through a window, from what came after it was made.
pub struct Reader<T> {
    shared: Arc<Shared<T>>,
    next: Place,
}

impl<T: Clone> Window<T> {
    /// One that holds so many pieces (at least 1), and so many bytes of them.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        let held = Held {
            pieces: VecDeque::new(),
            bytes: 0,
            start: Place::default(),
            end: Place::default(),
            is_closed: false,
        };
        Self(Arc::new(Owner(Arc::new(Shared {
            most: most.max(1),
            most_bytes,
            held: Mutex::new(held),
            arrived: Notify::new(),
            readers: AtomicUsize::new(0),
            given: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }))))
    }

    /// How many read.
    pub fn readers(&self) -> usize {
        self.0.0.readers.load(Ordering::Relaxed)
    }

    /// How it stands.
    pub fn totals(&self) -> Totals {
        let Shared { given, missed, .. } = &*self.0.0;
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Totals { readers: self.readers(), given: load(given), missed: load(missed) }
    }

    /// Tells pieces to all who read; never waits. Without readers nothing is kept.
    pub fn tell(&self, pieces: impl IntoIterator<Item = Piece<T>>) {
        if self.readers() == 0 {
            return;
        }
        let shared = &self.0.0;
        let mut held = shared.held();
        for piece in pieces {
            held.push(piece, shared.most, shared.most_bytes);
        }
        drop(held);
        shared.arrived.notify_waiters();
    }

    /// Another reader; `None` if there are so many.
    pub fn reader(&self, readers: usize) -> Option<Reader<T>> {
        let shared = &self.0.0;
        let held = shared.held();
        if self.readers() >= readers {
            return None;
        }
        shared.readers.fetch_add(1, Ordering::Relaxed);
        Some(Reader { shared: Arc::clone(shared), next: held.end })
    }
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        self.0.held().is_closed = true;
        self.0.arrived.notify_waiters();
    }
}

impl<T> Shared<T> {
    /// A panic of another reader leaves whole pieces: nothing to give up on.
    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn pass<T>(&mut self, piece: &Piece<T>) {
        self.pieces += 1;
        self.count += piece.count;
    }
}

impl<T> Held<T> {
    fn push(&mut self, piece: Piece<T>, most: usize, most_bytes: usize) {
        self.end.pass(&piece);
        self.bytes += piece.bytes;
        self.pieces.push_back(piece);
        while self.pieces.len() > 1 && (self.pieces.len() > most || self.bytes > most_bytes) {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        if let Some(piece) = self.pieces.pop_front() {
            self.start.pass(&piece);
            self.bytes -= piece.bytes;
        }
    }
}

impl<T: Clone> Held<T> {
    /// What stands at a place, which moves on; `None` if that is yet to come.
    fn next(&self, place: &mut Place) -> Option<Next<T>> {
        let Some(index) = place.pieces.checked_sub(self.start.pieces) else {
            let missed = self.start.count - place.count;
            *place = self.start;
            return Some(Next::Missed(missed));
        };
        match self.pieces.get(index as usize) {
            Some(piece) => {
                place.pass(piece);
                Some(Next::Piece(piece.value.clone()))
            }
            None => self.is_closed.then_some(Next::Closed),
        }
    }
}

impl<T: Clone> Reader<T> {
    /// Goes to the end: what waits is not read.
    pub fn skip(&mut self) {
        self.next = self.shared.held().end;
    }

    /// What is there already.
    pub fn try_next(&mut self) -> Option<Next<T>> {
        let before = self.next.count;
        let next = self.shared.held().next(&mut self.next)?;
        let total = match &next {
            Next::Piece(_) => &self.shared.given,
            Next::Missed(_) => &self.shared.missed,
            Next::Closed => return Some(next),
        };
        total.fetch_add(self.next.count - before, Ordering::Relaxed);
        Some(next)
    }

    /// What comes next. Cancel-safe: what was not returned comes again.
    pub async fn next(&mut self) -> Next<T> {
        let shared = Arc::clone(&self.shared);
        loop {
            // Listening before looking: what comes in between wakes it.
            let mut arrived = std::pin::pin!(shared.arrived.notified());
            arrived.as_mut().enable();
            if let Some(next) = self.try_next() {
                return next;
            }
            arrived.await;
        }
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        if self.shared.readers.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nobody is left to read them.
            while !held.pieces.is_empty() {
                held.let_go();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(value: u64, bytes: usize) -> Piece<u64> {
        Piece { value, count: value, bytes }
    }

    #[tokio::test]
    async fn who_reads_too_slowly_learns_what_it_missed() {
        let window = Window::new(2, 1_000);
        let mut slow = window.reader(2).unwrap();
        let mut fast = window.reader(2).unwrap();
        for value in 1..=4 {
            window.tell([piece(value, 1)]);
            assert_eq!(fast.next().await, Next::Piece(value));
        }
        assert_eq!(slow.next().await, Next::Missed(1 + 2));
        assert_eq!(slow.try_next(), Some(Next::Piece(3)));
        window.tell([piece(5, 1)]);
        assert_eq!(slow.next().await, Next::Piece(4));
        window.tell([piece(6, 1)]);
        slow.skip();
        assert_eq!(slow.try_next(), None);
        window.tell([piece(7, 1), piece(8, 1), piece(9, 1)]);
        assert_eq!(slow.next().await, Next::Missed(7));
        assert_eq!(slow.next().await, Next::Piece(8));
    }

    #[test]
    fn large_pieces_are_let_go_before_many_are_there() {
        let window = Window::new(1_000, 100);
        let mut slow = window.reader(1).unwrap();
        window.tell([piece(1, 40), piece(1, 40), piece(1, 40)]);
        assert_eq!(slow.try_next(), Some(Next::Missed(1)));
        // One that is larger than all is held by itself.
        window.tell([piece(7, 400)]);
        assert_eq!(window.0.0.held().pieces.len(), 1);
        assert_eq!(slow.try_next(), Some(Next::Missed(2)));
        assert_eq!(slow.try_next(), Some(Next::Piece(7)));
    }

    #[tokio::test]
    async fn seats_are_counted_and_all_is_let_go_without_readers() {
        let window = Window::new(9, 100);
        window.tell([piece(1, 1)]);
        let mut first = window.reader(1).unwrap();
        assert_eq!((first.try_next(), window.reader(1).is_none(), window.readers()), (None, true, 1));
        window.tell([piece(2, 1)]);
        drop(first);
        assert_eq!((window.readers(), window.0.0.held().bytes), (0, 0));
        let mut last = window.reader(1).unwrap();
        window.tell([piece(3, 1)]);
        let other = window.clone();
        drop(window);
        other.tell([piece(4, 1)]);
        drop(other);
        for wanted in [Next::Piece(3), Next::Piece(4), Next::Closed, Next::Closed] {
            assert_eq!(last.next().await, wanted);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_slept_through() {
        let window = Window::new(10_000, 1 << 20);
        let readers: Vec<_> = (0..4).map(|_| window.reader(4).unwrap()).collect();
        let tasks = readers.into_iter().map(|mut reader| {
            tokio::spawn(async move {
                for wanted in 0..2_000 {
                    assert_eq!(reader.next().await, Next::Piece(wanted));
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        for value in 0..2_000 {
            window.tell([piece(value, 1)]);
            if value % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for task in tasks {
            tokio::time::timeout(std::time::Duration::from_secs(20), task).await.unwrap().unwrap();
        }
    }
}
