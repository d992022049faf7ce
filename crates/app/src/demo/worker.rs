//! The worker: jobs, and every few minutes a crash with a stack trace, then a restart.

use taffrail_record::Timestamp;

use super::random::Random;
use super::world::{File, Tick, stamp};

const JOBS: [&str; 5] = ["send-invoice", "resize-image", "sync-stock", "export-report", "expire-carts"];
const PYTHON: &str = "Traceback (most recent call last):\n  \
      File \"/srv/worker/main.py\", line 88, in run\n    \
        job.perform()\n  \
      File \"/srv/worker/jobs/report.py\", line 41, in perform\n    \
        total = sum(row[\"amount\"] for row in rows)\n\
    TypeError: unsupported operand type(s) for +: 'int' and 'NoneType'";
const JAVA: &str = "java.lang.OutOfMemoryError: Java heap space\n\
    \tat java.base/java.util.Arrays.copyOf(Arrays.java:3537)\n\
    \tat com.example.worker.ImageResizer.load(ImageResizer.java:52)\n\
    \tat com.example.worker.Worker.run(Worker.java:140)\n\
    \tat java.base/java.lang.Thread.run(Thread.java:1583)";

/// Ticks that it stays down after a crash.
const DOWN_TICKS: u64 = 20;

/// The worker.
pub(super) struct Worker {
    until_crash: u64,
    down: u64,
    job: u64,
}

impl Worker {
    pub(super) fn new() -> Self {
        Self { until_crash: 200, down: 0, job: 90_211 }
    }

    pub(super) fn tick(&mut self, tick: &mut Tick<'_>) {
        if self.down > 0 {
            self.down -= 1;
            if self.down == 0 {
                self.started(tick);
            }
            return;
        }
        if self.until_crash == 0 {
            return self.crash(tick);
        }
        self.until_crash -= 1;
        let count = tick.random.count(300);
        for moment in tick.moments(count) {
            self.job(moment, tick);
        }
    }

    fn job(&mut self, moment: Timestamp, tick: &mut Tick<'_>) {
        self.job += 1;
        let (job, kind) = (self.job, tick.random.pick(&JOBS));
        let text = if tick.trouble && tick.random.chance(350) {
            line(
                moment,
                "WARNING",
                &format!("job {job} {kind} failed, attempt 1 of 3: connection to database lost"),
            )
        } else {
            let milliseconds = tick.random.latency(180);
            line(moment, "INFO", &format!("job {job} {kind} done in {milliseconds} ms"))
        };
        tick.line(File::Worker, moment, text);
    }

    fn crash(&mut self, tick: &mut Tick<'_>) {
        self.down = DOWN_TICKS;
        self.until_crash = tick.random.range(480, 1_400);
        let moments = tick.moments(2);
        let (failed, stack) = crash_of(tick.random, self.job);
        tick.line(File::Worker, moments[0], format!("{}\n{stack}", line(moments[0], "ERROR", &failed)));
        tick.line(File::Worker, moments[1], line(moments[1], "CRITICAL", "worker stopped, exit status 1"));
    }

    fn started(&mut self, tick: &mut Tick<'_>) {
        let moments = tick.moments(2);
        let waiting = tick.random.range(3, 80);
        tick.line(File::Worker, moments[0], line(moments[0], "INFO", "worker 4.2.1 starting"));
        tick.line(
            File::Worker,
            moments[1],
            line(moments[1], "INFO", &format!("connected to queue, {waiting} jobs waiting")),
        );
    }
}

fn crash_of(random: &mut Random, job: u64) -> (String, &'static str) {
    if random.chance(500) {
        (format!("job {job} export-report crashed"), PYTHON)
    } else {
        (format!("job {job} resize-image crashed"), JAVA)
    }
}

fn line(moment: Timestamp, level: &str, text: &str) -> String {
    format!("{} - {level} - worker - {text}", stamp(moment, "%Y-%m-%d %H:%M:%S,%3f"))
}
