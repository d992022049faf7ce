//! Samples of JSON lines.

use crate::formats::tests::check;

const MIDNIGHT: &str = "2026-11-01T00:00:00.000000000Z";

#[test]
fn takes_fields_by_their_names() {
    for (line, want, layout) in [
        (
            r#"{"time":"2026-11-01T00:00:00Z","level":"INFO","msg":"hi","n":5,"x":0.120,"ok":true}"#,
            format!("{MIDNIGHT} INFO | hi | n=5i x=0.120j ok=truej"),
            r#"{{"time":"{ts:iso-T.0Z}","level":"{level|j}","msg":"{body|j}","n":{.n},"x":{.x},"ok":{.ok}}}"#,
        ),
        (
            r#"{"level":30,"time":1793491200006,"pid":7,"hostname":"web","name":"api","msg":"a\nb"}"#,
            "2026-11-01T00:00:00.006000000Z INFO @web | a\nb | level=30i pid=7i name=api".to_owned(),
            r#"{{"level":{level},"time":{ts:epoch3},"pid":{.pid},"hostname":"{node|j}","name":"{.name|j}","msg":"{body|j}"}}"#,
        ),
        (
            r#"  {"ts": 1793491200.5, "severity": "warn", "message": "m", "service": {"name": "api"}, "a": [1, {"b": 2}], "e": {} } "#,
            "2026-11-01T00:00:00.500000000Z WARNING api | m | level=warn a=[1, {\"b\": 2}]j e={}j".to_owned(),
            r#"  {{"ts": {ts:epoch.1}, "severity": "{level|j}", "message": "{body|j}", "service": {{"name": "{service|j}"}}, "a": {.a}, "e": {.e} }} "#,
        ),
        (
            r#"{"log":"2026-11-01T00:00:00Z 0 [Warning] old\n","file":"/a.log"}"#,
            format!("{MIDNIGHT} WARNING | 2026-11-01T00:00:00Z 0 [Warning] old | file=/a.log"),
            r#"{{"log":"{body|j}\n","file":"{.file|j}"}}"#,
        ),
        (
            r#"{"a":{"b":{"c":"d"}},"msg":"x"}"#,
            "observed INFO | x | a.b.c=d".to_owned(),
            r#"{{"a":{{"b":{{"c":"{.a.b.c|j}"}}}},"msg":"{body|j}"}}"#,
        ),
    ] {
        check(line, &want, layout);
    }
}

#[test]
fn reads_records_of_open_telemetry() {
    let whole = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1793491200000000000","severityNumber":17,"body":{"stringValue":"no route"},"attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"ok","value":{"boolValue":true}}]}]}]}]}"#;
    let whole_layout = r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{service|j}"}}}}]}},"scopeLogs":[{{"scope":{.scope},"logRecords":[{{"timeUnixNano":"{ts:epoch9}","severityNumber":{level},"body":{{"stringValue":"{body|j}"}},"attributes":[{{"key":"n","value":{{"intValue":"{.attributes.n}"}}}},{{"key":"ok","value":{{"boolValue":{.attributes.ok}}}}}]}}]}}]}}]}}"#;
    let want = "ERROR shop | no route | scope={}j level=17i attributes.n=7i attributes.ok=truej";
    check(whole, &format!("{MIDNIGHT} {want}"), whole_layout);
    // What is none of its lists stays as it is.
    check(
        r#"{"logRecords":[{"a":1},{"a":2}],"attributes":[{"key":"b"}],"msg":"x"}"#,
        r#"observed INFO | x | logRecords=[{"a":1},{"a":2}]j attributes=[{"key":"b"}]j"#,
        r#"{{"logRecords":{.logRecords},"attributes":{.attributes},"msg":"{body|j}"}}"#,
    );
}

#[test]
fn a_status_tells_the_severity_where_no_level_does() {
    for (line, want, layout) in [
        (
            r#"{"msg":"a","status":503}"#,
            "ERROR | a | status=503i",
            r#"{{"msg":"{body|j}","status":{.status}}}"#,
        ),
        (
            r#"{"msg":"a","status":"x"}"#,
            "INFO | a | status=x",
            r#"{{"msg":"{body|j}","status":"{.status|j}"}}"#,
        ),
        (
            r#"{"msg":"a","status":404,"level":"info"}"#,
            "INFO | a | status=404i level=info",
            r#"{{"msg":"{body|j}","status":{.status},"level":"{level|j}"}}"#,
        ),
    ] {
        check(line, &format!("observed {want}"), layout);
    }
}

#[test]
fn container_runtimes_keep_the_newline_in_the_layout() {
    check(
        r#"{"log":"ERROR boom\n","stream":"stderr","time":"2026-11-01T00:00:00.123456789Z"}"#,
        "2026-11-01T00:00:00.123456789Z ERROR | ERROR boom | stream=stderr",
        r#"{{"log":"{body|j}\n","stream":"{.stream|j}","time":"{ts:iso-T.9Z}"}}"#,
    );
    check(r#"{"log":"a\\n","x":1}"#, r"observed INFO | a\n | x=1i", r#"{{"log":"{body|j}","x":{.x}}}"#);
}

#[test]
fn journal_entries_name_their_fields_in_capitals() {
    check(
        r#"{"__REALTIME_TIMESTAMP":"1793491200006000","PRIORITY":"3","SYSLOG_IDENTIFIER":"sshd","_HOSTNAME":"h","MESSAGE":"m"}"#,
        "2026-11-01T00:00:00.006000000Z ERROR sshd@h | m | level=3i",
        r#"{{"__REALTIME_TIMESTAMP":"{ts:epoch6}","PRIORITY":"{level|j}","SYSLOG_IDENTIFIER":"{service|j}","_HOSTNAME":"{node|j}","MESSAGE":"{body|j}"}}"#,
    );
}

#[test]
fn journal_entries_are_records_of_their_programs() {
    // As a source hands them over, their fields in order.
    for (line, want, layout) in [
        (
            r#"{"MESSAGE":"m","PRIORITY":"6","_COMM":"sh","_HOSTNAME":"h","_PID":"17","_SOURCE_REALTIME_TIMESTAMP":"1793491200006000","_SYSTEMD_UNIT":"a.service","__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1793491200007000"}"#,
            "2026-11-01T00:00:00.006000000Z INFO a@h | m | level=6i comm=sh pid=17i unit=a.service cursor=s=1 received_us=1793491200007000i",
            r#"{{"MESSAGE":"{body|j}","PRIORITY":"{level|j}","_COMM":"{.comm|j}","_HOSTNAME":"{node|j}","_PID":"{.pid|j}","_SOURCE_REALTIME_TIMESTAMP":"{ts:epoch6}","_SYSTEMD_UNIT":"{service|j}.service","__CURSOR":"{.cursor|j}","__REALTIME_TIMESTAMP":"{.received_us|j}"}}"#,
        ),
        (
            r#"{"MESSAGE":"m","MY_FIELD":"x","UNIT":"b.service","SYSLOG_IDENTIFIER":"systemd","_PID":"+1","_SYSTEMD_UNIT":"init.scope","__REALTIME_TIMESTAMP":"1793491200006000"}"#,
            "2026-11-01T00:00:00.006000000Z INFO systemd | m | MY_FIELD=x UNIT=b.service pid=+1 unit=init.scope",
            r#"{{"MESSAGE":"{body|j}","MY_FIELD":"{.MY_FIELD|j}","UNIT":"{.UNIT|j}","SYSLOG_IDENTIFIER":"{service|j}","_PID":"{.pid|j}","_SYSTEMD_UNIT":"{.unit|j}","__REALTIME_TIMESTAMP":"{ts:epoch6}"}}"#,
        ),
        (
            r#"{"MESSAGE":[27,91,109,195,169],"_COMM":"sh","__REALTIME_TIMESTAMP":"1793491200006000"}"#,
            "2026-11-01T00:00:00.006000000Z INFO sh | \u{1b}[m\u{e9}",
            "",
        ),
        (
            r#"{"MESSAGE":["one","two"],"TAG":["a",[255]],"_SYSTEMD_UNIT":".service","__REALTIME_TIMESTAMP":"1793491200006000"}"#,
            "2026-11-01T00:00:00.006000000Z INFO .service | one\ntwo | TAG=[\"a\",[255]]j unit=.service",
            "",
        ),
        (
            r#"{"MESSAGE":"m","pid":"1","_PID":"2","__REALTIME_TIMESTAMP":"1793491200006000"}"#,
            "2026-11-01T00:00:00.006000000Z INFO | m | pid=1",
            "",
        ),
        (
            r#"{"MESSAGE":"m","_PID":"2","_CMDLINE":"a \"b\""}"#,
            r#"observed INFO | m | _PID=2 _CMDLINE=a "b""#,
            r#"{{"MESSAGE":"{body|j}","_PID":"{._PID|j}","_CMDLINE":"{._CMDLINE|j}"}}"#,
        ),
    ] {
        check(line, want, layout);
    }
}

#[test]
fn keeps_whole_what_it_cannot_write_again() {
    for (line, want) in [
        (r#"{"msg":"a\u003cb"}"#, "observed INFO | a<b"),
        (r#"{"msg":"m","a":1,"a":2}"#, "observed INFO | m | a=1i"),
        (r#"{"msg":"m","level":"odd","severity":"INFO"}"#, "observed INFO | m | level=odd"),
        (r#"{"msg":"m","a|j":1}"#, "observed INFO | m | a|j=1i"),
        (
            r#"{"msg":"m","time":"2026-11-01T00:00:00.0000000001Z"}"#,
            "2026-11-01T00:00:00.000000000Z INFO | m | time=2026-11-01T00:00:00.0000000001Z",
        ),
    ] {
        let layout =
            if line.contains("0000000001Z") { r#"{{"msg":"{body|j}","time":"{.time|j}"}}"# } else { "" };
        check(line, want, layout);
    }
}

#[test]
fn without_a_message_the_line_is_the_body() {
    for (line, rest) in [
        (r#"{"level":"error","a":1}"#, "ERROR | {line} | level=error a=1i"),
        (r#"{"a":1,"a":2}"#, "INFO | {line} | a=1i"),
        (r#"{"msg":"","a":1}"#, "INFO | {line} | msg= a=1i"),
        ("{}", "INFO | {line}"),
    ] {
        check(line, &format!("observed {}", rest.replace("{line}", line)), "{body}");
    }
}

#[test]
fn what_is_no_json_is_a_plain_line() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
    let deep_list = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for line in [
        "{",
        "{x}",
        r#"{"a":1,}"#,
        r#"{"a":01}"#,
        r#"{"a":1} x"#,
        r#"{"a":tru}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":-}"#,
        &deep,
        &deep_list,
    ] {
        check(line, &format!("observed INFO | {line}"), "{body}");
    }
}
