//! How fast records become a segment, step by step: `CORPUS=file cargo bench -p taffrail-store`.
#![allow(missing_docs, clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use taffrail_parse::{Context, Parser};
use taffrail_record::{Checkpoint, RawBatch, RawLine, Span, Timestamp};
use taffrail_store::index::file::RowGroupIndex;
use taffrail_store::segment::writer::Shape;

const ROWS: usize = 64 * 1024;

fn main() {
    let Some(path) = std::env::var_os("CORPUS") else {
        println!("set CORPUS to a log file to measure with (`cargo xtask corpus` writes one)");
        return;
    };
    let bytes = fs_err::read(path).expect("CORPUS is readable");
    let mut parser =
        Parser::new(Context { service: "bench".into(), node: "bench".into(), offset_minutes: 0 });
    let mut times: [(&str, Duration); 4] = [
        ("parse", Duration::ZERO),
        ("columns", Duration::ZERO),
        ("index", Duration::ZERO),
        ("encode all", Duration::ZERO),
    ];
    let (mut rows, mut shape) = (0, None);
    for raw in batches(&bytes) {
        let mut lap = Instant::now();
        let mut next = |slot: usize| {
            times[slot].1 += lap.elapsed();
            lap = Instant::now();
        };
        rows += raw.lines.len();
        let batch = parser.parse(raw);
        next(0);
        let columns = taffrail_store::from_batch(batch).expect("columns");
        next(1);
        std::hint::black_box(RowGroupIndex::new(&columns));
        next(2);
        let shape = shape.get_or_insert_with(|| Arc::new(Shape::for_batch(&columns, None).expect("shape")));
        std::hint::black_box(shape.encode(&columns).expect("encodes"));
        next(3);
    }
    for (name, time) in times {
        println!(
            "{name:12} {:6.3} s  {:5.0} ns/line",
            time.as_secs_f64(),
            time.as_nanos() as f64 / rows as f64
        );
    }
    println!("{rows} lines; `encode all` includes the index");
}

/// The file as raw batches of a row group each.
fn batches(bytes: &[u8]) -> impl Iterator<Item = RawBatch> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let mut lines = Vec::with_capacity(ROWS);
        while lines.len() < ROWS && at < bytes.len() {
            let len = bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
            lines.push(RawLine {
                span: Span::new(at - start, at - start + len),
                offset: at as u64,
                newline: true,
                joined: false,
            });
            at = (at + len + 1).min(bytes.len());
        }
        let batch = RawBatch {
            source: "/bench.log".into(),
            observed: Timestamp(0),
            bytes: bytes[start..at].to_vec(),
            lines,
            header: None,
            gaps: Vec::new(),
            checkpoint: Checkpoint::default(),
        };
        (at > start).then_some(batch)
    })
}
