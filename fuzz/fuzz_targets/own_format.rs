//! Any text may be the file of a format: it is read or refused, and what is read can be tried on any line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail_parse::OwnFormat;

fuzz_target!(|text: &str| {
    if let Ok(format) = OwnFormat::read(text) {
        assert!(!format.name().is_empty());
        for line in text.lines() {
            format.fits(line.as_bytes());
        }
    }
});
