//! The table `telemetry`: the samples of all machines as DataFusion reads them, page by page.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use taffrail_record::FIGURES;
use taffrail_store::engine::{Control, QueryError, TimeRange};
use taffrail_store::history::StoredSample;
use taffrail_store::{History, schema};

use super::pushdown;

const TIME: &str = "time";
const NODE: &str = "node_id";
/// All that a sample says, as JSON.
const METRICS: &str = "metrics";
/// Samples that are read at a time.
const PAGE: usize = 4_096;

/// The table.
#[derive(Debug)]
pub(super) struct Telemetry {
    history: Arc<History>,
    control: Control,
    schema: SchemaRef,
}

impl Telemetry {
    pub(super) fn new(history: Arc<History>, control: Control) -> Self {
        let mut fields = vec![
            Field::new(TIME, schema::time_type(TimeUnit::Nanosecond), false),
            Field::new(NODE, DataType::Utf8, false),
        ];
        fields.extend(FIGURES.map(|figure| Field::new(figure.name, DataType::Float64, true)));
        fields.push(Field::new(METRICS, DataType::Utf8, false));
        Self { history, control, schema: Arc::new(Schema::new(fields)) }
    }
}

#[async_trait::async_trait]
impl TableProvider for Telemetry {
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
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let pages = Pages {
            history: Arc::clone(&self.history),
            control: self.control.clone(),
            schema: Arc::clone(&schema),
            range: pushdown::range_of(filters, TIME),
        };
        let limit = limit.filter(|_| filters.is_empty());
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(pages)], None, [], false, limit)?))
    }
}

/// The samples of a span of time.
#[derive(Debug)]
struct Pages {
    history: Arc<History>,
    control: Control,
    schema: SchemaRef,
    range: TimeRange,
}

impl PartitionStream for Pages {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let Self { history, control, schema, range } = self;
        let (history, control, schema, range) =
            (Arc::clone(history), control.clone(), Arc::clone(schema), *range);
        let with_envelope = schema.column_with_name(METRICS).is_some();
        let columns = Arc::clone(&schema);
        let mut place = Some(None);
        let batches = std::iter::from_fn(move || {
            let after: Option<StoredSample> = place.take()?;
            let page = control
                .check()
                .and_then(|()| {
                    let page = history.page(range, after.as_ref(), PAGE, with_envelope);
                    page.map_err(|error| QueryError::Store(error.to_string()))
                })
                .map_err(|error| DataFusionError::External(Box::new(error)));
            let batch = page.and_then(|mut page| {
                let batch = batch(&columns, &page)?;
                place = if page.len() == PAGE { page.pop().map(Some) } else { None };
                Ok(batch)
            });
            Some(batch)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)))
    }
}

fn batch(schema: &SchemaRef, samples: &[StoredSample]) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            TIME => {
                let times = samples.iter().map(|sample| Some(sample.time.0));
                Arc::new(times.collect::<TimestampNanosecondArray>().with_timezone(schema::UTC))
            }
            NODE => Arc::new(samples.iter().map(|sample| Some(&sample.node)).collect::<StringArray>()),
            METRICS => Arc::new(samples.iter().map(|sample| Some(&sample.envelope)).collect::<StringArray>()),
            name => {
                let at = FIGURES.iter().position(|figure| figure.name == name);
                let value = |sample: &StoredSample| at.and_then(|at| *sample.figures.get(at)?);
                Arc::new(samples.iter().map(value).collect::<Float64Array>())
            }
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(samples.len()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect(), &options)?)
}
