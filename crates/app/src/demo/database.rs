//! PostgreSQL: checkpoints, slow statements, and deadlocks while it is in trouble.

use super::world::{File, Tick, stamp};

const STATEMENTS: [&str; 5] = [
    "SELECT * FROM orders WHERE customer_id = 4711 ORDER BY created_at DESC LIMIT 20",
    "SELECT p.*, s.amount FROM products p JOIN stock s ON s.product_id = p.id WHERE p.name ILIKE '%lantern%'",
    "UPDATE stock SET amount = amount - 1 WHERE product_id = 42",
    "INSERT INTO events (kind, payload) VALUES ('cart', '{\"items\": 3}')",
    "SELECT count(*) FROM sessions WHERE last_seen > now() - interval '5 minutes'",
];

/// How it writes a time.
const TIME: &str = "%Y-%m-%d %H:%M:%S.%3f UTC";

/// The database.
pub(super) struct Database;

impl Database {
    pub(super) fn tick(&mut self, tick: &mut Tick<'_>) {
        let slow = if tick.trouble { 500 } else { 60 };
        let count = tick.random.count(slow);
        for moment in tick.moments(count) {
            let time = stamp(moment, TIME);
            let pid = tick.random.range(3_100, 3_140);
            if tick.trouble && tick.random.chance(180) {
                let other = tick.random.range(3_100, 3_140);
                tick.line(File::Database, moment, deadlock(&time, pid, other));
                continue;
            }
            let usual = if tick.trouble { 4_000 } else { 400 };
            let (milliseconds, fraction) = (tick.random.latency(usual), tick.random.range(0, 1000));
            let statement = tick.random.pick(&STATEMENTS);
            let text = format!(
                "{time} [{pid}] app@shop LOG:  duration: {milliseconds}.{fraction:03} ms  statement: {statement}"
            );
            tick.line(File::Database, moment, text);
        }
        if tick.trouble && tick.random.chance(40) {
            let moment = tick.moments(1)[0];
            let time = stamp(moment, TIME);
            tick.line(
                File::Database,
                moment,
                format!("{time} [3099] app@shop FATAL:  sorry, too many clients already"),
            );
        }
        if tick.number % 240 == 120 {
            let moment = tick.moments(1)[0];
            let time = stamp(moment, TIME);
            let buffers = tick.random.range(40, 2_400);
            tick.line(File::Database, moment, format!("{time} [812] LOG:  checkpoint complete: wrote {buffers} buffers (0.8%); 0 WAL file(s) added"));
        }
    }
}

fn deadlock(time: &str, pid: u64, other: u64) -> String {
    format!(
        "{time} [{pid}] app@shop ERROR:  deadlock detected\n\
         {time} [{pid}] app@shop DETAIL:  Process {pid} waits for ShareLock on transaction 99182; blocked by process {other}.\n\
         {time} [{pid}] app@shop HINT:  See server log for query details.\n\
         {time} [{pid}] app@shop STATEMENT:  UPDATE stock SET amount = amount - 1 WHERE product_id = 42"
    )
}
