//! Which files can be followed at all.

use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

use crate::fault;
use crate::identity::{Identity, PREFIX_BYTES, modified};
use crate::opened::Opened;
use crate::packing::{MAGIC_BYTES, Packing};
use crate::positioned::{first_data, read_exactly};

/// Why a path cannot be followed now.
#[derive(Debug)]
pub(crate) enum Closed {
    /// Nothing is there.
    Missing,
    /// What is there is not to be followed.
    Refused(String),
    /// The system does not let us.
    Failed(io::Error),
}

impl From<io::Error> for Closed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing,
            _ => Self::Failed(error),
        }
    }
}

/// Opens a regular file. Never blocks, whatever the path leads to.
pub(crate) fn open(path: &Path) -> Result<Opened, Closed> {
    fault::check()?;
    if let Some(reason) = refused_kind(&fs::metadata(path)?.file_type()) {
        return Err(Closed::Refused(reason.to_owned()));
    }
    // The path may have become a FIFO or a terminal since.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    match refused_kind(&metadata.file_type()) {
        Some(reason) => Err(Closed::Refused(reason.to_owned())),
        None => {
            let identity = Identity::of(&metadata);
            let modified = modified(&metadata);
            Ok(Opened { identity, size: metadata.len(), modified, packing: None, file })
        }
    }
}

/// Opens what was rotated, compressed or not; `None` if it no longer is the file of `identity`, or not ours to read.
///
/// # Errors
/// What may be over soon: too many open files, a disk that fails. To take the file for lost then would lose it.
pub(crate) fn open_rotated(path: &Path, identity: &Identity) -> io::Result<Option<Opened>> {
    let opened = match open(path) {
        Ok(opened) if opened.identity.is(identity) => opened,
        Ok(_) | Err(Closed::Missing | Closed::Refused(_)) => return Ok(None),
        Err(Closed::Failed(error)) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
        Err(Closed::Failed(error)) => return Err(error),
    };
    let len = MAGIC_BYTES.min(usize::try_from(opened.size).unwrap_or(MAGIC_BYTES));
    let packing = read_exactly(&opened.file, 0, len)?.and_then(|head| Packing::of(&head));
    // How large its content is shows when it has been read.
    let size = if packing.is_some() { 0 } else { opened.size };
    Ok(Some(Opened { packing, size, ..opened }))
}

/// Why a kind of file is not followed; `None` for regular files.
pub(crate) fn refused_kind(kind: &std::fs::FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("is a directory: follow `DIR/*` or `DIR/**/*.log` instead"),
        kind if kind.is_fifo() => {
            Some("is a FIFO: name its path without a glob, and start again, to read it")
        }
        kind if kind.is_socket() => Some("is a socket, not a file"),
        kind if kind.is_char_device() || kind.is_block_device() => Some("is a device, not a file"),
        _ => Some("is not a regular file"),
    }
}

/// Why a file of this name is not followed.
pub(crate) fn refused_name(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?;
    let compressed = ["gz", "zst", "xz", "bz2", "lz4", "Z", "zip"].contains(&extension);
    compressed.then_some("compressed: use `taffrail import`")
}

/// The reason for binary content.
pub(crate) const BINARY: &str = "looks binary: only text is followed";

/// Whether a file's first bytes are those of wtmp, a journal, an image, ... A stray NUL makes no binary file.
pub(crate) fn looks_binary(head: &[u8]) -> bool {
    let head = &head[..head.len().min(PREFIX_BYTES)];
    if head.len() < 64 || !head.contains(&0) || is_wide(head) {
        return false;
    }
    let controls = head.iter().filter(|b| b.is_ascii_control() && !b"\t\n\r\x0c\x1b".contains(b)).count();
    let high = head.iter().filter(|b| !b.is_ascii()).count();
    // A character cut in two at the end is no sign of anything.
    let broken = std::str::from_utf8(head).is_err_and(|error| error.error_len().is_some());
    controls * 10 > head.len() * 3 || (broken && high * 10 > head.len() * 3)
}

/// Whether these are the first bytes of text in UTF-16 with Latin letters: every other byte of them is zero.
fn is_wide(head: &[u8]) -> bool {
    let is_letter = |byte: u8| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
    let letters = |high: usize| {
        head.chunks_exact(2).filter(|unit| unit[high] == 0 && is_letter(unit[1 - high])).count()
    };
    [0, 1].into_iter().any(|high| letters(high) * 3 >= head.len())
}

/// Whether the file's beginning looks binary; zeros before it are a hole that nobody wrote.
pub(crate) fn is_binary(opened: &Opened) -> io::Result<bool> {
    let (start, found) = first_data(&opened.file, 0)?;
    if !found {
        return Ok(opened.size > 0);
    }
    let len = PREFIX_BYTES.min(usize::try_from(opened.size.saturating_sub(start)).unwrap_or(PREFIX_BYTES));
    Ok(read_exactly(&opened.file, start, len)?.is_some_and(|head| looks_binary(&head)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_is_told_from_text_with_odd_bytes() {
        let random: Vec<u8> = (0u32..1024).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let latin: Vec<u8> = "gr\u{fc}\u{df}e ".repeat(90).chars().map(|c| c as u8).collect();
        for (head, binary) in [
            (&[0u8; 384][..], true),
            (&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".repeat(4), true),
            (&random, true),
            (&latin, false),
            (&b"a line\0with a NUL\n".repeat(20), false),
            (&"日本語のログ\0です\n".repeat(40).into_bytes(), false),
            (b"a\0b\n", false),
            (&b"\xff\xfe2\x000\x002\x006\x00 \x00\xfc\x00".repeat(20), false),
            (&b"\x002\x000\x002\x006\x00\r\x00\n".repeat(20), false),
            (b"", false),
        ] {
            assert_eq!(looks_binary(head), binary, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn only_regular_files_open() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for (path, word) in [
            (dir.path(), "directory"),
            (Path::new("/dev/null"), "device"),
            (&socket, "socket"),
            (&fifo, "FIFO"),
        ] {
            match open(path) {
                Err(Closed::Refused(reason)) => assert!(reason.contains(word), "{reason}"),
                other => panic!("{}: {:?}", path.display(), other.err()),
            }
        }
        assert!(matches!(open(&dir.path().join("nothing")), Err(Closed::Missing)));
    }
}
