//! TLS: certificates, those of clients, and the handshake.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{WebPkiClientVerifier, danger::ClientCertVerifier};
use tokio_rustls::rustls::{
    ConfigBuilder, Error as RustlsError, InconsistentKeys, RootCertStore, ServerConfig,
    SupportedProtocolVersion, WantsVerifier, version,
};
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::mistake::Mistake;
use crate::watched::{self, Watched};

/// Time that a client gets for the handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A certificate that ends so soon is worth a word.
const ENDS_SOON: Duration = Duration::from_secs(14 * 86_400);

/// What a server needs for TLS.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsConfig {
    /// PEM: the server's certificate, then those that lead to its authority.
    pub cert_file: PathBuf,
    /// PEM: its private key.
    pub key_file: PathBuf,
    /// PEM: the authorities whose certificates clients may have.
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client must have one.
    pub needs_client: bool,
    /// The oldest version that is spoken.
    pub min: TlsVersion,
    /// The newest version that is spoken; `None`: the newest there is.
    pub max: Option<TlsVersion>,
    /// Names of the ciphers that may be used; none: all that are safe.
    pub ciphers: Vec<String>,
}

impl TlsConfig {
    /// Whether whoever gets through this gets through `other` too, but for the names in the servers' certificates.
    pub(crate) fn is_as_safe_as(&self, other: &Self) -> bool {
        let asks_as_much =
            !other.needs_client || self.needs_client && self.client_ca_file == other.client_ca_file;
        asks_as_much && self.min >= other.min && (other.ciphers.is_empty() || self.ciphers == other.ciphers)
    }
}

/// A version of TLS; older ones are not spoken at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum TlsVersion {
    /// TLS 1.2
    #[default]
    V12,
    /// TLS 1.3
    V13,
}

/// TLS, ready for clients. Files that change, as certificates do every few weeks, are read again.
#[derive(Debug)]
pub(crate) struct Tls(Watched<Ready>);

struct Ready {
    acceptor: TlsAcceptor,
    /// What people should know.
    warnings: Vec<String>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// All files that cannot be read, do not hold what they should, or do not belong together, and ciphers that are not
    /// spoken; by the keys of LogWisp's `ssl` table.
    pub(crate) fn open(config: &TlsConfig) -> Result<Self, Vec<Mistake>> {
        let paths = [Some(&config.cert_file), Some(&config.key_file), config.client_ca_file.as_ref()];
        let paths = paths.into_iter().flatten().cloned().collect();
        let config = config.clone();
        Ok(Self(Watched::open(paths, move || Ready::new(&config), Mistake::list)?))
    }

    /// What people should know of the certificate.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.0.last().value.warnings.clone()
    }

    /// Speaks TLS with a client.
    ///
    /// # Errors
    /// A client that does not, has no certificate though it must, or takes too long.
    pub(crate) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = self.0.said().await.value.acceptor.clone();
        let slow = |_| io::Error::new(io::ErrorKind::TimedOut, "the handshake takes too long");
        timeout(HANDSHAKE_TIME, acceptor.accept(socket)).await.map_err(slow)?
    }
}

impl Ready {
    fn new(config: &TlsConfig) -> Result<Self, Vec<Mistake>> {
        let TlsConfig { cert_file, key_file, client_ca_file, needs_client, .. } = config;
        let named = certificates(cert_file).and_then(|all| Ok((warnings(cert_file, &all[0])?, all)));
        let own = Mistake::both(
            named.map_err(Mistake::of("cert_file")),
            private_key(key_file).map_err(Mistake::of("key_file")),
        );
        let builder = builder(config).map_err(Mistake::of("cipher_suites"));
        let authority = |path: &PathBuf| authorities(path).map_err(Mistake::of("client_ca_file"));
        let roots = client_ca_file.as_ref().map(authority).transpose();
        let ((((warnings, certificates), key), (builder, provider)), roots) =
            Mistake::both(Mistake::both(own, builder), roots)?;
        let builder = match roots {
            Some(roots) => {
                let verifier =
                    verifier(roots, *needs_client, provider).map_err(Mistake::of("client_ca_file"))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(certificates, key).map_err(|error| match error {
            RustlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => Mistake::of("key_file")(format!(
                "the key {} is not that of the certificate {}",
                key_file.display(),
                cert_file.display()
            )),
            error => Mistake::of("cert_file")(wrong(cert_file, &error.to_string())),
        })?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), warnings })
    }
}

type Builder = ConfigBuilder<ServerConfig, WantsVerifier>;

/// What the ciphers and versions make.
fn builder(config: &TlsConfig) -> Result<(Builder, Arc<CryptoProvider>), String> {
    let provider = Arc::new(provider(&config.ciphers)?);
    let unsafe_choice = |error: RustlsError| format!("the ciphers and versions do not go together: {error}");
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(config)?)
        .map_err(unsafe_choice)?;
    Ok((builder, provider))
}

fn wrong(path: &Path, error: &str) -> String {
    format!("{}: {error}", path.display())
}

/// The certificates of a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = watched::text(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let all = all.map_err(|error| wrong(path, &format!("is damaged: {error}")))?;
    if all.is_empty() { Err(wrong(path, "holds no certificate in PEM")) } else { Ok(all) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = watched::text(path)?;
    if text.contains("ENCRYPTED") {
        let way = format!("openssl pkey -in {} -out NEW", path.display());
        return Err(wrong(path, &format!("is encrypted; `{way}` writes it as it is needed here")));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|error| wrong(path, &format!("holds no private key in PEM ({error})")))
}

/// What is to be known of a certificate.
fn warnings(path: &Path, certificate: &CertificateDer<'_>) -> Result<Vec<String>, String> {
    let parsed = X509Certificate::from_der(certificate);
    let (_, parsed) = parsed.map_err(|_| wrong(path, "holds something that is no certificate (X.509)"))?;
    let validity = parsed.validity();
    let ends = validity.not_after;
    Ok(match validity.time_to_expiration() {
        None if parsed.validity().not_before.timestamp() > jiff::Timestamp::now().as_second() => {
            vec![wrong(path, &format!("is valid from {} on only", validity.not_before))]
        }
        None => vec![wrong(path, &format!("has expired, {ends}: clients will refuse it"))],
        Some(left) if left.whole_seconds() < ENDS_SOON.as_secs() as i64 => {
            vec![wrong(path, &format!("expires soon, {ends}"))]
        }
        Some(_) => Vec::new(),
    })
}

fn versions(config: &TlsConfig) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let known = [(TlsVersion::V12, &version::TLS12), (TlsVersion::V13, &version::TLS13)];
    let max = config.max.unwrap_or(TlsVersion::V13);
    let wanted = known.into_iter().filter(|(version, _)| (config.min..=max).contains(version));
    let versions: Vec<_> = wanted.map(|(_, version)| version).collect();
    if versions.is_empty() {
        Err("the oldest version of TLS is newer than the newest".to_owned())
    } else {
        Ok(versions)
    }
}

/// The cryptography, with some ciphers only if they are named.
fn provider(ciphers: &[String]) -> Result<CryptoProvider, String> {
    let mut provider = aws_lc_rs::default_provider();
    if ciphers.is_empty() {
        return Ok(provider);
    }
    // OpenSSL and Go write `TLS_ECDHE_...`, and TLS 1.3's `TLS_...` where rustls has `TLS13_...`.
    let name = |suite: &tokio_rustls::rustls::SupportedCipherSuite| {
        format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
    };
    let all: Vec<String> = provider.cipher_suites.iter().map(name).collect();
    if let Some(unknown) = ciphers.iter().find(|cipher| !all.contains(cipher)) {
        return Err(format!("the cipher {unknown} is not spoken; there are {}", all.join(", ")));
    }
    provider.cipher_suites.retain(|suite| ciphers.contains(&name(suite)));
    Ok(provider)
}

/// The authorities of a file.
fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let damaged = |_| wrong(path, "holds something that is no authority's certificate (X.509)");
        roots.add(certificate).map_err(damaged)?;
    }
    Ok(roots)
}

fn verifier(
    roots: RootCertStore,
    needs_client: bool,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if needs_client { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| error.to_string())
}
