//! SQL over the stored records: a DataFusion session with our tables, reading only, within limits.

mod history;
mod pushdown;
mod table;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::functions::core::get_field;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{GetFieldAccess, lit};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use taffrail_store::engine::{Control, QueryError, SqlSink};
use taffrail_store::{History, Snapshot, StoredGap, schema};

/// Longest statement in bytes.
pub const STATEMENT_BYTES_MAX: usize = 64 << 10;
/// What stands before the names of tables where nobody has written it.
const OWN_SCHEMA: &str = "datafusion.public.";
/// How often a running statement looks whether it is to end.
const CHECK: Duration = Duration::from_millis(50);

/// What the tables are made of.
pub(crate) struct Tables {
    pub snapshot: Snapshot,
    pub gaps: Vec<StoredGap>,
    pub history: Arc<History>,
}

/// Runs one statement on the calling runtime.
pub(crate) async fn run(
    tables: Tables,
    memory_bytes: usize,
    statement: &str,
    control: &Control,
    sink: &mut dyn SqlSink,
) -> Result<(), QueryError> {
    if statement.len() > STATEMENT_BYTES_MAX {
        return Err(QueryError::Sql(format!("the statement is longer than {STATEMENT_BYTES_MAX} bytes")));
    }
    let context = session(tables, memory_bytes, control).map_err(sql_error)?;
    let mut stream = guarded(control, plan(&context, statement)).await??;
    if sink.schema(&stream.schema()).is_break() {
        return Ok(());
    }
    while let Some(batch) = guarded(control, stream.next()).await? {
        if sink.rows(&batch.map_err(sql_error)?) == ControlFlow::Break(()) {
            return Ok(());
        }
    }
    Ok(())
}

async fn plan(context: &SessionContext, statement: &str) -> Result<SendableRecordBatchStream, QueryError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(statement, options).await.map_err(sql_error)?;
    frame.execute_stream().await.map_err(sql_error)
}

/// Waits for a future, but not longer than the query may live.
async fn guarded<T>(control: &Control, future: impl Future<Output = T>) -> Result<T, QueryError> {
    tokio::pin!(future);
    loop {
        control.check()?;
        if let Ok(done) = tokio::time::timeout(CHECK.min(control.remaining()), &mut future).await {
            return Ok(done);
        }
    }
}

fn session(
    Tables { snapshot, gaps, history }: Tables,
    memory_bytes: usize,
    control: &Control,
) -> Result<SessionContext, DataFusionError> {
    let config = SessionConfig::new()
        .with_information_schema(true)
        .with_target_partitions(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
        .with_batch_size(taffrail_store::index::GRANULE_ROWS);
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(memory_bytes, 1.0).build_arc()?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.state_ref().write().register_expr_planner(Arc::new(AttributeAccess))?;
    context.register_table("logs", Arc::new(table::Logs::new(snapshot, control.clone())))?;
    context.register_table("gaps", Arc::new(gaps_table(gaps)?))?;
    let of_history = taffrail_store::history::tables();
    for shape in of_history.map_err(|error| DataFusionError::External(Box::new(error)))? {
        let (name, table) = (shape.name, history::HistoryTable::new(&history, control, shape));
        context.register_table(name, Arc::new(table))?;
    }
    Ok(context)
}

/// `attributes['key']`: the one piece of DataFusion's nested functions that is needed.
#[derive(Debug)]
struct AttributeAccess;

impl ExprPlanner for AttributeAccess {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>, DataFusionError> {
        Ok(match access.field_access {
            GetFieldAccess::NamedStructField { name } => {
                PlannerResult::Planned(get_field().call(vec![access.expr, lit(name)]))
            }
            _ => PlannerResult::Original(access),
        })
    }
}

fn gaps_table(rows: Vec<StoredGap>) -> Result<MemTable, DataFusionError> {
    let fields = vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("start_offset", DataType::Int64, false),
        Field::new("end_offset", DataType::Int64, false),
        Field::new("observed_timestamp", schema::time_type(TimeUnit::Nanosecond), false),
        Field::new("reason", DataType::Utf8, false),
    ];
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(rows.iter().map(|row| Some(row.source.as_str())).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.start as i64).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.end as i64).collect::<Int64Array>()),
            Arc::new(
                rows.iter()
                    .map(|row| Some(row.observed.0))
                    .collect::<TimestampNanosecondArray>()
                    .with_timezone(schema::UTC),
            ),
            Arc::new(rows.iter().map(|row| Some(row.reason.as_str())).collect::<StringArray>()),
        ],
    )?;
    MemTable::try_new(schema, vec![vec![batch]])
}

/// What the user did wrong, in one line without DataFusion's inner names.
fn sql_error(error: DataFusionError) -> QueryError {
    let root = error.find_root();
    if let DataFusionError::External(inner) = root {
        return match inner.downcast_ref::<QueryError>() {
            Some(QueryError::TimedOut) => QueryError::TimedOut,
            Some(QueryError::Cancelled) => QueryError::Cancelled,
            _ => QueryError::Store(inner.to_string()),
        };
    }
    match root {
        DataFusionError::ResourcesExhausted(_) => QueryError::TooLarge(
            "the statement was stopped; aggregate, add a WHERE or a LIMIT, or raise query.memory".to_owned(),
        ),
        _ => {
            let text = root.strip_backtrace();
            let text = text.strip_prefix("Error during planning: ").unwrap_or(&text);
            let text = text.replace(OWN_SCHEMA, "");
            let hint = match text.contains("not supported: ") || text.contains("DDL") || text.contains("DML")
            {
                true => "; only statements that read are allowed",
                false => "",
            };
            QueryError::Sql(format!("{text}{hint}"))
        }
    }
}
