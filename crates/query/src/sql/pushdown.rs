//! What the WHERE of a statement says in our terms: a time range and a filter that lets at least all its
//! rows through.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Like, Operator};
use taffrail_record::Timestamp;
use taffrail_store::engine::TimeRange;
use taffrail_store::filter::{Bound, Comparison, FieldTest, Filter, TextMatch};
use taffrail_store::schema;

/// The part of the conditions that is understood; the others let everything through.
pub(super) fn understand(conditions: &[Expr]) -> (Filter, TimeRange) {
    let filter = conditions
        .iter()
        .fold(Filter::All, |all, condition| all.and(filter_of(condition).unwrap_or(Filter::All)));
    (filter, range_of(conditions, schema::TIMESTAMP))
}

/// The times of a column that the conditions let through, and perhaps more.
pub(super) fn range_of(conditions: &[Expr], column: &str) -> TimeRange {
    let mut range = TimeRange::ALL;
    for condition in conditions {
        narrow(condition, column, &mut range);
    }
    range
}

/// The text that a column must be for a row to get through; `None`: any, as far as is understood.
pub(super) fn text_of<'a>(conditions: &'a [Expr], column: &str) -> Option<&'a str> {
    conditions.iter().find_map(|condition| match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let of = |named: &Expr| column_name(named) == Some(column);
            match (of(left), of(right)) {
                (true, _) => text_literal(right),
                (_, true) => text_literal(left),
                _ => None,
            }
        }
        _ => None,
    })
}

fn narrow(condition: &Expr, column: &str, range: &mut TimeRange) {
    let time_column = |expr: &Expr| column_name(expr) == Some(column);
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            narrow(left, column, range);
            narrow(right, column, range);
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (operator, time) =
                match (time_column(left), time_literal(right), time_literal(left), time_column(right)) {
                    (true, Some(time), _, _) => (Some(*op), time),
                    (_, _, Some(time), true) => (op.swap(), time),
                    _ => return,
                };
            // Inclusive on both sides: the condition is checked again, one nanosecond too many is no harm.
            let (from, to) = (Timestamp(time), Timestamp(time.saturating_add(1)));
            match operator {
                Some(Operator::Gt | Operator::GtEq) => range.since = range.since.max(from),
                Some(Operator::Lt | Operator::LtEq) => range.until = range.until.min(to),
                Some(Operator::Eq) => {
                    range.since = range.since.max(from);
                    range.until = range.until.min(to);
                }
                _ => {}
            }
        }
        Expr::Between(between) if !between.negated && time_column(&between.expr) => {
            if let Some(low) = time_literal(&between.low) {
                range.since = range.since.max(Timestamp(low));
            }
            if let Some(high) = time_literal(&between.high) {
                range.until = range.until.min(Timestamp(high.saturating_add(1)));
            }
        }
        _ => {}
    }
}

fn column_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

fn time_literal(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(time), _), _) => Some(*time),
        _ => None,
    }
}

fn text_literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => Some(text),
        _ => None,
    }
}

/// A filter that holds wherever the condition does.
fn filter_of(condition: &Expr) -> Option<Filter> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(filter_of(left).unwrap_or(Filter::All).and(filter_of(right).unwrap_or(Filter::All)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(Filter::Or(vec![filter_of(left)?, filter_of(right)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, value) = match (column_name(left), text_literal(right)) {
                (Some(column), Some(value)) => (column, value),
                _ => (column_name(right)?, text_literal(left)?),
            };
            equals(column, value)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if column_name(left) == Some(schema::SEVERITY_NUMBER) =>
        {
            let comparison = match op {
                Operator::Gt => Comparison::Greater,
                Operator::GtEq => Comparison::GreaterOrEqual,
                Operator::Lt => Comparison::Less,
                Operator::LtEq => Comparison::LessOrEqual,
                _ => return None,
            };
            let Expr::Literal(ScalarValue::UInt8(Some(number)), _) = right.as_ref() else { return None };
            Some(Filter::field("severity", FieldTest::Compare(comparison, Bound::Number(f64::from(*number)))))
        }
        Expr::InList(list) if !list.negated => {
            let column = column_name(&list.expr)?;
            let values = list.list.iter().map(text_literal).collect::<Option<Vec<_>>>()?;
            Some(Filter::Or(
                values.into_iter().map(|value| equals(column, value)).collect::<Option<Vec<_>>>()?,
            ))
        }
        Expr::Like(Like { negated: false, expr, pattern, escape_char: None, .. }) => {
            let pattern = text_literal(pattern)?;
            // A pattern of fixed pieces: each must be there. `_` stands for any character.
            let pieces = pattern.split(['%', '_']).filter(|piece| !piece.is_empty() && !piece.contains('\\'));
            let column = column_name(expr).filter(|column| *column == schema::BODY)?;
            let found = |piece: &str| {
                Filter::field(column, FieldTest::Matches(TextMatch::Substring(piece.to_owned())))
            };
            Some(Filter::And(pieces.map(found).collect()))
        }
        _ => None,
    }
}

fn equals(column: &str, value: &str) -> Option<Filter> {
    let names = ["severity", schema::NODE, schema::SOURCE, schema::SERVICE];
    match column {
        // A name that is none must give no rows rather than an error.
        "severity" if taffrail_record::Severity::from_text(value.as_bytes()).is_none() => {
            Some(Filter::Or(Vec::new()))
        }
        _ if names.contains(&column) => Some(Filter::field(column, FieldTest::Equals(value.to_owned()))),
        schema::BODY => {
            Some(Filter::field(column, FieldTest::Matches(TextMatch::Substring(value.to_owned()))))
        }
        _ => None,
    }
}
