//! A segment: one immutable Parquet file of records with its index file beside it.
//!
//! [`writer`] makes them row group by row group, so that row groups can be encoded on several threads;
//! [`Segment`] is an open one and reads granules of it.

mod splice;
pub mod writer;

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::statistics::Statistics;

use crate::disk::{Disk, File, Reader, Witness};
use crate::error::{Error, Result};
use crate::index::file::{Granule, Index, IndexWriter, RowGroupIndex};
use crate::index::{GRANULE_ROWS, ROW_GROUP_ROWS};
use crate::schema::{self, ATTRIBUTES};

/// What the catalog knows of a segment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SegmentMeta {
    /// Its number; also its files' name.
    pub id: i64,
    /// Records.
    pub rows: u64,
    /// Earliest timestamp.
    pub min_timestamp: i64,
    /// Latest timestamp.
    pub max_timestamp: i64,
    /// Latest time of reading: what retention by age goes by.
    pub max_observed: i64,
    /// Size of the Parquet file.
    pub data_bytes: u64,
    /// Size of the index file.
    pub index_bytes: u64,
    /// Bytes of the original lines.
    pub raw_bytes: u64,
}

impl SegmentMeta {
    /// Size of both files.
    pub(crate) fn bytes(&self) -> u64 {
        self.data_bytes + self.index_bytes
    }
}

/// Path of a segment's Parquet file.
pub fn data_path(directory: &Path, id: i64) -> PathBuf {
    directory.join(format!("{id:012}.parquet"))
}

/// Path of a segment's index file.
pub fn index_path(directory: &Path, id: i64) -> PathBuf {
    directory.join(format!("{id:012}.idx"))
}

/// An open segment. Its files are removed when the last user drops it after [`Segment::discard`].
#[derive(Debug)]
pub struct Segment {
    /// What the catalog knows of it.
    pub meta: SegmentMeta,
    /// Its index.
    pub index: Index,
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file: File,
    parquet: ArrowReaderMetadata,
    /// The schema in memory.
    schema: SchemaRef,
    discarded: AtomicBool,
}

impl Segment {
    /// Opens both files and checks their ends.
    pub(crate) fn open(disk: &Arc<dyn Disk>, directory: &Path, meta: SegmentMeta) -> Result<Self> {
        let path = data_path(directory, meta.id);
        let index = Index::open(&**disk, &index_path(directory, meta.id))?;
        let (file, parquet) = open_parquet(&**disk, &path)?;
        let rows: u64 = index.footer.granules.iter().map(|granule| u64::from(granule.rows)).sum();
        if parquet.metadata().file_metadata().num_rows() as u64 != rows {
            return Err(Error::damaged(&path, &"its index counts other rows"));
        }
        let schema = schema::with_attributes(&schema::attribute_fields(parquet.schema()));
        let (disk, directory) = (Arc::clone(disk), directory.to_owned());
        let discarded = AtomicBool::new(false);
        Ok(Self { meta, index, disk, directory, file, parquet, schema, discarded })
    }

    /// The schema of what it reads.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The unit of its timestamps at rest.
    pub fn time_unit(&self) -> TimeUnit {
        match self.parquet.schema().field(0).data_type() {
            DataType::Timestamp(unit, _) => *unit,
            _ => TimeUnit::Nanosecond,
        }
    }

    /// The bounds of all granules, in row order.
    pub fn granules(&self) -> &[Granule] {
        &self.index.footer.granules
    }

    /// Number of row groups.
    pub fn row_groups(&self) -> usize {
        self.index.footer.row_groups.len()
    }

    /// The granules of a row group, as a range into [`Segment::granules`].
    pub fn granules_of(&self, row_group: usize) -> std::ops::Range<usize> {
        let counts = &self.index.footer.row_groups;
        let start: u32 = counts[..row_group].iter().map(|group| group.granules).sum();
        start as usize..(start + counts[row_group].granules) as usize
    }

    /// The earliest and the latest time of reading in a row group; `None` where the file does not say.
    pub fn observed_bounds(&self, row_group: usize) -> Option<(i64, i64)> {
        // The second column: see [`crate::schema`].
        let column = self.parquet.metadata().row_groups().get(row_group)?.columns().get(1)?;
        match column.statistics()? {
            Statistics::Int64(bounds) => Some((*bounds.min_opt()?, *bounds.max_opt()?)),
            _ => None,
        }
    }

    /// Removes the files once nobody reads them any more.
    pub fn discard(&self) {
        self.discarded.store(true, Ordering::Relaxed);
    }

    /// Reads some granules of one row group: `wanted` has a flag for each. Batches of at most a granule come
    /// in row order, times in nanoseconds.
    pub fn read(
        &self,
        row_group: usize,
        wanted: &[bool],
        columns: &Columns,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let granules = &self.granules()[self.granules_of(row_group)];
        let selectors = granules.iter().zip(wanted).map(|(granule, wanted)| match wanted {
            true => RowSelector::select(granule.rows as usize),
            false => RowSelector::skip(granule.rows as usize),
        });
        let selection = wanted.contains(&false).then(|| RowSelection::from_iter(selectors));
        self.read_selection(row_group, selection, columns)
    }

    /// Reads single rows of one row group, given by their rising numbers in it.
    pub fn read_rows(
        &self,
        row_group: usize,
        rows: &[usize],
        columns: &Columns,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let total: u32 =
            self.granules()[self.granules_of(row_group)].iter().map(|granule| granule.rows).sum();
        let ranges = rows.iter().map(|row| *row..row + 1);
        let selection = RowSelection::from_consecutive_ranges(ranges, total as usize);
        self.read_selection(row_group, Some(selection), columns)
    }

    fn read_selection(
        &self,
        row_group: usize,
        selection: Option<RowSelection>,
        columns: &Columns,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let file = SegmentFile(File::clone(&self.file));
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.parquet.clone())
            .with_row_groups(vec![row_group])
            .with_projection(self.projection(columns))
            .with_batch_size(GRANULE_ROWS);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let path = data_path(&self.directory, self.meta.id);
        let reader = builder.build().map_err(|err| Error::damaged(&path, &err))?;
        Ok(reader.map(move |batch| batch.and_then(in_nanoseconds).map_err(|err| Error::damaged(&path, &err))))
    }

    fn projection(&self, columns: &Columns) -> ProjectionMask {
        let Columns::Some(names) = columns else { return ProjectionMask::all() };
        let parquet = self.parquet.parquet_schema();
        let leaves = (0..parquet.num_columns()).filter(|leaf| {
            let path = parquet.column(*leaf).path().parts().join(".");
            let top = path.split('.').next().unwrap_or_default();
            names.iter().any(|name| *name == path || name == top)
        });
        ProjectionMask::leaves(parquet, leaves)
    }
}

/// A Parquet file whose texts are read as views.
fn open_parquet(disk: &dyn Disk, path: &Path) -> Result<(File, ArrowReaderMetadata)> {
    let witness = Witness::new(disk.open(path)?);
    let file: File = Arc::<Witness>::clone(&witness);
    match read_metadata(&file) {
        Ok(parquet) => Ok((witness.file(), parquet)),
        Err(error) => Err(witness.failure().map_or_else(|| Error::damaged(path, &error), Error::Io)),
    }
}

fn read_metadata(file: &File) -> parquet::errors::Result<ArrowReaderMetadata> {
    let options = || {
        ArrowReaderOptions::new()
            .with_offset_index_policy(PageIndexPolicy::Required)
            .with_column_index_policy(PageIndexPolicy::Skip)
    };
    let stored = ArrowReaderMetadata::load(&SegmentFile(File::clone(file)), options())?;
    let views = Arc::new(as_views(stored.schema()));
    ArrowReaderMetadata::try_new(Arc::clone(stored.metadata()), options().with_schema(views))
}

/// Makes the index file of a segment anew from its Parquet file, in the place of one that is lost or damaged.
/// Only the checkpoints that stood in it do not come back: the catalog has them.
pub(crate) fn reindex(disk: &dyn Disk, directory: &Path, meta: &SegmentMeta) -> Result<()> {
    let path = data_path(directory, meta.id);
    let (file, parquet) = open_parquet(disk, &path)?;
    let witness = Witness::new(file);
    let fresh = index_path(directory, meta.id).with_extension("idx.new");
    if fresh.exists() {
        disk.remove(&fresh)?;
    }
    let mut writer = IndexWriter::create(disk, &fresh)?;
    let damaged = |error: &dyn std::fmt::Display| {
        witness.failure().map_or_else(|| Error::damaged(&path, error), Error::Io)
    };
    for row_group in 0..parquet.metadata().num_row_groups() {
        let file = SegmentFile(Arc::<Witness>::clone(&witness));
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, parquet.clone())
            .with_row_groups(vec![row_group])
            .with_batch_size(ROW_GROUP_ROWS)
            .build()
            .map_err(|error| damaged(&error))?;
        let batches =
            reader.map(|batch| batch.and_then(in_nanoseconds)).collect::<std::result::Result<Vec<_>, _>>();
        let batches = batches.map_err(|error| damaged(&error))?;
        if let Some(first) = batches.first() {
            writer.append(&RowGroupIndex::new(&concat_batches(first.schema_ref(), &batches)?))?;
        }
    }
    writer.footer_mut().raw_bytes = meta.raw_bytes;
    writer.finish()?;
    disk.rename(&fresh, &index_path(directory, meta.id))?;
    Ok(disk.sync_directory(directory)?)
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.discarded.load(Ordering::Relaxed) {
            for path in [data_path(&self.directory, self.meta.id), index_path(&self.directory, self.meta.id)]
            {
                if let Err(error) = self.disk.remove(&path) {
                    tracing::warn!("cannot remove a segment that is no longer needed: {error}");
                }
            }
        }
    }
}

/// Which columns to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Columns {
    /// Every one.
    All,
    /// These: a column's name, or `attributes.key`.
    Some(Vec<String>),
}

/// The schema with texts as views, which point into the decoded pages instead of copying them.
fn as_views(schema: &Schema) -> Schema {
    let view = |data_type: &DataType| match data_type {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        other => other.clone(),
    };
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|field| {
            let data_type = match field.data_type() {
                DataType::Struct(children) => DataType::Struct(
                    children
                        .iter()
                        .map(|child| child.as_ref().clone().with_data_type(view(child.data_type())))
                        .collect(),
                ),
                other => view(other),
            };
            field.as_ref().clone().with_data_type(data_type)
        })
        .collect();
    Schema::new(fields)
}

fn in_nanoseconds(batch: RecordBatch) -> std::result::Result<RecordBatch, ArrowError> {
    let wanted = schema::time_type(TimeUnit::Nanosecond);
    let coarse = |data_type: &DataType| matches!(data_type, DataType::Timestamp(..)) && *data_type != wanted;
    if !batch.schema_ref().fields().iter().any(|field| coarse(field.data_type())) {
        return Ok(batch);
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if coarse(field.data_type()) {
            arrays.push(cast(column, &wanted)?);
            fields.push(Arc::new(field.as_ref().clone().with_data_type(wanted.clone())));
        } else {
            arrays.push(Arc::clone(column));
            fields.push(Arc::clone(field));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// Bytes that are read at once of what is read from a position on.
const READ_BYTES: usize = 256 << 10;

/// Reads at a position, so that threads share one descriptor.
#[derive(Clone)]
struct SegmentFile(File);

impl parquet::file::reader::Length for SegmentFile {
    fn len(&self) -> u64 {
        self.0.bytes().unwrap_or(0)
    }
}

impl parquet::file::reader::ChunkReader for SegmentFile {
    type T = BufReader<Reader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::with_capacity(READ_BYTES, Reader::new(File::clone(&self.0), start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// Attributes column name of a key, for [`Columns::Some`].
pub fn attribute_column(key: &str) -> String {
    format!("{ATTRIBUTES}.{key}")
}

const _: () = assert!(ROW_GROUP_ROWS.is_multiple_of(GRANULE_ROWS));
