//! Where this daemon stores what it streams, where nobody says it: the original stores nothing, and is run by users who may
//! write nowhere, and several times on one machine.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{Access, access};
use taffrail_store::lock::is_locked;

/// Bytes that are kept at most in a directory for what is temporary.
pub(super) const TEMPORARY_BYTES: u64 = 256 << 20;

/// A data directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Whether it may be gone when the program is started again.
    pub(super) is_temporary: bool,
}

impl Place {
    /// The first that can be written to and that no other program has: that of the service (systemd's `STATE_DIRECTORY`), the
    /// `usual` one, one beside it for the config file, and one in `temporary`, where everybody may write.
    pub(super) fn choose(
        usual: &Path,
        config: Option<&Path>,
        temporary: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let number = number(config);
        let state = variable("STATE_DIRECTORY").and_then(|all| Some(PathBuf::from(all.split(':').next()?)));
        let mut beside = usual.as_os_str().to_owned();
        beside.push(format!("-{number:08x}"));
        let lasting = state.into_iter().chain([usual.to_owned(), PathBuf::from(beside)]);
        if let Some(path) = lasting.into_iter().find(|path| is_usable(path)) {
            return Self { path, is_temporary: false };
        }
        let user = rustix::process::geteuid().as_raw();
        let lasting = temporary.join(format!("taffrail-logwisp-{user}-{number:08x}"));
        let own = temporary.join(format!("taffrail-logwisp-{user}-{}", std::process::id()));
        let path = if is_private(&lasting) { lasting } else { own };
        Self { path, is_temporary: true }
    }
}

/// Tells the config files of a machine apart, also after a restart.
fn number(config: Option<&Path>) -> u32 {
    let mut hasher = DefaultHasher::new();
    config.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned())).hash(&mut hasher);
    hasher.finish() as u32
}

fn is_usable(path: &Path) -> bool {
    let is_there = fs::create_dir_all(path).is_ok();
    is_there && access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok() && !is_locked(path)
}

/// Whether a directory in which everybody may create some is this user's alone.
fn is_private(path: &Path) -> bool {
    // One that is there already may be somebody else's.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(path);
    let is_own = fs::symlink_metadata(path).is_ok_and(|metadata| {
        let user = rustix::process::geteuid().as_raw();
        metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o077 == 0
    });
    is_own && !is_locked(path)
}

#[cfg(test)]
mod tests {
    use taffrail_store::lock::{DirectoryLock, Share};

    use super::*;

    #[test]
    fn it_is_the_first_that_can_be_had() {
        let dir = tempfile::tempdir().unwrap();
        let temporary = dir.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        let choose = |usual: &Path, config: &str, variable: &dyn Fn(&str) -> Option<String>| {
            Place::choose(usual, Some(Path::new(config)), &temporary, variable)
        };
        let usual = dir.path().join("share/taffrail-logwisp");
        let state = dir.path().join("state");
        let text = state.display().to_string();
        let with_state = |name: &str| (name == "STATE_DIRECTORY").then(|| format!("{text}:/other"));
        assert_eq!(choose(&usual, "a.toml", &with_state).path, state);
        assert_eq!(choose(&usual, "a.toml", &|_| None).path, usual);
        // Somebody has it: another config has another place, the same each time.
        let _lock = DirectoryLock::take(&usual, Share::Exclusive).unwrap();
        let [one, again, other] =
            ["a.toml", "a.toml", "b.toml"].map(|config| choose(&usual, config, &|_| None));
        assert!(one == again && one.path != other.path && !one.is_temporary, "{one:?} {other:?}");
        assert!(one.path.to_str().unwrap().starts_with(usual.to_str().unwrap()), "{one:?}");
        // A file is no directory.
        fs::write(dir.path().join("file"), "").unwrap();
        let nowhere = choose(&dir.path().join("file/data"), "a.toml", &|_| None);
        assert!(nowhere.is_temporary && nowhere.path.starts_with(&temporary), "{nowhere:?}");
    }
}
