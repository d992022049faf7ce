//! Columns of headers, with the header among the lines and before them.

use crate::formats::tests::{parser, raw, shown};
use crate::parser::Parser;

/// What the last of some lines becomes, under the header that the first ones hold; and whether all come back as they were.
fn last(parser: &mut Parser, lines: &[&str]) -> String {
    let bytes: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let head = lines.iter().flat_map(|line| [line, "\n"]).collect::<String>();
    let mut raw = raw(&bytes);
    raw.header = taffrail_record::header::of_head(head.as_bytes());
    let batch = parser.parse(raw);
    for (index, line) in lines.iter().enumerate() {
        if let Some(rendered) = batch.render(index) {
            assert_eq!(String::from_utf8(rendered.unwrap()).unwrap(), *line);
        }
    }
    shown(&batch, batch.len() - 1)
}

#[test]
fn lines_under_headers() {
    for (lines, want) in [
        (
            &["time,level,message,User Id,note", "2026-11-01T00:00:00Z,warn,\"slow, again\",7,"][..],
            "2026-11-01T00:00:00.000000000Z WARNING | slow, again | level=warn User_Id=7i note=",
        ),
        (
            &["Timestamp;Severity;Host;Service;Text", "2026-11-01 00:00:00;ERROR;web-1;shop;out of stock"],
            "2026-11-01T00:00:00.000000000Z ERROR shop@web-1 | out of stock",
        ),
        (
            &["time,message,n", "2026-11-01T00:00:00Z,\"two\nlines\",7"],
            "2026-11-01T00:00:00.000000000Z INFO | two\nlines | n=7i",
        ),
        (
            &["id\tcreated_at\tmsg", "7\t1793491200\tdone"],
            "2026-11-01T00:00:00.000000000Z INFO | done | id=7i",
        ),
        (
            &["date,time,level,message", "2026-11-01,00:00:01,info,\"a \"\"b\"\"\""],
            "2026-11-01T00:00:01.000000000Z INFO | a \"b\" | date=2026-11-01 time=00:00:01 level=info",
        ),
        (
            &[
                "#Software: Microsoft Internet Information Services 10.0",
                "#Fields: date time c-ip cs-username cs-method cs-uri-stem sc-status time-taken cs(User-Agent) s-computername x-a",
                "2026-11-01 00:00:01 192.0.2.1 - GET /a 503 15 curl/8+(x) WEB1 b",
            ],
            "2026-11-01T00:00:01.000000000Z ERROR @WEB1 | 2026-11-01 00:00:01 192.0.2.1 - GET /a 503 15 curl/8+(x) WEB1 b | client_ip=192.0.2.1 method=GET path=/a status=503i duration_ms=15i user_agent=curl/8+(x) x_a=b",
        ),
        (
            &["#Fields: date time sc-status time-taken", "2026-11-01\t00:00:01\t200\t0.15"],
            "2026-11-01T00:00:01.000000000Z INFO | 2026-11-01\t00:00:01\t200\t0.15 | status=200i duration=0.15",
        ),
        (
            &[
                "#separator \\x09",
                "#fields\tts\tuid\tid.orig_h\tid.orig_p\tnote",
                "1793491200.5\tCx1\t192.0.2.1\t7\t-",
            ],
            "2026-11-01T00:00:00.500000000Z INFO | 1793491200.5\tCx1\t192.0.2.1\t7\t- | uid=Cx1 client_ip=192.0.2.1 client_port=7i",
        ),
        // Later columns count from their line on.
        (
            &["#Fields: date time c-ip", "#Fields: date time sc-status", "2026-11-01 00:00:01 404"],
            "2026-11-01T00:00:01.000000000Z WARNING | 2026-11-01 00:00:01 404 | status=404i",
        ),
        // More columns than the header has, or none that is a time: lines as any others.
        (&["time,level", "a,b,c"], "observed INFO | a,b,c"),
        (&["name,size", "a,7"], "observed INFO | a,7"),
        (&["time,message", "\"2026,x"], "observed INFO | \"2026,x"),
        (
            &["#Fields: date-local time-local sc-status cs(Host)", "2026-11-01 00:00:01.5 404 \"a b"],
            "2026-11-01T00:00:01.500000000Z WARNING | 2026-11-01 00:00:01.5 404 \"a b | status=404i host=a b",
        ),
        (
            &["#Date: 2026-11-01 00:00:00", "#Fields: time sc-status", "00:00:07 200"],
            "2026-11-01T00:00:07.000000000Z INFO | 00:00:07 200 | status=200i",
        ),
        (
            &["#Fields: date time x", "#Date: 2026-11-01 00:00:00"],
            "2026-11-01T00:00:00.000000000Z INFO | #Date: 2026-11-01 00:00:00",
        ),
    ] {
        assert_eq!(last(&mut parser(), lines), want, "{lines:?}");
    }
}

#[test]
fn headers_and_directives_are_lines_of_their_format() {
    for (lines, want) in [
        (&["time,level,message"][..], "csv"),
        (&["#Fields: date time c-ip"], "w3c"),
        (&["#Fields: date time c-ip", "#Date: 2026-11-01 00:00:00"], "w3c"),
        (&["#separator \\x09", "#fields\tts\tuid"], "zeek"),
    ] {
        let mut parser = parser();
        last(&mut parser, lines);
        assert!(parser.take_counts().iter().any(|(format, _)| *format == want), "{lines:?}");
    }
}

#[test]
fn a_source_of_csv_needs_no_time() {
    let mut parser = parser().only(Some("csv"));
    assert_eq!(last(&mut parser, &["name,size", "a,7"]), "observed INFO | a,7 | name=a size=7i");
}
