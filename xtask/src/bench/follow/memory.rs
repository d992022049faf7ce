//! Memory over a long run: millions of lines through one file that is rotated now and then.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use fs_err as fs;
use taffrail_testkit::Daemon;

use super::{Following, Report, read_to, scratch};
use crate::bench::figure::{Figure, Unit, mib};
use crate::bench::process;
use crate::corpus::Generator;

/// Lines between two rotations; the disk holds two files of so many.
const LINES_PER_FILE: u64 = 250_000;
/// Lines written at once.
const STEP_LINES: u64 = 1_000;
/// What is stored, at most: seals, merges and removals are part of a long run.
const CONFIG: &str = "[retention]\nmax_size = \"256 MiB\"\n\n[[source]]\npath = [\"{log}\"]\n";
/// By so much memory may differ at two moments of a steady run: what is in the memtable, what the allocator keeps.
const TOLERANCE_MIB: f64 = 32.0;
/// Until the last seal is over.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    let (_scratch, folder) = scratch(following)?;
    let log = folder.join("long.log");
    fs::write(&log, "")?;
    let config = folder.join("taffrail.toml");
    fs::write(&config, CONFIG.replace("{log}", &log.display().to_string()))?;
    let daemon = Daemon::builder(&following.binary, folder.join("data")).arg("-c").arg(&config).start()?;
    let mut writer = Writer { generator: Generator::new(7)?, bytes: 0, lines: 0 };
    let early_lines = following.long_run_lines / 5;
    writer.write_to(early_lines, &daemon, &log)?;
    let early = memory(&daemon)?;
    writer.write_to(following.long_run_lines, &daemon, &log)?;
    let late = memory(&daemon)?;
    let peak = process::status_bytes(daemon.pid(), "VmHWM:")?;
    daemon.stop()?;
    let growth = mib(late) - mib(early);
    let millions = |lines: u64| format!("{:.1}", lines as f64 / 1e6);
    let name = format!("memory, from {} to {} million lines", millions(early_lines), millions(writer.lines));
    report.figures.push(Figure::absolute(&name, [TOLERANCE_MIB, TOLERANCE_MIB / 4.0], growth, Unit::MiB));
    report.note(
        "memory early, late, peak",
        format!("{:.1}, {:.1}, {:.1} MiB", mib(early), mib(late), mib(peak)),
    );
    Ok(())
}

fn memory(daemon: &Daemon) -> Result<u64> {
    std::thread::sleep(SETTLE);
    process::status_bytes(daemon.pid(), "VmRSS:")
}

struct Writer {
    generator: Generator,
    bytes: u64,
    lines: u64,
}

impl Writer {
    /// Writes until so many lines are written, rotating; returns when all are read.
    fn write_to(&mut self, lines: u64, daemon: &Daemon, log: &Path) -> Result<()> {
        let open = || fs::OpenOptions::new().append(true).create(true).open(log);
        let mut file = open()?;
        while self.lines < lines {
            let mut step = Vec::new();
            for _ in 0..STEP_LINES.min(lines - self.lines) {
                self.generator.fill_line(&mut step);
                step.push(b'\n');
                self.lines += 1;
            }
            file.write_all(&step)?;
            self.bytes += step.len() as u64;
            if self.lines % LINES_PER_FILE < STEP_LINES {
                // Else it would run away from a slow machine.
                read_to(daemon, log, self.bytes)?;
                fs::rename(log, log.with_extension("log.1"))?;
                file = open()?;
            }
        }
        read_to(daemon, log, self.bytes)
    }
}
