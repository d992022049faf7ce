//! What stands at the other end of stdout and stderr, and how log text is made harmless for it.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use crate::cli::{ColorChoice, GlobalArgs};

/// What the output may look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terminal {
    /// Whether stdout is a terminal: times are local, controls are escaped everywhere.
    pub stdout: bool,
    /// Whether stderr is a terminal and wants hints: not with `-q`.
    pub hints: bool,
    /// Whether stderr is told what changes the meaning of the output: not with `-q`.
    pub notes: bool,
    /// Whether stdout is coloured.
    pub color: bool,
}

impl Terminal {
    /// Looks at the process's streams, `--color`, `-q` and `NO_COLOR`.
    pub(crate) fn of_process(global: &GlobalArgs) -> Self {
        let stdout = io::stdout().is_terminal();
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let no_color = is_dumb || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => stdout && !no_color,
        };
        Self { stdout, hints: io::stderr().is_terminal() && !global.quiet, notes: !global.quiet, color }
    }

    /// Says something useful on stderr, if someone is looking.
    pub(crate) fn hint(&self, message: &str) {
        if self.hints {
            let _ = writeln!(io::stderr(), "{}", escape_lines(message));
        }
    }

    /// Says on stderr what the output alone does not tell: something is missing, or was not found.
    pub(crate) fn note(&self, message: &str) {
        if self.notes {
            let _ = writeln!(io::stderr(), "taffrail: {}", escape_lines(message));
        }
    }

    /// `text` in the colour of `severity`, if there are colours.
    pub(crate) fn severity(&self, severity: &str, text: &str) -> String {
        let code = match severity {
            "CRITICAL" => "1;37;41",
            "ERROR" => "1;31",
            "WARNING" => "33",
            "INFO" => "32",
            _ => "2",
        };
        self.paint(code, text)
    }

    /// `text` in a faint colour, if there are colours.
    pub(crate) fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Sends the program's own log to stderr, as the config wants it.
pub(crate) fn init_log(level: crate::config::LogLevel) {
    let filter = tracing_subscriber::EnvFilter::new(format!(
        "warn,taffrail={0},taffrail_source={0},taffrail_store={0},taffrail_query={0},taffrail_serve={0},taffrail_http={0},taffrail_agent={0}",
        level.name()
    ));
    let colors = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| OneLine(io::stderr()))
        .with_ansi(colors)
        .with_target(false)
        .init();
}

/// Writes each message in one line: names of files may hold what a terminal obeys. The formatter itself escapes the
/// escape character, and needs it for colours.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(message);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        self.0.write_all(escape_but(line, &['\t', '\x1b']).as_bytes())?;
        self.0.write_all(end.as_bytes())?;
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Log text in one line without any character that a terminal would obey: control characters are shown as
/// their Unicode pictures (`␛`, `␊`), the rest as `\u{..}`. Tabs stay.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    escape_but(text, &['\t'])
}

/// As [`escape`], but line feeds stay.
pub(crate) fn escape_lines(text: &str) -> Cow<'_, str> {
    escape_but(text, &['\t', '\n'])
}

fn escape_but<'a>(text: &'a str, keep: &[char]) -> Cow<'a, str> {
    let harmless = |c: char| keep.contains(&c) || !is_obeyed(c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if harmless(c) => out.push(c),
            '\x7f' => out.push('␡'),
            c if (c as u32) < 0x20 => out.extend(char::from_u32(0x2400 + c as u32)),
            c => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// JSON text whose remaining control characters (DEL, C1, direction overrides) are `\u` escapes: the same
/// JSON, and safe to look at.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_obeyed) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if is_obeyed(c) { out.push_str(&format!("\\u{:04x}", c as u32)) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Whether terminals act on the character: C0, DEL, C1, and what turns the writing direction.
const fn is_obeyed(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, want) in [
            ("plain täxt 日本", "plain täxt 日本"),
            ("a\x1b[31mred\x07", "a␛[31mred␇"),
            ("two\nlines\r\tend", "two␊lines␍\tend"),
            ("\u{9b}2J\x7f", "\\u{9b}2J␡"),
            ("x\u{202e}gpj", "x\\u{202e}gpj"),
        ] {
            assert_eq!(escape(text), want);
        }
        assert_eq!(escape_lines("a\n\x1bb"), "a\n␛b");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = "\u{9b}x\u{202e}\x7f\x1b";
        let json = serde_json::to_string(text).unwrap();
        let escaped = escape_json(&json);
        assert!(!escaped.chars().any(is_obeyed), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }

    #[test]
    fn colours_only_where_wanted() {
        let mut terminal = Terminal { stdout: true, hints: false, notes: false, color: true };
        assert_eq!(terminal.severity("ERROR", "x"), "\x1b[1;31mx\x1b[0m");
        terminal.color = false;
        assert_eq!(terminal.severity("ERROR", "x"), "x");
    }
}
