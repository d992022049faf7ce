//! A strict reader of the text format of Prometheus 0.0.4: it takes what every scraper takes, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

/// One value of one series.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Every sample of a text.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Samples {
    /// In the order of the text.
    pub all: Vec<Sample>,
}

impl Samples {
    /// The value of the one series with this name and exactly these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is_it = |sample: &&Sample| {
            sample.name == name
                && sample.labels.len() == labels.len()
                && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|own| own == value))
        };
        self.all.iter().find(is_it).map(|sample| sample.value)
    }

    /// Reads a whole text.
    ///
    /// # Errors
    /// The line's number and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::default();
        let body = text.strip_suffix('\n').ok_or("the text does not end with a line feed")?;
        for (number, line) in body.split('\n').enumerate() {
            reader.line(line).map_err(|what| format!("line {}: {what}: {line}", number + 1))?;
        }
        match reader.state {
            State::InFamily { .. } => Ok(Self { all: reader.samples }),
            _ => Err("the last family has no samples".to_owned()),
        }
    }
}

#[derive(Default)]
enum State {
    #[default]
    Start,
    Helped(String),
    Typed {
        name: String,
        counter: bool,
    },
    InFamily {
        name: String,
        counter: bool,
    },
}

#[derive(Default)]
struct Reader {
    state: State,
    families: BTreeSet<String>,
    series: BTreeSet<(String, Vec<(String, String)>)>,
    samples: Vec<Sample>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            return self.help(rest);
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            return self.kind(rest);
        }
        if line.is_empty() || line.starts_with('#') {
            return Err("neither a sample, nor HELP, nor TYPE".to_owned());
        }
        self.sample(line)
    }

    fn help(&mut self, rest: &str) -> Result<(), String> {
        if !matches!(self.state, State::Start | State::InFamily { .. }) {
            return Err("the family before has no samples".to_owned());
        }
        let (name, text) = rest.split_once(' ').ok_or("HELP without a text")?;
        if !is_name(name, true) || text.trim() != text || text.is_empty() {
            return Err("HELP is a name, a blank and a text".to_owned());
        }
        if !self.families.insert(name.to_owned()) {
            return Err("a second family of this name".to_owned());
        }
        self.state = State::Helped(name.to_owned());
        Ok(())
    }

    fn kind(&mut self, rest: &str) -> Result<(), String> {
        let State::Helped(helped) = &self.state else { return Err("TYPE without HELP before it".to_owned()) };
        let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
        if name != helped {
            return Err(format!("TYPE of another family than HELP ({helped})"));
        }
        let counter = match kind {
            "counter" => true,
            "gauge" | "untyped" => false,
            other => return Err(format!("no type that is known here: {other}")),
        };
        if counter != name.ends_with("_total") {
            return Err("counters, and only they, end in _total".to_owned());
        }
        self.state = State::Typed { name: name.to_owned(), counter };
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let (family, counter) = match &self.state {
            State::Typed { name, counter } | State::InFamily { name, counter } => (name.clone(), *counter),
            _ => return Err("a sample outside of a family".to_owned()),
        };
        let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
        let (name, rest) = line.split_at(end);
        if name != family {
            return Err(format!("a sample amid the family {family}"));
        }
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let text = rest.strip_prefix(' ').ok_or("no blank before the value")?;
        let value = number(text)?;
        if counter && (value < 0.0 || !value.is_finite()) {
            return Err("a counter is a finite number from 0 on".to_owned());
        }
        let mut key = labels.clone();
        key.sort();
        if !self.series.insert((name.to_owned(), key)) {
            return Err("a second sample of the same series".to_owned());
        }
        self.samples.push(Sample { name: name.to_owned(), labels: labels.into_iter().collect(), value });
        self.state = State::InFamily { name: family, counter };
        Ok(())
    }
}

type LabelList = Vec<(String, String)>;

/// Reads `name="value",...}` and returns what comes after it.
fn labels(mut rest: &str) -> Result<(LabelList, &str), String> {
    let mut labels: LabelList = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without =\"")?;
        if !is_name(name, false) || name.starts_with("__") {
            return Err(format!("no label's name: {name}"));
        }
        if labels.iter().any(|(known, _)| known == name) {
            return Err(format!("the label {name} twice"));
        }
        let (value, after) = quoted(after)?;
        labels.push((name.to_owned(), value));
        rest = match (after.strip_prefix('}'), after.strip_prefix(',')) {
            (Some(after), _) => return Ok((labels, after)),
            (_, Some(after)) => after,
            _ => return Err("neither , nor } after a label".to_owned()),
        };
    }
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match chars.next() {
                Some((_, '\\')) => '\\',
                Some((_, '"')) => '"',
                Some((_, 'n')) => '\n',
                other => return Err(format!("an escape that does not exist: {other:?}")),
            }),
            c => value.push(c),
        }
    }
    Err("a label's value without end".to_owned())
}

fn is_name(name: &str, colons: bool) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || colons && c == ':';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "NaN" => Ok(f64::NAN),
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        // Rust reads words that Prometheus does not.
        _ if text.bytes().all(|byte| b"0123456789+-.eE".contains(&byte)) => {
            text.parse().map_err(|_| format!("no number: {text}"))
        }
        _ => Err(format!("no number: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# HELP a Some.\n# TYPE a gauge\n";

    #[test]
    fn what_is_right_is_read() {
        let text = format!(
            "{HEAD}a 1.5\na{{x=\"1 \\\"q\\\" \\\\ \\n\",y=\"ü\"}} 2e3\n# HELP b_total B.\n# TYPE b_total counter\nb_total 0\n"
        );
        let samples = Samples::parse(&text).unwrap();
        assert_eq!(samples.value("a", &[]), Some(1.5));
        assert_eq!(samples.value("a", &[("x", "1 \"q\" \\ \n"), ("y", "ü")]), Some(2000.0));
        assert_eq!((samples.value("b_total", &[]), samples.value("a", &[("x", "1")])), (Some(0.0), None));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (text, want) in [
            ("", "does not end"),
            ("a 1\n", "outside of a family"),
            ("# HELP a Some.\na 1\n", "outside of a family"),
            ("# TYPE a gauge\na 1\n", "without HELP"),
            (HEAD, "no samples"),
            ("# HELP a Some.\n# TYPE b gauge\nb 1\n", "another family"),
            ("# HELP a Some.\n# TYPE a counter\na 1\n", "_total"),
            (&format!("{HEAD}b 1\n"), "amid the family"),
            (&format!("{HEAD}a 1"), "does not end"),
            (&format!("{HEAD}a 1\n\n"), "neither a sample"),
            (&format!("{HEAD}a 1\na 2\n"), "same series"),
            (&format!("{HEAD}a{{x=\"1\",y=\"2\"}} 1\na{{y=\"2\",x=\"1\"}} 1\n"), "same series"),
            (&format!("{HEAD}a 1\n{HEAD}a 2\n"), "second family"),
            (&format!("{HEAD}a inf\n"), "no number"),
            (&format!("{HEAD}a 1 2\n"), "no number"),
            (&format!("{HEAD}a{{x=\"1\"}}1\n"), "no blank"),
            (&format!("{HEAD}a{{x=\"\\t\"}} 1\n"), "escape"),
            (&format!("{HEAD}a{{x=\"1}} 1\n"), "without end"),
            (&format!("{HEAD}a{{1x=\"1\"}} 1\n"), "no label's name"),
            (&format!("{HEAD}a{{x=\"1\",x=\"2\"}} 1\n"), "twice"),
            (&format!("{HEAD}a{{x=\"1\";}} 1\n"), "neither , nor }"),
            ("# HELP b_total B.\n# TYPE b_total counter\nb_total -1\n", "from 0 on"),
        ] {
            let error = Samples::parse(text).unwrap_err();
            assert!(error.contains(want), "{text:?}: {error}");
        }
    }
}
