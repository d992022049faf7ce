//! Fields that others take out of their lines, under their names and ours.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::explained::{Explained, Explainer, normal};
use super::{Score, text, truth};

/// Names of fields, and what they are called here. Fields that are not listed have the same name.
const NAMES: &[(&str, &[&str])] = &[
    ("access_point_arn", &["access_point"]),
    ("apache.error.proxy.error.code", &["os_error"]),
    ("apache.error.proxy.error.message", &["os_error_text"]),
    ("asa.outcome", &["outcome"]),
    ("asa.rule_name", &["rule"]),
    ("asa.source.group", &["group"]),
    ("asa.tag", &["@cisco_tag"]),
    ("auth.pam.module", &["pam_module"]),
    ("auth.pam.origin", &["pam_origin"]),
    ("auth.pam.session_state", &["session"]),
    ("backend.http.response.status_code", &["target_status"]),
    ("backend.ip", &["target_ip"]),
    ("backend.port", &["target_port"]),
    ("backend_processing_time.sec", &["target_seconds"]),
    ("backend_name", &["backend"]),
    ("bucket_owner", &["owner"]),
    ("burst.avg_rate", &["average_rate"]),
    ("burst.configured_avg_rate", &["average_rate_max"]),
    ("burst.configured_rate", &["burst_rate_max"]),
    ("burst.cumulative_count", &["total"]),
    ("burst.current_rate", &["burst_rate"]),
    ("burst.id", &["rate"]),
    ("burst.object", &["object"]),
    ("bytes_sent", &["bytes"]),
    ("client.user.id", &["requester"]),
    ("cloudfront.http.request.host", &["host_header"]),
    ("cloudfront.http.request.size", &["content_length"]),
    ("cloudfront.ssl_protocol", &["tls_protocol"]),
    ("cloudfront.time_taken", &["duration_seconds"]),
    ("cloudfront.time_to_first_byte", &["first_byte_seconds"]),
    ("connection_wait_time_ms", &["connect_ms"]),
    ("connections.active", &["connections"]),
    ("connections.backend", &["backend_connections"]),
    ("connections.frontend", &["frontend_connections"]),
    ("connections.retries", &["retries"]),
    ("connections.server", &["server_connections"]),
    ("cron.action", &["action"]),
    ("destination.bytes", &["bytes"]),
    ("destination.mac", &["dst_mac"]),
    ("destination.nat.ip", &["dst_nat_ip"]),
    ("destination.nat.port", &["dst_nat_port"]),
    ("egress.interface.name", &["out_interface"]),
    ("elb.ssl_protocol", &["tls_protocol"]),
    ("error.code", &["code", "error_code"]),
    ("event.action", &["result", "action"]),
    ("event.code", &["msgid", "msg_id"]),
    ("event.reason", &["reason"]),
    ("exim.log.flags", &["flag"]),
    ("exim.log.message.id", &["message_id"]),
    ("exim.log.message.size", &["bytes"]),
    ("exim.log.message.subject", &["subject"]),
    ("exim.log.recipient.email", &["recipient"]),
    ("exim.log.remote_address", &["helo"]),
    ("exim.log.sender.email", &["sender"]),
    ("exim.log.sender.original", &["from"]),
    ("firewall.action", &["action"]),
    ("firewall.log_prefix", &["@firewall_prefix"]),
    ("frontend_name", &["frontend"]),
    ("hierarchy_code", &["hierarchy"]),
    ("http.request.body.bytes", &["received_bytes"]),
    ("http.request.mime_type", &["content_type"]),
    ("http.response.bytes", &["bytes"]),
    ("http.response.mime_type", &["content_type"]),
    ("httpversion", &["@request"]),
    ("ingress.interface.name", &["in_interface"]),
    ("ipsec.protocol", &["ipsec_protocol"]),
    ("ipsec.seq_num", &["sequence"]),
    ("ipsec.tunnel_type", &["tunnel"]),
    ("iptables.id", &["packet_id"]),
    ("iptables.precedence_bits", &["precedence"]),
    ("iptables.tcp.ack_number", &["tcp_ack"]),
    ("iptables.tcp.flags", &["tcp_flags"]),
    ("iptables.tcp.sequence", &["tcp_seq"]),
    ("iptables.tcp.window", &["tcp_window"]),
    ("iptables.tcp_reserved_bits", &["tcp_reserved"]),
    ("log.level", &["@severity", "level"]),
    ("log.origin.file.line", &["line"]),
    ("log.origin.file.name", &["file"]),
    ("log.origin.function", &["function"]),
    ("log.question.flags", &["query_flags"]),
    ("mongodb.component", &["@service"]),
    ("mongodb.context", &["thread"]),
    ("mongodb.query.original", &["query"]),
    ("nagios.log.notification_command", &["command"]),
    ("nagios_epoch", &["@time"]),
    ("network.protocol", &["protocol"]),
    ("network.transport", &["protocol"]),
    ("observer.hostname", &["@host"]),
    ("original_ip_payload.destination.ip", &["original_dst_ip"]),
    ("original_ip_payload.destination.port", &["original_dst_port"]),
    ("original_ip_payload.network.transport", &["original_protocol"]),
    ("original_ip_payload.source.ip", &["original_client_ip"]),
    ("original_ip_payload.source.port", &["original_client_port"]),
    ("profile.duration", &["duration_ms"]),
    ("profile.op", &["operation"]),
    ("question.class", &["query_class"]),
    ("question.name", &["query"]),
    ("question.type", &["query_type"]),
    ("request.duration", &["duration_ms"]),
    ("request.time_wait_ms", &["request_ms"]),
    ("request.time_wait_without_data_ms", &["response_ms"]),
    ("request_processing_time.sec", &["request_seconds"]),
    ("request_time_ms", &["duration_ms"]),
    ("request_uri", &["@request"]),
    ("response_processing_time.sec", &["response_seconds"]),
    ("server.ip", &["server_ip"]),
    ("server_name", &["server"]),
    ("service.name", &["check", "timeperiod"]),
    ("service.state", &["state"]),
    ("source.bytes", &["received_bytes", "bytes"]),
    ("source.mac", &["client_mac"]),
    ("source.nat.ip", &["client_nat_ip"]),
    ("source.nat.port", &["client_nat_port"]),
    ("syslog.priority", &["priority", "@priority"]),
    ("termination_state", &["termination"]),
    ("tls.cipher", &["tls_cipher"]),
    ("tls_version", &["tls_protocol"]),
    ("total_time", &["duration_ms"]),
    ("total_time_ms", &["duration_ms"]),
    ("total_waiting_time_ms", &["queue_ms"]),
    ("turn_around_time", &["turnaround_ms"]),
    ("turnaround_time_ms", &["turnaround_ms"]),
    ("url.domain", &["host", "domain"]),
    ("url.port", &["host_port"]),
    ("x_edge_detailed_result_type", &["detailed_result_type"]),
    ("x_edge_location", &["edge_location"]),
    ("x_edge_request_id", &["request_id"]),
    ("x_edge_response_result_type", &["response_result_type"]),
    ("x_edge_result_type", &["result_type"]),
    ("timestamp", &["@time"]),
    ("message", &["@body", "@request"]),
    ("severity", &["@severity"]),
    ("level", &["@severity"]),
    ("host", &["client_ip", "client", "@host"]),
    ("hostname", &["@host"]),
    ("host.hostname", &["@host", "host"]),
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
    ("target_host", &["@target", "target"]),
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
    ("request_url", &["url", "path", "@request"]),
    ("request_protocol", &["protocol"]),
    ("received_bytes", &["received_bytes"]),
    ("sent_bytes", &["bytes", "sent_bytes"]),
    ("type", &["type"]),
    ("source.ip", &["client_ip", "src_ip"]),
    ("source.address", &["client_host", "client_ip", "client", "src_host"]),
    ("source.port", &["client_port", "src_port"]),
    ("client.ip", &["client_ip"]),
    ("client.port", &["client_port"]),
    ("clientip", &["client_ip"]),
    ("destination.ip", &["dst_ip"]),
    ("destination.address", &["dst_ip", "dst_host", "peer"]),
    ("destination.port", &["dst_port"]),
    ("http.request.method", &["method"]),
    ("http.response.status_code", &["status"]),
    ("http.response.body.bytes", &["bytes"]),
    ("http.request.referrer", &["referer"]),
    ("http.version", &["@request", "protocol"]),
    ("url.original", &["path", "url", "@request"]),
    ("url.path", &["path"]),
    ("user_agent.original", &["user_agent"]),
    ("user.name", &["user"]),
    ("source.user.name", &["user"]),
    ("verb", &["method"]),
    ("request", &["path", "url"]),
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
    matches!(value, "" | "-" | "\"-\"")
}

fn ours(path: &str) -> Vec<String> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let named = |name: &str| NAMES.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
    // The more parts of a name are known, the surer it is.
    let ends = std::iter::successors(Some(path), |end| end.split_once('.').map(|(_, rest)| rest));
    let known = ends.filter_map(named).next().unwrap_or_default();
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
        // What stands in the line as one is stored in parts.
        "@target" => format!("{}:{}", found.attribute("target_ip"), found.attribute("target_port")) == wanted,
        "@cisco_tag" => {
            let (level, id) = (found.attribute("level"), found.attribute("msg_id"));
            format!("{}-{level}-{id}", found.text("service")) == wanted
        }
        "@firewall_prefix" => {
            format!("SFW2-{}-{}", found.attribute("chain"), found.attribute("action")) == wanted
        }
        "@priority" => is_priority(found, wanted),
        "@client" => format!("{}:{}", found.attribute("client_ip"), found.attribute("client_port")) == wanted,
        "@host" => found.text("host") == wanted,
        "@service" => found.text("service") == wanted,
        _ => same(&found.attribute(name), wanted),
    }
}

/// Whether a syslog priority is stored as its facility and severity.
fn is_priority(found: &Explained, wanted: &str) -> bool {
    const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    const FACILITIES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5",
        "local6", "local7",
    ];
    let Ok(priority) = wanted.parse::<usize>() else { return false };
    FACILITIES.get(priority / 8).is_some_and(|facility| found.attribute("facility") == *facility)
        && super::loghub::same_severity(SEVERITIES[priority % 8], found.text("severity"))
}

/// Whether two values are the same text or number.
fn same(is: &str, wanted: &str) -> bool {
    // Others leave quotes and blanks around what they take out.
    let wanted = wanted.trim_end();
    let wanted = wanted.strip_prefix('"').and_then(|inside| inside.strip_suffix('"')).unwrap_or(wanted);
    let numbers = is.parse::<f64>().ok().zip(wanted.parse::<f64>().ok());
    is == wanted || numbers.is_some_and(|(is, wanted)| (is - wanted).abs() < 1e-9)
}
