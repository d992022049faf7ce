//! Formats of one's own: from a directory of TOML files, and from the config file.

use std::path::{Path, PathBuf};

use fs_err as fs;
use taffrail_parse::{OwnFormat, format_names, use_formats};

use super::problem::{Problem, suggestion};
use super::{Config, SourceConfig};

/// The directory where nobody names one and a config file has none beside it.
const SYSTEM_DIRECTORY: &str = "/etc/taffrail/formats";
/// Formats of one's own at most: each costs every line a look.
const FORMATS_MAX: usize = 256;
/// Bytes of a format's file at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A format of one's own, not read yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FormatText {
    /// Where it stands.
    pub place: String,
    /// What it says.
    pub text: String,
}

/// Reads the formats of one's own that the config names, and settles them for this process.
pub(super) fn settle(config: &mut Config) -> Result<(), Vec<Problem>> {
    if let Some(directory) = directory(config) {
        config.formats.extend(of_directory(&directory)?);
    }
    let mut problems = Vec::new();
    let mut own = Vec::new();
    for FormatText { place, text } in &config.formats {
        match OwnFormat::read(text) {
            Ok(format) => own.push(format),
            Err(message) => problems.push(Problem::new(place.as_str(), message)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if own.len() > FORMATS_MAX {
        return Err(vec![Problem::new(
            "formats",
            format!("{} formats; {FORMATS_MAX} are possible", own.len()),
        )]);
    }
    use_formats(own).map_err(|message| vec![Problem::new("formats", message)])?;
    let unknown: Vec<Problem> = config.sources.iter().filter_map(unknown_format).collect();
    if unknown.is_empty() { Ok(()) } else { Err(unknown) }
}

fn unknown_format(source: &SourceConfig) -> Option<Problem> {
    let name = source.format.as_deref().filter(|name| !format_names().any(|known| known == *name))?;
    let hint = match suggestion(name, format_names()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "`taffrail explain LINE` names the format of a line".to_owned(),
    };
    Some(Problem::new("source.format", format!("no format is named `{name}`; {hint}")))
}

/// The directory that the config names, or the first of the usual ones that is there.
fn directory(config: &Config) -> Option<PathBuf> {
    let beside = config.file.as_deref().and_then(Path::parent).map(|folder| folder.join("formats"));
    let usual = beside.into_iter().chain([PathBuf::from(SYSTEM_DIRECTORY)]);
    config.formats_dir.clone().or_else(|| usual.into_iter().find(|path| path.is_dir()))
}

fn of_directory(directory: &Path) -> Result<Vec<FormatText>, Vec<Problem>> {
    let problem = |error: std::io::Error| vec![Problem::new("formats", error.to_string())];
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    // In the order of their names: who wants one tried first says so by its name.
    files.sort();
    let read = |path: PathBuf| {
        if fs::metadata(&path)?.len() > FILE_BYTES_MAX {
            let message = format!("{} is larger than 1 MiB: no format is", path.display());
            return Err(std::io::Error::other(message));
        }
        Ok(FormatText { place: path.display().to_string(), text: fs::read_to_string(&path)? })
    };
    files.into_iter().map(read).collect::<Result<_, _>>().map_err(problem)
}
