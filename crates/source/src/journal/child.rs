//! The process `journalctl`: started, read without blocking, ended and reaped.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::ioctl_fionbio;

/// What one read takes at most.
const READ_BYTES: usize = 64 * 1024;
/// What it says on stderr is kept up to here; the rest is read and forgotten.
const SAID_MAX: usize = 4 * 1024;

/// A running `journalctl`; killed and reaped when dropped.
#[derive(Debug)]
pub(super) struct Journalctl {
    child: Child,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    said: Vec<u8>,
    buffer: Vec<u8>,
}

impl Journalctl {
    pub(super) fn start(program: &Path, arguments: &[OsString]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Its messages are looked at: they are to be those of every machine.
        command.env("LC_ALL", "C.UTF-8").env("SYSTEMD_COLORS", "0");
        // Damage in the middle of a file is only told to those who want to know everything.
        command.env("SYSTEMD_LOG_LEVEL", "debug").env("SYSTEMD_LOG_TARGET", "console");
        // Ctrl-C in our terminal is for us: we end it.
        let mut child = command.process_group(0).spawn()?;
        let pipes = (child.stdout.take(), child.stderr.take());
        let (Some(stdout), stderr) = pipes else {
            return Err(io::Error::other("the system gave no pipe"));
        };
        let running = Self { child, stdout, stderr, said: Vec::new(), buffer: vec![0; READ_BYTES] };
        ioctl_fionbio(&running.stdout, true)?;
        if let Some(stderr) = &running.stderr {
            ioctl_fionbio(stderr, true)?;
        }
        Ok(running)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn stdout(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }

    /// None once it is closed.
    pub(super) fn stderr(&self) -> Option<BorrowedFd<'_>> {
        self.stderr.as_ref().map(AsFd::as_fd)
    }

    /// What it wrote since the last read; `None` if there is nothing yet, empty at its end.
    pub(super) fn read(&mut self) -> io::Result<Option<&[u8]>> {
        let count = not_yet(self.stdout.read(&mut self.buffer))?;
        Ok(count.map(|count| &self.buffer[..count]))
    }

    /// Reads what it complains of.
    pub(super) fn listen(&mut self) {
        while let Some(stderr) = &mut self.stderr {
            match not_yet(stderr.read(&mut self.buffer)) {
                Ok(Some(count @ 1..)) => {
                    let room = SAID_MAX.saturating_sub(self.said.len());
                    self.said.extend_from_slice(&self.buffer[..count.min(room)]);
                }
                Ok(None) => return,
                Ok(Some(_)) | Err(_) => self.stderr = None,
            }
        }
    }

    /// The complete lines that it has said, once each.
    pub(super) fn said(&mut self) -> Vec<String> {
        let complete = self.said.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let full = self.said.len() >= SAID_MAX || self.stderr.is_none();
        let text = self.said.drain(..if full { self.said.len() } else { complete }).collect::<Vec<u8>>();
        let lines = String::from_utf8_lossy(&text).into_owned();
        lines.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    /// Waits for its end, which it has announced by closing its output.
    pub(super) fn finish(&mut self) -> (io::Result<ExitStatus>, Vec<String>) {
        let status = self.child.wait();
        self.listen();
        self.stderr = None;
        let said = self.said();
        (status, said)
    }
}

impl Drop for Journalctl {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `None` where a read would have waited.
fn not_yet(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
