//! Any bytes: one record a line, no panic, and layouts that give the line back.

use proptest::prelude::*;
use taffrail_record::{LogBatch, RawLine, Span};

use crate::formats::tests::{OBSERVED, parser, raw};

/// One line of every format, to be broken by the property tests.
const SAMPLES: &[&str] = &[
    r#"{"time":"2026-11-01T00:00:00Z","level":"INFO","msg":"hi\n","n":5,"x":0.120,"o":{"a":[1,"b"]}}"#,
    r#"{"level":30,"time":1793491200006,"pid":7,"hostname":"web","msg":"a\u001bb","e":{},"d":null}"#,
    r#"{"log":"ERROR boom\n","stream":"stderr","time":"2026-11-01T00:00:00.123456789Z"}"#,
    r#"{"MESSAGE":"a\"b","PRIORITY":"3","_PID":"12","_SYSTEMD_UNIT":"x.service","__REALTIME_TIMESTAMP":"1793491200006000"}"#,
    "2016-10-06T00:17:09.669794202Z stdout F hello",
    "2026-11-01T00:00:00.006000+00:00 web-06 sshd[23165]: Failed password",
    "Nov  1 00:00:00 web-06 sshd[23165]: Failed password",
    "<34>Nov 11 00:00:00 mymachine su: 'su root' failed",
    "<165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [ex@32473 iut=\"3\" x=\"a\\]\"] An event",
    r#"71.58.222.114 - bob [01/Nov/2026:00:00:00 +0000] "GET /x HTTP/1.1" 200 4030 "-" "curl/8" rt=0.2"#,
    "2026/11/01 00:00:00 [error] 1234#5678: *9 open() failed, client: 1.2.3.4, server: _",
    "[Sun Nov 01 00:00:00.123456 2026] [core:error] [pid 1234:tid 5] [client 1.2.3.4:567] AH00126",
    "2026-11-01 00:00:00 - ERROR - HERMES - cannot deliver",
    "2026-11-01T00:00:00.5|warn|a_b|message",
    "[ERROR] HERMES: no route",
    "Warning: {old}",
    "2026-11-01 00:00:00,123 [main] DEBUG c.e.App - x",
    "[2026-11-01 00:00:00 +0100] [error] x",
    "2026-11-01 00:00:00.5 UTC [77] FATAL:  gone",
    r#"time=2026-11-01T00:00:00Z level=warn msg="slow \"q\"" ms=512 level=x e="#,
    "plain text",
    "",
];

fn one(line: &[u8], newline: bool) -> LogBatch {
    let mut raw = raw(&[line]);
    raw.lines[0].newline = newline;
    parser().parse(raw)
}

/// What must hold for every line.
fn assert_sound(line: &[u8]) {
    let batch = parser().parse(raw(&[line, b"between", line]));
    assert_eq!(batch.len(), 3);
    for index in [0, 2] {
        assert_line(&batch, index, line);
    }
    for newline in [true, false] {
        let batch = one(line, newline);
        assert_line(&batch, 0, line);
        let layout = &batch.layouts()[usize::from(batch.records()[0].layout)];
        assert_eq!(taffrail_record::layout::has_newline(layout), newline, "{layout}");
    }
}

fn assert_line(batch: &LogBatch, index: usize, line: &[u8]) {
    let record = &batch.records()[index];
    assert_eq!(batch.bytes(record.raw), line);
    let texts = [record.body, record.node, record.service];
    for span in texts.into_iter().chain(batch.attributes(index).iter().map(|attribute| attribute.value)) {
        assert!(std::str::from_utf8(batch.bytes(span)).is_ok());
    }
    if let Some(rendered) = batch.render(index) {
        let rendered = rendered.unwrap();
        assert_eq!(String::from_utf8_lossy(&rendered), String::from_utf8_lossy(line));
        assert_eq!(rendered, line);
    }
}

#[test]
fn samples_are_sound_and_need_no_raw_line() {
    for sample in SAMPLES {
        assert_sound(sample.as_bytes());
        let batch = one(sample.as_bytes(), true);
        let whole = sample.contains("\\]") || sample.contains("level=x");
        assert_eq!(batch.records()[0].layout == 0, whole, "{sample}");
    }
}

#[test]
fn what_a_line_becomes_does_not_depend_on_its_neighbours() {
    let lines: Vec<_> = SAMPLES.iter().cycle().take(SAMPLES.len() * 3).map(|line| line.as_bytes()).collect();
    let together = parser().parse(raw(&lines));
    for (index, line) in lines.iter().enumerate() {
        let alone = one(line, true);
        let (left, right) = (&together.records()[index], &alone.records()[0]);
        assert_eq!((left.timestamp, left.severity), (right.timestamp, right.severity));
        for (a, b) in [(left.body, right.body), (left.node, right.node), (left.service, right.service)] {
            assert_eq!(together.text(a), alone.text(b));
        }
        assert_eq!(together.layouts()[usize::from(left.layout)], alone.layouts()[usize::from(right.layout)]);
        assert_eq!(together.attributes(index).len(), alone.attributes(0).len());
    }
}

#[test]
fn other_encodings_are_parsed_in_a_readable_copy() {
    let batch = one(b"2026-11-01T00:00:00Z h app[1]: caf\xe9 ERROR\r", true);
    let record = &batch.records()[0];
    assert_eq!(batch.text(record.body), "caf\u{e9} ERROR");
    assert_eq!(batch.text(record.service), "app");
    assert_eq!((record.layout, record.severity.name()), (0, "ERROR"));
    assert_eq!(record.timestamp.0, 1_793_491_200_000_000_000);
}

#[test]
fn defaults_come_from_the_context_and_the_source() {
    let batch = one(b"hello", true);
    let record = &batch.records()[0];
    assert_eq!(batch.text(record.service), "default");
    assert_eq!(batch.text(record.node), "here");
    assert_eq!((record.timestamp, record.observed), (OBSERVED, OBSERVED));
    assert_eq!(&*batch.sources()[usize::from(record.source)], "/var/log/x.log");
}

#[test]
fn layouts_and_keys_are_bounded() {
    let lines: Vec<String> = (0..10_000).map(|number| format!(r#"{{"msg":"m","k{number}":1}}"#)).collect();
    let batch = parser().parse(raw(&lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>()));
    assert!(batch.layouts().len() <= 4097 && batch.keys().len() <= 4097);
    for (index, line) in lines.iter().enumerate() {
        assert_line(&batch, index, line.as_bytes());
    }
    let members: String = (0..1000).map(|number| format!(r#","k{number}":1"#)).collect();
    let line = format!(r#"{{"msg":"m"{members}}}"#);
    let batch = one(line.as_bytes(), true);
    assert_eq!(batch.attributes(0).len(), 255);
    assert_line(&batch, 0, line.as_bytes());
}

#[test]
fn a_span_outside_of_the_bytes_is_an_empty_line() {
    let mut raw = raw(&[b"abc"]);
    raw.lines.push(RawLine { span: Span::new(3, 30), offset: 3, newline: true, joined: false });
    let batch = parser().parse(raw);
    assert_eq!((batch.len(), batch.bytes(batch.records()[1].raw)), (2, &b""[..]));
}

/// A sample with some bytes deleted, doubled or replaced.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let interesting = proptest::sample::select(&b" :[]{}\"\\=-|.,+TZ09aE<>\n\r\t\0\xc3\xa9\xff"[..]);
    let edits = proptest::collection::vec((any::<proptest::sample::Index>(), 0..4u8, interesting), 0..5);
    let suffix = prop_oneof![Just(""), Just("\r"), Just(" é{x}"), Just("}")];
    (proptest::sample::select(SAMPLES), edits, suffix).prop_map(|(sample, edits, suffix)| {
        let mut line = sample.as_bytes().to_vec();
        for (index, kind, byte) in edits {
            let at = index.index(line.len() + 1);
            match kind {
                0 if at < line.len() => drop(line.remove(at)),
                1 => line.insert(at, byte),
                2 if at < line.len() => line[at] = byte,
                3 => line.truncate(at.max(10)),
                _ => {}
            }
        }
        line.extend_from_slice(suffix.as_bytes());
        line
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_sound(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        assert_sound(&line);
    }

    #[test]
    fn broken_samples_are_sound(line in mutated()) {
        assert_sound(&line);
    }

    #[test]
    fn texts_of_format_bytes_are_sound(line in r#"[{\[<]?(2026-11-01[T ]00:00:00)?[-a-cE=:" \[\]{}|.\\,0-9<>]{0,60}"#) {
        assert_sound(line.as_bytes());
    }

    #[test]
    fn any_cut_of_any_batch_is_sound(
        lines in proptest::collection::vec(mutated(), 1..4),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 2..6),
    ) {
        // Spans that start and end anywhere, inside of characters too.
        let slices: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let mut raw = raw(&slices);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(raw.bytes.len())).collect();
        ends.sort_unstable();
        raw.lines = ends
            .windows(2)
            .map(|pair| RawLine { span: Span::new(pair[0], pair[1]), offset: pair[0] as u64, newline: true, joined: false })
            .collect();
        let (bytes, spans) = (raw.bytes.clone(), raw.lines.clone());
        let batch = parser().parse(raw);
        for (index, line) in spans.iter().enumerate() {
            assert_line(&batch, index, line.span.of(&bytes));
        }
    }
}

#[test]
fn times_that_can_hardly_be_right_are_marked_and_kept() {
    for (time, doubt) in [
        ("2026-11-21T01:00:00Z", None),
        ("2026-11-22T00:00:00Z", Some("future")),
        ("2016-11-20T00:00:00Z", None),
        ("2001-12-01T00:00:00Z", None),
        ("1970-01-01T00:00:10Z", Some("past")),
        ("2262-01-01T00:00:00Z", Some("future")),
    ] {
        let line = format!("{time} h app[1]: x");
        let batch = one(line.as_bytes(), true);
        let named = |name: &str| {
            let of =
                |attribute: &&taffrail_record::Attribute| &*batch.keys()[usize::from(attribute.key)] == name;
            batch.attributes(0).iter().find(of).map(|attribute| batch.text(attribute.value))
        };
        assert_eq!(named("time_doubt"), doubt, "{time}");
        assert_ne!(batch.records()[0].timestamp, OBSERVED, "{time}");
        assert_eq!(String::from_utf8(batch.render(0).unwrap().unwrap()).unwrap(), line);
    }
}

#[test]
fn the_path_of_a_container_names_it_on_all_its_records() {
    let mut batch = raw(&[b"2026-11-01T00:00:00Z stdout F {\"pod\":\"own\",\"msg\":\"a\"}", b"plain"]);
    batch.source = "/var/log/pods/shop_cart-7d_1-2-3/app/0.log".into();
    let batch = parser().parse(batch);
    let shown = |index: usize| -> Vec<String> {
        let name = |attribute: &taffrail_record::Attribute| {
            let key = &batch.keys()[usize::from(attribute.key)];
            format!("{key}={}", batch.text(attribute.value))
        };
        batch.attributes(index).iter().map(name).collect()
    };
    assert_eq!(shown(0), ["stream=stdout", "logtag=F", "pod=own", "namespace=shop", "container=app"]);
    assert_eq!(shown(1), ["namespace=shop", "pod=cart-7d", "container=app"]);
}
