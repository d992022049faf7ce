//! Takes a segment's row groups over into another segment as they are: neither decoded nor encoded anew.

use parquet::column::writer::ColumnCloseResult;

use super::writer::SegmentWriter;
use super::{Segment, SegmentFile, data_path};
use crate::disk::File;
use crate::error::{Error, Result};

impl Segment {
    /// Whether its row groups can stand in a segment of the same columns as `other`'s.
    pub(crate) fn has_columns_of(&self, other: &Self) -> bool {
        let columns =
            |segment: &Self| segment.parquet.metadata().file_metadata().schema_descr().root_schema_ptr();
        columns(self) == columns(other)
    }

    /// What the writer of each column of a row group said when it had written it.
    fn columns_of(&self, row_group: usize) -> Vec<ColumnCloseResult> {
        let metadata = self.parquet.metadata();
        let group = metadata.row_group(row_group);
        let offsets = metadata.offset_index().and_then(|index| index.get(row_group));
        let column =
            |(position, column): (usize, &parquet::file::metadata::ColumnChunkMetaData)| ColumnCloseResult {
                bytes_written: column.compressed_size().unsigned_abs(),
                rows_written: group.num_rows().unsigned_abs(),
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: offsets.and_then(|offsets| offsets.get(position)).cloned(),
            };
        group.columns().iter().enumerate().map(column).collect()
    }
}

impl SegmentWriter {
    /// Writes all row groups of `segment`, which has the columns of this writer's shape.
    pub(crate) fn splice(&mut self, segment: &Segment) -> Result<()> {
        let file = SegmentFile(File::clone(&segment.file));
        let damaged = |error| Error::damaged(&data_path(&segment.directory, segment.meta.id), &error);
        for row_group in 0..segment.row_groups() {
            let mut writer = self.parquet.next_row_group()?;
            for column in segment.columns_of(row_group) {
                writer.append_column(&file, column).map_err(damaged)?;
            }
            writer.close()?;
        }
        self.index.splice(&segment.index)?;
        self.note(segment.meta.rows, segment.meta.min_timestamp, segment.meta.max_timestamp);
        Ok(())
    }
}
