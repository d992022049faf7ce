//! Real journal files, written by Debian's `systemd-journal-remote`.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Turns entries in journald's export format into a journal file.
const WRITER: &str = "/usr/lib/systemd/systemd-journal-remote";
/// When entry 0 was written, in microseconds since 1970: 2026-11-01T00:00:00Z.
const BASE_US: u64 = 1_793_491_200_000_000;

/// One entry of a journal: its fields, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalEntry {
    fields: Vec<(String, Vec<u8>)>,
}

impl JournalEntry {
    /// Entry `number` of a program, a millisecond after the one before.
    pub fn new(number: u64, message: impl AsRef<[u8]>) -> Self {
        let entry = Self { fields: Vec::new() };
        entry
            .with("__REALTIME_TIMESTAMP", (BASE_US + number * 1_000).to_string())
            .with("__MONOTONIC_TIMESTAMP", (1_000 + number).to_string())
            .with("_BOOT_ID", "b0070000000000000000000000000001")
            .with("_HOSTNAME", "web-1")
            .with("_TRANSPORT", "syslog")
            .with("PRIORITY", "6")
            .with("SYSLOG_IDENTIFIER", "app")
            .with("_PID", "4130")
            .with("_SYSTEMD_UNIT", "app.service")
            .with("MESSAGE", message)
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.and(name, value)
    }

    /// Adds a field, which may be there already: journald allows that.
    #[must_use]
    pub fn and(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn export(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.fields {
            out.extend_from_slice(name.as_bytes());
            let is_binary = !name.starts_with("__")
                && std::str::from_utf8(value).map_or(true, |text| text.contains('\n'));
            if is_binary {
                // The format's way for values that are no single line of text.
                out.push(b'\n');
                out.extend_from_slice(&(value.len() as u64).to_le_bytes());
            } else {
                out.push(b'=');
            }
            out.extend_from_slice(value);
            out.push(b'\n');
        }
        out.push(b'\n');
    }
}

/// Appends entries to the journal file at `path`, which is made if it is missing. Returns when they are written.
///
/// # Errors
/// If `systemd-journal-remote` is not installed or fails; the message holds what it said.
pub fn append_journal(path: &Path, entries: impl IntoIterator<Item = JournalEntry>) -> io::Result<()> {
    let mut text = Vec::new();
    entries.into_iter().for_each(|entry| entry.export(&mut text));
    let mut command = Command::new(WRITER);
    command
        .arg("--output")
        .arg(path)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let missing = |error: io::Error| {
        io::Error::new(error.kind(), format!("{WRITER}: {error}; scripts/setup installs it"))
    };
    let mut child = command.spawn().map_err(missing)?;
    let stdin = child.stdin.take();
    let written = std::thread::scope(|scope| {
        // It talks little: what it says fits into the pipe.
        let writer = scope.spawn(|| stdin.map_or(Ok(()), |mut stdin| stdin.write_all(&text)));
        let output = child.wait_with_output();
        (writer.join(), output)
    });
    let output = written.1?;
    if output.status.success() && matches!(written.0, Ok(Ok(()))) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{WRITER} ended with {}: {said}", output.status)))
}
