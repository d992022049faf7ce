//! One value of an SQL result as JSON: the same value that the HTTP API answers.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};
use taffrail_record::{TimeFormat, Timestamp, Zone};

/// The value at `index`: times as RFC 3339 in UTC with the digits of their unit, bytes as text (what is no
/// UTF-8 replaced), what JSON cannot say (infinities) as null, structs without their nulls.
pub(super) fn value(array: &ArrayRef, index: usize) -> Value {
    if array.is_null(index) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => Value::from(array.as_boolean().value(index)),
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(index)),
        DataType::LargeUtf8 => Value::from(array.as_string::<i64>().value(index)),
        DataType::Utf8View => Value::from(array.as_string_view().value(index)),
        DataType::Binary => bytes(array.as_binary::<i32>().value(index)),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(index)),
        DataType::BinaryView => bytes(array.as_binary_view().value(index)),
        DataType::UInt64 => Value::from(array.as_primitive::<UInt64Type>().value(index)),
        kind if kind.is_integer() => as_type(array, index, &DataType::Int64, |array| {
            Value::from(array.as_primitive::<Int64Type>().value(0))
        }),
        DataType::Float64 => Value::from(array.as_primitive::<Float64Type>().value(index)),
        // By their own digits: 0.1, not 0.10000000149011612.
        kind if kind.is_floating() || kind.is_decimal() => number(&shown(array, index)),
        DataType::Timestamp(unit, _) => time(array, index, *unit),
        DataType::Struct(_) => object(array.as_struct(), index),
        DataType::Map(..) => map(&array.as_map().value(index)),
        DataType::List(_) => list(&array.as_list::<i32>().value(index)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(index)),
        DataType::Dictionary(_, values) => as_type(array, index, values, |array| value(array, 0)),
        _ => Value::from(shown(array, index)),
    }
}

fn object(members: &StructArray, index: usize) -> Value {
    let names = members.column_names().into_iter().map(str::to_owned);
    let all = names.zip(members.columns().iter().map(|column| value(column, index)));
    Value::Object(all.filter(|(_, value)| !value.is_null()).collect())
}

fn map(entries: &StructArray) -> Value {
    let name = |index| match value(entries.column(0), index) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let all = (0..entries.len()).map(|index| (name(index), value(entries.column(1), index)));
    Value::Object(all.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

fn number(text: &str) -> Value {
    text.parse::<f64>().map_or(Value::Null, Value::from)
}

fn bytes(bytes: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(bytes))
}

fn list(items: &ArrayRef) -> Value {
    Value::Array((0..items.len()).map(|index| value(items, index)).collect())
}

fn time(array: &ArrayRef, index: usize, unit: TimeUnit) -> Value {
    let digits = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    let format = TimeFormat::Iso { date: b'-', between: b'T', mark: b'.', digits, zone: Zone::Zulu };
    as_type(array, index, &DataType::Timestamp(TimeUnit::Nanosecond, None), |array| {
        let mut out = Vec::with_capacity(30);
        format.render(Timestamp(array.as_primitive::<TimestampNanosecondType>().value(0)), &mut out);
        Value::from(String::from_utf8_lossy(&out))
    })
}

/// The value read as another type; as text where that cannot hold it.
fn as_type(array: &ArrayRef, index: usize, to: &DataType, read: impl Fn(&ArrayRef) -> Value) -> Value {
    match arrow::compute::cast(&array.slice(index, 1), to) {
        Ok(array) if array.is_valid(0) => read(&array),
        _ => Value::from(shown(array, index)),
    }
}

fn shown(array: &ArrayRef, index: usize) -> String {
    let formatter = ArrayFormatter::try_new(array, &FormatOptions::default());
    let shown = formatter.and_then(|formatter| formatter.value(index).try_to_string());
    shown.unwrap_or_else(|error| format!("({error})"))
}
