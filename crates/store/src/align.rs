//! Brings batches with different attribute columns to one schema, losing nothing: what has no column in the
//! target goes to `attributes_rest`.

use std::borrow::Borrow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringViewArray, StringViewBuilder, StructArray, new_null_array,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Fields, Int64Type};
use arrow::error::ArrowError;

use crate::columns;
use crate::json;
use crate::schema::{self, ATTRIBUTES, ATTRIBUTES_REST};

/// `batch` with exactly these attribute columns.
pub fn to_attributes(batch: &RecordBatch, target: &Fields) -> Result<RecordBatch, ArrowError> {
    let present = schema::attribute_fields(batch.schema_ref());
    if present == *target {
        return Ok(batch.clone());
    }
    let structure = batch.column_by_name(ATTRIBUTES).map(|column| column.as_struct());
    let children = target
        .iter()
        .map(|field| match structure.and_then(|structure| structure.column_by_name(field.name())) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) if *field.data_type() == DataType::Utf8View => cast(column, field.data_type()),
            // A text column where the target wants numbers cannot stay: see `leftover`.
            _ => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let mut arrays = Vec::with_capacity(batch.num_columns() + 1);
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        match field.name().as_str() {
            ATTRIBUTES => {}
            ATTRIBUTES_REST => arrays.push(rest(column.as_string_view(), structure, target)),
            _ => arrays.push(Arc::clone(column)),
        }
    }
    if !target.is_empty() {
        arrays.push(Arc::new(StructArray::try_new(target.clone(), children, None)?));
    }
    let unit = batch.schema_ref().field(0).data_type().clone();
    let DataType::Timestamp(unit, _) = unit else {
        return Err(ArrowError::SchemaError("the first column is no timestamp".to_owned()));
    };
    RecordBatch::try_new(schema::at_rest(target, unit), arrays)
}

/// All records in one batch, sorted by time.
pub fn merge(batches: &[impl Borrow<RecordBatch>]) -> Result<RecordBatch, ArrowError> {
    if let [batch] = batches {
        return columns::sort(batch.borrow());
    }
    let attributes =
        schema::union_attributes(batches.iter().map(|batch| batch.borrow().schema_ref().as_ref()));
    let aligned = batches
        .iter()
        .map(|batch| to_attributes(batch.borrow(), &attributes))
        .collect::<Result<Vec<_>, _>>()?;
    columns::sort(&concat_batches(&schema::with_attributes(&attributes), &aligned)?)
}

/// `attributes_rest` plus the columns that the target has no room for.
fn rest(present: &StringViewArray, structure: Option<&StructArray>, target: &Fields) -> ArrayRef {
    let leftover: Vec<(&str, &ArrayRef)> = structure
        .map(|structure| {
            let columns = structure.fields().iter().zip(structure.columns());
            columns
                .filter(|(field, _)| is_leftover(field, target))
                .map(|(f, c)| (f.name().as_str(), c))
                .collect()
        })
        .unwrap_or_default();
    if leftover.is_empty() {
        return Arc::new(present.clone());
    }
    let mut builder = StringViewBuilder::new();
    for row in 0..present.len() {
        let mut members: Vec<(&str, String, bool)> = Vec::new();
        for (key, column) in &leftover {
            if column.is_valid(row) {
                let bare = matches!(column.data_type(), DataType::Int64);
                members.push((key, text_at(column, row), bare));
            }
        }
        if members.is_empty() {
            builder.append_option(present.is_valid(row).then(|| present.value(row)));
            continue;
        }
        let mut object = json::Object::default();
        if present.is_valid(row) {
            object.push_all(present.value(row));
        }
        for (key, value, bare) in members {
            object.push(key, &value, bare);
        }
        builder.append_value(object.finish());
    }
    Arc::new(builder.finish())
}

fn is_leftover(field: &arrow::datatypes::Field, target: &Fields) -> bool {
    match target.find(field.name()) {
        None => true,
        Some((_, wanted)) => {
            wanted.data_type() != field.data_type() && *wanted.data_type() != DataType::Utf8View
        }
    }
}

fn text_at(column: &ArrayRef, row: usize) -> String {
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        _ => column.as_string_view().value(row).to_owned(),
    }
}
