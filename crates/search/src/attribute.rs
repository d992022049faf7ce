//! Looks attributes up: in their own column, else in the JSON of those without one.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use taffrail_store::hit::{AttributeValue, rest_members};
use taffrail_store::schema;

use crate::value_test::{ValueTest, evaluate_column};

/// Which rows have an attribute that passes.
pub(crate) fn evaluate(batch: &RecordBatch, key: &str, test: &ValueTest) -> BooleanBuffer {
    let structure = batch.column_by_name(schema::ATTRIBUTES).map(|column| column.as_struct());
    let column = structure.and_then(|structure| structure.column_by_name(key));
    let found = evaluate_column(column, test, batch.num_rows());
    let Some(rest) =
        batch.column_by_name(schema::ATTRIBUTES_REST).and_then(|column| column.as_string_view_opt())
    else {
        return found;
    };
    if rest.null_count() == rest.len() {
        return found;
    }
    let in_rest = BooleanBuffer::collect_bool(batch.num_rows(), |row| {
        rest.is_valid(row)
            && rest_members(rest.value(row)).iter().any(|(name, value)| {
                name == key
                    && match value {
                        AttributeValue::Text(text) => test.text(text),
                        AttributeValue::Integer(number) => test.integer(*number),
                    }
            })
    });
    &found | &in_rest
}
