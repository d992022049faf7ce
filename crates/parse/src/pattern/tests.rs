//! What patterns take out of lines, and what they refuse.

use taffrail_record::Timestamp;

use super::*;

/// `target=value` of every field, or `None`.
fn find(pattern: &str, line: &str) -> Option<String> {
    let pattern = Pattern::new(pattern).unwrap();
    let mut clock = Clock::new(0);
    clock.observed = Timestamp(1_795_132_800_000_000_000);
    let mut found = Found::default();
    if !pattern.find(
        line.as_bytes(),
        &mut clock,
        &|word| (word == b"E").then_some(Severity::ERROR),
        &mut found,
    ) {
        return None;
    }
    assert!(line.is_empty() || pattern.may_start_with(line.as_bytes()[0]), "{line}");
    let shown = found.captures.iter().map(|capture| {
        let name = match capture.target {
            Target::Attribute(name) => name.clone(),
            target => format!("{target:?}"),
        };
        format!("{name}={}", &line[capture.start..capture.end])
    });
    Some(shown.collect::<Vec<_>>().join(" "))
}

#[test]
fn takes_fields() {
    for (pattern, line, want) in [
        (
            "{time} {level} {body}",
            "2026-11-01 00:00:00 ERROR a  b",
            Some("Time=2026-11-01 00:00:00 Level=ERROR Body=a  b"),
        ),
        ("{time} {level} {body}", "2026-11-01 00:00:00 nothing a", None),
        ("{.pid:int}:{.tid:int} {body}", "12:34 ", Some("pid=12 tid=34 Body=")),
        ("{.pid:int}:{.tid:int} {body}", "12:x4 a", None),
        ("[{service}]{? ({.thread:text})}: {body}", "[a.b] (x y): z", Some("Service=a.b thread=x y Body=z")),
        ("[{service}]{? ({.thread:text})}: {body}", "[a.b]: z", Some("Service=a.b Body=z")),
        ("{.a:quoted} {.b?} {_} {{{.c}}}", r#""x\"y" - skipped {1}"#, Some(r#"a=x\"y c=1"#)),
        ("{.ip:ip}:{.port:int}", "10.0.0.1:80", Some("ip=10.0.0.1 port=80")),
        ("{level:letter}{.n:int} {.a:text} | x", "E12 a b   | x", Some("Level=E n=12 a=a b")),
        ("({.a:text}) {.b} ({.c:text})", "(x) y (a (b) c)", Some("a=x b=y c=a (b) c")),
        ("({.a:text})", "(x) y", None),
        (r"{?{{{.a:text?}\} }{.n:int}->{.m:int}", "{x} 1->-2", Some("a=x n=1 m=-2")),
        ("{.a:ip?} {.b:quoted?} {.c:int}", "- - 5", Some("c=5")),
        ("{.a:class}.{.b}({_:text})", "org.x.A$B.run(A.java:1)", Some("a=org.x.A$B b=run")),
        (
            "{.a:mac}:{.b:mac}:",
            "00:00:5e:00:53:01:00:00:5e:00:53:02:",
            Some("a=00:00:5e:00:53:01 b=00:00:5e:00:53:02"),
        ),
        ("{.a:mac}", "00:00:5e:00:53", None),
        ("{.a:dashed} {.b}", "1aBc-0Nz-Rm x", Some("a=1aBc-0Nz-Rm b=x")),
        ("{.a:dashed} {.b}", "up-to x", None),
        ("from {.ip:ip}.", "from 192.0.2.1.", Some("ip=192.0.2.1")),
        ("{.ip:ip} {.port:int}", "::1 80", Some("ip=::1 port=80")),
        ("{service:text}: {body}", "a b: c: d", Some("Service=a b Body=c: d")),
        ("{.x:name}={.y:number}", "a.b-c=-1.5", Some("x=a.b-c y=-1.5")),
        ("{?{.a:int} }{?{.b:int} }{.c:int} {level}", "1 2 ERROR", Some("a=1 c=2 Level=ERROR")),
        ("{.id:hex}{?,{.n:int}}", "ff09", Some("id=ff09")),
        ("{time:%H:%M} {body}", "10:00 x", Some("Time=10:00 Body=x")),
        ("<{level}>", "<Warning>", Some("Level=Warning")),
        ("{.way=in|out}{? {.what=tcp|udp}} {.n:int}", "out udp 5", Some("way=out what=udp n=5")),
        ("{.way=in|out} {.n:int}", "up 5", None),
        ("{?{.ip:ip}}{?{.host}}/{.port:int}", "cafe.example.org/80", Some("host=cafe.example.org port=80")),
        ("{?{.ip:ip}}{?{.host}}/{.port:int}", "192.0.2.1/80", Some("ip=192.0.2.1 port=80")),
        ("({.user}) ({.command:text})", "(a) (b (c) d)", Some("user=a command=b (c) d")),
        ("({.user}) ({.command:text})", "(a) (b", None),
        ("{service:path}: {body}", "app::db_pool: x: y", Some("Service=app::db_pool Body=x: y")),
        ("{service:path}: {body}", "app: x", None),
        ("{service:path}: {body}", "app::: x", None),
        ("{.a:int}-{.b:int} {pairs}", "3--1 k=v", Some("a=3 b=-1 Pairs=k=v")),
        ("{level}: {body}", "7: x", None),
    ] {
        assert_eq!(find(pattern, line).as_deref(), want, "{pattern} on {line}");
    }
}

#[test]
fn says_what_is_wrong_with_a_pattern() {
    for (pattern, message) in [
        ("", "empty"),
        ("{body", "no `}`"),
        ("{?{body}", "no `}`"),
        ("{body}{?x}", "a text ends"),
        ("a}", "no `{`"),
        ("{host}", "is no hole"),
        ("{.a b}", "is no hole"),
        ("{.a:float}", "is no form"),
        ("{time:%Q}", "no `%Q`"),
    ] {
        let error = Pattern::new(pattern).unwrap_err();
        assert!(error.contains(message), "{pattern}: {error}");
    }
}
