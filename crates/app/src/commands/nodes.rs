//! `taffrail nodes`: the machines that send something here, and whether they still do.

use std::io::{self, BufWriter, Write};

use taffrail_serve::api::{NodeAnswer, NodesAnswer};
use taffrail_store::Store;

use super::columns::{Table, age, count, width};
use crate::cli::NodesArgs;
use crate::client::Client;
use crate::clock::now;
use crate::config::Config;
use crate::exit::Outcome;
use crate::store_access::{self, Data};
use crate::terminal::{Terminal, escape, escape_json};

/// A clock that is off by less is right.
const CLOCK_SECONDS: f64 = 2.0;

/// Runs the command.
pub(crate) fn run(args: &NodesArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let nodes = match store_access::find(&config.data_dir)? {
        Data::Daemon(client) => ask(&client)?,
        Data::Store(store) => stored(&store)?,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        for node in &nodes {
            let line = serde_json::to_string(node)?;
            writeln!(out, "{}", if terminal.stdout { escape_json(&line) } else { line.into() })?;
        }
    } else if !nodes.is_empty() {
        for (at, line) in table(&nodes).lines(width(terminal)).iter().enumerate() {
            writeln!(out, "{}", if at == 0 { terminal.faint(line) } else { line.clone() })?;
        }
    }
    out.flush()?;
    if nodes.is_empty() {
        terminal.hint("no other machine sends anything here; `taffrail agent --help` says how one does");
    }
    Ok(Outcome::found(!nodes.is_empty()))
}

pub(super) fn ask(client: &Client) -> anyhow::Result<Vec<NodeAnswer>> {
    let answer: NodesAnswer = client.get("/api/v1/nodes", &[])?;
    Ok(answer.nodes)
}

pub(super) fn stored(store: &Store) -> anyhow::Result<Vec<NodeAnswer>> {
    let now = now();
    Ok(store.history().nodes()?.into_iter().map(|node| NodeAnswer::new(node, now)).collect())
}

fn table(nodes: &[NodeAnswer]) -> Table {
    let mut table = Table::new(&["NODE", "SEEN", "LAG", "CLOCK", "LINES", "SAMPLES", "VERSION", "FROM"]);
    for node in nodes {
        table.row(vec![
            escape(&node.node).into_owned(),
            format!("{}{}", age(node.silent_seconds as u64), if node.is_silent { " silent" } else { "" }),
            node.lag_seconds.filter(|lag| *lag >= 1.0).map_or("-".to_owned(), |lag| age(lag as u64)),
            node.clock_skew_seconds.map_or("?".to_owned(), clock),
            count(node.lines),
            count(node.samples),
            escape(if node.version.is_empty() { &node.kind } else { &node.version }).into_owned(),
            escape(&node.address).into_owned(),
        ]);
    }
    table
}

/// How a clock goes.
fn clock(skew: f64) -> String {
    match skew {
        skew if skew.abs() < CLOCK_SECONDS => "right".to_owned(),
        skew if skew < 0.0 => format!("+{}", age(-skew as u64)),
        skew => format!("-{}", age(skew as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_a_line() {
        let well = NodeAnswer {
            node: "web-1".to_owned(),
            kind: "agent".to_owned(),
            version: "0.1.0".to_owned(),
            address: "192.0.2.7".to_owned(),
            first_seen: String::new(),
            last_seen: String::new(),
            silent_seconds: 3.2,
            is_silent: false,
            lag_seconds: Some(75.0),
            clock_skew_seconds: Some(0.4),
            lines: 1_234_567,
            samples: 42,
        };
        let silent = NodeAnswer {
            node: "db-\x1b[2J".to_owned(),
            kind: "resolvix".to_owned(),
            version: String::new(),
            silent_seconds: 7_300.0,
            is_silent: true,
            lag_seconds: None,
            clock_skew_seconds: Some(-90.0),
            ..well.clone()
        };
        let lines = table(&[well, silent]).lines(80);
        let want = [
            "NODE         SEEN     LAG  CLOCK      LINES  SAMPLES  VERSION   FROM",
            "web-1          3s      1m  right  1,234,567       42  0.1.0     192.0.2.7",
            "db-␛[2J  2h silent    -    +1m  1,234,567       42  resolvix  192.0.2.7",
        ];
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (line, want) in lines.iter().zip(want) {
            assert_eq!(words(line), words(want));
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
