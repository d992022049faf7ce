//! Tokens: words that are enough by themselves, and JSON Web Tokens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::constant_time;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use super::{BearerConfig, JwtConfig};
use crate::mistake::Mistake;
use crate::watched::Watched;

/// Who has one of the words.
const HOLDER: &str = "a holder of a token";
/// Bytes of a secret, at least: shorter ones can be guessed from a single token.
const SECRET_BYTES: usize = 32;

/// The tokens that are known.
#[derive(Debug)]
pub(super) struct Tokens {
    words: Vec<String>,
    jwt: Option<Jwt>,
}

/// What signed tokens are checked with.
#[derive(Debug)]
struct Jwt {
    key: Option<Key>,
    set: Option<Watched<Vec<Key>>>,
    issuer: Option<String>,
    audience: Option<String>,
}

/// A key, and its name.
struct Key {
    id: Option<String>,
    key: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What we read of a token.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
}

impl Tokens {
    /// Reads the keys.
    ///
    /// # Errors
    /// All files that cannot be read, keys that are none, and words that everybody has; by the keys of LogWisp's
    /// `bearer_auth` table.
    pub(super) fn open(config: &BearerConfig) -> Result<Self, Vec<Mistake>> {
        // Who says nothing has said that.
        let empty = config.tokens.iter().position(|word| word.trim().is_empty());
        let words = match empty {
            Some(at) => Err(vec![Mistake::new(&format!("tokens.{at}"), "is empty: anybody has it")]),
            None => Ok(config.tokens.clone()),
        };
        let jwt = config.jwt.as_ref().map(Jwt::open).transpose().map_err(Mistake::all_within("jwt"));
        let (words, jwt) = Mistake::both(words, jwt)?;
        Ok(Self { words, jwt })
    }

    /// Who has this token.
    pub(super) async fn owner(&self, token: &str) -> Option<Arc<str>> {
        let same =
            |word: &String| constant_time::verify_slices_are_equal(word.as_bytes(), token.as_bytes()).is_ok();
        if self.words.iter().any(same) {
            return Some(HOLDER.into());
        }
        self.jwt.as_ref()?.owner(token).await
    }
}

impl Jwt {
    fn open(config: &JwtConfig) -> Result<Self, Vec<Mistake>> {
        let key = config.key.as_deref().map(signing_key).transpose().map_err(Mistake::of("signing_key"));
        let open = |path: &PathBuf| Watched::of_file(path, key_set);
        let set = config.jwks_file.as_ref().map(open).transpose().map_err(Mistake::of("jwks_url"));
        let (key, set) = Mistake::both(key, set)?;
        Ok(Self { key, set, issuer: config.issuer.clone(), audience: config.audience.clone() })
    }

    async fn owner(&self, token: &str) -> Option<Arc<str>> {
        let id = decode_header(token).ok()?.kid;
        let set = match &self.set {
            Some(set) => Some(set.said().await.value),
            None => None,
        };
        let all = self.key.iter().chain(set.iter().flat_map(|set| set.iter()));
        let named = |key: &&Key| id.is_none() || key.id.is_none() || key.id == id;
        all.filter(named).find_map(|key| self.subject(token, &key.key))
    }

    /// Whom a token that is signed with a key is for.
    fn subject(&self, token: &str, key: &DecodingKey) -> Option<Arc<str>> {
        let mut validation = Validation::new_for_family(key.family());
        validation.validate_nbf = true;
        // What is wanted must be there: a token that names no audience is for nobody.
        let mut wanted = vec!["exp"];
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                wanted.push("aud");
            }
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            wanted.push("iss");
        }
        validation.set_required_spec_claims(&wanted);
        let claims = decode::<Claims>(token, key, &validation).ok()?.claims;
        Some(claims.sub.as_deref().unwrap_or(HOLDER).into())
    }
}

/// A secret, or a public key in PEM.
fn signing_key(text: &str) -> Result<Key, String> {
    if Path::new(text).is_absolute() && Path::new(text).exists() {
        return Err(format!(
            "is the path of a file, which is no secret: write what {text} holds, as \"\"\"...\"\"\""
        ));
    }
    let key = if text.trim_start().starts_with("-----BEGIN") {
        DecodingKey::from_rsa_pem(text.trim().as_bytes())
            .map_err(|error| format!("is no RSA public key in PEM: {error}"))?
    } else if text.len() < SECRET_BYTES {
        return Err(format!("is shorter than {SECRET_BYTES} bytes and could be guessed"));
    } else {
        DecodingKey::from_secret(text.as_bytes())
    };
    Ok(Key { id: None, key })
}

fn key_set(text: &str) -> Result<Vec<Key>, String> {
    let set: JwkSet = serde_json::from_str(text).map_err(|error| format!("is no set of keys: {error}"))?;
    let mut keys = Vec::new();
    for jwk in set.keys.iter().filter(|jwk| jwk.is_supported()) {
        let id = jwk.common.key_id.clone();
        let named = || id.clone().unwrap_or_default();
        let key = DecodingKey::from_jwk(jwk).map_err(|error| format!("the key `{}`: {error}", named()))?;
        // A public file has no secrets.
        if key.family() != AlgorithmFamily::Hmac {
            keys.push(Key { id, key });
        }
    }
    if keys.is_empty() { Err("has no public key that can be used".to_owned()) } else { Ok(keys) }
}
