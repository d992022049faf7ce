//! A disk that is too small, and a catalog that is full or held by somebody else.

use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;

use super::harness::{
    KEPT, Sender, check, directory, eventually, faulty, limits, nothing, numbers_of, open_on, tuning,
};
use crate::disk::RealDisk;
use crate::error::Error;
use crate::store::{Limits, Store, Tuning};

const DISK_BYTES: u64 = 512 << 10;

fn small() -> Limits {
    Limits { memtable_bytes: 32 << 10, max_age: None, ..limits() }
}

#[test]
fn a_store_that_fills_its_disk_gives_up_the_oldest_and_counts_it() {
    let directory = directory();
    let disk = faulty(directory.path());
    disk.limit(Some(DISK_BYTES));
    let (store, _) =
        open_on(Arc::new(disk.clone()), directory.path(), small(), tuning(Duration::from_secs(1))).unwrap();
    let mut sender = Sender::new(&store, true);
    let dropped = || store.disk_status().dropped_records;
    while dropped() < 2_000 {
        sender.append(KEPT, 200).unwrap();
        assert!(sender.taken[KEPT] < 200_000, "nothing is deleted: {:?}", store.disk_status());
    }
    let taken = sender.taken[KEPT];
    sender.flush().unwrap();
    drop(store);
    // Nothing is sealed or deleted while nothing happens.
    let idle = Tuning { idle: Duration::from_secs(60), ..tuning(Duration::from_secs(1)) };
    let (store, _) = open_on(Arc::new(disk), directory.path(), small(), idle).unwrap();
    let numbers = numbers_of(&store, KEPT);
    assert_eq!(numbers, (taken - numbers.len() as u64..taken).collect::<Vec<_>>(), "the newest, each once");
    let status = store.disk_status();
    assert_eq!(status.dropped_records, taken - numbers.len() as u64, "what is not there is counted");
    assert!(status.dropped_bytes > 1_000 && status.trouble.is_none(), "{status:?}");
    assert_eq!(store.stats().unwrap().disk, status);
}

#[test]
fn a_disk_that_others_fill_costs_nothing_but_time() {
    let directory = directory();
    let disk = faulty(directory.path());
    let (store, _) =
        open_on(Arc::new(disk.clone()), directory.path(), limits(), tuning(Duration::from_secs(1))).unwrap();
    let mut sender = Sender::new(&store, true);
    sender.append(KEPT, 100).unwrap();
    sender.flush().unwrap();
    sender.append(KEPT, 100).unwrap();
    disk.limit(Some(DISK_BYTES));
    let ballast = directory.path().join("segments/ballast");
    fs::write(&ballast, vec![0; DISK_BYTES as usize]).unwrap();
    sender.patient = false;
    let refused = sender.append(KEPT, 100).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Full { .. }) && refused.is_retriable(), "{refused:?}");
    let trouble = store.disk_status().trouble.unwrap();
    assert!(trouble.full && trouble.needed_bytes > 0, "{trouble:?}");
    let text = refused.to_string();
    assert!(text.contains(&format!("{} bytes are needed", trouble.needed_bytes)), "{text}");
    assert!(store.flush().unwrap_err().is_full(), "a flush does not wait for space");
    assert_eq!(numbers_of(&store, KEPT), (0..200).collect::<Vec<_>>(), "questions are answered");
    fs::remove_file(ballast).unwrap();
    disk.limit(None);
    sender.patient = true;
    sender.append(KEPT, 100).unwrap();
    sender.flush().unwrap();
    assert_eq!(store.disk_status(), Default::default());
    let taken = sender.taken;
    drop(store);
    check(directory.path(), &nothing().into_iter().chain(taken).collect(), true, "space came back");
}

/// A store with records in memory, whose catalog is about to refuse.
fn unsealed(directory: &std::path::Path) -> Store {
    let (store, _) =
        open_on(Arc::new(RealDisk), directory, limits(), tuning(Duration::from_secs(1))).unwrap();
    store.shared.catalog().connection.busy_timeout(Duration::from_millis(5)).unwrap();
    store
}

#[test]
fn a_full_catalog_is_waited_for() {
    let directory = directory();
    let store = unsealed(directory.path());
    let mut sender = Sender::new(&store, true);
    sender.append(KEPT, 50).unwrap();
    let pages = |count: i64| {
        let catalog = store.shared.catalog();
        let statement = format!("PRAGMA max_page_count = {count}");
        catalog.connection.query_row(&statement, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    // Long states need pages of their own.
    store
        .shared
        .catalog()
        .connection
        .execute_batch(
            "CREATE TRIGGER fat AFTER INSERT ON segments
             BEGIN INSERT OR REPLACE INTO state VALUES (hex(zeroblob(20000)), 1); END",
        )
        .unwrap();
    let now = pages(1);
    let refused = store.flush().unwrap_err();
    assert!(refused.is_full(), "{refused:?}");
    assert_eq!(numbers_of(&store, KEPT), (0..50).collect::<Vec<_>>());
    pages(now + 1_000);
    sender.flush().unwrap();
    store.shared.catalog().connection.execute_batch("DROP TRIGGER fat").unwrap();
    drop(store);
    check(directory.path(), &nothing().into_iter().chain([(KEPT, 50)]).collect(), true, "a full catalog");
}

#[test]
fn a_catalog_that_somebody_holds_is_waited_for() {
    let directory = directory();
    let store = unsealed(directory.path());
    let mut sender = Sender::new(&store, true);
    sender.append(KEPT, 50).unwrap();
    let holder = rusqlite::Connection::open(directory.path().join("taffrail.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.flush().unwrap_err();
    assert!(refused.is_retriable() && refused.to_string().contains("locked"), "{refused}");
    let trouble = store.disk_status().trouble.unwrap();
    assert!(!trouble.full && trouble.cause.contains("locked"), "{trouble:?}");
    sender.append(KEPT, 50).unwrap();
    assert_eq!(numbers_of(&store, KEPT), (0..100).collect::<Vec<_>>());
    holder.execute_batch("ROLLBACK").unwrap();
    sender.flush().unwrap();
    eventually("the end of the trouble", || store.disk_status().trouble.is_none());
    drop(store);
    check(directory.path(), &nothing().into_iter().chain([(KEPT, 100)]).collect(), true, "a held catalog");
}
