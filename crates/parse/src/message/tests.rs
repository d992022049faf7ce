//! Lines in envelopes say as much as they do alone.

use crate::formats::tests::check;

#[test]
fn a_line_inside_an_envelope_is_read() {
    for (line, want, layout) in [
        (
            r#"2026-11-01T00:00:00Z web-1 app[3]: {"level":"error","msg":"hi there","user":"bob","n":4}"#,
            "2026-11-01T00:00:00.000000000Z ERROR app@web-1 | hi there | pid=3i level=error user=bob n=4i",
            "",
        ),
        (
            r#"2026-11-01T00:00:00Z web-1 prometheus[3]: ts=2026-11-01T00:00:00Z level=warn msg="slow \"query\"" ms=12"#,
            "2026-11-01T00:00:00.000000000Z WARNING prometheus@web-1 | slow \"query\" | pid=3i level=warn ms=12i",
            "",
        ),
        (
            r#"2026-11-01T00:00:00Z web-1 nginx[3]: 192.0.2.1 - ann [01/Nov/2026:00:00:00 +0000] "GET /a?b=c HTTP/1.1" 503 19 "-" "curl" rt=0.2"#,
            r#"2026-11-01T00:00:00.000000000Z ERROR nginx@web-1 | 192.0.2.1 - ann [01/Nov/2026:00:00:00 +0000] "GET /a?b=c HTTP/1.1" 503 19 "-" "curl" rt=0.2 | pid=3i client_ip=192.0.2.1 user=ann method=GET path=/a?b=c status=503i bytes=19i user_agent=curl duration=0.2"#,
            "{ts:iso-T.0Z} {node} {service}[{.pid}]: {body}",
        ),
        (
            r#"2026-11-01T00:00:00Z stdout F {"level":"warn","message":"low","stream":"x"}"#,
            "2026-11-01T00:00:00.000000000Z WARNING | low | stream=stdout logtag=F level=warn",
            "",
        ),
        (
            r#"{"log":"{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\",\"k\":{\"n\":1}}\n","stream":"stderr","time":"2026-11-01T00:00:00Z"}"#,
            "2026-11-01T00:00:00.000000000Z ERROR | a \"b\" | stream=stderr level=error k.n=1i",
            "",
        ),
        (
            "2026-11-01T00:00:00Z web1 shop[7]: 2026-10-31 23:59:59.123  WARN 7 --- [main] o.e.App : slow",
            "2026-11-01T00:00:00.000000000Z WARNING shop@web1 | 2026-10-31 23:59:59.123  WARN 7 --- [main] o.e.App : slow | pid=7i level=WARN thread=main logger=o.e.App",
            "{ts:iso-T.0Z} {node} {service}[{.pid}]: {body}",
        ),
        (
            r#"2026-11-01 00:00:00 WARNING {"level":"error","msg":"a"}"#,
            "2026-11-01T00:00:00.000000000Z ERROR | a | level=error",
            "",
        ),
        (
            r#"{"log":"2026-10-31 23:59:59 ERROR [main] c.Pool - empty\n","stream":"stderr","time":"2026-11-01T00:00:00Z"}"#,
            "2026-11-01T00:00:00.000000000Z ERROR | 2026-10-31 23:59:59 ERROR [main] c.Pool - empty | stream=stderr thread=main logger=c.Pool",
            r#"{{"log":"{body|j}\n","stream":"{.stream|j}","time":"{ts:iso-T.0Z}"}}"#,
        ),
        (
            r#"2026-11-01T00:00:00Z web-1 app[3]: cannot bind {"port":80,"traceId":"4bf9","spanId":"00f0","note":"a \"b\""}"#,
            r#"2026-11-01T00:00:00.000000000Z INFO app@web-1 | cannot bind {"port":80,"traceId":"4bf9","spanId":"00f0","note":"a \"b\""} | pid=3i port=80i trace_id=4bf9 span_id=00f0 note=a "b""#,
            "{ts:iso-T.0Z} {node} {service}[{.pid}]: {body}",
        ),
    ] {
        check(line, want, layout);
    }
}

#[test]
fn prose_is_no_line_of_its_own() {
    let prefix = "2026-11-01T00:00:00Z web-1 app: ";
    for body in [
        "{not json",
        "a=b c=d",
        "started in 3 s",
        "GET / HTTP/1.1",
        "[info] - - \"x\"",
        "a {\"b\": c}",
        "a{\"b\":1}",
    ] {
        let want = format!("2026-11-01T00:00:00.000000000Z INFO app@web-1 | {body}");
        check(&format!("{prefix}{body}"), &want, "{ts:iso-T.0Z} {node} {service}: {body}");
    }
}
