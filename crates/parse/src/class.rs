//! Classes of bytes, as one table look-up each.

/// Bytes of a host name or address.
pub(crate) const HOST: u8 = 1;
/// Bytes of a syslog tag before its `[pid]` or colon.
pub(crate) const TAG: u8 = 2;
/// Bytes of one word: letters, digits and `_`.
pub(crate) const WORD: u8 = 4;
/// Bytes of a logfmt key.
pub(crate) const KEY: u8 = 8;

const TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x21u8;
    while byte < 0x7f {
        let alphanumeric = byte.is_ascii_alphanumeric();
        let mut class = 0;
        if alphanumeric || matches!(byte, b'.' | b'-' | b'_' | b':') {
            class |= HOST;
        }
        if !matches!(byte, b'[' | b']' | b':' | b'"' | b'=' | b',' | b'{' | b'}' | b'<' | b'>') {
            class |= TAG;
        }
        if alphanumeric || byte == b'_' {
            class |= WORD;
        }
        if alphanumeric || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/') {
            class |= KEY;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
};

/// Whether `byte` is of `class`.
pub(crate) fn is(byte: u8, class: u8) -> bool {
    TABLE[usize::from(byte)] & class != 0
}

/// Index of the first byte from `start` on that is not of `class`.
pub(crate) fn end_of(text: &[u8], start: usize, class: u8) -> usize {
    let mut at = start;
    while at < text.len() && is(text[at], class) {
        at += 1;
    }
    at
}

/// Index of the first byte from `start` on that is no blank or tab.
pub(crate) fn skip_blanks(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while matches!(text.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// Index of the first `byte` from `start` on.
pub(crate) fn find(text: &[u8], start: usize, byte: u8) -> Option<usize> {
    memchr::memchr(byte, text.get(start..)?).map(|at| start + at)
}
