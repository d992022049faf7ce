//! Every way a file can change, without threads.

mod model;

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
        let tail = Tail::new(path.clone(), None, StartAt::Beginning, limits);
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
        self.tail = Tail::new(self.path.clone(), self.saved.as_ref(), StartAt::Beginning, self.limits);
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
fn rename_and_create_reads_the_old_file_first() {
    let mut bench = Bench::new();
    bench.append("1\n2\n");
    assert_eq!(bench.lines(), ["1", "2"]);
    bench.append("3\nunfinished");
    fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
    bench.append("5\n");
    append(&bench.beside("x.log.1"), b" 4\n6");
    assert_eq!(bench.lines(), ["3", "unfinished 4", "6…", "5"]);
    assert_eq!((bench.tail.status().rotations, bench.gaps.len()), (1, 0));
    bench.restart();
    bench.append("7\n");
    assert_eq!(bench.lines(), ["7"]);
}

#[test]
fn a_replaced_file_is_read_until_it_is_quiet_and_its_successor_has_content() {
    let grace = Duration::from_millis(500);
    let mut bench = Bench::with(Limits { rotation_grace: grace, ..Limits::default() });
    bench.append("1\n");
    assert_eq!(bench.lines(), ["1"]);
    let old = bench.beside("x.log.1");
    fs::rename(&bench.path, &old).unwrap();
    bench.append("");
    bench.wait(grace * 4);
    append(&old, b"2\n");
    assert_eq!(bench.lines(), ["2"], "the writer does not know yet");
    bench.append("4\n");
    assert_eq!(bench.lines(), [""; 0]);
    append(&old, b"3\n");
    bench.wait(grace / 2);
    assert_eq!(bench.lines(), ["3"], "a second worker");
    assert!(bench.tail.look_again(bench.now).is_some_and(|wait| wait <= grace));
    bench.wait(grace);
    assert_eq!(bench.lines(), ["4"]);
    assert_eq!(bench.tail.look_again(bench.now), None);
}

#[test]
fn many_rotations_while_nobody_looks() {
    let mut bench = Bench::with(Limits { batch_bytes: 8, ..Limits::default() });
    bench.append("0a\n0b\n0c\n0d\n");
    assert!(bench.step());
    for round in 1..=3 {
        for n in (1..round).rev() {
            fs::rename(bench.beside(&format!("x.log.{n}")), bench.beside(&format!("x.log.{}", n + 1)))
                .unwrap();
        }
        fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
        bench.append(&format!("{round}a\n{round}b\n"));
    }
    bench.lines();
    bench.wait(Duration::from_secs(1));
    bench.lines();
    assert_eq!(bench.out, b"0a\n0b\n0c\n0d\n1a\n1b\n2a\n2b\n3a\n3b\n");
}

#[test]
fn truncation_loses_only_what_was_not_read() {
    let mut bench = Bench::with(Limits { batch_bytes: 12, ..Limits::default() });
    bench.append("first one\nsecond one\nthird one\n");
    assert!(bench.step());
    assert_eq!(bench.texts, ["first one"]);
    fs::write(&bench.path, "").unwrap();
    bench.append("after\n");
    // 12 bytes were read: the line in the making is handed over, the 19 bytes behind it are lost.
    assert_eq!(bench.lines(), ["first one", "se…", "after"]);
    assert_eq!(bench.gaps, [(12, 31, GapReason::TruncatedBeforeRead)]);
    assert_eq!(bench.saved.as_ref().unwrap().offset, 37);
    bench.restart();
    assert_eq!(bench.lines(), [""; 0]);
}

#[test]
fn content_written_anew_is_noticed_at_any_size() {
    for new in ["x\n", "one 1\ntwo!\n", "something that is longer than before\nby far\n"] {
        let mut bench = Bench::new();
        bench.append("one 1\ntwo 2\n");
        assert_eq!(bench.lines(), ["one 1", "two 2"]);
        fs::write(&bench.path, new).unwrap();
        let expected: Vec<&str> = new.lines().collect();
        assert_eq!(bench.lines(), expected);
        assert_eq!(bench.gaps, []);
        // The same while it is not open.
        assert!(bench.tail.park() && !bench.tail.is_open());
        fs::write(&bench.path, format!("{new}{new}anew").replace('o', "0")).unwrap();
        bench.drain();
        bench.restart();
        fs::write(&bench.path, "zero\n").unwrap();
        assert_eq!(bench.lines().last().unwrap(), "zero");
    }
}

#[test]
fn delete_and_create() {
    let mut bench = Bench::new();
    bench.append("1\n");
    assert_eq!(bench.lines(), ["1"]);
    bench.append("2\n3");
    fs::remove_file(&bench.path).unwrap();
    assert_eq!(bench.lines(), ["2"], "the open file is read to its end");
    assert_eq!(bench.tail.status().state, SourceState::Missing);
    bench.append("4\n");
    assert_eq!(bench.lines(), ["3…", "4"]);
    assert_eq!(bench.tail.status().state, SourceState::Following);
}

#[test]
fn a_deleted_file_is_held_for_a_bounded_time() {
    let mut bench = Bench::new();
    bench.append("1\n2");
    assert_eq!(bench.lines(), ["1"]);
    fs::remove_file(&bench.path).unwrap();
    assert_eq!(bench.lines(), [""; 0]);
    assert!(!bench.tail.park() && bench.tail.is_open());
    bench.wait(DELETED_HOLD);
    assert_eq!(bench.lines(), ["2…"]);
    assert!(!bench.tail.is_open());
    bench.restart();
    bench.append("3\n");
    assert_eq!((bench.lines(), bench.saved.as_ref().unwrap().offset), (vec!["3".to_owned()], 5));
}

#[test]
fn restart_in_the_middle_of_a_file() {
    let mut bench = Bench::with(Limits { batch_bytes: 8, ..Limits::default() });
    bench.append("aaaa\nbbbb\ncccc\n");
    assert!(bench.step());
    assert_eq!(bench.texts, ["aaaa"]);
    bench.restart();
    assert_eq!(bench.lines(), ["aaaa", "bbbb", "cccc"]);
    assert_eq!(bench.out, b"aaaa\nbbbb\ncccc\n");
}

#[test]
fn rotation_while_stopped() {
    for (name, gone) in
        [("x.log.1", false), ("x.log-20261120", false), ("elsewhere", false), ("x.log.1", true)]
    {
        let mut bench = Bench::new();
        bench.append("1\n2\n");
        assert_eq!(bench.lines(), ["1", "2"]);
        bench.append("3\n4");
        let old = bench.beside(name);
        fs::rename(&bench.path, &old).unwrap();
        if gone {
            fs::rename(&old, tempfile::tempdir().unwrap().keep().join("gone")).unwrap();
        }
        bench.append("5\n");
        bench.restart();
        let expected: &[&str] = if gone { &["5"] } else { &["3", "4…", "5"] };
        assert_eq!(bench.lines(), expected, "{name} {gone}");
        assert_eq!(bench.saved.as_ref().unwrap().lines, 2 + expected.len() as u64);
    }
}

#[test]
fn several_rotations_while_stopped() {
    let mut bench = Bench::new();
    bench.append(&"long\n".repeat(100));
    assert_eq!(bench.lines().len(), 100);
    bench.append("2\n");
    fs::rename(&bench.path, bench.beside("x.log.2")).unwrap();
    bench.append("3\n");
    fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
    fs::copy(bench.beside("x.log.2"), bench.beside("x.log.9")).unwrap();
    append(&bench.beside("x.log.err"), b"no rotation\n");
    bench.append("4\n");
    bench.restart();
    assert_eq!(bench.lines(), ["2", "3", "4"]);
}

#[test]
fn truncation_while_stopped_is_a_gap_of_what_was_known() {
    let mut bench = Bench::with(Limits { batch_bytes: 8, ..Limits::default() });
    bench.append("aaaa\nbbbb\ncccc\n");
    assert!(bench.step());
    fs::write(&bench.path, "new\n").unwrap();
    bench.restart();
    assert_eq!(bench.lines(), ["aaaa", "new"]);
    assert_eq!(bench.gaps, [(5, 15, GapReason::TruncatedBeforeRead)]);
}

#[test]
fn a_damaged_state_never_reads_again_what_is_stored() {
    for state in ["", "\0\0\0", "v1 dev=1 ino=", "v9 somewhere"] {
        let mut bench = Bench::new();
        bench.append("1\n2\n");
        assert_eq!(bench.lines(), ["1", "2"]);
        bench.saved.as_mut().unwrap().state = state.to_owned();
        bench.restart();
        bench.append("3\n");
        assert_eq!(bench.lines(), ["3"]);
        assert_eq!(bench.saved.as_ref().map(|saved| (saved.offset, saved.lines)), Some((6, 3)));
        // Another file: it is read whole, at offsets that were not used before.
        bench.saved.as_mut().unwrap().state = state.to_owned();
        bench.restart();
        fs::write(&bench.path, "new\n").unwrap();
        assert_eq!(bench.lines(), ["new"]);
        assert_eq!(bench.saved.as_ref().map(|saved| (saved.offset, saved.lines)), Some((10, 4)));
    }
}

#[test]
fn a_state_of_an_earlier_release_is_understood() {
    let mut bench = Bench::new();
    bench.append("1\n2\n");
    assert_eq!(bench.lines(), ["1", "2"]);
    let state = &mut bench.saved.as_mut().unwrap().state;
    *state = state.replace(" modified=", " seen=");
    bench.restart();
    bench.append("3\n");
    assert_eq!(bench.lines(), ["3"]);
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
fn what_was_copied_before_a_truncation_is_read_from_the_copy() {
    for name in ["x.log.1", "x.log-20261120.gz", "x-20261120.log.zst"] {
        for stopped in [false, true] {
            let mut bench = Bench::with(Limits { batch_bytes: 8, ..Limits::default() });
            bench.now.observed = clock();
            bench.append("one 1\ntwo 2\nthree 3\n");
            assert!(bench.step());
            let text = fs::read(&bench.path).unwrap();
            let packed = match name.rsplit_once('.') {
                Some((_, "gz")) => gzip(&text),
                Some((_, "zst")) => zstd::encode_all(&text[..], 1).unwrap(),
                _ => text,
            };
            fs::write(bench.beside(name), packed).unwrap();
            fs::OpenOptions::new().write(true).open(&bench.path).unwrap().set_len(0).unwrap();
            bench.append("four 4\n");
            if stopped {
                bench.restart();
            }
            assert_eq!(bench.lines(), ["one 1", "two 2", "three 3", "four 4"], "{name} {stopped}");
            assert_eq!(bench.gaps, [], "{name} {stopped}");
            bench.restart();
            bench.append("five 5\n");
            assert_eq!(bench.lines(), ["five 5"], "{name} {stopped}");
        }
    }
}

#[test]
fn a_damaged_compressed_file_is_a_gap() {
    let mut bench = Bench::with(Limits { batch_bytes: 1 << 16, ..Limits::default() });
    bench.now.observed = clock();
    let text: String = (0..60_000).map(|n| format!("line {n}\n")).collect();
    bench.append(&text);
    assert!(bench.step());
    let packed = gzip(text.as_bytes());
    fs::write(bench.beside("x.log.1.gz"), &packed[..packed.len() * 3 / 4]).unwrap();
    fs::remove_file(&bench.path).unwrap();
    bench.append("after\n");
    bench.restart();
    let lines = bench.lines();
    assert_eq!(lines.last().unwrap(), "after");
    let lost: u64 = bench.gaps.iter().map(|(start, end, _)| end - start).sum();
    assert!(bench.gaps.iter().all(|(.., reason)| *reason == GapReason::Decode), "{:?}", bench.gaps);
    assert_eq!(bench.out.len() as u64 + lost, text.len() as u64 + 6);
    assert!(lost > 0 && lost < text.len() as u64 / 2, "{lost}");
}

#[test]
fn deleted_files_are_given_up_when_they_are_too_large() {
    let mut bench = Bench::with(Limits { batch_bytes: 8, ..Limits::default() });
    bench.append("one 1\ntwo 2\nthree 3\n");
    assert!(bench.step());
    assert_eq!(bench.tail.deleted_bytes(), 0);
    fs::remove_file(&bench.path).unwrap();
    assert_eq!(bench.tail.deleted_bytes(), 20);
    let batch = bench.tail.let_go(bench.now).unwrap();
    assert_eq!(batch.checkpoint.offset, 20);
    assert_eq!(batch.gaps.iter().map(|gap| (gap.start, gap.end)).collect::<Vec<_>>(), [(8, 20)]);
    assert_eq!((bench.tail.deleted_bytes(), bench.tail.is_open()), (0, false));
}

#[test]
fn an_archive_is_read_once_and_never_what_rotation_moves_there() {
    let mut bench = Bench::new();
    bench.tail = Tail::new(bench.path.clone(), None, StartAt::Beginning, bench.limits).archive();
    bench.append("old\n");
    assert_eq!(bench.lines(), ["old"]);
    bench.append("older writers may go on\n");
    fs::rename(&bench.path, bench.beside("x.log.9")).unwrap();
    bench.append("read under another name\n");
    assert_eq!(bench.lines(), ["older writers may go on"]);
    assert!(matches!(bench.tail.status().state, SourceState::Refused(_)));
    bench.tail =
        Tail::new(bench.path.clone(), bench.saved.as_ref(), StartAt::Beginning, bench.limits).archive();
    assert_eq!(bench.lines(), [""; 0]);
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
fn a_symlink_swapped_to_and_fro_repeats_nothing() {
    let mut bench = Bench::new();
    let (blue, green) = (bench.beside("blue"), bench.beside("green"));
    append(&blue, b"b1\n");
    append(&green, b"g1\n");
    for (target, bytes, expected) in
        [(&blue, "b2\n", &["b1", "b2"][..]), (&green, "g2\n", &["g1", "g2"]), (&blue, "b3\n", &["b3"])]
    {
        symlink(target, bench.beside("new")).unwrap();
        fs::rename(bench.beside("new"), &bench.path).unwrap();
        append(target, bytes.as_bytes());
        assert_eq!(bench.lines(), expected);
    }
    assert_eq!(bench.saved.as_ref().unwrap().offset, 15);
}

#[test]
fn starting_at_the_end_skips_complete_lines_only() {
    for (text, appended, expected) in [
        ("old\n", "new\n", "new"),
        ("old\nhalf ", "line\n", "half line"),
        ("", "a\n", "a"),
        ("half", "\n", "half"),
    ] {
        let mut bench = Bench::new();
        bench.append(text);
        bench.tail = Tail::new(bench.path.clone(), None, StartAt::End, bench.limits);
        assert_eq!(bench.lines(), [""; 0]);
        bench.restart();
        bench.append(appended);
        assert_eq!(bench.lines(), [expected], "{text:?}");
        assert_eq!(bench.saved.as_ref().unwrap().offset, (text.len() + appended.len()) as u64);
    }
}

#[test]
fn starting_in_the_last_bytes_begins_with_a_whole_line() {
    for (text, last, expected) in [
        ("one\ntwo\nthree\n", 100, &["one", "two", "three"][..]),
        ("one\ntwo\nthree\n", 14, &["one", "two", "three"]),
        ("one\ntwo\nthree\n", 10, &["two", "three"]),
        ("one\ntwo\nthree\n", 9, &["three"]),
        ("one\ntwo\nthree\n", 0, &[]),
        ("one\ntwo\nthree\nhalf", 10, &["three", "half…"]),
        ("one\ntwo\nthree\nhalf", 2, &["half…"]),
        ("", 5, &[]),
    ] {
        let mut bench =
            Bench::with(Limits { partial_line_timeout: Some(Duration::ZERO), ..Limits::default() });
        bench.append(text);
        bench.tail = Tail::new(bench.path.clone(), None, StartAt::Last(last), bench.limits);
        assert_eq!(bench.lines(), expected, "{text:?} last {last}");
        assert_eq!(bench.gaps, []);
        bench.restart();
        bench.append("next\n");
        assert_eq!(bench.lines(), ["next"], "{text:?} last {last}");
        assert_eq!(bench.saved.as_ref().unwrap().offset, text.len() as u64 + 5);
    }
}

#[test]
fn starting_amid_a_huge_line_counts_its_rest_as_a_gap() {
    let mut bench = Bench::with(Limits { max_line_bytes: 4, ..Limits::default() });
    bench.append("a\n0123456789abcdef\nb\n");
    bench.tail = Tail::new(bench.path.clone(), None, StartAt::Last(12), bench.limits);
    assert_eq!(bench.lines(), ["b"]);
    assert_eq!(bench.gaps, [(9, 19, GapReason::Oversize)]);
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
