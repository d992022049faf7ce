//! Any bytes may begin with a time: none breaks anything, and what is found lies inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taffrail_parse::parse_timestamp;
use taffrail_record::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    for offset_minutes in [0, -720, 840] {
        if let Some((_, len)) = parse_timestamp(bytes, Timestamp(1_795_132_800_000_000_000), offset_minutes) {
            assert!(0 < len && len <= bytes.len());
        }
    }
});
