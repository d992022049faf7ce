//! All that goes wrong between an agent and its hub, one after the other, under 2,000 lines a second: afterwards each line is at
//! the hub once, and in order. `TEST_MINUTES=10` makes it long.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use taffrail_testkit::{Daemon, Ledger, LineWriter, Reopens, wait_until};

use super::link::{Link, Mode};
use super::{Agent, config};
use crate::program::{Site, count, eventually};
use crate::small_disk::SmallDisk;

const LINES_A_SECOND: u64 = 2_000;
/// How long all is well before something goes wrong, and how long that lasts.
const WELL: Duration = Duration::from_millis(2_000);
const ILL: Duration = Duration::from_millis(1_300);
/// The hub's disk: what it keeps of all that is written fits on it.
const DISK_MIB: u32 = 512;
const HUB: &str = "[memory]\nmemtable = '1 MiB'\n[[source]]\npath = '/nowhere/x.log'\n";

const HTML: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<html>hi</html>";
const BUSY: &str =
    "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Link(Mode),
    HubIsFull,
    HubStandsStill,
    HubIsKilled,
    AgentIsKilled,
    BothAreKilled,
    Rotation,
}

/// A full hub asks for ten seconds of patience, in which an agent that starts anew has none.
const FAULTS: [Fault; 13] = [
    Fault::Link(Mode::LosesAnswers),
    Fault::Link(Mode::Answers(BROKEN)),
    Fault::Rotation,
    Fault::Link(Mode::Answers(BUSY)),
    Fault::Link(Mode::Hangs),
    Fault::HubIsFull,
    Fault::AgentIsKilled,
    Fault::Link(Mode::Answers(HTML)),
    Fault::HubIsKilled,
    Fault::Link(Mode::LosesAnswers),
    Fault::Link(Mode::Refuses),
    Fault::HubStandsStill,
    Fault::BothAreKilled,
];

/// An agent, its hub, and what is between them.
struct Scene<'a> {
    site: &'a Site,
    disk: Option<SmallDisk>,
    hub: Option<Daemon>,
    link: Link,
    agent: Option<Agent>,
    config: String,
    rotations: u32,
}

impl<'a> Scene<'a> {
    fn start(site: &'a Site) -> Self {
        let disk = SmallDisk::mount(site, DISK_MIB, "a full disk, of agent::faults");
        let hub = site.daemon_with(HUB);
        let link = Link::new(hub.address());
        let config = config(site, link.port(), "");
        let agent = Some(Agent::start(site, &["--config", &config]));
        Self { site, disk, hub: Some(hub), link, agent, config, rotations: 0 }
    }

    fn hub(&self) -> &Daemon {
        self.hub.as_ref().unwrap()
    }

    fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    fn suffer(&mut self, fault: Fault, writer: &LineWriter) {
        match fault {
            Fault::Link(mode) => {
                self.link.set(mode);
                thread::sleep(ILL);
                self.link.set(Mode::Through);
            }
            Fault::HubIsFull => self.fill_the_disk(),
            Fault::HubStandsStill => {
                signal(self.hub().pid(), "-STOP");
                thread::sleep(ILL);
                signal(self.hub().pid(), "-CONT");
            }
            Fault::HubIsKilled => {
                self.hub.take().unwrap().kill9().unwrap();
                self.start_the_hub();
            }
            Fault::AgentIsKilled => {
                drop(self.agent.take());
                self.start_the_agent();
            }
            Fault::BothAreKilled => {
                self.hub.take().unwrap().kill9().unwrap();
                drop(self.agent.take());
                self.start_the_agent();
                self.start_the_hub();
            }
            Fault::Rotation => self.rotate(writer),
        }
    }

    fn fill_the_disk(&self) {
        let Some(disk) = &self.disk else { return };
        let ballast = disk.fill();
        eventually("trouble at the hub", || {
            // Segments that were merged free their space a while later.
            disk.fill();
            self.hub().get("/api/v1/stats").unwrap().json().unwrap()["disk"]["state"] == "full"
        });
        thread::sleep(ILL);
        fs_err::remove_file(ballast).unwrap();
    }

    fn start_the_hub(&mut self) {
        thread::sleep(ILL / 2);
        self.hub = Some(self.site.daemon_with(HUB));
        self.link.lead_to(self.hub().address());
    }

    fn start_the_agent(&mut self) {
        thread::sleep(ILL / 2);
        self.agent = Some(Agent::start(self.site, &["--config", &self.config]));
    }

    fn rotate(&mut self, writer: &LineWriter) {
        self.rotations += 1;
        let log = self.log();
        let script = format!(
            "mv '{}' '{}.{}'; {}",
            log.display(),
            log.display(),
            self.rotations,
            writer.reopen_and_wait_script()
        );
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    fn log(&self) -> std::path::PathBuf {
        self.site.path("logs/app.log")
    }

    fn stored(&self) -> u64 {
        count(self.hub(), "SELECT count(*) FROM logs WHERE node = 'web-1'")
    }
}

fn signal(pid: u32, which: &str) {
    assert!(Command::new("kill").args([which, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_hub_has_each_line_once_and_in_order_whatever_happens() {
    let minutes = std::env::var("TEST_MINUTES").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let site = Site::new();
    site.append("logs/app.log", "");
    let mut scene = Scene::start(&site);
    let writer =
        LineWriter::start(&scene.log(), &site.path("asks"), LINES_A_SECOND, Reopens::AtOnce).unwrap();
    let start = Instant::now();
    let mut suffered = 0;
    for fault in FAULTS.into_iter().cycle() {
        if suffered >= FAULTS.len() && start.elapsed().as_secs() >= minutes * 60 {
            break;
        }
        thread::sleep(WELL);
        scene.suffer(fault, &writer);
        suffered += 1;
    }
    thread::sleep(WELL);
    let written = writer.stop().unwrap();
    let took = start.elapsed();
    let arrived = wait_until(Duration::from_secs(90), || scene.stored() >= written);
    assert!(arrived, "{} of {written} lines\n{}", scene.stored(), scene.agent().said());
    let source = format!("web-1:{}", scene.log().display());
    let ledger = Ledger::of(&site.export(&source), written);
    assert!(ledger.is_whole() && ledger.whole == written, "{ledger:?}");
    assert!(written >= took.as_secs() * LINES_A_SECOND * 9 / 10, "{written} lines in {took:?}");
    println!("{written} lines in {} s, {suffered} faults: each once, in order", took.as_secs());
    // What stood in the way was said, each once.
    let said = scene.agent().said();
    for what in ["answers 500", "answers 429", "answers with a web page", "takes what is sent again"] {
        assert!(said.contains(what), "{what}: {said}");
    }
    assert!(scene.disk.is_none() || said.contains("answers 503"), "{said}");
    assert!(said.lines().count() < suffered * 6, "{said}");
    the_machine_is_known(&site, scene.hub());
    assert_eq!(scene.agent.take().unwrap().stop(), 0);
    assert!(scene.hub.take().unwrap().stop().unwrap().success());
    // Without a hub its store tells.
    let told = site.run(&["nodes", "--json"]).expect(0).json();
    assert_eq!((told.len(), &told[0]["node"]), (1, &"web-1".into()));
}

/// Its samples are there too.
fn the_machine_is_known(site: &Site, hub: &Daemon) {
    assert!(count(hub, "SELECT count(*) FROM telemetry WHERE node_id = 'web-1'") > 5);
    let nodes = hub.get("/api/v1/nodes").unwrap().json().unwrap();
    let node = &nodes["nodes"][0];
    assert_eq!(
        (&node["node"], &node["kind"], &node["is_silent"]),
        (&"web-1".into(), &"agent".into(), &false.into())
    );
    let metrics = hub.get("/metrics").unwrap().text();
    assert!(metrics.contains("taffrail_node_lines_total{node=\"web-1\"}"), "{metrics}");
    let told = site.run(&["nodes"]).expect(0).text();
    assert!(told.lines().nth(1).is_some_and(|line| line.starts_with("web-1 ")), "{told}");
    let told = site.run(&["status"]).expect(0).text();
    assert!(told.contains("nodes     1 machine sends here\n"), "{told}");
    for key in ["lag_seconds", "clock_skew_seconds"] {
        assert!(node[key].as_f64().unwrap().abs() < 5.0, "{nodes}");
    }
}
