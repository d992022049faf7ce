//! Does to real files, a real disk and the real program what was planned, and tells the oracle.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use taffrail_testkit::{Daemon, Scratch, percent_encode, wait_until};

use super::action::{Action, FILES, file_name};
use super::model::Stream;
use crate::corpus::Random;
use crate::workspace::must_run;

/// Longest wait for the daemon to have stored what is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// File systems stamp files by a clock that is up to a tick behind; files born in one tick are of one age.
const TICK: Duration = Duration::from_millis(10);
/// Longest wait for it to have seen how large a file is.
const SEEN: Duration = Duration::from_secs(10);
/// What is appended at once, to be truncated before it is read.
const BACKLOG_BYTES: usize = 2 << 20;
/// The first line of every file: they are not to be told apart by it.
const HEADER: &str = "# the same first line in every file\n";

/// One followed path, the program that writes to it, and what it wrote.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    /// As the program that writes it has it open.
    file: fs::File,
    stream: Stream,
    lines: u64,
    /// Ends the line that is half written.
    rest: Option<String>,
    /// Names given by rotations so far.
    rotations: u64,
    /// Rotated files that are not compressed, oldest first.
    rotated: Vec<PathBuf>,
}

/// A data directory, followed files, and the daemon over them.
#[derive(Debug)]
pub(super) struct Driver {
    program: PathBuf,
    scratch: Scratch,
    daemon: Option<Daemon>,
    logs: Vec<Log>,
    random: Random,
    front_may_be_gone: bool,
    has_own_disk: bool,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.daemon = None;
        if self.has_own_disk {
            // What stays mounted is gone with this process.
            let _ = Command::new("umount").arg(self.data()).status();
        }
    }
}

impl Driver {
    /// Writes the first lines; the daemon is not started yet.
    pub(super) fn new(program: &Path, random: Random) -> Result<Self> {
        let scratch = Scratch::new()?;
        fs::create_dir_all(scratch.join("logs"))?;
        fs::create_dir_all(scratch.join("data"))?;
        let logs = (0..FILES).map(|file| Log::create(&scratch, file)).collect::<Result<_>>()?;
        let mut driver = Self {
            program: program.to_owned(),
            scratch,
            daemon: None,
            logs,
            random,
            front_may_be_gone: false,
            has_own_disk: false,
        };
        (0..FILES).try_for_each(|file| driver.append(file))?;
        Ok(driver)
    }

    /// Puts the data directory on a small disk of its own, so that it can be filled.
    pub(super) fn mount(&mut self, size: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        must_run(mount.args(["-t", "tmpfs", "-o", size, "taffrail-soak"]).arg(self.data()))?;
        self.has_own_disk = true;
        Ok(())
    }

    /// Lines written.
    pub(super) fn lines(&self) -> u64 {
        self.logs.iter().map(|log| log.lines).sum()
    }

    fn data(&self) -> PathBuf {
        self.scratch.join("data")
    }

    /// Does one step.
    pub(super) fn act(&mut self, action: Action) -> Result<()> {
        use Action::*;
        match action {
            Append(file) => self.append(file),
            Half(file) => self.half(file),
            Rename(file) => self.rename(file, false),
            RenameLate(file) => self.rename(file, true),
            Gzip(file) => self.logs[file].compress(Command::new("gzip").arg("-f"), "gz"),
            Zstd(file) => self.logs[file].compress(Command::new("zstd").args(["-q", "-f", "--rm"]), "zst"),
            CopyTruncate(file) => self.copy_truncate(file),
            Truncate(file) => self.truncate(file),
            TruncateUnread(file) => self.truncate_unread(file),
            Overwrite(file) => self.overwrite(file),
            Replace(file) => self.replace(file),
            Swap(file) => self.swap(file),
            Lock(file) => set_mode(&self.logs[file].path, 0o000),
            Unlock(file) => set_mode(&self.logs[file].path, 0o644),
            Settle(file) => self.settle(file),
            FillDisk => self.fill_disk(),
            FreeDisk => Ok(fs::remove_file(self.data().join("ballast"))?),
            Freeze => self.signal(Signal::STOP),
            Thaw => self.signal(Signal::CONT),
            Kill => self.end(|daemon| daemon.kill9().map(drop)),
            Stop => self.end(|daemon| {
                let status = daemon.stop()?;
                if status.success() {
                    Ok(())
                } else {
                    Err(std::io::Error::other(format!("stop ended with {status}")))
                }
            }),
            Start => self.start_daemon(),
        }
    }

    /// Starts the daemon.
    pub(super) fn start_daemon(&mut self) -> Result<()> {
        let pattern = self.scratch.join("logs/*.log");
        self.daemon = Some(Daemon::builder(&self.program, self.data()).arg(pattern).start()?);
        Ok(())
    }

    /// Whether what is stored is what was written, before and after a restart.
    pub(super) fn check(&mut self) -> Result<()> {
        self.check_files()?;
        self.act(Action::Stop)?;
        self.act(Action::Start)?;
        (0..FILES).try_for_each(|file| self.settle(file))?;
        self.check_files().context("after one more restart")?;
        self.act(Action::Stop)
    }

    fn check_files(&self) -> Result<()> {
        for log in &self.logs {
            let name = log.path.display().to_string();
            let stored =
                self.daemon()?.get(&format!("/api/v1/export/raw?source={}", percent_encode(&name)))?;
            let stored = if stored.status == 200 { stored.body } else { Vec::new() };
            let gaps = self.sql(&format!(
                "SELECT coalesce(sum(end_offset - start_offset), 0) FROM gaps WHERE source = '{name}'"
            ))?;
            let checked = log.stream.check(&stored, gaps, self.front_may_be_gone);
            checked.map_err(|differs| anyhow!("{}: {differs}", log.name()))?;
        }
        let names: Vec<String> = self.logs.iter().map(|log| format!("'{}'", log.path.display())).collect();
        let others =
            self.sql(&format!("SELECT count(*) FROM logs WHERE source NOT IN ({})", names.join(", ")))?;
        ensure!(others == 0, "{others} lines are stored under the name of a rotated file");
        Ok(())
    }

    fn sql(&self, query: &str) -> Result<u64> {
        self.daemon()?.sql(query)?[0][0].as_u64().context("not a number")
    }

    /// What helps to understand a failure.
    pub(super) fn describe(&self) -> String {
        let Some(daemon) = &self.daemon else { return "the daemon is not running".to_owned() };
        let sources =
            daemon.get("/api/v1/sources").map_or_else(|err| err.to_string(), |answer| answer.text());
        format!("sources: {sources}\nthe daemon says:\n{}", daemon.stderr())
    }

    fn daemon(&self) -> Result<&Daemon> {
        self.daemon.as_ref().context("the plan wants a running daemon")
    }

    fn source(&self, file: usize) -> Option<Value> {
        let answer = self.daemon.as_ref()?.get("/api/v1/sources").ok()?.json().ok()?;
        let name = self.logs[file].path.display().to_string();
        answer["sources"].as_array()?.iter().find(|source| source["source"] == name.as_str()).cloned()
    }

    /// What the daemon says of a path, to be shown.
    fn told(&self, file: usize) -> String {
        self.source(file)
            .map_or_else(|| "the daemon does not name it".to_owned(), |source| source.to_string())
    }

    /// Waits until every whole line is stored: told as read is not enough, a kill may still come between.
    fn settle(&self, file: usize) -> Result<()> {
        let log = &self.logs[file];
        let (end, last) = (log.stream.end(), log.stream.last_line());
        let query = format!("SELECT max(\"offset\") FROM logs WHERE source = '{}'", log.path.display());
        let settled = wait_until(PATIENCE, || {
            std::thread::sleep(Duration::from_millis(10));
            let read = self.source(file).is_some_and(|source| source["offset"] == end);
            read && self.sql(&query).is_ok_and(|stored| stored == last)
        });
        ensure!(settled, "{} is not stored to its end, {end}: {}", file_name(file), self.told(file));
        Ok(())
    }

    fn lines_of(&mut self, file: usize, count: u64) -> String {
        (0..count).map(|_| self.line(file)).collect()
    }

    fn line(&mut self, file: usize) -> String {
        let log = &mut self.logs[file];
        log.lines += 1;
        let most = if self.random.below(50) == 0 { 3_000 } else { 90 };
        let filler = "abcdefghij".repeat(most / 10);
        let filler = &filler[..self.random.below(most as u64) as usize];
        format!("{} {} {filler}\n", log.name(), log.lines)
    }

    /// The first line that all files share, and one that none shares: of the first alone nobody could say
    /// whether it was written anew. In one write, so that none is seen without the other.
    fn begin(&mut self, file: usize) -> Result<()> {
        let text = HEADER.to_owned() + &self.line(file);
        self.logs[file].write(&text)
    }

    fn append(&mut self, file: usize) -> Result<()> {
        let count = if self.random.below(10) == 0 {
            self.random.between(100, 3_000)
        } else {
            self.random.between(1, 9)
        };
        let text = self.lines_of(file, count);
        let log = &mut self.logs[file];
        log.complete()?;
        log.write(&text)
    }

    fn half(&mut self, file: usize) -> Result<()> {
        let line = self.line(file);
        let cut = self.random.between(1, line.len() as u64 - 1) as usize;
        let log = &mut self.logs[file];
        log.write(&line[..cut])?;
        log.rest = Some(line[cut..].to_owned());
        Ok(())
    }

    /// The program that writes finishes its line in the old file, and opens the new one when it is told.
    fn rename(&mut self, file: usize, late: bool) -> Result<()> {
        let (lines, wait) = (self.lines_of(file, 3), self.random.below(200));
        let log = &mut self.logs[file];
        let to = log.rotate_names()?;
        fs::rename(&log.path, &to)?;
        log.rotated.push(to);
        log.complete()?;
        if late {
            log.write(&lines)?;
            std::thread::sleep(Duration::from_millis(wait));
        }
        log.reopen()?;
        self.begin(file)?;
        if late { Ok(()) } else { self.logs[file].write(&lines) }
    }

    fn copy_truncate(&mut self, file: usize) -> Result<()> {
        let log = &mut self.logs[file];
        let to = log.rotate_names()?;
        fs::copy(&log.path, &to)?;
        log.rotated.push(to);
        log.file.set_len(0)?;
        self.begin(file)
    }

    fn truncate(&mut self, file: usize) -> Result<()> {
        let log = &mut self.logs[file];
        log.file.set_len(0)?;
        self.begin(file)
    }

    fn truncate_unread(&mut self, file: usize) -> Result<()> {
        let mut backlog = String::new();
        while backlog.len() < BACKLOG_BYTES {
            backlog.push_str(&self.line(file));
        }
        let log = &mut self.logs[file];
        log.file.write_all(backlog.as_bytes())?;
        let size = log.file.metadata()?.len();
        let seen = wait_until(SEEN, || self.source(file).is_some_and(|source| source["size"] == size));
        ensure!(seen, "{} was never seen to have {size} bytes: {}", file_name(file), self.told(file));
        let log = &mut self.logs[file];
        log.stream.tore(backlog.as_bytes());
        log.file.set_len(0)?;
        self.begin(file)?;
        // Who is killed before it noted what was lost cannot know it.
        self.settle(file)
    }

    fn overwrite(&mut self, file: usize) -> Result<()> {
        let count = self.random.between(1, 40);
        let text = HEADER.to_owned() + &self.lines_of(file, count);
        let log = &mut self.logs[file];
        // As `cp new a.log` does it.
        fs::OpenOptions::new().write(true).truncate(true).open(&log.path)?.write_all(text.as_bytes())?;
        log.stream.wrote(text.as_bytes());
        Ok(())
    }

    fn replace(&mut self, file: usize) -> Result<()> {
        let log = &mut self.logs[file];
        fs::remove_file(&log.path)?;
        log.reopen()?;
        self.begin(file)
    }

    fn swap(&mut self, file: usize) -> Result<()> {
        let log = &mut self.logs[file];
        log.link()?;
        log.reopen()?;
        self.begin(file)
    }

    fn fill_disk(&mut self) -> Result<()> {
        self.front_may_be_gone = true;
        let mut ballast = fs::File::create(self.data().join("ballast"))?;
        for step in [1 << 20, 4096, 1] {
            while ballast.write_all(&vec![0; step]).is_ok() {}
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.daemon()?.pid()).ok().and_then(Pid::from_raw).context("process id")?;
        Ok(kill_process(pid, signal)?)
    }

    fn end(&mut self, end: fn(Daemon) -> std::io::Result<()>) -> Result<()> {
        Ok(end(self.daemon.take().context("the plan wants a running daemon")?)?)
    }
}

impl Log {
    fn create(scratch: &Scratch, file: usize) -> Result<Self> {
        // Sources are named by the path without symbolic links above the file.
        let path = fs::canonicalize(scratch.join("logs"))?.join(file_name(file));
        let is_link = file + 1 == FILES;
        let real = if is_link { path.with_extension("real-0") } else { path.clone() };
        let mut log = Self {
            file: open(&real)?,
            path,
            stream: Stream::default(),
            lines: 0,
            rest: None,
            rotations: 0,
            rotated: Vec::new(),
        };
        if is_link {
            symlink(&real, &log.path)?;
        }
        log.write(HEADER)?;
        Ok(log)
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.stream.wrote(text.as_bytes());
        Ok(())
    }

    fn complete(&mut self) -> Result<()> {
        match self.rest.take() {
            Some(rest) => self.write(&rest),
            None => Ok(()),
        }
    }

    fn reopen(&mut self) -> Result<()> {
        self.file = open(&self.path)?;
        Ok(())
    }

    /// Makes room for one more rotated file, and names it: `b.log` is rotated to dates, the others to numbers.
    fn rotate_names(&mut self) -> Result<PathBuf> {
        self.rotations += 1;
        let name = self.name();
        if name == file_name(1) {
            return Ok(self.path.with_file_name(format!("{name}-20261121{:06}", self.rotations)));
        }
        for number in (1..self.rotations).rev() {
            for packed in ["", ".gz", ".zst"] {
                let named = |number| self.path.with_file_name(format!("{name}.{number}{packed}"));
                let (from, to) = (named(number), named(number + 1));
                if from.exists() {
                    fs::rename(&from, &to)?;
                    self.rotated
                        .iter_mut()
                        .filter(|path| **path == from)
                        .for_each(|path| path.clone_from(&to));
                }
            }
        }
        Ok(self.path.with_file_name(format!("{name}.1")))
    }

    fn compress(&mut self, command: &mut Command, ending: &str) -> Result<()> {
        let path = self.rotated.pop().context("the plan wants a rotated file")?;
        must_run(command.arg(&path))?;
        let packed = format!("{}.{ending}", path.display());
        if Path::new(&packed).exists() { Ok(()) } else { bail!("{packed} was not made") }
    }

    /// The link leads to a new file, from one moment to the next.
    fn link(&mut self) -> Result<()> {
        self.rotations += 1;
        let (real, fresh) =
            (self.path.with_extension(format!("real-{}", self.rotations)), self.path.with_extension("new"));
        open(&real)?;
        symlink(&real, &fresh)?;
        Ok(fs::rename(&fresh, &self.path)?)
    }
}

fn open(path: &Path) -> Result<fs::File> {
    std::thread::sleep(TICK);
    Ok(fs::OpenOptions::new().append(true).create(true).open(path)?)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}
