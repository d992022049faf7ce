//! How long a line takes: `CORPUS=FILE cargo bench -p taffrail-parse`; without a file it makes lines itself.
//!
//! `cargo xtask bench` reads the CPU of all lines together from what this prints.

use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use fs_err as fs;
use taffrail_parse::{Context, Parser};
use taffrail_record::{RawBatch, RawLine, Span, Timestamp};

const LINES_A_BATCH: usize = 8192;
const BYTES_MAX: u64 = 256 << 20;
const OBSERVED: Timestamp = Timestamp(1_795_132_800_000_000_000);

fn main() {
    if let Some(path) = std::env::var_os("CORPUS") {
        let mut bytes = Vec::new();
        let file = fs::File::open(path.to_string_lossy().into_owned()).expect("CORPUS names a readable file");
        file.take(BYTES_MAX).read_to_end(&mut bytes).expect("CORPUS can be read");
        return measure("corpus", &bytes);
    }
    for (name, line) in [
        (
            "rsyslog",
            "2026-11-01T00:00:00.006000+00:00 web-06 sshd[23165]: combo authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=138.53.77.83  user=root",
        ),
        (
            "bsd",
            "Nov  1 00:00:00 web-06 sshd[23165]: combo authentication failure; logname= uid=0 euid=0 tty=NODEVssh",
        ),
        (
            "json",
            r#"{"time":"2026-11-01T00:00:00.123Z","level":"info","msg":"request done","method":"GET","path":"/api/v1/orders","status":200,"ms":12.5,"user":{"id":7,"name":"ann"}}"#,
        ),
        (
            "docker",
            r#"{"log":"2026 INFO something was done with \"quotes\"\n","stream":"stdout","time":"2026-11-01T00:00:00.123456789Z"}"#,
        ),
        (
            "access",
            r#"71.58.222.114 - - [01/Nov/2026:00:00:00 +0000] "GET /health HTTP/1.1" 200 4030 "-" "Mozilla/5.0 (X11; Linux x86_64) Chrome/124.0 Safari/537.36""#,
        ),
        (
            "logfmt",
            r#"time=2026-11-01T00:00:00Z level=info msg="request done" method=GET path=/api status=200 ms=12"#,
        ),
        (
            "stamped",
            "2026-11-01 00:00:00,123 [main] INFO c.e.App - something was done and this is its message",
        ),
        (
            "plain",
            "something was done and this is its message, which has no fields at all but for some words",
        ),
    ] {
        let mut bytes = Vec::new();
        for number in 0..200_000 {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(
                format!(
                    "{}\n",
                    if name.len() > 4 && name != "docker" { number.to_string() } else { String::new() }
                )
                .as_bytes(),
            );
        }
        measure(name, &bytes);
    }
}

#[allow(clippy::print_stdout)] // A benchmark reports on standard output.
fn measure(name: &str, bytes: &[u8]) {
    let mut parser =
        Parser::new(Context { service: "bench".into(), node: "bench".into(), offset_minutes: 0 });
    // By batch: the median forgives a busy machine, the sum does not.
    let (mut spent, mut lines, mut rest) = (Vec::new(), 0usize, bytes);
    let mut cpu = Duration::ZERO;
    while !rest.is_empty() {
        let (batch, used) = cut(rest);
        rest = &rest[used..];
        let count = batch.lines.len();
        let (start, used) = (Instant::now(), ThreadTime::now());
        let batch = parser.parse(black_box(batch));
        cpu += used.elapsed();
        spent.push(start.elapsed().as_nanos() as f64 / count as f64);
        lines += count;
        black_box(batch);
    }
    spent.sort_by(f64::total_cmp);
    let (best, median) = (spent[0], spent[spent.len() / 2]);
    let million = 1e3 / median;
    let all = cpu.as_nanos() as f64 / bytes.len() as f64;
    println!(
        "{name:>10}: {lines:>9} lines, {million:6.2} M lines/s, {median:6.1} ns/line (best {best:6.1}), \
         {all:.4} ns of CPU a byte"
    );
}

/// The next lines as a source would hand them over, and the bytes they take.
fn cut(bytes: &[u8]) -> (RawBatch, usize) {
    let mut lines = Vec::with_capacity(LINES_A_BATCH);
    let mut start = 0;
    while lines.len() < LINES_A_BATCH && start < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        lines.push(RawLine {
            span: Span::new(start, end),
            offset: start as u64,
            newline: end < bytes.len(),
            joined: false,
        });
        start = (end + 1).min(bytes.len());
    }
    let batch = RawBatch {
        source: "/var/log/syslog".into(),
        observed: OBSERVED,
        bytes: bytes[..start].to_vec(),
        lines,
        header: None,
        gaps: Vec::new(),
        checkpoint: Default::default(),
    };
    (batch, start)
}
