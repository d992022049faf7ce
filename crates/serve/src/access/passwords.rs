//! Users and the hashes of their passwords.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{BasicConfig, apr1};
use crate::mistake::Mistake;
use crate::watched::{Said, Watched};

/// How argon2's and bcrypt's hashes begin.
const ARGON2: &str = "$argon2";
const BCRYPT: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];

type Users = HashMap<String, String>;

/// Users, from the config and from a file.
#[derive(Debug)]
pub(super) struct Passwords {
    own: Arc<Users>,
    file: Option<Watched<Users>>,
}

/// The users that there are at a time.
pub(super) struct Known {
    own: Arc<Users>,
    file: Option<Said<Users>>,
}

impl Passwords {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// All hashes that are none, and a file that cannot be read; by the keys of LogWisp's `basic_auth` table.
    pub(super) fn open(config: &BasicConfig) -> Result<Self, Vec<Mistake>> {
        let wrong = |(number, (user, hash)): (usize, &(String, String))| {
            let error = check(user, hash).err()?;
            Some(Mistake::new(&format!("users.{number}.password_hash"), error))
        };
        let mut mistakes: Vec<_> = config.users.iter().enumerate().filter_map(wrong).collect();
        let open = |path: &PathBuf| Watched::of_file(path, users);
        match config.users_file.as_ref().map(open).transpose() {
            Ok(file) if mistakes.is_empty() => {
                return Ok(Self { own: Arc::new(config.users.iter().cloned().collect()), file });
            }
            Ok(_) => {}
            Err(error) => mistakes.push(Mistake::new("users_file", error)),
        }
        Err(mistakes)
    }

    /// Those that there are now.
    pub(super) async fn known(&self) -> Known {
        let file = match &self.file {
            Some(file) => Some(file.said().await),
            None => None,
        };
        Known { own: Arc::clone(&self.own), file }
    }
}

impl Known {
    /// How often the file was read again: who is known of another time may have been struck out.
    pub(super) fn edition(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.edition)
    }

    /// The user whose name and password these words are, in base64. Slow, on purpose.
    pub(super) fn owner(&self, words: &str) -> Option<Arc<str>> {
        let words = String::from_utf8(BASE64_STANDARD.decode(words).ok()?).ok()?;
        let (user, password) = words.split_once(':')?;
        let file = self.file.as_ref().map(|file| &*file.value);
        let hash = self.own.get(user).or_else(|| file?.get(user));
        // A name that nobody has takes as long as a wrong password, so that nobody can try names out.
        let any = || self.own.values().next().or_else(|| file?.values().next());
        let fits = fits(password, hash.or_else(any)?);
        (hash.is_some() && fits).then(|| user.into())
    }
}

fn users(text: &str) -> Result<Users, String> {
    let mut users = Users::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = |error: String| format!("line {}: {error}", number + 1);
        let (user, hash) = line.split_once(':').ok_or_else(|| at("`user:hash` is wanted".to_owned()))?;
        check(user, hash).map_err(at)?;
        users.insert(user.to_owned(), hash.to_owned());
    }
    Ok(users)
}

/// Whether passwords can be compared with a hash.
fn check(user: &str, hash: &str) -> Result<(), String> {
    let is_known = match hash {
        _ if hash.starts_with(ARGON2) => PasswordHash::new(hash).is_ok(),
        _ if is_bcrypt(hash) => hash.parse::<bcrypt::HashParts>().is_ok(),
        _ if hash.starts_with(apr1::START) => apr1::salt(hash).is_some(),
        _ => {
            return Err(format!(
                "the hash of `{user}` is neither bcrypt's, argon2's nor Apache's MD5; `htpasswd -B` makes a good one"
            ));
        }
    };
    if is_known { Ok(()) } else { Err(format!("the hash of `{user}` is damaged")) }
}

fn is_bcrypt(hash: &str) -> bool {
    BCRYPT.iter().any(|start| hash.starts_with(start))
}

fn fits(password: &str, hash: &str) -> bool {
    if is_bcrypt(hash) {
        return bcrypt::verify(password, hash).unwrap_or(false);
    }
    if hash.starts_with(apr1::START) {
        return apr1::fits(password, hash);
    }
    let verifies = |hash: &PasswordHash| Argon2::default().verify_password(password.as_bytes(), hash).is_ok();
    PasswordHash::new(hash).is_ok_and(|hash| verifies(&hash))
}
