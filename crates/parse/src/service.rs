//! The service that a file's path suggests.

use crate::container;
use crate::draft::Known;

/// Bytes that a service name takes at most.
const LEN_MAX: usize = 128;
/// Stems that say what kind of log it is, not whose.
const GENERIC: [&str; 17] = [
    "access",
    "error",
    "errors",
    "output",
    "out",
    "err",
    "log",
    "logs",
    "current",
    "stdout",
    "stderr",
    "0",
    "messages",
    "message",
    "access_log",
    "error_log",
    "other_vhosts_access",
];
/// Folders that hold logs of many services.
const SHARED_FOLDERS: [&str; 7] = ["log", "logs", "var", "tmp", "home", "root", "opt"];
const EXTENSIONS: [&str; 14] = [
    ".gz", ".zst", ".xz", ".bz2", ".lz4", ".log", ".txt", ".out", ".err", ".json", ".jsonl", ".ndjson",
    ".old", ".bak",
];

/// The service name for a source: the file's name without rotation numbers, dates and extensions, or its
/// folder's name where the file's says nothing. At most 128 bytes.
pub fn service_from_path(path: &str) -> String {
    if let Some((_, container)) = container::labels(path).iter().find(|(known, _)| *known == Known::Container)
    {
        return container.clone();
    }
    let path = path.trim_end_matches('/');
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = stem(file);
    let folder = folders.rsplit('/').next().unwrap_or_default();
    let generic = GENERIC.contains(&stem);
    let name = if generic && !folder.is_empty() && !SHARED_FOLDERS.contains(&folder) { folder } else { stem };
    let mut end = name.len().min(LEN_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

fn stem(file: &str) -> &str {
    let mut stem = file;
    loop {
        let shorter = without_suffix(stem);
        if shorter.is_empty() || shorter == stem {
            return stem;
        }
        stem = shorter;
    }
}

/// `name` without its last extension, rotation number or date.
fn without_suffix(name: &str) -> &str {
    if let Some(shorter) = EXTENSIONS.iter().find_map(|extension| name.strip_suffix(extension)) {
        return shorter;
    }
    let tail = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let (head, suffix) = (tail.trim_end_matches(['.', '-', '_']), &name[tail.len()..]);
    let digits = suffix.bytes().filter(u8::is_ascii_digit).count();
    let rotation = tail.ends_with('.') && suffix.len() == digits && (1..=3).contains(&digits);
    if rotation || is_date(suffix.trim_start_matches('-')) { head } else { name }
}

/// `20261120`, `2026-11-20`, `20261120-153000`, `2026-11-20-15`, or seconds since 1970.
fn is_date(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let starts = text.starts_with("20") || text.starts_with("1");
    starts && matches!(digits, 8 | 10 | 12 | 14)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_program_behind_a_file() {
        for (path, want) in [
            ("/var/log/nginx/access.log", "nginx"),
            ("/var/log/apache2/error.log.2.gz", "apache2"),
            ("/tmp/my-agent.log", "my-agent"),
            ("/var/log/auth.log.1", "auth"),
            ("/var/log/auth.log-20261120", "auth"),
            ("/var/log/auth.log-20261120.gz", "auth"),
            ("/var/log/app-2026-11-20.log", "app"),
            ("/var/log/web-06.log", "web-06"),
            ("/var/log/Xorg.0.log", "Xorg"),
            ("/var/log/messages", "messages"),
            ("/var/log/error.log", "error"),
            ("/var/log/pods/ns_pod_uid/api/0.log", "api"),
            (
                "/var/log/containers/cart-7d_shop_app-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.log",
                "app",
            ),
            ("/etc/sv/dns/log/main/current", "main"),
            ("/var/log/postgresql/postgresql-17-main.log", "postgresql-17-main"),
            ("syslog-udp", "syslog-udp"),
            (".log", ".log"),
            ("", ""),
            ("/", ""),
        ] {
            assert_eq!(service_from_path(path), want, "{path}");
        }
        assert_eq!(service_from_path(&"é".repeat(100)).len(), 128);
    }
}
