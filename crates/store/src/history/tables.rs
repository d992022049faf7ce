//! The tables of the history as SQL shows them: their columns, and their rows page by page.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use super::samples::unpack;
use super::{History, schema};
use crate::engine::{Control, QueryError, TimeRange};
use crate::error::Result;

/// The tables, and in which order each is read: that of an index.
const TABLES: [(&str, &[&str]); 8] = [
    ("telemetry", &["time", "node"]),
    (schema::ROLLUPS[0], &["node", "time"]),
    (schema::ROLLUPS[1], &["node", "time"]),
    ("nodes", &["node"]),
    ("system_metrics", &["id"]),
    ("network_metrics", &["id"]),
    ("hourly_aggregates", &["id"]),
    ("daily_aggregates", &["id"]),
];
/// Columns that only the catalog needs.
const HIDDEN: [(&str, &str); 1] = [("telemetry", "id")];
/// Columns of times, in nanoseconds since 1970.
const TIMES: [&str; 3] = ["time", "first_seen", "last_seen"];
/// Columns of spans, in nanoseconds, that are shown in seconds.
const SPANS: [&str; 2] = ["lag", "clock_skew"];
const NODE: &str = "node";
const TIME: &str = "time";
const ENVELOPE: &str = "envelope";

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: Vec<Column>,
    order: &'static [&'static str],
}

/// A column of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub kind: Kind,
    /// The name that it has in the catalog.
    stored: String,
}

/// What is in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nanoseconds since 1970.
    Time,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Real,
    /// Text.
    Text,
}

/// A value of a column.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

/// Which rows are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowsRequest {
    /// Of these columns, as places in [`Table::columns`].
    pub columns: Vec<usize>,
    /// Of this time, in tables whose rows have one.
    pub range: TimeRange,
    /// Of this machine, in tables of several.
    pub node: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Rows, and where to go on.
#[derive(Debug, Default)]
pub struct Rows {
    /// The cells of each.
    pub rows: Vec<Vec<Cell>>,
    /// After which row the next page begins; `None`: there is none.
    pub after: Option<RowPlace>,
}

/// A row's place in its table.
#[derive(Clone, Debug)]
pub struct RowPlace(Vec<Value>);

impl Table {
    /// Whether there is such a column.
    fn has(&self, stored: &str) -> bool {
        self.columns.iter().any(|column| column.stored == stored)
    }
}

impl Column {
    fn new(stored: String, declared: &str) -> Self {
        let kind = match (stored.as_str(), declared) {
            (name, _) if TIMES.contains(&name) => Kind::Time,
            (name, _) if SPANS.contains(&name) => Kind::Real,
            (_, "INTEGER") => Kind::Integer,
            (_, "REAL") => Kind::Real,
            _ => Kind::Text,
        };
        let name = match stored.as_str() {
            NODE => "node_id".to_owned(),
            ENVELOPE => "metrics".to_owned(),
            span if SPANS.contains(&span) => format!("{span}_seconds"),
            name => name.to_owned(),
        };
        Self { name, kind, stored }
    }

    fn expression(&self) -> String {
        if SPANS.contains(&self.stored.as_str()) {
            format!("{} / 1e9", self.stored)
        } else {
            self.stored.clone()
        }
    }

    fn cell(&self, value: ValueRef<'_>) -> Cell {
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) => Cell::Real(number),
            ValueRef::Blob(packed) if self.stored == ENVELOPE => Cell::Text(unpack(packed)),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Cell::Text(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    }
}

/// All tables of the history, as this version makes them.
///
/// # Errors
/// If SQLite has no memory left.
pub fn tables() -> Result<Vec<Table>> {
    let connection = Connection::open_in_memory()?;
    schema::create(&connection)?;
    TABLES.iter().map(|(name, order)| table(&connection, name, order)).collect()
}

fn table(connection: &Connection, name: &'static str, order: &'static [&'static str]) -> Result<Table> {
    let mut statement = connection.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
    let columns =
        statement.query_map([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut shown = Vec::new();
    for column in columns {
        let (stored, declared) = column?;
        if !HIDDEN.contains(&(name, stored.as_str())) {
            shown.push(Column::new(stored, &declared));
        }
    }
    // Whoever looks at rows wants to know when first.
    shown.sort_by_key(|column| column.stored != TIME);
    Ok(Table { name, columns: shown, order })
}

impl History {
    /// Rows of a table, by its index, after a place in it.
    pub fn rows(
        &self,
        table: &Table,
        request: &RowsRequest,
        after: Option<&RowPlace>,
        control: &Control,
    ) -> std::result::Result<Rows, QueryError> {
        let Some(readers) = &self.readers else { return Ok(Rows::default()) };
        readers.ask_within(control, |connection| read(connection, table, request, after))
    }
}

fn read(
    connection: &Connection,
    table: &Table,
    request: &RowsRequest,
    after: Option<&RowPlace>,
) -> Result<Rows> {
    let columns: Vec<&Column> = request.columns.iter().filter_map(|at| table.columns.get(*at)).collect();
    let order = table.order.join(", ");
    let shown: String = columns.iter().map(|column| format!(", {}", column.expression())).collect();
    let (mut conditions, mut values) = (vec!["true".to_owned()], Vec::new());
    if table.has(TIME) {
        conditions.push(format!("{TIME} >= ? AND {TIME} < ?"));
        values.extend([request.range.since, request.range.until].map(|time| Value::Integer(time.0)));
    }
    if let Some(node) = request.node.as_ref().filter(|_| table.has(NODE)) {
        conditions.push(format!("{NODE} = ?"));
        values.push(Value::Text(node.clone()));
    }
    if let Some(RowPlace(place)) = after {
        conditions.push(format!("({order}) > ({})", vec!["?"; place.len()].join(", ")));
        values.extend(place.iter().cloned());
    }
    values.push(Value::Integer(request.limit as i64));
    let conditions = conditions.join(" AND ");
    let statement =
        format!("SELECT {order} {shown} FROM {} WHERE {conditions} ORDER BY {order} LIMIT ?", table.name);
    let mut statement = connection.prepare_cached(&statement)?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut rows = Rows::default();
    while let Some(row) = found.next()? {
        let first = table.order.len();
        let cell = |(at, column): (usize, &&Column)| Ok(column.cell(row.get_ref(first + at)?));
        rows.rows.push(columns.iter().enumerate().map(cell).collect::<Result<_>>()?);
        if rows.rows.len() == request.limit {
            rows.after = Some(place(row, first)?);
        }
    }
    Ok(rows)
}

fn place(row: &Row<'_>, columns: usize) -> Result<RowPlace> {
    let values: rusqlite::Result<Vec<Value>> = (0..columns).map(|at| row.get(at)).collect();
    Ok(RowPlace(values?))
}
