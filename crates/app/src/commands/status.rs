//! `taffrail status`: what a person wants to know, in one screen.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;
use taffrail_serve::api::{
    GapReasonSum, GapsAnswer, HealthAnswer, NodeAnswer, Problem, SourcesAnswer, StatsAnswer, rfc3339,
};
use taffrail_store::Store;

use super::columns::{age, count, labelled, moment, plural, room, seconds_since, shorten, width};
use super::{nodes, sources};
use crate::cli::StatusArgs;
use crate::client::Client;
use crate::config::{Config, unit};
use crate::exit::Outcome;
use crate::store_access::{self, Data};
use crate::terminal::{Terminal, escape, escape_json};

/// Problems, and warnings, that are shown one by one.
const PROBLEMS_SHOWN: usize = 10;
/// The newest gaps that are shown one by one.
const GAPS_SHOWN: usize = 3;
/// A source's name is not made shorter than this.
const NAME_MIN: usize = 16;

/// Everything that there is to say.
#[derive(Serialize, Clone, PartialEq, Debug, Default)]
struct Report {
    running: bool,
    healthy: bool,
    pid: Option<u32>,
    address: Option<String>,
    version: String,
    since: Option<String>,
    data_dir: PathBuf,
    records: u64,
    disk_bytes: u64,
    oldest: Option<String>,
    newest: Option<String>,
    free_bytes: Option<u64>,
    /// What `retention.max_size` allows.
    max_bytes: u64,
    sources: Followed,
    nodes: Senders,
    gaps: GapsAnswer,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// The sources in a few numbers.
#[derive(Serialize, Clone, PartialEq, Debug, Default)]
struct Followed {
    /// How many in each state.
    states: BTreeMap<String, u64>,
    stalled: u64,
    /// Those with bytes that are not read yet.
    lagging: u64,
    lag_bytes: u64,
    /// The longest of all.
    lag_seconds: f64,
}

/// The machines that send something, in a few numbers.
#[derive(Serialize, Clone, PartialEq, Debug, Default)]
struct Senders {
    count: u64,
    /// Names of those that do no more.
    silent: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &StatusArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let mut report = match store_access::find(&config.data_dir)? {
        Data::Daemon(client) => Report::of_daemon(&client)?,
        Data::Store(store) => Report::of_store(&store)?,
    };
    report.data_dir.clone_from(&config.data_dir);
    report.max_bytes = config.retention.max_size_bytes;
    let disk = rustix::fs::statvfs(&config.data_dir).ok();
    report.free_bytes = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let mut out = io::stdout().lock();
    if args.json {
        let line = serde_json::to_string(&report)?;
        writeln!(out, "{}", if terminal.stdout { escape_json(&line) } else { line.into() })?;
    } else {
        out.write_all(report.text(width(terminal), terminal).as_bytes())?;
    }
    Ok(Outcome::found(report.healthy))
}

impl Report {
    fn of_daemon(client: &Client) -> anyhow::Result<Self> {
        let health: HealthAnswer = client.health()?;
        let stats: StatsAnswer = client.get("/api/v1/stats", &[])?;
        let sources = sources::ask(client, "")?;
        Ok(Self {
            running: true,
            healthy: health.is_ok(),
            pid: Some(client.pid()),
            address: Some(client.base().to_owned()),
            version: health.version,
            since: Some(stats.started),
            records: stats.records,
            disk_bytes: stats.segment_bytes + stats.wal_bytes,
            oldest: stats.oldest,
            newest: stats.newest,
            sources: Followed::of(&sources),
            nodes: Senders::of(&nodes::ask(client)?),
            gaps: sources.gaps,
            problems: health.problems,
            warnings: health.warnings,
            ..Self::default()
        })
    }

    fn of_store(store: &Store) -> anyhow::Result<Self> {
        let stats = store.stats()?;
        let sources = sources::stored(store, "")?;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            records: stats.records,
            disk_bytes: stats.segment_bytes + stats.wal_bytes,
            oldest: stats.oldest.map(rfc3339),
            newest: stats.newest.map(rfc3339),
            sources: Followed::of(&sources),
            nodes: Senders::of(&nodes::stored(store)?),
            gaps: sources.gaps,
            ..Self::default()
        })
    }

    fn text(&self, width: usize, terminal: Terminal) -> String {
        let mut out = String::new();
        let mut say = |label: &str, text: &str| out.push_str(&labelled(label, label, text, width));
        say("daemon", &self.daemon(terminal));
        if let Some(address) = &self.address {
            say("answers", address);
        }
        for (index, line) in self.stored(terminal).iter().enumerate() {
            say(if index == 0 { "stores" } else { "" }, line);
        }
        say("sources", &self.sources.text());
        if self.nodes.count > 0 {
            say("nodes", &self.nodes.text());
        }
        for (index, line) in self.gap_lines(width, terminal).iter().enumerate() {
            say(if index == 0 { "gaps" } else { "" }, line);
        }
        for (word, severity, list) in
            [("problem", "ERROR", &self.problems), ("warning", "WARNING", &self.warnings)]
        {
            let painted = terminal.severity(severity, word);
            for problem in list.iter().take(PROBLEMS_SHOWN) {
                out.push_str(&labelled(word, &painted, &told(problem), width));
            }
            if list.len() > PROBLEMS_SHOWN {
                let more = format!("and {} more; --json lists them", list.len() - PROBLEMS_SHOWN);
                out.push_str(&labelled(word, &painted, &more, width));
            }
        }
        if self.running && self.healthy && self.warnings.is_empty() {
            out.push_str(&labelled("health", "health", "all is well", width));
        }
        out
    }

    fn daemon(&self, terminal: Terminal) -> String {
        let Some(pid) = self.pid.filter(|_| self.running) else {
            return "not running, so that nothing is read; start it with `taffrail run`".to_owned();
        };
        let since = self.since.as_deref().unwrap_or_default();
        let up = seconds_since(since).map(age).unwrap_or_default();
        format!("taffrail {} runs as pid {pid} for {up}, since {}", self.version, moment(since, terminal))
    }

    fn stored(&self, terminal: Terminal) -> Vec<String> {
        let bytes = unit::human_bytes;
        let mut lines = vec![format!(
            "{}, {} in {}",
            plural(self.records, "record"),
            bytes(self.disk_bytes),
            self.data_dir.display()
        )];
        if let (Some(oldest), Some(newest)) = (&self.oldest, &self.newest) {
            lines.push(format!("from {} to {}", moment(oldest, terminal), moment(newest, terminal)));
        }
        if let Some(free) = self.free_bytes {
            let kept = bytes(self.max_bytes);
            lines.push(format!("{} are free on the disk; {kept} are used at most", bytes(free)));
        }
        lines
    }

    fn gap_lines(&self, width: usize, terminal: Terminal) -> Vec<String> {
        let GapsAnswer { by_reason, newest } = &self.gaps;
        if by_reason.is_empty() {
            return vec!["none".to_owned()];
        }
        let bytes = unit::human_bytes;
        let sum = |sum: &GapReasonSum| {
            format!("{} in {}: {}", bytes(sum.bytes), plural(sum.count, "gap"), sum.reason)
        };
        let mut lines: Vec<String> = by_reason.iter().map(sum).collect();
        lines.extend(newest.iter().take(GAPS_SHOWN).map(|gap| {
            let lost = bytes(gap.end_offset.saturating_sub(gap.start_offset));
            let (before, after) =
                (format!("{}  {lost} of ", moment(&gap.observed, terminal)), format!(": {}", gap.reason));
            let room = room(width).saturating_sub(before.len() + after.len());
            format!("{before}{}{after}", shorten(&escape(&gap.source), room.max(NAME_MIN)))
        }));
        let all: u64 = by_reason.iter().map(|sum| sum.count).sum();
        if all > GAPS_SHOWN as u64 {
            lines.push("all of them: taffrail sql 'SELECT * FROM gaps'".to_owned());
        }
        lines
    }
}

impl Followed {
    fn of(answer: &SourcesAnswer) -> Self {
        let mut out = Self::default();
        for source in &answer.sources {
            *out.states.entry(source.state.clone()).or_default() += 1;
            out.stalled += u64::from(source.stalled);
            if source.lag_bytes > source.held_bytes {
                out.lagging += 1;
                out.lag_bytes += source.lag_bytes;
                out.lag_seconds = out.lag_seconds.max(source.lag_seconds);
            }
        }
        out
    }

    fn text(&self) -> String {
        if self.states.is_empty() {
            return "none".to_owned();
        }
        let states = self.states.iter().map(|(state, number)| format!("{} {state}", count(*number)));
        let mut text = states.collect::<Vec<_>>().join(", ");
        if self.lagging > 0 {
            let (number, bytes) = (count(self.lagging), unit::human_bytes(self.lag_bytes));
            text.push_str(&format!("; {number} lagging by {bytes}"));
        }
        if self.lag_seconds >= 1.0 {
            text.push_str(&format!(", {}", age(self.lag_seconds as u64)));
        }
        if self.stalled > 0 {
            text.push_str(&format!("; {} stalled", count(self.stalled)));
        }
        text
    }
}

impl Senders {
    fn of(nodes: &[NodeAnswer]) -> Self {
        let silent = nodes.iter().filter(|node| node.is_silent).map(|node| node.node.clone()).collect();
        Self { count: nodes.len() as u64, silent }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} {} here",
            plural(self.count, "machine"),
            if self.count == 1 { "sends" } else { "send" }
        );
        if let Some(first) = self.silent.first() {
            let more = match self.silent.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            text.push_str(&format!("; silent: {first}{more}"));
        }
        text
    }
}

fn told(problem: &Problem) -> String {
    let since = problem.since.as_deref().and_then(seconds_since);
    let since = since.map(|seconds| format!(" (for {})", age(seconds))).unwrap_or_default();
    format!("{}: {}{since}", problem.source, problem.what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_serve::api::GapAnswer;

    fn report() -> Report {
        let problem = |source: &str, what: &str| Problem {
            source: source.to_owned(),
            what: what.to_owned(),
            since: Some("2026-11-01T00:00:00Z".to_owned()),
        };
        let gap = GapAnswer {
            source: format!("/var/{}x.log", "deep/".repeat(20)),
            start_offset: 10,
            end_offset: 1034,
            observed: "2026-11-01T00:00:00.000000000Z".to_owned(),
            reason: "truncated before read".to_owned(),
        };
        Report {
            running: true,
            pid: Some(4242),
            address: Some("http://127.0.0.1:8062".to_owned()),
            version: "0.1.0".to_owned(),
            since: Some("2026-11-01T00:00:00Z".to_owned()),
            data_dir: "/var/lib/taffrail".into(),
            records: 1_234_567,
            disk_bytes: 5 << 20,
            free_bytes: Some(3 << 30),
            max_bytes: 10 << 30,
            sources: Followed {
                states: [("following".to_owned(), 12), ("missing".to_owned(), 1)].into(),
                lagging: 1,
                lag_bytes: 2048,
                lag_seconds: 61.5,
                stalled: 1,
            },
            nodes: Senders { count: 3, silent: vec!["web-1".to_owned(), "web-2".to_owned()] },
            gaps: GapsAnswer {
                by_reason: vec![GapReasonSum { reason: gap.reason.clone(), count: 4, bytes: 4096 }],
                newest: vec![gap; 4],
            },
            problems: vec![
                problem(
                    "/x\x1b[2J",
                    "2 KiB are not read: Permission denied; let the user that runs the daemon read it"
                );
                12
            ],
            ..Report::default()
        }
    }

    const PLAIN: Terminal = Terminal { stdout: false, hints: false, notes: false, color: false };

    #[test]
    fn one_screen_of_80_columns() {
        let text = report().text(80, PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.lines().count() < 50, "{text}");
        for part in [
            "daemon    taffrail 0.1.0 runs as pid 4242 for ",
            "stores    1,234,567 records, 5 MiB in /var/lib/taffrail\n",
            "sources   12 following, 1 missing; 1 lagging by 2 KiB, 1m; 1 stalled\n",
            "nodes     3 machines send here; silent: web-1 and 1 more\n",
            "gaps      4 KiB in 4 gaps: truncated before read\n          2026-11-01T00:00:00Z  1 KiB of /var/",
            "SELECT * FROM gaps",
            "problem   /x␛[2J: 2 KiB are not read",
            "problem   and 2 more; --json lists them\n",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("all is well"), "{text}");
    }

    #[test]
    fn a_quiet_life_is_said_in_few_words() {
        let quiet = Report {
            healthy: true,
            problems: Vec::new(),
            gaps: GapsAnswer::default(),
            sources: Followed::default(),
            ..report()
        };
        let text = quiet.text(80, PLAIN);
        assert!(text.contains("sources   none\n") && text.contains("gaps      none"), "{text}");
        assert!(text.ends_with("health    all is well\n"), "{text}");
        let ended = Report { running: false, pid: None, address: None, healthy: false, ..quiet };
        let text = ended.text(80, PLAIN);
        assert!(text.starts_with("daemon    not running") && !text.contains("well"), "{text}");
    }
}
