//! What is imported: plain files, compressed files, stdin.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fs_err as fs;
use taffrail_parse::Joiner;
use taffrail_record::{Checkpoint, RawBatch, Timestamp};
use taffrail_source::{Fill, Limits, MAGIC_BYTES, Now, Packing, Reading, StartAt, Stopped, Tail, read_lines};

/// Bytes that are read at once: a good part of a row group.
const BATCH_BYTES: usize = 1 << 20;

/// Takes a batch; `false` ends the reading.
pub(super) type Take<'a> = &'a mut dyn FnMut(RawBatch) -> bool;

/// One thing to import.
pub(super) struct Input {
    /// The source's name.
    pub(super) name: String,
    /// Bytes of it that were stored by an earlier import.
    pub(super) stored_bytes: u64,
    reader: Reader,
}

enum Reader {
    /// A plain file under its own name, with the identity that `run` knows it by.
    Followed(Box<Tail>),
    /// Anything else: a stream of bytes.
    Stream(Box<dyn Read>, Reading),
}

impl Input {
    /// Opens `path` (`-` is stdin). `known` tells how far sources are stored already.
    pub(super) fn open(
        path: &Path,
        name: Option<&str>,
        known: &[(String, Checkpoint)],
        max_line_bytes: u64,
    ) -> anyhow::Result<Self> {
        let limits = Limits {
            max_line_bytes: max_line_bytes as usize,
            batch_bytes: BATCH_BYTES,
            partial_line_timeout: Some(Duration::ZERO),
            multiline: Some(Arc::new(Joiner::default())),
            ..Limits::default()
        };
        let checkpoint =
            |name: &str| known.iter().find(|(source, _)| source == name).map(|(_, end)| end.clone());
        if path == Path::new("-") {
            let name = name.unwrap_or("stdin").to_owned();
            let from = checkpoint(&name).unwrap_or_default();
            return Ok(Self::stream(name, from, limits, Box::new(io::stdin())));
        }
        let mut file = fs::File::open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            bail!("is a directory; name its files, `{}/*` for example", path.display());
        }
        let mut magic = [0; MAGIC_BYTES];
        let magic_len = if kind.is_file() { read_up_to(&mut file, &mut magic)? } else { 0 };
        let compression = Compression::of(&magic[..magic_len]);
        let path = fs::canonicalize(path)?;
        let own_name = taffrail_source::source_name(&path);
        if kind.is_file() && compression.is_none() && name.is_none_or(|name| name == own_name) {
            let before = checkpoint(&own_name);
            let stored_bytes = before.as_ref().map_or(0, |checkpoint| checkpoint.offset);
            let tail = Tail::new(path, before.as_ref(), StartAt::Beginning, limits);
            return Ok(Self { name: own_name, stored_bytes, reader: Reader::Followed(Box::new(tail)) });
        }
        let name = name.map_or(own_name, str::to_owned);
        let before = checkpoint(&name).unwrap_or_default();
        if before.state == STREAM_STATE && kind.is_file() && name == taffrail_source::source_name(&path) {
            bail!("was imported before as {name}; give it another name with --source to import it again");
        }
        let file = fs::File::open(&path)?;
        Ok(Self::stream(name, before, limits, decoder(file, compression)?))
    }

    fn stream(name: String, from: Checkpoint, limits: Limits, reader: Box<dyn Read>) -> Self {
        let source: Arc<str> = name.as_str().into();
        let stored_bytes = 0;
        let from = Checkpoint { state: STREAM_STATE.to_owned(), ..from };
        let reading = Reading { source, from, limits, fill: Fill::Block, clock: now };
        Self { name, stored_bytes, reader: Reader::Stream(reader, reading) }
    }

    /// Hands over all lines.
    pub(super) fn read(&mut self, take: Take<'_>) -> anyhow::Result<()> {
        match &mut self.reader {
            Reader::Followed(tail) => read_to_end(tail, take),
            Reader::Stream(reader, reading) => {
                let mut sink = |batch| if take(batch) { Ok(()) } else { Err(Stopped) };
                read_lines(reader, reading, &mut sink).map(|_| ()).context("what came before is stored")
            }
        }
    }
}

/// The checkpoint of a stream: it has no file to go on in.
pub(in crate::commands) const STREAM_STATE: &str = "import";

/// Reads a file to its present end, its unfinished last line included.
fn read_to_end(tail: &mut Tail, take: Take<'_>) -> anyhow::Result<()> {
    let mut uptime = Duration::ZERO;
    let mut idle = 0;
    // The last line is handed over once it was seen unfinished for a moment: here, at the next look.
    while idle < 3 {
        uptime += Duration::from_secs(1);
        match tail.read(Now { observed: now(), uptime })? {
            Some(batch) => {
                idle = 0;
                if !take(batch) {
                    return Ok(());
                }
            }
            None => idle += 1,
        }
    }
    match tail.status().state {
        taffrail_source::SourceState::Refused(reason) | taffrail_source::SourceState::Failed(reason) => {
            bail!(reason)
        }
        _ => Ok(()),
    }
}

fn now() -> Timestamp {
    Timestamp(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX))
}

#[derive(Clone, Copy)]
enum Compression {
    Readable(Packing),
    Unreadable(&'static str),
}

impl Compression {
    fn of(magic: &[u8]) -> Option<Self> {
        match magic {
            [b'B', b'Z', b'h', _] => {
                Some(Self::Unreadable("bzip2: pipe `bzcat FILE` into `taffrail import -`"))
            }
            [0xfd, b'7', b'z', b'X'] => {
                Some(Self::Unreadable("xz: pipe `xzcat FILE` into `taffrail import -`"))
            }
            _ => Packing::of(magic).map(Self::Readable),
        }
    }
}

fn decoder(file: fs::File, compression: Option<Compression>) -> anyhow::Result<Box<dyn Read>> {
    Ok(match compression {
        None => Box::new(file),
        Some(Compression::Readable(packing)) => packing.unpack(file)?,
        Some(Compression::Unreadable(way_out)) => bail!("is compressed with {way_out}"),
    })
}

fn read_up_to(file: &mut fs::File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    loop {
        match file.read(&mut buffer[count..])? {
            0 => return Ok(count),
            more => count += more,
        }
    }
}

/// Bytes of all files together, for the progress bar; `None` if one of them does not tell.
pub(super) fn total_bytes(files: &[PathBuf]) -> Option<u64> {
    let size = |path: &PathBuf| {
        fs::metadata(path).ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len())
    };
    files.iter().map(size).sum()
}
