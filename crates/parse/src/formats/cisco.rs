//! Lines of Cisco's devices, which are syslog with a tag of their own: `%ASA-6-302013: message`. What is before the tag has
//! many shapes, so these lines are read by a format that is data.

/// Bytes before a tag at most.
const HEAD_MAX: usize = 128;

/// Whether a blank and a tag stand near the line's start.
pub(super) fn is_tagged(line: &[u8]) -> bool {
    let head = &line[..line.len().min(HEAD_MAX)];
    memchr::memchr(b'%', head).is_some_and(|at| at > 0 && line[at - 1] == b' ' && is_tag(&line[at + 1..]))
}

/// `FACILITY-6-MNEMONIC:`.
fn is_tag(text: &[u8]) -> bool {
    let named =
        |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    let tag = &text[..text.iter().take_while(named).count()];
    text.get(tag.len()) == Some(&b':')
        && tag.first().is_some_and(u8::is_ascii_uppercase)
        && tag.windows(3).any(|part| matches!(part, [b'-', b'0'..=b'7', b'-']))
}

#[cfg(test)]
mod tests {
    use super::is_tagged;

    #[test]
    fn knows_tags() {
        for (line, want) in [
            ("Nov  1 00:00:00: %LINK-3-UPDOWN: x", true),
            ("<166>Nov 01 2026 00:00:00 fw : %ASA-6-302013: x", true),
            ("Nov  1 00:00:00 sw %C4K_EBM-4-HOSTFLAPPING: x", true),
            ("Nov  1 00:00:00 web app: 5 %A-B: x", false),
            ("Nov  1 00:00:00 web app: 5 %A-3-B x", false),
            ("Nov  1 00:00:00 web app: 50%ASA-3-B: x", false),
            ("%ASA-6-302013: x", false),
        ] {
            assert_eq!(is_tagged(line.as_bytes()), want, "{line}");
        }
    }
}
