//! The address of who did it, by what stands before it.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::memmem;

use super::Best;
use crate::byte_mask::{BLOCK, Bits, Bytes, masks};

/// The rank of an address without a phrase before it: less sure than all that have one.
pub(super) const BESIDE: usize = PHRASES.len();
/// What stands before an address, the surest first.
const PHRASES: [&str; 34] = [
    "X-Forwarded-For: ",
    "rhost=",
    "remote_ip=",
    "remote_addr=",
    "client_ip=",
    "clientip=",
    "ipAddress=",
    "IP-address: ",
    "IP address ",
    "IP address: ",
    "IP: ",
    "ip=",
    " ip ",
    " IP ",
    "SRC=",
    "src=",
    "RemoteAddress=\"IPV4/TCP/",
    "RemoteAddress=\"IPV4/UDP/",
    "RemoteAddress=\"IPV4/TLS/",
    "\"ip\":\"",
    "\"ip\": \"",
    "remote host [ipv4:",
    "remote host [ipv6:",
    "client: ",
    "client ",
    "Client \"",
    "from ip ",
    "from ",
    "from: ",
    "host=",
    "@'",
    "with ",
    "by ",
    "[",
];

/// What stands before the host and the address of who is spoken to.
const TARGETS: [&[u8]; 5] = [b"relay=", b"server=", b"upstream=", b"nexthop=", b"backend="];

/// What messages about access speak of.
static ACCESS: LazyLock<Searcher> = LazyLock::new(|| {
    let words = [
        "ogin", "log in", "auth", "Auth", "denied", "refused", "assword", "LDAP", "banned", "locked", "ttack",
    ];
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Searcher::new(words).unwrap()
});

/// Whether a message begins with an address.
pub(super) fn is_in_front(message: &[u8]) -> bool {
    v4_len(message).is_some_and(|len| message.get(len) == Some(&b' '))
}

/// The address with the surest phrase before it. A point between digits, or a colon, says where one may be.
/// Besides, whether there is any address.
pub(super) fn find(message: &[u8]) -> (Best, bool) {
    let mut search = Search { message, passed: 0, best: None, only: Only::None };
    let mut colons = 0;
    'blocks: for start in (0..message.len()).step_by(BLOCK) {
        for at in marks(message, start).map(|bit| start + bit) {
            if message[at] == b'.' {
                search.look_at_point(at);
                continue;
            }
            colons += 1;
            if colons == COLONS_MIN || message.get(at + 1) == Some(&b':') {
                // Only now it may be one of version 6.
                search = Search { message, passed: 0, best: None, only: Only::None };
                search.look_at_all();
                break 'blocks;
            }
        }
    }
    search.end()
}

/// Fewer colons are in no address but those that have two of them side by side.
const COLONS_MIN: u32 = 6;

/// Points and colons of the block of a message that begins at `start`.
fn marks(message: &[u8], start: usize) -> Bits {
    let class = |bytes: Bytes| [bytes.simd_eq(Bytes::splat(b'.')) | bytes.simd_eq(Bytes::splat(b':'))];
    let rest = &message[start..];
    let [marks] = match rest.first_chunk() {
        Some(block) => masks(block, class),
        None => {
            let mut padded = [0; BLOCK];
            padded[..rest.len()].copy_from_slice(rest);
            masks(&padded, class)
        }
    };
    Bits(marks)
}

/// A look for the address of who did it.
struct Search<'a> {
    message: &'a [u8],
    /// What is before was looked at.
    passed: usize,
    best: Best,
    only: Only,
}

impl Search<'_> {
    /// Looks at what is around a point.
    fn look_at_point(&mut self, at: usize) {
        let message = self.message;
        if at < self.passed || !is_between(message, at) {
            return;
        }
        let start = at - run_before(message, at);
        if let Some(len) = v4_len(&message[start..]) {
            self.passed = start + len;
            self.take((start, start + len));
        }
    }

    /// Looks at what is around all points and colons.
    fn look_at_all(&mut self) {
        let message = self.message;
        for at in memchr::memchr2_iter(b'.', b':', message) {
            if message[at] == b'.' {
                self.look_at_point(at);
                continue;
            }
            if at < self.passed || !is_between(message, at) {
                continue;
            }
            let start = at - run_before(message, at);
            let end = at + 1 + run_after(message, at + 1);
            if !is_v6(&message[start..end]) {
                // A clock, or `ipv4:192.0.2.1`: few marks, so no run is looked at often.
                continue;
            }
            self.passed = end;
            let Some(range) = exact_address(message, start) else { continue };
            self.passed = range.1;
            self.take(range);
        }
    }

    /// Takes the address at a range over, if it is surer than the one before.
    fn take(&mut self, range: (usize, usize)) {
        let message = self.message;
        if is_target(&message[..range.0]) {
            return;
        }
        self.only = match self.only {
            Only::None => Only::One(range),
            Only::One(one) if message[one.0..one.1] == message[range.0..range.1] => self.only,
            _ => Only::Several,
        };
        let rank = if is_flow(&message[range.1..]) { Some(0) } else { rank(&message[..range.0]) };
        if let Some(rank) = rank
            && self.best.is_none_or(|(known, _)| rank < known)
        {
            self.best = Some((rank, range));
        }
    }

    fn end(self) -> (Best, bool) {
        let found = match self.only {
            Only::One(range) if self.best.is_none() && ACCESS.find(self.message).is_some() => {
                Some((BESIDE, range))
            }
            _ => self.best,
        };
        (found, !matches!(self.only, Only::None))
    }
}

/// The addresses of a message, as far as it matters.
#[derive(Clone, Copy)]
enum Only {
    None,
    One((usize, usize)),
    Several,
}

/// Whether an address that this follows is where `192.0.2.1:4000->192.0.2.2:53` begins.
fn is_flow(after: &[u8]) -> bool {
    let Some(port) = after.strip_prefix(b":") else { return false };
    let digits = port.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && port[digits..].starts_with(b"->")
}

/// Whether the mark at `at` stands where one of an address does.
fn is_between(message: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map_or(b' ', |before| message[before]);
    let after = message.get(at + 1).copied().unwrap_or(b' ');
    match message[at] {
        b'.' => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => after == b':' || before.is_ascii_hexdigit() && after.is_ascii_hexdigit(),
    }
}

const fn is_inside(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')
}

fn run_before(message: &[u8], at: usize) -> usize {
    let inside = |byte: &&u8| if message[at] == b'.' { byte.is_ascii_digit() } else { is_inside(**byte) };
    message[..at].iter().rev().take_while(inside).count()
}

fn run_after(message: &[u8], at: usize) -> usize {
    message[at..].iter().take_while(|byte| is_inside(**byte)).count()
}

/// A cheap look at what may be an address of version 6, and perhaps a port: groups between more colons than a clock has.
fn is_v6(run: &[u8]) -> bool {
    run.starts_with(b"::")
        || run.iter().filter(|byte| **byte == b':').count() > 2
        || memmem::find(run, b"::").is_some()
}

/// How sure it is that an address after `before` is who did it.
fn rank(before: &[u8]) -> Option<usize> {
    let before = before.strip_suffix(b"::ffff:").unwrap_or(before);
    let bare = match before {
        [rest @ .., b'[' | b'(' | b'"' | b'\''] => rest,
        _ => return phrase(before),
    };
    // `from unknown[192.0.2.1]`, `from localhost (127.0.0.1)`
    let name = without_host(bare.strip_suffix(b" ").unwrap_or(bare));
    [phrase(before), phrase(bare), phrase(name)].into_iter().flatten().min()
}

/// Whether an address after `before` is that of who is spoken to: `relay=mx.example.org[192.0.2.1]`.
fn is_target(before: &[u8]) -> bool {
    let bare = before.strip_suffix(b"[").unwrap_or(before);
    bare.contains(&b'=') && TARGETS.iter().any(|target| without_host(bare).ends_with(target))
}

/// A text without the name of a host that it ends with.
fn without_host(text: &[u8]) -> &[u8] {
    let is_host = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    &text[..text.len() - text.iter().rev().take_while(is_host).count()]
}

/// The surest phrase that a text ends with.
fn phrase(before: &[u8]) -> Option<usize> {
    let known = &BY_END[usize::from(end_key(before))];
    known.iter().copied().find(|rank| before.ends_with(PHRASES[*rank].as_bytes()))
}

/// A number that most endings of phrases do not share.
fn end_key(text: &[u8]) -> u8 {
    match text {
        [.., before, last] => last ^ before.rotate_left(3),
        [last] => *last,
        [] => 0,
    }
}

/// The phrases by how they end; `[` is after whatever.
static BY_END: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
    let fits = |phrase: &str, key: u8| match phrase.as_bytes() {
        [last] => (0..=u8::MAX).any(|before| end_key(&[before, *last]) == key) || *last == key,
        phrase => end_key(phrase) == key,
    };
    let of_key = |key: u8| (0..PHRASES.len()).filter(|rank| fits(PHRASES[*rank], key)).collect();
    (0..=u8::MAX).map(of_key).collect()
});

/// The address at a place: after brackets, quotes and what `IPv4 in IPv6` begins with.
pub(super) fn at(message: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut start = at;
    while matches!(message.get(start), Some(b'[' | b'(' | b'"' | b'\'')) {
        start += 1;
    }
    exact_address(message, start)
}

/// The address that begins at a place.
fn exact_address(message: &[u8], start: usize) -> Option<(usize, usize)> {
    let start = start + if message.get(start..)?.starts_with(b"::ffff:") { 7 } else { 0 };
    let rest = message.get(start..)?;
    let len = match v4_len(rest) {
        Some(len) => len,
        None => v6_len(rest)?,
    };
    Some((start, start + len))
}

/// Bytes of the four numbers that a text begins with.
fn v4_len(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for part in 0..4 {
        let (start, mut number) = (at, 0u32);
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            number = number * 10 + u32::from(digit - b'0');
            at += 1;
            if at > start + 3 {
                return None;
            }
        }
        if at == start || number > 255 || part < 3 && text.get(at) != Some(&b'.') {
            return None;
        }
        at += usize::from(part < 3);
    }
    let goes_on = match text.get(at) {
        Some(b'.') => matches!(text.get(at + 1), Some(b'0'..=b'9' | b'.')),
        Some(byte) => is_of_name(*byte),
        None => false,
    };
    (!goes_on).then_some(at)
}

/// Bytes of the groups between colons that a text begins with.
fn v6_len(text: &[u8]) -> Option<usize> {
    let len = text.iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b':').count();
    let (address, rest) = text.split_at(len);
    let is_address = address.contains(&b':')
        && !rest.first().is_some_and(|byte| is_of_name(*byte))
        && std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    is_address.then_some(len)
}

/// Whether a byte after an address says that it was the start of a name only.
const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
