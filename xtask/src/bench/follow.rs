//! What following costs, and what it keeps: figures that hold on any machine, or ratios to our own `import`.

mod live;
mod memory;
mod quiet;
mod rotate;
mod start;
mod sustained;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use taffrail_testkit::{Daemon, Scratch, wait_until};

use super::figure::Report;
use super::{Part, say};

/// Longest wait for lines that must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);
/// How often the daemon is asked whether they have.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// What these measurements need to know.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) binary: PathBuf,
    /// Where scratch folders are made.
    pub(super) folder: PathBuf,
    /// Lines of the corpus that grows and is imported, and of the long run.
    pub(super) corpus: PathBuf,
    pub(super) long_run_lines: u64,
}

/// Takes the wanted measurements.
pub(super) fn measure(following: &Following, wanted: &[Part], report: &mut Report) -> Result<()> {
    type Measure = fn(&Following, &mut Report) -> Result<()>;
    let all: [(Part, &str, Measure); 6] = [
        (Part::Quiet, "1,000 quiet files", quiet::measure),
        (Part::Start, "20,000 files at once", start::measure),
        (Part::Live, "appended -> live", live::measure),
        (Part::Sustained, "a growing file against import", sustained::measure),
        (Part::Rotate, "rotations at 50,000 lines a second", rotate::measure),
        (Part::Memory, "memory over a long run", memory::measure),
    ];
    for (part, what, measure) in all {
        if wanted.contains(&part) {
            say(what);
            measure(following, report).with_context(|| what.to_owned())?;
        }
    }
    Ok(())
}

/// Writes `count` files of one line each into `folder`, and gives the pattern that means them.
fn write_files(folder: &Path, count: usize) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    for number in 0..count {
        fs::write(folder.join(format!("{number:05}.log")), format!("the only line of file {number}\n"))?;
    }
    Ok(folder.join("*.log"))
}

/// Waits until `count` lines are stored.
fn stored(daemon: &Daemon, count: u64) -> Result<()> {
    let rows = || Some(daemon.sql("SELECT count(*) FROM logs").ok()?.first()?.first()?.as_u64()? >= count);
    let all = wait_until(PATIENCE, || {
        let all = rows().unwrap_or(false);
        if !all {
            std::thread::sleep(ASK_EVERY);
        }
        all
    });
    ensure!(all, "{count} lines are not stored within {PATIENCE:?}: {}", daemon.stderr());
    Ok(())
}

/// What the daemon says of a path: the offset it has read to, in everything read under this name.
fn offset(daemon: &Daemon, path: &Path) -> Result<u64> {
    let answer = daemon.get("/api/v1/sources")?.json()?;
    let name = path.display().to_string();
    let sources = answer["sources"].as_array().context("no sources")?;
    let source = sources.iter().find(|source| source["source"] == name.as_str());
    Ok(source.and_then(|source| source["offset"].as_u64()).unwrap_or(0))
}

/// Waits until the daemon has read a path to `end`.
fn read_to(daemon: &Daemon, path: &Path, end: u64) -> Result<()> {
    let read = wait_until(PATIENCE, || {
        let read = offset(daemon, path).is_ok_and(|offset| offset >= end);
        if !read {
            std::thread::sleep(ASK_EVERY);
        }
        read
    });
    ensure!(read, "{} is not read to {end} within {PATIENCE:?}: {}", path.display(), daemon.stderr());
    Ok(())
}

/// A scratch folder under its name without symbolic links, as sources are named.
pub(super) fn scratch(following: &Following) -> Result<(Scratch, PathBuf)> {
    let scratch = Scratch::inside(&following.folder)?;
    let path = fs::canonicalize(scratch.path())?;
    Ok((scratch, path))
}
