//! The invented machine: what happens in a quarter of a second, and the troubles that tie its services together.

use taffrail_record::Timestamp;

use super::random::Random;
use super::{auth, database, kernel, shop, web, worker};

/// How far the world moves at once.
pub(super) const TICK_NS: i64 = Timestamp::SECOND / 4;

/// The machine's name in lines that carry one.
pub(super) const NODE: &str = "web-06";

/// The files of the demo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum File {
    /// Web requests, combined format.
    Access,
    /// sshd and cron, RFC 3339 syslog.
    Auth,
    /// PostgreSQL.
    Database,
    /// A shop, JSON lines.
    Shop,
    /// A job worker that crashes, text with stack traces.
    Worker,
    /// The kernel, RFC 3164 syslog.
    Kernel,
}

impl File {
    /// All of them.
    pub(super) const ALL: [Self; 6] =
        [Self::Access, Self::Auth, Self::Database, Self::Shop, Self::Worker, Self::Kernel];

    /// The file's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Access => "nginx-access.log",
            Self::Auth => "auth.log",
            Self::Database => "postgresql.log",
            Self::Shop => "shop.log",
            Self::Worker => "worker.log",
            Self::Kernel => "kernel.log",
        }
    }
}

/// A line, without its newline; a stack trace is one with newlines in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) file: File,
    pub(super) text: String,
}

/// What one tick has to work with.
pub(super) struct Tick<'a> {
    pub(super) random: &'a mut Random,
    /// Whether the database is in trouble, and with it everything that uses it.
    pub(super) trouble: bool,
    /// Ticks since the world began.
    pub(super) number: u64,
    start: Timestamp,
    lines: &'a mut Vec<(Timestamp, Line)>,
}

impl Tick<'_> {
    /// Moments of `count` events in this tick, in order.
    pub(super) fn moments(&mut self, count: u64) -> Vec<Timestamp> {
        let width = TICK_NS as u64 / count.max(1);
        let moment = |index: u64, random: &mut Random| index * width + random.range(0, width.max(1));
        (0..count).map(|index| Timestamp(self.start.0 + moment(index, self.random) as i64)).collect()
    }

    /// Adds a line that is written at `moment`.
    pub(super) fn line(&mut self, file: File, moment: Timestamp, text: String) {
        self.lines.push((moment, Line { file, text }));
    }
}

/// The invented machine.
pub(super) struct World {
    random: Random,
    now: Timestamp,
    ticks: u64,
    trouble: Episode,
    web: web::Web,
    auth: auth::Auth,
    database: database::Database,
    shop: shop::Shop,
    worker: worker::Worker,
    kernel: kernel::Kernel,
}

impl World {
    /// The world of `seed` from `start` on.
    pub(super) fn new(seed: u64, start: Timestamp) -> Self {
        Self {
            random: Random::new(seed),
            now: start,
            ticks: 0,
            trouble: Episode::new(240, 960, 60, 160),
            web: web::Web::new(),
            auth: auth::Auth::new(),
            database: database::Database,
            shop: shop::Shop,
            worker: worker::Worker::new(),
            kernel: kernel::Kernel::new(),
        }
    }

    /// How far it has come.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Leaves out what happens until `now`.
    pub(super) fn skip_to(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Lets a quarter of a second pass; gives its lines, each file's in order.
    pub(super) fn tick(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let trouble = self.trouble.tick(&mut self.random);
        let (start, number) = (self.now, self.ticks);
        let mut tick = Tick { random: &mut self.random, trouble, number, start, lines: &mut lines };
        self.web.tick(&mut tick);
        self.auth.tick(&mut tick);
        self.database.tick(&mut tick);
        self.shop.tick(&mut tick);
        self.worker.tick(&mut tick);
        self.kernel.tick(&mut tick);
        self.now = Timestamp(self.now.0 + TICK_NS);
        self.ticks += 1;
        lines.sort_by_key(|(moment, _)| *moment);
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

/// Something that is off for a while, then on for a while.
pub(super) struct Episode {
    quiet: (u64, u64),
    active: (u64, u64),
    is_active: bool,
    left: u64,
}

impl Episode {
    /// Off for `quiet_min..quiet_max` ticks, on for `active_min..active_max`; the first comes early.
    pub(super) fn new(quiet_min: u64, quiet_max: u64, active_min: u64, active_max: u64) -> Self {
        let (quiet, active) = ((quiet_min, quiet_max), (active_min, active_max));
        Self { quiet, active, is_active: false, left: quiet_min / 2 }
    }

    /// Lets a tick pass; whether it is on.
    pub(super) fn tick(&mut self, random: &mut Random) -> bool {
        if self.left == 0 {
            self.is_active = !self.is_active;
            let (low, high) = if self.is_active { self.active } else { self.quiet };
            self.left = random.range(low, high);
        }
        self.left -= 1;
        self.is_active
    }

    /// Whether it is on.
    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }
}

/// A moment in UTC in a `strftime` format.
pub(super) fn stamp(moment: Timestamp, format: &str) -> String {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(moment.0));
    moment.map(|moment| moment.strftime(format).to_string()).unwrap_or_default()
}
