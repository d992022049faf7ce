//! The index file beside a segment: filters, granule bounds, summary, checkpoints.
//!
//! ```text
//! "TAFFIDX1"
//! filters of row group 0, 1, ...           see `filter`
//! footer: JSON (`Footer`), zstd
//! footer length u32, CRC-32 of the footer u32, "TAFFIDX1"        little-endian
//! ```

use std::io::{self, Write};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{TimestampNanosecondType, UInt8Type};
use serde::{Deserialize, Serialize};

use super::filter::{self, BUCKET_BYTES, Builder};
use super::summary::{self, Summary};
use super::word::{Words, is_word_byte};
use super::{GRANULE_ROWS, ROW_GROUP_ROWS};
use crate::disk::{Appender, Disk, File};
use crate::schema;

const MAGIC: &[u8; 8] = b"TAFFIDX1";
const TRAILER_BYTES: u64 = 16;
/// Bytes of a text that stands in its view itself: Arrow's format of views.
const INLINE_MAX: u32 = 12;
/// Texts of a column that are remembered while it is hashed.
const RECENT_TEXTS: usize = 64;
/// Spreads a view over the upper bits: the fraction of the golden ratio.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
/// Longest footer that is believed: one of a full segment takes some 20 KiB.
const FOOTER_BYTES_MAX: u32 = 64 << 20;

/// Bounds of a granule's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Granule {
    /// Records.
    pub rows: u32,
    /// Earliest timestamp.
    pub min_timestamp: i64,
    /// Latest timestamp.
    pub max_timestamp: i64,
    /// Smallest offset.
    pub min_offset: i64,
    /// Largest offset.
    pub max_offset: i64,
    /// Bit n is set if a record has severity number n.
    pub severities: u32,
}

/// Where a row group's filters are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RowGroup {
    /// Its number of granules.
    pub granules: u32,
    /// Buckets of each filter.
    pub buckets: u32,
    /// Offset of its filters in the file.
    pub at: u64,
}

impl RowGroup {
    /// Bytes of its filters, which stand together.
    fn filter_bytes(&self) -> usize {
        self.granules as usize * self.buckets as usize * BUCKET_BYTES
    }
}

/// A checkpoint as the footer keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredCheckpoint {
    /// The source.
    pub source: String,
    /// Offset after the last byte read.
    pub offset: u64,
    /// Lines read.
    pub lines: u64,
    /// The source's own state.
    pub state: String,
}

/// What stands in the footer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Footer {
    /// Version of the layout: 1.
    pub version: u32,
    /// All granules, in row order.
    pub granules: Vec<Granule>,
    /// All row groups, in row order.
    pub row_groups: Vec<RowGroup>,
    /// Counts over all records.
    pub summary: Summary,
    /// Latest `observed_timestamp`.
    pub max_observed: i64,
    /// Bytes of the original lines.
    pub raw_bytes: u64,
    /// The checkpoints that were committed with the segment; they rebuild a lost catalog.
    pub checkpoints: Vec<StoredCheckpoint>,
    /// Segments whose records were compacted into this one; they rebuild a lost catalog.
    pub replaces: Vec<i64>,
}

/// The index of one row group, ready to be written.
pub struct RowGroupIndex {
    filters: Vec<u8>,
    buckets: usize,
    granules: Vec<Granule>,
    summary: Summary,
    max_observed: i64,
}

impl RowGroupIndex {
    /// Indexes the records of a row group: words of the body and of text attributes.
    pub fn new(batch: &RecordBatch) -> Self {
        let parts: Vec<RecordBatch> = (0..batch.num_rows())
            .step_by(GRANULE_ROWS)
            .map(|start| batch.slice(start, GRANULE_ROWS.min(batch.num_rows() - start)))
            .collect();
        debug_assert!(batch.num_rows() <= ROW_GROUP_ROWS);
        let mut words = Words::default();
        // Granules of one row group are much alike; the first tells the size, the middle one checks it.
        let mut sampled = vec![0, parts.len() / 2];
        sampled.dedup();
        let samples: Vec<Vec<u64>> =
            sampled.iter().map(|granule| hashes(&mut words, parts.get(*granule))).collect();
        let distinct = samples.iter().map(|hashes| filter::distinct(hashes)).max().unwrap_or(1);
        let mut builder = Builder::new(parts.len(), distinct);
        for (granule, part) in parts.iter().enumerate() {
            match sampled.iter().position(|sampled| *sampled == granule) {
                Some(sample) => samples[sample].iter().for_each(|hash| builder.insert(granule, *hash)),
                None => each_hash(&mut words, part, |hash| builder.insert(granule, hash)),
            }
        }
        let observed = batch.column(1).as_primitive::<TimestampNanosecondType>();
        Self {
            buckets: builder.buckets(),
            filters: builder.finish(),
            granules: parts.iter().map(bounds).collect(),
            summary: Summary::of(batch),
            max_observed: observed.values().iter().max().copied().unwrap_or(i64::MIN),
        }
    }
}

fn bounds(part: &RecordBatch) -> Granule {
    let times = part.column(0).as_primitive::<TimestampNanosecondType>().values();
    let severities = part.column(2).as_primitive::<UInt8Type>().values();
    let (min_offset, max_offset) = summary::offset_bounds(part);
    Granule {
        rows: part.num_rows() as u32,
        min_timestamp: times.iter().min().copied().unwrap_or(0),
        max_timestamp: times.iter().max().copied().unwrap_or(0),
        min_offset,
        max_offset,
        severities: severities.iter().fold(0, |mask, number| mask | 1 << number.min(&31)),
    }
}

/// The hashes of all words of a granule.
fn hashes(words: &mut Words, part: Option<&RecordBatch>) -> Vec<u64> {
    let mut all = Vec::new();
    if let Some(part) = part {
        each_hash(words, part, |hash| all.push(hash));
    }
    all
}

/// Calls `each` with the hashes of all words that a search may look for: those of the searched columns and of the text
/// attributes. What was hashed before in the same part may be left out.
fn each_hash(words: &mut Words, part: &RecordBatch, mut each: impl FnMut(u64)) {
    let body = part.column_by_name(schema::BODY).and_then(|column| column.as_string_view_opt());
    if let Some(body) = body {
        body.iter().flatten().for_each(|text| words.hashes(text.as_bytes(), &mut each));
    }
    let searched = schema::SEARCHED.into_iter().filter(|name| *name != schema::BODY);
    let top = searched.filter_map(|name| part.column_by_name(name));
    let attributes = part.column_by_name(schema::ATTRIBUTES);
    let children = attributes.into_iter().flat_map(|column| column.as_struct().columns());
    for texts in top.chain(children).filter_map(|column| column.as_string_view_opt()) {
        each_hash_beside(words, texts, body, &mut each);
    }
}

/// The same for a column beside the body, many of whose texts are known: short ones come again, and others are a piece
/// of the row's body.
fn each_hash_beside(
    words: &mut Words,
    texts: &StringViewArray,
    body: Option<&StringViewArray>,
    each: &mut impl FnMut(u64),
) {
    let mut recent = [0; RECENT_TEXTS];
    let note = |row: usize| {
        let view = texts.views()[row];
        let is_inline = view as u32 <= INLINE_MAX;
        let slot = &mut recent[(view.wrapping_mul(SPREAD) >> 122) as usize];
        if is_inline && std::mem::replace(slot, view) == view {
            return;
        }
        let text = texts.value(row).as_bytes();
        let is_piece = |body: &StringViewArray| is_piece(text, body.value(row).as_bytes());
        if is_inline || !body.is_some_and(is_piece) {
            words.hashes(text, &mut *each);
        }
    };
    match texts.nulls() {
        Some(nulls) => nulls.valid_indices().for_each(note),
        None => (0..texts.len()).for_each(note),
    }
}

/// Whether a text stands in the memory of the body, its words as they are there.
fn is_piece(text: &[u8], body: &[u8]) -> bool {
    let from = (text.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
    let Some(to) = from.checked_add(text.len()).filter(|to| *to <= body.len()) else { return false };
    let splits =
        |at: usize| at == 0 || at == body.len() || !is_word_byte(body[at - 1]) || !is_word_byte(body[at]);
    splits(from) && splits(to)
}

/// Writes an index file, row group by row group.
pub(crate) struct IndexWriter {
    file: io::BufWriter<Appender>,
    at: u64,
    footer: Footer,
}

impl IndexWriter {
    /// Creates the file, which must not exist.
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let mut file = io::BufWriter::with_capacity(1 << 16, Appender(disk.create(path)?));
        file.write_all(MAGIC)?;
        Ok(Self { file, at: MAGIC.len() as u64, footer: Footer { version: 1, ..Footer::default() } })
    }

    /// Appends the index of the next row group.
    pub(crate) fn append(&mut self, index: &RowGroupIndex) -> io::Result<()> {
        self.file.write_all(&index.filters)?;
        self.footer.row_groups.push(RowGroup {
            granules: index.granules.len() as u32,
            buckets: index.buckets as u32,
            at: self.at,
        });
        self.at += index.filters.len() as u64;
        self.footer.granules.extend_from_slice(&index.granules);
        self.footer.summary.merge(&index.summary);
        self.footer.max_observed = self.footer.max_observed.max(index.max_observed);
        Ok(())
    }

    /// Appends the indexes of all row groups of another file, in their order.
    pub(crate) fn splice(&mut self, other: &Index) -> io::Result<()> {
        let mut filters = Vec::new();
        for group in &other.footer.row_groups {
            filters.resize(group.filter_bytes(), 0);
            other.file.read_exact_at(&mut filters, group.at)?;
            self.file.write_all(&filters)?;
            self.footer.row_groups.push(RowGroup { at: self.at, ..*group });
            self.at += filters.len() as u64;
        }
        self.footer.granules.extend_from_slice(&other.footer.granules);
        self.footer.summary.merge(&other.footer.summary);
        self.footer.max_observed = self.footer.max_observed.max(other.footer.max_observed);
        Ok(())
    }

    /// What the footer holds so far.
    pub(crate) fn footer_mut(&mut self) -> &mut Footer {
        &mut self.footer
    }

    /// Writes the footer and makes the file durable. Gives the footer and the file's size.
    pub(crate) fn finish(mut self) -> io::Result<(Footer, u64)> {
        let json = serde_json::to_vec(&self.footer)?;
        let footer = zstd::bulk::compress(&json, 3)?;
        self.file.write_all(&footer)?;
        self.file.write_all(&(footer.len() as u32).to_le_bytes())?;
        self.file.write_all(&crc32fast::hash(&footer).to_le_bytes())?;
        self.file.write_all(MAGIC)?;
        let Appender(file) = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync()?;
        Ok((self.footer, self.at + footer.len() as u64 + TRAILER_BYTES))
    }
}

/// An open index file.
#[derive(Debug)]
pub struct Index {
    file: File,
    /// The footer.
    pub footer: Footer,
}

impl Index {
    /// Opens and checks an index file; the error says what is damaged.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path)?;
        let footer = read_footer(&file, path)?;
        Ok(Self { file, footer })
    }

    /// Which granules of a row group may hold all of these words (hashes).
    pub fn granules_with(&self, row_group: usize, hashes: &[u64]) -> io::Result<Vec<bool>> {
        let group = &self.footer.row_groups[row_group];
        let granules = group.granules as usize;
        let mut possible = vec![true; granules];
        let mut run = vec![0; granules * BUCKET_BYTES];
        for hash in hashes {
            let at = filter::bucket(*hash, group.buckets as usize) * run.len();
            self.file.read_exact_at(&mut run, group.at + at as u64)?;
            for (possible, stored) in possible.iter_mut().zip(run.chunks_exact(BUCKET_BYTES)) {
                *possible &= filter::may_contain(stored, *hash);
            }
        }
        Ok(possible)
    }
}

fn read_footer(file: &File, path: &Path) -> io::Result<Footer> {
    let damaged =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    let size = file.bytes()?;
    let at = size.checked_sub(TRAILER_BYTES).ok_or_else(|| damaged("shorter than its trailer"))?;
    let mut trailer = [0; TRAILER_BYTES as usize];
    file.read_exact_at(&mut trailer, at)?;
    let word =
        |at: usize| u32::from_le_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
    let (len, crc) = (word(0), word(4));
    if trailer[8..] != *MAGIC || len > FOOTER_BYTES_MAX || u64::from(len) > at {
        return Err(damaged("not an index file, or its end is missing"));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, at - u64::from(len))?;
    if crc32fast::hash(&bytes) != crc {
        return Err(damaged("the footer's checksum does not fit"));
    }
    let json = zstd::decode_all(bytes.as_slice())?;
    let footer: Footer = serde_json::from_slice(&json)?;
    if footer.version != 1 {
        return Err(damaged("written by a newer version of taffrail"));
    }
    Ok(footer)
}
