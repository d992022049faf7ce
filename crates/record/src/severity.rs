//! How bad a record is: the 24 steps of the OpenTelemetry log data model, shown as six names.

use std::fmt;

/// A severity number, 1 to 24, as in the OpenTelemetry log data model; every four steps share a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Severity(u8);

impl Severity {
    /// Finest diagnostics (1).
    pub const TRACE: Self = Self(1);
    /// Diagnostics (5).
    pub const DEBUG: Self = Self(5);
    /// Normal operation (9); what a line without any sign of a severity gets.
    pub const INFO: Self = Self(9);
    /// Normal but significant (10): syslog's `notice`.
    pub const NOTICE: Self = Self(10);
    /// Something to look at (13).
    pub const WARNING: Self = Self(13);
    /// Something failed (17).
    pub const ERROR: Self = Self(17);
    /// Something failed that others depend on (21).
    pub const CRITICAL: Self = Self(21);
    /// Act at once (22): syslog's `alert`.
    pub const ALERT: Self = Self(22);
    /// Unusable (23): syslog's `emerg`, also `panic`.
    pub const EMERGENCY: Self = Self(23);
    /// The names, from the mildest; index = (number - 1) / 4.
    pub const NAMES: [&'static str; 6] = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

    /// The severity with this number, or `None` outside 1..=24.
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= 24 { Some(Self(number)) } else { None }
    }

    /// 1 to 24.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL.
    pub const fn name(self) -> &'static str {
        Self::NAMES[(self.0 as usize - 1) / 4]
    }

    /// The name's first number: every `WARNING` becomes 13.
    pub const fn floor(self) -> Self {
        Self((self.0 - 1) / 4 * 4 + 1)
    }

    /// The last number with this name: every `WARNING` becomes 16.
    pub const fn ceiling(self) -> Self {
        Self((self.0 - 1) / 4 * 4 + 4)
    }

    /// Reads a level word as programs write it (`warn`, `ERR`, `Notice`, `fatal`, ...), in any case.
    /// Words that are no level give `None`.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let mut lower = [0u8; 11];
        let word = lower.get_mut(..text.len())?;
        word.copy_from_slice(text);
        word.make_ascii_lowercase();
        Some(match &*word {
            b"trace" | b"trc" | b"finest" | b"finer" | b"verbose" | b"silly" => Self::TRACE,
            b"debug" | b"dbg" | b"fine" | b"config" => Self::DEBUG,
            b"info" | b"inf" | b"information" | b"log" | b"ok" => Self::INFO,
            b"notice" | b"note" => Self::NOTICE,
            b"warn" | b"warning" | b"wrn" => Self::WARNING,
            b"error" | b"err" | b"eror" | b"severe" | b"failure" => Self::ERROR,
            b"critical" | b"crit" | b"fatal" | b"ftl" => Self::CRITICAL,
            b"alert" => Self::ALERT,
            b"emerg" | b"emergency" | b"panic" => Self::EMERGENCY,
            _ => return None,
        })
    }

    /// The severity of a syslog priority's low three bits (RFC 5424, table 2); larger values wrap.
    pub const fn from_syslog(priority: u8) -> Self {
        match priority & 7 {
            0 => Self::EMERGENCY,
            1 => Self::ALERT,
            2 => Self::CRITICAL,
            3 => Self::ERROR,
            4 => Self::WARNING,
            5 => Self::NOTICE,
            6 => Self::INFO,
            _ => Self::DEBUG,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cover_all_numbers() {
        for number in 1..=24 {
            let severity = Severity::new(number).unwrap();
            assert!(severity.floor() <= severity && severity <= severity.ceiling());
            assert_eq!(severity.floor().name(), severity.ceiling().name());
        }
        assert_eq!(Severity::new(0), None);
        assert_eq!(Severity::new(25), None);
    }

    #[test]
    fn reads_the_words_programs_write() {
        for (text, want) in [
            ("WARN", Some("WARNING")),
            ("Err", Some("ERROR")),
            ("fatal", Some("CRITICAL")),
            ("information", Some("INFO")),
            ("informational", None),
            ("", None),
            ("errors", None),
        ] {
            assert_eq!(Severity::from_text(text.as_bytes()).map(Severity::name), want, "{text}");
        }
    }
}
