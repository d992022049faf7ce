//! The text format of Prometheus, version 0.0.4: families of samples with their help and type.

use std::collections::HashSet;
use std::fmt::Write as _;

/// What a family's values mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Grows only; starts anew when what it counts does.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Nobody knows.
    Untyped,
}

/// The text as it grows.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
    /// The names of families.
    told: HashSet<String>,
}

/// A family that takes samples. Without any it leaves no trace.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
    kind: Kind,
    help: &'a str,
    announced: bool,
    is_new: bool,
}

impl Exposition {
    /// Begins a family. Of a name that was told of before, no more is told.
    pub(super) fn metric<'a>(&'a mut self, name: &'a str, kind: Kind, help: &'a str) -> Family<'a> {
        let is_new = self.told.insert(name.to_owned());
        Family { text: &mut self.text, name, kind, help, announced: false, is_new }
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample; each set of labels once.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: f64) {
        if !self.is_new {
            return;
        }
        if !std::mem::replace(&mut self.announced, true) {
            let kind = match self.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Untyped => "untyped",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(self.text, "# HELP {} {}\n# TYPE {} {kind}", self.name, self.help, self.name);
        }
        self.text.push_str(self.name);
        let mut open = '{';
        for (name, text) in labels {
            self.text.push(open);
            open = ',';
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(text, self.text);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// A label's value: backslash, quote and line feed are written with a backslash, all else stands for itself.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_their_family_and_escaped_labels() {
        let mut out = Exposition::default();
        let mut family = out.metric("a_total", Kind::Counter, "Some.");
        family.value(&[("source", "/x \"y\"\\\n"), ("reason", "täglich")], 3.0);
        family.value(&[], 0.25);
        out.metric("empty", Kind::Gauge, "None.");
        out.metric("b", Kind::Gauge, "More.").value(&[], 12_345_678_901_234.0);
        out.metric("b", Kind::Gauge, "Again.").value(&[], 1.0);
        let want = "# HELP a_total Some.\n# TYPE a_total counter\n\
                    a_total{source=\"/x \\\"y\\\"\\\\\\n\",reason=\"täglich\"} 3\na_total 0.25\n\
                    # HELP b More.\n# TYPE b gauge\nb 12345678901234\n";
        assert_eq!(out.finish(), want);
    }
}
