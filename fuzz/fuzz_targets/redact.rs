//! Redaction keeps every line's length and its newlines, and finds nothing in what it has overwritten.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use taffrail_parse::{Redactor, redaction_rules};

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| {
    let rules: Vec<String> = redaction_rules().map(|(name, _)| name.to_owned()).collect();
    Redactor::new(&rules, &[]).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let mut line = bytes.to_vec();
    REDACTOR.redact_line(&mut line);
    assert_eq!(line.len(), bytes.len());
    let breaks = |bytes: &[u8]| bytes.iter().map(|byte| *byte == b'\n').collect::<Vec<_>>();
    assert_eq!(breaks(&line), breaks(bytes));
});
