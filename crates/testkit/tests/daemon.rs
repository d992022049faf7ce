//! The harness against a stand-in for the daemon: start, ask, stop, kill, and what it says on failure.

use std::os::unix::process::ExitStatusExt;

use taffrail_testkit::{Daemon, DaemonBuilder, Scratch};

fn builder(scratch: &Scratch) -> DaemonBuilder {
    Daemon::builder(env!("CARGO_BIN_EXE_fake-daemon"), scratch.join("data"))
}

#[test]
fn starts_answers_and_stops() {
    let scratch = Scratch::new().unwrap();
    let mut daemon = builder(&scratch).env("FAKE_GREETING", "ahoy").start().unwrap();
    assert!(daemon.is_running());
    assert_eq!(daemon.get("/env").unwrap().text(), "ahoy");
    assert_eq!(daemon.get("/nowhere").unwrap().status, 404);
    assert_eq!(daemon.stop().unwrap().signal(), Some(15));
}

#[test]
fn returns_rows_or_the_error_of_the_daemon() {
    let scratch = Scratch::new().unwrap();
    let daemon = builder(&scratch).start().unwrap();
    assert_eq!(daemon.sql("select 1").unwrap(), [[serde_json::json!(1)]]);
    let message = daemon.sql("select x from y").unwrap_err().to_string();
    assert!(message.contains("400") && message.contains("no such table"), "{message}");
}

#[test]
fn a_killed_daemon_can_be_started_again_on_its_data() {
    let scratch = Scratch::new().unwrap();
    let first = builder(&scratch).start().unwrap();
    let before = first.address();
    assert_eq!(first.kill9().unwrap().signal(), Some(9));
    let second = builder(&scratch).start().unwrap();
    assert_ne!(second.address(), before, "the announcement of the dead daemon was taken");
    assert_eq!(second.get("/api/v1/health").unwrap().status, 200);
}

#[test]
fn says_why_it_did_not_start() {
    let scratch = Scratch::new().unwrap();
    let message = builder(&scratch).arg("--refuse").start().unwrap_err().to_string();
    assert!(message.contains("the data directory is taken"), "{message}");
    let missing = Daemon::builder("no-such-program", scratch.path()).start().unwrap_err().to_string();
    assert!(missing.contains("no-such-program"), "{missing}");
}

#[test]
fn ends_with_its_handle() {
    let scratch = Scratch::new().unwrap();
    let daemon = builder(&scratch).start().unwrap();
    let mut client = daemon.client();
    drop(daemon);
    assert!(client.get("/api/v1/health").is_err());
}
