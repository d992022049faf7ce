//! Who did it: the address and the user that a message names, as attributes `client_ip` and `user`.
//!
//! Messages of services that people attack have few ways of naming them, alike across programs: `from 192.0.2.1`,
//! `rhost=192.0.2.1`, `for user "x"`. An address without such a phrase before it is left alone: it may be anybody's.

use std::sync::LazyLock;

use memchr::memmem;
use taffrail_record::AttributeKind;

use crate::draft::{Draft, DraftAttribute, Known, Name, Place};

/// Bytes of a message that are looked at.
const WINDOW: usize = 1024;
/// Bytes of a user's name at most.
const USER_MAX: usize = 128;

/// What stands before an address, the surest first.
const ADDRESS: [&str; 32] = [
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
    "remote host [ipv4:",
    "remote host [ipv6:",
    "client: ",
    "client ",
    "Client \"",
    "from ip ",
    "from ",
    "host=",
    "@'",
    "with ",
    "by ",
    "[",
];
/// What stands before a user's name, the surest first.
const USER: [&str; 23] = [
    "invalid user ",
    "Invalid user ",
    "authenticating user ",
    "username '",
    "username \"",
    "username=",
    "username: ",
    "for user '",
    "for user \"",
    "for user ",
    "by user '",
    "user '",
    "user \"",
    " user=",
    "AccountID=\"",
    "set_id=",
    "password for ",
    "publickey for ",
    "login for ",
    "attempt for ",
    "request for \"",
    "request for ",
    "user denied: ",
];
/// Words that follow a phrase of [`USER`] and are no names.
const NO_USER: [&[u8]; 6] = [b"invalid", b"illegal", b"from", b"user", b"unknown", b"input"];
/// Names of members that hold an address, by their last part.
const ADDRESS_KEYS: [&[u8]; 12] = [
    b"client_ip",
    b"clientip",
    b"remote_ip",
    b"remote_addr",
    b"remoteaddr",
    b"remoteip",
    b"src_ip",
    b"source_ip",
    b"sourceipaddress",
    b"clientaddr",
    b"ip",
    b"remote",
];
/// Names of members that hold a user's name, by their last part.
const USER_KEYS: [&[u8]; 5] = [b"username", b"user_name", b"principalname", b"login", b"email"];

/// What was found for one of the two, and how sure that is.
type Best = Option<(usize, (usize, usize))>;

/// Adds what the members and the message of a line name, where no field of its format says it. A line whose format says
/// where it comes from says who did it, too.
pub(crate) fn note(line: &[u8], draft: &mut Draft) {
    let is_said = draft.has(line, Known::ClientIp.name().as_bytes());
    let mut user = draft.has(line, Known::User.name().as_bytes());
    let mut address = is_said || copy_member(line, draft, &ADDRESS_KEYS, Known::ClientIp);
    user = user || copy_member(line, draft, &USER_KEYS, Known::User);
    if is_said || address && user || draft.body == Place::line(0, line.len()) && line.starts_with(b"{") {
        return;
    }
    let body = draft.body;
    let message = draft.text(line, body);
    let (found_address, found_user) = find(&message[..message.len().min(WINDOW)]);
    let found = [(&mut address, found_address, Known::ClientIp), (&mut user, found_user, Known::User)];
    for (has, found, known) in found {
        if let (false, Some((_, (start, end)))) = (*has, found) {
            *has = true;
            let (name, value) = (Name::Known(known), body.part(start, end));
            draft.attributes.push(DraftAttribute { name, kind: AttributeKind::Text, value });
        }
    }
}

/// Gives the value of the first member with one of these names the name that all lines share; whether there is one.
fn copy_member(line: &[u8], draft: &mut Draft, keys: &[&[u8]], known: Known) -> bool {
    let copied = draft.attributes.iter().find_map(|attribute| {
        let name = draft.name_text(line, attribute.name);
        let last = memchr::memrchr(b'.', name).map_or(name, |dot| &name[dot + 1..]);
        if !keys.iter().any(|key| key.eq_ignore_ascii_case(last)) {
            return None;
        }
        let text = draft.text(line, attribute.value);
        let (start, end) = match known {
            Known::ClientIp => address_at(text, 0)?,
            _ => (0, text.len()),
        };
        (start < end).then(|| (attribute.kind, attribute.value.part(start, end)))
    });
    if let Some((kind, value)) = copied {
        draft.attributes.push(DraftAttribute { name: Name::Known(known), kind, value });
    }
    copied.is_some()
}

/// The surest address and user of a message.
fn find(message: &[u8]) -> (Best, Best) {
    let user = user(message);
    let address = address(message).or_else(|| {
        // `user root 192.0.2.1 port 22`
        let (_, (_, end)) = user?;
        let after = end + usize::from(message.get(end) == Some(&b' '));
        address_at(message, after).map(|range| (ADDRESS.len(), range))
    });
    (address, user)
}

/// The address with the surest phrase before it. A point between digits, or a colon, says where one may be.
fn address(message: &[u8]) -> Best {
    let mut best: Best = None;
    let mut passed = 0;
    for at in memchr::memchr2_iter(b'.', b':', message) {
        if at < passed {
            continue;
        }
        let start = at - run_before(message, at);
        // Whatever it is, it is looked at once.
        passed = at + 1 + run_after(message, at + 1);
        if !is_address(&message[start..passed], message[at]) {
            continue;
        }
        let Some(range) = exact_address(message, start) else { continue };
        passed = range.1;
        if let Some(rank) = rank(&message[..range.0])
            && best.is_none_or(|(known, _)| rank < known)
        {
            best = Some((rank, range));
        }
    }
    best
}

const fn is_inside(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')
}

fn run_before(message: &[u8], at: usize) -> usize {
    message[..at].iter().rev().take_while(|byte| is_inside(**byte)).count()
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
    known.iter().copied().find(|rank| before.ends_with(ADDRESS[*rank].as_bytes()))
}

/// The phrases by their last byte.
static BY_END: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
    let ends = |byte: u8| move |rank: &usize| ADDRESS[*rank].as_bytes().last() == Some(&byte);
    (0..=u8::MAX).map(|byte| (0..ADDRESS.len()).filter(ends(byte)).collect()).collect()
});

/// The user with the surest phrase before it.
fn user(message: &[u8]) -> Best {
    let mut best: Best = None;
    for Stem { finder, phrases } in STEMS.iter() {
        for at in finder.find_iter(message) {
            for (rank, before, after) in phrases {
                let fits = best.is_none_or(|(known, _)| *rank < known)
                    && message[..at].ends_with(before)
                    && message[at..].starts_with(after);
                if fits {
                    best = user_at(message, at + after.len()).map(|range| (*rank, range)).or(best);
                }
            }
        }
    }
    best
}

/// What several phrases have in common.
struct Stem {
    finder: memmem::Finder<'static>,
    /// Their ranks, what is before the stem, and the stem with what follows.
    phrases: Vec<(usize, &'static [u8], &'static [u8])>,
}

/// One of these is in every phrase of [`USER`]: the look that spares most messages the rest.
static STEMS: LazyLock<[Stem; 4]> = LazyLock::new(|| {
    ["user", " for ", "_id=", "ID=\""].map(|stem| {
        let parts = USER.iter().enumerate().filter_map(|(rank, phrase)| {
            let (before, after) = phrase.split_at(phrase.find(stem)?);
            Some((rank, before.as_bytes(), after.as_bytes()))
        });
        Stem { finder: memmem::Finder::new(stem), phrases: parts.collect() }
    })
});

/// The address at a place: after brackets, quotes and what `IPv4 in IPv6` begins with.
fn address_at(message: &[u8], at: usize) -> Option<(usize, usize)> {
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
    let text = std::str::from_utf8(&rest[..len]).ok()?;
    text.parse::<std::net::IpAddr>().ok()?;
    let ends = rest.get(len).is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_'));
    ends.then_some((start, start + len))
}

/// The user's name at a place: up to the closing quote, or one word.
fn user_at(message: &[u8], at: usize) -> Option<(usize, usize)> {
    let (start, quote) = match (message.get(at), at.checked_sub(1).map(|before| message[before])) {
        (Some(quote @ (b'"' | b'\'')), _) => (at + 1, Some(*quote)),
        (_, Some(quote @ (b'"' | b'\''))) => (at, Some(quote)),
        _ => (at, None),
    };
    let rest = message.get(start..)?;
    let len = match quote {
        Some(quote) => memchr::memchr(quote, rest)?,
        None => {
            let ends = |byte: &u8| {
                byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b')' | b'(' | b']' | b'"' | b'\'')
            };
            let len = rest.iter().position(ends).unwrap_or(rest.len());
            len - usize::from(rest[..len].ends_with(b":")) - usize::from(rest[..len].ends_with(b"."))
        }
    };
    let name = &rest[..len];
    let fits =
        !name.is_empty() && len <= USER_MAX && !NO_USER.contains(&name) && std::str::from_utf8(name).is_ok();
    fits.then_some((start, start + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(message: &str) -> String {
        let (address, user) = find(message.as_bytes());
        let text = |best: Best| best.map_or("-", |(_, (start, end))| &message[start..end]);
        format!("{} {}", text(address), text(user))
    }

    #[test]
    fn finds_who_did_it() {
        for (message, want) in [
            ("Failed password for invalid user ann from 192.0.2.1 port 22 ssh2", "192.0.2.1 ann"),
            ("Failed password for root from ::1 port 22 ssh2", "::1 root"),
            ("Connection closed by authenticating user root 192.0.2.1 port 4 [preauth]", "192.0.2.1 root"),
            ("Connection closed by 192.0.2.1", "192.0.2.1 -"),
            ("authentication failure; rhost=192.0.2.1 user=toor@pam msg=no", "192.0.2.1 toor@pam"),
            ("ACCEPT host=::ffff:192.0.2.1 port=3", "192.0.2.1 -"),
            ("connect from unknown[192.0.2.1]", "192.0.2.1 -"),
            ("invalid authentication from localhost (127.0.0.1).", "127.0.0.1 -"),
            ("Access denied for user 'root'@'192.0.2.1' (using password: YES)", "192.0.2.1 root"),
            (r#"request for "ann" has been denied (IP: "192.0.2.1")."#, "192.0.2.1 ann"),
            ("IN=a OUT= SRC=192.0.2.1 DST=192.0.2.2", "192.0.2.1 -"),
            ("nameserver 192.0.2.1 does not answer", "- -"),
            ("Waiting for user input", "- -"),
            ("version 1.2.3.4-rc from 1.2.3", "- -"),
        ] {
            assert_eq!(named(message), want, "{message}");
        }
    }
}
