//! Entries: how the original shows a record.

use serde_json::{Map, Value};
use taffrail_record::{Timestamp, Zone};
use taffrail_store::hit::Hit;

use crate::api::iso;
use crate::leveredge::agent;

/// A moment in the original's form: UTC with microseconds and without a zone.
pub(super) fn time(timestamp: Timestamp) -> String {
    iso(timestamp, 6, Zone::Assumed(0))
}

/// A line that is a JSON object as it stands, with time and source where it has none; any other line field
/// by field.
pub(super) fn from_hit(hit: &Hit) -> Map<String, Value> {
    let object = hit.raw_line().ok().and_then(|line| object(&line));
    let mut entry = object.unwrap_or_else(|| {
        let agent = if hit.layout.contains("{service}") {
            hit.service.clone()
        } else {
            agent::name(&hit.source, &hit.service)
        };
        Map::from_iter([
            ("level".to_owned(), Value::from(hit.level().to_uppercase())),
            ("agent".to_owned(), Value::from(agent)),
            ("message".to_owned(), Value::from(hit.body.as_str())),
        ])
    });
    entry.entry("timestamp").or_insert_with(|| Value::from(time(hit.timestamp)));
    entry.entry("source").or_insert_with(|| Value::from(hit.source.as_str()));
    entry
}

fn object(line: &[u8]) -> Option<Map<String, Value>> {
    let line = line.trim_ascii();
    line.starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use taffrail_record::Severity;
    use taffrail_store::hit::AttributeValue;

    use super::*;

    fn hit(raw: &str, layout: &str) -> Hit {
        Hit {
            timestamp: Timestamp(1_793_491_200_006_000_000),
            observed: Timestamp(0),
            severity: Severity::WARNING,
            node: String::new(),
            source: "/tmp/my-agent.log".to_owned(),
            offset: 0,
            service: "worker".to_owned(),
            body: "the message".to_owned(),
            attributes: vec![("level".to_owned(), AttributeValue::Text("warn".to_owned()))],
            layout: layout.to_owned(),
            raw: layout.is_empty().then(|| raw.as_bytes().to_vec()),
        }
    }

    #[test]
    fn json_lines_stay_as_they_are_and_others_get_the_four_fields() {
        let (at, source) = ("2026-11-01T00:00:00.006000", "/tmp/my-agent.log");
        for (raw, layout, want) in [
            (
                r#" {"x":1,"level":"Odd"}"#,
                "",
                json!({"x": 1, "level": "Odd", "timestamp": at, "source": source}),
            ),
            (r#"{"timestamp":5,"source":null}"#, "", json!({"timestamp": 5, "source": null})),
            (
                "{broken",
                "",
                json!({"timestamp": at, "level": "WARN", "agent": "worker", "message": "the message", "source": source}),
            ),
            (
                "",
                "[{level}] {service}: {body}",
                json!({"timestamp": at, "level": "WARN", "agent": "worker", "message": "the message", "source": source}),
            ),
        ] {
            assert_eq!(Value::Object(from_hit(&hit(raw, layout))), want, "{raw}{layout}");
        }
        let mut derived = hit("", "{level} - {body}");
        derived.service = "my-agent".to_owned();
        assert_eq!(from_hit(&derived)["agent"], "MY_AGENT");
    }
}
