//! Samples of syslog.

use crate::formats::tests::check;

#[test]
fn as_rsyslog_writes_it() {
    let layout = "{ts:iso-T.6+00:00} {node} {service}[{.pid}]: {body}";
    for (line, want) in [
        (
            "2026-11-01T00:00:00.006000+00:00 web-06 LabSZ[4130]: Received disconnect from 1.2.3.4: 45: Bye",
            "INFO LabSZ@web-06 | Received disconnect from 1.2.3.4: 45: Bye | pid=4130i client_ip=1.2.3.4",
        ),
        (
            "2026-11-01T00:00:00.006000+00:00 web-06 dfs.Data$Responder[8427]: ERROR x {y}",
            "ERROR dfs.Data$Responder@web-06 | ERROR x {y} | pid=8427i",
        ),
    ] {
        check(line, &format!("2026-11-01T00:00:00.006000000Z {want}"), layout);
    }
}

#[test]
fn with_other_stamps_and_tags() {
    for (line, want, layout) in [
        (
            "2026-11-01T00:00:00Z h kernel: [ 1.2] up",
            "2026-11-01T00:00:00.000000000Z INFO kernel@h | [ 1.2] up",
            "{ts:iso-T.0Z} {node} {service}: {body}",
        ),
        (
            "Nov  1 00:00:00 h postfix/smtpd[7]:x",
            "2026-11-01T00:00:00.000000000Z INFO postfix/smtpd@h | x | pid=7i",
            "{ts:bsd~+0000} {node} {service}[{.pid}]:{body}",
        ),
        (
            "Dec 31 23:59:59 h sudo:   root : TTY",
            "2026-12-31T23:59:59.000000000Z INFO sudo@h |   root : TTY | time_doubt=future",
            "{ts:bsd~+0000} {node} {service}: {body}",
        ),
        (
            "Nov  1 00:00:00 haproxy[7]: no host",
            "2026-11-01T00:00:00.000000000Z INFO haproxy | no host | pid=7i",
            "{ts:bsd~+0000} {service}[{.pid}]: {body}",
        ),
        (
            "<133>Nov  1 00:00:00 haproxy[7]: no host",
            "2026-11-01T00:00:00.000000000Z INFO haproxy | no host | pid=7i facility=local0",
            "<133>{ts:bsd~+0000} {service}[{.pid}]: {body}",
        ),
        (
            "<13>1 2026-11-01T00:00:00Z h app - - [x@1 a= \"b\"] blank",
            "2026-11-01T00:00:00.000000000Z INFO app@h | blank | x@1.a=b facility=user",
            "<13>1 {ts:iso-T.0Z} {node} {service} - - [x@1 a= \"{.x@1.a}\"] {body}",
        ),
        (
            "Nov  1 00:00:00 h last message repeated 2 times",
            "2026-11-01T00:00:00.000000000Z INFO @h | last message repeated 2 times",
            "{ts:bsd~+0000} {node} {body}",
        ),
        (
            "Nov  1 00:00:00 hello there",
            "2026-11-01T00:00:00.000000000Z INFO | hello there",
            "{ts:bsd~+0000} {body}",
        ),
        ("Nov 1 00:00:00 h a[1]: x", "2026-11-01T00:00:00.000000000Z INFO a@h | x | pid=1i", ""),
        ("Nov 01 00:00:00 h a: x", "2026-11-01T00:00:00.000000000Z INFO a@h | x", ""),
        ("Nov 31 00:00:00 h a: x", "observed INFO | Nov 31 00:00:00 h a: x", "{body}"),
        // A level where a name should be: no syslog.
        (
            "2026-11-01T00:00:00Z ERROR main: x",
            "2026-11-01T00:00:00.000000000Z ERROR | main: x",
            "{ts:iso-T.0Z} {level} {body}",
        ),
        ("2026-11-01T00:00:60Z h a: leap", "2026-11-01T00:00:59.000000000Z INFO a@h | leap", ""),
    ] {
        check(line, want, layout);
    }
}

#[test]
fn with_a_priority() {
    for (line, want, layout) in [
        (
            "<34>Nov  1 00:00:00 mymachine su: 'su root' failed",
            "2026-11-01T00:00:00.000000000Z CRITICAL su@mymachine | 'su root' failed | facility=auth",
            "<34>{ts:bsd~+0000} {node} {service}: {body}",
        ),
        (
            "<30>2026-11-01T00:00:00Z h a[1]: x",
            "2026-11-01T00:00:00.000000000Z INFO a@h | x | pid=1i facility=daemon",
            "<30>{ts:iso-T.0Z} {node} {service}[{.pid}]: {body}",
        ),
        ("<0>boom", "observed CRITICAL | boom | facility=kern", "<0>{body}"),
        ("<192>boom", "observed INFO | <192>boom", "{body}"),
        ("<034>boom", "observed INFO | <034>boom", "{body}"),
        (
            "<165>1 2003-10-11T22:14:15.003Z host evntslog 12 ID47 [ex@32473 iut=\"3\" src=\"App\"][x@1] \u{feff}An event",
            "2003-10-11T22:14:15.003000000Z INFO evntslog@host | An event | pid=12i msgid=ID47 ex@32473.iut=3 ex@32473.src=App facility=local4",
            "<165>1 {ts:iso-T.3Z} {node} {service} {.pid} {.msgid} [ex@32473 iut=\"{.ex@32473.iut}\" src=\"{.ex@32473.src}\"][x@1] \u{feff}{body}",
        ),
        ("<11>1 - - - - - -", "observed ERROR |  | facility=user", "<11>1 - - - - - -{body}"),
        (r#"<11>1 - - - - - [a b="c\"d\]e\x"] m"#, r#"observed ERROR | m | a.b=c"d]e\x facility=user"#, ""),
    ] {
        check(line, want, layout);
    }
}
