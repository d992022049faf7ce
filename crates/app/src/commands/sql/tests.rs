//! What result rows look like, from Arrow to text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int32Array, ListArray, StringArray, StringViewArray, StructArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type};

use super::*;

fn write(format: SqlFormat, stdout: bool, columns: &[&str], rows: &[Vec<Value>]) -> String {
    let mut out = Vec::new();
    let terminal = Terminal { stdout, color: false, hints: false, notes: false };
    let mut writer = RowWriter::new(&mut out, format, terminal);
    writer.columns(columns.iter().map(|name| (*name).to_owned()).collect()).unwrap();
    for row in rows {
        writer.row(row).unwrap();
    }
    writer.finish().unwrap();
    String::from_utf8(out).unwrap()
}

fn rows() -> Vec<Vec<Value>> {
    vec![
        vec!["a,\"b\"\n\u{9b}x".into(), 7.into(), Value::Null],
        vec!["".into(), (-123).into(), serde_json::json!({"k": [1]})],
    ]
}

#[test]
fn tables_are_aligned_and_harmless() {
    let text = write(SqlFormat::Table, false, &["text", "n", "object"], &rows());
    let want = "text           n     object\n\
                -------------  ----  ---------\n\
                a,\"b\"␊\\u{9b}x     7\n\
                \u{20}              -123  {\"k\":[1]}\n";
    assert_eq!(text, want);
}

#[test]
fn json_and_csv_are_exact() {
    let columns = ["z", "a b", "z"];
    let json = write(SqlFormat::Json, false, &columns, &rows());
    let want = "{\"z\":\"a,\\\"b\\\"\\n\u{9b}x\",\"a b\":7,\"z\":null}\n{\"z\":\"\",\"a b\":-123,\"z\":{\"k\":[1]}}\n";
    assert_eq!(json, want);
    let csv = write(SqlFormat::Csv, false, &columns, &rows());
    assert_eq!(csv, "z,a b,z\n\"a,\"\"b\"\"\n\u{9b}x\",7,\n\"\",-123,\"{\"\"k\"\":[1]}\"\n");
}

#[test]
fn nothing_that_a_terminal_obeys_is_written_to_one() {
    for format in [SqlFormat::Table, SqlFormat::Json, SqlFormat::Csv] {
        let text = write(format, true, &["t"], &[vec!["\x1b[2J\u{9b}\x07".into()]]);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{format:?} {text:?}");
    }
}

#[test]
fn a_result_without_rows_has_its_head() {
    assert_eq!(write(SqlFormat::Csv, false, &["n"], &[]), "n\n");
    assert_eq!(write(SqlFormat::Table, false, &["n"], &[]), "n\n-\n");
    assert_eq!(write(SqlFormat::Json, false, &["n"], &[]), "");
}

#[test]
fn values_of_all_types() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    let object =
        StructArray::from(vec![(Arc::new(Field::new("k", DataType::Utf8, true)), Arc::clone(&names))]);
    let cases: Vec<(ArrayRef, &str)> = vec![
        (names, "[\"x\",null]"),
        (Arc::new(StringViewArray::from(vec!["a", "b"])), "[\"a\",\"b\"]"),
        (Arc::new(BooleanArray::from(vec![true, false])), "[true,false]"),
        (Arc::new(Int32Array::from(vec![-1, 2])), "[-1,2]"),
        (Arc::new(UInt64Array::from(vec![u64::MAX, 0])), "[18446744073709551615,0]"),
        (Arc::new(Float64Array::from(vec![0.5, f64::NAN])), "[0.5,null]"),
        (Arc::new(Float32Array::from(vec![0.1, f32::INFINITY])), "[0.1,null]"),
        (Arc::new(Date32Array::from(vec![20_758, 0])), "[\"2026-11-01\",\"1970-01-01\"]"),
        (Arc::new(Decimal128Array::from(vec![150, 7]).with_precision_and_scale(5, 2).unwrap()), "[1.5,0.07]"),
        (Arc::new(DictionaryArray::<Int32Type>::from_iter(["x", "y"])), "[\"x\",\"y\"]"),
        (
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                Some(vec![Some(1), None]),
                Some(vec![]),
            ])),
            "[[1,null],[]]",
        ),
        (Arc::new(BinaryViewArray::from(vec![b"r\xff".as_slice(), b""])), "[\"r\u{fffd}\",\"\"]"),
        (
            Arc::new(TimestampMillisecondArray::from(vec![1, -1]).with_timezone("UTC")),
            "[\"1970-01-01T00:00:00.001Z\",\"1969-12-31T23:59:59.999Z\"]",
        ),
        (Arc::new(object), "[{\"k\":\"x\"},{}]"),
    ];
    for (array, want) in cases {
        let got = Value::Array(vec![sql_value(&array, 0), sql_value(&array, 1)]);
        assert_eq!(got.to_string(), want);
    }
}
