//! Units of systemd that have failed: what `systemctl` says, asked once a minute by a thread that nobody waits for.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(60);
/// Units that are told of.
const UNITS_MAX: usize = 1_000;
/// It is there while systemd runs.
const SIGN: &str = "/run/systemd/system";
const STACK_BYTES: usize = 64 << 10;

/// Knows the failed units.
#[derive(Debug, Default)]
pub(super) struct Units(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// When it was last asked.
    asked: Option<Instant>,
    /// Whether it has not answered yet.
    is_asked: bool,
    failed: Option<Vec<String>>,
}

impl Units {
    /// What it said last; `None` if it never did.
    pub(super) fn failed(&self) -> Option<Vec<String>> {
        let mut known = lock(&self.0);
        if !known.is_asked && known.asked.is_none_or(|asked| asked.elapsed() >= EVERY) {
            known.asked = Some(Instant::now());
            known.is_asked = Path::new(SIGN).exists() && self.ask();
        }
        known.failed.clone()
    }

    fn ask(&self) -> bool {
        let known = Arc::clone(&self.0);
        let run = move || {
            let failed = ask();
            let mut known = lock(&known);
            known.is_asked = false;
            known.failed = failed;
        };
        thread::Builder::new().name("units".to_owned()).stack_size(STACK_BYTES).spawn(run).is_ok()
    }
}

/// Its own time limit ends it where systemd does not answer.
fn ask() -> Option<Vec<String>> {
    let arguments = ["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"];
    let mut command = Command::new("systemctl");
    let answer = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let names = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
    answer.status.success().then(|| names.take(UNITS_MAX).map(str::to_owned).collect())
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
