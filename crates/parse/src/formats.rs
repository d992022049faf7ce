//! Which format a line is in. The first byte leaves few candidates, and each refuses early, so no line pays
//! for formats that it cannot be in and what it becomes does not depend on the lines before.

mod access;
mod cri;
mod delimited;
mod json;
mod leveled;
mod logfmt;
mod stamped;
mod syslog;
mod web_error;

use crate::clock::Clock;
use crate::draft::Draft;
use crate::member::Members;

/// The formats that the parser knows, in the order in which they are tried.
pub const fn format_names() -> &'static [&'static str] {
    &[
        "json",
        "cri",
        "syslog",
        "web-access",
        "web-error",
        "delimited",
        "leveled",
        "stamped",
        "logfmt",
        "plain",
    ]
}

/// Fills `draft`, which stands at an unrecognised line, with what `line` says.
pub(crate) fn parse(line: &[u8], clock: &mut Clock, members: &mut Members, draft: &mut Draft) {
    let Some(first) = line.first() else {
        return;
    };
    let _found = match first {
        b'0'..=b'9' => digit(line, clock, draft),
        b'{' | b' ' | b'\t' => json::parse(line, clock, members, draft),
        b'<' => syslog::with_priority(line, clock, draft),
        b'[' => {
            web_error::apache(line, clock, draft)
                || stamped::bracketed(line, clock, draft)
                || leveled::bracketed(line, draft)
        }
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'@' => {
            syslog::bsd(line, clock, draft)
                || stamped::ctime(line, clock, draft)
                || access::parse(line, clock, draft)
                || leveled::prefixed(line, draft)
                || logfmt::parse(line, clock, members, draft)
        }
        _ => access::parse(line, clock, draft),
    };
}

fn digit(line: &[u8], clock: &mut Clock, draft: &mut Draft) -> bool {
    let Some(stamp) = clock.iso(line) else {
        return access::parse(line, clock, draft);
    };
    cri::parse(line, &stamp, draft)
        || syslog::iso(line, &stamp, draft)
        || web_error::nginx(line, &stamp, draft)
        || delimited::parse(line, &stamp, draft)
        || stamped::after(line, 0, &stamp, draft)
}

#[cfg(test)]
pub(crate) mod tests;
