//! Streams that show a part of their files: live, and to whoever comes back.

use super::{events_after, port, stored, table};
use crate::program::Site;

#[test]
fn a_stream_shows_what_it_is_asked_to_live_and_again() {
    let site = Site::new();
    let [severe, chosen, asked] = [port(), port(), port()];
    let server = |port: u16| format!("httpserver = {{ enabled = true, port = {port}, buffer_size = 3 }}");
    let config = [
        table(&site, "severe", &format!("min_severity = 'warn'\n{}", server(severe))),
        table(
            &site,
            "chosen",
            &format!(
                "filters = [{{ patterns = ['disk', 'net'] }}, {{ type = 'exclude', logic = 'and', patterns = ['net', 'test'] }}]\n{}",
                server(chosen)
            ),
        ),
        table(&site, "asked", &format!("query = 'severity:error -disk'\n{}", server(asked))),
    ];
    let daemon = site.daemon_with(&config.concat());
    let mut live = [severe, chosen, asked].map(|port| events_after(port, ""));
    let lines = [
        "2026-11-01 10:00:00 INFO disk is fine",
        "2026-11-01 10:00:01 WARN disk is nearly full",
        "2026-11-01 10:00:02 ERROR disk is full",
        "2026-11-01 10:00:03 ERROR net is down\n  at once",
        "2026-11-01 10:00:04 ERROR net test",
        "2026-11-01 10:00:05 ERROR something else",
        "2026-11-01 10:00:06 INFO the end is net",
        "2026-11-01 10:00:07 ERROR the end is net",
    ];
    let wanted: [&[usize]; 3] = [&[1, 2, 3, 4, 5, 7], &[0, 1, 2, 3, 6, 7], &[3, 4, 5, 7]];
    let mut firsts = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        // Each is a batch of its own, so that the small buffer is no matter.
        site.append("logs/a.log", format!("{line}\n"));
        stored(&daemon, number as u64 + 1);
        for (client, wanted) in live.iter_mut().zip(wanted) {
            if wanted.contains(&number) {
                for text in line.lines() {
                    let (id, message) = client.next().unwrap();
                    assert_eq!(message, text);
                    firsts.push(id);
                }
            }
        }
    }
    drop(live);
    for (port, wanted) in [severe, chosen, asked].into_iter().zip(wanted) {
        let again: Vec<String> =
            events_after(port, "1-0-0").map(|(_, message)| message).take(wanted.len() + 1).collect();
        let all: Vec<&str> = wanted.iter().flat_map(|index| lines[*index].lines()).collect();
        assert_eq!(again, all);
    }
    drop(daemon);
    let wrong = table(
        &site,
        "a",
        &format!(
            "query = '(a'\nmin_severity = 'bad'\nfilters = [{{ patterns = ['('] }}]\n{}",
            server(severe)
        ),
    );
    site.write("taffrail.toml", wrong);
    let config = site.path("taffrail.toml");
    let told = site.run(&["check", "-c", config.to_str().unwrap()]).expect(2);
    for wanted in ["streams[0].query", "streams[0].min_severity", "streams[0].filters[0].patterns"] {
        assert!(told.text().contains(wanted), "{wanted}: {}", told.text());
    }
}
