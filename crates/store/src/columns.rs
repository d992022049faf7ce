//! From a batch of spans to Arrow columns. The texts are not copied: the views point into the batch's arena.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::builder::make_view;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Int64Array, RecordBatch, StringViewArray, StringViewBuilder,
    StructArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, TimestampNanosecondType};
use arrow::error::ArrowError;
use taffrail_record::layout::keeps_raw;
use taffrail_record::{Attribute, AttributeKind, LogBatch, LogRecord, Span, Timestamp};

use crate::json;
use crate::schema::{self, ATTRIBUTE_COLUMNS_MAX};

/// The records of `batch` as columns, in the same order.
pub fn from_batch(batch: LogBatch) -> Result<RecordBatch, ArrowError> {
    let plan = AttributePlan::new(&batch);
    let names = Names::new(&batch);
    let columns = Columns { batch: &batch, plan: &plan };
    let attributes = columns.attributes();
    let rest = columns.rest();
    let views = columns.views();
    let (sources, layouts) = columns.names(&names)?;
    let mut arrays = columns.numbers();
    let arena = Buffer::from_vec(batch.into_arena());
    let text = |views: Vec<u128>, nulls: Option<NullBuffer>| {
        let array = StringViewArray::try_new(ScalarBuffer::from(views), vec![arena.clone()], nulls)?;
        Ok::<ArrayRef, ArrowError>(Arc::new(array))
    };
    let raw =
        BinaryViewArray::try_new(ScalarBuffer::from(views.raw), vec![arena.clone()], Some(views.raw_nulls))?;
    arrays.insert(3, text(views.node, None)?);
    arrays.insert(4, sources);
    arrays.push(text(views.service, None)?);
    arrays.push(text(views.body, None)?);
    arrays.push(layouts);
    arrays.push(Arc::new(raw));
    arrays.push(Arc::new(rest));
    let fields: Fields = plan.columns.iter().map(|column| column.field.clone()).collect();
    if !fields.is_empty() {
        let children = attributes
            .into_iter()
            .map(|column| match column {
                AttributeColumn::Integers(values) => Ok(Arc::new(Int64Array::from(values)) as ArrayRef),
                AttributeColumn::Texts(views, nulls) => text(views, Some(NullBuffer::from(nulls))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        arrays.push(Arc::new(StructArray::try_new(fields.clone(), children, None)?));
    }
    RecordBatch::try_new(schema::with_attributes(&fields), arrays)
}

/// When the records of a batch that [`observe`] made were read; `None`: it has none.
pub fn observed(batch: &RecordBatch) -> Option<Timestamp> {
    let column = batch.column_by_name(schema::OBSERVED_TIMESTAMP)?;
    let times = column.as_primitive_opt::<TimestampNanosecondType>()?;
    times.values().first().copied().map(Timestamp)
}

/// As [`LogBatch::observe`], for records that are columns already.
pub fn observe(batch: RecordBatch, moment: Timestamp) -> Result<RecordBatch, ArrowError> {
    let times = |index: usize| batch.column(index).as_primitive::<TimestampNanosecondType>().values();
    let array = |times: Vec<i64>| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from(times).with_timezone(schema::UTC))
    };
    let both = times(0).iter().zip(times(1));
    let happened = both.map(|(time, observed)| if time == observed { moment.0 } else { *time }).collect();
    let mut arrays = batch.columns().to_vec();
    arrays[0] = array(happened);
    arrays[1] = array(vec![moment.0; batch.num_rows()]);
    RecordBatch::try_new(batch.schema(), arrays)
}

/// Sorts records by (timestamp, source, offset) if they are not sorted by time already.
pub fn sort(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let times = batch.column(0).as_primitive::<TimestampNanosecondType>().values();
    if times.is_sorted() {
        return Ok(batch.clone());
    }
    let (sources, offsets) = (batch.column(4).as_string_view(), batch.column(5).as_primitive::<Int64Type>());
    let same = |a: usize, b: usize| sources.views()[a] == sources.views()[b];
    let source = |a: usize, b: usize| {
        if same(a, b) { Ordering::Equal } else { sources.value(a).cmp(sources.value(b)) }
    };
    let place = |a: usize, b: usize| source(a, b).then_with(|| offsets.value(a).cmp(&offsets.value(b)));
    let mut rows: Vec<(i64, u32)> = times.iter().copied().zip(0..).collect();
    // Records come nearly in order, in runs: the standard library's stable sort takes runs as they are.
    rows.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| place(a.1 as usize, b.1 as usize)));
    take_record_batch(batch, &rows.into_iter().map(|(_, row)| row).collect::<UInt32Array>())
}

/// Which attributes become columns, and which go to the JSON text beside them.
struct AttributePlan {
    columns: Vec<PlannedColumn>,
    /// Key index to column index.
    of_key: Vec<Option<usize>>,
    /// No attribute is left for the JSON text.
    complete: bool,
}

struct PlannedColumn {
    field: Field,
    integer: bool,
}

impl AttributePlan {
    fn new(batch: &LogBatch) -> Self {
        let mut counts = vec![0usize; batch.keys().len()];
        let mut integers = vec![true; batch.keys().len()];
        for index in 0..batch.len() {
            for attribute in batch.attributes(index) {
                let key = usize::from(attribute.key);
                counts[key] += 1;
                integers[key] &= attribute.kind == AttributeKind::Integer;
            }
        }
        let mut keys: Vec<usize> = (0..counts.len()).filter(|key| counts[*key] > 0).collect();
        if keys.len() > ATTRIBUTE_COLUMNS_MAX {
            keys.sort_by_key(|key| std::cmp::Reverse(counts[*key]));
            keys.truncate(ATTRIBUTE_COLUMNS_MAX);
        }
        keys.sort_by(|a, b| batch.keys()[*a].cmp(&batch.keys()[*b]));
        let mut of_key = vec![None; counts.len()];
        let mut columns = Vec::with_capacity(keys.len());
        for key in keys {
            of_key[key] = Some(columns.len());
            let data_type = if integers[key] { DataType::Int64 } else { DataType::Utf8View };
            let field = schema::attribute_field(&batch.keys()[key], data_type);
            columns.push(PlannedColumn { field, integer: integers[key] });
        }
        let complete = columns.len() == counts.iter().filter(|count| **count > 0).count();
        Self { columns, of_key, complete }
    }
}

enum AttributeColumn {
    Integers(Vec<Option<i64>>),
    Texts(Vec<u128>, Vec<bool>),
}

/// The batch's sources and layouts: few, so their texts are checked once and not for each record.
struct Names {
    sources: StringViewArray,
    layouts: StringViewArray,
}

impl Names {
    fn new(batch: &LogBatch) -> Self {
        Self {
            sources: batch.sources().iter().map(Some).collect(),
            layouts: batch.layouts().iter().map(Some).collect(),
        }
    }
}

struct Views {
    node: Vec<u128>,
    service: Vec<u128>,
    body: Vec<u128>,
    raw: Vec<u128>,
    raw_nulls: NullBuffer,
}

struct Columns<'a> {
    batch: &'a LogBatch,
    plan: &'a AttributePlan,
}

impl Columns<'_> {
    fn records(&self) -> &[LogRecord] {
        self.batch.records()
    }

    fn view(&self, span: Span) -> u128 {
        make_view(span.of(self.batch.arena()), 0, span.start)
    }

    /// timestamp, observed_timestamp, severity_number, offset.
    fn numbers(&self) -> Vec<ArrayRef> {
        let records = self.records();
        let time = |values: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampNanosecondArray::from(values).with_timezone(schema::UTC))
        };
        vec![
            time(records.iter().map(|record| record.timestamp.0).collect()),
            time(records.iter().map(|record| record.observed.0).collect()),
            Arc::new(UInt8Array::from_iter_values(records.iter().map(|record| record.severity.number()))),
            Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.offset as i64))),
        ]
    }

    /// source, layout.
    fn names(&self, names: &Names) -> Result<(ArrayRef, ArrayRef), ArrowError> {
        let of = |names: &StringViewArray, index: fn(&LogRecord) -> u16| {
            take(names, &UInt16Array::from_iter_values(self.records().iter().map(index)), None)
        };
        Ok((of(&names.sources, |record| record.source)?, of(&names.layouts, |record| record.layout)?))
    }

    fn views(&self) -> Views {
        let records = self.records();
        let of =
            |span: fn(&LogRecord) -> Span| records.iter().map(|record| self.view(span(record))).collect();
        let kept: Vec<bool> = self.batch.layouts().iter().map(|layout| keeps_raw(layout)).collect();
        let whole = |record: &LogRecord| kept[usize::from(record.layout)];
        Views {
            node: of(|record| record.node),
            service: of(|record| record.service),
            body: of(|record| record.body),
            raw: records.iter().map(|record| if whole(record) { self.view(record.raw) } else { 0 }).collect(),
            raw_nulls: records.iter().map(whole).collect::<Vec<_>>().into(),
        }
    }

    fn attributes(&self) -> Vec<AttributeColumn> {
        let len = self.batch.len();
        let mut columns: Vec<AttributeColumn> = self
            .plan
            .columns
            .iter()
            .map(|column| match column.integer {
                true => AttributeColumn::Integers(vec![None; len]),
                false => AttributeColumn::Texts(vec![0; len], vec![false; len]),
            })
            .collect();
        for row in 0..len {
            for attribute in self.batch.attributes(row) {
                let Some(column) = self.plan.of_key[usize::from(attribute.key)] else { continue };
                match &mut columns[column] {
                    AttributeColumn::Integers(values) => {
                        values[row] = integer(self.batch.bytes(attribute.value))
                    }
                    AttributeColumn::Texts(views, valid) => {
                        views[row] = self.view(attribute.value);
                        valid[row] = true;
                    }
                }
            }
        }
        columns
    }

    /// The attributes without a column, as JSON objects.
    fn rest(&self) -> StringViewArray {
        if self.plan.complete {
            return StringViewArray::new_null(self.batch.len());
        }
        let mut builder = StringViewBuilder::new();
        for row in 0..self.batch.len() {
            let unplanned = |attribute: &&Attribute| self.plan.of_key[usize::from(attribute.key)].is_none();
            if !self.batch.attributes(row).iter().any(|attribute| unplanned(&attribute)) {
                builder.append_null();
                continue;
            }
            let mut object = json::Object::default();
            for attribute in self.batch.attributes(row).iter().filter(unplanned) {
                let key = &self.batch.keys()[usize::from(attribute.key)];
                object.push(key, self.batch.text(attribute.value), attribute.is_bare_json());
            }
            builder.append_value(object.finish());
        }
        builder.finish()
    }
}

/// The number that decimal digits stand for, as [`AttributeKind::Integer`] promises them.
fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let negative = digits.iter().try_fold(0i64, |value, digit| {
        value.checked_mul(10)?.checked_sub(i64::from(digit.wrapping_sub(b'0')))
    })?;
    if digits.len() < text.len() { Some(negative) } else { negative.checked_neg() }
}

/// Earliest and latest timestamp; `None` without records.
pub fn time_bounds(batch: &RecordBatch) -> Option<(i64, i64)> {
    let times = batch.column(0).as_any().downcast_ref::<TimestampNanosecondArray>()?.values();
    Some((*times.iter().min()?, *times.iter().max()?))
}
