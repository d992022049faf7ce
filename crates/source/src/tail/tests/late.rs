//! What is written to a file after it was left.

use super::*;

const GRACE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);

/// A tail that has left `x.log.1` for a new file, with one line read of each.
fn after_a_rotation(limits: Limits) -> (Bench, PathBuf) {
    let mut bench = Bench::with(Limits { rotation_grace: GRACE, ..limits });
    bench.append("before\n");
    assert_eq!(bench.lines(), ["before"]);
    let old = bench.beside("x.log.1");
    fs::rename(&bench.path, &old).unwrap();
    bench.append("new\n");
    bench.drain();
    bench.wait(SECOND);
    assert_eq!(bench.lines(), ["new"]);
    (bench, old)
}

#[test]
fn a_file_that_was_left_is_read_on() {
    let (mut bench, old) = after_a_rotation(Limits::default());
    for round in 1..=5 {
        bench.wait(SECOND * round);
        let late = format!("late {round}");
        append(&old, format!("{late}\nhalf {round}").as_bytes());
        assert!(bench.tail.wants_late(bench.now));
        assert_eq!(bench.lines(), [late], "the half line is waited for");
        bench.append(&format!("new {round}\nalso half"));
        append(&old, b" whole\n");
        let mut lines = bench.lines();
        lines.sort();
        let halves = if round > 1 { "also half" } else { "" };
        let mut expected = [format!("half {round} whole"), format!("{halves}new {round}")];
        expected.sort();
        assert_eq!(lines, expected);
        if round == 3 {
            assert!(bench.tail.park() && bench.tail.open_files() == 0);
            assert!(!bench.tail.wants_late(bench.now));
        }
    }
    assert_eq!(bench.gaps, []);
    let status = bench.tail.status();
    assert_eq!((status.lag_bytes, status.held_bytes, status.rotations), (9, 9, 1));
}

#[test]
fn what_came_late_is_neither_lost_nor_doubled_by_restarts() {
    let (mut bench, old) = after_a_rotation(Limits::default());
    append(&old, b"late 1\nlate");
    assert_eq!(bench.lines(), ["late 1"]);
    for round in 2..=4 {
        append(&old, format!(" {round}\nlate").as_bytes());
        bench.restart();
        assert_eq!(bench.lines(), [format!("late {round}")]);
        bench.append(&format!("new {round}\n"));
        bench.restart();
        assert_eq!(bench.lines(), [format!("new {round}")]);
        // It is found wherever rotation has put it.
        fs::rename(&old, bench.beside("x.log.2")).unwrap();
        fs::rename(bench.beside("x.log.2"), &old).unwrap();
    }
    fs::remove_file(&old).unwrap();
    bench.restart();
    bench.append("last\n");
    assert_eq!(bench.lines(), ["last"]);
    let end = bench.saved.as_ref().unwrap().offset;
    assert_eq!(bench.gaps, [(end - 4, end, GapReason::TruncatedBeforeRead)], "what was known of its line");
    assert!(!bench.tail.has_late());
}

#[test]
fn a_successor_does_not_wait_for_a_file_that_is_still_written_to() {
    for busy in [false, true] {
        let mut bench = Bench::with(Limits { rotation_grace: GRACE, ..Limits::default() });
        bench.append("1\n");
        assert_eq!(bench.lines(), ["1"]);
        let old = bench.beside("x.log.1");
        fs::rename(&bench.path, &old).unwrap();
        bench.append("new\n");
        let mut waited = Duration::ZERO;
        while !bench.texts.contains(&"new".to_owned()) {
            append(&old, b"old\nha");
            append(&old, b"lf\n");
            // A writer that is always ahead: every read finds something.
            if busy {
                bench.step();
            } else {
                bench.drain()
            }
            bench.wait(Duration::from_millis(100));
            waited += Duration::from_millis(100);
            assert!(waited < SECOND, "{busy}");
        }
        let olds = bench.texts.iter().filter(|text| *text == "old").count();
        bench.drain();
        assert!(olds >= 4 && bench.gaps.is_empty());
        assert!(bench.texts.iter().all(|text| ["1", "old", "half", "new"].contains(&text.as_str())));
        append(&old, b"and on\n");
        assert_eq!(bench.lines().last().unwrap(), "and on");
    }
}

#[test]
fn a_file_that_is_left_amid_a_line_ends_it_late() {
    let mut bench = Bench::with(Limits { rotation_grace: GRACE, ..Limits::default() });
    bench.append("1\nunfin");
    assert_eq!(bench.lines(), ["1"]);
    let old = bench.beside("x.log.1");
    fs::rename(&bench.path, &old).unwrap();
    bench.append("new\n");
    bench.drain();
    for _ in 0..3 {
        bench.wait(GRACE / 2);
        append(&old, b".");
        bench.drain();
    }
    assert_eq!(bench.lines(), ["new"]);
    bench.restart();
    append(&old, b"ished\n");
    assert_eq!(bench.lines(), ["unfin...ished"]);
}

#[test]
fn files_that_were_left_are_looked_at_for_a_bounded_time() {
    let (mut bench, old) = after_a_rotation(Limits::default());
    append(&old, b"late\nhalf");
    assert_eq!(bench.lines(), ["late"]);
    bench.wait(SECOND * 599);
    assert!(!bench.tail.wants_late(bench.now) && bench.tail.has_late());
    bench.wait(SECOND);
    assert!(bench.tail.wants_late(bench.now));
    assert_eq!(bench.lines(), ["half…"]);
    assert!(!bench.tail.has_late());
    bench.restart();
    bench.append("on\n");
    assert_eq!(bench.lines(), ["on"]);
}

#[test]
fn a_deleted_file_that_was_left_is_held_for_a_bounded_time() {
    let (mut bench, old) = after_a_rotation(Limits::default());
    let mut writer = fs::OpenOptions::new().append(true).open(&old).unwrap();
    fs::remove_file(&old).unwrap();
    writer.write_all(b"late\nhalf").unwrap();
    assert_eq!(bench.lines(), ["late"]);
    assert!(!bench.tail.park() && bench.tail.deleted_bytes() > 0);
    bench.wait(DELETED_HOLD);
    assert!(bench.tail.wants_late(bench.now));
    assert_eq!(bench.lines(), ["half…"]);
    assert_eq!(bench.tail.deleted_bytes(), 0);

    let (mut bench, old) = after_a_rotation(Limits::default());
    let mut writer = fs::OpenOptions::new().append(true).open(&old).unwrap();
    fs::remove_file(&old).unwrap();
    writer.write_all(b"late\nhalf").unwrap();
    assert_eq!(bench.lines(), ["late"]);
    let batch = bench.tail.let_go(bench.now).unwrap();
    let gaps: Vec<_> = batch.gaps.iter().map(|gap| (gap.start, gap.end, gap.reason)).collect();
    assert_eq!(gaps, [(16, 20, GapReason::TruncatedBeforeRead)], "its disk space was needed");
    assert_eq!((batch.checkpoint.offset, bench.tail.deleted_bytes()), (20, 0));
}

#[test]
fn only_the_latest_files_that_were_left_are_looked_at() {
    let mut bench = Bench::new();
    let names: Vec<PathBuf> = (0..7).map(|number| bench.beside(&format!("x.log-2026112{number}"))).collect();
    for name in &names {
        bench.append("line\n");
        assert_eq!(bench.lines(), ["line"]);
        bench.wait(SECOND);
        fs::rename(&bench.path, name).unwrap();
    }
    bench.append("line\n");
    assert_eq!(bench.lines(), ["line"]);
    assert_eq!(bench.tail.open_files(), 5);
    names.iter().for_each(|name| append(name, b"late\n"));
    assert_eq!(bench.lines(), ["late"; 4]);
}

#[test]
fn the_rest_of_an_oversize_line_is_a_gap_though_others_come_between() {
    let limits = Limits { max_line_bytes: 10, ..Limits::default() };
    let (mut bench, old) = after_a_rotation(limits);
    append(&old, b"0123456789abcdef");
    bench.append("ABCDEFGHIJKLMNOP");
    let mut lines = bench.lines();
    lines.sort();
    assert_eq!(lines, ["0123456789…", "ABCDEFGHIJ…"]);
    bench.restart();
    append(&old, b"more\nlate\n");
    assert_eq!(bench.lines(), ["late"]);
    bench.append("MORE\nnew\n");
    assert_eq!(bench.lines(), ["new"]);
    let lost: u64 = bench.gaps.iter().map(|(start, end, _)| end - start).sum();
    assert_eq!(lost, 6 + 5 + 6 + 5, "{:?}", bench.gaps);
    assert!(bench.gaps.iter().all(|(.., reason)| *reason == GapReason::Oversize));
    assert_eq!(bench.saved.as_ref().unwrap().offset, 11 + 26 + 25);
}

#[test]
fn a_file_that_was_left_and_comes_back_is_read_once() {
    for stopped in [false, true] {
        let (mut bench, old) = after_a_rotation(Limits::default());
        append(&old, b"late 1\nlate");
        assert_eq!(bench.lines(), ["late 1"]);
        fs::rename(&bench.path, bench.beside("x.log.2")).unwrap();
        fs::rename(&old, &bench.path).unwrap();
        bench.append(" 2\nlate 3\n");
        if stopped {
            bench.restart();
        }
        let mut lines = bench.lines();
        bench.wait(SECOND);
        lines.extend(bench.lines());
        assert_eq!((lines, &bench.gaps[..]), (vec!["late 2".to_owned(), "late 3".to_owned()], &[][..]));
        bench.append("4\n");
        append(&bench.beside("x.log.2"), b"5\n");
        let mut lines = bench.lines();
        lines.sort();
        assert_eq!(lines, ["4", "5"]);
    }
}

#[test]
fn what_came_late_and_was_compressed_is_not_read_again() {
    for stopped in [false, true] {
        let (mut bench, old) = after_a_rotation(Limits::default());
        std::thread::sleep(Duration::from_millis(20));
        append(&old, b"late\n");
        assert_eq!(bench.lines(), ["late"]);
        let modified = fs::metadata(&old).unwrap().modified().unwrap();
        let packed = bench.beside("x.log.2.gz");
        fs::write(&packed, gzip(&fs::read(&old).unwrap())).unwrap();
        fs::OpenOptions::new().write(true).open(&packed).unwrap().set_modified(modified).unwrap();
        fs::remove_file(&old).unwrap();
        fs::rename(&bench.path, &old).unwrap();
        bench.append("newer\n");
        if stopped {
            bench.restart();
        }
        bench.drain();
        bench.wait(SECOND);
        assert_eq!(bench.lines(), ["newer"]);
        assert_eq!(bench.gaps, []);
    }
}

#[test]
fn what_was_read_of_deleted_files_costs_no_disk_space() {
    let (mut bench, old) = after_a_rotation(Limits::default());
    let mut writer = fs::OpenOptions::new().append(true).open(&old).unwrap();
    fs::remove_file(&old).unwrap();
    writer.write_all(b"late\n").unwrap();
    bench.tail.let_read_go();
    assert!(bench.tail.deleted_bytes() > 0, "it has grown");
    assert_eq!(bench.lines(), ["late"]);
    bench.tail.let_read_go();
    assert_eq!((bench.tail.deleted_bytes(), bench.tail.has_late(), bench.lines()), (0, false, vec![]));
    assert_eq!(bench.gaps, []);
}

#[test]
fn quiet_files_that_were_left_cost_no_descriptor() {
    let (mut bench, old) = after_a_rotation(Limits::default());
    bench.wait(SECOND * 59);
    bench.append("new\n");
    assert_eq!(bench.lines(), ["new"]);
    bench.tail.close_quiet(bench.now, SECOND * 60);
    assert_eq!(bench.tail.open_files(), 2);
    bench.wait(SECOND * 2);
    bench.tail.close_quiet(bench.now, SECOND * 60);
    assert_eq!(bench.tail.open_files(), 1);
    fs::rename(&old, bench.beside("x.log.2")).unwrap();
    append(&bench.beside("x.log.2"), b"late\n");
    assert!(bench.tail.wants_late(bench.now));
    assert_eq!(bench.lines(), ["late"]);
}
