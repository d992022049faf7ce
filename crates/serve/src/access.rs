//! Who may ask: the passwords and tokens of those that a server lets in.
//!
//! [`AccessConfig`] is what the config says, [`Access`] what has been read and is asked at each request. Files of users and
//! keys are read again when they change. What was right once is remembered for a while, as a tag that tells nothing.

mod apr1;
mod passwords;
mod tokens;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::{hmac, rand};
use tokio::sync::Semaphore;

use self::passwords::Passwords;
use self::tokens::Tokens;
use crate::mistake::Mistake;

/// Bytes of what a client says to be let in, at most.
const CREDENTIALS_BYTES: usize = 8 << 10;
/// How long it is remembered that a client's words were right.
const REMEMBER: Duration = Duration::from_secs(300);
/// Clients that are remembered.
const REMEMBERED: usize = 1024;
/// Passwords that are compared at a time: that is slow on purpose.
const COMPARISONS: usize = 2;

/// Whom a server lets in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum AccessConfig {
    /// Anybody.
    #[default]
    Anybody,
    /// Users with a password.
    Basic(BasicConfig),
    /// Whoever has a token.
    Bearer(BearerConfig),
    /// Whoever has a certificate of our authority: TLS sees to that.
    Certificate,
}

impl AccessConfig {
    /// LogWisp's word for it; `None` for anybody.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Anybody => None,
            Self::Basic(_) => Some("basic"),
            Self::Bearer(_) => Some("bearer"),
            Self::Certificate => Some("mtls"),
        }
    }
}

/// Users with a password.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BasicConfig {
    /// What browsers show where they ask for the password.
    pub realm: String,
    /// Lines of `user:hash`, as `htpasswd` writes them.
    pub users_file: Option<PathBuf>,
    /// Names, and the hashes of their passwords: bcrypt, argon2 or Apache's MD5.
    pub users: Vec<(String, String)>,
}

/// Whoever has a token.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BearerConfig {
    /// Words that are enough.
    pub tokens: Vec<String>,
    /// Signed tokens.
    pub jwt: Option<JwtConfig>,
}

/// JSON Web Tokens (RFC 7519); they must say when they expire.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JwtConfig {
    /// A secret (HS256, HS384, HS512), or an RSA public key in PEM (RS256 and its relatives).
    pub key: Option<String>,
    /// A file with a set of keys (RFC 7517).
    pub jwks_file: Option<PathBuf>,
    /// Who must have issued a token.
    pub issuer: Option<String>,
    /// For whom a token must be.
    pub audience: Option<String>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Denied {
    /// It said nothing.
    Nothing,
    /// What it said is wrong.
    Wrong,
}

/// Whom a server lets in, ready to be asked.
#[derive(Debug)]
pub(crate) struct Access {
    kind: Kind,
    key: hmac::Key,
    remembered: Mutex<Remembered>,
    turns: Semaphore,
}

/// By the tags of words that were right.
type Remembered = HashMap<[u8; 32], Owner>;

/// Whose some words are.
#[derive(Debug)]
struct Owner {
    user: Arc<str>,
    /// Since when that is known, and of which edition of the users.
    since: Instant,
    edition: u64,
}

#[derive(Debug)]
enum Kind {
    Anybody,
    Passwords { realm: String, passwords: Passwords },
    Tokens(Box<Tokens>),
}

impl Access {
    /// Reads what is needed.
    ///
    /// # Errors
    /// All files that cannot be read, hashes and keys that are none; by the keys of LogWisp's `auth` table.
    pub(crate) fn open(config: &AccessConfig) -> Result<Self, Vec<Mistake>> {
        let random = rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random)
            .map_err(|_| vec![Mistake::new("type", "the system gives no random numbers")])?;
        let kind = match config {
            AccessConfig::Anybody | AccessConfig::Certificate => Kind::Anybody,
            AccessConfig::Basic(basic) => {
                let passwords = Passwords::open(basic).map_err(Mistake::all_within("basic_auth"))?;
                Kind::Passwords { realm: basic.realm.clone(), passwords }
            }
            AccessConfig::Bearer(bearer) => {
                Kind::Tokens(Box::new(Tokens::open(bearer).map_err(Mistake::all_within("bearer_auth"))?))
            }
        };
        Ok(Self { kind, key, remembered: Mutex::default(), turns: Semaphore::new(COMPARISONS) })
    }

    /// Whether anybody is let in.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.kind, Kind::Anybody)
    }

    /// How a client is asked who it is, for `WWW-Authenticate`.
    pub(crate) fn challenge(&self) -> Option<String> {
        match &self.kind {
            Kind::Anybody => None,
            Kind::Passwords { realm, .. } => {
                let realm = realm.replace(['"', '\\'], "'");
                Some(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""))
            }
            Kind::Tokens(_) => Some("Bearer".to_owned()),
        }
    }

    /// Whose words these are, as after `Authorization:`; none where anybody is let in.
    ///
    /// # Errors
    /// If they are nobody's.
    pub(crate) async fn check(&self, words: Option<&str>) -> Result<Option<Arc<str>>, Denied> {
        if self.is_open() {
            return Ok(None);
        }
        let words = words.filter(|words| words.len() <= CREDENTIALS_BYTES).ok_or(Denied::Nothing)?;
        let (scheme, rest) = words.split_once(' ').ok_or(Denied::Wrong)?;
        let user = match &self.kind {
            Kind::Anybody => return Ok(None),
            Kind::Passwords { passwords, .. } if scheme.eq_ignore_ascii_case("basic") => {
                self.check_password(passwords, rest.trim()).await
            }
            Kind::Tokens(tokens) if scheme.eq_ignore_ascii_case("bearer") => tokens.owner(rest.trim()).await,
            _ => None,
        };
        user.map(Some).ok_or(Denied::Wrong)
    }

    async fn check_password(&self, passwords: &Passwords, words: &str) -> Option<Arc<str>> {
        let known = passwords.known().await;
        let edition = known.edition();
        let tag: [u8; 32] = hmac::sign(&self.key, words.as_bytes()).as_ref().try_into().ok()?;
        if let Some(owner) = self.remembered().get(&tag)
            && (owner.edition, owner.since.elapsed() < REMEMBER) == (edition, true)
        {
            return Some(Arc::clone(&owner.user));
        }
        let _turn = self.turns.acquire().await.ok()?;
        let words = words.to_owned();
        let user = tokio::task::spawn_blocking(move || known.owner(&words)).await.ok()??;
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(tag, Owner { user: Arc::clone(&user), since: Instant::now(), edition });
        Some(user)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
