//! Network namespaces whose link loses a fifth of all packets.

use std::io::Write as _;
use std::process::{Command, Stdio};

use taffrail_testkit::skip;

const RULES: &str = "table inet loss {
    chain in {
        type filter hook input priority 0;
        iifname != \"lo\" numgen random mod 100 < 20 counter drop
    }
    chain out {
        type filter hook output priority 0;
        oifname != \"lo\" numgen random mod 100 < 20 counter drop
    }
}
";

/// A namespace, gone when dropped.
pub(super) struct Lossy {
    pub name: String,
    /// The address of this side of the link.
    pub here: String,
}

impl Lossy {
    /// `None` where that may not be made, which is said.
    pub(super) fn new(number: u32, test: &str) -> Option<Self> {
        let pid = std::process::id();
        let name = format!("tf{pid}n{number}");
        let (ours, theirs) = (format!("tf{pid}h{number}"), format!("tf{pid}g{number}"));
        // A network of four addresses out of those for private use.
        let block = (pid * 4 + number * 2_048 * 4) % 65_536;
        let address = |last: u32| format!("10.199.{}.{}", block / 256, block % 256 + last);
        let (here, there) = (address(1), address(2));
        let lossy = Self { name: name.clone(), here: here.clone() };
        let made = ip(&["netns", "add", &name])
            && ip(&["link", "add", &ours, "type", "veth", "peer", "name", &theirs, "netns", &name])
            && ip(&["addr", "add", &format!("{here}/30"), "dev", &ours])
            && ip(&["link", "set", &ours, "up"])
            && ip(&["-n", &name, "link", "set", "lo", "up"])
            && ip(&["-n", &name, "addr", "add", &format!("{there}/30"), "dev", &theirs])
            && ip(&["-n", &name, "link", "set", &theirs, "up"])
            && lossy.rule();
        if !made {
            skip(test, "network namespaces and nft need root and a kernel with both");
            return None;
        }
        Some(lossy)
    }

    fn rule(&self) -> bool {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "nft", "-f", "-"]).stdin(Stdio::piped());
        let Ok(mut child) = command.stderr(Stdio::null()).spawn() else { return false };
        let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(RULES.as_bytes()).is_ok());
        child.wait().is_ok_and(|status| written && status.success())
    }

    /// Packets that were lost.
    pub(super) fn lost(&self) -> u64 {
        let output =
            Command::new("ip").args(["netns", "exec", &self.name, "nft", "list", "ruleset"]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let counts = text
            .lines()
            .filter_map(|line| line.split("packets ").nth(1)?.split(' ').next()?.parse::<u64>().ok());
        counts.sum()
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        // The link goes with it.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    let status = Command::new("ip").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
