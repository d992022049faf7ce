//! The real `logrotate`, run by hand over one file.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;

/// Where Debian puts it; not in the search path of all users.
const PROGRAM: &str = "/usr/sbin/logrotate";

/// A config and a state file in a folder of their own.
#[derive(Debug)]
pub struct Logrotate {
    config: PathBuf,
    state: PathBuf,
}

impl Logrotate {
    /// Rotates `log` as `directives` say, one a line; up to 100 old files are kept.
    ///
    /// # Errors
    /// If `folder` cannot be made or written to.
    pub fn new(folder: &Path, log: &Path, directives: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let (config, state) = (folder.join("logrotate.conf"), folder.join("logrotate.state"));
        fs::write(&config, format!("\"{}\" {{\nrotate 100\nmissingok\n{directives}\n}}\n", log.display()))?;
        // It refuses a config that others could write.
        fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644))?;
        Ok(Self { config, state })
    }

    /// Rotates now.
    ///
    /// # Errors
    /// If it is not installed, or fails: then with what it says.
    pub fn force(&self) -> io::Result<()> {
        let program = if Path::new(PROGRAM).exists() { OsStr::new(PROGRAM) } else { OsStr::new("logrotate") };
        let mut command = Command::new(program);
        command.arg("-f").arg("-s").arg(&self.state).arg(&self.config).stdin(Stdio::null());
        let output = command.output().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start logrotate ({error}): is it installed?"))
        })?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(io::Error::other(format!("logrotate ended with {}: {said}", output.status)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    #[test]
    fn rotates_and_says_what_is_wrong() {
        let scratch = Scratch::new().unwrap();
        let log = scratch.write("logs/a.log", "one\n").unwrap();
        let rotate =
            Logrotate::new(&scratch.join("rotate"), &log, "create\ncompress\ndelaycompress").unwrap();
        rotate.force().unwrap();
        assert_eq!(
            (scratch.read("logs/a.log.1").unwrap(), scratch.read("logs/a.log").unwrap()),
            (b"one\n".to_vec(), vec![])
        );
        rotate.force().unwrap();
        assert!(scratch.join("logs/a.log.2.gz").exists());
        let script = "create\npostrotate\nexit 3\nendscript";
        let wrong = Logrotate::new(&scratch.join("rotate"), &log, script).unwrap();
        assert!(wrong.force().is_err());
    }
}
