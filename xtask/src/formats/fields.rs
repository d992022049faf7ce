//! Fields that others take out of their lines, under their names and ours.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::explained::{Explained, Explainer, normal};
use super::{Score, text, truth};

/// Names of fields, and what they are called here. Fields that are not listed have the same name.
const NAMES: &[(&str, &[&str])] = &[
    ("timestamp", &["@time"]),
    ("message", &["@body", "@request"]),
    ("severity", &["@severity"]),
    ("level", &["@severity"]),
    ("log.level", &["@severity"]),
    ("host", &["client_ip", "client", "@host"]),
    ("hostname", &["@host"]),
    ("host.hostname", &["@host"]),
    ("appname", &["@service"]),
    ("process.name", &["@service"]),
    ("procid", &["pid"]),
    ("process.pid", &["pid"]),
    ("id", &["tid", "pid", "id"]),
    ("client", &["client_ip", "client"]),
    ("port", &["client_port"]),
    ("thread", &["tid"]),
    ("size", &["bytes"]),
    ("agent", &["user_agent"]),
    ("referrer", &["referer"]),
    ("protocol", &["protocol", "@request"]),
    ("identity", &["ident"]),
    ("client_host", &["@client"]),
    ("target_host", &["target"]),
    ("elb", &["balancer"]),
    ("elb.name", &["balancer"]),
    ("request_processing_time", &["request_seconds"]),
    ("target_processing_time", &["target_seconds"]),
    ("response_processing_time", &["response_seconds"]),
    ("request_creation_time", &["created"]),
    ("actions_executed", &["actions"]),
    ("chosen_cert_arn", &["certificate"]),
    ("domain_name", &["domain"]),
    ("matched_rule_priority", &["rule_priority"]),
    ("ssl_cipher", &["tls_cipher"]),
    ("ssl_protocol", &["tls_protocol"]),
    ("target_group_arn", &["target_group"]),
    ("traceability_id", &["connection"]),
    ("elb_status_code", &["status"]),
    ("target_status_code", &["target_status"]),
    ("request_method", &["method"]),
    ("request_url", &["url", "path"]),
    ("request_protocol", &["protocol"]),
    ("received_bytes", &["received_bytes"]),
    ("sent_bytes", &["bytes", "sent_bytes"]),
    ("type", &["type"]),
    ("source.ip", &["client_ip", "src_ip"]),
    ("source.address", &["client_ip", "client", "src_host"]),
    ("source.port", &["client_port", "src_port"]),
    ("client.ip", &["client_ip"]),
    ("client.port", &["client_port"]),
    ("clientip", &["client_ip"]),
    ("destination.ip", &["dst_ip"]),
    ("destination.address", &["dst_ip", "dst_host"]),
    ("destination.port", &["dst_port"]),
    ("http.request.method", &["method"]),
    ("http.response.status_code", &["status"]),
    ("http.response.body.bytes", &["bytes"]),
    ("http.request.referrer", &["referer"]),
    ("http.version", &["@request", "protocol"]),
    ("url.original", &["path", "url"]),
    ("url.path", &["path"]),
    ("user_agent.original", &["user_agent"]),
    ("user.name", &["user"]),
    ("source.user.name", &["user"]),
    ("verb", &["method"]),
    ("request", &["path"]),
    ("response", &["status"]),
    ("file", &["file", "source_file"]),
    ("line", &["line"]),
    ("process.thread.id", &["tid"]),
    ("process.thread.name", &["thread"]),
    ("java.log.origin.class.name", &["logger"]),
    ("java.log.origin.thread.name", &["thread"]),
];

/// Judges one set of lines by the fields that are wanted of them.
pub(super) fn judge(explainer: &Explainer, data: &Path, name: &str) -> Result<Vec<Score>> {
    let mut fields = Score::new("fields", 90.0, 98.0);
    for case in truth(data, name)? {
        let Some(wanted) = case["want"].as_object().filter(|wanted| !wanted.is_empty()) else { continue };
        let written = text(&case, "line").trim();
        let lines: Vec<&str> = written.lines().collect();
        let found = explainer.explain(&lines, "2026-11-20T00:00:00Z", "UTC")?;
        let Some(found) = found.iter().flatten().next() else { continue };
        for (path, value) in leaves(wanted) {
            if is_nothing(&value) {
                continue;
            }
            let right = ours(&path).iter().any(|ours| is_value(found, ours, written, &value));
            let of = text(&case, "function").to_owned() + text(&case, "pattern");
            fields.count(right, || format!("{of}: {path}={value:?}: {written}"));
        }
    }
    Ok(vec![fields])
}

/// The members of nested objects, by their names with dots.
fn leaves(object: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, value) in object {
        let name = name.trim_matches(['<', '>']);
        match value {
            Value::Object(inside) => {
                all.extend(leaves(inside).into_iter().map(|(rest, value)| (format!("{name}.{rest}"), value)));
            }
            Value::String(text) => all.push((name.to_owned(), text.clone())),
            Value::Null | Value::Array(_) => {}
            other => all.push((name.to_owned(), other.to_string())),
        }
    }
    all
}

/// Whether a value stands for there being none.
fn is_nothing(value: &str) -> bool {
    value.is_empty() || value == "-"
}

fn ours(path: &str) -> Vec<String> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let named = |name: &str| NAMES.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
    let known = named(path).or_else(|| named(last)).unwrap_or_default();
    known.iter().map(|name| (*name).to_owned()).chain([path.to_owned(), last.to_owned()]).collect()
}

fn is_value(found: &Explained, name: &str, written: &str, wanted: &str) -> bool {
    match name {
        "@time" => {
            let (is, wanted) = (found.time(), wanted.replace("<NOW>", "2026"));
            is == normal(&wanted) || found.text("timestamp_text").contains(wanted.as_str())
        }
        "@body" => found.text("body").trim_end() == wanted.trim_end(),
        // A request is stored as its parts, which give it back.
        "@request" => !found.attribute("path").is_empty() && written.contains(wanted),
        "@severity" => super::loghub::same_severity(&wanted.to_lowercase(), found.text("severity")),
        "@client" => format!("{}:{}", found.attribute("client_ip"), found.attribute("client_port")) == wanted,
        "@host" => found.text("host") == wanted,
        "@service" => found.text("service") == wanted,
        _ => same(&found.attribute(name), wanted),
    }
}

/// Whether two values are the same text or number.
fn same(is: &str, wanted: &str) -> bool {
    let numbers = is.parse::<f64>().ok().zip(wanted.parse::<f64>().ok());
    is == wanted || numbers.is_some_and(|(is, wanted)| (is - wanted).abs() < 1e-9)
}
