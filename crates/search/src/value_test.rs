//! A test of one value: of a column's, or of an attribute's.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int64Type;
use taffrail_store::filter::Comparison;

use crate::text::TextMatcher;

/// A test of one value.
#[derive(Clone, Debug)]
pub enum ValueTest {
    /// One of these, ASCII case ignored.
    OneOf(Vec<String>),
    /// Has a match.
    Matches(TextMatcher),
    /// A number on this side.
    Compare(Comparison, f64),
    /// Not empty.
    Exists,
}

impl ValueTest {
    /// Whether a text passes.
    pub fn text(&self, text: &str) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|value| value.eq_ignore_ascii_case(text)),
            Self::Matches(matcher) => matcher.is_match(text.as_bytes()),
            Self::Compare(comparison, bound) => {
                text.parse::<f64>().is_ok_and(|number| compare(*comparison, number, *bound))
            }
            Self::Exists => !text.is_empty(),
        }
    }

    /// Whether a whole number passes.
    pub fn integer(&self, number: i64) -> bool {
        match self {
            Self::Compare(comparison, bound) => compare(*comparison, number as f64, *bound),
            Self::Exists => true,
            Self::OneOf(_) | Self::Matches(_) => self.text(&number.to_string()),
        }
    }
}

/// Which values of a column pass; null does not, nor does a column that is not there.
pub(crate) fn evaluate_column(column: Option<&ArrayRef>, test: &ValueTest, rows: usize) -> BooleanBuffer {
    let Some(column) = column else { return BooleanBuffer::new_unset(rows) };
    if let Some(texts) = column.as_string_view_opt() {
        return match test {
            ValueTest::Matches(matcher) => matcher.matches(texts),
            _ => BooleanBuffer::collect_bool(rows, |row| texts.is_valid(row) && test.text(texts.value(row))),
        };
    }
    let Some(numbers) = column.as_primitive_opt::<Int64Type>() else { return BooleanBuffer::new_unset(rows) };
    if let ValueTest::OneOf(values) = test {
        // Compare numbers as numbers: the texts of four million of them are slow to make.
        let wanted: Vec<i64> = values.iter().filter_map(|value| value.parse().ok()).collect();
        return BooleanBuffer::collect_bool(rows, |row| {
            numbers.is_valid(row) && wanted.contains(&numbers.value(row))
        });
    }
    BooleanBuffer::collect_bool(rows, |row| numbers.is_valid(row) && test.integer(numbers.value(row)))
}

/// Whether a number is on the side of a bound that a comparison wants.
pub(crate) fn compare(comparison: Comparison, number: f64, bound: f64) -> bool {
    match comparison {
        Comparison::Greater => number > bound,
        Comparison::GreaterOrEqual => number >= bound,
        Comparison::Less => number < bound,
        Comparison::LessOrEqual => number <= bound,
    }
}
