//! What protects a stream: `auth` and `ssl`, as LogWisp's tables have them.

use std::path::PathBuf;

use taffrail_serve::access::{AccessConfig, BasicConfig, BearerConfig, JwtConfig};
use taffrail_serve::tls::{TlsConfig, TlsVersion};
use toml::{Table, Value};

use super::Reader;

/// What browsers show where a realm is not given.
const REALM: &str = "Taffrail";

/// TLS of the stream's servers; the outer is `None` where there is no such server.
type Servers<'a> = [Option<Option<&'a TlsConfig>>; 2];

impl Reader<'_> {
    /// Who is let in.
    pub(super) fn access(&mut self, table: &Table, servers: &Servers<'_>) -> AccessConfig {
        match self.text(table, "auth.type").to_ascii_lowercase().as_str() {
            "" | "none" => AccessConfig::Anybody,
            "basic" => AccessConfig::Basic(self.basic(table)),
            "bearer" => AccessConfig::Bearer(self.bearer(table)),
            "mtls" => {
                let checks = |tls: &Option<&TlsConfig>| tls.is_some_and(|tls| tls.needs_client);
                if !servers.iter().flatten().all(checks) {
                    let wants = "mtls auth needs ssl with client_auth, client_ca_file and verify_client_cert in each server";
                    self.wrong("auth.type", wants);
                }
                AccessConfig::Certificate
            }
            other => {
                self.wrong(
                    "auth.type",
                    &format!("invalid auth type: {other}; none, basic, bearer or mtls is possible"),
                );
                AccessConfig::Anybody
            }
        }
    }

    fn basic(&mut self, table: &Table) -> BasicConfig {
        let key = "auth.basic_auth";
        let users_file = self.file(table, &format!("{key}.users_file"));
        let listed = self.value(table, &format!("{key}.users"));
        let listed = listed.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let mut users = Vec::new();
        for number in 0..listed.len() {
            let user = format!("{key}.users.{number}");
            let name = self.text(table, &format!("{user}.username"));
            let hash = self.text(table, &format!("{user}.password_hash"));
            if name.is_empty() || hash.is_empty() {
                self.wrong(&user, "username and password_hash are wanted");
            }
            users.push((name, hash));
        }
        if users.is_empty() && users_file.is_none() {
            self.wrong(key, "basic auth type specified but config missing: users or users_file is wanted");
        }
        let realm = self.text(table, &format!("{key}.realm"));
        BasicConfig { realm: if realm.is_empty() { REALM.to_owned() } else { realm }, users_file, users }
    }

    fn bearer(&mut self, table: &Table) -> BearerConfig {
        let key = "auth.bearer_auth";
        let tokens = self.texts(table, &format!("{key}.tokens"));
        let text = |reader: &mut Self, member: &str| {
            Some(reader.text(table, &format!("{key}.jwt.{member}"))).filter(|text| !text.is_empty())
        };
        let jwt = JwtConfig {
            key: text(self, "signing_key"),
            jwks_file: text(self, "jwks_url").and_then(|url| self.jwks_file(&url)),
            issuer: text(self, "issuer"),
            audience: text(self, "audience"),
        };
        let has_keys = jwt.key.is_some() || jwt.jwks_file.is_some();
        if !has_keys && jwt != JwtConfig::default() {
            self.wrong(&format!("{key}.jwt"), "signing_key or jwks_url is wanted");
        } else if tokens.is_empty() && !has_keys {
            self.wrong(key, "bearer auth type specified but config missing: tokens or jwt is wanted");
        }
        BearerConfig { tokens, jwt: has_keys.then_some(jwt) }
    }

    /// The path of a set of keys.
    fn jwks_file(&mut self, url: &str) -> Option<PathBuf> {
        if let Some((scheme @ ("http" | "https"), _)) = url.split_once("://") {
            let way = format!(
                "{scheme} is not fetched; keep a copy on this machine (`curl -o FILE {url}`) and name that"
            );
            self.wrong("auth.bearer_auth.jwt.jwks_url", &way);
            return None;
        }
        Some(PathBuf::from(url.strip_prefix("file://").unwrap_or(url)))
    }

    /// TLS of a server.
    pub(super) fn tls(&mut self, table: &Table, server: &str, kind: &str) -> Option<TlsConfig> {
        let key = |member: &str| format!("{server}.ssl.{member}");
        if !self.switch(table, &key("enabled")) {
            return None;
        }
        let (cert_file, key_file) = (self.file(table, &key("cert_file")), self.file(table, &key("key_file")));
        if cert_file.is_none() || key_file.is_none() {
            self.wrong(&key("cert_file"), &format!("{kind}: SSL enabled but cert/key files not specified"));
        }
        let verifies = self.switch(table, &key("verify_client_cert"));
        // Whoever wants certificates checked wants them asked for.
        let asks_client = self.switch(table, &key("client_auth")) || verifies;
        let client_ca_file = self.file(table, &key("client_ca_file")).filter(|_| asks_client);
        if asks_client && client_ca_file.is_none() {
            self.wrong(
                &key("client_ca_file"),
                &format!("{kind}: client auth enabled but CA file not specified"),
            );
        }
        let min = self.version(table, &key("min_version"), kind).unwrap_or_default();
        let max = self.version(table, &key("max_version"), kind);
        if max.is_some_and(|max| max < min) {
            self.wrong(&key("max_version"), &format!("{kind}: is older than min_version"));
        }
        let suites = self.texts(table, &key("cipher_suites"));
        let ciphers =
            suites.iter().flat_map(|text| text.split([',', ':'])).map(|name| name.trim().to_owned());
        Some(TlsConfig {
            cert_file: cert_file.unwrap_or_default(),
            key_file: key_file.unwrap_or_default(),
            client_ca_file,
            needs_client: verifies,
            min,
            max,
            ciphers: ciphers.filter(|name| !name.is_empty()).collect(),
        })
    }

    /// A version of TLS; those before 1.2 are not spoken, and as the oldest they mean 1.2.
    fn version(&mut self, table: &Table, key: &str, kind: &str) -> Option<TlsVersion> {
        match self.text(table, key).to_ascii_uppercase().replace(' ', "").as_str() {
            "" => None,
            "TLS1.3" => Some(TlsVersion::V13),
            "TLS1.2" => Some(TlsVersion::V12),
            "TLS1.0" | "TLS1.1" if key.ends_with("min_version") => Some(TlsVersion::V12),
            "TLS1.0" | "TLS1.1" => {
                self.wrong(key, &format!("{kind}: versions before TLS1.2 are not safe and not spoken"));
                None
            }
            other => {
                self.wrong(
                    key,
                    &format!("{kind}: invalid TLS version: {other}; TLS1.2 or TLS1.3 is possible"),
                );
                None
            }
        }
    }

    fn file(&mut self, table: &Table, key: &str) -> Option<PathBuf> {
        Some(self.text(table, key)).filter(|path| !path.is_empty()).map(PathBuf::from)
    }
}
