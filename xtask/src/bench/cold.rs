//! How long a stranger waits: `make run` on a fresh copy of the checkout until the page answers.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process_group};
use taffrail_testkit::{Client, Scratch};

use super::figure::{Figure, Unit};
use super::say;
use crate::workspace::root;

const GIVE_UP: Duration = Duration::from_secs(60 * 60);

pub(super) fn measure(folder: &Path) -> Result<Figure> {
    let scratch = Scratch::inside(folder)?;
    let checkout = scratch.join("checkout");
    copy_checkout(&checkout)?;
    let log = scratch.write("followed.log", "")?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let arguments =
        format!("ARGS=--data {} --listen {address} {}", scratch.join("data").display(), log.display());
    say("cold make run; this takes minutes");
    let start = Instant::now();
    let mut child = Command::new("make")
        .args(["run", &arguments])
        .current_dir(&checkout)
        .env("XDG_CACHE_HOME", scratch.join("cache"))
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .context("start make")?;
    let answered = wait_for_page(&mut child, address, start);
    let taken = start.elapsed();
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("process id")?;
    kill_process_group(group, Signal::TERM).ok();
    child.wait()?;
    answered?;
    let minutes = taken.as_secs_f64() / 60.0;
    Ok(Figure::absolute("cold make run until the page answers", [12.0, 8.0], minutes, Unit::Minutes))
}

fn wait_for_page(child: &mut Child, address: SocketAddr, start: Instant) -> Result<()> {
    while start.elapsed() < GIVE_UP {
        if let Some(status) = child.try_wait()? {
            bail!("make run ended with {status} before the page answered");
        }
        if Client::new(address).get("/").is_ok_and(|page| page.status == 200) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("the page did not answer within {GIVE_UP:?}")
}

/// What git knows or would add, without what is built.
fn copy_checkout(to: &Path) -> Result<()> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(listing).current_dir(root()).output().context("start git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    for name in String::from_utf8(output.stdout)?.split_terminator('\0') {
        let (from, to) = (root().join(name), to.join(name));
        if !from.is_file() {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file stands in a folder")?)?;
        fs::copy(&from, &to)?;
    }
    Ok(())
}
