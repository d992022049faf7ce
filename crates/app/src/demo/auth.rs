//! sshd and cron: people who log in, and one address that tries passwords.

use taffrail_record::Timestamp;

use super::random::Random;
use super::world::{Episode, File, NODE, Tick, stamp};

const PEOPLE: [&str; 4] = ["alice", "bob", "deploy", "backup"];
const GUESSED: [&str; 10] =
    ["root", "admin", "test", "oracle", "postgres", "ubuntu", "git", "ftpuser", "pi", "support"];

/// The log of who comes in.
pub(super) struct Auth {
    attack: Episode,
    attacker: String,
    pid: u64,
}

impl Auth {
    pub(super) fn new() -> Self {
        Self { attack: Episode::new(600, 2_400, 100, 300), attacker: String::new(), pid: 20_400 }
    }

    pub(super) fn tick(&mut self, tick: &mut Tick<'_>) {
        let was_attacked = self.attack.is_active();
        let attacked = self.attack.tick(tick.random);
        if attacked && !was_attacked {
            self.attacker = format!("192.0.2.{}", tick.random.range(10, 240));
        }
        let guesses = if attacked { tick.random.count(700) } else { 0 };
        for moment in tick.moments(guesses) {
            self.guess(moment, tick);
        }
        if tick.random.chance(12) {
            self.login(tick);
        }
        if tick.number.is_multiple_of(240) {
            self.cron(tick);
        }
    }

    fn guess(&mut self, moment: Timestamp, tick: &mut Tick<'_>) {
        self.pid += tick.random.range(1, 4);
        let (user, port) = (tick.random.pick(&GUESSED), tick.random.range(32_768, 60_999));
        let attacker = &self.attacker;
        let text = match tick.random.range(0, 10) {
            0..=5 if user == "root" => format!("Failed password for root from {attacker} port {port} ssh2"),
            0..=5 => format!("Failed password for invalid user {user} from {attacker} port {port} ssh2"),
            6 | 7 => format!("Invalid user {user} from {attacker} port {port}"),
            8 => format!("Connection closed by authenticating user root {attacker} port {port} [preauth]"),
            _ => format!(
                "error: maximum authentication attempts exceeded for {user} from {attacker} port {port} ssh2 [preauth]"
            ),
        };
        tick.line(File::Auth, moment, line(moment, "sshd", self.pid, &text));
    }

    fn login(&mut self, tick: &mut Tick<'_>) {
        self.pid += tick.random.range(1, 9);
        let user = tick.random.pick(&PEOPLE);
        let (address, port) = (tick.random.range(2, 60), tick.random.range(32_768, 60_999));
        let key = fingerprint(tick.random);
        let texts = [
            format!(
                "Accepted publickey for {user} from 203.0.113.{address} port {port} ssh2: ED25519 SHA256:{key}"
            ),
            format!("pam_unix(sshd:session): session opened for user {user}(uid=1000) by {user}(uid=0)"),
        ];
        for (moment, text) in tick.moments(2).into_iter().zip(texts) {
            tick.line(File::Auth, moment, line(moment, "sshd", self.pid, &text));
        }
    }

    fn cron(&mut self, tick: &mut Tick<'_>) {
        self.pid += tick.random.range(1, 9);
        let moment = tick.moments(1)[0];
        tick.line(
            File::Auth,
            moment,
            line(
                moment,
                "CRON",
                self.pid,
                "pam_unix(cron:session): session opened for user root(uid=0) by root(uid=0)",
            ),
        );
    }
}

fn line(moment: Timestamp, program: &str, pid: u64, text: &str) -> String {
    format!("{} {NODE} {program}[{pid}]: {text}", stamp(moment, "%Y-%m-%dT%H:%M:%S.%6f+00:00"))
}

fn fingerprint(random: &mut Random) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..43).map(|_| char::from(LETTERS[random.range(0, 64) as usize])).collect()
}
