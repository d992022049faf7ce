//! The table `logs`: a snapshot's records as DataFusion reads them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, UInt8Type};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use taffrail_record::Severity;
use taffrail_search::{Part, Scan};
use taffrail_store::engine::{Control, QueryError, Work};
use taffrail_store::schema;
use taffrail_store::segment::{Columns, attribute_column};
use taffrail_store::{Error, Snapshot};

use super::pushdown;

/// The column with the severity's name; it is made of `severity_number`.
const SEVERITY: &str = "severity";

/// The table.
#[derive(Debug)]
pub(super) struct Logs {
    snapshot: Snapshot,
    control: Control,
    schema: SchemaRef,
}

impl Logs {
    pub(super) fn new(snapshot: Snapshot, control: Control) -> Self {
        let segments = snapshot.segments.iter().map(|segment| segment.schema().as_ref());
        let memory = snapshot.memory.iter().map(|batch| batch.schema_ref().as_ref());
        let attributes = schema::union_attributes(segments.chain(memory));
        let stored = schema::with_attributes(&attributes);
        let mut fields: Vec<Arc<Field>> = stored
            .fields()
            .iter()
            .filter(|field| ![schema::LAYOUT, schema::RAW].contains(&field.name().as_str()))
            .cloned()
            .collect();
        fields.insert(2, Arc::new(Field::new(SEVERITY, DataType::Utf8View, false)));
        Self { snapshot, control, schema: Arc::new(Schema::new(fields)) }
    }
}

#[async_trait::async_trait]
impl TableProvider for Logs {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters.iter().map(|_| TableProviderFilterPushDown::Inexact).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (filter, range) = pushdown::understand(filters);
        let scan = Arc::new(Scan::new(&filter, range).map_err(external)?);
        let parts = scan.parts(&self.snapshot.segments, &mut Work::default()).map_err(external)?;
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let pieces = parts.into_iter().map(Piece::Part);
        let memory = self.snapshot.memory.iter().cloned().map(Piece::Memory);
        let partitions = state.config().target_partitions().max(1);
        let mut dealt: Vec<Vec<Piece>> = (0..partitions).map(|_| Vec::new()).collect();
        for (index, piece) in pieces.chain(memory).enumerate() {
            dealt[index % partitions].push(piece);
        }
        let streams = dealt.into_iter().map(|pieces| {
            let (scan, schema, control) = (Arc::clone(&scan), Arc::clone(&schema), self.control.clone());
            Arc::new(Partition { scan, schema, control, pieces }) as Arc<dyn PartitionStream>
        });
        // What the scan leaves out is sure not to match; what it keeps is filtered again above it.
        let limit = limit.filter(|_| filters.is_empty());
        Ok(Arc::new(StreamingTableExec::try_new(
            Arc::clone(&schema),
            streams.collect(),
            None,
            [],
            false,
            limit,
        )?))
    }
}

#[derive(Clone)]
enum Piece {
    Part(Part),
    Memory(Arc<RecordBatch>),
}

/// The pieces that one thread reads.
struct Partition {
    scan: Arc<Scan>,
    schema: SchemaRef,
    control: Control,
    pieces: Vec<Piece>,
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partition").field("pieces", &self.pieces.len()).finish_non_exhaustive()
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (scan, schema, control) =
            (Arc::clone(&self.scan), Arc::clone(&self.schema), self.control.clone());
        let batches = self.pieces.clone().into_iter().flat_map(move |piece| {
            read(&scan, &schema, piece).unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
        });
        let batches = batches.map(move |batch| {
            control.check().map_err(external)?;
            batch
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches)))
    }
}

/// The rows of a piece that may match, with the columns of `schema`.
fn read(scan: &Arc<Scan>, schema: &SchemaRef, piece: Piece) -> Result<Batches> {
    let (scan, schema) = (Arc::clone(scan), Arc::clone(schema));
    match piece {
        Piece::Memory(batch) => Ok(Box::new(std::iter::once_with(move || finish(&scan, &schema, &batch)))),
        Piece::Part(part) => {
            let columns = stored_columns(&scan, &schema, &part);
            let batches = part.segment.read(part.row_group, &part.wanted, &columns).map_err(store)?;
            Ok(Box::new(batches.map(move |batch| finish(&scan, &schema, &batch.map_err(store)?))))
        }
    }
}

fn finish(scan: &Scan, schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let found = scan.select(batch);
    if found.count_set_bits() == batch.num_rows() {
        return shaped(batch, schema);
    }
    shaped(&filter_record_batch(batch, &found.into())?, schema)
}

/// What has to be read of a segment for the wanted columns and the condition.
fn stored_columns(scan: &Scan, schema: &Schema, part: &Part) -> Columns {
    let mut more = Vec::new();
    for field in schema.fields() {
        match field.data_type() {
            DataType::Struct(children) => {
                more.extend(children.iter().map(|child| attribute_column(child.name())));
            }
            _ if field.name() == SEVERITY => more.push(schema::SEVERITY_NUMBER.to_owned()),
            _ => more.push(field.name().clone()),
        }
    }
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    scan.columns(part.segment.schema(), &more)
}

/// A stored batch with exactly the columns of `schema`.
fn shaped(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef> {
        Ok(match (field.data_type(), batch.column_by_name(field.name())) {
            (DataType::Struct(children), column) => attributes(children, column, rows)?,
            _ if field.name() == SEVERITY => severity_names(batch),
            (_, Some(column)) => Arc::clone(column),
            (data_type, None) => new_null_array(data_type, rows),
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn attributes(wanted: &Fields, column: Option<&ArrayRef>, rows: usize) -> Result<ArrayRef> {
    let present = column.map(|column| column.as_struct());
    let children =
        wanted.iter().map(|field| match present.and_then(|present| present.column_by_name(field.name())) {
            Some(child) if child.data_type() == field.data_type() => Ok(Arc::clone(child)),
            Some(child) => cast(child, field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows)),
        });
    let children = children.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Arc::new(arrow::array::StructArray::try_new(wanted.clone(), children, None)?))
}

fn severity_names(batch: &RecordBatch) -> ArrayRef {
    let numbers = batch
        .column_by_name(schema::SEVERITY_NUMBER)
        .and_then(|column| column.as_primitive_opt::<UInt8Type>());
    let name = |number: u8| Severity::new(number).unwrap_or(Severity::INFO).name();
    match numbers {
        Some(numbers) => {
            Arc::new(numbers.values().iter().map(|number| Some(name(*number))).collect::<StringViewArray>())
        }
        None => new_null_array(&DataType::Utf8View, batch.num_rows()),
    }
}

fn store(error: Error) -> DataFusionError {
    external(QueryError::Store(error.to_string()))
}

fn external(error: QueryError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
