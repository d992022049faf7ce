//! Every Rust file says on top what it owns.

use super::{Complaint, SourceFile};

pub(super) fn check(file: &SourceFile) -> Option<Complaint> {
    if !file.is_rust() {
        return None;
    }
    let first = file.text.lines().next().unwrap_or_default();
    let says_something = first.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty());
    (!says_something)
        .then(|| Complaint::new(&file.path, 1, "module-doc", "begin the file with `//! ` and what it owns"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn wants_a_sentence_on_top_of_rust_files() {
        for (path, text, fine) in [
            ("a.rs", "//! Owns a.\n", true),
            ("a.rs", "//!\nfn main() {}\n", false),
            ("a.rs", "use x;\n//! late\n", false),
            ("a.rs", "", false),
            ("a.md", "# no Rust\n", true),
        ] {
            assert_eq!(check(&file(path, text)).is_none(), fine, "{path} {text:?}");
        }
    }
}
