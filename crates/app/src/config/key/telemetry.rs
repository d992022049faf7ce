//! The keys of `[telemetry]`: how the machine is sampled, and how long that is kept.

use std::time::Duration;

use super::{Default, Key, Target, Value, unit};

/// Shortest and longest interval.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// Shortest time that something is kept: below, an hour is never rolled up whole.
const KEEP_MIN: Duration = Duration::from_secs(2 * 3_600);

/// Whether the machine is sampled.
pub(super) const ENABLED: Key = Key {
    name: "telemetry.enabled",
    form: "true or false",
    default: Default::Text("true"),
    doc: "Whether the machine is measured: processors, memory, disks, network, processes. For machines that something else \
              measures.",
    target: Target::Config(|config, value| {
        config.telemetry.is_enabled = value.switch()?;
        Ok(())
    }),
};

/// How often.
pub(super) const INTERVAL: Key = Key {
    name: "telemetry.interval",
    form: "duration",
    default: Default::Text("10s"),
    doc: "How often a sample is taken and kept. For those who want to see shorter peaks, or less on the disk: a sample is \
              about half a kilobyte. 1s to 1h.",
    target: Target::Config(|config, value| {
        config.telemetry.interval = interval(value)?;
        Ok(())
    }),
};

/// How long samples are kept.
pub(super) const KEEP: Key = Key {
    name: "telemetry.keep",
    form: "duration",
    default: Default::Text("7d"),
    doc: "How long samples are kept, one by one. What they come to by the hour and the day is kept longer. At least 2h.",
    target: Target::Config(|config, value| {
        config.telemetry.keep = keep(value)?;
        Ok(())
    }),
};

/// How long hours are kept.
pub(super) const KEEP_HOURS: Key = Key {
    name: "telemetry.keep_hours",
    form: "duration",
    default: Default::Text("90d"),
    doc: "How long what samples come to by the hour is kept, and the rows of the tables `system_metrics` and \
              `network_metrics`. Days are kept for good. At least 2h.",
    target: Target::Config(|config, value| {
        config.telemetry.keep_hours = keep(value)?;
        Ok(())
    }),
};

/// A time between two samples.
pub(super) fn interval(value: &Value) -> Result<Duration, String> {
    let time = unit::duration(&value.quantity()?)?;
    if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&time) {
        return Err("1s to 1h is possible".to_owned());
    }
    Ok(time)
}

fn keep(value: &Value) -> Result<Duration, String> {
    let time = unit::duration(&value.quantity()?)?;
    if time < KEEP_MIN {
        return Err("shorter than an hour can be rolled up in; the smallest is \"2h\"".to_owned());
    }
    Ok(time)
}
