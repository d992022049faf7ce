//! Many clients that all lose their connection at once, and all come back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::{events_after, port, table};
use crate::program::{Site, eventually};

const CLIENTS: usize = 500;
const ROUNDS: usize = 20;
/// Entries that a client sees before it is thrown out again.
const SEEN: usize = 25;

#[test]
fn who_is_thrown_out_again_and_again_misses_nothing_and_sees_nothing_twice() {
    let site = Site::new();
    let http = port();
    // Less than comes while they are away, now and then: some come back to the store.
    let server = format!("httpserver = {{ enabled = true, port = {http}, buffer_size = 20 }}");
    let daemon = site.daemon_with(&table(&site, "app", &server));
    let (arrived, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    site.append("logs/a.log", "");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                site.append("logs/a.log", format!("line {number}\n"));
                number += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let client = || {
            let (mut last, mut next) = ("0-0-0".to_owned(), 0);
            for round in 1..=ROUNDS {
                arrived.fetch_add(1, Ordering::Relaxed);
                eventually("all thrown out", || arrived.load(Ordering::Relaxed) >= round * CLIENTS);
                for (id, message) in events_after(http, &last).take(SEEN) {
                    assert_eq!(message, format!("line {next}"));
                    (last, next) = (id, next + 1);
                }
            }
            assert_eq!(next, ROUNDS * SEEN);
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let ended: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    daemon.stop().unwrap();
}
