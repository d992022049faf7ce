//! JSON as Go writes it: safe inside of HTML, in scripts, and in lines.
//!
//! Every line of every stream goes through here, so text that needs no care is found many bytes at a time.

/// Bytes that are looked at together.
const STEP: usize = 32;

/// Appends a text, in quotes.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    while let Some(at) = special(bytes, start) {
        out.extend_from_slice(&bytes[start..at]);
        start = at + escape(&bytes[at..], out);
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// Appends JSON that was read; without the space between its parts, which may be ends of lines.
pub(super) fn write_raw(json: &str, out: &mut Vec<u8>) {
    let bytes = json.as_bytes();
    let (mut is_text, mut is_escaped, mut at) = (false, false, 0);
    while let Some(&byte) = bytes.get(at) {
        let was_escaped = std::mem::take(&mut is_escaped);
        match byte {
            b'"' => is_text ^= !was_escaped,
            b'\\' => is_escaped = !was_escaped,
            _ => {}
        }
        at += match byte {
            b'"' | b'\\' => {
                out.push(byte);
                1
            }
            _ if !is_text && byte.is_ascii_whitespace() => 1,
            _ if is_special(byte) => escape(&bytes[at..], out),
            _ => {
                out.push(byte);
                1
            }
        };
    }
}

/// Where the first byte stands, from `start` on, that may not stand for itself.
fn special(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = &bytes[start..];
    // Without a way out in the middle, which is what lets the compiler take all of them at once.
    let has_special = |step: &&[u8]| step.iter().fold(false, |found, byte| found | is_special(*byte));
    let plain = rest.chunks_exact(STEP).take_while(|step| !has_special(step)).count() * STEP;
    rest[plain..].iter().position(|byte| is_special(*byte)).map(|at| start + plain + at)
}

/// The first byte of the separators U+2028 and U+2029 is one of these, and of other letters too.
fn is_special(byte: u8) -> bool {
    (byte < b' ')
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'&')
        | (byte == 0xe2)
}

/// Appends what the first letter is written as; the bytes that it has.
fn escape(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match bytes[0] {
        b'"' => Some(b'"'),
        b'\\' => Some(b'\\'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        _ => None,
    };
    if let Some(letter) = short {
        out.extend_from_slice(&[b'\\', letter]);
        return 1;
    }
    match bytes {
        [0xe2, 0x80, last @ (0xa8 | 0xa9), ..] => {
            out.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
            3
        }
        [0xe2, ..] => {
            out.push(0xe2);
            1
        }
        [byte, ..] => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            1
        }
        [] => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: fn(&str, &mut Vec<u8>), text: &str) -> String {
        let mut out = Vec::new();
        write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Whether it ends a line to JavaScript.
    fn has_separator(text: &str) -> bool {
        text.contains(['\u{2028}', '\u{2029}'])
    }

    proptest! {
        #[test]
        fn texts_mean_what_they_meant_and_are_safe(
            text in prop_oneof!["\\PC{0,80}", "[\u{0}-\u{7f}\u{2028}\u{2029}\u{2014}]{0,80}"]
        ) {
            let json = written(write_text, &text);
            prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
            prop_assert!(!json.contains(['<', '>', '&', '\n', '\r']) && !has_separator(&json), "{}", json);
            // What was read is as safe, and means the same.
            let raw = format!("{{ {json}\r:\t[{json} ,1 ] }}");
            let short = written(write_raw, &raw);
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            prop_assert_eq!(value(&short), value(&raw));
            prop_assert_eq!(short, format!("{{{json}:[{json},1]}}"));
            let unsafe_raw = serde_json::to_string(&text).unwrap();
            let safe = written(write_raw, &unsafe_raw);
            prop_assert_eq!(&serde_json::from_str::<String>(&safe).unwrap(), &text);
            prop_assert!(!safe.contains(['<', '>', '&', '\n', '\r']) && !has_separator(&safe), "{}", safe);
        }
    }
}
