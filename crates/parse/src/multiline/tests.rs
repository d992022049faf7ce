//! Records of every language and format that is known, line by line.

use std::time::Instant;

use super::*;
use crate::formats::tests::{parser, raw};

/// The records of some lines, each as its number of lines.
fn joined(text: &str, joiner: &mut dyn Multiline) -> Vec<usize> {
    let mut records: Vec<(String, usize)> = Vec::new();
    for line in text.lines() {
        match records.last_mut() {
            Some((record, count)) if joiner.goes_on(record.as_bytes(), line.as_bytes()) => {
                record.push('\n');
                record.push_str(line);
                *count += 1;
            }
            _ => records.push((line.to_owned(), 1)),
        }
    }
    records.into_iter().map(|(_, count)| count).collect()
}

#[track_caller]
fn check(text: &str, counts: &[usize]) {
    assert_eq!(joined(text, &mut Joiner::default()), counts, "{text}");
}

#[test]
fn java() {
    check(
        "\
2026-11-01 00:00:00,123 [main] INFO  c.e.App - ready
2026-11-01 00:00:01,123 [main] ERROR c.e.App - cannot serve
java.lang.IllegalStateException: no session
\tat com.example.App.serve(App.java:38)
\tat com.example.App.main(App.java:14)
Caused by: java.io.IOException: closed
\t... 2 more
2026-11-01 00:00:02,123 [main] INFO  c.e.App - on",
        &[1, 6, 1],
    );
    check(
        "plain\nException in thread \"main\" java.lang.Error: x\n    at a.B.c(B.java:1)\nCaused by: a.b.C\n    ... 1 more\nplain",
        &[1, 4, 1],
    );
}

#[test]
fn coloured_lines_begin_records() {
    let line = |text: &str| format!("\x1b[32m2026-11-01 00:00:00\x1b[0m {text}");
    check(&format!("{}\n{}\n\tat a\n{}", line("a"), line("b"), line("c")), &[1, 2, 1]);
}

#[test]
fn an_indented_line_with_level_and_time_begins_a_record() {
    check(" WARN: [Nov  1 00:00:00.643] a\n WARN: [Nov  1 00:00:01.643] b\n  detail\n WARN: c", &[1, 3]);
}

#[test]
fn directives() {
    check(
        "2026-11-01 00:00:00 192.0.2.1 GET 200\n#Software: x\n#Date: y\n#Fields: a b\n2026-11-01 00:00:01 b",
        &[1; 5],
    );
    check("2026-11-01 00:00:00 x\n# y: a comment\n#!/bin/sh", &[3]);
}

#[test]
fn lines_under_a_header_are_records_unless_a_value_goes_on() {
    for (header, text, counts) in [
        ("time,message", "2026-11-01,x\n y\n2026-11-01,\"a\nb\"\"\nc\"\n\td", &[1, 1, 3, 1][..]),
        ("#Fields: date time c-ip", "2026-11-01 00:00:00 x\n \"y", &[1, 1]),
        ("#fields\tts\tuid", "1\tb\n2\tc\n#close\t2026-11-01", &[1, 2]),
        ("name,size", "2026-11-01 00:00:00 x\n y", &[2]),
    ] {
        let mut joiner = Joiner::default();
        joiner.under(Some(&header.into()));
        assert_eq!(joined(text, &mut joiner), counts, "{header}");
    }
}

#[test]
fn python() {
    check(
        "\
ERROR:root:cannot divide
Traceback (most recent call last):
  File \"a.py\", line 1, in <module>
    1 / 0
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"a.py\", line 3, in <module>
    raise Custom('x')
shop.errors.Custom: x
INFO:root:next",
        &[12, 1],
    );
    check(
        "hello\nTraceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'x'\nhello",
        &[1, 3, 1],
    );
}

#[test]
fn other_languages() {
    let go = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/a/main.go:5 +0x39\nexit status 2";
    let rust = "thread 'main' panicked at src/main.rs:2:5:\nboom\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
    let ruby =
        "a.rb:3:in `divided': boom (ZeroDivisionError)\n\tfrom a.rb:3:in `f'\n\tfrom a.rb:7:in `<main>'";
    let dotnet = "Unhandled exception. System.InvalidOperationException: x\n ---> System.Exception: y\n   at A.B() in C.cs:line 1\n   --- End of inner exception stack trace ---\n   at A.C()";
    let php = "[01-Nov-2026 00:00:00 UTC] PHP Fatal error:  Uncaught Exception: x in /a.php:3\nStack trace:\n#0 {main}\n  thrown in /a.php on line 3";
    let node = "Error: boom\n    at f (/a.js:1:2) {\n  code: 'X'\n}";
    let postgres = "2026-11-01 00:00:00.123 UTC [7] LOG:  statement: select 1\n\tfrom x\n\twhere y";
    let aspnet = "info: Microsoft.Hosting.Lifetime[14]\n      Now listening on: http://localhost:5000";
    for (text, lines) in
        [(go, 6), (rust, 3), (ruby, 3), (dotnet, 5), (php, 4), (node, 4), (postgres, 3), (aspnet, 2)]
    {
        check(text, &[lines]);
        check(
            &format!("{text}\n2026-11-01 00:00:00 INFO next\n2026-11-01 00:00:00 INFO next"),
            &[lines, 1, 1],
        );
    }
}

#[test]
fn what_programs_write_over_several_lines() {
    check("2026-11-01 00:00:00 request\nGET / HTTP/1.1\nHost: x\n\nbody\n2026-11-01 00:00:01 done", &[5, 1]);
    check("{\n  \"time\": \"2026-11-01T00:00:00Z\",\n  \"a\": [\n    1\n  ]\n}\n{\n}", &[6, 2]);
    check("first \\\nsecond \\\nthird\nfourth", &[3, 1]);
    check(
        "# Time: 2026-11-01T00:00:00Z\n# User@Host: a[a] @ b []\n# Query_time: 1\nselect 1;\n# User@Host: c\nselect 2;",
        &[4, 2],
    );
    check("=== Start ===\nx\n=== End ===", &[1, 1, 1]);
}

#[test]
fn lines_that_stand_for_themselves() {
    for line in [
        "plain words",
        "INFO:     127.0.0.1 - GET /",
        "2026-11-01T00:00:00Z host app: at a(b)",
        "Nov  1 00:00:00 host app[1]: \tindented",
        "<34>Nov 11 00:00:00 mymachine su: x",
        "10.0.0.1 - - [01/Nov/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1",
        "::1 - - [01/Nov/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1",
        "[error] AGENT: x",
        "[    0.000000] Linux version",
        "time=2026-11-01T00:00:00Z level=info msg=x",
        "  2026-11-01 00:00:00 padded",
        r#"{"time":"2026-11-01T00:00:00Z","msg":"x"}"#,
        "web-1 2026-11-01 00:00:00 the time comes late",
        "I1101 00:00:00.000000       1 main.go:1] x",
    ] {
        check(&format!("{line}\n{line}\n{line}"), &[1, 1, 1]);
    }
    check("2026-11-01 00:00:00 started\nINFO:     listening\nINFO:     ready", &[1, 1, 1]);
}

#[test]
fn envelopes_are_opened() {
    let docker = |stream: &str, log: &str| {
        format!("{{\"log\":\"{log}\",\"stream\":\"{stream}\",\"time\":\"2026-11-01T00:00:00.1Z\"}}\n")
    };
    let text =
        docker("stdout", "a part ") + &docker("stdout", "and its rest\\n") + &docker("stdout", "next\\n");
    check(&text, &[2, 1]);
    check(&(docker("stderr", "part") + &docker("stdout", "other\\n")), &[1, 1]);
    let trace = docker("stderr", "a.B: x\\n")
        + &docker("stderr", "\\tat a.B.c(B.java:1)\\n")
        + &docker("stderr", "on\\n");
    check(&trace, &[2, 1]);
    let cri = |tag: &str, text: &str| format!("2026-11-01T00:00:00.123456789Z stdout {tag} {text}\n");
    check(&(cri("P", "a ") + &cri("P", "b ") + &cri("F", "c") + &cri("F", "d")), &[3, 1]);
    check(
        &(cri("F", "ERROR x") + &cri("F", "java.io.IOException: y") + &cri("F", "\tat a.B.c(D.java:1)")),
        &[3],
    );
}

#[test]
fn a_record_has_the_message_of_all_its_lines() {
    let body = |text: &str| {
        let batch = parser().parse(raw(&[text.as_bytes()]));
        let record = batch.records()[0];
        if let Some(rendered) = batch.render(0) {
            assert_eq!(String::from_utf8(rendered.unwrap()).unwrap(), text);
        }
        (batch.text(record.body).to_owned(), record.severity.name())
    };
    let text = "2026-11-01 00:00:00,123 [main] WARN  x\r\njava.io.IOException: y\r\n\tat z\r\n";
    assert_eq!(body(text), ("x\r\njava.io.IOException: y\r\n\tat z".to_owned(), "WARNING"));
    assert_eq!(body("Traceback (most recent call last):\n  x\nKeyError: 'y'").1, "ERROR");
    let cri = "2016-10-06T00:17:09Z stdout P half \n2016-10-06T00:17:09Z stdout F and half";
    assert_eq!(body(cri).0, "half and half");
    let json = "{\n  \"time\": \"2026-11-01T00:00:00Z\",\n  \"level\": \"warn\", \"msg\": \"x\"\n}";
    assert_eq!(body(json), ("x".to_owned(), "WARNING"));
    let access = "10.0.0.1 - - [01/Nov/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 500 1\n  more";
    assert!(body(access).0.ends_with("\n  more"));
}

#[test]
fn a_source_of_several_programs_is_left_alone_in_time() {
    let stray = "listening\n".repeat(300);
    let text = format!("2026-11-01 00:00:00 started\n{stray}2026-11-01 00:00:01 x\nstray\n\tindented\n");
    let counts = joined(&text, &mut Joiner::default());
    assert_eq!(counts.iter().sum::<usize>(), 304);
    assert_eq!(counts[0], 1 + STRAYS_MAX as usize);
    assert_eq!(counts[counts.len() - 3..], [1, 1, 2]);
}

#[test]
fn a_pattern_tells_the_first_line() {
    let mut joiner = FirstLine::new("^(BEGIN|=>)").unwrap();
    assert_eq!(joined("BEGIN a\nb\n2026-11-01 00:00:00 c\n=> d\ne", &mut joiner), [3, 2]);
    assert!(FirstLine::new("(").is_err());
}

#[test]
fn only_what_may_go_on_waits() {
    let mut joiner = Joiner::default();
    for (record, waits) in [
        ("2026-11-01 00:00:00 ERROR failed", false),
        ("plain", false),
        ("Traceback (most recent call last):", true),
        ("config:", true),
        ("a\n b", true),
        ("2026-11-01T00:00:00Z stdout P part", true),
        ("2026-11-01T00:00:00Z stdout F whole", false),
    ] {
        assert_eq!(joiner.is_open(record.as_bytes()), waits, "{record}");
    }
    assert!(joiner.goes_on(b"2026-11-01 00:00:00 ERROR failed", b"\tat x"));
    assert!(joiner.is_open(b"2026-11-01 00:00:00 ERROR failed"), "traces come in this source");
    assert!(!joiner.is_open(b"2026-11-01 00:00:00 INFO done"));
}

#[test]
fn long_records_cost_no_more_than_their_length() {
    let mut joiner = Joiner::default();
    let started = Instant::now();
    for start in ["Traceback (most recent call last):", "2026-11-01 00:00:00 x", "{", "panic: x"] {
        let mut record = start.to_owned();
        for _ in 0..1_000 {
            let line = "  File \"a.py\", line 1, in f";
            joiner.goes_on(record.as_bytes(), line.as_bytes());
            record.push('\n');
            record.push_str(line);
            joiner.goes_on(record.as_bytes(), b"stray line");
        }
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}
