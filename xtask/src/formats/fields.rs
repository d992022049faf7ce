//! Fields that others take out of their lines, under their names and ours.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::explained::{Explained, Explainer, normal};
use super::{Score, text, truth};

/// Names of fields, and what they are called here. Fields that are not listed have the same name.
const NAMES: &[(&str, &[&str])] = &[
    ("accept_date", &["accepted"]),
    ("actconn", &["connections"]),
    ("activerecordms", &["database_ms"]),
    ("asa.hit_count", &["hits"]),
    ("auth", &["user"]),
    ("backend_processing_time", &["target_seconds"]),
    ("backend_response", &["target_status"]),
    ("backendip", &["target_ip"]),
    ("backendport", &["target_port"]),
    ("beconn", &["backend_connections"]),
    ("bytes_read", &["bytes"]),
    ("cache_result", &["result"]),
    ("captured_request_cookie", &["request_cookie"]),
    ("captured_request_headers", &["request_headers"]),
    ("captured_response_cookie", &["response_cookie"]),
    ("captured_response_headers", &["response_headers"]),
    ("ciscotag", &["@cisco_tag"]),
    ("class", &["logger"]),
    ("clientport", &["client_port"]),
    ("component", &["@service"]),
    ("connection.state", &["state"]),
    ("context", &["thread"]),
    ("controller.action", &["action"]),
    ("controller.class", &["controller"]),
    ("cookies", &["cookie"]),
    ("cs_bytes", &["received_bytes"]),
    ("cs_host", &["host"]),
    ("cs_method", &["method"]),
    ("cs_protocol", &["protocol"]),
    ("cs_uri_query", &["query"]),
    ("cs_uri_stem", &["path"]),
    ("database", &["db", "database"]),
    ("dns.id", &["query_id"]),
    ("dns_class", &["query_class"]),
    ("drop_rate_current_avg", &["average_rate"]),
    ("drop_rate_current_burst", &["burst_rate"]),
    ("drop_rate_id", &["rate"]),
    ("drop_rate_max_avg", &["average_rate_max"]),
    ("drop_rate_max_burst", &["burst_rate_max"]),
    ("drop_total_count", &["total"]),
    ("drop_type", &["object"]),
    ("dst_fwuser", &["dst_user"]),
    ("dst_interface", &["out_interface"]),
    ("dst_mapped_ip", &["dst_nat_ip"]),
    ("dst_mapped_port", &["dst_nat_port"]),
    ("egress.zone", &["out_zone"]),
    ("errorcode", &["code"]),
    ("errormsg", &["@body"]),
    ("event.outcome", &["outcome"]),
    ("event_handler_name", &["command"]),
    ("exim_flags", &["flag"]),
    ("exim_header_id", &["header_id"]),
    ("exim_msg_size", &["bytes"]),
    ("exim_msgid", &["message_id"]),
    ("exim_pid", &["pid"]),
    ("exim_protocol", &["protocol"]),
    ("exim_remote_addr", &["client_ip"]),
    ("exim_remote_heloname", &["helo"]),
    ("exim_remote_host", &["client_host"]),
    ("exim_sender_email", &["sender"]),
    ("exim_subject", &["subject"]),
    ("feconn", &["frontend_connections"]),
    ("firewall.type", &["chain"]),
    ("hashcode1", &["hash_1"]),
    ("hashcode2", &["hash_2"]),
    ("hit_count", &["hits"]),
    ("http.status_msg", &["status_text"]),
    ("http.trans_depth", &["depth"]),
    ("http_request", &["path"]),
    ("http_status_code", &["status"]),
    ("http_verb", &["method"]),
    ("http_version", &["@request"]),
    ("ingress.zone", &["in_zone"]),
    ("interface", &["out_interface", "in_interface"]),
    ("is_remote_natted", &["nat_remote"]),
    ("job.elapsed_time", &["elapsed"]),
    ("job.id", &["job_id"]),
    ("job.name", &["job"]),
    ("loglevel", &["@severity", "level"]),
    ("logsource", &["@host"]),
    ("metadata.cisco.asa.hashcode1", &["hash_1"]),
    ("metadata.cisco.asa.hashcode2", &["hash_2"]),
    ("nagios_attempt", &["attempt"]),
    ("nagios_author", &["user"]),
    ("nagios_command", &["command"]),
    ("nagios_contact", &["command"]),
    ("nagios_duration", &["duration"]),
    ("nagios_end_time", &["end_time"]),
    ("nagios_event_handler_name", &["command"]),
    ("nagios_fixed", &["fixed"]),
    ("nagios_hostname", &["host"]),
    ("nagios_notifyname", &["user"]),
    ("nagios_service", &["check", "timeperiod"]),
    ("nagios_start_time", &["start_time"]),
    ("nagios_state", &["state"]),
    ("nagios_statecode", &["attempt"]),
    ("nagios_statelevel", &["state_type"]),
    ("nagios_trigger_id", &["trigger_id"]),
    ("nagios_type", &["type"]),
    ("netscreen.device_id", &["device_id"]),
    ("netscreen.policy_id", &["policy_id"]),
    ("netscreen.protocol_number", &["protocol_id"]),
    ("netscreen.service", &["application"]),
    ("netscreen.session.duration", &["duration_seconds"]),
    ("netscreen.session.id", &["session_id"]),
    ("netscreen.session.type", &["type"]),
    ("nf_action1", &["chain"]),
    ("nf_action2", &["action"]),
    ("nf_dst_ip", &["dst_ip"]),
    ("nf_dst_mac", &["dst_mac"]),
    ("nf_dst_port", &["dst_port"]),
    ("nf_fragment_flags", &["fragment_flags"]),
    ("nf_host", &["@host"]),
    ("nf_id", &["packet_id"]),
    ("nf_in_interface", &["in_interface"]),
    ("nf_len", &["length"]),
    ("nf_out_interface", &["out_interface"]),
    ("nf_prec", &["precedence"]),
    ("nf_protocol", &["protocol"]),
    ("nf_src_ip", &["client_ip"]),
    ("nf_src_mac", &["client_mac"]),
    ("nf_src_port", &["client_port"]),
    ("nf_tos", &["tos"]),
    ("nf_ttl", &["ttl"]),
    ("orig_dst_ip", &["original_dst_ip"]),
    ("orig_dst_port", &["original_dst_port"]),
    ("orig_protocol", &["original_protocol"]),
    ("orig_src_ip", &["original_client_ip"]),
    ("orig_src_port", &["original_client_port"]),
    ("pam_by", &["by_user"]),
    ("pam_caller", &["pam_origin"]),
    ("pam_session_state", &["session"]),
    ("policy_id", &["rule", "policy_id"]),
    ("program", &["@service"]),
    ("proto", &["scheme"]),
    ("proxy_errorcode", &["os_error"]),
    ("proxy_message", &["os_error_text"]),
    ("querytype", &["query_type"]),
    ("redis.command.args", &["parameters"]),
    ("redis.command.name", &["command"]),
    ("redis.database.id", &["db"]),
    ("request.captured_cookie", &["request_cookie"]),
    ("request.captured_headers", &["request_headers"]),
    ("request.duration.active_record", &["database_ms"]),
    ("request.duration.total", &["duration_ms"]),
    ("request.duration.view", &["view_ms"]),
    ("request.format", &["content_type"]),
    ("response.captured_cookie", &["response_cookie"]),
    ("response.captured_headers", &["response_headers"]),
    ("response_code", &["status"]),
    ("sc_bytes", &["bytes"]),
    ("sc_status", &["status"]),
    ("seq_num", &["sequence"]),
    ("src_fwuser", &["user"]),
    ("src_interface", &["in_interface"]),
    ("src_ip", &["client_ip"]),
    ("src_mapped_ip", &["client_nat_ip"]),
    ("src_mapped_port", &["client_nat_port"]),
    ("src_port", &["client_port"]),
    ("srv_queue", &["server_queue"]),
    ("srvconn", &["server_connections"]),
    ("syslog5424_app", &["@service"]),
    ("syslog5424_host", &["@host"]),
    ("syslog5424_msg", &["@body"]),
    ("syslog5424_msgid", &["msgid"]),
    ("syslog5424_pri", &["priority", "@priority"]),
    ("syslog5424_proc", &["pid"]),
    ("syslog5424_ts", &["@time"]),
    ("time_backend_connect", &["connect_ms"]),
    ("time_backend_response", &["response_ms"]),
    ("time_duration", &["duration_ms"]),
    ("time_queue", &["queue_ms"]),
    ("time_request", &["request_ms"]),
    ("timestamp8601", &["@time"]),
    ("totalms", &["duration_ms"]),
    ("tunnel_type", &["tunnel"]),
    ("urihost", &["host"]),
    ("viewms", &["view_ms"]),
    ("volume.blocks", &["blocks"]),
    ("volume.bytes", &["bytes"]),
    ("volume.device", &["device"]),
    ("volume.name", &["volume"]),
    ("volume.path", &["device_path"]),
    ("volume.size", &["size"]),
    ("xlate_type", &["translation"]),
    ("zeek.session_id", &["uid"]),
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
