//! Who is let in, and who is not.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::*;

const LONG: &str = "a secret that is as long as it should be";

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn hash(password: &str) -> String {
    bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().format_for_version(bcrypt::Version::TwoY)
}

async fn says(access: &Access, words: &str) -> Result<Option<String>, Denied> {
    access.check(Some(words)).await.map(|user| user.map(|user| user.to_string()))
}

#[tokio::test]
async fn users_have_passwords_from_the_config_and_from_a_file_that_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    fs_err::write(&path, format!("# ours\nbob:{}\n", hash("pass:word"))).unwrap();
    let config = BasicConfig {
        realm: "logs".to_owned(),
        users_file: Some(path.clone()),
        users: vec![("ann".to_owned(), hash("secret"))],
    };
    let access = Access::open(&AccessConfig::Basic(config)).unwrap();
    assert_eq!(access.challenge().unwrap(), "Basic realm=\"logs\", charset=\"UTF-8\"");
    for (words, want) in [
        (basic("ann", "secret"), Ok(Some("ann".to_owned()))),
        (basic("ann", "secret").replace("Basic", "basic"), Ok(Some("ann".to_owned()))),
        (basic("bob", "pass:word"), Ok(Some("bob".to_owned()))),
        (basic("ann", "pass:word"), Err(Denied::Wrong)),
        (basic("eve", "secret"), Err(Denied::Wrong)),
        ("Bearer secret".to_owned(), Err(Denied::Wrong)),
        ("Basic !".to_owned(), Err(Denied::Wrong)),
        (basic("ann", &"x".repeat(9000)), Err(Denied::Nothing)),
    ] {
        assert_eq!(says(&access, &words).await, want, "{words}");
    }
    assert_eq!(access.check(None).await, Err(Denied::Nothing));
    fs_err::write(&path, "bob is nobody\n").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(says(&access, &basic("bob", "pass:word")).await.is_ok(), "what was read before holds");
    fs_err::write(&path, format!("eve:{}\n", hash("new"))).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(says(&access, &basic("bob", "pass:word")).await, Err(Denied::Wrong));
    assert!(says(&access, &basic("eve", "new")).await.is_ok());
}

#[tokio::test]
async fn hashes_are_those_that_are_known() {
    let argon2 = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$";
    let open = |hash: &str| {
        let users = vec![("ann".to_owned(), hash.to_owned())];
        Access::open(&AccessConfig::Basic(BasicConfig { users, ..BasicConfig::default() }))
    };
    for (hash, want) in [
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "neither bcrypt's, argon2's nor Apache's MD5; `htpasswd -B`"),
        ("$apr1$abcdefgh$short", "damaged"),
        ("secret", "neither"),
        ("$2y$04$short", "damaged"),
        (argon2, "damaged"),
    ] {
        let mistakes = open(hash).unwrap_err();
        assert_eq!(
            mistakes.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(),
            ["basic_auth.users.0.password_hash"]
        );
        let error = mistakes[0].to_string();
        assert!(error.contains(want) && !error.contains(hash), "{error}");
    }
    assert!(open(&hash("secret")).is_ok());
    let access = open("$apr1$g00QC4k1$wgKGFFdCpYQLMOLQidJ0G.").unwrap();
    assert!(says(&access, &basic("ann", "secret")).await.is_ok());
    assert_eq!(says(&access, &basic("ann", "Secret")).await, Err(Denied::Wrong));
    use argon2::PasswordHasher as _;
    let hashed = argon2::Argon2::new(
        argon2::Algorithm::Argon2id,
        argon2::Version::V0x13,
        argon2::Params::new(64, 1, 1, None).unwrap(),
    );
    let hashed = hashed.hash_password_with_salt(b"secret", b"some salt").unwrap().to_string();
    let access = open(&hashed).unwrap();
    assert!(says(&access, &basic("ann", "secret")).await.is_ok());
    assert!(says(&access, &basic("ann", "Secret")).await.is_err());
}

#[tokio::test]
async fn signed_tokens_must_be_ours_valid_and_for_us() {
    let jwt = JwtConfig {
        key: Some(LONG.to_owned()),
        issuer: Some("login".to_owned()),
        audience: Some("logs".to_owned()),
        ..JwtConfig::default()
    };
    let tokens = vec!["a word".to_owned()];
    let access = Access::open(&AccessConfig::Bearer(BearerConfig { tokens, jwt: Some(jwt) })).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let token = |claims: serde_json::Value, algorithm, key: &str| {
        let token = encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(key.as_bytes()));
        format!("Bearer {}", token.unwrap())
    };
    let good = json!({"sub": "ann", "exp": now + 600, "iss": "login", "aud": "logs"});
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        if claims[name].is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        token(claims, Algorithm::HS256, LONG)
    };
    assert_eq!(says(&access, &with("sub", "ann".into())).await, Ok(Some("ann".to_owned())));
    assert!(says(&access, "Bearer a word").await.is_ok());
    assert!(says(&access, &token(good.clone(), Algorithm::HS384, LONG)).await.is_ok());
    for words in [
        "Bearer a wors".to_owned(),
        with("exp", (now - 600).into()),
        with("exp", json!(null)),
        with("iss", "other".into()),
        with("iss", json!(null)),
        with("aud", json!(["others"])),
        with("aud", json!(null)),
        with("nbf", (now + 600).into()),
        token(good.clone(), Algorithm::HS256, "another secret that is long as well"),
        // `{"alg":"none"}`
        format!(
            "Bearer eyJhbGciOiJub25lIn0.{}.",
            base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(good.to_string())
        ),
    ] {
        assert_eq!(says(&access, &words).await, Err(Denied::Wrong), "{words}");
    }
    let short = JwtConfig { key: Some("short".to_owned()), ..JwtConfig::default() };
    let wrong = BearerConfig { tokens: vec!["good".to_owned(), " ".to_owned()], jwt: Some(short) };
    let mistakes = Access::open(&AccessConfig::Bearer(wrong)).unwrap_err();
    let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        mistakes,
        [
            "bearer_auth.tokens.1: is empty: anybody has it",
            "bearer_auth.jwt.signing_key: is shorter than 32 bytes and could be guessed"
        ]
    );
}

fn openssl(args: &[&str]) -> String {
    let output = std::process::Command::new("openssl").args(args).output().expect("openssl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn tokens_are_signed_by_a_key_of_the_set_or_by_the_key_in_the_config() {
    let dir = tempfile::tempdir().unwrap();
    let private = dir.path().join("key.pem");
    let path = private.to_str().unwrap();
    openssl(&["genrsa", "-out", path, "2048"]);
    let public = openssl(&["rsa", "-in", path, "-pubout"]);
    let key = EncodingKey::from_rsa_pem(&fs_err::read(&private).unwrap()).unwrap();
    let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
    jwk.common.key_id = Some("one".to_owned());
    let set = dir.path().join("jwks.json");
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "two"});
    fs_err::write(&set, json!({"keys": [jwk, secret]}).to_string()).unwrap();
    let claims = json!({"sub": "ann", "exp": jiff::Timestamp::now().as_second() + 600});
    let token = |id: Option<&str>, algorithm, key: &EncodingKey| {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
        format!("Bearer {}", encode(&header, &claims, key).unwrap())
    };
    let open = |jwt: JwtConfig| {
        Access::open(&AccessConfig::Bearer(BearerConfig { tokens: Vec::new(), jwt: Some(jwt) }))
    };
    let by_set = open(JwtConfig { jwks_file: Some(set.clone()), ..JwtConfig::default() }).unwrap();
    let by_key = open(JwtConfig { key: Some(public.clone()), ..JwtConfig::default() }).unwrap();
    for id in [None, Some("one")] {
        assert_eq!(says(&by_set, &token(id, Algorithm::RS256, &key)).await, Ok(Some("ann".to_owned())));
        assert!(says(&by_key, &token(id, Algorithm::RS512, &key)).await.is_ok());
    }
    // A public key is no secret to sign with.
    let confused = EncodingKey::from_secret(public.as_bytes());
    let of_set = EncodingKey::from_secret(b"secret");
    for words in [
        token(Some("two"), Algorithm::RS256, &key),
        token(Some("one"), Algorithm::HS256, &confused),
        token(None, Algorithm::HS256, &confused),
        token(Some("two"), Algorithm::HS256, &of_set),
    ] {
        assert_eq!(says(&by_set, &words).await, Err(Denied::Wrong), "{words}");
    }
    assert_eq!(says(&by_key, &token(None, Algorithm::HS256, &confused)).await, Err(Denied::Wrong));
    fs_err::write(&set, json!({"keys": [secret]}).to_string()).unwrap();
    let none = open(JwtConfig { jwks_file: Some(set), ..JwtConfig::default() }).unwrap_err();
    assert!(Mistake::list(none.clone()).contains("no public key"), "{none:?}");
}
