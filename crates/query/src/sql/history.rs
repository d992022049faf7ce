//! The tables of the history of machines as DataFusion reads them, page by page.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use taffrail_store::engine::Control;
use taffrail_store::history::{Cell, Kind, RowPlace, RowsRequest, Table};
use taffrail_store::{History, schema};

use super::pushdown;

const TIME: &str = "time";
const NODE: &str = "node_id";
/// Rows that are read at a time.
const PAGE: usize = 4_096;

/// A table.
#[derive(Debug)]
pub(super) struct HistoryTable {
    history: Arc<History>,
    control: Control,
    table: Arc<Table>,
    schema: SchemaRef,
}

impl HistoryTable {
    pub(super) fn new(history: &Arc<History>, control: &Control, table: Table) -> Self {
        let fields: Vec<Field> = table
            .columns
            .iter()
            .map(|column| Field::new(&column.name, data_type(column.kind), true))
            .collect();
        Self {
            history: Arc::clone(history),
            control: control.clone(),
            table: Arc::new(table),
            schema: Arc::new(Schema::new(fields)),
        }
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Time => schema::time_type(TimeUnit::Nanosecond),
        Kind::Integer => DataType::Int64,
        Kind::Real => DataType::Float64,
        Kind::Text => DataType::Utf8,
    }
}

#[async_trait::async_trait]
impl TableProvider for HistoryTable {
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
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.table.columns.len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let pages = Pages {
            history: Arc::clone(&self.history),
            control: self.control.clone(),
            table: Arc::clone(&self.table),
            schema: Arc::clone(&schema),
            request: RowsRequest {
                columns,
                range: pushdown::range_of(filters, TIME),
                node: pushdown::text_of(filters, NODE).map(str::to_owned),
                limit: PAGE,
            },
        };
        let limit = limit.filter(|_| filters.is_empty());
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(pages)], None, [], false, limit)?))
    }
}

/// Rows that are asked for.
#[derive(Debug)]
struct Pages {
    history: Arc<History>,
    control: Control,
    table: Arc<Table>,
    schema: SchemaRef,
    request: RowsRequest,
}

impl PartitionStream for Pages {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let Self { history, control, table, schema, request } = self;
        let (history, control, table) = (Arc::clone(history), control.clone(), Arc::clone(table));
        let (request, columns) = (request.clone(), Arc::clone(schema));
        let mut place: Option<Option<RowPlace>> = Some(None);
        let batches = std::iter::from_fn(move || {
            let after = place.take()?;
            let page = history.rows(&table, &request, after.as_ref(), &control);
            let page = page.map_err(|error| DataFusionError::External(Box::new(error)));
            Some(page.and_then(|page| {
                let batch = batch(&columns, page.rows)?;
                place = page.after.map(Some);
                Ok(batch)
            }))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), futures::stream::iter(batches)))
    }
}

fn batch(schema: &SchemaRef, rows: Vec<Vec<Cell>>) -> Result<RecordBatch> {
    let count = rows.len();
    let mut columns: Vec<Vec<Cell>> = schema.fields().iter().map(|_| Vec::with_capacity(count)).collect();
    for row in rows {
        columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
    }
    let arrays = schema.fields().iter().zip(columns).map(|(field, cells)| array(field.data_type(), cells));
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays.collect(), &options)?)
}

/// Cells as a column. What is not of its kind, which SQLite does not hinder, is missing.
fn array(data_type: &DataType, cells: Vec<Cell>) -> ArrayRef {
    let whole = |cell: &Cell| if let Cell::Integer(number) = cell { Some(*number) } else { None };
    match data_type {
        DataType::Timestamp(..) => {
            let times: TimestampNanosecondArray = cells.iter().map(whole).collect();
            Arc::new(times.with_timezone(schema::UTC))
        }
        DataType::Int64 => Arc::new(cells.iter().map(whole).collect::<Int64Array>()),
        DataType::Float64 => {
            let number = |cell: &Cell| match cell {
                Cell::Real(number) => Some(*number),
                Cell::Integer(number) => Some(*number as f64),
                Cell::Null | Cell::Text(_) => None,
            };
            Arc::new(cells.iter().map(number).collect::<Float64Array>())
        }
        _ => {
            let text = |cell: Cell| if let Cell::Text(text) = cell { Some(text) } else { None };
            Arc::new(cells.into_iter().map(text).collect::<StringArray>())
        }
    }
}
