//! LogWisp's flags, as Go's `flag` reads them: `-name`, `--name`, with `=` or the next word; what is no flag ends them.

use std::ffi::OsString;
use std::path::PathBuf;

/// What is said of the flags.
pub(super) const USAGE: &str = "Usage of logwisp:
  -config string
    \tConfig file path
  -router
    \tEnable path-based routing: every stream on each HTTP port
  -version
    \tShow version information
";

/// What the flags say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Arguments {
    /// The config file that is named.
    pub(super) config: Option<PathBuf>,
    /// Whether every port answers for all streams.
    pub(super) router: bool,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Run(Arguments),
    Version,
    Help,
}

impl Arguments {
    /// `Err` says what is wrong, in Go's words.
    pub(super) fn read(arguments: &[OsString]) -> Result<Asked, String> {
        let mut read = Self::default();
        let mut words = arguments.iter().map(|word| word.to_string_lossy().into_owned());
        while let Some(word) = words.next() {
            let flag = match word.strip_prefix('-') {
                None | Some("" | "-") => break,
                Some(flag) => flag.strip_prefix('-').unwrap_or(flag),
            };
            let (name, value) =
                flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let switch = || match value.unwrap_or("true") {
                "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
                "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok(false),
                other => Err(format!("invalid boolean value {other:?} for -{name}: parse error")),
            };
            match name {
                "config" => {
                    let value = value.map(str::to_owned).or_else(|| words.next());
                    let value = value.ok_or_else(|| format!("flag needs an argument: -{name}"))?;
                    read.config = Some(PathBuf::from(value)).filter(|path| !path.as_os_str().is_empty());
                }
                "router" => read.router = switch()?,
                "version" if switch()? => return Ok(Asked::Version),
                "version" => {}
                "h" | "help" => return Ok(Asked::Help),
                _ => return Err(format!("flag provided but not defined: -{name}")),
            }
        }
        Ok(Asked::Run(read))
    }

    /// The config file: the one that is named (`LOGWISP_CONFIG_FILE` names one too), in `LOGWISP_CONFIG_DIR` if its path is
    /// relative; else `logwisp.toml` there, in `~/.config`, or here.
    pub(super) fn config_path(&self, variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        const FILE: &str = "logwisp.toml";
        let folder = variable("LOGWISP_CONFIG_DIR").map(PathBuf::from);
        let named = self.config.clone().or_else(|| variable("LOGWISP_CONFIG_FILE").map(PathBuf::from));
        if let Some(path) = named {
            return Some(match folder {
                // An absolute path stays as it is.
                Some(folder) => folder.join(path),
                None => path,
            });
        }
        let of_home = || Some(PathBuf::from(variable("HOME")?).join(".config").join(FILE));
        let places = match folder {
            Some(folder) => vec![folder.join(FILE)],
            None => of_home().into_iter().chain([PathBuf::from(FILE)]).collect(),
        };
        places.into_iter().find(|path| path.exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Asked, String> {
        Arguments::read(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let run = |config: Option<&str>, router| {
            Ok(Asked::Run(Arguments { config: config.map(PathBuf::from), router }))
        };
        for (words, want) in [
            (&[][..], run(None, false)),
            (&["--config", "a.toml", "-router"], run(Some("a.toml"), true)),
            (&["-config=a.toml", "--router=false"], run(Some("a.toml"), false)),
            (&["--config", "", "word", "-router"], run(None, false)),
            (&["--", "-router"], run(None, false)),
            (&["-h"], Ok(Asked::Help)),
            (&["--version"], Ok(Asked::Version)),
            (&["-config"], Err("flag needs an argument: -config".to_owned())),
            (&["-x=1"], Err("flag provided but not defined: -x".to_owned())),
            (&["-router=maybe"], Err("invalid boolean value \"maybe\" for -router: parse error".to_owned())),
        ] {
            assert_eq!(read(words), want, "{words:?}");
        }
    }

    #[test]
    fn the_config_is_where_the_original_looks() {
        let path = |config: Option<&str>, variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            Arguments { config: config.map(PathBuf::from), router: false }.config_path(&variable)
        };
        let folder = ("LOGWISP_CONFIG_DIR", "/etc/logwisp");
        assert_eq!(path(Some("/a/b.toml"), &[folder]), Some("/a/b.toml".into()));
        assert_eq!(path(Some("b.toml"), &[folder]), Some("/etc/logwisp/b.toml".into()));
        assert_eq!(path(Some("b.toml"), &[]), Some("b.toml".into()));
        assert_eq!(
            path(None, &[("LOGWISP_CONFIG_FILE", "c.toml"), folder]),
            Some("/etc/logwisp/c.toml".into())
        );
        assert_eq!(path(None, &[("HOME", "/nowhere")]), None);
    }
}
