//! A journal's value that is a list: of bytes where they are no plain text, or of the values of a repeated field.

use crate::quoted;

/// Appends what `text`, a list in JSON, stands for: bytes become text, several values stand in lines of their own.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let Some((end, _)) = quoted::scan(text, at + 1) else { break };
                separate(from, out);
                quoted::unescape(&text[at + 1..end], out);
                at = end;
            }
            b'0'..=b'9' => {
                let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number =
                    std::str::from_utf8(&text[at..at + digits]).ok().and_then(|text| text.parse().ok());
                bytes.push(number.unwrap_or(b'?'));
                at += digits - 1;
            }
            b'[' | b']' if !bytes.is_empty() => {
                separate(from, out);
                out.extend_from_slice(String::from_utf8_lossy(&bytes).as_bytes());
                bytes.clear();
            }
            _ => {}
        }
        at += 1;
    }
}

fn separate(from: usize, out: &mut Vec<u8>) {
    if out.len() > from {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_repeated_values_become_text() {
        for (list, want) in [
            ("[]", ""),
            ("[104,105]", "hi"),
            ("[27,91,51,49,109,195,169,255]", "\u{1b}[31m\u{e9}\u{fffd}"),
            (r#"["a","b\n\"c]"]"#, "a\nb\n\"c]"),
            (r#"["a",[98,255],null]"#, "a\nb\u{fffd}"),
            ("[[97],[98]]", "a\nb"),
            ("[1000, 97]", "?a"),
        ] {
            let mut out = b"before".to_vec();
            decode(list.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("before{want}"), "{list}");
        }
    }
}
