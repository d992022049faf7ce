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

/// What was passed over of a stream.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Passed {
    pub(crate) count: u64,
    /// The first bytes.
    pub(crate) head: Vec<u8>,
    /// The last bytes.
    pub(crate) edge: Vec<u8>,
}

/// Passes over `position` bytes of a stream, or fewer if it ends before; keeps at most `head` of the first and `edge`
/// of the last of them.
pub(crate) fn pass(reader: &mut dyn Read, position: u64, head: usize, edge: usize) -> io::Result<Passed> {
    let mut passed = Passed::default();
    let mut buffer = vec![0; 64 * 1024];
    while passed.count < position {
        let want = buffer.len().min(usize::try_from(position - passed.count).unwrap_or(usize::MAX));
        let count = match reader.read(&mut buffer[..want]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if count == 0 {
            break;
        }
        let block = &buffer[..count];
        passed.head.extend_from_slice(&block[..count.min(head - passed.head.len())]);
        passed.edge.extend_from_slice(block);
        passed.edge.drain(..passed.edge.len().saturating_sub(edge));
        passed.count += count as u64;
    }
    Ok(passed)
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
        for wanted in [0, 5, 300, 65_536, 65_537, 199_999, 200_000, 200_001] {
            let passed = pass(&mut &text[..], wanted, 10, 7).unwrap();
            let position = text.len().min(wanted as usize);
            let [head, edge] = [&text[..10.min(position)], &text[position - 7.min(position)..position]];
            let (count, head, edge) = (position as u64, head.to_vec(), edge.to_vec());
            assert_eq!(passed, Passed { count, head, edge });
        }
    }
}
