//! Filesystems: `/proc/self/mountinfo`, see `proc_pid_mountinfo(5)`.

use std::collections::{HashMap, HashSet};

use taffrail_record::sample::{Mount, Place};

use crate::roots::{Result, Roots};

/// Filesystems that are told of.
const MOUNTS_MAX: usize = 1_000;
/// Types that are on no device and on another machine, beside those that user programs bring.
const NETWORK: [&str; 12] =
    ["9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "smb3"];
/// Types that are on a device and say nothing by being full, because they always are.
const FULL: [&str; 4] = ["cramfs", "erofs", "iso9660", "squashfs"];
/// Types that user programs bring and that have no files of their own.
const SERVICES: [&str; 4] = ["fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse"];
/// Where filesystems in memory are the system's own.
const SYSTEM: [&str; 5] = ["/dev", "/proc", "/sys", "/run/credentials", "/run/user"];

/// The filesystems that hold files of their own, by path, each once; and how many there are. Not how full they are.
pub(super) fn read(roots: &Roots) -> Result<(Vec<Mount>, usize)> {
    let (_, filesystems) = roots.proc("filesystems")?;
    let on_devices: HashSet<&str> =
        filesystems.lines().filter(|line| !line.starts_with("nodev")).map(str::trim).collect();
    let (_, text) = roots.proc("self/mountinfo")?;
    // What is mounted last over a place is what is found there.
    let mut by_path = HashMap::new();
    for line in text.lines() {
        if let Some((device, mount)) = mount(line, &on_devices) {
            by_path.insert(mount.path.clone(), (device, mount));
        } else if let Some(path) = line.split(' ').nth(4) {
            by_path.remove(&unescape(path));
        }
    }
    // One filesystem may be at many places: it is told of at the shortest path, as `df` does.
    let mut all: Vec<(&str, Mount)> = by_path.into_values().collect();
    all.sort_by(|(_, a), (_, b)| a.path.len().cmp(&b.path.len()).then_with(|| a.path.cmp(&b.path)));
    let mut known = HashSet::new();
    all.retain(|(device, _)| known.insert(*device));
    let count = all.len();
    all.truncate(MOUNTS_MAX);
    let mut mounts: Vec<Mount> = all.into_iter().map(|(_, mount)| mount).collect();
    mounts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((mounts, count))
}

/// A line's device number and filesystem; `None` if it has no files of its own.
fn mount<'a>(line: &'a str, on_devices: &HashSet<&str>) -> Option<(&'a str, Mount)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let (number, path) = (left.next()?, unescape(left.nth(1)?));
    let is_read_only = left.next()?.split(',').any(|option| option == "ro");
    let mut right = right.split(' ');
    let (kind, device) = (right.next()?.to_owned(), unescape(right.next()?));
    let place = place(&kind, &path, on_devices)?;
    Some((number, Mount { path, device, kind, place, is_read_only, usage: None }))
}

fn place(kind: &str, path: &str, on_devices: &HashSet<&str>) -> Option<Place> {
    let is_below = |folder: &&str| {
        path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if FULL.contains(&kind) || SERVICES.contains(&kind) {
        None
    } else if on_devices.contains(kind) || kind == "zfs" {
        Some(Place::Device)
    } else if NETWORK.contains(&kind) || kind.starts_with("fuse.") {
        Some(Place::Network)
    } else if path == "/" {
        // A container's own.
        Some(Place::Device)
    } else if kind == "tmpfs" && !SYSTEM.iter().any(is_below) {
        Some(Place::Memory)
    } else {
        None
    }
}

/// A path as the kernel writes it: blanks, tabs, line feeds and backslashes as `\040`.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) if *byte == b'\\' => {
                out.push(code);
                rest = &after[3..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filesystems_are_told_of_once_and_only_where_files_are() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { proc: folder.path().to_owned(), ..Roots::default() };
        fs_err::create_dir(folder.path().join("self")).unwrap();
        fs_err::write(folder.path().join("filesystems"), "nodev\tproc\nnodev\ttmpfs\n\text4\n\tsquashfs\n")
            .unwrap();
        let lines = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            30 27 8:1 /srv/data /srv/bound rw - ext4 /dev/sda1 rw\n\
            31 27 8:17 / /mnt/with\\040blank\\134 ro,noatime shared:2 master:1 - ext4 /dev/sdb1 ro\n\
            32 27 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro\n\
            33 27 0:40 / /mnt/nfs rw - nfs4 server:/export rw\n\
            34 27 0:41 / /tmp rw - tmpfs tmpfs rw\n\
            35 27 0:42 / /dev/shm rw - tmpfs tmpfs rw\n\
            36 27 8:33 / /hidden rw - ext4 /dev/sdc1 rw\n\
            37 36 0:43 / /hidden rw - autofs systemd-1 rw\n\
            38 27 0:44 / /home/me/far rw - fuse.sshfs me@far: rw\n\
            no line\n";
        fs_err::write(folder.path().join("self/mountinfo"), lines).unwrap();
        let (mounts, count) = read(&roots).unwrap();
        let seen: Vec<_> =
            mounts.iter().map(|mount| (mount.path.as_str(), mount.place, mount.is_read_only)).collect();
        let want = [
            ("/", Place::Device, false),
            ("/home/me/far", Place::Network, false),
            ("/mnt/nfs", Place::Network, false),
            ("/mnt/with blank\\", Place::Device, true),
            ("/tmp", Place::Memory, false),
        ];
        assert_eq!((seen.as_slice(), count), (&want[..], 5));
        let many: String =
            (0..10_000).map(|n| format!("{n} 1 9:{n} / /m/{n:05} rw - ext4 /dev/x{n} rw\n")).collect();
        fs_err::write(folder.path().join("self/mountinfo"), many).unwrap();
        let (mounts, count) = read(&roots).unwrap();
        assert_eq!((mounts.len(), count, mounts[999].path.as_str()), (1_000, 10_000, "/m/00999"));
    }
}
