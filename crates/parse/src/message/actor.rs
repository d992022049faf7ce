//! Who did it: the address and the user that a message names, as attributes `client_ip` and `user`.
//!
//! Messages of services that people attack have few ways of naming them, alike across programs: `from 192.0.2.1`,
//! `rhost=192.0.2.1`, `for user "x"`. An address without such a phrase before it is left alone, it may be anybody's, unless
//! it is the only one of a message about access.

mod address;
mod user;

use taffrail_record::AttributeKind;

use crate::draft::{Draft, DraftAttribute, Known, Name, Place};

/// Bytes of a message that are looked at.
const WINDOW: usize = 1024;

/// Values that stand for nobody.
const NOBODY: [&[u8]; 3] = [b"", b"-", b"--"];

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

/// Who is looked for.
const ROLES: [Known; 2] = [Known::ClientIp, Known::User];

/// What was found for one of the two, and how sure that is.
type Best = Option<(usize, (usize, usize))>;

/// Adds what the members and the message of a line name, where no field of its format says it. A line whose format says
/// where it comes from says who did it, too.
pub(crate) fn note(line: &[u8], draft: &mut Draft) {
    if draft.payload.unwrap_or(draft.format) == "web-access" {
        return;
    }
    let mut said = said(line, draft);
    for (said, known) in said.iter_mut().zip(ROLES) {
        if let (false, Some((kind, value))) = (said.is_told, said.member) {
            put(draft, *said, known, kind, value);
            said.is_told = true;
        }
    }
    let [wants_address, wants_user] = said.map(|said| !said.is_told);
    let is_json = draft.body == Place::line(0, line.len()) && line.starts_with(b"{");
    if !(wants_address || wants_user) || is_json {
        return;
    }
    let body = draft.body;
    let message = draft.text(line, body);
    let (address, user) = find(&message[..message.len().min(WINDOW)], wants_address, wants_user);
    // Who is spoken to has done nothing.
    let is_addressed = |(start, end): (usize, usize)| {
        let told = draft.attributes.iter().find(|one| draft.name_text(line, one.name) == b"dst_ip");
        told.is_some_and(|told| *draft.text(line, told.value) == message[start..end])
    };
    let address = address.filter(|(_, range)| !is_addressed(*range));
    for ((found, said), known) in [address, user].into_iter().zip(said).zip(ROLES) {
        if let Some((_, (start, end))) = found {
            put(draft, said, known, AttributeKind::Text, body.part(start, end));
        }
    }
}

/// What the fields of a line say about one of the two.
#[derive(Clone, Copy, Default)]
struct Said {
    /// The place among the attributes of the one that has the name that all lines share.
    place: Option<usize>,
    /// Whether its value is more than what stands for nobody.
    is_told: bool,
    /// The first member with another name that tells it.
    member: Option<(AttributeKind, Place)>,
}

fn said(line: &[u8], draft: &Draft) -> [Said; 2] {
    let mut all = [Said::default(); 2];
    for (place, DraftAttribute { name, kind, value }) in draft.attributes.iter().enumerate() {
        let (role, is_shared) = match name {
            Name::Known(known) => match ROLES.iter().position(|role| role == known) {
                Some(role) => (role, true),
                None => continue,
            },
            name => match role(draft.name_text(line, *name)) {
                Some(role) => role,
                None => continue,
            },
        };
        let said = &mut all[role];
        let text = draft.text(line, *value);
        if is_shared && said.place.is_none() {
            said.place = Some(place);
            said.is_told = !NOBODY.contains(&text);
        } else if !is_shared && said.member.is_none() {
            let range = if role == 0 { address::at(text, 0) } else { Some((0, text.len())) };
            let told = range.filter(|(start, end)| !NOBODY.contains(&&text[*start..*end]));
            said.member = told.map(|(start, end)| (*kind, value.part(start, end)));
        }
    }
    all
}

/// Which of [`ROLES`] a member's name stands for, and whether it is the name that all lines share.
fn role(name: &[u8]) -> Option<(usize, bool)> {
    if let Some(role) = ROLES.iter().position(|known| known.name().as_bytes() == name) {
        return Some((role, true));
    }
    let last = memchr::memrchr(b'.', name).map_or(name, |dot| &name[dot + 1..]);
    let is_one_of = |keys: &[&[u8]]| keys.iter().any(|key| key.eq_ignore_ascii_case(last));
    match () {
        () if is_one_of(&ADDRESS_KEYS) => Some((0, false)),
        () if is_one_of(&USER_KEYS) => Some((1, false)),
        () => None,
    }
}

/// Adds an attribute, or gives it a value in the place of nobody.
fn put(draft: &mut Draft, said: Said, known: Known, kind: AttributeKind, value: Place) {
    let attribute = DraftAttribute { name: Name::Known(known), kind, value };
    match said.place {
        Some(place) => {
            draft.attributes[place] = attribute;
            draft.keep_whole();
        }
        None => draft.attributes.push(attribute),
    }
}

/// The surest address and user of a message, of what is wanted.
fn find(message: &[u8], wants_address: bool, wants_user: bool) -> (Best, Best) {
    if address::is_in_front(message) {
        // What servers write about requests: who reads them as such knows what is what.
        return (None, None);
    }
    let (address, has_address) = if wants_address { address::find(message) } else { (None, true) };
    // Where nobody comes from anywhere, only the word itself tells that somebody is named.
    let may_name = wants_user && (has_address || user::has_word(message));
    let named = if may_name { user::find(message) } else { None };
    let beside = || {
        // `user root 192.0.2.1 port 22`
        let (_, (_, end)) = named?;
        let after = end + usize::from(message.get(end) == Some(&b' '));
        address::at(message, after).map(|range| (address::BESIDE, range))
    };
    (address.or_else(|| if wants_address { beside() } else { None }), named)
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
            ("Connection closed by 2001:db8::d71 port 4", "2001:db8::d71 -"),
            ("Connection closed by 1.2.3.400", "- -"),
            ("authentication failure; rhost=192.0.2.1 user=toor@pam msg=no", "192.0.2.1 toor@pam"),
            ("ACCEPT host=::ffff:192.0.2.1 port=3", "192.0.2.1 -"),
            ("connect from unknown[192.0.2.1]", "192.0.2.1 -"),
            ("invalid authentication from localhost (127.0.0.1).", "127.0.0.1 -"),
            ("Access denied for user 'root'@'192.0.2.1' (using password: YES)", "192.0.2.1 root"),
            (r#"request for "ann" has been denied (IP: "192.0.2.1")."#, "192.0.2.1 ann"),
            ("IN=a OUT= SRC=192.0.2.1 DST=192.0.2.2", "192.0.2.1 -"),
            ("to=<a@b>, relay=mx.example.org[192.0.2.1]:25, status=sent", "- -"),
            ("authentication failed, server=192.0.2.1", "- -"),
            ("nameserver 192.0.2.1 does not answer", "- -"),
            ("Waiting for user input", "- -"),
            ("version 1.2.3.4-rc from 1.2.3", "- -"),
            ("proto UDP, 192.0.2.1:4000->192.0.2.2:53, len 65", "192.0.2.1 -"),
            ("remote host [ipv4:192.0.2.1:44890] mapped", "192.0.2.1 -"),
            ("POST 192.0.2.1 /control/login: no", "192.0.2.1 -"),
            ("192.0.2.1 - - \"GET / HTTP/1.1\" 200", "- -"),
            ("login of 192.0.2.1 at 192.0.2.2", "- -"),
            ("AH01618: user ann not found: /", "- ann"),
            ("535 Incorrect (set_id=user)", "- user"),
            ("Login failed: ann (Remote IP: 192.0.2.1)", "192.0.2.1 ann"),
            (r#"Failed sign-in {"ip":"192.0.2.1","email":"ann@example.org"}"#, "192.0.2.1 ann@example.org"),
            ("user authentication from the old store", "- -"),
        ] {
            assert_eq!(named(message), want, "{message}");
        }
    }
}
