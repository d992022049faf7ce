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

/// Types whose answer is in memory, whatever their device does.
const SURE: [&str; 10] =
    ["btrfs", "devtmpfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "vfat", "xfs"];

/// A filesystem, and what is known of it beside.
#[derive(Clone, Debug, Default)]
pub(super) struct Mounted {
    pub mount: Mount,
    pub key: Key,
    /// Whether it answers at once, whatever happens: its type does, and so do the types of all that its path leads through.
    pub is_sure: bool,
}

/// Which one it is: another one may be mounted at its place later.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Key {
    pub path: String,
    /// The kernel's numbers for the mount and for the device. That of a mount is not given again as long as somebody asks it.
    pub numbers: (u64, String),
}

/// The filesystems that hold files of their own, by path, each once; and how many there are. Not how full they are.
pub(super) fn read(roots: &Roots) -> Result<(Vec<Mounted>, usize)> {
    let (_, filesystems) = roots.proc("filesystems")?;
    let on_devices: HashSet<&str> =
        filesystems.lines().filter(|line| !line.starts_with("nodev")).map(str::trim).collect();
    let (_, text) = roots.proc("self/mountinfo")?;
    // What is mounted last over a place is what is found there.
    let (mut by_path, mut is_sure) = (HashMap::new(), HashMap::new());
    for line in text.lines().filter_map(Line::read) {
        is_sure.insert(line.path.clone(), SURE.contains(&line.kind));
        let path = line.path.clone();
        match line.mount(&on_devices) {
            Some(mount) => by_path.insert(path, mount),
            None => by_path.remove(&path),
        };
    }
    // One filesystem may be at many places: it is told of at the shortest path, as `df` does.
    let mut all: Vec<Mounted> = by_path.into_values().collect();
    all.sort_by(|a, b| (a.key.path.len(), &a.key.path).cmp(&(b.key.path.len(), &b.key.path)));
    let mut known = HashSet::new();
    all.retain(|one| known.insert(one.key.numbers.1.clone()));
    let count = all.len();
    all.truncate(MOUNTS_MAX);
    for one in &mut all {
        one.is_sure = above(&one.key.path).all(|path| is_sure.get(path).copied().unwrap_or(true));
    }
    all.sort_by(|a, b| a.key.path.cmp(&b.key.path));
    Ok((all, count))
}

/// All paths that lead to one, itself too.
fn above(path: &str) -> impl Iterator<Item = &str> {
    let folders = path.match_indices('/').map(|(at, _)| if at == 0 { "/" } else { &path[..at] });
    folders.chain([path])
}

/// A line of the file.
struct Line<'a> {
    id: u64,
    device_number: &'a str,
    path: String,
    is_read_only: bool,
    kind: &'a str,
    device: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ');
        let (id, device_number) = (left.next()?.parse().ok()?, left.nth(1)?);
        let path = unescape(left.nth(1)?);
        let is_read_only = left.next()?.split(',').any(|option| option == "ro");
        let mut right = right.split(' ');
        let (kind, device) = (right.next()?, right.next()?);
        Some(Self { id, device_number, path, is_read_only, kind, device })
    }

    /// `None` if it has no files of its own.
    fn mount(self, on_devices: &HashSet<&str>) -> Option<Mounted> {
        let Self { id, device_number, path, is_read_only, kind, device } = self;
        let place = place(kind, &path, on_devices)?;
        let (kind, device) = (kind.to_owned(), unescape(device));
        let key = Key { path: path.clone(), numbers: (id, device_number.to_owned()) };
        let mount = Mount { path, device, kind, place, is_read_only, usage: None };
        Some(Mounted { mount, key, is_sure: false })
    }
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
        let tell = |Mounted { mount, .. }: &Mounted| (mount.path.clone(), mount.place, mount.is_read_only);
        let seen: Vec<_> = mounts.iter().map(tell).collect();
        let want = [
            ("/", Place::Device, false),
            ("/home/me/far", Place::Network, false),
            ("/mnt/nfs", Place::Network, false),
            ("/mnt/with blank\\", Place::Device, true),
            ("/tmp", Place::Memory, false),
        ];
        let want = want.map(|(path, place, is_read_only)| (path.to_owned(), place, is_read_only));
        assert_eq!((seen.as_slice(), count), (&want[..], 5));
        let many: String =
            (0..10_000).map(|n| format!("{n} 1 9:{n} / /m/{n:05} rw - ext4 /dev/x{n} rw\n")).collect();
        fs_err::write(folder.path().join("self/mountinfo"), many).unwrap();
        let (mounts, count) = read(&roots).unwrap();
        assert_eq!((mounts.len(), count, mounts[999].key.path.as_str()), (1_000, 10_000, "/m/00999"));
    }

    #[test]
    fn only_what_is_below_nothing_that_hangs_is_sure() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { proc: folder.path().to_owned(), ..Roots::default() };
        fs_err::create_dir(folder.path().join("self")).unwrap();
        fs_err::write(folder.path().join("filesystems"), "\text4\n\txfs\n").unwrap();
        let lines = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
            2 1 8:2 / /srv rw - xfs /dev/b rw\n\
            3 1 0:40 / /far rw - nfs server:/ rw\n\
            4 3 8:3 / /far/near rw - ext4 /dev/c rw\n\
            5 4 8:4 / /far/near/er rw - ext4 /dev/d rw\n\
            6 1 8:5 / /farther rw - ext4 /dev/e rw\n\
            7 1 0:41 / /auto rw - autofs systemd-1 rw\n\
            8 7 8:6 / /auto/disk rw - ext4 /dev/f rw\n";
        fs_err::write(folder.path().join("self/mountinfo"), lines).unwrap();
        let (mounts, _) = read(&roots).unwrap();
        let sure: Vec<_> = mounts.iter().filter(|one| one.is_sure).map(|one| one.key.path.as_str()).collect();
        assert_eq!(sure, ["/", "/farther", "/srv"]);
        let numbers: Vec<_> = mounts.iter().map(|one| one.key.numbers.clone()).collect();
        assert_eq!(numbers[1], (8, "8:6".to_owned()), "{numbers:?}");
        assert_eq!(above("/a/bc").collect::<Vec<_>>(), ["/", "/a", "/a/bc"]);
    }
}
