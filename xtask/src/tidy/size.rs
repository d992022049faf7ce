//! No file grows past what a reader can hold: 500 lines before its tests.

use super::{Complaint, SourceFile};

const MAX_LINES: usize = 500;

/// Files that may be longer, each with the reason.
const ALLOWED: &[(&str, &str)] = &[];

pub(super) fn check(file: &SourceFile) -> Option<Complaint> {
    if !file.is_rust() || file.is_test() || ALLOWED.iter().any(|(path, _)| *path == file.path) {
        return None;
    }
    let lines = lines_before_tests(&file.text);
    (lines > MAX_LINES).then(|| {
        let message = format!("{lines} lines before the tests, {MAX_LINES} are the stop: split it by nouns");
        Complaint::new(&file.path, MAX_LINES + 1, "file-size", message)
    })
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
        assert!(check(&file("crates/a/src/b.rs", &long)).is_some());
        assert!(check(&file("crates/a/src/b.rs", &tested)).is_none());
        assert!(check(&file("crates/a/tests/b.rs", &long)).is_none());
        assert!(check(&file("README.md", &long)).is_none());
    }
}
