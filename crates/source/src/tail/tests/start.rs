//! Where reading begins: in a file that was never read, and after a restart.

use super::*;

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
fn starting_at_the_end_skips_complete_lines_only() {
    for (text, appended, expected) in [
        ("old\n", "new\n", "new"),
        ("old\nhalf ", "line\n", "half line"),
        ("", "a\n", "a"),
        ("half", "\n", "half"),
    ] {
        let mut bench = Bench::new();
        bench.append(text);
        bench.tail = Tail::new(bench.path.clone(), None, StartAt::End, bench.limits.clone());
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
        bench.tail = Tail::new(bench.path.clone(), None, StartAt::Last(last), bench.limits.clone());
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
    bench.tail = Tail::new(bench.path.clone(), None, StartAt::Last(12), bench.limits.clone());
    assert_eq!(bench.lines(), ["b"]);
    assert_eq!(bench.gaps, [(9, 19, GapReason::Oversize)]);
}
