//! Real named pipes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;
use taffrail_record::RawBatch;
use taffrail_testkit::wait_until;

use super::*;
use crate::Stopped;

const PATIENCE: Duration = Duration::from_secs(20);

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A pipe, and what it hands over: at most two batches wait.
fn start(path: &Path, limits: Limits) -> (SourceThread, Receiver<RawBatch>) {
    let (sender, batches) = sync_channel(2);
    let sink = move |batch: RawBatch| sender.send(batch).map_err(|_| Stopped);
    let config = PipeConfig { place: PipePlace::Fifo(path.to_owned()), limits };
    let from = Checkpoint { offset: 100, lines: 7, state: String::new() };
    (read_pipe(config, Some(&from), Box::new(sink), || Timestamp(5)).unwrap(), batches)
}

fn writer(path: &Path) -> File {
    fs::OpenOptions::new().write(true).open(path).unwrap().into_parts().0
}

/// The next `count` lines.
#[track_caller]
fn lines(batches: &Receiver<RawBatch>, count: usize) -> Vec<(String, u64, bool)> {
    let mut lines = Vec::new();
    while lines.len() < count {
        let batch = batches.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}: {lines:?}"));
        lines.extend(batch.lines.iter().map(|line| {
            let text = String::from_utf8_lossy(line.span.of(&batch.bytes)).into_owned();
            (text, line.offset, line.newline)
        }));
    }
    lines
}

fn whole(text: &str, offset: u64) -> (String, u64, bool) {
    (text.to_owned(), offset, true)
}

#[test]
fn writers_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    let (pipe, batches) = start(&path, Limits::default());
    assert!(wait_until(PATIENCE, || pipe.status().state == SourceState::Missing));
    make_fifo(&path);
    let mut first = writer(&path);
    first.write_all(b"one\ntwo\nhalf ").unwrap();
    assert_eq!(lines(&batches, 2), [whole("one", 100), whole("two", 104)]);
    first.write_all(b"a line\n").unwrap();
    assert_eq!(lines(&batches, 1), [whole("half a line", 108)]);
    // A line that its writer leaves unfinished is handed over as it is.
    first.write_all(b"rest").unwrap();
    drop(first);
    assert_eq!(lines(&batches, 1), [("rest".to_owned(), 120, false)]);
    for number in 0..20u64 {
        writer(&path).write_all(format!("{number:03}\n").as_bytes()).unwrap();
    }
    let want: Vec<_> = (0..20u64).map(|number| whole(&format!("{number:03}"), 124 + number * 4)).collect();
    assert_eq!(lines(&batches, 20), want);
    assert!(wait_until(PATIENCE, || pipe.status().offset == 204));
    let status = pipe.status();
    assert_eq!((status.state, status.lines), (SourceState::Following, 31));
    assert_eq!(status.source, path.display().to_string());
}

#[test]
fn a_stopped_source_takes_what_stands_in_the_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    make_fifo(&path);
    let (pipe, batches) = start(&path, Limits::default());
    let mut writer = writer(&path);
    writer.write_all(b"one\n").unwrap();
    assert_eq!(lines(&batches, 1).len(), 1);
    writer.write_all(b"two\nunfinished").unwrap();
    pipe.stop();
    assert_eq!(lines(&batches, 2), [whole("two", 104), ("unfinished".to_owned(), 108, false)]);
}

#[test]
fn the_writer_waits_while_the_store_is_behind_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    make_fifo(&path);
    let (pipe, batches) = start(&path, Limits::default());
    assert!(wait_until(PATIENCE, || pipe.status().state == SourceState::Following));
    let mut writer = fs::OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&path)
        .unwrap();
    let mut sent = Vec::new();
    let mut quiet = 0;
    // Nobody takes the batches: after a while no byte fits any more.
    while quiet < 50 {
        let line = format!("line {}\n", sent.len());
        match writer.write(line.as_bytes()) {
            Ok(_) => {
                sent.push(line);
                quiet = 0;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                quiet += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let bytes: usize = sent.iter().map(String::len).sum();
    assert!(bytes < 1 << 20, "{bytes} bytes were taken though nobody stored them");
    drop(writer);
    let got = lines(&batches, sent.len());
    assert!(
        got.iter().zip(&sent).all(|((text, _, newline), sent)| format!("{text}\n") == **sent && *newline)
    );
    assert_eq!(got.len(), sent.len());
    pipe.stop();
}

#[test]
fn a_line_without_end_needs_bounded_memory_and_a_late_line_is_not_held_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    make_fifo(&path);
    let limits = Limits {
        max_line_bytes: 1000,
        partial_line_timeout: Some(Duration::from_millis(50)),
        ..Limits::default()
    };
    let (pipe, batches) = start(&path, limits);
    let mut writer = writer(&path);
    writer.write_all(&[b'x'; 300_000]).unwrap();
    writer.write_all(b"\nafter\nlate").unwrap();
    let got = lines(&batches, 3);
    assert_eq!((got[0].0.len(), got[0].2), (1000, false));
    assert_eq!(got[1], whole("after", 300_101));
    assert_eq!(got[2], ("late".to_owned(), 300_107, false));
    drop(pipe);
}

#[test]
fn another_pipe_at_the_same_path_is_read_and_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    fs::write(&path, "a file\n").unwrap();
    let (pipe, batches) = start(&path, Limits::default());
    assert!(wait_until(PATIENCE, || matches!(pipe.status().state, SourceState::Refused(_))));
    fs::remove_file(&path).unwrap();
    make_fifo(&path);
    let mut old = writer(&path);
    old.write_all(b"old\n").unwrap();
    assert_eq!(lines(&batches, 1), [whole("old", 100)]);
    fs::remove_file(&path).unwrap();
    make_fifo(&path);
    drop(old);
    writer(&path).write_all(b"new\n").unwrap();
    assert_eq!(lines(&batches, 1), [whole("new", 104)]);
}
