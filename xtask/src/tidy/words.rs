//! Names that say nothing, leftovers, and paths of somebody's machine.

use super::{Complaint, SourceFile};

/// Names for a file, folder or module that hide what is in it.
const BANNED_NAMES: &[&str] = &["utils", "util", "common", "manager", "helper", "helpers", "misc"];
/// Written in halves, so that this file passes its own rule.
const LEFTOVERS: &[&str] =
    &[concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore"), concat!("db", "g!(")];
/// `/tmp` is nobody's: programs of one of the replaced tools write their logs there.
const FOREIGN_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];
const SHARED: &str = concat!("../sha", "red");
/// On a line with this mark, a path is sample text and names no place of ours.
const ALLOW: &str = "tidy:allow(path)";

pub(super) fn check(file: &SourceFile) -> Vec<Complaint> {
    let mut out: Vec<Complaint> = check_names(file).into_iter().collect();
    for (index, line) in file.text.lines().enumerate() {
        let mut complain = |rule, message: String| {
            out.push(Complaint::new(&file.path, index + 1, rule, message));
        };
        if line.ends_with([' ', '\t', '\r']) {
            complain("trailing-space", "remove the space at the end of the line".to_owned());
        }
        if let Some(foreign) = foreign_path(file, line) {
            complain("foreign-path", format!("`{foreign}` is a place of one machine: find it at run time"));
        }
        if !file.is_rust() {
            continue;
        }
        if let Some(leftover) = LEFTOVERS.iter().find(|leftover| line.contains(**leftover)) {
            complain("leftover", format!("`{leftover}` has no place in what is committed"));
        }
        if let Some(name) = module_name(line).filter(|name| BANNED_NAMES.contains(name)) {
            complain("banned-name", format!("`mod {name}` says nothing: name it by the noun it owns"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        let last = file.text.lines().count();
        out.push(Complaint::new(&file.path, last, "last-line", "end the file with a newline"));
    }
    out
}

fn check_names(file: &SourceFile) -> Option<Complaint> {
    if file.path.ends_with("/mod.rs") {
        let message = "use foo.rs beside foo/ in place of foo/mod.rs";
        return Some(Complaint::new(&file.path, 1, "mod-rs", message));
    }
    let stem = |part: &str| part.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let name = file.path.split('/').map(stem).find(|name| BANNED_NAMES.contains(&name.as_str()))?;
    let message = format!("`{name}` in a path says nothing: name it by the noun it owns");
    Some(Complaint::new(&file.path, 1, "banned-name", message))
}

/// The name in `mod name;`, `pub(crate) mod name {` and the like.
fn module_name(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("mod ")?;
    let is_declaration = before.is_empty() || (before.starts_with("pub") && before.ends_with(' '));
    is_declaration.then(|| after.trim_end_matches([';', '{', ' ']))
}

fn foreign_path(file: &SourceFile, line: &str) -> Option<&'static str> {
    if line.contains(ALLOW) {
        return None;
    }
    if line.contains(SHARED) && !file.is_test() {
        return Some(SHARED);
    }
    // Only where a path begins: `/home/x/work/` is nobody's. // tidy:allow(path)
    FOREIGN_PATHS.iter().copied().find(|path| {
        line.match_indices(path)
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.}*/~".contains(c)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{file, places};

    #[test]
    fn finds_each_leftover_where_it_stands() {
        let text = format!("//! x\nfn f() {{ {}) }}\n{}]\nlet x = 1; \n", LEFTOVERS[0], LEFTOVERS[2]);
        let found = check(&file("crates/a/src/a.rs", &text));
        assert_eq!(places(&found), [(2, "leftover"), (3, "leftover"), (4, "trailing-space")]);
        assert!(check(&file("notes.md", &format!("about {}\n", LEFTOVERS[0]))).is_empty());
    }

    #[test]
    fn bans_names_of_files_and_modules() {
        for path in
            ["crates/a/src/utils.rs", "crates/common/src/lib.rs", "ui/src/helper.ts", "crates/a/src/b/mod.rs"]
        {
            assert_eq!(check(&file(path, "//! x\n")).len(), 1, "{path}");
        }
        for (line, fine) in [
            ("mod helper;", false),
            ("pub(crate) mod misc {", false),
            ("mod segment;", true),
            ("// the common mod utils", true),
        ] {
            assert_eq!(check(&file("a.rs", &format!("{line}\n"))).is_empty(), fine, "{line}");
        }
    }

    #[test]
    fn finds_paths_of_one_machine() {
        let place = FOREIGN_PATHS[0];
        for (path, line, fine) in [
            ("a.rs", format!("open(\"{place}x\")"), false),
            ("a.md", format!("see {SHARED}/x"), false),
            ("crates/a/tests/b.rs", format!("let x = \"{SHARED}/x\";"), true),
            ("a.rs", format!("open(\"/var{place}x\")"), true),
            ("a.rs", format!("sample(\"{place}x\") // {ALLOW}"), true),
        ] {
            assert_eq!(check(&file(path, &format!("{line}\n"))).is_empty(), fine, "{line}");
        }
    }

    #[test]
    fn wants_a_newline_at_the_end() {
        assert_eq!(places(&check(&file("a.md", "one\ntwo"))), [(2, "last-line")]);
    }
}
