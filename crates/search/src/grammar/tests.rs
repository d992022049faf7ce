//! Expressions and what they mean; expressions that are none, and where they go wrong.

use super::*;

fn phrase(text: &str) -> Filter {
    Filter::Text(TextMatch::Phrase(text.to_owned()))
}

fn equals(name: &str, value: &str) -> Filter {
    Filter::field(name, FieldTest::Equals(value.to_owned()))
}

#[test]
fn reads_what_people_type() {
    let regex = |text: &str| TextMatch::Regex(text.to_owned());
    let at_least =
        |name: &str, bound| Filter::field(name, FieldTest::Compare(Comparison::GreaterOrEqual, bound));
    for (text, want) in [
        ("", Filter::All),
        ("  ", Filter::All),
        ("*", Filter::All),
        ("error", phrase("error")),
        ("needle-5f1c9e77a2", phrase("needle-5f1c9e77a2")),
        ("\"bye bye\"", phrase("bye bye")),
        (r#""say \"hi\"""#, phrase("say \"hi\"")),
        ("fail*", Filter::Text(TextMatch::Prefix("fail".to_owned()))),
        ("*fail*", Filter::Text(TextMatch::Substring("fail".to_owned()))),
        ("/fail(ed|ure)/", Filter::Text(regex("fail(ed|ure)"))),
        (r"/a\/b c/", Filter::Text(regex("a/b c"))),
        ("/var/log/syslog", phrase("/var/log/syslog")),
        (
            "source:/a/b.log /x y/",
            Filter::And(vec![equals("source", "/a/b.log"), Filter::Text(regex("x y"))]),
        ),
        ("10:32:07", phrase("10:32:07")),
        ("https://a.b/c?d=e", phrase("https://a.b/c?d=e")),
        ("service:sshd", equals("service", "sshd")),
        ("service=sshd", equals("service", "sshd")),
        ("source:/var/log/a.log", equals("source", "/var/log/a.log")),
        ("client_ip:::1", equals("client_ip", "::1")),
        ("service:\"my app\"", equals("service", "my app")),
        ("service:ngi*", Filter::field("service", FieldTest::Matches(regex("(?i)^ngi")))),
        ("trace_id:*", Filter::field("trace_id", FieldTest::Exists)),
        ("path:/^.api/", Filter::field("path", FieldTest::Matches(regex("^.api")))),
        ("body:refused", Filter::field("body", FieldTest::Matches(TextMatch::Phrase("refused".to_owned())))),
        (
            "service:(a OR \"b c\" d)",
            Filter::field("service", FieldTest::OneOf(vec!["a".into(), "b c".into(), "d".into()])),
        ),
        ("status>=500", at_least("status", Bound::Number(500.0))),
        ("severity>=warn", at_least("severity", Bound::Severity(Severity::WARNING))),
        ("a b", Filter::And(vec![phrase("a"), phrase("b")])),
        ("a AND b", Filter::And(vec![phrase("a"), phrase("b")])),
        ("a b OR c", Filter::Or(vec![Filter::And(vec![phrase("a"), phrase("b")]), phrase("c")])),
        ("a (b OR c)", Filter::And(vec![phrase("a"), Filter::Or(vec![phrase("b"), phrase("c")])])),
        ("-a", Filter::Not(Box::new(phrase("a")))),
        ("a -service:b", Filter::And(vec![phrase("a"), Filter::Not(Box::new(equals("service", "b")))])),
        ("NOT (a b)", Filter::Not(Box::new(Filter::And(vec![phrase("a"), phrase("b")])))),
        ("order", phrase("order")),
        ("\"OR\"", phrase("OR")),
    ] {
        assert_eq!(parse(text).unwrap_or_else(|error| panic!("{text}: {error}")), want, "{text}");
    }
}

#[test]
fn says_where_it_goes_wrong() {
    for (text, position, part) in [
        ("(a", 2, "`)` is missing"),
        ("a)", 1, "without its `(`"),
        ("a OR", 4, "condition is missing"),
        ("OR a", 0, "condition is missing"),
        ("\"abc", 0, "closing `\"`"),
        ("\"\"", 0, "empty phrase"),
        ("/a(b/", 2, "regular expression"),
        ("/a(b c", 0, "closing `/`"),
        ("status>=abc", 8, "number"),
        ("severity>=loud", 10, "no severity"),
        ("a b AND AND c", 8, "expected"),
    ] {
        match parse(text) {
            Err(QueryError::Syntax { message, position: at }) if part != "expected" => {
                assert!(message.contains(part), "{text}: {message}");
                assert_eq!(at, position, "{text}: {message}");
            }
            Err(_) | Ok(_) if part == "expected" => {}
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(parse(&"(".repeat(100_000)), Err(QueryError::Syntax { .. })));
    assert!(matches!(parse(&"-".repeat(10_000)), Err(QueryError::Syntax { .. })));
}

proptest::proptest! {
    #[test]
    fn never_panics(text in ".{0,200}") {
        let _ = parse(&text);
    }
}
