//! A message with holes: compiled once, filled with fresh values for every line.
//!
//! Holes: `{ip}`, `{port}`, `{pid}`, `{user}`, `{node}`, `{path}`, `{uuid}`, `{ms}` (a duration such as 12.407),
//! `{n:5}` (five digits, the first not 0), `{x:8}` (eight hex digits), `{r:1-512}` (a number of that range),
//! `{a|b|c}` (one of these), `{open}` and `{close}` (the braces themselves).

use anyhow::{Context, Result, bail};

use super::random::Random;

/// Values that many lines share, so that a corpus has words that come back.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) addresses: Vec<String>,
    pub(crate) nodes: Vec<String>,
}

impl Pool {
    /// 5,000 addresses and 12 nodes.
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut octet = |low, high| random.between(low, high);
        let address = |_| format!("{}.{}.{}.{}", octet(11, 223), octet(0, 255), octet(0, 255), octet(1, 254));
        let addresses = (0..5000).map(address).collect();
        Self { addresses, nodes: (1..=12).map(|number| format!("node{number:02}")).collect() }
    }
}

#[derive(Clone, PartialEq, Debug)]
enum Piece {
    Text(String),
    Address,
    Node,
    Path,
    Uuid,
    Milliseconds,
    Digits(u64),
    Hex(u64),
    Range(u64, u64),
    Choice(Vec<String>),
}

/// A compiled message.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    /// Compiles `pattern`.
    pub(crate) fn new(pattern: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut rest = pattern;
        while let Some(start) = rest.find('{') {
            let length =
                rest[start..].find('}').with_context(|| format!("hole without an end in {pattern:?}"))?;
            if start > 0 {
                pieces.push(Piece::Text(rest[..start].to_owned()));
            }
            let hole = &rest[start + 1..start + length];
            pieces.push(compile(hole).with_context(|| format!("in {pattern:?}"))?);
            rest = &rest[start + length + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// Appends the message with fresh values to `out`.
    pub(crate) fn fill(&self, pool: &Pool, random: &mut Random, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Address => out.extend_from_slice(random.pick(&pool.addresses).as_bytes()),
                Piece::Node => out.extend_from_slice(random.pick(&pool.nodes).as_bytes()),
                Piece::Path => fill_path(random, out),
                Piece::Uuid => fill_uuid(random, out),
                Piece::Milliseconds => fill_milliseconds(random, out),
                Piece::Digits(count) => fill_digits(*count, random, out),
                Piece::Hex(count) => fill_hex(*count, random, out),
                Piece::Range(low, high) => push_number(random.between(*low, *high), out),
                Piece::Choice(choices) => out.extend_from_slice(random.pick(choices).as_bytes()),
            }
        }
    }
}

const USERS: &[&str] =
    &["ada", "grace", "linus", "deploy", "backup", "postgres", "www-data", "root", "ci", "nobody"];
const FOLDERS: &[&str] =
    &["srv/media", "var/lib/app", "home/deploy/releases", "opt/jobs/spool", "data/exports"];
const ENDINGS: &[&str] = &["json", "tar.gz", "csv", "parquet", "lock", "idx"];

fn compile(hole: &str) -> Result<Piece> {
    let number = |text: &str| text.parse::<u64>().with_context(|| format!("number in hole {hole:?}"));
    Ok(match hole.split_once(':') {
        Some(("n", count)) => Piece::Digits(number(count)?),
        Some(("x", count)) => Piece::Hex(number(count)?),
        Some(("r", range)) => {
            let (low, high) = range.split_once('-').with_context(|| format!("range in hole {hole:?}"))?;
            Piece::Range(number(low)?, number(high)?)
        }
        _ => match hole {
            "ip" => Piece::Address,
            "node" => Piece::Node,
            "path" => Piece::Path,
            "uuid" => Piece::Uuid,
            "open" => Piece::Text("{".to_owned()),
            "close" => Piece::Text("}".to_owned()),
            "ms" => Piece::Milliseconds,
            "port" => Piece::Range(1024, 65_535),
            "pid" => Piece::Range(300, 32_000),
            "user" => Piece::Choice(USERS.iter().map(ToString::to_string).collect()),
            _ if hole.contains('|') => Piece::Choice(hole.split('|').map(str::to_owned).collect()),
            _ => bail!("unknown hole {hole:?}"),
        },
    })
}

/// Appends `number` in decimal; much faster than the formatting machinery, of which this is the whole cost.
pub(crate) fn push_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + digit(number % 10);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends the last `width` decimal digits of `number`, zeros in front.
pub(crate) fn push_padded(number: u64, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        out.push(b'0' + digit(number / 10_u64.pow(place) % 10));
    }
}

fn digit(value: u64) -> u8 {
    u8::try_from(value).expect("a digit fits a byte")
}

fn fill_digits(count: u64, random: &mut Random, out: &mut Vec<u8>) {
    for place in 0..count {
        out.push(b'0' + digit(random.between(u64::from(place == 0), 9)));
    }
}

fn fill_hex(count: u64, random: &mut Random, out: &mut Vec<u8>) {
    let mut bits = 0;
    for place in 0..count {
        if place % 16 == 0 {
            bits = random.next();
        }
        out.push(b"0123456789abcdef"[usize::from(digit(bits & 15))]);
        bits >>= 4;
    }
}

fn fill_uuid(random: &mut Random, out: &mut Vec<u8>) {
    for (place, count) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if place > 0 {
            out.push(b'-');
        }
        fill_hex(count, random, out);
    }
}

/// Most operations are quick and a few are slow, so the square of an even draw.
fn fill_milliseconds(random: &mut Random, out: &mut Vec<u8>) {
    let draw = random.below(1000);
    push_number(draw * draw / 1000, out);
    out.push(b'.');
    push_padded(random.below(1000), 3, out);
}

fn fill_path(random: &mut Random, out: &mut Vec<u8>) {
    out.push(b'/');
    out.extend_from_slice(random.pick(FOLDERS).as_bytes());
    out.push(b'/');
    fill_hex(6, random, out);
    out.push(b'.');
    out.extend_from_slice(random.pick(ENDINGS).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pattern: &str) -> String {
        let mut random = Random::new(5);
        let pool = Pool::new(&mut random);
        let mut out = Vec::new();
        Template::new(pattern).unwrap().fill(&pool, &mut random, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fills_every_kind_of_hole() {
        let digits = filled("{n:7}");
        assert!(digits.len() == 7 && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'));
        assert!(filled("{x:40}").bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(filled("{uuid}").len(), 36);
        assert!((5..=6).contains(&filled("{r:5-6}").parse::<u64>().unwrap()));
        assert!(["on", "off"].contains(&filled("{on|off}").as_str()));
        assert!(filled("{ms}").parse::<f64>().unwrap() < 1000.0);
        assert!(filled("{ip}").parse::<std::net::Ipv4Addr>().is_ok());
        assert!(filled("a {path} b").starts_with("a /"));
        assert_eq!(filled("no hole"), "no hole");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for pattern in ["{what}", "open {ip", "{n:x}", "{r:5}"] {
            assert!(Template::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn writes_numbers() {
        for (number, width, expected) in [(0, 3, "0|000"), (7, 2, "7|07"), (1234, 3, "1234|234")] {
            let mut out = Vec::new();
            push_number(number, &mut out);
            out.push(b'|');
            push_padded(number, width, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
