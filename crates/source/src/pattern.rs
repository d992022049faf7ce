//! Which paths are meant: globs made absolute, and the directory that each of them starts in.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::Error;

/// Patterns to follow and to exclude, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Patterns {
    pub(crate) each: Vec<Pattern>,
    include: GlobSet,
    exclude: GlobSet,
}

/// One pattern's place in the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    /// The path up to its first component with a glob; the whole path of a pattern without any.
    pub(crate) root: PathBuf,
    /// Levels below `root` that can match; 0 for a pattern without a glob.
    pub(crate) depth: usize,
}

impl Patterns {
    pub(crate) fn new(patterns: &[String], exclude: &[String]) -> Result<Self, Error> {
        let here = std::env::current_dir()?;
        let each = patterns.iter().map(|pattern| Pattern::new(&absolute(&here, pattern))).collect();
        // What is to be left out anywhere is left out everywhere, not only below the current directory.
        let anywhere = |pattern: &String| {
            if pattern.starts_with("**/") { format!("/{pattern}") } else { pattern.clone() }
        };
        let exclude: Vec<String> = exclude.iter().map(anywhere).collect();
        Ok(Self { each, include: compile(&here, patterns)?, exclude: compile(&here, &exclude)? })
    }

    /// Whether `path` is to be followed.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.include.is_match(path) && !path.ancestors().any(|path| self.excludes(path))
    }

    /// Whether `path` itself is excluded, and so all below it.
    pub(crate) fn excludes(&self, path: &Path) -> bool {
        self.exclude.is_match(path)
    }
}

impl Pattern {
    fn new(absolute: &str) -> Self {
        let plain = |component: &&str| !component.contains(['*', '?', '[', '{', '\\']);
        let components: Vec<&str> = absolute.split('/').filter(|c| !c.is_empty()).collect();
        let fixed = components.iter().take_while(|component| plain(component)).count();
        let root = Path::new("/").join(components[..fixed].join("/"));
        let rest = &components[fixed..];
        // A slash inside braces can match at any depth.
        let boundless = rest.iter().any(|component| component.contains("**"))
            || rest.iter().any(|component| component.matches('{').count() != component.matches('}').count());
        Self { root, depth: if boundless { usize::MAX } else { rest.len() } }
    }
}

fn compile(here: &Path, patterns: &[String]) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let fail = |error: globset::Error| Error::Pattern {
            pattern: pattern.clone(),
            reason: error.kind().to_string(),
        };
        let absolute = absolute(here, pattern);
        set.add(GlobBuilder::new(&absolute).literal_separator(true).build().map_err(fail)?);
    }
    let fail = |error: globset::Error| Error::Pattern {
        pattern: patterns.join(" "),
        reason: error.kind().to_string(),
    };
    set.build().map_err(fail)
}

/// `pattern` from the root, without `.` and `..`. The current directory's own characters are no globs.
fn absolute(here: &Path, pattern: &str) -> String {
    let joined = if Path::new(pattern).is_absolute() {
        PathBuf::from(pattern)
    } else {
        Path::new(&globset::escape(&here.to_string_lossy())).join(pattern)
    };
    let mut parts: Vec<String> = Vec::new();
    for component in joined.components() {
        match component {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}

/// The name of the source at `path`: the path itself; bytes that are no UTF-8 are written `\xNN`.
pub fn source_name(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn roots_and_depths() {
        for (pattern, root, depth) in [
            ("/var/log/syslog", "/var/log/syslog", 0),
            ("/var/log/*.log", "/var/log", 1),
            ("/var/log/**/*.log", "/var/log", usize::MAX),
            ("/srv/*/logs/[ab].log", "/srv", 3),
            ("/a/{b,c}.log", "/a", 1),
            ("/a/{b/c,d}.log", "/a", usize::MAX),
            ("/*", "/", 1),
        ] {
            assert_eq!(Pattern::new(pattern), Pattern { root: root.into(), depth }, "{pattern}");
        }
    }

    #[test]
    fn relative_patterns_start_here() {
        for (pattern, expected) in [
            ("logs/*.log", "/home/me/logs/*.log"),
            ("./logs/*.log", "/home/me/logs/*.log"),
            ("../x", "/home/x"),
            ("/etc/../var/x", "/var/x"),
        ] {
            assert_eq!(absolute(Path::new("/home/me"), pattern), expected);
        }
    }

    #[test]
    fn matching_and_excluding() {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let include = strings(&["/var/log/**/*.log", "/var/log/{syslog,messages}", "/data/?.txt"]);
        let patterns = Patterns::new(&include, &strings(&["/var/log/taffrail", "**/debug*.log"])).unwrap();
        for (path, expected) in [
            ("/var/log/a.log", true),
            ("/var/log/nginx/deep/a.log", true),
            ("/var/log/a.log.1", false),
            ("/var/log/messages", true),
            ("/var/log/sub/messages", false),
            ("/data/a.txt", true),
            ("/data/ab.txt", false),
            ("/var/log/taffrail/wal.log", false),
            ("/var/log/debug-1.log", false),
        ] {
            assert_eq!(patterns.matches(Path::new(path)), expected, "{path}");
        }
        let error = Patterns::new(&strings(&["/a/[b"]), &[]).unwrap_err().to_string();
        assert!(error.starts_with("`/a/[b` is not a valid pattern: "), "{error}");
    }

    #[test]
    fn names_of_odd_paths() {
        assert_eq!(source_name(Path::new("/var/log/ä.log")), "/var/log/ä.log");
        assert_eq!(source_name(Path::new(OsStr::from_bytes(b"/a\xffb"))), "/a\\xffb");
    }
}
