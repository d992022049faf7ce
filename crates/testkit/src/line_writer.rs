//! A program that logs: numbered lines at a rate, into a file that is rotated under it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::{numbered_lines, wait_until};

/// Lines written at once, at most; a writer that was held up catches up in such steps.
const BURST_LINES: u64 = 500;
/// How often the writer looks at the clock and at what it is asked.
const TICK: Duration = Duration::from_millis(1);
/// Longest wait for the writer to do what it is asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a writer opens its file anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reopens {
    /// As soon as it is asked.
    AtOnce,
    /// So long after it was asked; until then it goes on with the old file.
    After(Duration),
    /// Never: its file is truncated under it. It writes whole lines only, because nobody could tell the rest
    /// of a line whose beginning was truncated from a line.
    Never,
}

/// Writes on a thread of its own until it is stopped. It is asked through files in a folder, as a script of
/// `logrotate` can do it; the scripts are [`LineWriter::reopen_script`] and so on.
#[derive(Debug)]
pub struct LineWriter {
    asks: Asks,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// The files by which a writer is asked.
#[derive(Clone, Debug)]
struct Asks {
    /// Made by who asks, removed by the writer when it has opened its file anew.
    reopen: PathBuf,
    /// Made and removed by who asks: in between nothing is written.
    hold: PathBuf,
    /// Made by the writer when it holds, removed by it when it goes on.
    held: PathBuf,
}

impl LineWriter {
    /// Starts to append to `log`, which is made if it is missing; `asks` is a folder that `log` is not in.
    ///
    /// # Errors
    /// If `asks` cannot be made.
    pub fn start(log: &Path, asks: &Path, lines_per_second: u64, reopens: Reopens) -> io::Result<Self> {
        fs::create_dir_all(asks)?;
        let asks = Asks { reopen: asks.join("reopen"), hold: asks.join("hold"), held: asks.join("held") };
        let (written, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut program = Program {
            log: log.to_owned(),
            asks: asks.clone(),
            lines_per_second,
            reopens,
            reopen_at: None,
            written: Arc::clone(&written),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new().name("line-writer".to_owned());
        let thread = Some(thread.spawn(move || program.run())?);
        Ok(Self { asks, written, stop, thread })
    }

    /// How many lines are written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Waits until so many lines are written.
    ///
    /// # Errors
    /// If the writer does not get there.
    pub fn wait_for(&self, lines: u64) -> io::Result<()> {
        let ended = || self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        let _ = wait_until(PATIENCE, || self.written() >= lines || ended());
        match self.written() {
            written if written >= lines => Ok(()),
            written => Err(io::Error::other(format!("the writer stands at line {written}, not at {lines}"))),
        }
    }

    /// Shell commands that ask it to open its file anew, as a `kill -HUP` does.
    pub fn reopen_script(&self) -> String {
        format!("touch '{}'", self.asks.reopen.display())
    }

    /// The same, and wait until it has.
    pub fn reopen_and_wait_script(&self) -> String {
        format!(
            "{}; while [ -e '{}' ]; do sleep 0.01; done",
            self.reopen_script(),
            self.asks.reopen.display()
        )
    }

    /// Shell commands that hold it, and wait until it writes no more.
    pub fn hold_script(&self) -> String {
        let Asks { hold, held, .. } = &self.asks;
        format!("touch '{}'; while [ ! -e '{}' ]; do sleep 0.01; done", hold.display(), held.display())
    }

    /// Shell commands that let it go on, and wait until it does: the next hold must not see this one's answer.
    pub fn go_script(&self) -> String {
        let Asks { hold, held, .. } = &self.asks;
        format!("rm '{}'; while [ -e '{}' ]; do sleep 0.01; done", hold.display(), held.display())
    }

    /// Ends it and gives the number of lines it wrote.
    ///
    /// # Errors
    /// What kept it from writing.
    pub fn stop(mut self) -> io::Result<u64> {
        self.end()?;
        Ok(self.written())
    }

    fn end(&mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Release);
        let ended = self.thread.take().map(JoinHandle::join);
        ended.unwrap_or(Ok(Ok(()))).unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`.
        let _ = self.end();
    }
}

/// What the thread does.
struct Program {
    log: PathBuf,
    asks: Asks,
    lines_per_second: u64,
    reopens: Reopens,
    /// When a reopening that was asked for is due.
    reopen_at: Option<Instant>,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Program {
    fn run(&mut self) -> io::Result<()> {
        let mut file = open(&self.log)?;
        let mut busy = Duration::ZERO;
        let mut last = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            if self.hold()? {
                last = Instant::now();
                continue;
            }
            busy += last.elapsed();
            last = Instant::now();
            if self.reopen_is_due() {
                file = open(&self.log)?;
                fs::remove_file(&self.asks.reopen)?;
            }
            let due =
                u64::try_from(busy.as_micros()).unwrap_or(u64::MAX) / 1_000 * self.lines_per_second / 1_000;
            let written = self.written.load(Ordering::Acquire);
            if written >= due {
                std::thread::sleep(TICK);
                continue;
            }
            let end = due.min(written + BURST_LINES);
            self.write(&mut file, written, end)?;
            self.written.store(end, Ordering::Release);
        }
        Ok(())
    }

    /// Seven lines at a time, in two writes that are cut anywhere.
    fn write(&self, file: &mut fs::File, from: u64, to: u64) -> io::Result<()> {
        for start in (from..to).step_by(7) {
            let bytes = numbered_lines(start..to.min(start + 7));
            let cut = if self.reopens == Reopens::Never { 0 } else { start as usize % bytes.len() };
            let (first, rest) = bytes.split_at(cut);
            file.write_all(first)?;
            file.write_all(rest)?;
        }
        Ok(())
    }

    fn reopen_is_due(&mut self) -> bool {
        if self.reopen_at.is_none() && self.asks.reopen.exists() {
            self.reopen_at = match self.reopens {
                Reopens::AtOnce => Some(Instant::now()),
                Reopens::After(wait) => Some(Instant::now() + wait),
                Reopens::Never => None,
            };
        }
        let due = self.reopen_at.is_some_and(|at| at <= Instant::now());
        if due {
            self.reopen_at = None;
        }
        due
    }

    /// Whether nothing is to be written now.
    fn hold(&self) -> io::Result<bool> {
        let (wanted, holds) = (self.asks.hold.exists(), self.asks.held.exists());
        match (wanted, holds) {
            (true, false) => fs::write(&self.asks.held, "")?,
            (false, true) => fs::remove_file(&self.asks.held)?,
            _ => {}
        }
        if !wanted {
            return Ok(false);
        }
        std::thread::sleep(TICK);
        Ok(true)
    }
}

fn open(log: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().append(true).create(true).open(log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ledger, Scratch};

    fn sh(script: &str) {
        assert!(std::process::Command::new("sh").args(["-ec", script]).status().unwrap().success());
    }

    #[test]
    fn writes_holds_and_reopens() {
        let scratch = Scratch::new().unwrap();
        let (log, old) = (scratch.join("a.log"), scratch.join("a.log.1"));
        let writer = LineWriter::start(&log, &scratch.join("asks"), 20_000, Reopens::AtOnce).unwrap();
        writer.wait_for(500).unwrap();
        sh(&writer.hold_script());
        let held_at = writer.written();
        assert_eq!(fs::read(&log).unwrap(), numbered_lines(0..held_at));
        fs::rename(&log, &old).unwrap();
        sh(&writer.go_script());
        writer.wait_for(held_at + 500).unwrap();
        sh(&writer.reopen_and_wait_script());
        assert!(!fs::read(&old).unwrap().is_empty());
        writer.wait_for(writer.written() + 500).unwrap();
        let written = writer.stop().unwrap();
        let both = [fs::read(&old).unwrap(), fs::read(&log).unwrap()].concat();
        assert!(Ledger::of(&both, written).is_whole());
        assert!(fs::metadata(&log).unwrap().len() > 0);
    }

    #[test]
    fn a_writer_that_cannot_write_says_so() {
        let scratch = Scratch::new().unwrap();
        let log = scratch.join("no/such/folder/a.log");
        let writer = LineWriter::start(&log, &scratch.join("asks"), 1_000, Reopens::AtOnce).unwrap();
        assert!(writer.wait_for(1).is_err());
        assert!(writer.stop().unwrap_err().to_string().contains("a.log"));
    }
}
