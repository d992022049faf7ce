//! Every operation on the disk fails once, for a while, for ever, or is the last before a power cut: the promises
//! hold. A disk that works again needs no restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;

use super::harness::{
    KEPT, OLD, Sender, check, directory, eventually, faulty, limits, nothing, open_on, tuning,
};
use crate::disk::RealDisk;
use crate::disk::faulty::{Fault, FaultyDisk, Loss, Plan};
use crate::error::Result;
use crate::segment::index_path;
use crate::store::Store;

/// How an operation fails, and what comes after it.
#[derive(Clone, Copy, Debug)]
struct Case {
    fault: Fault,
    /// Operations that fail.
    count: u64,
    /// What the end of the process is, too.
    cut: Option<Loss>,
}

impl Case {
    /// The disk works again, and whoever sends tries again.
    const fn passing(fault: Fault, count: u64) -> Self {
        Self { fault, count, cut: None }
    }

    /// The process dies, or power is cut.
    const fn last(cut: Option<Loss>) -> Self {
        Self { fault: Fault::Torn, count: u64::MAX, cut }
    }

    fn passes(&self) -> bool {
        self.count < u64::MAX
    }
}

/// Appends, receipts, seals, a merge, retention and an import.
fn work(sender: &mut Sender<'_>, disk: &FaultyDisk) -> Result<()> {
    for round in 0..3 {
        sender.append(KEPT, 20)?;
        sender.push(KEPT, 5)?;
        if round == 1 {
            sender.flush()?;
            sender.append(OLD, 5)?;
        }
        sender.flush()?;
    }
    eventually("the merge", || {
        let given_up = !sender.patient && !disk.failed().is_empty();
        given_up || sender.store.snapshot().unwrap().segments.len() < tuning(Duration::ZERO).merge_min
    });
    sender.import(30)?;
    sender.append(OLD, 5)?;
    sender.push(KEPT, 5)?;
    sender.append(KEPT, 5)?;
    Ok(())
}

/// Runs the work on a disk that fails as planned; gives the operations it took.
fn run(case: Case, from: u64) -> u64 {
    let directory = directory();
    let disk = faulty(directory.path());
    disk.plan(Some(Plan { from, count: case.count, fault: case.fault }));
    let patience = if case.passes() { Duration::from_secs(20) } else { Duration::from_millis(5) };
    let want = match open_on(Arc::new(disk.clone()), directory.path(), limits(), tuning(patience)) {
        Ok((store, _)) => {
            let mut sender = Sender::new(&store, case.passes());
            let done = work(&mut sender, &disk);
            assert!(!case.passes() || done.is_ok(), "{case:?} from {from} on: {done:?} {:?}", disk.failed());
            if case.cut.is_some() { sender.durable } else { sender.taken }
        }
        Err(error) => {
            assert!(!disk.failed().is_empty(), "{error}");
            BTreeMap::new()
        }
    };
    let count = disk.count();
    let context = format!("{case:?} from {from} on: {:?}", disk.failed().iter().take(3).collect::<Vec<_>>());
    if let Some(loss) = case.cut {
        disk.cut_power(loss);
    }
    let want: BTreeMap<_, _> = nothing().into_iter().chain(want).collect();
    // Sending what is missing takes as long as all the rest.
    let goes_on = from.is_multiple_of(3);
    check(directory.path(), &want, goes_on, &context);
    count
}

/// Lets every operation of the work fail; where several do, most of them more than once.
fn everywhere(case: Case) {
    let whole = run(Case { count: 0, ..case }, 0);
    assert!(whole > 20, "only {whole} operations are counted");
    let step = if case.passes() { case.count.div_ceil(4) } else { 1 };
    for from in (1..=whole).step_by(step as usize) {
        run(case, from);
    }
    println!("{case:?}: {whole} operations");
}

#[test]
fn a_torn_write_is_survived_without_a_restart() {
    everywhere(Case::passing(Fault::Torn, 2));
}

#[test]
fn a_disk_that_fails_for_a_while_is_survived_without_a_restart() {
    everywhere(Case::passing(Fault::Torn, 9));
}

#[test]
fn a_disk_that_is_full_for_a_moment_is_survived_without_a_restart() {
    everywhere(Case::passing(Fault::Full, 1));
}

#[test]
fn a_disk_that_is_full_for_a_while_is_survived_without_a_restart() {
    everywhere(Case::passing(Fault::Full, 12));
}

#[test]
fn a_process_that_dies_at_any_operation_loses_nothing_it_took() {
    everywhere(Case::last(None));
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_waited_for() {
    everywhere(Case::last(Some(Loss::All)));
}

#[test]
fn a_power_cut_that_leaves_halves_loses_nothing_that_was_waited_for() {
    everywhere(Case::last(Some(Loss::Half)));
}

#[test]
fn a_failure_is_survived_without_a_restart_and_a_power_cut_later_loses_nothing_waited_for() {
    everywhere(Case { cut: Some(Loss::All), ..Case::passing(Fault::Io, 1) });
}

/// A store with two segments, one without its index, a segment that was never committed, and a log that ends in
/// half a frame.
fn battered(directory: &Path) -> BTreeMap<&'static str, u64> {
    let (store, _) = open_on(Arc::new(RealDisk), directory, limits(), tuning(Duration::ZERO)).unwrap();
    let mut sender = Sender::new(&store, true);
    sender.append(KEPT, 20).unwrap();
    sender.flush().unwrap();
    sender.import(20).unwrap();
    sender.append(KEPT, 10).unwrap();
    sender.append(OLD, 10).unwrap();
    let taken = sender.taken;
    drop(store);
    let segments = directory.join("segments");
    fs::remove_file(index_path(&segments, 1)).unwrap();
    fs::write(segments.join("000000000077.parquet"), "half").unwrap();
    let log = fs::read_dir(directory.join("wal")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend_from_slice(&[200, 0, 0, 0, 1, 2, 3, 4, 5]);
    fs::write(&log, bytes).unwrap();
    taken
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_start_that_fails_at_any_operation_loses_nothing() {
    let original = directory();
    let taken = battered(original.path());
    let want: BTreeMap<_, _> = nothing().into_iter().chain(taken).collect();
    for case in [
        Case::passing(Fault::Io, 1),
        Case::passing(Fault::Torn, 3),
        Case::passing(Fault::Full, 1),
        Case::last(None),
        Case::last(Some(Loss::All)),
        Case::last(Some(Loss::Half)),
    ] {
        let mut whole = 1;
        let mut from = 0;
        while from <= whole {
            let directory = directory();
            copy(original.path(), directory.path());
            let disk = faulty(directory.path());
            disk.plan(Some(Plan { from, count: if from == 0 { 0 } else { case.count }, fault: case.fault }));
            let tuning = tuning(Duration::from_millis(5));
            // It may refuse to start: the disk fails. What it finds later is what counts.
            let opened = open_on(Arc::new(disk.clone()), directory.path(), limits(), tuning);
            assert!(opened.is_ok() || !disk.failed().is_empty());
            drop(opened.map(|(store, _): (Store, _)| store));
            if from == 0 {
                whole = disk.count();
            }
            if let Some(loss) = case.cut {
                disk.cut_power(loss);
            }
            let context = format!("{case:?} from {from} on: {:?}", disk.failed());
            // The lost index is told of, once.
            drop(open_on(Arc::new(RealDisk), directory.path(), limits(), tuning).unwrap());
            check(directory.path(), &want, from.is_multiple_of(4), &context);
            from += 1;
        }
        assert!(whole > 3, "only {whole} operations are counted");
    }
}
