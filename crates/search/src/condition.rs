//! A compiled filter: which rows of a batch meet it, and which columns it has to see.

use arrow::array::{AsArray, RecordBatch, StringViewArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Schema, UInt8Type};
use taffrail_record::Severity;
use taffrail_store::engine::QueryError;
use taffrail_store::filter::{Bound, Comparison, FieldTest, Filter};
use taffrail_store::schema;
use taffrail_store::segment::attribute_column;

use crate::attribute;
use crate::text::TextMatcher;
use crate::value_test::{ValueTest, compare, evaluate_column};

/// A filter that is ready to be asked.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Every row.
    All,
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// Found in one of [`schema::SEARCHED`] or a text attribute.
    Text(TextMatcher),
    /// Severity numbers, by bit.
    Severities(u32),
    /// A test of a text column.
    Column(&'static str, ValueTest),
    /// A test of the offset.
    Offset(ValueTest),
    /// A test of an attribute.
    Attribute(String, ValueTest),
}

impl Condition {
    /// Compiles a filter.
    pub fn new(filter: &Filter) -> Result<Self, QueryError> {
        let all = |filters: &[Filter]| filters.iter().map(Self::new).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            Filter::All => Self::All,
            Filter::And(filters) => Self::And(all(filters)?),
            Filter::Or(filters) => Self::Or(all(filters)?),
            Filter::Not(filter) => Self::Not(Box::new(Self::new(filter)?)),
            Filter::Text(text) => Self::Text(TextMatcher::new(text)?),
            Filter::Field { name, test } => Self::field(name, test)?,
        })
    }

    fn field(name: &str, test: &FieldTest) -> Result<Self, QueryError> {
        if name == "severity" {
            return severities(test).map(Self::Severities);
        }
        let test = match test {
            FieldTest::Equals(value) => ValueTest::OneOf(vec![value.clone()]),
            FieldTest::OneOf(values) => ValueTest::OneOf(values.clone()),
            FieldTest::Matches(text) => ValueTest::Matches(TextMatcher::new(text)?),
            FieldTest::Compare(comparison, Bound::Number(number)) => ValueTest::Compare(*comparison, *number),
            FieldTest::Compare(_, Bound::Severity(severity)) => {
                return Err(QueryError::Invalid(format!("`{name}` cannot be compared with {severity}")));
            }
            FieldTest::Exists => ValueTest::Exists,
        };
        let column = [schema::NODE, schema::SOURCE, schema::SERVICE, schema::BODY];
        Ok(match column.into_iter().find(|column| *column == name) {
            Some(column) => Self::Column(column, test),
            None if name == schema::OFFSET => Self::Offset(test),
            None => Self::Attribute(name.to_owned(), test),
        })
    }

    /// The columns of `schema` that [`Condition::evaluate`] looks at.
    pub fn columns(&self, schema: &Schema, out: &mut Vec<String>) {
        match self {
            Self::All => {}
            Self::And(conditions) | Self::Or(conditions) => {
                conditions.iter().for_each(|condition| condition.columns(schema, out));
            }
            Self::Not(condition) => condition.columns(schema, out),
            Self::Text(_) => {
                out.extend(schema::SEARCHED.map(str::to_owned));
                let attributes = schema::attribute_fields(schema);
                let texts = attributes.iter().filter(|field| *field.data_type() == DataType::Utf8View);
                out.extend(texts.map(|field| attribute_column(field.name())));
            }
            Self::Severities(_) => out.push(schema::SEVERITY_NUMBER.to_owned()),
            Self::Column(name, _) => out.push((*name).to_owned()),
            Self::Offset(_) => out.push(schema::OFFSET.to_owned()),
            Self::Attribute(key, _) => {
                out.extend([attribute_column(key), schema::ATTRIBUTES_REST.to_owned()])
            }
        }
    }

    /// Which rows meet it. The batch must have the columns that [`Condition::columns`] names.
    pub fn evaluate(&self, batch: &RecordBatch) -> BooleanBuffer {
        let rows = batch.num_rows();
        match self {
            Self::All => BooleanBuffer::new_set(rows),
            Self::And(conditions) => {
                conditions.iter().fold(BooleanBuffer::new_set(rows), |all, condition| {
                    if all.count_set_bits() == 0 { all } else { &all & &condition.evaluate(batch) }
                })
            }
            Self::Or(conditions) => conditions
                .iter()
                .fold(BooleanBuffer::new_unset(rows), |any, condition| &any | &condition.evaluate(batch)),
            Self::Not(condition) => !&condition.evaluate(batch),
            Self::Text(matcher) => text_columns(batch)
                .map(|texts| matcher.matches(texts))
                .reduce(|any, found| &any | &found)
                .unwrap_or_else(|| BooleanBuffer::new_unset(rows)),
            Self::Severities(mask) => match batch.column_by_name(schema::SEVERITY_NUMBER) {
                Some(column) => {
                    let numbers = column.as_primitive::<UInt8Type>().values();
                    BooleanBuffer::collect_bool(rows, |row| mask & (1 << numbers[row].min(31)) != 0)
                }
                None => BooleanBuffer::new_unset(rows),
            },
            Self::Column(name, test) => evaluate_column(batch.column_by_name(name), test, rows),
            Self::Offset(test) => evaluate_column(batch.column_by_name(schema::OFFSET), test, rows),
            Self::Attribute(key, test) => attribute::evaluate(batch, key, test),
        }
    }
}

/// The columns that words are looked for in, text attributes included.
fn text_columns(batch: &RecordBatch) -> impl Iterator<Item = &StringViewArray> {
    let top = schema::SEARCHED.into_iter().filter_map(|name| batch.column_by_name(name));
    let attributes = batch.column_by_name(schema::ATTRIBUTES);
    let children = attributes.into_iter().flat_map(|column| column.as_struct().columns());
    top.chain(children).filter_map(|column| column.as_string_view_opt())
}

/// The severity numbers that pass a test, by bit. A name stands for its four numbers.
fn severities(test: &FieldTest) -> Result<u32, QueryError> {
    let unknown = |value: &str| {
        let message = format!("`{value}` is no severity; use TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL");
        QueryError::Invalid(message)
    };
    let mask = |passes: &dyn Fn(Severity) -> bool| {
        (1..=24)
            .filter_map(Severity::new)
            .filter(|severity| passes(*severity))
            .fold(0, |mask, s| mask | 1 << s.number())
    };
    let named = |value: &String| -> Result<u32, QueryError> {
        if let Some(severity) = value.parse().ok().and_then(Severity::new) {
            return Ok(1 << severity.number());
        }
        let severity = Severity::from_text(value.as_bytes()).ok_or_else(|| unknown(value))?;
        Ok(mask(&|other| other.floor() == severity.floor()))
    };
    match test {
        FieldTest::Equals(value) => named(value),
        FieldTest::OneOf(values) => values.iter().try_fold(0, |mask, value| Ok(mask | named(value)?)),
        FieldTest::Matches(text) => {
            let matcher = TextMatcher::new(text)?;
            Ok(mask(&|severity| matcher.is_match(severity.name().as_bytes())))
        }
        FieldTest::Exists => Ok(mask(&|_| true)),
        FieldTest::Compare(comparison, Bound::Number(number)) => {
            Ok(mask(&|severity| compare(*comparison, f64::from(severity.number()), *number)))
        }
        FieldTest::Compare(comparison, Bound::Severity(severity)) => Ok(mask(&|other| match comparison {
            Comparison::Greater => other > severity.ceiling(),
            Comparison::GreaterOrEqual => other >= severity.floor(),
            Comparison::Less => other < severity.floor(),
            Comparison::LessOrEqual => other <= severity.ceiling(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_go_by_name() {
        for (expression, names) in [
            ("severity:error", vec!["ERROR"]),
            ("severity>=error", vec!["ERROR", "CRITICAL"]),
            ("severity>error", vec!["CRITICAL"]),
            ("severity<=debug", vec!["TRACE", "DEBUG"]),
            ("severity:(info OR warn)", vec!["INFO", "WARNING"]),
            ("severity:/^(TRACE|INFO)$/", vec!["TRACE", "INFO"]),
        ] {
            let condition = Condition::new(&crate::grammar::parse(expression).unwrap()).unwrap();
            let Condition::Severities(mask) = condition else { panic!("{condition:?}") };
            let got: Vec<&str> = Severity::NAMES
                .into_iter()
                .enumerate()
                .filter(|(index, _)| mask & (0b1111 << (index * 4 + 1)) != 0)
                .map(|(_, name)| name)
                .collect();
            assert_eq!(got, names, "{expression}");
        }
        assert!(Condition::new(&crate::grammar::parse("severity:loud").unwrap()).is_err());
    }
}
