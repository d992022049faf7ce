//! Rows of a batch as the engine answers them.

use arrow::array::{Array, AsArray, BinaryViewArray, RecordBatch, StringViewArray, StructArray};
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt8Type};
use taffrail_record::{Severity, Timestamp};
use taffrail_store::engine::Arrival;
use taffrail_store::hit::{AttributeValue, Hit, rest_members};
use taffrail_store::schema;

/// The columns of a batch by name; one that was not read gives its default.
pub(crate) struct Rows<'a> {
    times: Option<&'a [i64]>,
    observed: Option<&'a [i64]>,
    severities: Option<&'a [u8]>,
    offsets: Option<&'a [i64]>,
    node: Option<&'a StringViewArray>,
    source: Option<&'a StringViewArray>,
    service: Option<&'a StringViewArray>,
    body: Option<&'a StringViewArray>,
    layout: Option<&'a StringViewArray>,
    rest: Option<&'a StringViewArray>,
    raw: Option<&'a BinaryViewArray>,
    attributes: Option<&'a StructArray>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(batch: &'a RecordBatch) -> Self {
        let column = |name: &str| batch.column_by_name(name);
        let text = |name: &str| column(name).and_then(|column| column.as_string_view_opt());
        let time = |name: &str| {
            let column = column(name)?.as_primitive_opt::<TimestampNanosecondType>()?;
            Some(&column.values()[..])
        };
        Self {
            times: time(schema::TIMESTAMP),
            observed: time(schema::OBSERVED_TIMESTAMP),
            severities: column(schema::SEVERITY_NUMBER)
                .and_then(|column| column.as_primitive_opt::<UInt8Type>())
                .map(|column| &column.values()[..]),
            offsets: column(schema::OFFSET)
                .and_then(|column| column.as_primitive_opt::<Int64Type>())
                .map(|column| &column.values()[..]),
            node: text(schema::NODE),
            source: text(schema::SOURCE),
            service: text(schema::SERVICE),
            body: text(schema::BODY),
            layout: text(schema::LAYOUT),
            rest: text(schema::ATTRIBUTES_REST),
            raw: column(schema::RAW).and_then(|column| column.as_binary_view_opt()),
            attributes: column(schema::ATTRIBUTES).and_then(|column| column.as_struct_opt()),
        }
    }

    pub(crate) fn time(&self, row: usize) -> i64 {
        self.times.map_or(0, |times| times[row])
    }

    /// Its place in the order in which records arrived.
    pub(crate) fn arrival(&self, row: usize) -> Arrival {
        let observed = Timestamp(self.observed.map_or(0, |times| times[row]));
        Arrival { observed, offset: self.offset(row) }
    }

    pub(crate) fn severity(&self, row: usize) -> Severity {
        self.severities.and_then(|numbers| Severity::new(numbers[row])).unwrap_or(Severity::INFO)
    }

    pub(crate) fn offset(&self, row: usize) -> u64 {
        self.offsets.map_or(0, |offsets| offsets[row] as u64)
    }

    pub(crate) fn source(&self, row: usize) -> &'a str {
        self.source.map_or("", |texts| texts.value(row))
    }

    pub(crate) fn hit(&self, row: usize) -> Hit {
        let text = |texts: Option<&StringViewArray>| {
            texts.map_or(String::new(), |texts| texts.value(row).to_owned())
        };
        let raw = self.raw.filter(|raw| raw.is_valid(row)).map(|raw| raw.value(row).to_vec());
        Hit {
            timestamp: Timestamp(self.time(row)),
            observed: Timestamp(self.observed.map_or(0, |times| times[row])),
            severity: self.severity(row),
            node: text(self.node),
            source: text(self.source),
            offset: self.offset(row),
            service: text(self.service),
            body: text(self.body),
            attributes: self.attributes(row),
            layout: text(self.layout),
            raw,
        }
    }

    fn attributes(&self, row: usize) -> Vec<(String, AttributeValue)> {
        let mut all = Vec::new();
        if let Some(structure) = self.attributes {
            for (field, column) in structure.fields().iter().zip(structure.columns()) {
                if !column.is_valid(row) {
                    continue;
                }
                let value = match column.as_primitive_opt::<Int64Type>() {
                    Some(numbers) => AttributeValue::Integer(numbers.value(row)),
                    None => AttributeValue::Text(column.as_string_view().value(row).to_owned()),
                };
                all.push((field.name().clone(), value));
            }
        }
        if let Some(rest) = self.rest.filter(|rest| rest.is_valid(row)) {
            all.extend(rest_members(rest.value(row)));
        }
        all
    }
}
