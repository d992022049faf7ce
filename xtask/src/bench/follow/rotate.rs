//! The real logrotate under a writer of 50,000 lines a second: what is lost, and what is there twice.

use std::process::Command;

use anyhow::{Result, ensure};
use taffrail_testkit::{Daemon, Ledger, LineWriter, Logrotate, Reopens, numbered_line, wait_until};

use super::{Following, PATIENCE, Report, scratch};
use crate::bench::figure::{Figure, Unit};

const LINES_PER_SECOND: u64 = 50_000;
const ROTATIONS: u64 = 30;
const LINES_PER_ROTATION: u64 = 25_000;

/// How the file is rotated, and how its writer learns of it.
const SETTINGS: [(&str, &str, bool); 4] = [
    ("create", "create", false),
    ("create, compress", "create\ncompress", true),
    ("nocreate, delaycompress", "nocreate\ncompress\ndelaycompress", false),
    ("copytruncate of a resting writer", "copytruncate", true),
];

pub(super) fn measure(following: &Following, report: &mut Report) -> Result<()> {
    for (name, directives, waits) in SETTINGS {
        let ledger = rotate(following, directives, waits)?;
        let wrong = ledger.lost + ledger.doubled + ledger.foreign;
        let name = format!("{ROTATIONS} rotations, {name}: lost or doubled");
        #[expect(clippy::cast_precision_loss, reason = "0, or too many")]
        report.figures.push(Figure::absolute(&name, [0.0, 0.0], wrong as f64, Unit::Lines));
        if wrong > 0 {
            report.note(&name, ledger.to_string());
        }
    }
    Ok(())
}

fn rotate(following: &Following, directives: &str, waits: bool) -> Result<Ledger> {
    let (_scratch, folder) = scratch(following)?;
    let (log, data) = (folder.join("app.log"), folder.join("data"));
    let truncates = directives == "copytruncate";
    let reopens = if truncates { Reopens::Never } else { Reopens::AtOnce };
    let writer = LineWriter::start(&log, &folder.join("asks"), LINES_PER_SECOND, reopens)?;
    let scripts = match (truncates, waits) {
        (true, _) => {
            let [hold, go] = [writer.hold_script(), writer.go_script()];
            format!("prerotate\n{hold}\nendscript\npostrotate\n{go}\nendscript")
        }
        (false, true) => format!("postrotate\n{}\nendscript", writer.reopen_and_wait_script()),
        (false, false) => format!("postrotate\n{}\nendscript", writer.reopen_script()),
    };
    let rotate = Logrotate::new(&folder.join("rotate"), &log, &format!("{directives}\n{scripts}"))?;
    let daemon = Daemon::builder(&following.binary, &data).arg(&log).start()?;
    for _ in 0..ROTATIONS {
        writer.wait_for(writer.written() + LINES_PER_ROTATION)?;
        rotate.force()?;
    }
    writer.wait_for(writer.written() + LINES_PER_ROTATION)?;
    let written = writer.stop()?;
    let last = numbered_line(written - 1);
    let last = format!("SELECT count(*) FROM logs WHERE body = '{}'", last.trim_end());
    let read = wait_until(PATIENCE, || {
        std::thread::sleep(super::ASK_EVERY);
        daemon.sql(&last).is_ok_and(|rows| rows[0][0] == 1)
    });
    ensure!(read, "line {} is not stored within {PATIENCE:?}: {}", written - 1, daemon.stderr());
    daemon.stop()?;
    let mut export = Command::new(&following.binary);
    let export = export.args(["export", "raw", "--data"]).arg(&data).arg("--source").arg(&log).output()?;
    ensure!(export.status.success(), "export: {}", String::from_utf8_lossy(&export.stderr));
    Ok(Ledger::of(&export.stdout, written))
}
