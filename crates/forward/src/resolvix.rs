//! What a central server of Resolvix is told of a line.

use serde::Serialize;
use taffrail_record::Timestamp;

use crate::line::Rules;
use crate::message::Message;

/// The keys in their order.
#[derive(Serialize)]
struct Payload<'a> {
    timestamp: String,
    system_ip: &'a str,
    log_path: &'a str,
    application: &'a str,
    log_line: &'a str,
    severity: &'a str,
}

/// The JSON of a line; `None` if nobody is told of it.
pub fn payload(
    line: &[u8],
    path: &str,
    node: &str,
    now: Timestamp,
    offset_minutes: i16,
    rules: Rules,
) -> Option<String> {
    let message = Message::of(path, line);
    let (badness, is_told) = message.judge(rules);
    if !is_told {
        return None;
    }
    let text = message.text();
    let payload = Payload {
        timestamp: message.timestamp(now, offset_minutes),
        system_ip: node,
        log_path: path,
        application: "system",
        log_line: &text,
        severity: badness.name(),
    };
    serde_json::to_string(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_original() {
        let told =
            |line: &[u8]| payload(line, "/var/log/syslog", "192.168.1.100", Timestamp(0), 0, Rules::Words);
        let line = b"2024-01-15T10:30:45Z Error: \"x\" \xff\r";
        let want = "{\"timestamp\":\"2024-01-15T10:30:45Z\",\"system_ip\":\"192.168.1.100\",\
            \"log_path\":\"/var/log/syslog\",\"application\":\"system\",\
            \"log_line\":\"2024-01-15T10:30:45Z Error: \\\"x\\\" \u{fffd}\",\"severity\":\"error\"}";
        assert_eq!(told(line).as_deref(), Some(want));
        assert_eq!(told(b"all is well"), None);
    }
}
