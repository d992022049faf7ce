//! Samples of this machine: taken each interval on a thread of their own, kept, shown; and Logly's rows once a minute. A second
//! thread rolls up what is over and deletes what is too old.

mod logs;
mod rows;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use taffrail_agent::Stopping;
use taffrail_record::Timestamp;
use taffrail_serve::Machines;
use taffrail_store::engine::Engine;
use taffrail_store::history::Kept;
use taffrail_telemetry::{Machine, Sampler};

use self::logs::StoredLogs;
use self::rows::Rows;
use crate::config::Telemetry;

/// The first sample comes so soon: its rates are over that time.
const FIRST: Duration = Duration::from_secs(1);
/// How often Logly adds rows to its tables.
const ROWS_EVERY: Duration = Duration::from_secs(60);
/// How often is looked what is over, and what is too old.
const MAINTAIN_EVERY: Duration = Duration::from_secs(60);

/// Starts the threads; they end when the program does.
pub(crate) fn spawn(
    config: Telemetry,
    machines: &Machines,
    engine: Arc<dyn Engine>,
    clock: fn() -> Timestamp,
    stopping: &Arc<Stopping>,
) -> std::io::Result<()> {
    if let Some(machine) = machines.machine.clone() {
        let (machines, stopping) = (machines.clone(), Arc::clone(stopping));
        let run = move || record(config.interval, machine, &machines, clock, &stopping);
        thread::Builder::new().name("telemetry".to_owned()).spawn(run)?;
    }
    let (machines, stopping) = (machines.clone(), Arc::clone(stopping));
    let kept = Kept { samples: config.keep, hours: config.keep_hours };
    let run = move || maintain(kept, &machines, &*engine, clock, &stopping);
    thread::Builder::new().name("rollup".to_owned()).spawn(run)?;
    Ok(())
}

fn record(
    interval: Duration,
    machine: Arc<Machine>,
    machines: &Machines,
    clock: fn() -> Timestamp,
    stopping: &Stopping,
) {
    let mut sampler = Sampler::new(Arc::clone(&machine));
    // Logly's rates are over its own interval.
    let (mut rows, mut rows_at) = (Rows::default(), Instant::now());
    let mut wait = FIRST;
    let mut failing = false;
    while !stopping.within(wait) {
        let sample = sampler.sample();
        let mut stored = machines.record(&sample).map(drop);
        stored = stored.and(rows.add(&sample, || machines.history.last_counters()));
        if Instant::now() >= rows_at {
            let (system, network) = rows.of(&sample);
            stored = stored.and(machines.history.insert_rows(sample.time, &system, &network));
            // Rows that were missed while the machine slept are not made up for.
            rows_at = Instant::now().max(rows_at) + ROWS_EVERY.saturating_sub(interval / 2);
        }
        match (&stored, failing) {
            (Err(error), false) => tracing::warn!("samples of the machine are not kept: {error}"),
            (Ok(()), true) => tracing::info!("samples of the machine are kept again"),
            _ => {}
        }
        failing = stored.is_err();
        wait = until_next(clock(), interval);
    }
}

/// Samples are taken at whole multiples of the interval: those of several machines fit together. After one that was late the
/// next would come too soon for rates: it is left out.
fn until_next(now: Timestamp, interval: Duration) -> Duration {
    let interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX).max(1);
    let left = interval - now.0.rem_euclid(interval);
    let left = if left < interval / 2 { left.saturating_add(interval) } else { left };
    Duration::from_nanos(left.unsigned_abs())
}

fn maintain(
    kept: Kept,
    machines: &Machines,
    engine: &dyn Engine,
    clock: fn() -> Timestamp,
    stopping: &Stopping,
) {
    let mut wait = FIRST;
    while !stopping.within(wait) {
        wait = MAINTAIN_EVERY;
        let now = clock();
        let logs = StoredLogs { engine };
        let done = machines.history.maintain(now, kept).and_then(|()| {
            if machines.machine.is_some() { machines.history.roll_up_rows(now, &logs) } else { Ok(()) }
        });
        if let Err(error) = done {
            tracing::warn!("the history of the machine is not rolled up: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_at_multiples_of_the_interval() {
        let at = |seconds: i64, nanoseconds: i64| Timestamp(seconds * Timestamp::SECOND + nanoseconds);
        let ten = Duration::from_secs(10);
        assert_eq!(until_next(at(1_793_491_203, 0), ten), Duration::from_secs(7));
        assert_eq!(until_next(at(1_793_491_210, 0), ten), ten);
        assert_eq!(until_next(at(1_793_491_205, 0), ten), Duration::from_secs(5));
        assert_eq!(until_next(at(1_793_491_209, 999_999_999), ten), ten + Duration::from_nanos(1));
        assert_eq!(until_next(at(-6, 0), ten), Duration::from_secs(6));
    }
}
