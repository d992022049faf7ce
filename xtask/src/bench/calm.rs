//! Rounds of a measurement of lateness, on machines whose host takes processors away.
//!
//! What the host gives to others while somebody here wants to run makes all that waits late by tens of milliseconds. The kernel
//! counts it (`steal`, see `proc_stat(5)`): a round with much of it says nothing of what is measured, and is taken again.

use anyhow::{Context, Result};
use fs_err as fs;

use super::figure::Report;

/// The part of all processors' time that the host may take from a round that counts.
const STOLEN_MAX: f64 = 0.01;

/// A round.
#[derive(Debug)]
struct Round<T> {
    measured: T,
    /// The part of all processors' time that the host took.
    stolen: f64,
}

/// Rounds that were taken, at least one.
#[derive(Debug)]
pub(super) struct Rounds<T>(Vec<Round<T>>);

impl<T> Rounds<T> {
    /// Takes rounds until so many were calm, `most` of them at the most.
    pub(super) fn take(wanted: usize, most: usize, mut measure: impl FnMut() -> Result<T>) -> Result<Self> {
        let mut rounds = Vec::new();
        let is_enough = |rounds: &[Round<T>]| rounds.iter().filter(|round| round.is_calm()).count() >= wanted;
        while rounds.is_empty() || !is_enough(&rounds) && rounds.len() < most {
            let before = times()?;
            let measured = measure()?;
            rounds.push(Round { measured, stolen: stolen(before, times()?) });
        }
        Ok(Self(rounds))
    }

    /// All that was measured.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|round| &round.measured)
    }

    /// The best of those that were calm, or of all if none was.
    pub(super) fn best(&self, of: impl Fn(&T) -> f64) -> &T {
        let value =
            |round: &Round<T>| (!round.is_calm() && self.0.iter().any(Round::is_calm), of(&round.measured));
        let first = &self.0[0];
        let best = self.0.iter().fold(first, |best, round| {
            let ((is_worse, ours), (was_worse, theirs)) = (value(round), value(best));
            if is_worse.cmp(&was_worse).then(ours.total_cmp(&theirs)).is_lt() { round } else { best }
        });
        &best.measured
    }

    /// Notes all rounds of a figure in milliseconds, and how much of them the host took.
    pub(super) fn note(&self, report: &mut Report, name: &str, of: impl Fn(&T) -> f64) {
        let has_calm = self.0.iter().any(Round::is_calm);
        let told = |round: &Round<T>| {
            let counts = if round.is_calm() || !has_calm { "" } else { ", does not count" };
            format!("{:.1} ms ({:.1}% stolen{counts})", of(&round.measured), 100.0 * round.stolen)
        };
        let all: Vec<String> = self.0.iter().map(told).collect();
        report.note(&format!("{name}, rounds"), all.join(", "));
    }
}

impl<T> Round<T> {
    fn is_calm(&self) -> bool {
        self.stolen <= STOLEN_MAX
    }
}

/// All time of the processors so far, and that which the host took, in ticks.
type Times = (u64, u64);

fn times() -> Result<Times> {
    let stat = fs::read_to_string("/proc/stat")?;
    of_stat(&stat).context("cannot read /proc/stat")
}

fn of_stat(stat: &str) -> Option<Times> {
    let words = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    // User, nice, system, idle, iowait, irq, softirq, steal; guests are in the first two.
    let ticks: Vec<u64> = words.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    Some((ticks.iter().sum(), *ticks.get(7)?))
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a few minutes")]
fn stolen((all_before, stolen_before): Times, (all, stolen): Times) -> f64 {
    (stolen - stolen_before) as f64 / (all - all_before).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_took_is_a_part_of_all_time() {
        let before = of_stat("cpu  100 0 50 800 0 0 0 50 7 7\ncpu0 1\n").unwrap();
        let after = of_stat("cpu  140 0 60 840 5 0 5 60 9 9\n").unwrap();
        assert_eq!((before, after), ((1_000, 50), (1_110, 60)));
        assert!((stolen(before, after) - 10.0 / 110.0).abs() < 1e-9);
        assert_eq!(of_stat("cpu  1 2 3\n"), None);
    }

    #[test]
    fn rounds_are_taken_until_enough_were_calm() {
        let mut taken = 0;
        let count = || {
            taken += 1;
            Ok(taken)
        };
        let all: Vec<u32> = Rounds::take(3, 5, count).unwrap().all().copied().collect();
        assert!((3..=5).contains(&all.len()), "{all:?}");
        assert!(Rounds::take(1, 1, || anyhow::bail!("broken") as Result<()>).is_err());
    }

    #[test]
    fn the_best_is_a_calm_one_if_there_is_one() {
        let rounds = |all: &[(f64, f64)]| {
            Rounds(
                all.iter().map(|(measured, stolen)| Round { measured: *measured, stolen: *stolen }).collect(),
            )
        };
        let best = |all: &[(f64, f64)]| *rounds(all).best(|measured| *measured);
        assert!((best(&[(1.0, 0.5), (3.0, 0.0), (2.0, 0.001)]) - 2.0).abs() < f64::EPSILON);
        assert!((best(&[(5.0, 0.5), (3.0, 0.2)]) - 3.0).abs() < f64::EPSILON);
    }
}
