//! Which crate may know which: the table of the architecture, checked in the manifests.

use super::{Complaint, SourceFile};

const RULE: &str = "edge";

/// A crate of ours and those of ours that it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("memory", &[]),
    ("http", &[]),
    ("record", &[]),
    ("parse", &["record"]),
    ("detect", &["record"]),
    ("source", &["record"]),
    ("telemetry", &["record"]),
    ("frame", &["record"]),
    ("forward", &["frame", "record"]),
    ("store", &["frame", "record"]),
    ("search", &["record", "store"]),
    ("query", &["record", "store", "search"]),
    ("alert", &["record"]),
    ("serve", &["http", "record", "store", "alert", "forward", "telemetry"]),
    ("agent", &["http", "record", "parse", "source", "forward", "telemetry"]),
    (
        "app",
        &[
            "memory",
            "record",
            "parse",
            "detect",
            "source",
            "telemetry",
            "forward",
            "store",
            "search",
            "query",
            "alert",
            "serve",
            "agent",
            "cluster",
        ],
    ),
    ("testkit", &[]),
    ("xtask", &["record", "testkit"]),
    ("cluster", &["search", "query", "store"]),
];

/// A dependency (or a family of them, `name-...`) and the only crates that may ship with it.
const GUARDED: &[(&str, &[&str])] = &[
    ("datafusion", &["query", "cluster"]),
    ("ballista", &["cluster"]),
    ("axum", &["http", "serve", "agent"]),
    ("libmimalloc-sys", &["memory"]),
    ("mimalloc", &["memory"]),
    ("rusqlite", &["store"]),
    ("parquet", &["store"]),
    ("arrow", &["store", "search", "query", "serve", "app", "cluster"]),
    ("anyhow", &["app", "agent", "xtask"]),
    ("clap", &["app", "agent", "xtask"]),
    ("taffrail-testkit", &["xtask"]),
];

/// Crates that need nothing but the standard library.
const STD_ONLY: &[&str] = &["record"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Complaint> {
    files.iter().filter_map(|file| Some((crate_of(&file.path)?, file))).flat_map(check_manifest).collect()
}

/// The folder's name, if this is the manifest of one of our crates.
fn crate_of(path: &str) -> Option<&str> {
    let folder = path.strip_suffix("/Cargo.toml")?;
    let name = folder.strip_prefix("crates/").unwrap_or(folder);
    (!name.contains('/') && (folder.starts_with("crates/") || name == "xtask")).then_some(name)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Shipped,
    Dev,
}

fn check_manifest((name, file): (&str, &SourceFile)) -> Vec<Complaint> {
    let complain = |line, message: String| Complaint::new(&file.path, line, RULE, message);
    let manifest = match file.text.parse::<toml::Table>() {
        Ok(manifest) => manifest,
        Err(err) => return vec![complain(1, format!("not TOML: {}", err.message()))],
    };
    let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
        return vec![complain(
            1,
            format!("crate `{name}` is not in the table of edges: add it to xtask's tidy"),
        )];
    };
    let mut out = Vec::new();
    for (kind, dependency, value) in dependencies(&manifest) {
        let line = line_of(&file.text, dependency);
        if let Some(why) = refusal(name, allowed, kind, dependency) {
            out.push(complain(line, why));
        }
        if !value.get("workspace").and_then(toml::Value::as_bool).unwrap_or(false) {
            out.push(complain(
                line,
                format!("`{dependency}`: name its version in the root, `workspace = true` here"),
            ));
        }
    }
    out
}

fn refusal(name: &str, allowed: &[&str], kind: Kind, dependency: &str) -> Option<String> {
    // Tests and benches of the later stages feed on real records.
    if kind == Kind::Dev && dependency == "taffrail-parse" {
        return None;
    }
    if let Some(ours) = dependency.strip_prefix("taffrail-").filter(|ours| *ours != "testkit") {
        return (!allowed.contains(&ours))
            .then(|| format!("`{name}` may not know `{ours}`: only {}", listed(allowed)));
    }
    if kind == Kind::Dev {
        return None;
    }
    if STD_ONLY.contains(&name) {
        return Some(format!("`{name}` needs the standard library only, not `{dependency}`"));
    }
    let is_of = |family: &str| {
        dependency.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let (family, crates) = GUARDED.iter().find(|(family, _)| is_of(family))?;
    (!crates.contains(&name))
        .then(|| format!("`{name}` may not depend on `{family}`: only {}", listed(crates)))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing of ours".to_owned() } else { names.join(", ") }
}

/// All dependencies of a manifest, those for one platform too.
fn dependencies(manifest: &toml::Table) -> Vec<(Kind, &str, &toml::Value)> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let tables = platforms.into_iter().flat_map(|table| table.values()).filter_map(toml::Value::as_table);
    let mut out = Vec::new();
    for table in tables.chain([manifest]) {
        for (section, kind) in [
            ("dependencies", Kind::Shipped),
            ("build-dependencies", Kind::Shipped),
            ("dev-dependencies", Kind::Dev),
        ] {
            let entries = table.get(section).and_then(toml::Value::as_table).into_iter().flatten();
            out.extend(entries.map(|(name, value)| (kind, name.as_str(), value)));
        }
    }
    out
}

fn line_of(text: &str, dependency: &str) -> usize {
    let names =
        |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    text.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn complaints(name: &str, manifest: &str) -> Vec<String> {
        check(&[file(name, manifest)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_table_holds() {
        for (name, manifest, expected) in [
            ("crates/parse", "[dependencies]\ntaffrail-record.workspace = true", None),
            (
                "crates/parse",
                "[dependencies]\n\ntaffrail-store.workspace = true",
                Some((3, "`parse` may not know `store`")),
            ),
            (
                "crates/serve",
                "[dependencies]\ntaffrail-query = { workspace = true }",
                Some((2, "may not know `query`")),
            ),
            (
                "crates/serve",
                "[dependencies]\ndatafusion-expr.workspace = true",
                Some((2, "may not depend on `datafusion`")),
            ),
            ("crates/serve", "[dependencies]\naxum.workspace = true", None),
            ("crates/query", "[dependencies]\naxum.workspace = true", Some((2, "only http, serve, agent"))),
            (
                "crates/store",
                "[build-dependencies]\nclap.workspace = true",
                Some((2, "may not depend on `clap`")),
            ),
            (
                "crates/store",
                "[target.'cfg(unix)'.dependencies]\nanyhow.workspace = true",
                Some((2, "`anyhow`")),
            ),
            ("crates/record", "[dependencies]\nmemchr.workspace = true", Some((2, "standard library only"))),
            ("crates/record", "[dev-dependencies]\nproptest.workspace = true", None),
            ("crates/store", "[dev-dependencies]\ntaffrail-testkit.workspace = true", None),
            ("crates/store", "[dev-dependencies]\ntaffrail-parse.workspace = true", None),
            (
                "crates/store",
                "[dependencies]\ntaffrail-testkit.workspace = true",
                Some((2, "may not depend on `taffrail-testkit`")),
            ),
            (
                "crates/store",
                "[dev-dependencies]\ntaffrail-query.workspace = true",
                Some((2, "may not know `query`")),
            ),
            ("crates/store", "[dependencies]\narrow = \"59\"", Some((2, "`workspace = true` here"))),
            ("crates/novelty", "[dependencies]", Some((1, "not in the table of edges"))),
            ("crates/store", "not toml", Some((1, "not TOML"))),
            ("xtask", "[dependencies]\nanyhow.workspace = true", None),
            ("ui", "[dependencies]\ndatafusion = \"1\"", None),
        ] {
            let found = complaints(&format!("{name}/Cargo.toml"), manifest);
            match expected {
                None => assert!(found.is_empty(), "{name}: {found:?}"),
                Some((line, part)) => {
                    assert_eq!(found.len(), 1, "{name} {manifest:?}: {found:?}");
                    assert!(found[0].starts_with(&format!("{name}/Cargo.toml:{line}: [edge]")), "{found:?}");
                    assert!(found[0].contains(part), "{found:?}");
                }
            }
        }
    }
}
