//! What clients of Resolvix ask of an agent, and see.

use serde_json::{Value, json};
use tungstenite::Message;

use super::Agent;
use crate::control::{curl, next, watch};
use crate::program::{Site, eventually};
use crate::streams::port;

#[test]
fn an_agent_answers_as_the_original_does() {
    let site = Site::new();
    let [control, live, samples] = [port(), port(), port()];
    let log = site.write("logs/a.log", "").display().to_string();
    let ports = [control, live, samples].map(|port| port.to_string());
    let agent = Agent::start(
        &site,
        &[
            "-l",
            &log,
            "-a",
            "http://127.0.0.1:1",
            "-n",
            "192.0.2.7",
            "-t",
            "1",
            "-p",
            &ports[0],
            "--ws-port",
            &ports[1],
            "--telemetry-ws-port",
            &ports[2],
            "--control-address",
            "127.0.0.1",
        ],
    );
    eventually("following", || agent.said().contains("following"));
    let url = |path: &str| format!("http://127.0.0.1:{control}{path}");
    let command = |name: &str| curl(&["--data", &json!({"command": name}).to_string(), &url("/control")]);
    for (name, code, status, detail) in [
        ("stop_livelogs", 400, "error", "no_active_process"),
        ("stop_telemetry", 400, "error", "no_active_process"),
        ("reboot", 400, "unknown_command", ""),
    ] {
        let (found, answer) = command(name);
        assert_eq!((found, &answer["status"]), (code, &status.into()), "{name}: {answer}");
        assert_eq!(answer["detail"].as_str().unwrap_or_default(), detail, "{name}: {answer}");
    }
    assert_eq!(command("get_telemetry").1["node_id"], "192.0.2.7");

    let (code, started) = command("start_livelogs");
    assert_eq!((code, &started["status"], &started["ws_port"]), (200, &"started".into(), &live.into()));
    assert_eq!(command("start_livelogs").1["detail"], "already_running");
    let mut watching = watch(live);
    site.append("logs/a.log", "well\nan error\n");
    for line in ["well", "an error"] {
        let frame = next(&mut watching);
        let told = (&frame["type"], &frame["node_id"], &frame["log"]);
        assert_eq!(told, (&"live_log".into(), &"192.0.2.7".into(), &line.into()));
    }
    let (code, started) = command("start_telemetry");
    assert_eq!((code, &started["ws_port"], &started["interval"]), (200, &samples.into(), &1.into()));
    let mut measured = watch(samples);
    assert_eq!(next(&mut measured)["type"], "connection");
    assert!(next(&mut measured)["metrics"]["cpu"]["cpu_usage_percent"].is_number());
    measured.send(Message::text(r#"{"command":"ping"}"#)).unwrap();
    let pong = std::iter::repeat_with(|| next(&mut measured)).find(|frame| frame["type"] == "pong");
    assert!(pong.is_some());
    let (_, status) = curl(&[&url("/status")]);
    let running = |what: &str| (status[what]["running"].clone(), status[what]["ws_port"].clone());
    assert_eq!(running("livelogs"), (true.into(), live.into()));
    assert_eq!(running("telemetry"), (true.into(), samples.into()));
    // Nobody takes what it sends: that is said.
    eventually("an ill agent", || {
        let (code, health) = curl(&[&url("/health")]);
        code == 503 && health["status"] == "degraded" && health["targets"][0]["failing"].is_string()
    });
    for name in ["stop_livelogs", "stop_telemetry"] {
        assert_eq!(command(name), (200, json!({"status": "stopped"})));
    }
    let ended = std::iter::repeat_with(|| watching.read())
        .find(|read| !matches!(read, Ok(Message::Text(_) | Message::Ping(_))));
    assert!(ended.is_some_and(|read| read.map_or(true, |message| message.is_close())));
    assert_eq!(command("start_livelogs").0, 200, "once more");
    let (_, status) = curl(&[&url("/status")]);
    assert_eq!(status["log_file"], Value::from(log));
    assert_eq!(agent.stop(), 0);
}
