//! What clients are sent while there is nothing to send: event streams and TCP name the same things differently.

use std::time::Duration;

use taffrail_record::{Timestamp, Zone};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::config::Heartbeat;
use super::entry;
use crate::api::iso;

/// What a heartbeat may tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) clients: usize,
    pub(super) uptime: Duration,
}

impl Heartbeat {
    /// The name of its form.
    pub(super) fn format(&self) -> &'static str {
        if self.is_comment { "comment" } else { "json" }
    }

    /// As an event, or a comment among events.
    pub(super) fn event(&self, moment: &Moment) -> String {
        let Moment { now, clients, uptime } = *moment;
        let time = iso(now, 0, Zone::Zulu);
        let uptime = uptime.as_secs();
        if self.is_comment {
            let time = if self.with_time { format!(" {time}") } else { String::new() };
            let stats =
                if self.with_stats { format!(" clients={clients} uptime={uptime}s") } else { String::new() };
            return format!(": heartbeat{time}{stats}\n\n");
        }
        format!("data: {}\n\n", self.json(moment))
    }

    /// As the JSON of an event.
    pub(super) fn json(&self, moment: &Moment) -> String {
        let Moment { now, clients, uptime } = *moment;
        let mut members = Vec::new();
        if self.with_stats {
            members.push(format!(r#""active_clients":{clients}"#));
        }
        if self.with_time {
            members.push(format!(r#""timestamp":"{}""#, iso(now, 0, Zone::Zulu)));
        }
        members.push(r#""type":"heartbeat""#.to_owned());
        if self.with_stats {
            members.push(format!(r#""uptime_seconds":{}"#, uptime.as_secs()));
        }
        format!("{{{}}}", members.join(","))
    }

    /// As a line of JSON.
    pub(super) fn line(&self, moment: &Moment) -> String {
        let Moment { now, clients, uptime } = *moment;
        let mut members = Vec::new();
        if self.with_stats {
            members.push(format!(r#""active_connections":{clients}"#));
        }
        if self.with_time {
            members.push(format!(r#""time":"{}""#, entry::time(now)));
        }
        members.push(r#""type":"heartbeat""#.to_owned());
        if self.with_stats {
            members.push(format!(r#""uptime_seconds":{}"#, uptime.as_secs()));
        }
        format!("{{{}}}\n", members.join(","))
    }
}

/// Longer is never: a moment so far away may be none.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A beat each `interval`, the first after one.
pub(super) fn beats(interval: Duration) -> Interval {
    let interval = interval.min(LONGEST);
    let mut beats = interval_at(Instant::now() + interval, interval);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// The next beat; never, without any.
pub(super) async fn next_beat(beats: &mut Option<Interval>) {
    match beats {
        Some(beats) => drop(beats.tick().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_those_of_the_original() {
        let moment =
            Moment { now: Timestamp(1_793_491_200_120_000_000), clients: 3, uptime: Duration::from_secs(61) };
        for (with_time, with_stats, is_comment, event, line) in [
            (false, false, true, ": heartbeat\n\n", "{\"type\":\"heartbeat\"}\n"),
            (
                true,
                true,
                true,
                ": heartbeat 2026-11-01T00:00:00Z clients=3 uptime=61s\n\n",
                "{\"active_connections\":3,\"time\":\"2026-11-01T00:00:00.12Z\",\"type\":\"heartbeat\",\"uptime_seconds\":61}\n",
            ),
            (
                true,
                true,
                false,
                "data: {\"active_clients\":3,\"timestamp\":\"2026-11-01T00:00:00Z\",\"type\":\"heartbeat\",\"uptime_seconds\":61}\n\n",
                "{\"active_connections\":3,\"time\":\"2026-11-01T00:00:00.12Z\",\"type\":\"heartbeat\",\"uptime_seconds\":61}\n",
            ),
            (
                true,
                false,
                false,
                "data: {\"timestamp\":\"2026-11-01T00:00:00Z\",\"type\":\"heartbeat\"}\n\n",
                "{\"time\":\"2026-11-01T00:00:00.12Z\",\"type\":\"heartbeat\"}\n",
            ),
        ] {
            let heartbeat = Heartbeat { interval: Duration::from_secs(1), with_time, with_stats, is_comment };
            assert_eq!(heartbeat.event(&moment), event);
            assert_eq!(heartbeat.line(&moment), line);
        }
    }
}
