//! The audit log: who was turned away, when and why, as a line of JSON each.
//!
//! Writing never keeps anyone waiting: what comes faster than it can be written is counted, and the next line says how many
//! are missing. The file is bounded: a full one takes the place of the one before.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde::Serialize;
use taffrail_record::Timestamp;

use crate::api::rfc3339;

/// The file's name, in the data directory. The one before has `.1` behind it.
pub const AUDIT_FILE: &str = "audit.log";
/// Bytes after which a new file is begun.
const FILE_BYTES: u64 = 10 << 20;
/// How often it is said that nothing can be written.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Lines that wait to be written.
const QUEUE: usize = 1024;

/// Somebody was turned away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Refused {
    /// The stream, by its name.
    pub(crate) stream: String,
    /// `http` or `tcp`.
    pub(crate) server: &'static str,
    pub(crate) address: IpAddr,
    pub(crate) reason: &'static str,
    /// What else is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// A line of the file.
#[derive(Serialize)]
struct Line {
    time: String,
    event: &'static str,
    #[serde(flatten)]
    refused: Refused,
    /// Lines before this one that were not written.
    #[serde(skip_serializing_if = "is_zero")]
    missing: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Where refusals are noted; clones write the same file. The default writes none.
#[derive(Clone, Debug, Default)]
pub struct Audit(Option<Arc<Log>>);

#[derive(Debug)]
struct Log {
    lines: SyncSender<Line>,
    missing: AtomicU64,
    clock: fn() -> Timestamp,
}

impl Audit {
    /// Appends to [`AUDIT_FILE`] in a directory; only its owner can read it.
    ///
    /// # Errors
    /// A file that cannot be opened, a thread that cannot be started.
    pub fn open(dir: &Path, clock: fn() -> Timestamp) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(QUEUE);
        let output = Output::open(dir.join(AUDIT_FILE))?;
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || output.write_all(&waiting))?;
        Ok(Self(Some(Arc::new(Log { lines, missing: AtomicU64::new(0), clock }))))
    }

    pub(crate) fn refused(&self, refused: Refused) {
        let Some(log) = &self.0 else { return };
        let missing = log.missing.swap(0, Ordering::Relaxed);
        let line = Line { time: rfc3339((log.clock)()), event: "refused", refused, missing };
        if log.lines.try_send(line).is_err() {
            log.missing.fetch_add(missing + 1, Ordering::Relaxed);
        }
    }
}

/// The file.
struct Output {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Output {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        let len = file.metadata()?.len();
        Ok(Self { path, file, len })
    }

    /// Writes until nobody can note anything any more.
    fn write_all(mut self, waiting: &Receiver<Line>) {
        let mut told: Option<Instant> = None;
        while let Ok(line) = waiting.recv() {
            let Err(error) = self.write(&line) else { continue };
            if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                told = Some(Instant::now());
                tracing::error!("{}: refusals cannot be noted: {error}", self.path.display());
            }
        }
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_string(line).map_err(io::Error::other)?;
        text.push('\n');
        if self.len + text.len() as u64 > FILE_BYTES {
            let mut before = self.path.clone().into_os_string();
            before.push(".1");
            // Gone, or moved already by an attempt that failed afterwards.
            let moved = fs_err::rename(&self.path, PathBuf::from(before));
            moved
                .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
            *self = Self::open(self.path.clone())?;
        }
        self.file.write_all(text.as_bytes())?;
        self.len += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::Value;

    use super::*;

    #[test]
    fn refusals_are_lines_and_the_file_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(AUDIT_FILE);
        let mut output = Output::open(path.clone()).unwrap();
        let refused = Refused {
            stream: "app".to_owned(),
            server: "tcp",
            address: Ipv4Addr::LOCALHOST.into(),
            reason: "its address may not connect",
            detail: None,
        };
        let line = Line { time: rfc3339(Timestamp(0)), event: "refused", refused, missing: 0 };
        output.write(&line).unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&told["stream"], &told["address"]), (&"app".into(), &"127.0.0.1".into()));
        output.len = FILE_BYTES;
        output.write(&line).unwrap();
        assert_eq!(fs_err::read_to_string(dir.path().join("audit.log.1")).unwrap(), text);
        assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "its owner's only");
        // Moved, but no new one could be opened: the next refusal tries again.
        fs_err::rename(&path, dir.path().join("audit.log.1")).unwrap();
        fs_err::create_dir(&path).unwrap();
        output.len = FILE_BYTES;
        fs_err::remove_file(dir.path().join("audit.log.1")).unwrap();
        fs_err::create_dir_all(dir.path().join("audit.log.1/x")).unwrap();
        assert!(output.write(&line).is_err());
        fs_err::remove_dir(&path).unwrap();
        output.write(&line).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let (lines, waiting) = sync_channel(1);
        let log = Log { lines, missing: AtomicU64::new(0), clock: || Timestamp(0) };
        let audit = Audit(Some(Arc::new(log)));
        let refused = || Refused {
            stream: "a".to_owned(),
            server: "http",
            address: Ipv4Addr::LOCALHOST.into(),
            reason: "",
            detail: None,
        };
        (0..4).for_each(|_| audit.refused(refused()));
        assert_eq!(waiting.recv().unwrap().missing, 0);
        audit.refused(refused());
        assert_eq!(waiting.recv().unwrap().missing, 3);
    }
}
