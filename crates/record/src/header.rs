//! Lines that name the columns of those after them: CSV's first one, and the `#Fields:` of W3C's extended format and of
//! Zeek. Whoever reads a file hands them over with every batch, as what is read later cannot be understood without them.

use std::sync::Arc;

/// Bytes of a header at most.
const HEADER_MAX: usize = 4096;
/// Bytes of a column's name at most.
const NAME_MAX: usize = 64;
/// What stands between columns of a file without directives.
pub const SEPARATORS: [u8; 4] = *b",\t;|";

/// Whether a line is a directive that names columns: `#Fields: date time c-ip`, `#fields<TAB>ts<TAB>uid`.
pub fn is_directive(line: &[u8]) -> bool {
    line.starts_with(b"#Fields:") || line.starts_with(b"#fields\t")
}

/// The header that the first bytes of a file hold: the last directive among the comments that it begins with, or else
/// the first line, if that looks like names. Lines without their newline are not looked at. A second line of the header
/// says the day, where lines have none of their own.
pub fn of_head(head: &[u8]) -> Option<Arc<str>> {
    let whole = &head[..head.iter().rposition(|byte| *byte == b'\n')?];
    let lines = whole.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.clone().next()?;
    if !first.starts_with(b"#") {
        return if is_names(first) { text(first) } else { None };
    }
    let comments = lines.take_while(|line| line.starts_with(b"#") || line.is_empty());
    let columns = text(comments.clone().filter(|line| is_directive(line)).last()?)?;
    Some(match comments.filter(|line| is_date(line)).last() {
        Some(date) => with_date(&columns, date),
        None => columns,
    })
}

/// Whether a line says of which day those after it are: `#Date: 2026-11-01 00:00:00`.
pub fn is_date(line: &[u8]) -> bool {
    line.starts_with(b"#Date: ")
}

/// A header whose lines are of the day that another line says; it stays as it is if its lines have a date of their own.
pub fn with_date(columns: &Arc<str>, date: &[u8]) -> Arc<str> {
    let own = columns.lines().next().unwrap_or_default();
    let has = |name: &str| own.starts_with("#Fields:") && own.split_ascii_whitespace().any(|own| own == name);
    let is_dated = has("date") || !has("time");
    match std::str::from_utf8(date) {
        Ok(date) if !is_dated && own.len() + date.len() < HEADER_MAX => format!("{own}\n{date}").into(),
        _ => Arc::clone(columns),
    }
}

/// A header as text.
pub fn text(line: &[u8]) -> Option<Arc<str>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (line.len() <= HEADER_MAX).then(|| std::str::from_utf8(line).ok().map(Arc::from)).flatten()
}

/// What separates the columns that a line names: the separator that it has most of.
pub fn separator(line: &[u8]) -> Option<u8> {
    let count = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    let most = SEPARATORS.into_iter().rev().max_by_key(|separator| count(*separator))?;
    (count(most) > 0).then_some(most)
}

/// Whether a line is made of two or more names, each another one.
fn is_names(line: &[u8]) -> bool {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let Some(separator) = separator(line).filter(|_| line.len() <= HEADER_MAX) else { return false };
    let names: Vec<&[u8]> = line.split(|byte| *byte == separator).map(name).collect();
    let distinct = names.iter().enumerate().all(|(index, name)| !names[..index].contains(name));
    distinct && names.iter().all(|name| is_name(name))
}

/// A name without what may stand around it.
pub fn name(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field)
}

fn is_name(name: &[u8]) -> bool {
    let begins = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@');
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.@/()# ".contains(byte);
    name.len() <= NAME_MAX && name.first().is_some_and(begins) && name.iter().all(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_headers() {
        for (head, want) in [
            ("time,level,message\n1,2,3\n", Some("time,level,message")),
            ("\"Time\";\"Log Level\"\r\nx\n", Some("\"Time\";\"Log Level\"")),
            ("time,level", None),
            ("time\nlevel\n", None),
            ("time,time\n", None),
            ("2026-11-01,INFO,started\n", None),
            ("web, app: started\n", None),
            ("a,,c\n", None),
            ("#Software: x\r\n#Fields: date time c-ip\r\n2026", Some("#Fields: date time c-ip")),
            ("#Version: 1\n\n#Fields: a b\n1 2\n", Some("#Fields: a b")),
            ("#Date: 2026-11-01\n#Fields: time b\n", Some("#Fields: time b\n#Date: 2026-11-01")),
            ("#Date: 2026-11-01\n#Fields: date b\n", Some("#Fields: date b")),
            ("#Fields: a b\n#Fields: c d\n#Date: x\n", Some("#Fields: c d")),
            ("#separator \\x09\n#fields\tts\tuid\n#types\ttime\tstring\n1\t2\n", Some("#fields\tts\tuid")),
            ("# a comment\na,b\n", None),
            ("", None),
            ("\n\n", None),
        ] {
            assert_eq!(of_head(head.as_bytes()).as_deref(), want, "{head:?}");
        }
        let long = format!("a,{}\n", "b".repeat(HEADER_MAX));
        assert_eq!(of_head(long.as_bytes()), None);
    }
}
