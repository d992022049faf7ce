//! The address of who did it, by what stands before it.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::memmem;

use super::Best;

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
    let len = message.iter().take(16).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    len > 6 && message.get(len) == Some(&b' ') && is_ip(&message[..len])
}

/// The address with the surest phrase before it. A point between digits, or a colon, says where one may be.
/// Besides, whether there is any address.
pub(super) fn find(message: &[u8]) -> (Best, bool) {
    let mut best: Best = None;
    let mut only = Only::None;
    let mut passed = 0;
    for at in memchr::memchr2_iter(b'.', b':', message) {
        if at < passed || !is_between(message, at) {
            continue;
        }
        let start = at - run_before(message, at);
        let end = at + 1 + run_after(message, at + 1);
        if !is_address(&message[start..end], message[at]) {
            // A clock, or `ipv4:192.0.2.1`: few marks, so no run is looked at often.
            continue;
        }
        passed = end;
        let Some(range) = exact_address(message, start) else { continue };
        passed = range.1;
        only = match only {
            Only::None => Only::One(range),
            Only::One(one) if message[one.0..one.1] == message[range.0..range.1] => only,
            _ => Only::Several,
        };
        let rank = if is_flow(&message[range.1..]) { Some(0) } else { rank(&message[..range.0]) };
        if let Some(rank) = rank
            && best.is_none_or(|(known, _)| rank < known)
        {
            best = Some((rank, range));
        }
    }
    let found = match only {
        Only::One(range) if best.is_none() && ACCESS.find(message).is_some() => Some((BESIDE, range)),
        _ => best,
    };
    (found, !matches!(only, Only::None))
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

/// A cheap look at what may be an address, and perhaps a port: four numbers, or groups between more colons than a clock
/// has.
fn is_address(run: &[u8], first_mark: u8) -> bool {
    match first_mark {
        b'.' => {
            run.len() >= 7 && run.iter().filter(|byte| **byte == b'.').count() >= 3 && !run.contains(&b'a')
        }
        _ => {
            run.starts_with(b"::")
                || run.iter().filter(|byte| **byte == b':').count() > 2
                || memmem::find(run, b"::").is_some()
        }
    }
}

/// How sure it is that an address after `before` is who did it.
fn rank(before: &[u8]) -> Option<usize> {
    let before = before.strip_suffix(b"::ffff:").unwrap_or(before);
    let bare = match before {
        [rest @ .., b'[' | b'(' | b'"' | b'\''] => rest,
        _ => return phrase(before),
    };
    // `from unknown[192.0.2.1]`, `from localhost (127.0.0.1)`
    let name = bare.strip_suffix(b" ").unwrap_or(bare);
    let named = name
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let name = &name[..name.len() - named.count()];
    [phrase(before), phrase(bare), phrase(name)].into_iter().flatten().min()
}

/// The surest phrase that a text ends with.
fn phrase(before: &[u8]) -> Option<usize> {
    let known = &BY_END[usize::from(*before.last()?)];
    known.iter().copied().find(|rank| before.ends_with(PHRASES[*rank].as_bytes()))
}

/// The phrases by their last byte.
static BY_END: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
    let ends = |byte: u8| move |rank: &usize| PHRASES[*rank].as_bytes().last() == Some(&byte);
    (0..=u8::MAX).map(|byte| (0..PHRASES.len()).filter(ends(byte)).collect()).collect()
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
    let v4 = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let len = match rest[..v4].contains(&b'.') {
        true => v4 - usize::from(rest[..v4].ends_with(b".")),
        false => rest.iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b':').count(),
    };
    is_ip(&rest[..len]).then_some(())?;
    let ends = rest.get(len).is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_'));
    ends.then_some((start, start + len))
}

fn is_ip(text: &[u8]) -> bool {
    if memchr::memchr(b':', text).is_some() {
        return std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    }
    let (mut points, mut part, mut digits) = (0, 0u32, 0);
    for byte in text {
        match byte {
            b'0'..=b'9' if digits < 3 => (part, digits) = (part * 10 + u32::from(byte - b'0'), digits + 1),
            b'.' if digits > 0 && part <= 255 => (points, part, digits) = (points + 1, 0, 0),
            _ => return false,
        }
    }
    points == 3 && digits > 0 && part <= 255
}
