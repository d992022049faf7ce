//! Grok: regular expressions out of named parts, `%{NAME}` or `%{NAME:field}`, as Logstash's users know it.
//!
//! The names are Logstash's, what they stand for is our own: without looking around, which no linear matcher has. Types
//! behind a field (`:int`, `:float`) are read and not needed: what is a number is stored as one.

/// Parts inside each other at most.
const DEPTH_MAX: usize = 16;
/// Bytes of an expanded pattern at most.
const EXPANDED_MAX: usize = 1 << 16;

/// The parts: name and expression.
const PARTS: [(&str, &str); 66] = [
    ("USERNAME", r"[a-zA-Z0-9._-]+"),
    ("USER", r"%{USERNAME}"),
    ("EMAILLOCALPART", r"[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~.]+"),
    ("EMAILADDRESS", r"%{EMAILLOCALPART}@%{HOSTNAME}"),
    ("INT", r"[+-]?[0-9]+"),
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("NUMBER", r"%{BASE10NUM}"),
    ("BASE16NUM", r"[+-]?(?:0x)?[0-9A-Fa-f]+"),
    ("BASE16FLOAT", r"[+-]?(?:0x)?[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?"),
    ("POSINT", r"[1-9][0-9]*"),
    ("NONNEGINT", r"[0-9]+"),
    ("BOOL", r"(?:true|false)"),
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("MULTILINEDATA", r"(?s:.*)"),
    ("QUOTEDSTRING", r#"(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'|`(?:\\.|[^\\`])*`)"#),
    ("QS", r"%{QUOTEDSTRING}"),
    ("UUID", r"[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}"),
    ("URN", r"urn:[0-9A-Za-z][0-9A-Za-z-]{0,31}:[0-9A-Za-z()+,.:=@;$_!*'/?#%-]+"),
    ("MAC", r"(?:[A-Fa-f0-9]{2}[:-]){5}[A-Fa-f0-9]{2}|(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}"),
    ("CISCOMAC", r"(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}"),
    ("IPV4", r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"),
    ("IPV6", r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:%{IPV4}|[0-9A-Fa-f]{0,4})(?:%[0-9A-Za-z]+)?"),
    ("IP", r"(?:%{IPV6}|%{IPV4})"),
    ("HOSTNAME", r"[0-9A-Za-z_](?:[0-9A-Za-z_-]*[0-9A-Za-z_])?(?:\.[0-9A-Za-z_-]+)*\.?"),
    ("HOST", r"%{HOSTNAME}"),
    ("IPORHOST", r"(?:%{IP}|%{HOSTNAME})"),
    ("HOSTPORT", r"%{IPORHOST}:%{POSINT}"),
    ("PATH", r"(?:%{UNIXPATH}|%{WINPATH})"),
    ("UNIXPATH", r"(?:/[^\s/]*)+"),
    ("WINPATH", r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*\s]*)+"),
    ("TTY", r"/dev/(?:pts|tty(?:[pq])?)(?:\w+)?/?(?:[0-9]+)"),
    ("URIPROTO", r"[A-Za-z](?:[A-Za-z0-9+.-]+)+"),
    ("URIHOST", r"%{IPORHOST}(?::%{POSINT})?"),
    ("URIPATH", r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_\-]*)+"),
    ("URIQUERY", r"[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\-\[\]<>]*"),
    ("URIPARAM", r"\?%{URIQUERY}"),
    ("URIPATHPARAM", r"%{URIPATH}(?:\?%{URIQUERY})?"),
    ("URI", r"%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATH}(?:\?%{URIQUERY})?)?"),
    (
        "MONTH",
        r"\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug(?:ust)?|[Ss]ep(?:tember)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\b",
    ),
    ("MONTHNUM", r"(?:0?[1-9]|1[0-2])"),
    ("MONTHNUM2", r"(?:0[1-9]|1[0-2])"),
    ("MONTHDAY", r"(?:0[1-9]|[12][0-9]|3[01]|[1-9])"),
    (
        "DAY",
        r"(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)",
    ),
    ("YEAR", r"(?:[0-9]{4}|[0-9]{2})"),
    ("HOUR", r"(?:2[0-3]|[01]?[0-9])"),
    ("MINUTE", r"[0-5][0-9]"),
    ("SECOND", r"(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?"),
    ("TIME", r"%{HOUR}:%{MINUTE}(?::%{SECOND})?"),
    ("DATE_US", r"%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"),
    ("DATE_EU", r"%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"),
    ("DATE", r"(?:%{DATE_US}|%{DATE_EU})"),
    ("DATESTAMP", r"%{DATE}[- ]%{TIME}"),
    ("TZ", r"(?:[APMCE][SD]T|UTC|GMT|CES?T)"),
    ("ISO8601_TIMEZONE", r"(?:Z|[+-]%{HOUR}(?::?%{MINUTE})?)"),
    (
        "TIMESTAMP_ISO8601",
        r"%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?\s?(?:%{ISO8601_TIMEZONE})?",
    ),
    ("DATESTAMP_RFC822", r"%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}"),
    ("HTTPDATE", r"%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"),
    ("SYSLOGTIMESTAMP", r"%{MONTH} +%{MONTHDAY} %{TIME}"),
    ("PROG", r"[\x21-\x5a\x5c\x5e-\x7e]+"),
    ("SYSLOGHOST", r"%{IPORHOST}"),
    (
        "LOGLEVEL",
        r"(?i:alert|trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|emerg(?:ency)?)",
    ),
    ("UNIX_EPOCH", r"[0-9]{10}(?:[0-9]{3}|[0-9]{6}|[0-9]{9})?(?:\.[0-9]+)?"),
];

/// A pattern as a regular expression.
pub(super) struct Expanded {
    pub(super) regex: String,
    /// The fields of the groups `f0`, `f1` and so on.
    fields: Vec<String>,
}

impl Expanded {
    /// The field that a group stands for; a group that was named in the pattern itself is its own.
    pub(super) fn field(&self, group: &str) -> Option<String> {
        let own = group.strip_prefix("grok_field_").and_then(|number| number.parse::<usize>().ok());
        own.map_or_else(|| Some(group.to_owned()), |number| self.fields.get(number).cloned())
    }
}

/// Puts the parts in the places of their names.
pub(super) fn expand(text: &str) -> Result<Expanded, String> {
    let mut expanded = Expanded { regex: String::new(), fields: Vec::new() };
    append(text, 0, &mut expanded)?;
    Ok(expanded)
}

fn append(text: &str, depth: usize, expanded: &mut Expanded) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find("%{") {
        expanded.regex.push_str(&rest[..at]);
        let end = rest[at..].find('}').ok_or_else(|| format!("`{}` has no `}}`", &rest[at..]))?;
        let mut parts = rest[at + 2..at + end].splitn(3, ':');
        let (name, field) = (parts.next().unwrap_or_default(), parts.next());
        let Some((_, part)) = PARTS.iter().find(|(known, _)| *known == name) else {
            return Err(format!(
                "`%{{{name}}}` is unknown; write it as a regular expression: (?P<field>...)"
            ));
        };
        if depth == DEPTH_MAX || expanded.regex.len() > EXPANDED_MAX {
            return Err(format!("`%{{{name}}}` makes the pattern too long"));
        }
        match field.filter(|_| depth == 0) {
            Some(field) => {
                let group = format!("(?P<grok_field_{}>", expanded.fields.len());
                expanded.regex.push_str(&group);
                expanded.fields.push(plain(field));
            }
            None => expanded.regex.push_str("(?:"),
        }
        append(part, depth + 1, expanded)?;
        expanded.regex.push(')');
        rest = &rest[at + end + 1..];
    }
    expanded.regex.push_str(rest);
    Ok(())
}

/// A field's name with dots: `[source][ip]` is `source.ip`.
fn plain(field: &str) -> String {
    field.trim_matches(['[', ']']).replace("][", ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::expression::Expression;

    #[test]
    fn every_part_compiles() {
        for (name, _) in PARTS {
            Expression::grok(&format!("^%{{{name}:x}}$"), None)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn fields_are_named_and_unknown_parts_told() {
        let expanded = expand("%{IP:[source][ip]} (?P<own>x) %{NUMBER:n:int}").unwrap();
        assert_eq!(expanded.field("grok_field_0").unwrap(), "source.ip");
        assert_eq!(expanded.field("grok_field_1").unwrap(), "n");
        assert_eq!(expanded.field("own").unwrap(), "own");
        let wrong = |text: &str| expand(text).err().unwrap_or_default();
        assert!(wrong("%{NOTHING:x}").contains("`%{NOTHING}` is unknown"));
        assert!(wrong("%{IP").contains("has no `}`"));
    }
}
