//! Who did it: the address and the user that a message names, as attributes `client_ip` and `user`.
//!
//! Messages of services that people attack have few ways of naming them, alike across programs: `from 192.0.2.1`,
//! `rhost=192.0.2.1`, `for user "x"`. An address without such a phrase before it is left alone, it may be anybody's, unless
//! it is the only one of a message about access.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::memmem;
use taffrail_record::AttributeKind;

use crate::draft::{Draft, DraftAttribute, Known, Name, Place};

/// Bytes of a message that are looked at.
const WINDOW: usize = 1024;
/// Bytes of a user's name at most.
const USER_MAX: usize = 128;

/// What stands before an address, the surest first.
const ADDRESS: [&str; 34] = [
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
/// What stands before a user's name, the surest first.
const USER: [&str; 30] = [
    "username input '",
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
    "ogin failed: ",
    "\"user\":\"",
    "\"username\":\"",
    "\"email\":\"",
    "account \"",
    "account '",
];
/// What follows a name that only the word `user` is before.
const AFTER_USER: [&[u8]; 6] = [b" not ", b" from ", b" in ", b": ", b" does not ", b" doesn't "];
/// Words that follow a phrase of [`USER`] and are no names.
const NO_USER: [&[u8]; 12] = [
    b"invalid",
    b"illegal",
    b"from",
    b"unknown",
    b"input",
    b"with",
    b"name",
    b"agent",
    b"authentication",
    b"login",
    b"session",
    b"password",
];
/// Values that stand for nobody.
const NOBODY: [&[u8]; 3] = [b"", b"-", b"--"];
/// What messages about access speak of.
static ACCESS: LazyLock<Searcher> = LazyLock::new(|| {
    let words = [
        "ogin", "log in", "auth", "Auth", "denied", "refused", "assword", "LDAP", "banned", "locked", "ttack",
    ];
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Searcher::new(words).unwrap()
});
/// Names of members that hold an address, by their last part.
const ADDRESS_KEYS: [&[u8]; 13] = [
    b"client_ip",
    b"clientip",
    b"remote_ip",
    b"remote_addr",
    b"remoteaddr",
    b"remoteip",
    b"src_ip",
    b"source_ip",
    b"sourceipaddress",
    b"clienthost",
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
    if draft.payload.unwrap_or(draft.format) == "web-access" {
        return;
    }
    let said = [Known::ClientIp, Known::User].map(|known| place_of(line, draft, known));
    let [mut address, mut user] = said.map(|place| place.is_some());
    address = address || copy_member(line, draft, &ADDRESS_KEYS, Known::ClientIp);
    user = user || copy_member(line, draft, &USER_KEYS, Known::User);
    let is_json = draft.body == Place::line(0, line.len()) && line.starts_with(b"{");
    if address && user || is_json {
        return;
    }
    let body = draft.body;
    let message = draft.text(line, body);
    let (found_address, found_user) = find(&message[..message.len().min(WINDOW)], !address, !user);
    for (found, known) in [(found_address, Known::ClientIp), (found_user, Known::User)] {
        if let Some((_, (start, end))) = found {
            put(line, draft, known, AttributeKind::Text, body.part(start, end));
        }
    }
}

/// The value that the fields of a line give; none where it stands for nobody.
fn place_of(line: &[u8], draft: &Draft, known: Known) -> Option<Place> {
    let value = draft.attributes[index_of(line, draft, known)?].value;
    (!NOBODY.contains(&draft.text(line, value))).then_some(value)
}

fn index_of(line: &[u8], draft: &Draft, known: Known) -> Option<usize> {
    draft.attributes.iter().position(|one| match one.name {
        Name::Known(name) => name == known,
        name => draft.name_text(line, name) == known.name().as_bytes(),
    })
}

/// Adds an attribute, or gives it a value in the place of nobody.
fn put(line: &[u8], draft: &mut Draft, known: Known, kind: AttributeKind, value: Place) {
    let attribute = DraftAttribute { name: Name::Known(known), kind, value };
    match index_of(line, draft, known) {
        Some(index) => {
            draft.attributes[index] = attribute;
            draft.keep_whole();
        }
        None => draft.attributes.push(attribute),
    }
}

/// Gives the value of the first member with one of these names the name that all lines share; whether there is one.
fn copy_member(line: &[u8], draft: &mut Draft, keys: &[&[u8]], known: Known) -> bool {
    let copied = draft.attributes.iter().find_map(|attribute| {
        if matches!(attribute.name, Name::Known(_)) {
            return None;
        }
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
        (!NOBODY.contains(&&text[start..end])).then(|| (attribute.kind, attribute.value.part(start, end)))
    });
    if let Some((kind, value)) = copied {
        put(line, draft, known, kind, value);
    }
    copied.is_some()
}

/// The surest address and user of a message, of what is wanted.
fn find(message: &[u8], wants_address: bool, wants_user: bool) -> (Best, Best) {
    if let Some(range) = address_in_front(message) {
        return (if wants_address { Some((0, range)) } else { None }, None);
    }
    let named = if wants_user { user(message) } else { None };
    let address = if wants_address { address(message) } else { None };
    let beside = || {
        // `user root 192.0.2.1 port 22`
        let (_, (_, end)) = named?;
        let after = end + usize::from(message.get(end) == Some(&b' '));
        address_at(message, after).map(|range| (ADDRESS.len(), range))
    };
    (address.or_else(|| if wants_address { beside() } else { None }), named)
}

/// The address that a message begins with: what servers write about requests.
fn address_in_front(message: &[u8]) -> Option<(usize, usize)> {
    if !message.first()?.is_ascii_digit() {
        return None;
    }
    let len = message.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    (matches!(message.get(len), Some(b' ' | b',')) && is_ip(&message[..len])).then_some((0, len))
}

/// The address with the surest phrase before it. A point between digits, or a colon, says where one may be.
fn address(message: &[u8]) -> Best {
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
    match only {
        Only::One(range) if best.is_none() && ACCESS.find(message).is_some() => Some((ADDRESS.len(), range)),
        _ => best,
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
    let mut plain: Best = None;
    for found in STEMS.searcher.find_iter(message) {
        let at = found.start();
        for (rank, before, after) in &STEMS.phrases[found.pattern().as_usize()] {
            let fits = best.is_none_or(|(known, _)| *rank < known)
                && message[..at].ends_with(before)
                && message[at..].starts_with(after);
            if fits {
                best = user_at(message, at + after.len()).map(|range| (*rank, range)).or(best);
            }
        }
        if best.is_none() && plain.is_none() {
            plain = plain_user(message, at);
        }
    }
    best.or(plain)
}

/// A name after the word `user` alone at a place, where what follows shows that it is one.
fn plain_user(message: &[u8], at: usize) -> Best {
    let is_word = message[at..].get(1..5) == Some(b"ser ");
    let begins = at == 0 || !message[at - 1].is_ascii_alphanumeric();
    let (start, end) = if is_word && begins { user_at(message, at + 5)? } else { return None };
    let fits = AFTER_USER.iter().any(|after| message[end..].starts_with(after));
    fits.then_some((USER.len(), (start, end)))
}

/// What phrases have in common: the look that spares most messages the rest.
struct Stems {
    searcher: Searcher,
    /// For each stem the ranks of its phrases, what is before it, and the stem with what follows.
    phrases: Vec<Vec<(usize, &'static [u8], &'static [u8])>>,
}

static STEMS: LazyLock<Stems> = LazyLock::new(|| {
    let stems = ["user", "User", " for ", "_id=", "ID=\"", "ogin failed: ", "\"email", "account "];
    let phrases = stems.map(|stem| {
        let parts = USER.iter().enumerate().filter_map(|(rank, phrase)| {
            let (before, after) = phrase.split_at(phrase.find(stem)?);
            Some((rank, before.as_bytes(), after.as_bytes()))
        });
        parts.collect()
    });
    #[expect(clippy::unwrap_used, reason = "a constant")]
    let searcher = Searcher::new(stems).unwrap();
    Stems { searcher, phrases: phrases.into() }
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
    is_ip(&rest[..len]).then_some(())?;
    let ends = rest.get(len).is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_'));
    ends.then_some((start, start + len))
}

fn is_ip(text: &[u8]) -> bool {
    let (mut points, mut part, mut digits) = (0, 0u32, 0);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                part = part * 10 + u32::from(byte - b'0');
                digits += 1;
                if digits > 3 || part > 255 {
                    return false;
                }
            }
            b'.' if digits > 0 => (points, part, digits) = (points + 1, 0, 0),
            _ => return std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
        }
    }
    points == 3 && digits > 0
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
        let (address, user) = find(message.as_bytes(), true, true);
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
            ("proto UDP, 192.0.2.1:4000->192.0.2.2:53, len 65", "192.0.2.1 -"),
            ("remote host [ipv4:192.0.2.1:44890] mapped", "192.0.2.1 -"),
            ("POST 192.0.2.1 /control/login: no", "192.0.2.1 -"),
            ("192.0.2.1 - - \"GET / HTTP/1.1\" 200", "192.0.2.1 -"),
            ("login of 192.0.2.1 at 192.0.2.2", "- -"),
            ("AH01618: user ann not found: /", "- ann"),
            ("535 Incorrect (set_id=user)", "- user"),
            ("Login failed: ann (Remote)", "- ann"),
            (r#"Failed sign-in {"ip":"192.0.2.1","email":"ann@example.org"}"#, "192.0.2.1 ann@example.org"),
            ("user authentication from the old store", "- -"),
        ] {
            assert_eq!(named(message), want, "{message}");
        }
    }
}
