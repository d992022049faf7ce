//! What an import says: a progress bar while it runs, the sums at its end.

use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use taffrail_record::RawBatch;

use super::files::Input;
use crate::config::unit;
use crate::exit::Outcome;
use crate::terminal::{Terminal, escape};

/// The sums of an import.
pub(super) struct Report {
    started: Instant,
    bar: Option<ProgressBar>,
    terminal: Terminal,
    lines: u64,
    records: u64,
    bytes: u64,
    lost_bytes: u64,
    skipped: usize,
    failed: bool,
}

impl Report {
    pub(super) fn new(terminal: Terminal, total_bytes: Option<u64>) -> Self {
        let bar = terminal.hints.then(|| {
            let bar = total_bytes.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let template = match total_bytes {
                Some(_) => "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                None => "{spinner} {bytes} {bytes_per_sec}",
            };
            bar.with_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        let started = Instant::now();
        Self {
            started,
            bar,
            terminal,
            lines: 0,
            records: 0,
            bytes: 0,
            lost_bytes: 0,
            skipped: 0,
            failed: false,
        }
    }

    /// Counts a batch that was read.
    pub(super) fn add(&mut self, batch: &RawBatch) {
        let bytes: u64 =
            batch.lines.iter().map(|line| u64::from(line.span.len) + u64::from(line.newline)).sum();
        self.lines += batch.line_count();
        self.records += batch.lines.len() as u64;
        self.bytes += bytes;
        self.lost_bytes += batch.gaps.iter().map(|gap| gap.end - gap.start).sum::<u64>();
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    /// A file that was not read at all.
    pub(super) fn skip(&mut self, path: &Path, reason: &str) {
        self.skipped += 1;
        self.say(&format!("skipped {}: {reason}", path.display()));
    }

    /// The end of one input.
    pub(super) fn done(&mut self, input: &Input, failure: Option<anyhow::Error>) {
        if input.stored_bytes > 0 {
            self.say(&format!(
                "{}: {} were stored before and are not read again",
                input.name,
                unit::human_bytes(input.stored_bytes)
            ));
        }
        if let Some(failure) = failure {
            self.failed = true;
            self.say(&format!("{}: {failure:#}", input.name));
        }
    }

    fn say(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.terminal.note(message)),
            None => self.terminal.note(message),
        }
    }

    /// Prints the sums; nothing imported and something skipped is a failure.
    #[expect(clippy::print_stdout, reason = "the sums are the command's output")]
    pub(super) fn finish(self) -> Outcome {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.lines as f64 / seconds.max(1e-9);
        println!(
            "{} lines{}, {} in {seconds:.2} s ({rate:.0} lines/s)",
            self.lines,
            if self.records == self.lines { String::new() } else { format!(" in {} records", self.records) },
            escape(&unit::human_bytes(self.bytes))
        );
        if self.lost_bytes > 0 {
            println!(
                "{} of overlong lines were left out, see `taffrail sql 'SELECT * FROM gaps'`",
                unit::human_bytes(self.lost_bytes)
            );
        }
        if self.skipped > 0 {
            println!("{} skipped", self.skipped);
        }
        match self.failed || self.skipped > 0 {
            true => Outcome::Failed,
            false => Outcome::Done,
        }
    }
}
