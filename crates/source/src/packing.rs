//! Compressed files: which kind they are, and their content as a stream.

use std::io::{self, BufReader, Read};

use fs_err::File;

/// How a file is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// RFC 1952; several members, one after the other, are one stream.
    Gzip,
    /// RFC 8878; several frames are one stream.
    Zstd,
}

/// Bytes of a file's beginning that tell how it is compressed.
pub const MAGIC_BYTES: usize = 4;

impl Packing {
    /// What a file's first bytes say, whatever its name is.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The content of `file`, from where it stands.
    ///
    /// # Errors
    /// Out of memory for the decoder. Damage shows when reading, and so does a missing end.
    pub fn unpack(self, file: File) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(file))),
            Self::Zstd => Box::new(zstd::Decoder::new(file)?),
        })
    }
}

/// Passes over `position` bytes of a stream; gives the first `head` of them and the last `edge`, or `None` if the
/// stream is shorter.
pub(crate) fn pass(
    reader: &mut dyn Read,
    position: u64,
    head: usize,
    edge: usize,
) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut first = Vec::with_capacity(head);
    let mut last: Vec<u8> = Vec::new();
    let mut left = position;
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = match reader.read(&mut buffer[..want]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if count == 0 {
            return Ok(None);
        }
        let block = &buffer[..count];
        first.extend_from_slice(&block[..count.min(head - first.len())]);
        last.extend_from_slice(block);
        last.drain(..last.len().saturating_sub(edge));
        left -= count as u64;
    }
    Ok(Some((first, last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn content_comes_back_and_damage_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let text = b"a line\n".repeat(40_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let packed = [
            (Packing::Gzip, gzip.finish().unwrap()),
            (Packing::Zstd, zstd::encode_all(&text[..], 1).unwrap()),
        ];
        for (packing, bytes) in packed {
            assert_eq!(Packing::of(&bytes), Some(packing));
            for (keep, whole) in [(bytes.len(), true), (bytes.len() / 2, false)] {
                fs_err::write(&path, &bytes[..keep]).unwrap();
                let mut out = Vec::new();
                let result = packing.unpack(File::open(&path).unwrap()).unwrap().read_to_end(&mut out);
                assert_eq!((result.is_ok(), out == text), (whole, whole), "{packing:?} {keep}");
            }
        }
        assert_eq!(Packing::of(b"2026"), None);
        assert_eq!(Packing::of(b""), None);
    }

    #[test]
    fn passing_over_keeps_both_ends() {
        let text: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        for position in [0, 5, 300, 65_536, 65_537, 199_999, 200_000] {
            let (head, edge) =
                pass(&mut &text[..], position as u64, 10.min(position), 7.min(position)).unwrap().unwrap();
            assert_eq!(head, &text[..10.min(position)]);
            assert_eq!(edge, &text[position - 7.min(position)..position]);
        }
        assert_eq!(pass(&mut &text[..], 200_001, 0, 0).unwrap(), None);
    }
}
