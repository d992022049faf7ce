//! Writes a log corpus for benchmarks: what a dozen nodes of a web shop say, stamped as rsyslog stamps it.
//!
//! The same arguments always write the same bytes. Time runs forward from 2026-11-01 by 0 to 40 ms a line; four
//! of ten lines are web accesses; every hole of a message gets a fresh value, so that neither a compressor nor
//! an index meets the same line twice.

mod access;
mod random;
mod services;
mod template;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs_err as fs;
use taffrail_record::{Civil, Timestamp};

use access::Access;
pub(crate) use random::Random;
use template::{Pool, Template, push_number, push_padded};

/// The word that `--needle` hides in exactly one line, at 61% of the corpus.
pub(crate) const NEEDLE: &str = "needle-5f1c9e77a2";
/// 2026-11-01T00:00:00Z in milliseconds since 1970.
const START_MS: u64 = 1_793_491_200_000;

/// `cargo xtask corpus`
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Lines to write
    #[arg(long, default_value_t = 4_000_000)]
    pub(crate) lines: u64,
    /// File to write
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Another seed, another corpus
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Hide the word needle-5f1c9e77a2 in one line
    #[arg(long)]
    pub(crate) needle: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let file = fs::File::create(&arguments.out)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(arguments, &mut out).with_context(|| format!("write {}", arguments.out.display()))
}

/// Makes the corpus of these arguments unless a file of an earlier run is there whole: it is written under
/// another name first.
pub(crate) fn ensure(path: &Path, lines: u64) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension("unfinished");
    run(&Arguments { lines, out: unfinished.clone(), seed: 1, needle: true })?;
    fs::rename(unfinished, path)?;
    Ok(())
}

fn write(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    let mut generator = Generator::new(arguments.seed)?;
    let needle_at = arguments.needle.then_some(arguments.lines * 61 / 100);
    let mut line = Vec::with_capacity(512);
    for index in 0..arguments.lines {
        line.clear();
        generator.fill_line(&mut line);
        if needle_at == Some(index) {
            line.extend_from_slice(b" trace=");
            line.extend_from_slice(NEEDLE.as_bytes());
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    out.flush()?;
    Ok(())
}

/// Makes lines for ever.
pub(crate) struct Generator {
    random: Random,
    pool: Pool,
    access: Access,
    messages: Vec<(&'static str, Template)>,
    /// Indexes into `messages`, each as often as its weight says.
    draws: Vec<u16>,
    stamp: Stamp,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        let pool = Pool::new(&mut random);
        let (mut messages, mut draws) = (Vec::new(), Vec::new());
        for (service, weighted) in services::SERVICES {
            for (weight, pattern) in *weighted {
                draws.extend(std::iter::repeat_n(u16::try_from(messages.len())?, usize::try_from(*weight)?));
                messages.push((*service, Template::new(pattern)?));
            }
        }
        Ok(Self { random, pool, access: Access::new()?, messages, draws, stamp: Stamp::new(START_MS) })
    }

    /// Adds the next line, without its end.
    pub(crate) fn fill_line(&mut self, line: &mut Vec<u8>) {
        let random = &mut self.random;
        self.stamp.advance(random.below(41));
        self.stamp.fill(line);
        line.push(b' ');
        line.extend_from_slice(random.pick(&self.pool.nodes).as_bytes());
        line.push(b' ');
        let is_access = random.below(10) < 4;
        let (service, message) = &self.messages[usize::from(*random.pick(&self.draws))];
        line.extend_from_slice(if is_access { "nginx" } else { service }.as_bytes());
        line.push(b'[');
        push_number(random.between(300, 32_000), line);
        line.extend_from_slice(b"]: ");
        if is_access {
            self.access.fill(&self.pool, random, line);
        } else {
            message.fill(&self.pool, random, line);
        }
    }
}

/// A moment as rsyslog writes it; the part before the fraction is rendered once a second.
struct Stamp {
    now_ms: u64,
    rendered_second: u64,
    rendered: Vec<u8>,
}

impl Stamp {
    fn new(now_ms: u64) -> Self {
        Self { now_ms, rendered_second: u64::MAX, rendered: Vec::new() }
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    fn fill(&mut self, line: &mut Vec<u8>) {
        let second = self.now_ms / 1000;
        if second != self.rendered_second {
            self.rendered_second = second;
            self.rendered = render_second(second);
        }
        line.extend_from_slice(&self.rendered);
        line.push(b'.');
        push_padded(self.now_ms % 1000, 3, line);
        line.extend_from_slice(b"000+00:00");
    }
}

/// `2026-11-01T00:00:00`
fn render_second(second: u64) -> Vec<u8> {
    let nanoseconds = i64::try_from(second).unwrap_or(0).saturating_mul(Timestamp::SECOND);
    let civil = Civil::from_timestamp(Timestamp(nanoseconds), 0);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    )
    .into_bytes()
}

/// A line stamped with `nanoseconds` since 1970, as this corpus has them; `bench` appends such lines.
pub(crate) fn stamped(nanoseconds: u64, message: &str) -> String {
    let second = String::from_utf8(render_second(nanoseconds / 1_000_000_000)).expect("digits are UTF-8");
    format!("{second}.{:06}+00:00 node01 bench[1]: {message}\n", nanoseconds % 1_000_000_000 / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(lines: u64, seed: u64, needle: bool) -> String {
        let mut out = Vec::new();
        write(&Arguments { lines, out: PathBuf::new(), seed, needle }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes() {
        assert_eq!(corpus(500, 1, true), corpus(500, 1, true));
        assert_ne!(corpus(500, 1, true), corpus(500, 2, true));
    }

    #[test]
    fn lines_are_of_the_promised_kind() {
        let text = corpus(20_000, 1, true);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 20_000);
        assert!(lines.windows(2).all(|pair| pair[0][..32] <= pair[1][..32]), "time runs forward");
        assert!(lines[0].starts_with("2026-11-01T00:00:0") && &lines[0][26..33] == "+00:00 ", "{}", lines[0]);
        let accesses = lines.iter().filter(|line| line.contains(" nginx[")).count();
        assert!((7_600..8_400).contains(&accesses), "{accesses} of 20,000 lines are accesses");
        let mean_bytes = text.len() / lines.len();
        assert!((130..180).contains(&mean_bytes), "{mean_bytes} bytes a line");
        assert!(lines[12_200].ends_with(NEEDLE));
        assert_eq!(text.matches(NEEDLE).count(), 1);
        assert!(!corpus(500, 1, false).contains(NEEDLE));
        assert!(!text.contains('\u{0}') && !text.contains("{r:") && !text.contains("{n:"));
    }

    #[test]
    fn has_enough_different_messages() {
        let count: usize = services::SERVICES.iter().map(|(_, messages)| messages.len()).sum();
        assert!(count >= 60, "{count} messages");
    }

    #[test]
    fn stamps_a_line() {
        assert_eq!(
            stamped(1_793_491_201_000_042_999, "x"),
            "2026-11-01T00:00:01.000042+00:00 node01 bench[1]: x\n"
        );
    }
}
