//! Files that are written to under another name than they are followed by, and that get names which are followed.

use super::*;

#[test]
fn what_is_written_late_arrives_soon_under_any_name() {
    let mut bench = Bench::new();
    for (number, name) in ["a.log.1", "a-20261122.log", "elsewhere"].into_iter().enumerate() {
        append(&bench.path("a.log"), "1\n");
        if number == 0 {
            bench.start(&["a.log"]);
        }
        bench.expect(&["a.log 1"]);
        fs::rename(bench.path("a.log"), bench.path(name)).unwrap();
        append(&bench.path("a.log"), "2\n");
        bench.expect(&["a.log 2"]);
        for round in 1..=3 {
            // Longer than any file is waited for at the path.
            std::thread::sleep(Duration::from_millis(150));
            let (line, before) = (format!("late {round}"), Instant::now());
            append(&bench.path(name), &format!("{line}\n"));
            bench.expect(&[&format!("a.log {line}")]);
            // The scan finds it after a second; what is told of, at once.
            let limit = if number == 0 { Duration::from_millis(900) } else { Duration::from_secs(3) };
            assert!(before.elapsed() < limit, "{name}: {:?}", before.elapsed());
        }
    }
    bench.stop();
    append(&bench.path("elsewhere"), "while stopped\n");
    bench.start(&["a.log"]);
    bench.expect(&["a.log while stopped"]);
    bench.stop();
}

#[test]
fn a_file_that_is_renamed_to_a_name_that_matches_becomes_a_source_of_its_own() {
    let mut bench = Bench::new();
    append(&bench.path("b.log"), "1\n");
    bench.start(&["*.log"]);
    bench.expect(&["b.log 1"]);
    fs::rename(bench.path("b.log"), bench.path("b2.log")).unwrap();
    bench.expect_state("b2.log", |state| matches!(state, SourceState::Refused(why) if why.contains("b.log")));
    append(&bench.path("b2.log"), "2\n");
    bench.expect(&["b.log 2"]);
    append(&bench.path("b.log"), "3\n");
    bench.expect(&["b.log 3"]);
    bench.expect_state("b2.log", |state| *state == SourceState::Following);
    append(&bench.path("b2.log"), "4\n");
    append(&bench.path("b.log"), "5\n");
    bench.expect(&["b.log 5", "b2.log 4"]);
    bench.stop();
    let offset =
        |bench: &Bench, name: &str| bench.checkpoints[&bench.path(name).display().to_string()].offset;
    assert_eq!((offset(&bench, "b.log"), offset(&bench, "b2.log")), (8, 6), "offsets are used once");
    append(&bench.path("b2.log"), "6\n");
    bench.start(&["*.log"]);
    bench.expect(&["b2.log 6"]);
    append(&bench.path("b2.log"), "7\n");
    append(&bench.path("b.log"), "8\n");
    bench.expect(&["b.log 8", "b2.log 7"]);
    bench.stop();
}

#[test]
fn a_crash_while_a_file_is_handed_over_doubles_nothing() {
    let mut bench = Bench::new();
    append(&bench.path("b.log"), "1\n");
    bench.start(&["*.log"]);
    bench.expect(&["b.log 1"]);
    fs::rename(bench.path("b.log"), bench.path("b2.log")).unwrap();
    append(&bench.path("b.log"), "2\n");
    bench.expect(&["b.log 2"]);
    let before = bench.checkpoints.clone();
    bench.expect_state("b2.log", |state| *state == SourceState::Following);
    append(&bench.path("b2.log"), "3\n");
    bench.expect(&["b2.log 3"]);
    bench.stop();
    // The other's last checkpoint was not stored: it still says that it looks at the file.
    let name = bench.path("b.log").display().to_string();
    assert!(before[&name].state.contains(" late="));
    bench.checkpoints.insert(name.clone(), before[&name].clone());
    append(&bench.path("b2.log"), "4\n");
    bench.start(&["*.log"]);
    bench.expect(&["b2.log 4"]);
    append(&bench.path("b2.log"), "5\n");
    append(&bench.path("b.log"), "6\n");
    bench.expect(&["b.log 6", "b2.log 5"]);
    bench.stop();
    // Neither was: nobody has read on.
    bench.checkpoints = before;
    bench.start(&["*.log"]);
    let mut lines = Vec::new();
    while lines.len() < 4 {
        let batch = bench.batches.recv_timeout(PATIENCE).unwrap();
        bench.take(batch);
        lines.append(&mut bench.lines);
    }
    lines.sort();
    assert_eq!(
        lines.iter().map(|line| line.split(' ').next_back().unwrap()).collect::<Vec<_>>(),
        ["6", "3", "4", "5"]
    );
    bench.stop();
}

#[test]
fn a_file_that_is_moved_over_another_one_that_is_followed_is_not_read_twice() {
    let mut bench = Bench::new();
    bench.start(&["*.log"]);
    for day in ["a", "b", "c", "d"] {
        append(&bench.path("app.log"), &format!("{day}1\n"));
        bench.expect(&[&format!("app.log {day}1")]);
        // Whoever was born since the last look was not moved.
        std::thread::sleep(Duration::from_millis(100));
        append(&bench.path("app.log"), &format!("{day}2\n"));
        bench.expect(&[&format!("app.log {day}2")]);
        fs::rename(bench.path("app.log"), bench.path("app.old.log")).unwrap();
        append(&bench.path("app.log"), &format!("{day}3\n"));
        bench.expect(&[&format!("app.log {day}3")]);
        bench.expect_state("app.old.log", |state| *state == SourceState::Following);
        append(&bench.path("app.old.log"), &format!("{day}4\n"));
        bench.expect(&[&format!("app.old.log {day}4")]);
        if day == "c" {
            bench.stop();
            bench.start(&["*.log"]);
        }
        assert_eq!(bench.lines, [""; 0]);
    }
    bench.stop();
}

#[test]
fn a_file_that_is_moved_to_and_fro_is_not_read_twice() {
    let mut bench = Bench::new();
    append(&bench.path("b.log"), "1\n");
    bench.start(&["*.log"]);
    bench.expect(&["b.log 1"]);
    fs::rename(bench.path("b.log"), bench.path("b2.log")).unwrap();
    append(&bench.path("b.log"), "2\n");
    bench.expect(&["b.log 2"]);
    bench.expect_state("b2.log", |state| *state == SourceState::Following);
    append(&bench.path("b2.log"), "3\n");
    bench.expect(&["b2.log 3"]);
    fs::rename(bench.path("b2.log"), bench.path("b.log")).unwrap();
    append(&bench.path("b.log"), "4\n");
    bench.expect(&["b2.log 4"]);
    append(&bench.path("b2.log"), "5\n");
    bench.expect(&["b2.log 5"]);
    bench.expect_state("b.log", |state| *state == SourceState::Following);
    append(&bench.path("b.log"), "6\n");
    bench.expect(&["b.log 6"]);
    bench.stop();
}

#[test]
fn a_new_file_is_read_while_the_old_one_is_written_to() {
    let mut bench = Bench::new();
    append(&bench.path("a.log"), "start\n");
    bench.start(&["a.log"]);
    bench.expect(&["a.log start"]);
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    let (old, ended) = (bench.path("a.log.1"), Arc::new(AtomicBool::new(false)));
    let end = Arc::clone(&ended);
    let writer = std::thread::spawn(move || {
        let mut file = fs::OpenOptions::new().append(true).open(old).unwrap();
        let mut written = 0;
        while !end.load(Ordering::Acquire) {
            writeln!(file, "old {written}").unwrap();
            written += 1;
            // Never as quiet as a file is that can be left.
            std::thread::sleep(Duration::from_millis(5));
        }
        written
    });
    append(&bench.path("a.log"), "new\n");
    let before = Instant::now();
    while !bench.lines.contains(&"a.log new".to_owned()) {
        let batch = bench.batches.recv_timeout(PATIENCE).unwrap();
        bench.take(batch);
    }
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    std::thread::sleep(Duration::from_millis(200));
    ended.store(true, Ordering::Release);
    let written = writer.join().unwrap();
    while bench.lines.len() < written + 1 {
        let batch = bench.batches.recv_timeout(PATIENCE).unwrap();
        assert_eq!(batch.gaps, []);
        bench.take(batch);
    }
    bench.lines.retain(|line| line != "a.log new");
    assert!(bench.lines.iter().cloned().eq((0..written).map(|n| format!("a.log old {n}"))));
    bench.stop();
}
