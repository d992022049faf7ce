//! Raw lines to log records: pure, total, fast.
//!
//! Owns: the line formats, timestamps, the severity guess, service names from paths. Depends on: record.
//! Never: I/O, a clock, failure. Any bytes become exactly one record a line, and every layout that is not
//! empty renders the raw line again, byte for byte. Start reading at [`Parser`]; `formats` holds one file a
//! family of formats that need code, `pattern` reads the lines of all others (`formats/*.toml` at the root of the
//! repository), and `draft` is what they all fill in.

mod byte_list;
mod byte_mask;
mod class;
mod clock;
mod container;
mod detection;
mod draft;
mod encoding;
mod explanation;
mod formats;
mod journal;
mod key_cache;
mod layout_cache;
mod member;
mod message;
mod multiline;
mod parser;
mod pattern;
mod quoted;
mod redaction;
mod service;
mod severity_guess;
mod tools;

pub use clock::parse_timestamp;
pub use detection::Detection;
pub use explanation::Explanation;
pub use formats::{OwnFormat, format_names, use_formats, wrong_samples};
pub use multiline::{FirstLine, Joiner};
pub use parser::{Context, Parser};
pub use redaction::{REDACTED, Redactor, redaction_rules};
pub use service::service_from_path;
