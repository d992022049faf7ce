//! One value of an Arrow column as text and as JSON.

use arrow::array::{Array, ArrayRef, AsArray as _, StructArray};
use arrow::datatypes::{self as types, DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use taffrail_record::{Timestamp, Zone};

use crate::api::iso;

/// A value, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cell {
    /// Nothing.
    Null,
    /// A string in JSON.
    Text(String),
    /// A number, boolean, list or object: its JSON.
    Bare(String),
}

impl Cell {
    /// The value of `array` at `row`.
    pub(crate) fn read(array: &ArrayRef, row: usize) -> Self {
        // A column of nulls alone has no validity to ask.
        if array.is_null(row) || *array.data_type() == DataType::Null {
            return Self::Null;
        }
        text(array, row).map(Self::Text).or_else(|| bare(array, row)).unwrap_or_else(|| shown(array, row))
    }

    /// The value without quotes, as CSV has it.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Null => "",
            Self::Text(text) | Self::Bare(text) => text,
        }
    }

    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Text(text) => out.extend(json_text(text)),
            Self::Bare(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// The value of `array` at `row` as the API answers it: times as RFC 3339 in UTC, bytes as text, what JSON
/// cannot say as null, structs without their nulls.
pub fn sql_value(array: &ArrayRef, row: usize) -> serde_json::Value {
    let mut json = Vec::new();
    Cell::read(array, row).write_json(&mut json);
    // A cell writes valid JSON; numbers beyond an f64 are the only ones that do not come back.
    serde_json::from_slice(&json).unwrap_or_default()
}

/// `text` as a JSON string.
pub(crate) fn json_text(text: &str) -> Vec<u8> {
    // A str is always valid JSON text.
    serde_json::to_vec(text).unwrap_or_default()
}

fn text(array: &ArrayRef, row: usize) -> Option<String> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
        DataType::Binary => lossy(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => lossy(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => lossy(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => lossy(array.as_fixed_size_binary().value(row)),
        DataType::Timestamp(unit, _) => timestamp(array, row, *unit)?,
        _ => return None,
    })
}

fn timestamp(array: &ArrayRef, row: usize, unit: TimeUnit) -> Option<String> {
    let (count, scale, digits) = match unit {
        TimeUnit::Second => (array.as_primitive::<types::TimestampSecondType>().value(row), 1_000_000_000, 0),
        TimeUnit::Millisecond => {
            (array.as_primitive::<types::TimestampMillisecondType>().value(row), 1_000_000, 3)
        }
        TimeUnit::Microsecond => {
            (array.as_primitive::<types::TimestampMicrosecondType>().value(row), 1_000, 6)
        }
        TimeUnit::Nanosecond => (array.as_primitive::<types::TimestampNanosecondType>().value(row), 1, 9),
    };
    count.checked_mul(scale).map(|nanoseconds| iso(Timestamp(nanoseconds), digits, Zone::Zulu))
}

fn bare(array: &ArrayRef, row: usize) -> Option<Cell> {
    let json = match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<types::Int64Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<types::UInt64Type>().value(row).to_string(),
        kind if kind.is_integer() || kind.is_decimal() => shown(array, row).text().to_owned(),
        DataType::Float64 => return Some(float(array.as_primitive::<types::Float64Type>().value(row))),
        DataType::Float32 => {
            // By its own digits: 0.1, not 0.10000000149011612.
            let shown = array.as_primitive::<types::Float32Type>().value(row).to_string();
            return Some(float(shown.parse().ok()?));
        }
        DataType::Float16 => return Some(float(shown(array, row).text().parse().ok()?)),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row)),
        DataType::ListView(_) => list(&array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => list(&array.as_list_view::<i64>().value(row)),
        DataType::Struct(_) => object(array.as_struct(), row),
        DataType::Map(..) => map(&array.as_map().value(row)),
        DataType::Dictionary(..) => {
            let one = array.slice(row, 1);
            let dictionary = one.as_any_dictionary();
            let key = *dictionary.normalized_keys().first()?;
            return Some(Cell::read(dictionary.values(), key));
        }
        _ => return None,
    };
    Some(Cell::Bare(json))
}

/// JSON has no NaN and no infinity.
fn float(number: f64) -> Cell {
    match serde_json::Number::from_f64(number) {
        Some(number) => Cell::Bare(number.to_string()),
        None => Cell::Null,
    }
}

fn list(values: &ArrayRef) -> String {
    let mut out = vec![b'['];
    for row in 0..values.len() {
        if row > 0 {
            out.push(b',');
        }
        Cell::read(values, row).write_json(&mut out);
    }
    out.push(b']');
    String::from_utf8(out).unwrap_or_default()
}

/// Members that are null are left out: most attributes of a record are.
fn object(values: &StructArray, row: usize) -> String {
    let cells = values.columns().iter().map(|column| Cell::read(column, row));
    members(values.column_names().into_iter().map(str::to_owned).zip(cells))
}

fn map(entries: &StructArray) -> String {
    let (keys, values) = (entries.column(0), entries.column(1));
    let member = |row| (Cell::read(keys, row).text().to_owned(), Cell::read(values, row));
    members((0..entries.len()).map(member))
}

fn members(members: impl Iterator<Item = (String, Cell)>) -> String {
    let mut out = vec![b'{'];
    for (key, cell) in members.filter(|(_, cell)| *cell != Cell::Null) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend(json_text(&key));
        out.push(b':');
        cell.write_json(&mut out);
    }
    out.push(b'}');
    String::from_utf8(out).unwrap_or_default()
}

/// Dates, intervals and whatever else has no form of its own here, as Arrow shows it.
fn shown(array: &ArrayRef, row: usize) -> Cell {
    let options = FormatOptions::default().with_display_error(true);
    match ArrayFormatter::try_new(array.as_ref(), &options) {
        Ok(formatter) => Cell::Text(formatter.value(row).to_string()),
        Err(error) => Cell::Text(format!("({error})")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn array<A: Array + 'static>(array: A) -> ArrayRef {
        Arc::new(array)
    }

    #[test]
    fn every_kind_of_value_is_json() {
        let structs = StructArray::from(vec![
            (
                Arc::new(Field::new("user", DataType::Utf8, true)),
                array(StringArray::from(vec![Some("a\"b")])),
            ),
            (Arc::new(Field::new("none", DataType::Int64, true)), array(Int64Array::from(vec![None]))),
            (Arc::new(Field::new("pid", DataType::Int64, true)), array(Int64Array::from(vec![7]))),
        ]);
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        maps.keys().append_value("k");
        maps.values().append_value(1);
        maps.append(true).unwrap();
        let dictionary: DictionaryArray<Int32Type> = vec!["x", "x"].into_iter().collect();
        let seconds = TimestampSecondArray::from(vec![1_793_491_200]).with_timezone("UTC");
        let nanoseconds = TimestampNanosecondArray::from(vec![1_793_491_200_006_000_001]);
        for (values, json) in [
            (array(Int8Array::from(vec![-1])), "-1"),
            (array(UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
            (array(Float64Array::from(vec![0.5])), "0.5"),
            (array(Float32Array::from(vec![0.1f32])), "0.1"),
            (array(Float64Array::from(vec![f64::NAN])), "null"),
            (array(BooleanArray::from(vec![true])), "true"),
            (array(NullArray::new(1)), "null"),
            (array(StringViewArray::from(vec!["\u{1}<é"])), "\"\\u0001<é\""),
            (array(BinaryArray::from(vec![&b"a\xff"[..]])), "\"a\u{fffd}\""),
            (array(seconds), "\"2026-11-01T00:00:00Z\""),
            (array(nanoseconds), "\"2026-11-01T00:00:00.006000001Z\""),
            (array(Date32Array::from(vec![20_758])), "\"2026-11-01\""),
            (array(Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap()), "1.50"),
            (array(structs), r#"{"user":"a\"b","pid":7}"#),
            (array(lists), "[1,null]"),
            (array(maps.finish()), r#"{"k":1}"#),
            (array(dictionary), "\"x\""),
        ] {
            let mut out = Vec::new();
            Cell::read(&values, 0).write_json(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), json, "{}", values.data_type());
        }
    }
}
