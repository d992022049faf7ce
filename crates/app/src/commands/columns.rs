//! Text that is laid out for people: columns, wrapped lines, shortened paths, numbers and times in few letters.

use std::io;

use crate::terminal::{Terminal, escape};

/// Columns of a terminal that does not say how many it has, and of what is no terminal.
const WIDTH: usize = 80;
/// Less is not laid out for.
const WIDTH_MIN: usize = 60;
/// Blanks between columns.
const BETWEEN: usize = 2;
/// Where the text behind a word like `problem` begins.
const LABEL: usize = 10;

/// The columns that there are: the terminal's; elsewhere `$COLUMNS`, else 80.
pub(super) fn width(terminal: Terminal) -> usize {
    let of_terminal = terminal
        .stdout
        .then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())
        .flatten()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0);
    let of_environment = || std::env::var("COLUMNS").ok()?.parse().ok();
    of_terminal.or_else(of_environment).unwrap_or(WIDTH).max(WIDTH_MIN)
}

/// Rows of cells; the last column takes the room that the others leave. Cells are harmless and short.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Begins with the names of the columns.
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|name| (*name).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, head first: the first and the last column begin, the others end in line.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let columns = self.rows[0].len();
        let widest = |column: usize| self.rows.iter().map(|row| chars(&row[column])).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns - 1).map(widest).collect();
        let taken: usize = widths.iter().map(|width| width + BETWEEN).sum();
        let room = width.saturating_sub(taken).max(WIDTH / 4);
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let blanks = " ".repeat(width.saturating_sub(chars(cell)));
                let (before, after) = if column == 0 { ("", blanks.as_str()) } else { (blanks.as_str(), "") };
                line.push_str(&format!("{before}{cell}{after}{}", " ".repeat(BETWEEN)));
            }
            line.push_str(&shorten(&row[columns - 1], room));
            line
        };
        self.rows.iter().map(line).collect()
    }
}

/// A text in at most `width` characters: what is left out is left out of its middle, and not of a file's name.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let all = chars(text);
    if all <= width {
        return text.to_owned();
    }
    let name = text.rfind('/').map_or(0, |at| chars(&text[at..]));
    // A few letters of the beginning say which part of the disk it is.
    let tail = if name > 0 && name + 8 <= width { name } else { width / 2 };
    let head: String = text.chars().take(width - 1 - tail).collect();
    let tail: String = text.chars().skip(all - tail).collect();
    format!("{head}…{tail}")
}

/// Lines of at most `width` characters, broken between words where that is possible.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word.to_owned();
        while chars(&word) > width {
            let cut = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
            let rest = word.split_off(cut);
            lines.push(std::mem::replace(&mut word, rest));
        }
        let line = lines.last_mut().expect("there is a line from the start");
        if line.is_empty() {
            *line = word;
        } else if chars(line) + 1 + chars(&word) <= width {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The characters that a line of [`labelled`] text has.
pub(super) fn room(width: usize) -> usize {
    width.saturating_sub(LABEL)
}

/// Harmless text behind a word, wrapped; every line but the first begins below the text.
pub(super) fn labelled(label: &str, painted: &str, text: &str, width: usize) -> String {
    let blanks = " ".repeat(LABEL.saturating_sub(chars(label)).max(1));
    let mut out = String::new();
    for (index, line) in wrap(&escape(text), room(width)).iter().enumerate() {
        if index == 0 {
            out.push_str(&format!("{painted}{blanks}{line}\n"));
        } else {
            out.push_str(&format!("{}{line}\n", " ".repeat(LABEL)));
        }
    }
    out
}

/// 1234567 as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 gap`, `2 gaps`.
pub(super) fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Seconds in at most four letters: `12s`, `3m`, `5h`, `200d`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Seconds from an RFC 3339 time to now; `None` for what is none.
pub(super) fn seconds_since(text: &str) -> Option<u64> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(u64::try_from(jiff::Timestamp::now().as_second() - moment.as_second()).unwrap_or(0))
}

/// An RFC 3339 time to the second: the local clock's reading on a terminal, UTC elsewhere.
pub(super) fn moment(text: &str, terminal: Terminal) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) if terminal.stdout => {
            moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
        Ok(moment) => moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => text.to_owned(),
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_lose_their_middle() {
        for (text, width, want) in [
            ("/var/log/syslog", 15, "/var/log/syslog"),
            ("/var/log/nginx/shop/access.log", 25, "/var/log/ngin…/access.log"),
            ("/srv/a-very-long-name-of-a-file-with-a-date-2026-11-20.log", 21, "/srv/a-ver…-11-20.log"),
            ("/täglich/über/lang/größe.log", 20, "/täglich/…/größe.log"),
        ] {
            assert_eq!(shorten(text, width), want);
            assert!(shorten(text, width).chars().count() <= width);
        }
    }

    #[test]
    fn lines_break_between_words() {
        for (text, width, want) in [
            ("one two three", 7, &["one two", "three"][..]),
            ("one two", 80, &["one two"]),
            ("abcdefghij k", 4, &["abcd", "efgh", "ij k"]),
            ("", 5, &[]),
        ] {
            assert_eq!(wrap(text, width), want);
        }
        assert_eq!(labelled("note", "note", "a b", 11), "note      a\n          b\n");
    }

    #[test]
    fn tables_fit() {
        let mut table = Table::new(&["STATE", "LINES", "SOURCE"]);
        table.row(vec!["following".into(), "7".into(), "/x/".repeat(60)]);
        table.row(vec!["failed".into(), "1234567".into(), "/y".into()]);
        let lines = table.lines(60);
        assert_eq!(lines[0], "STATE        LINES  SOURCE");
        assert_eq!(lines[2], "failed     1234567  /y");
        assert_eq!(lines.iter().map(|line| line.chars().count()).max(), Some(60));
    }

    #[test]
    fn numbers_are_short() {
        for (number, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), want);
        }
        for (seconds, want) in [(59, "59s"), (60, "1m"), (7_300, "2h"), (900_000, "10d")] {
            assert_eq!(age(seconds), want);
        }
        assert_eq!((plural(1, "gap"), plural(1_000, "gap")), ("1 gap".to_owned(), "1,000 gaps".to_owned()));
    }
}
