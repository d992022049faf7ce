//! The name of who did it, by what stands before it.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::memmem::Finder;

use super::Best;

/// Bytes of a user's name at most.
const NAME_MAX: usize = 128;

/// What stands before a user's name, the surest first.
const PHRASES: [&str; 30] = [
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
const AFTER_NAME: [&[u8]; 6] = [b" not ", b" from ", b" in ", b": ", b" does not ", b" doesn't "];

/// Words that follow a phrase of [`PHRASES`] and are no names.
const NO_NAMES: [&[u8]; 12] = [
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

/// Whether a message has the word `user`.
pub(super) fn has_word(message: &[u8]) -> bool {
    static WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("ser"));
    WORD.find(message).is_some()
}

/// The user with the surest phrase before it.
pub(super) fn find(message: &[u8]) -> Best {
    let mut best: Best = None;
    let mut plain: Best = None;
    for found in STEMS.searcher.find_iter(message) {
        let (before, after) = (&message[..found.start()], &message[found.end()..]);
        for phrase in &STEMS.phrases[found.pattern().as_usize()] {
            if best.is_none_or(|(known, _)| phrase.rank < known) && phrase.is_around(before, after) {
                let name = user_at(message, found.end() + phrase.after.len());
                best = name.map(|range| (phrase.rank, range)).or(best);
            }
        }
        if best.is_none() && plain.is_none() {
            plain = plain_user(message, found.start());
        }
    }
    best.or(plain)
}

/// A name after the word `user` alone at a place, where what follows shows that it is one.
fn plain_user(message: &[u8], at: usize) -> Best {
    let is_word = message[at..].get(1..5) == Some(b"ser ");
    let begins = at == 0 || !message[at - 1].is_ascii_alphanumeric();
    let (start, end) = if is_word && begins { user_at(message, at + 5)? } else { return None };
    let fits = AFTER_NAME.iter().any(|after| message[end..].starts_with(after));
    fits.then_some((PHRASES.len(), (start, end)))
}

/// A phrase around its stem.
struct Phrase {
    rank: usize,
    before: &'static [u8],
    after: &'static [u8],
}

impl Phrase {
    /// Whether it stands around a stem. Single bytes tell most.
    fn is_around(&self, before: &[u8], after: &[u8]) -> bool {
        let begins = self.after.first().is_none_or(|first| after.first() == Some(first));
        let ends = self.before.last().is_none_or(|last| before.last() == Some(last));
        begins && ends && after.starts_with(self.after) && before.ends_with(self.before)
    }
}

/// What phrases have in common: the look that spares most messages the rest.
struct Stems {
    searcher: Searcher,
    /// For each stem.
    phrases: Vec<Vec<Phrase>>,
}

static STEMS: LazyLock<Stems> = LazyLock::new(|| {
    let stems = ["user", "User", " for ", "_id=", "ID=\"", "ogin failed: ", "\"email", "account "];
    let phrases = stems.map(|stem| {
        let parts = PHRASES.iter().enumerate().filter_map(|(rank, phrase)| {
            let (before, after) = phrase.split_once(stem)?;
            Some(Phrase { rank, before: before.as_bytes(), after: after.as_bytes() })
        });
        parts.collect()
    });
    #[expect(clippy::unwrap_used, reason = "a constant")]
    let searcher = Searcher::new(stems).unwrap();
    Stems { searcher, phrases: phrases.into() }
});

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
        !name.is_empty() && len <= NAME_MAX && !NO_NAMES.contains(&name) && std::str::from_utf8(name).is_ok();
    fits.then_some((start, start + len))
}
