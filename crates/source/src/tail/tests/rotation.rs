//! Renamed, copied, compressed, truncated and deleted, while it is followed and while it is not.

use super::*;

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
fn what_is_copied_and_truncated_between_two_looks_is_not_lost() {
    let mut bench = Bench::new();
    bench.append("1\n");
    assert_eq!(bench.lines(), ["1"]);
    fs::rename(&bench.path, bench.beside("x.log.2")).unwrap();
    bench.append("2\n3\n4\n");
    // Opened as the next, and before it is known what came before it, it is copied and truncated.
    let opened = refusal::open(&bench.path).unwrap();
    fs::copy(&bench.path, bench.beside("x.log.1")).unwrap();
    fs::write(&bench.path, "5\n").unwrap();
    let Front::Open(file) = &bench.tail.front else { panic!("nothing is open") };
    let (latest, mark) = (file.identity, file.mark(None, bench.tail.previous));
    assert!(bench.tail.line_up(&latest, &mark, opened).unwrap());
    assert_eq!(bench.lines(), ["2", "3", "4", "5"]);
    assert_eq!(bench.gaps, []);
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
    bench.tail = Tail::new(bench.path.clone(), None, StartAt::Beginning, bench.limits.clone()).archive();
    bench.append("old\n");
    assert_eq!(bench.lines(), ["old"]);
    bench.append("older writers may go on\n");
    fs::rename(&bench.path, bench.beside("x.log.9")).unwrap();
    bench.append("read under another name\n");
    assert_eq!(bench.lines(), ["older writers may go on"]);
    assert!(matches!(bench.tail.status().state, SourceState::Refused(_)));
    bench.tail =
        Tail::new(bench.path.clone(), bench.saved.as_ref(), StartAt::Beginning, bench.limits.clone())
            .archive();
    assert_eq!(bench.lines(), [""; 0]);
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
fn what_was_copied_and_truncated_before_it_was_read_is_read_from_the_copies() {
    for (stopped, parked, packed) in [
        (false, false, false),
        (false, true, false),
        (true, false, false),
        (false, false, true),
        (true, false, true),
    ] {
        let mut bench = Bench::new();
        bench.append("1\n");
        assert_eq!(bench.lines(), ["1"]);
        for round in 2..=4 {
            tick(&bench.beside("probe"));
            for number in (1..round).rev() {
                for ending in ["", ".gz"] {
                    let [from, to] =
                        [number, number + 1].map(|n| bench.beside(&format!("x.log.{n}{ending}")));
                    if from.exists() {
                        fs::rename(from, to).unwrap();
                    }
                }
            }
            let text = fs::read(&bench.path).unwrap();
            let (name, bytes) = if packed { ("x.log.1.gz", gzip(&text)) } else { ("x.log.1", text) };
            fs::write(bench.beside(name), bytes).unwrap();
            fs::write(&bench.path, "").unwrap();
            if round == 2 {
                assert_eq!(bench.lines(), [""; 0]);
                assert!(!parked || bench.tail.park());
            }
            bench.append(&format!("{round}\n"));
        }
        if stopped {
            bench.restart();
        }
        assert_eq!(bench.lines(), ["2", "3", "4"], "stopped {stopped}, parked {parked}, packed {packed}");
        assert_eq!(bench.gaps, []);
    }
}

#[test]
fn a_file_that_was_written_anew_and_renamed_while_stopped_is_read() {
    let mut bench = Bench::new();
    bench.append("something of a length\n");
    assert_eq!(bench.lines(), ["something of a length"]);
    fs::write(&bench.path, "anew\n").unwrap();
    fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
    bench.append("next\n");
    bench.restart();
    assert_eq!(bench.lines(), ["anew", "next"]);
    assert_eq!(bench.gaps, []);
}

#[test]
fn a_copy_that_lacks_the_last_lines_is_not_read_again() {
    for lines in [3, 300] {
        let mut bench = Bench::new();
        let text: String = (0..lines).map(|line| format!("line {line}\n")).collect();
        bench.append(&text);
        assert_eq!(bench.lines().len(), lines);
        fs::copy(&bench.path, bench.beside("x.log.1")).unwrap();
        bench.append("late\n");
        assert_eq!(bench.lines(), ["late"]);
        fs::write(&bench.path, "").unwrap();
        assert_eq!(bench.lines(), [""; 0]);
        bench.append("anew\n");
        assert_eq!(bench.lines(), ["anew"]);
        bench.restart();
        bench.append("next\n");
        assert_eq!((bench.lines(), bench.gaps.len()), (vec!["next".to_owned()], 0), "{lines} lines");
    }
}

#[test]
fn a_copy_of_a_file_that_is_not_truncated_is_not_read() {
    let mut bench = Bench::new();
    bench.append("1\n");
    assert_eq!(bench.lines(), ["1"]);
    fs::rename(&bench.path, bench.beside("x.log.2")).unwrap();
    bench.append("2\n");
    tick(&bench.beside("probe"));
    fs::copy(&bench.path, bench.beside("x.log.1")).unwrap();
    bench.append("3\n");
    assert_eq!(bench.lines(), ["2", "3"]);
}

/// Lets the clock of the file system go on: what was written before and after is told apart by it.
pub(super) fn tick(probe: &Path) {
    let written = || {
        fs::write(probe, "").unwrap();
        fs::metadata(probe).unwrap().modified().unwrap()
    };
    let before = written();
    while written() == before {
        std::thread::yield_now();
    }
}

/// Compresses `name` as rotation does, before its writer has been told: what comes later has no name.
fn compress_early(bench: &Bench, name: &str, late: &str) {
    let path = bench.beside(name);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let packed = bench.beside(&format!("{name}.gz"));
    std::thread::sleep(Duration::from_millis(20));
    fs::write(&packed, gzip(&fs::read(&path).unwrap())).unwrap();
    fs::OpenOptions::new().write(true).open(&packed).unwrap().set_modified(modified).unwrap();
    append(&path, late.as_bytes());
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_that_is_compressed_before_its_last_lines_is_read_once() {
    let text = |name: &str| (0..200).map(|line| format!("{name} {line}\n")).collect::<String>();
    for was_read in [false, true] {
        let grace = Duration::from_millis(500);
        let mut bench = Bench::with(Limits { rotation_grace: grace, ..Limits::default() });
        bench.append(&text("a"));
        bench.drain();
        fs::rename(&bench.path, bench.beside("x.log.2")).unwrap();
        bench.append(&text("b"));
        bench.drain();
        if was_read {
            bench.wait(grace);
            bench.drain();
        }
        fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
        bench.append("");
        if was_read {
            bench.drain();
        }
        compress_early(&bench, "x.log.1", "late\n");
        if was_read {
            bench.append("c\n");
            bench.drain();
            bench.wait(grace);
            bench.drain();
            // Then its name is given to another, and so on.
            fs::rename(bench.beside("x.log.1.gz"), bench.beside("x.log.2.gz")).unwrap();
            fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
        }
        bench.append("d\n");
        bench.drain();
        bench.wait(grace);
        bench.drain();
        bench.wait(grace);
        bench.drain();
        let rest = if was_read { "late\nc\nd\n" } else { "late\nd\n" };
        let want = text("a") + &text("b") + rest;
        assert_eq!(String::from_utf8_lossy(&bench.out), want, "it was read: {was_read}");
    }
}
