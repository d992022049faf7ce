//! Redaction: what nobody may read later is overwritten in the raw lines, before anything of them is written to disk.
//!
//! A secret becomes `[redacted]` and stars, as long as it was: offsets, lengths and the lines around it stay what they
//! were, and whoever exports the raw lines sees what is missing. Shorter ones become stars alone.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};
use taffrail_record::RawBatch;

/// What stands in the place of a secret that is long enough.
pub const REDACTED: &str = "[redacted]";
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;
/// Digits of a payment card's number, at least and at most (ISO/IEC 7812).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// The rules that are built in: name, what it finds, and the patterns. The group `secret` is overwritten, else all.
const RULES: [(&str, &str, &[&str]); 5] = [
    (
        "keys",
        "keys of AWS, GitHub, GitLab, Google, Slack and Stripe, and the values of `password=`, `api_key:` and the like",
        &[
            r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
            r"\bgh[pousr]_[0-9A-Za-z]{36,}\b",
            r"\bgithub_pat_[0-9A-Za-z_]{22,}\b",
            r"\bglpat-[0-9A-Za-z_-]{20,}",
            r"\bAIza[0-9A-Za-z_-]{35}",
            r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
            r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}",
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>[^-]{16,})",
            concat!(
                r#"(?i)(?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|token)"#,
                r#"\\?["']?\s{0,2}[=:]\s{0,2}\\?["']?(?P<secret>[^\s"'\\&,;\[\]{}()]{3,})"#
            ),
        ],
    ),
    (
        "tokens",
        "what follows `Bearer`, `Basic` and `Digest` in headers, and passwords in URLs",
        &[
            r"(?i)\b(?:bearer|basic)\s{1,2}(?P<secret>[0-9A-Za-z._~+/=-]{8,})",
            r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:(?P<secret>[^\s/@]+)@",
        ],
    ),
    ("jwt", "JSON web tokens", &[r"\beyJ[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]*"]),
    (
        "cards",
        "payment cards: 13 to 19 digits with a right check digit",
        &[r"\b[0-9](?:[ -]?[0-9]){12,18}\b"],
    ),
    ("emails", "e-mail addresses", &[r"[0-9A-Za-z._%+-]+@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)+"]),
];

/// The names of the rules that are built in, and what each finds.
pub fn redaction_rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|(name, about, _)| (*name, *about))
}

/// Overwrites what its rules find.
#[derive(Clone, Debug)]
pub struct Redactor {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    regex: Regex,
    has_group: bool,
    is_card: bool,
}

impl Redactor {
    /// One for some of the built-in rules and for patterns of one's own, whose group `secret` is overwritten, or all
    /// that they match if they have none.
    ///
    /// # Errors
    /// Which rule is unknown, or what is wrong with a pattern.
    pub fn new(rules: &[String], patterns: &[String]) -> Result<Self, String> {
        let mut all = Vec::new();
        for name in rules {
            let Some((name, _, patterns)) = RULES.iter().find(|(known, ..)| known == name) else {
                let known: Vec<&str> = RULES.iter().map(|(known, ..)| *known).collect();
                return Err(format!("`{name}` is no rule; {} are", known.join(", ")));
            };
            for pattern in *patterns {
                all.push(Pattern::new(&format!("(?-u){pattern}"), *name == "cards")?);
            }
        }
        for pattern in patterns {
            all.push(Pattern::new(pattern, false)?);
        }
        Ok(Self { patterns: all })
    }

    /// Whether it has no rule.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Overwrites the secrets of a batch's lines; how many.
    pub fn redact(&self, raw: &mut RawBatch) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let mut secrets = 0;
        for line in &raw.lines {
            let (start, end) = (line.span.start as usize, line.span.end());
            if let Some(text) = raw.bytes.get_mut(start..end) {
                secrets += self.redact_line(text);
            }
        }
        secrets
    }

    /// Overwrites the secrets of one line; how many.
    pub fn redact_line(&self, line: &mut [u8]) -> u64 {
        let mut secrets = 0;
        for pattern in &self.patterns {
            for secret in pattern.find(line) {
                overwrite(&mut line[secret]);
                secrets += 1;
            }
        }
        secrets
    }
}

impl Pattern {
    fn new(text: &str, is_card: bool) -> Result<Self, String> {
        let regex = RegexBuilder::new(text)
            .size_limit(PATTERN_BYTES)
            .build()
            .map_err(|error| format!("`{text}`: {error}"))?;
        if regex.is_match(b"") {
            return Err(format!("`{text}` matches nothing at all, and so every line everywhere"));
        }
        let has_group = regex.capture_names().flatten().any(|name| name == "secret");
        Ok(Self { regex, has_group, is_card })
    }

    fn find(&self, line: &[u8]) -> Vec<Range<usize>> {
        if !self.regex.is_match(line) {
            return Vec::new();
        }
        let found = |found: regex::bytes::Match<'_>| found.range();
        if self.has_group {
            return self.regex.captures_iter(line).filter_map(|all| all.name("secret").map(found)).collect();
        }
        let is_secret = |range: &Range<usize>| !self.is_card || is_card(&line[range.clone()]);
        self.regex.find_iter(line).map(found).filter(is_secret).collect()
    }
}

/// Whether the digits of a text have a right check digit (Luhn's).
fn is_card(text: &[u8]) -> bool {
    let digits: Vec<u32> =
        text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0')).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ if *digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    CARD_DIGITS.contains(&digits.len())
        && sum.is_multiple_of(10)
        && digits.iter().any(|digit| *digit != digits[0])
}

fn overwrite(secret: &mut [u8]) {
    let mark = if secret.len() < REDACTED.len() { "" } else { REDACTED };
    let (front, rest) = secret.split_at_mut(mark.len());
    front.copy_from_slice(mark.as_bytes());
    // A secret of several lines leaves as many.
    rest.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'*');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::raw;

    fn all() -> Redactor {
        let rules: Vec<String> = redaction_rules().map(|(name, _)| name.to_owned()).collect();
        Redactor::new(&rules, &[]).unwrap()
    }

    fn redacted(line: &str) -> String {
        let mut bytes = line.as_bytes().to_vec();
        all().redact_line(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn secrets_are_overwritten_and_nothing_else() {
        let key = format!("AKIA{}", "ABCDEFGHIJKLMNOP");
        for (line, want) in [
            (format!("using {key} now"), "using [redacted]********** now".to_owned()),
            ("login password=hunter2 ok".to_owned(), "login password=******* ok".to_owned()),
            (
                r#"{"api_key":"0123456789abcdef","n":1}"#.to_owned(),
                r#"{"api_key":"[redacted]******","n":1}"#.to_owned(),
            ),
            (
                "Authorization: Bearer abcdefghijkl".to_owned(),
                "Authorization: Bearer [redacted]**".to_owned(),
            ),
            ("postgres://ann:opensesame@db/x".to_owned(), "postgres://ann:[redacted]@db/x".to_owned()),
            ("paid with 4111 1111 1111 1111".to_owned(), "paid with [redacted]*********".to_owned()),
            ("order 4111 1111 1111 1112".to_owned(), "order 4111 1111 1111 1112".to_owned()),
            ("id 0000000000000000".to_owned(), "id 0000000000000000".to_owned()),
            ("mail to ann@mail.example.org.".to_owned(), "mail to [redacted]**********.".to_owned()),
            ("token refreshed, password changed".to_owned(), "token refreshed, password changed".to_owned()),
        ] {
            let found = redacted(&line);
            assert_eq!((found.as_str(), found.len()), (want.as_str(), line.len()));
        }
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N";
        assert!(!redacted(&format!("got {jwt}!")).contains("eyJ"));
    }

    #[test]
    fn lines_keep_their_places() {
        let mut batch = raw(&[b"a password=hunter2", b"b", b"\xff\xfe secret: swordfish99"]);
        let spans: Vec<_> = batch.lines.iter().map(|line| line.span).collect();
        assert_eq!(all().redact(&mut batch), 2);
        assert_eq!(batch.bytes, b"a password=*******\nb\n\xff\xfe secret: [redacted]*\n");
        assert_eq!(batch.lines.iter().map(|line| line.span).collect::<Vec<_>>(), spans);
    }

    #[test]
    fn rules_of_ones_own_say_what_is_wrong_with_them() {
        let own = Redactor::new(&[], &[r"card (?P<secret>\d+)".to_owned()]).unwrap();
        let mut line = b"card 12345".to_vec();
        assert_eq!(own.redact_line(&mut line), 1);
        assert_eq!(line, b"card *****");
        for (rules, patterns, wrong) in [
            (
                vec!["nothing".to_owned()],
                vec![],
                "`nothing` is no rule; keys, tokens, jwt, cards, emails are",
            ),
            (vec![], vec!["(".to_owned()], "`(`: "),
            (vec![], vec!["x*".to_owned()], "`x*` matches nothing at all"),
        ] {
            let error = Redactor::new(&rules, &patterns).unwrap_err();
            assert!(error.starts_with(wrong), "{error}");
        }
    }
}
