//! What makes a file the same file: its inode and birth, and hashes of what was read of it.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use taffrail_record::Timestamp;

/// Which file it is, as far as the file system tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Device number. It may differ after a reboot.
    pub dev: u64,
    /// Inode number. It is reused after the file is gone.
    pub ino: u64,
    /// Nanoseconds since the epoch at its creation, where the file system records it.
    pub birth: Option<i64>,
}

impl Identity {
    /// Of no file.
    pub(crate) const NONE: Self = Self { dev: 0, ino: 0, birth: None };

    /// The identity of the file that `metadata` describes.
    pub fn of(metadata: &Metadata) -> Self {
        let since_epoch = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let birth = since_epoch.and_then(|age| i64::try_from(age.as_nanos()).ok());
        Self { dev: metadata.dev(), ino: metadata.ino(), birth }
    }

    /// Whether both can be the same file. Devices are renumbered between boots, so an equal birth outweighs them.
    pub fn may_be(&self, other: &Self) -> bool {
        self.ino == other.ino
            && match (self.birth, other.birth) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => self.dev == other.dev,
            }
    }

    /// Whether it was created at `time` (nanoseconds since the epoch) or later; true if nobody knows.
    pub(crate) fn is_born_after(&self, time: i64) -> bool {
        self.birth.is_none_or(|birth| birth >= time)
    }

    /// Whether both are one file while the machine is up.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.dev == other.dev && self.ino == other.ino && self.birth == other.birth
    }
}

/// When a file was last written to.
pub(crate) fn modified(metadata: &Metadata) -> Timestamp {
    Timestamp(metadata.mtime().saturating_mul(Timestamp::SECOND).saturating_add(metadata.mtime_nsec()))
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dev={} ino={}", self.dev, self.ino)?;
        self.birth.map_or(Ok(()), |birth| write!(f, " birth={birth}"))
    }
}

/// Bytes at a file's start that are fingerprinted.
pub(crate) const PREFIX_BYTES: usize = 1024;
/// Bytes before a position that are fingerprinted and compared.
pub(crate) const EDGE_BYTES: usize = 256;

/// Length and hash of some bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint {
    /// How many bytes.
    pub(crate) len: usize,
    /// FNV-1a, 64 bits: it grows byte by byte and is the same on every machine and in every release.
    pub(crate) hash: u64,
}

impl Fingerprint {
    /// Of no bytes.
    pub(crate) const EMPTY: Self = Self { len: 0, hash: 0xcbf2_9ce4_8422_2325 };

    /// Of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::EMPTY.extended(bytes)
    }

    /// Of the bytes it covers, followed by `bytes`.
    pub(crate) fn extended(self, bytes: &[u8]) -> Self {
        let hash =
            bytes.iter().fold(self.hash, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        Self { len: self.len + bytes.len(), hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_grow() {
        let whole = Fingerprint::of(b"hello world");
        assert_eq!(Fingerprint::of(b"hello").extended(b" world"), whole);
        assert_ne!(Fingerprint::of(b"hello worle"), whole);
        assert_eq!(Fingerprint::of(b""), Fingerprint::EMPTY);
        assert_eq!(Fingerprint::of(b"a").hash, 0xaf63_dc4c_8601_ec8c, "the published value of FNV-1a");
    }

    #[test]
    fn birth_tells_reused_inodes_and_outlives_device_numbers() {
        let id = |dev, ino, birth| Identity { dev, ino, birth };
        for (a, b, same) in [
            (id(1, 2, Some(3)), id(1, 2, Some(3)), true),
            (id(1, 2, Some(3)), id(9, 2, Some(3)), true),
            (id(1, 2, Some(3)), id(1, 2, Some(4)), false),
            (id(1, 2, None), id(1, 2, Some(4)), true),
            (id(1, 2, None), id(9, 2, None), false),
            (id(1, 2, Some(3)), id(1, 7, Some(3)), false),
        ] {
            assert_eq!(a.may_be(&b), same, "{a} {b}");
        }
    }
}
