//! A small disk in memory for a daemon's data. Mounting it takes root.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fs_err as fs;
use taffrail_testkit::skip;

use crate::program::Site;

/// A filesystem of its own, gone when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounted at the site's data directory; `None` where this user may not mount, which is said.
    pub(crate) fn mount(site: &Site, mebibytes: u32, test: &str) -> Option<Self> {
        let path = site.data();
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "taffrail-test"]).arg(&path);
        if mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        skip(test, "no tmpfs can be mounted here (not root?)");
        None
    }

    pub(crate) fn resize(&self, mebibytes: u32) {
        let mut mount = Command::new("mount");
        let size = format!("remount,size={mebibytes}m");
        assert!(mount.args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }

    /// Takes all that is free, with a file that can be removed; again also what has become free since.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut ballast = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        while ballast.write_all(&[7; 4_096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
