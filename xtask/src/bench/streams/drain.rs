//! How fast one client can be: lines of JSON over TCP, against an import of the same lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use fs_err as fs;

use super::{Figure, Following, PATIENCE, ROUNDS, Report, Site};
use crate::bench::figure::Check;
use crate::bench::follow::scratch;
use crate::bench::process::cost;

/// Lines of the corpus that are sent.
const LINES: u64 = 1_000_000;
/// Lines that are written ahead of the client: it must not be too slow for its buffer.
const AHEAD: u64 = 200_000;
/// Lines that are written at once.
const STEP: u64 = 10_000;
const PAUSE: Duration = Duration::from_micros(200);

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    let (_scratch, folder) = scratch(following)?;
    let part = folder.join("part.log");
    let lines = first_lines(following, &part)?;
    let (mut imports, mut drains) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut import = Command::new(&following.binary);
        import.arg("import").arg("--data").arg(folder.join(format!("imported-{round}"))).arg(&part);
        imports.push(cost(import.stdout(Stdio::null()).stderr(Stdio::null()))?.wall);
        let (drained, taken) = drain_all(following, &part, lines)?;
        drains.push(drained);
        report.checks.push(Check {
            name: "one client over TCP has every line".to_owned(),
            detail: format!("{taken} of {lines}"),
            is_right: taken == lines,
        });
    }
    let least = |times: &[Duration]| times.iter().min().copied().unwrap_or_default();
    let name = "one client over TCP / import, wall, same lines";
    report.figures.push(Figure::times(name, [2.0, 1.0], least(&drains), least(&imports)));
    report.note(&format!("{name}, rounds"), format!("{drains:.2?} against {imports:.2?}"));
    Ok(())
}

/// The time until one client has all lines, while they are written; and how many it has.
fn drain_all(following: &Following, part: &Path, lines: u64) -> Result<(Duration, u64)> {
    let site = Site::start(following, AHEAD as usize * 2)?;
    let client = TcpStream::connect(("127.0.0.1", site.lines_port))?;
    client.set_read_timeout(Some(PATIENCE))?;
    site.seated(1)?;
    let taken = AtomicU64::new(0);
    let start = Instant::now();
    let drained = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&site, part, &taken));
        let drained = drain(client, lines, &taken, start);
        writer.join().expect("the writer does not panic").and(drained)
    });
    let drained = drained?;
    site.daemon.stop()?;
    Ok((drained, taken.into_inner()))
}

/// Writes the first lines of the corpus; how many there are, empty ones left out as streams leave them out.
fn first_lines(following: &Following, part: &Path) -> Result<u64> {
    let mut corpus = BufReader::with_capacity(1 << 20, fs::File::open(&following.corpus)?);
    let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(part)?);
    let (mut line, mut lines) = (Vec::new(), 0);
    while lines < LINES && corpus.read_until(b'\n', &mut line)? > 0 {
        lines += u64::from(line != b"\n");
        file.write_all(&line)?;
        line.clear();
    }
    file.flush()?;
    Ok(lines)
}

fn write(site: &Site, part: &Path, taken: &AtomicU64) -> Result<()> {
    let mut part = BufReader::with_capacity(1 << 20, fs::File::open(part)?);
    let mut log = fs::OpenOptions::new().append(true).open(&site.log)?;
    let (mut step, mut written) = (Vec::new(), 0);
    let until = Instant::now() + PATIENCE;
    loop {
        step.clear();
        let mut count = 0;
        while count < STEP && part.read_until(b'\n', &mut step)? > 0 {
            count += 1;
        }
        if count == 0 || Instant::now() > until {
            return Ok(());
        }
        while written > taken.load(Ordering::Relaxed) + AHEAD && Instant::now() < until {
            std::thread::sleep(PAUSE);
        }
        log.write_all(&step)?;
        written += count;
    }
}

/// Reads until all lines are there; the time of the last.
fn drain(client: TcpStream, lines: u64, taken: &AtomicU64, start: Instant) -> Result<Duration> {
    let mut client = BufReader::with_capacity(1 << 20, client);
    while taken.load(Ordering::Relaxed) < lines {
        let bytes = client.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        let (count, length) = (memchr::memchr_iter(b'\n', bytes).count() as u64, bytes.len());
        taken.fetch_add(count, Ordering::Relaxed);
        client.consume(length);
    }
    Ok(start.elapsed())
}
