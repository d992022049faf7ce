//! Every way a file can change, without threads.

mod late;
mod model;
mod multiline;
mod rotation;
mod signs;
mod start;

use std::io::Write as _;

use fs_err::os::unix::fs::symlink;
use taffrail_record::GapReason;
use tempfile::TempDir;

use super::*;

/// A tail in a directory of its own, and everything it handed over.
struct Bench {
    dir: TempDir,
    path: PathBuf,
    limits: Limits,
    tail: Tail,
    now: Now,
    out: Vec<u8>,
    texts: Vec<String>,
    gaps: Vec<(u64, u64, GapReason)>,
    saved: Option<Checkpoint>,
    /// Whether offsets may pass over bytes that are neither lines nor gaps.
    holes: bool,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits { rotation_grace: Duration::ZERO, ..Limits::default() })
    }

    fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let tail = Tail::new(path.clone(), None, StartAt::Beginning, limits.clone());
        let now = Now { observed: Timestamp(1), uptime: Duration::ZERO };
        Self {
            dir,
            path,
            limits,
            tail,
            now,
            out: vec![],
            texts: vec![],
            gaps: vec![],
            saved: None,
            holes: false,
        }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, text: &str) {
        append(&self.path, text.as_bytes());
    }

    /// One batch; checks that lines and gaps continue the stream without hole or overlap.
    fn step(&mut self) -> bool {
        let batch = match self.tail.read(self.now) {
            Err(error) if error.to_string().contains("failed on purpose") => return true,
            result => result.unwrap(),
        };
        let Some(batch) = batch else { return false };
        let mut pieces: Vec<(u64, u64)> = batch.gaps.iter().map(|gap| (gap.start, gap.end)).collect();
        for line in &batch.lines {
            let text = line.span.of(&batch.bytes);
            pieces.push((line.offset, line.offset + text.len() as u64 + u64::from(line.newline)));
            self.out.extend_from_slice(text);
            self.out.extend(line.newline.then_some(b'\n'));
            let end = if line.newline { "" } else { "…" };
            self.texts.push(format!("{}{end}", String::from_utf8_lossy(text)));
        }
        pieces.sort_unstable();
        let mut at =
            self.saved.as_ref().map_or(pieces.first().map_or(0, |piece| piece.0), |saved| saved.offset);
        for (start, end) in pieces {
            // A skipped line's gap is reported at its end and reaches back over saved offsets.
            let in_order = start == at || start < at && end >= at || start > at && self.holes;
            assert!(in_order, "hole or overlap at {at}: {start}..{end}");
            at = end;
        }
        assert!(at <= batch.checkpoint.offset);
        self.gaps.extend(batch.gaps.iter().map(|gap| (gap.start, gap.end, gap.reason)));
        self.saved = Some(batch.checkpoint);
        true
    }

    fn drain(&mut self) {
        while self.step() {}
    }

    fn wait(&mut self, time: Duration) {
        self.now.uptime += time;
    }

    fn restart(&mut self) {
        self.tail =
            Tail::new(self.path.clone(), self.saved.as_ref(), StartAt::Beginning, self.limits.clone());
    }

    /// Texts since the last call; `…` marks a line without newline.
    fn lines(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.texts)
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_nanos() as i64)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn growth_and_unfinished_lines() {
    let mut bench = Bench::new();
    assert_eq!((bench.lines(), &bench.tail.status().state), (vec![], &SourceState::Missing));
    for (text, expected) in [
        ("", &[][..]),
        ("one\ntwo\n", &["one", "two"]),
        ("par", &[]),
        ("tial", &[]),
        ("\nnext", &["partial"]),
        ("\r\n\n", &["next\r", ""]),
        ("nul\0 and \u{fffd}\n", &["nul\0 and \u{fffd}"]),
    ] {
        bench.append(text);
        assert_eq!(bench.lines(), expected, "{text:?}");
    }
    let saved = bench.saved.clone().unwrap();
    assert_eq!((saved.offset, saved.lines), (fs::metadata(&bench.path).unwrap().len(), 6));
    let status = bench.tail.status();
    assert_eq!((status.state, status.lag_bytes, status.lines), (SourceState::Following, 0, 6));
}

#[test]
fn an_overdue_unfinished_line_is_handed_over() {
    let timeout = Duration::from_secs(5);
    let mut bench = Bench::with(Limits { partial_line_timeout: Some(timeout), ..Limits::default() });
    bench.append("a\nprompt: ");
    assert_eq!(bench.lines(), ["a"]);
    bench.wait(timeout);
    assert_eq!(bench.lines(), ["prompt: …"]);
    bench.append("yes\n");
    assert_eq!(bench.lines(), ["yes"]);
    bench.restart();
    assert_eq!(bench.lines(), [""; 0]);
    assert_eq!(bench.out, b"a\nprompt: yes\n");
}

#[test]
fn oversize_lines_keep_their_beginning() {
    let limits =
        Limits { max_line_bytes: 10, batch_bytes: 7, rotation_grace: Duration::ZERO, ..Limits::default() };
    let mut bench = Bench::with(limits);
    bench.append("0123456789\n0123456789ABCDEF");
    assert_eq!(bench.lines(), ["0123456789", "0123456789…"]);
    assert_eq!(bench.gaps, [], "it may go on");
    bench.restart();
    bench.append("more");
    assert_eq!(bench.lines(), [""; 0]);
    bench.restart();
    bench.append("\nnext\n0123456789 again");
    assert_eq!(bench.lines(), ["next", "0123456789…"]);
    assert_eq!(bench.gaps, [(21, 32, GapReason::Oversize)]);
    fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
    bench.append("new\n");
    assert_eq!(bench.lines(), ["new"]);
    assert_eq!(bench.gaps[1], (47, 53, GapReason::Oversize));
}

#[test]
fn a_huge_line_needs_bounded_memory() {
    let mut bench = Bench::with(Limits { max_line_bytes: 1000, batch_bytes: 4096, ..Limits::default() });
    append(&bench.path, &vec![b'y'; 8 << 20]);
    append(&bench.path, b"\nnext\n");
    append(&bench.path, "x".repeat(300_000).as_bytes());
    let mut batches = 0;
    while let Some(batch) = bench.tail.read(bench.now).unwrap() {
        assert!(batch.bytes.capacity() < 3 * 4096, "{}", batch.bytes.capacity());
        bench.gaps.extend(batch.gaps.iter().map(|gap| (gap.start, gap.end, gap.reason)));
        batches += 1;
    }
    assert_eq!(bench.gaps, [(1000, (8 << 20) + 1, GapReason::Oversize)]);
    assert!((5..100).contains(&batches), "{batches} batches");
}

#[test]
fn holes_are_no_lines() {
    // A writer that does not append goes on at its old place after the file was truncated.
    let mut bench = Bench { holes: true, ..Bench::new() };
    bench.append("1\n");
    assert_eq!(bench.lines(), ["1"]);
    let file = fs::OpenOptions::new().write(true).open(&bench.path).unwrap();
    file.set_len(0).unwrap();
    assert_eq!(bench.lines(), [""; 0]);
    for (hole, text) in [(5_000, "2\n"), (100 << 30, "3\n4"), (0, "\n")] {
        let size = file.metadata().unwrap().len();
        file.set_len(size + hole).unwrap();
        if size == 0 {
            assert_eq!(bench.lines(), [""; 0], "nobody has written yet");
            bench.restart();
        }
        bench.append(text);
    }
    let mut seen = bench.lines();
    bench.restart();
    bench.append("5\n");
    seen.extend(bench.lines());
    assert_eq!(seen, ["2", "3", "4", "5"]);
    assert_eq!(bench.gaps, []);
}

#[test]
fn a_new_file_that_begins_with_a_hole_is_text() {
    let mut bench = Bench::new();
    fs::File::create(&bench.path).unwrap().set_len(1 << 20).unwrap();
    assert_eq!(bench.lines(), [""; 0]);
    assert!(matches!(bench.tail.status().state, SourceState::Refused(_)), "nothing but zeros");
    bench.append("text\n");
    assert_eq!(bench.lines(), ["text"]);
}

#[test]
fn quiet_files_cost_no_descriptor() {
    let mut bench = Bench::new();
    bench.append("1\nunfin");
    assert_eq!(bench.lines(), ["1"]);
    assert!(bench.tail.park() && !bench.tail.is_open());
    bench.append("ished\n2\n");
    assert_eq!(bench.lines(), ["unfinished", "2"]);
    assert!(bench.tail.park());
    // Rotated while parked, and its successor is empty: found again wherever it went.
    fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
    bench.append("");
    assert_eq!(bench.lines(), [""; 0]);
    assert!(bench.tail.park() && bench.tail.look_again(bench.now).is_some());
    append(&bench.beside("x.log.1"), b"3\n");
    bench.append("4\n");
    assert_eq!(bench.lines(), ["3", "4"]);
}

#[test]
fn status_tells_what_waits_and_since_when() {
    let mut bench = Bench::with(Limits { batch_bytes: 12, ..Limits::default() });
    bench.append("line one\nline two\nunfinished");
    bench.now.observed = Timestamp(5);
    assert!(bench.step());
    let status = bench.tail.status();
    assert_eq!((status.offset, status.position, status.size), (9, 9, 28));
    assert!(status.lag_bytes > status.held_bytes, "{status:?}");
    assert_eq!(status.behind_since, Some(Timestamp(5)));
    bench.now.observed = Timestamp(6);
    bench.drain();
    let status = bench.tail.status();
    assert_eq!((status.offset, status.lag_bytes, status.held_bytes), (18, 10, 10));
    assert_eq!(status.behind_since, None, "an unfinished line is no lag");
    assert!(bench.tail.park());
    assert_eq!(bench.tail.status().held_bytes, 10);
    let stopped = crate::StoppedAt::of(bench.saved.as_ref().unwrap()).unwrap();
    assert_eq!((Some(stopped.identity), stopped.position, stopped.size), (status.identity, 18, 28));
}

#[test]
fn what_cannot_be_followed_says_so_and_comes_back() {
    let mut bench = Bench::new();
    fs::create_dir(&bench.path).unwrap();
    bench.drain();
    assert!(
        matches!(&bench.tail.status().state, SourceState::Refused(reason) if reason.contains("directory"))
    );
    fs::remove_dir(&bench.path).unwrap();
    fs::write(&bench.path, [0u8; 400]).unwrap();
    bench.drain();
    assert!(matches!(&bench.tail.status().state, SourceState::Refused(reason) if reason.contains("binary")));
    fs::write(&bench.path, "text\n").unwrap();
    assert_eq!(bench.lines(), ["text"]);
    assert_eq!(bench.tail.status().state, SourceState::Following);
    symlink("x.log", bench.beside("loop")).unwrap();
    fs::remove_file(&bench.path).unwrap();
    symlink("loop", &bench.path).unwrap();
    bench.drain();
    assert!(matches!(&bench.tail.status().state, SourceState::Failed(text) if text.contains("x.log")));
}
