//! The columns of a record in memory and at rest.
//!
//! In memory times are nanoseconds and texts are views; in a segment a time column takes the coarsest unit
//! that loses nothing. `attributes` is a struct with one child a key, present when the records have any.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// When it happened.
pub const TIMESTAMP: &str = "timestamp";
/// When it was read.
pub const OBSERVED_TIMESTAMP: &str = "observed_timestamp";
/// 1 to 24.
pub const SEVERITY_NUMBER: &str = "severity_number";
/// The machine.
pub const NODE: &str = "node";
/// The file or listener.
pub const SOURCE: &str = "source";
/// The first byte's offset in the source.
pub const OFFSET: &str = "offset";
/// The program.
pub const SERVICE: &str = "service";
/// The message.
pub const BODY: &str = "body";
/// How the raw line is made of the other columns; empty: it is in `raw`.
pub const LAYOUT: &str = "layout";
/// The line where no layout gives it.
pub const RAW: &str = "raw";
/// A JSON object of the fields that got no column of their own.
pub const ATTRIBUTES_REST: &str = "attributes_rest";
/// A struct of the extracted fields.
pub const ATTRIBUTES: &str = "attributes";

/// The columns that a word is looked for in, besides text attributes.
pub const SEARCHED: [&str; 4] = [BODY, SERVICE, NODE, ATTRIBUTES_REST];

/// Attribute keys that get a column of their own in one batch or segment, the most frequent first.
pub const ATTRIBUTE_COLUMNS_MAX: usize = 256;

/// The zone that time columns carry.
pub const UTC: &str = "UTC";

/// The type of a time column.
pub fn time_type(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some(UTC.into()))
}

/// The schema with these attribute columns, in memory.
pub fn with_attributes(attributes: &Fields) -> SchemaRef {
    build(attributes, TimeUnit::Nanosecond)
}

/// The schema of a segment with these attribute columns and this unit of `timestamp`.
pub fn at_rest(attributes: &Fields, unit: TimeUnit) -> SchemaRef {
    build(attributes, unit)
}

fn build(attributes: &Fields, unit: TimeUnit) -> SchemaRef {
    let required = |name: &str, data_type| Field::new(name, data_type, false);
    let mut fields = vec![
        required(TIMESTAMP, time_type(unit)),
        required(OBSERVED_TIMESTAMP, time_type(TimeUnit::Nanosecond)),
        required(SEVERITY_NUMBER, DataType::UInt8),
        required(NODE, DataType::Utf8View),
        required(SOURCE, DataType::Utf8View),
        required(OFFSET, DataType::Int64),
        required(SERVICE, DataType::Utf8View),
        required(BODY, DataType::Utf8View),
        required(LAYOUT, DataType::Utf8View),
        Field::new(RAW, DataType::BinaryView, true),
        Field::new(ATTRIBUTES_REST, DataType::Utf8View, true),
    ];
    if !attributes.is_empty() {
        fields.push(required(ATTRIBUTES, DataType::Struct(attributes.clone())));
    }
    Arc::new(Schema::new(fields))
}

/// The attribute columns of a schema; empty if it has none.
pub fn attribute_fields(schema: &Schema) -> Fields {
    match schema.column_with_name(ATTRIBUTES).map(|(_, field)| field.data_type()) {
        Some(DataType::Struct(fields)) => fields.clone(),
        _ => Fields::empty(),
    }
}

/// A column for an attribute.
pub fn attribute_field(key: &str, data_type: DataType) -> Field {
    Field::new(key, data_type, true)
}

/// The attribute columns of all these schemas together, by name. A key that is a number here and text
/// there becomes text.
pub fn union_attributes<'a>(schemas: impl IntoIterator<Item = &'a Schema>) -> Fields {
    let mut all = std::collections::BTreeMap::<String, DataType>::new();
    for schema in schemas {
        for field in &attribute_fields(schema) {
            all.entry(field.name().clone())
                .and_modify(|known| {
                    if known != field.data_type() {
                        *known = DataType::Utf8View;
                    }
                })
                .or_insert_with(|| field.data_type().clone());
        }
    }
    all.into_iter().map(|(key, data_type)| attribute_field(&key, data_type)).collect()
}
