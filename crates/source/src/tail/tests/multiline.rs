//! Records of several lines: held until they end, through rotation and restarts.

use super::*;
use crate::cut::tests::Indented;

fn joining() -> Bench {
    Bench::with(Limits {
        multiline: Some(Arc::new(Indented)),
        rotation_grace: Duration::from_millis(500),
        ..Limits::default()
    })
}

#[test]
fn a_record_that_may_go_on_is_held_until_it_ends_or_its_time_is_over() {
    let mut bench = joining();
    bench.append("plain\n");
    assert_eq!(bench.lines(), ["plain"], "nothing says that it goes on");
    bench.append("trace:\n at a\n");
    assert_eq!(bench.lines(), [""; 0]);
    assert_eq!(bench.tail.look_again(bench.now), Some(Duration::from_millis(500)));
    bench.append(" at b\nnext\n");
    assert_eq!(bench.lines(), ["trace:\n at a\n at b", "next"]);
    bench.append("late:\n at c\n at");
    assert_eq!(bench.lines(), [""; 0]);
    bench.wait(Duration::from_millis(499));
    assert_eq!(bench.lines(), [""; 0]);
    bench.wait(Duration::from_millis(1));
    assert_eq!(bench.lines(), ["late:\n at c"], "its unfinished line is still held");
    bench.append(" d\n");
    assert_eq!(bench.lines(), [" at d"]);
    assert_eq!(bench.saved.clone().unwrap().lines, 8, "lines are counted, not records");
}

#[test]
fn a_held_record_is_read_again_after_a_restart() {
    let mut bench = joining();
    bench.append("a\ntrace:\n at a\n");
    assert_eq!(bench.lines(), ["a"]);
    assert!(!bench.tail.park(), "it would have to be read again");
    bench.restart();
    bench.append(" at b\n");
    assert_eq!(bench.lines(), [""; 0]);
    bench.append("b\n");
    assert_eq!(bench.lines(), ["trace:\n at a\n at b", "b"]);
}

#[test]
fn a_record_goes_on_in_the_next_file() {
    for restarted in [false, true] {
        let mut bench = joining();
        bench.append("a\ntrace:\n at a\n");
        assert_eq!(bench.lines(), ["a"]);
        fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
        bench.append(" at b\n at c\nb\npart");
        if restarted {
            bench.restart();
        }
        assert_eq!(bench.lines(), [""; 0], "the old file may still be written to");
        bench.wait(Duration::from_millis(500));
        assert_eq!(bench.lines(), ["trace:\n at a\n at b\n at c", "b"], "restarted: {restarted}");
        bench.restart();
        bench.append("ial\n");
        assert_eq!(bench.lines(), ["partial"]);
        assert_eq!(bench.out, b"a\ntrace:\n at a\n at b\n at c\nb\npartial\n");
    }
}

#[test]
fn a_record_ends_with_its_file_if_nothing_follows() {
    let mut bench = joining();
    bench.append("trace:\n at a\n");
    assert_eq!(bench.lines(), [""; 0]);
    fs::rename(&bench.path, bench.beside("x.log.1")).unwrap();
    bench.append("");
    assert_eq!(bench.lines(), [""; 0]);
    bench.wait(Duration::from_millis(500));
    assert_eq!(bench.lines(), ["trace:\n at a"]);
    fs::write(&bench.path, "b\n").unwrap();
    bench.drain();
    bench.wait(Duration::from_millis(500));
    assert_eq!(bench.lines(), ["b"]);
}
