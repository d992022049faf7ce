//! No file grows past what a reader can hold: 500 lines before its tests, comments of 132 columns, which no formatter wraps.

use super::{Complaint, SourceFile};

const MAX_LINES: usize = 500;
const MAX_COLUMNS: usize = 132;

/// Files that may be longer, each with the reason.
const ALLOWED: &[(&str, &str)] = &[];

pub(super) fn check(file: &SourceFile) -> Vec<Complaint> {
    if !file.is_rust() {
        return Vec::new();
    }
    let mut complaints: Vec<Complaint> = wide_comments(file).collect();
    if !file.is_test() && ALLOWED.iter().all(|(path, _)| *path != file.path) {
        complaints.extend(long_file(file));
    }
    complaints
}

fn long_file(file: &SourceFile) -> Option<Complaint> {
    let lines = lines_before_tests(&file.text);
    (lines > MAX_LINES).then(|| {
        let message = format!("{lines} lines before the tests, {MAX_LINES} are the stop: split it by nouns");
        Complaint::new(&file.path, MAX_LINES + 1, "file-size", message)
    })
}

fn wide_comments(file: &SourceFile) -> impl Iterator<Item = Complaint> {
    let is_wide = |line: &str| line.trim_start().starts_with("//") && line.chars().count() > MAX_COLUMNS;
    let wide = file.text.lines().enumerate().filter(move |(_, line)| is_wide(line));
    let message = format!("the comment is wider than {MAX_COLUMNS} columns: wrap it");
    wide.map(move |(at, _)| Complaint::new(&file.path, at + 1, "comment-width", message.as_str()))
}

fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let is_tests = |pair: &[&str]| pair[0].starts_with("#[cfg(test)]") && pair[1].starts_with("mod tests");
    lines.windows(2).position(is_tests).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn counts_up_to_the_tests() {
        let long = "//! x\n".repeat(501);
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{long}}}\n", "//! x\n".repeat(500));
        assert!(!check(&file("crates/a/src/b.rs", &long)).is_empty());
        assert!(check(&file("crates/a/src/b.rs", &tested)).is_empty());
        assert!(check(&file("crates/a/tests/b.rs", &long)).is_empty());
        assert!(check(&file("README.md", &long)).is_empty());
    }

    #[test]
    fn comments_are_wrapped() {
        let wide = format!("//! x\n    // {}\n", "é".repeat(126));
        let fine = format!("//! x\n    // {}\n    let x = \"{0}\";", "é".repeat(125));
        let found = check(&file("crates/a/tests/b.rs", &wide));
        assert_eq!(found.iter().map(|one| (one.line, one.rule)).collect::<Vec<_>>(), [(2, "comment-width")]);
        assert!(check(&file("crates/a/src/b.rs", &fine)).is_empty());
    }
}
