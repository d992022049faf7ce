//! A figure with what it must and should be, and the table of them.

use std::time::Duration;

use serde_json::{Value, json};

/// In what a figure is counted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Unit {
    /// Ours divided by the yardstick.
    Ratio,
    MiB,
    KiB,
    Milliseconds,
    Microseconds,
    Seconds,
    Minutes,
    Percent,
    Lines,
}

/// One row of the table; less is better in all of them.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Figure {
    name: String,
    must: f64,
    aim: f64,
    measured: f64,
    unit: Unit,
    ours: String,
    yardstick: String,
}

impl Figure {
    /// A figure that stands for itself; `limits` are must and aim.
    pub(super) fn absolute(name: &str, limits: [f64; 2], measured: f64, unit: Unit) -> Self {
        let ours = render(measured, unit);
        let [must, aim] = limits;
        Self { name: name.to_owned(), must, aim, measured, unit, ours, yardstick: "-".to_owned() }
    }

    /// Our time against that of the yardstick.
    pub(super) fn times(name: &str, limits: [f64; 2], ours: Duration, yardstick: Duration) -> Self {
        let measured = ours.as_secs_f64() / yardstick.as_secs_f64();
        Self::ratio(name, limits, measured, [time(ours), time(yardstick)])
    }

    /// Our bytes against those of the yardstick.
    pub(super) fn sizes(name: &str, limits: [f64; 2], ours: u64, yardstick: u64) -> Self {
        let size = |bytes| format!("{:.1} MiB", mib(bytes));
        Self::ratio(name, limits, mib(ours) / mib(yardstick), [size(ours), size(yardstick)])
    }

    fn ratio(name: &str, limits: [f64; 2], measured: f64, shown: [String; 2]) -> Self {
        let ([must, aim], [ours, yardstick]) = (limits, shown);
        Self { name: name.to_owned(), must, aim, measured, unit: Unit::Ratio, ours, yardstick }
    }

    pub(super) fn measured(&self) -> f64 {
        self.measured
    }

    fn verdict(&self) -> &'static str {
        if self.measured <= self.aim {
            "PASS, aim"
        } else if self.measured <= self.must {
            "PASS"
        } else {
            "FAIL"
        }
    }
}

/// Whether an answer was right.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) detail: String,
    pub(super) is_right: bool,
}

/// All figures of a run.
#[derive(Default, Debug)]
pub(super) struct Report {
    pub(super) figures: Vec<Figure>,
    pub(super) checks: Vec<Check>,
    notes: Vec<(String, String)>,
}

impl Report {
    /// Something worth knowing that has no limit.
    pub(super) fn note(&mut self, name: &str, value: String) {
        self.notes.push((name.to_owned(), value));
    }

    /// Whether every must was reached and every answer right.
    pub(super) fn is_reached(&self) -> bool {
        self.figures.iter().all(|figure| figure.measured <= figure.must)
            && self.checks.iter().all(|check| check.is_right)
    }

    pub(super) fn print(&self) {
        use std::io::Write as _;
        // A reader that closed the pipe has seen what it wanted.
        let _ = std::io::stdout().write_all(self.table().as_bytes());
    }

    fn table(&self) -> String {
        let header = ["figure", "must", "aim", "measured", "ours", "yardstick", ""].map(str::to_owned);
        let rows = self.figures.iter().map(|figure| {
            [
                figure.name.clone(),
                render(figure.must, figure.unit),
                render(figure.aim, figure.unit),
                render(figure.measured, figure.unit),
                figure.ours.clone(),
                figure.yardstick.clone(),
                figure.verdict().to_owned(),
            ]
        });
        let mut out = aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>());
        out.push('\n');
        for check in &self.checks {
            let verdict = if check.is_right { "right" } else { "WRONG" };
            out.push_str(&format!("{verdict}  {}: {}\n", check.name, check.detail));
        }
        for (name, value) in &self.notes {
            out.push_str(&format!("note   {name}: {value}\n"));
        }
        out.push_str(if self.is_reached() { "every must is reached\n" } else { "a must is missed\n" });
        out
    }

    pub(super) fn json(&self) -> Value {
        let figures = self.figures.iter().map(|figure| {
            json!({
                "figure": figure.name, "must": figure.must, "aim": figure.aim, "measured": figure.measured,
                "unit": format!("{:?}", figure.unit), "ours": figure.ours, "yardstick": figure.yardstick,
                "verdict": figure.verdict(),
            })
        });
        let checks = self.checks.iter();
        let checks =
            checks.map(|check| json!({"check": check.name, "detail": check.detail, "right": check.is_right}));
        let notes = self.notes.iter().map(|(name, value)| json!({"note": name, "value": value}));
        json!({
            "figures": figures.collect::<Vec<_>>(),
            "checks": checks.collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
            "reached": self.is_reached(),
        })
    }
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn render(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio if value < 0.1 => format!("{value:.4}"),
        Unit::Ratio => format!("{value:.2}"),
        Unit::MiB => format!("{value:.1} MiB"),
        Unit::KiB => format!("{value:.1} KiB"),
        Unit::Milliseconds => format!("{value:.1} ms"),
        Unit::Microseconds => format!("{value:.2} us"),
        Unit::Seconds => format!("{value:.1} s"),
        Unit::Percent => format!("{value:.2}%"),
        Unit::Lines => format!("{value:.0}"),
        Unit::Minutes => format!("{value:.1} min"),
    }
}

/// Mebibytes; a file of any size a disk holds loses nothing worth showing.
#[allow(clippy::cast_precision_loss)]
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

pub(super) fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn judges_by_must_and_aim() {
        for (ours, verdict) in [(10, "PASS, aim"), (30, "PASS"), (31, "FAIL")] {
            let figure = Figure::times("x", [3.0, 1.0], seconds(ours), seconds(10));
            assert_eq!(figure.verdict(), verdict, "{ours}");
        }
        let missed = Figure::absolute("x", [300.0, 150.0], 300.1, Unit::MiB);
        assert!(!Report { figures: vec![missed], ..Report::default() }.is_reached());
        let wrong = Check { name: "x".to_owned(), detail: String::new(), is_right: false };
        assert!(!Report { checks: vec![wrong], ..Report::default() }.is_reached());
    }

    #[test]
    fn prints_a_table_that_lines_up() {
        let mut report = Report::default();
        report.figures.push(Figure::times("a word", [0.1, 0.02], Duration::from_millis(5), seconds(1)));
        report.figures.push(Figure::sizes("bytes", [1.1, 0.8], 120 << 20, 100 << 20));
        report.note("lines", "7".to_owned());
        let expected = "\
figure  must     aim  measured       ours  yardstick
a word  0.10  0.0200    0.0050    5.00 ms     1.00 s  PASS, aim
bytes   1.10    0.80      1.20  120.0 MiB  100.0 MiB       FAIL

note   lines: 7
a must is missed
";
        assert_eq!(report.table(), expected);
        assert_eq!(report.json()["figures"][1]["verdict"], "FAIL");
        assert_eq!(report.json()["reached"], false);
    }
}
