//! Writes segments.
//!
//! A [`Shape`] says what the row groups of a segment have in common. [`Shape::encode`] does the work (columns,
//! compression, index) and runs on any thread; [`SegmentWriter::append`] only writes its bytes, in order.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{Fields, SchemaRef, TimeUnit, TimestampNanosecondType};
use hashbrown::HashSet;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};
use taffrail_record::Checkpoint;

use super::{Segment, SegmentMeta, data_path, index_path};
use crate::align;
use crate::disk::{Appender, Disk};
use crate::error::{Error, Result};
use crate::index::GRANULE_ROWS;
use crate::index::file::{IndexWriter, RowGroupIndex, StoredCheckpoint};
use crate::schema;

/// A segment is closed once it holds this many rows.
pub const SEGMENT_ROWS: u64 = 1 << 20;
/// Largest page: one granule of lines of 512 bytes.
const PAGE_BYTES: usize = 4 << 20;
/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 << 10;
/// Values of an attribute that tell whether a dictionary is worth it.
const SAMPLED_TEXTS: usize = 8_192;
/// A batch may put this share of its rows' attributes into `attributes_rest` before a new shape is made.
const LEFTOVER_SHARE: usize = 16;

/// What the row groups of a segment have in common: their columns.
pub struct Shape {
    attributes: Fields,
    unit: TimeUnit,
    schema: SchemaRef,
    parquet: TypePtr,
    properties: WriterPropertiesPtr,
    factory: ArrowRowGroupWriterFactory,
}

/// A row group as bytes, ready to be written.
pub struct EncodedRowGroup {
    chunks: Vec<ArrowColumnChunk>,
    index: RowGroupIndex,
    rows: usize,
    min_timestamp: i64,
    max_timestamp: i64,
}

impl Shape {
    /// The shape that fits `batch`, made so that it also fits what `before` fitted.
    pub fn for_batch(batch: &RecordBatch, before: Option<&Self>) -> Result<Self> {
        let mut attributes = schema::attribute_fields(batch.schema_ref());
        let mut unit = coarsest_unit(batch);
        if let Some(before) = before {
            let union = schema::union_attributes([batch.schema_ref().as_ref(), before.schema.as_ref()]);
            if union.len() <= schema::ATTRIBUTE_COLUMNS_MAX {
                attributes = union;
            }
            unit = finer(unit, before.unit);
        }
        let unique: Vec<String> = attributes
            .iter()
            .map(|field| field.name())
            .filter(|name| is_unique(batch, name))
            .cloned()
            .collect();
        Self::with_unique(attributes, unit, &unique)
    }

    /// The shape with these columns.
    pub fn new(attributes: Fields, unit: TimeUnit) -> Result<Self> {
        Self::with_unique(attributes, unit, &[])
    }

    /// The same; a dictionary of the attributes `unique` would hold most values once.
    fn with_unique(attributes: Fields, unit: TimeUnit, unique: &[String]) -> Result<Self> {
        let schema = schema::at_rest(&attributes, unit);
        let parquet = ArrowSchemaConverter::new().schema_root("log").convert(&schema)?;
        let properties = Arc::new(properties(&attributes, unique));
        let sink = SerializedFileWriter::new(io::sink(), parquet.root_schema_ptr(), Arc::clone(&properties))?;
        let factory = ArrowRowGroupWriterFactory::new(&sink, Arc::clone(&schema));
        Ok(Self { attributes, unit, schema, parquet: parquet.root_schema_ptr(), properties, factory })
    }

    /// Whether `batch` can go into this shape without losing precision or many attribute columns.
    pub fn fits(&self, batch: &RecordBatch) -> bool {
        let leftover = schema::attribute_fields(batch.schema_ref())
            .iter()
            .filter(|field| self.attributes.find(field.name()).is_none_or(|(_, known)| known != *field))
            .filter_map(|field| {
                batch.column_by_name(schema::ATTRIBUTES)?.as_struct().column_by_name(field.name())
            })
            .map(|column| column.len() - column.null_count())
            .max();
        finer(self.unit, coarsest_unit(batch)) == self.unit
            && leftover.unwrap_or(0) * LEFTOVER_SHARE <= batch.num_rows()
    }

    /// Encodes sorted records (at most a row group of them).
    pub fn encode(&self, batch: &RecordBatch) -> Result<EncodedRowGroup> {
        let batch = align::to_attributes(batch, &self.attributes)?;
        let index = RowGroupIndex::new(&batch);
        let times = batch.column(0).as_primitive::<TimestampNanosecondType>().values();
        let (min_timestamp, max_timestamp) = (times.iter().min(), times.iter().max());
        let mut chunks = Vec::new();
        let mut writers = self.factory.create_column_writers(0)?.into_iter();
        for (position, field) in self.schema.fields().iter().enumerate() {
            let column: ArrayRef = match position {
                0 => cast(batch.column(0), field.data_type())?,
                _ => Arc::clone(batch.column(position)),
            };
            for leaf in compute_leaves(field, &column)? {
                let mut writer = writers.next().ok_or(Error::Internal("more leaves than column writers"))?;
                writer.write(&leaf)?;
                chunks.push(writer.close()?);
            }
        }
        Ok(EncodedRowGroup {
            chunks,
            index,
            rows: batch.num_rows(),
            min_timestamp: min_timestamp.copied().unwrap_or(i64::MAX),
            max_timestamp: max_timestamp.copied().unwrap_or(i64::MIN),
        })
    }
}

/// Whether most of a text attribute's values are seen once in a batch.
fn is_unique(batch: &RecordBatch, name: &str) -> bool {
    let column = batch.column_by_name(schema::ATTRIBUTES);
    let column = column.and_then(|column| column.as_struct().column_by_name(name));
    let Some(texts) = column.and_then(|column| column.as_string_view_opt()) else { return false };
    // A column of few values is not worth a look at every row.
    if texts.len() - texts.null_count() < SAMPLED_TEXTS / 8 {
        return false;
    }
    let mut seen = HashSet::with_capacity(SAMPLED_TEXTS);
    let mut sampled = 0;
    for row in valid_rows(texts).take(SAMPLED_TEXTS) {
        seen.insert(texts.value(row));
        sampled += 1;
        // Most columns show soon what they are.
        if sampled == SAMPLED_TEXTS / 8 && seen.len() * 2 < sampled {
            return false;
        }
    }
    seen.len() * 3 > sampled * 2
}

/// The rows that hold a value, found by runs and not one by one: attributes are sparse.
fn valid_rows(texts: &StringViewArray) -> Box<dyn Iterator<Item = usize> + '_> {
    match texts.nulls() {
        Some(nulls) => Box::new(nulls.valid_indices()),
        None => Box::new(0..texts.len()),
    }
}

fn properties(attributes: &Fields, unique: &[String]) -> WriterProperties {
    let path = |name: &str| ColumnPath::from(name);
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("taffrail ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new("taffrail.segment".to_owned(), "1".to_owned())]))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(GRANULE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(GRANULE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None);
    for name in [schema::TIMESTAMP, schema::OBSERVED_TIMESTAMP, schema::OFFSET] {
        builder = builder
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in [schema::BODY, schema::RAW, schema::ATTRIBUTES_REST] {
        builder = builder
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .set_column_statistics_enabled(path(name), EnabledStatistics::None);
    }
    for field in attributes {
        let leaf = ColumnPath::new(vec![schema::ATTRIBUTES.to_owned(), field.name().clone()]);
        if field.data_type().is_integer() {
            builder = builder
                .set_column_dictionary_enabled(leaf.clone(), false)
                .set_column_encoding(leaf.clone(), Encoding::DELTA_BINARY_PACKED);
        } else {
            builder = builder.set_column_statistics_enabled(leaf.clone(), EnabledStatistics::None);
        }
        if unique.contains(field.name()) {
            builder = builder
                .set_column_dictionary_enabled(leaf.clone(), false)
                .set_column_encoding(leaf, Encoding::DELTA_LENGTH_BYTE_ARRAY);
        }
    }
    builder.build()
}

/// The coarsest unit that every timestamp is a whole number of.
fn coarsest_unit(batch: &RecordBatch) -> TimeUnit {
    let times = batch.column(0).as_primitive::<TimestampNanosecondType>().values();
    let whole = |unit: i64| times.iter().all(|time| time % unit == 0);
    match () {
        () if whole(1_000_000) => TimeUnit::Millisecond,
        () if whole(1_000) => TimeUnit::Microsecond,
        () => TimeUnit::Nanosecond,
    }
}

/// The unit of the two that tells more.
pub(crate) fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    let fineness = |unit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if fineness(a) >= fineness(b) { a } else { b }
}

/// A segment being written. Dropped without [`SegmentWriter::finish`] it removes its files.
pub(crate) struct SegmentWriter {
    files: Unfinished,
    shape: Arc<Shape>,
    pub(super) parquet: SerializedFileWriter<BufWriter<Appender>>,
    pub(super) index: IndexWriter,
    rows: u64,
    min_timestamp: i64,
    max_timestamp: i64,
}

/// The files of a segment that may come to nothing. They are removed at once: where they failed for space,
/// they hold some of it.
struct Unfinished {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    id: i64,
    finished: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            remove_files(&*self.disk, &self.directory, self.id);
        }
    }
}

/// Removes what there is of a segment; what stays is in nobody's way and removed by the next start.
pub(crate) fn remove_files(disk: &dyn Disk, directory: &Path, id: i64) {
    for path in [data_path(directory, id), index_path(directory, id)] {
        if path.exists()
            && let Err(error) = disk.remove(&path)
        {
            tracing::warn!("cannot remove a segment that came to nothing: {error}");
        }
    }
}

impl SegmentWriter {
    /// Creates the files of segment `id` in `directory`.
    pub(crate) fn create(disk: &Arc<dyn Disk>, directory: &Path, id: i64, shape: Arc<Shape>) -> Result<Self> {
        let (disk, directory) = (Arc::clone(disk), directory.to_owned());
        let files = Unfinished { disk, directory, id, finished: false };
        let file = Appender(files.disk.create(&data_path(&files.directory, id))?);
        let file = BufWriter::with_capacity(WRITE_BYTES, file);
        let parquet =
            SerializedFileWriter::new(file, Arc::clone(&shape.parquet), Arc::clone(&shape.properties))?;
        let index = IndexWriter::create(&*files.disk, &index_path(&files.directory, id))?;
        let (min_timestamp, max_timestamp) = (i64::MAX, i64::MIN);
        Ok(Self { files, shape, parquet, index, rows: 0, min_timestamp, max_timestamp })
    }

    /// The shape that appended row groups must have.
    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the next row group, which must have been encoded with this writer's shape.
    pub(crate) fn append(&mut self, encoded: EncodedRowGroup) -> Result<()> {
        let mut row_group = self.parquet.next_row_group()?;
        for chunk in encoded.chunks {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        self.index.append(&encoded.index)?;
        self.note(encoded.rows as u64, encoded.min_timestamp, encoded.max_timestamp);
        Ok(())
    }

    /// Counts rows that were written.
    pub(super) fn note(&mut self, rows: u64, min_timestamp: i64, max_timestamp: i64) {
        self.rows += rows;
        self.min_timestamp = self.min_timestamp.min(min_timestamp);
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
    }

    /// Completes both files, makes them durable, the directory too, and opens them.
    pub(crate) fn finish(mut self, origin: Origin) -> Result<Segment> {
        self.parquet.finish()?;
        self.parquet.inner_mut().flush()?;
        let Appender(file) = self.parquet.inner().get_ref();
        file.sync()?;
        let data_bytes = file.bytes()?;
        let footer = self.index.footer_mut();
        footer.raw_bytes = origin.raw_bytes;
        footer.checkpoints = origin.checkpoints;
        footer.replaces = origin.replaces;
        let (footer, index_bytes) = self.index.finish()?;
        self.files.disk.sync_directory(&self.files.directory)?;
        let meta = SegmentMeta {
            id: self.files.id,
            rows: self.rows,
            min_timestamp: self.min_timestamp,
            max_timestamp: self.max_timestamp,
            max_observed: footer.max_observed,
            data_bytes,
            index_bytes,
            raw_bytes: footer.raw_bytes,
        };
        let segment = Segment::open(&self.files.disk, &self.files.directory, meta)?;
        self.files.finished = true;
        Ok(segment)
    }
}

/// Where a segment's records come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// Bytes of the original lines.
    pub raw_bytes: u64,
    /// The checkpoints that are committed with the segment.
    pub checkpoints: Vec<StoredCheckpoint>,
    /// The segments that were compacted into it.
    pub replaces: Vec<i64>,
}

impl Origin {
    /// Records that were just read.
    pub(crate) fn of_lines(raw_bytes: u64, checkpoints: &[(String, Checkpoint)]) -> Self {
        let stored = checkpoints.iter().map(|(source, checkpoint)| StoredCheckpoint {
            source: source.clone(),
            offset: checkpoint.offset,
            lines: checkpoint.lines,
            state: checkpoint.state.clone(),
        });
        Self { raw_bytes, checkpoints: stored.collect(), replaces: Vec::new() }
    }
}
