//! Any bytes are lines: each becomes one record, whose layout writes it again, in time that its length bounds.
#![no_main]

use std::sync::Once;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use taffrail_parse::{Context, Parser, format_names};
use taffrail_record::{RawBatch, RawLine, Span, Timestamp};

/// A line of this length takes a few hundred microseconds with the sanitizer; what takes this long is not linear.
const PATIENCE: Duration = Duration::from_millis(250);

static FORMATS: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        let span = Span::new(at, at + line.len());
        lines.push(RawLine { span, offset: at as u64, newline: at + line.len() < bytes.len(), joined: false });
        at += line.len() + 1;
    }
    // The whole is a record of several lines, too.
    lines.push(RawLine { span: Span::new(0, bytes.len()), offset: 0, newline: false, joined: bytes.contains(&b'\n') });
    let count = lines.len();
    let raw = RawBatch {
        source: "/fuzz.log".into(),
        observed: Timestamp(1_795_132_800_000_000_000),
        bytes: bytes.to_vec(),
        lines,
        header: taffrail_record::header::of_head(bytes),
        gaps: Vec::new(),
        checkpoint: Default::default(),
    };
    let context = Context { service: "service".into(), node: "node".into(), offset_minutes: 60 };
    // The formats are read once a process, at the first look at one.
    FORMATS.call_once(|| assert!(format_names().count() > 0));
    let started = Instant::now();
    let batch = Parser::new(context).parse(raw);
    assert!(started.elapsed() < PATIENCE * (1 + bytes.len() as u32 / 4_096), "{:?}", started.elapsed());
    assert_eq!(batch.len(), count);
    for (index, record) in batch.records().iter().enumerate() {
        if let Some(rendered) = batch.render(index) {
            assert_eq!(rendered.unwrap(), batch.bytes(record.raw));
        }
        let spans = [record.body, record.node, record.service];
        let values = batch.attributes(index).iter().map(|attribute| attribute.value);
        for span in spans.into_iter().chain(values) {
            std::str::from_utf8(batch.bytes(span)).unwrap();
        }
    }
});
