//! What the kernel counts beyond what samples keep: its tables as they stand, under the names that node_exporter gives them, so
//! that its dashboards have what they ask for. They are read when somebody asks, and kept nowhere.

mod disks;
mod memory;
mod network;
mod process;

use std::collections::HashSet;

use taffrail_record::sample::{Sample, told};

use crate::Machine;
use crate::roots::{Result, Roots};

/// What the values of a family mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It grows only.
    Counter,
    /// It goes up and down.
    Gauge,
    /// The kernel says no more than a number.
    Untyped,
}

/// Values of one name.
#[derive(Clone, PartialEq, Debug)]
pub struct Family {
    /// The name, as node_exporter has it.
    pub name: String,
    /// What the values mean.
    pub kind: Kind,
    /// For people.
    pub help: &'static str,
    /// Each with its labels.
    pub values: Vec<(Vec<Label>, f64)>,
}

/// A label's name and value.
pub type Label = (&'static str, String);

/// Families as they are found.
#[derive(Default)]
struct Families(Vec<Family>);

impl Families {
    /// A single value.
    fn one(&mut self, name: impl Into<String>, kind: Kind, help: &'static str, value: f64) {
        self.0.push(Family { name: name.into(), kind, help, values: vec![(Vec::new(), value)] });
    }

    /// A value, if there is one.
    fn maybe(&mut self, name: &str, kind: Kind, help: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.one(name, kind, help, value);
        }
    }

    /// Values of things that have names.
    fn of(
        &mut self,
        name: impl Into<String>,
        kind: Kind,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (String, f64)>,
    ) {
        let values = values.into_iter().map(|(thing, value)| (vec![(label, thing)], value)).collect();
        self.0.push(Family { name: name.into(), kind, help, values });
    }
}

impl Machine {
    /// What the kernel counts: of disks and interfaces, of those that a sample tells of. What cannot be read is missing.
    pub fn counters(&self, sample: &Sample) -> Vec<Family> {
        let roots = self.roots();
        let mut families = Families::default();
        let disks: HashSet<&str> = told(&sample.disks).into_iter().map(|disk| disk.name.as_str()).collect();
        let interfaces: Vec<&str> =
            told(&sample.interfaces).into_iter().map(|interface| interface.name.as_str()).collect();
        let read = [
            memory::add(roots, &mut families),
            disks::add(roots, &disks, &mut families),
            network::add(roots, &interfaces, &mut families),
            process::add(roots, sample.system.booted, &mut families),
        ];
        for error in read.into_iter().filter_map(Result::err) {
            tracing::debug!("not told to who scrapes: {error}");
        }
        families.0
    }
}

/// The number in a small file below `/proc`; `None` if it is not there.
fn number(roots: &Roots, name: &str) -> Option<f64> {
    roots.proc(name).ok()?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests;
