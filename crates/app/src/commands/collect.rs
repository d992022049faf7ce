//! `taffrail collect`: one sample of this machine, printed and kept: by the daemon where one runs, else here.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use taffrail_serve::Machines;
use taffrail_telemetry::{Machine, Roots, Sampler};

use super::columns::{age, count, labelled, plural, shorten, width};
use crate::cli::CollectArgs;
use crate::client::Client;
use crate::clock::now;
use crate::config::{Config, unit};
use crate::exit::Outcome;
use crate::store_access;
use crate::terminal::{Terminal, escape, escape_json};

/// The time that rates are over.
const OVER: Duration = Duration::from_secs(1);
/// Filesystems, disks and interfaces that are shown.
const SHOWN: usize = 8;

/// Runs the command.
pub(crate) fn run(args: &CollectArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let sample: Value = match Client::find(&config.data_dir)? {
        Some(client) => client.post("/api/v1/telemetry/collect", &[], &Value::Null)?,
        None => serde_json::from_str(&here(config)?)?,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        let text = sample.to_string();
        writeln!(out, "{}", if terminal.stdout { escape_json(&text) } else { text.into() })?;
    } else {
        let metrics = sample.get("metrics").unwrap_or(&Value::Null);
        out.write_all(screen(metrics, width(terminal), terminal).as_bytes())?;
    }
    out.flush()?;
    Ok(Outcome::Done)
}

fn here(config: &Config) -> anyhow::Result<String> {
    let machine = Arc::new(Machine::new(Roots::default(), now));
    let sample = Sampler::sample_over(&machine, OVER);
    let (store, _) = store_access::open_to_write(config)?;
    let machines = Machines::new(&config.node, Arc::clone(store.history()), config.telemetry.keep);
    Ok(machines.record(&sample)?)
}

/// What a person wants to know.
fn screen(metrics: &Value, width: usize, terminal: Terminal) -> String {
    let mut out = String::new();
    let mut part = |name: &str, lines: Vec<String>| {
        for (at, line) in lines.iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            out.push_str(&labelled(name, &terminal.faint(name), line, width));
        }
    };
    part("cpu", vec![processors(metrics)]);
    part("memory", vec![memory(metrics)]);
    part("disk", filesystems(metrics));
    part("i/o", members(metrics, "/disk/devices", device));
    part("network", members(metrics, "/network/interfaces", interface));
    part("sockets", vec![sockets(metrics)]);
    part("processes", processes(metrics));
    part("system", system(metrics));
    out
}

fn number(value: &Value, path: &str) -> Option<f64> {
    value.pointer(path)?.as_f64()
}

fn percent(value: &Value, path: &str) -> String {
    number(value, path).map_or_else(|| "?".to_owned(), |number| format!("{number:.1}%"))
}

fn bytes(value: &Value, path: &str) -> String {
    number(value, path).map_or_else(|| "?".to_owned(), |number| unit::human_bytes(number as u64))
}

fn processors(metrics: &Value) -> String {
    let load = ["1min", "5min", "15min"].map(|time| number(metrics, &format!("/cpu/load_avg_{time}")));
    let load: Vec<String> = load.into_iter().flatten().map(|load| format!("{load:.2}")).collect();
    let cores = number(metrics, "/cpu/cpu_count_logical").unwrap_or(0.0) as u64;
    let mut line =
        format!("{} of {}", percent(metrics, "/cpu/cpu_usage_percent"), plural(cores, "processor"));
    for (name, what) in [("iowait", "waiting for disks"), ("steal", "taken by the host")] {
        let share = number(metrics, &format!("/cpu/cpu_{name}_percent")).filter(|share| *share >= 0.1);
        if let Some(share) = share {
            line.push_str(&format!(", {share:.1}% {what}"));
        }
    }
    format!("{line}; load {}", load.join(" "))
}

fn memory(metrics: &Value) -> String {
    let used = number(metrics, "/memory/memory_total_bytes")
        .zip(number(metrics, "/memory/memory_available_bytes"))
        .map_or(0.0, |(total, available)| total - available);
    let swap = number(metrics, "/memory/swap_total_bytes").filter(|total| *total > 0.0);
    let swap = swap.map_or_else(
        || "no swap".to_owned(),
        |total| {
            let share = percent(metrics, "/memory/swap_usage_percent");
            format!("swap {share} of {}", unit::human_bytes(total as u64))
        },
    );
    format!(
        "{} of {} used ({}); {swap}",
        unit::human_bytes(used as u64),
        bytes(metrics, "/memory/memory_total_bytes"),
        percent(metrics, "/memory/memory_usage_percent")
    )
}

fn filesystems(metrics: &Value) -> Vec<String> {
    members(metrics, "/disk/disk_usage", |path, usage| {
        let inodes = number(usage, "/inodes_usage_percent").filter(|share| *share >= 80.0);
        let inodes = inodes.map(|share| format!(", {share:.0}% of its files")).unwrap_or_default();
        Some(format!(
            "{} {} of {} used ({}{inodes})",
            shorten(path, 40),
            bytes(usage, "/used_bytes"),
            bytes(usage, "/total_bytes"),
            percent(usage, "/usage_percent")
        ))
    })
}

fn device(name: &str, device: &Value) -> Option<String> {
    number(device, "/utilisation_percent")?;
    Some(format!(
        "{name} reads {}/s, writes {}/s, busy {}",
        bytes(device, "/read_bytes_per_sec"),
        bytes(device, "/write_bytes_per_sec"),
        percent(device, "/utilisation_percent")
    ))
}

fn interface(name: &str, interface: &Value) -> Option<String> {
    // One that never carried anything is no news.
    number(interface, "/bytes_recv").zip(number(interface, "/bytes_sent")).filter(|(a, b)| a + b > 0.0)?;
    let wrong = ["errors", "drops"].map(|what| number(interface, &format!("/{what}")).unwrap_or(0.0) as u64);
    let wrong = wrong.into_iter().zip(["error", "drop"]).filter(|(count, _)| *count > 0);
    let wrong: Vec<String> = wrong.map(|(count, what)| plural(count, what)).collect();
    let wrong = if wrong.is_empty() { String::new() } else { format!(" ({} so far)", wrong.join(", ")) };
    Some(format!(
        "{name} receives {}/s, sends {}/s{wrong}",
        bytes(interface, "/bytes_recv_per_sec"),
        bytes(interface, "/bytes_sent_per_sec")
    ))
}

/// A line a member, as many as fit on a screen.
fn members(metrics: &Value, path: &str, line: impl Fn(&str, &Value) -> Option<String>) -> Vec<String> {
    let members = metrics.pointer(path).and_then(Value::as_object);
    let mut lines: Vec<String> =
        members.into_iter().flatten().filter_map(|(name, value)| line(name, value)).collect();
    if lines.len() > SHOWN {
        let more = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("and {more} more; --json has all"));
    }
    lines
}

fn sockets(metrics: &Value) -> String {
    let of = |state: &str| number(metrics, &format!("/network/tcp_states/{state}")).unwrap_or(0.0) as u64;
    let all = number(metrics, "/network/active_connections").unwrap_or(0.0) as u64;
    let ports = metrics.pointer("/network/listening_ports").and_then(Value::as_array);
    let ports: Vec<String> = ports.into_iter().flatten().take(12).map(Value::to_string).collect();
    let listening = if ports.is_empty() { String::new() } else { format!(" on {}", ports.join(", ")) };
    format!(
        "{}; {} established, {} listening{listening}",
        count(all),
        count(of("established")),
        count(of("listen"))
    )
}

fn processes(metrics: &Value) -> Vec<String> {
    let all = number(metrics, "/processes/process_count").unwrap_or(0.0) as u64;
    let states = metrics.pointer("/processes/process_states").and_then(Value::as_object);
    let notable = ["running", "blocked", "zombie"].into_iter().filter_map(|state| {
        let count = states?.get(state)?.as_u64().filter(|count| *count > 0)?;
        Some(format!(", {count} {state}"))
    });
    let mut lines = vec![format!("{}{}", count(all), notable.collect::<String>())];
    let top = |path: &str, say: &dyn Fn(&Value) -> Option<String>| {
        let list = metrics.pointer(path).and_then(Value::as_array);
        let said: Vec<String> = list.into_iter().flatten().filter_map(say).collect();
        said.join(", ")
    };
    let name = |process: &Value| Some(escape(process.get("name")?.as_str()?).into_owned());
    let memory = top("/processes/top_memory_processes", &|process| {
        Some(format!("{} {}", name(process)?, bytes(process, "/memory_bytes")))
    });
    let cpu = top("/processes/top_cpu_processes", &|process| {
        Some(format!("{} {}", name(process)?, percent(process, "/cpu_percent")))
    });
    for (what, said) in [("most memory", memory), ("busiest", cpu)] {
        if !said.is_empty() {
            lines.push(format!("{what}: {said}"));
        }
    }
    lines
}

fn system(metrics: &Value) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(uptime) = number(metrics, "/system/uptime_seconds") {
        parts.push(format!("up {}", age(uptime as u64)));
    }
    if let Some(files) = number(metrics, "/system/open_files") {
        parts.push(format!("{} open files", count(files as u64)));
    }
    let sensors = metrics.pointer("/system/temperatures_celsius").and_then(Value::as_object);
    let hottest = sensors.into_iter().flatten().filter_map(|(_, value)| value.as_f64()).reduce(f64::max);
    if let Some(hottest) = hottest {
        parts.push(format!("{hottest:.0} °C"));
    }
    let units = metrics.pointer("/system/failed_units").and_then(Value::as_array);
    if let Some(units) = units {
        let names: Vec<&str> = units.iter().filter_map(Value::as_str).collect();
        parts.push(match names.is_empty() {
            true => "no unit has failed".to_owned(),
            false => format!("failed: {}", names.join(", ")),
        });
    }
    let mut lines = vec![parts.join("; ")];
    if let Some(limits) = metrics.pointer("/system/container_limits") {
        let mut said = Vec::new();
        if limits.get("memory_bytes").is_some() {
            said.push(format!("{} of memory", bytes(limits, "/memory_bytes")));
        }
        if let Some(cpus) = number(limits, "/cpus") {
            said.push(format!("{cpus} processors"));
        }
        if let Some(tasks) = number(limits, "/tasks") {
            said.push(format!("{} processes and threads", count(tasks as u64)));
        }
        lines.push(format!("this container may use {}", said.join(", ")));
    }
    let unread = metrics.pointer("/system/unread").and_then(Value::as_array);
    lines.extend(
        unread.into_iter().flatten().filter_map(|reason| Some(format!("not read: {}", reason.as_str()?))),
    );
    lines
}
