//! The names that a request may call this server by.
//!
//! A page on the web can make a browser ask a loopback server under the page's own name (DNS rebinding) and
//! read the answers. So a listener on a loopback address answers only to names that mean this machine.

use std::net::SocketAddr;
use std::sync::Arc;

/// Which names in `Host` are answered, and whose pages may send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hosts {
    names: Arc<[String]>,
    /// Whether names that are not listed are answered as well.
    any: bool,
}

impl Hosts {
    /// Every name.
    pub fn any() -> Self {
        Self { names: Arc::default(), any: true }
    }

    /// For a listener at `address`: on loopback `localhost`, `127.0.0.1`, `[::1]`, the address itself and
    /// `extra` (names without a port); elsewhere every name, since the machine's own are not known, and
    /// `extra` are the names whose pages may send.
    pub fn for_listener(address: SocketAddr, extra: &[String]) -> Self {
        let extra = extra.iter().map(|name| name.to_ascii_lowercase());
        if !address.ip().is_loopback() {
            return Self { names: extra.collect(), any: true };
        }
        let own = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        let standard = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        Self { names: standard.into_iter().chain([own]).chain(extra).collect(), any: false }
    }

    /// Whether `authority` (`name` or `name:port`) is answered.
    pub(crate) fn allow(&self, authority: &str) -> bool {
        self.any || self.lists(authority)
    }

    /// Whether a request to `host` that changes something may come from a page of `origin`
    /// (`scheme://authority`): its own pages, and those of the listed names.
    pub(crate) fn allow_origin(&self, origin: &str, host: &str) -> bool {
        is_of_host(origin, host) || self.lists(authority(origin))
    }

    fn lists(&self, authority: &str) -> bool {
        let name = without_port(authority).trim_end_matches('.').to_ascii_lowercase();
        self.names.contains(&name)
    }
}

/// Whether an origin is that of the host that was asked.
pub(crate) fn is_of_host(origin: &str, host: &str) -> bool {
    authority(origin).eq_ignore_ascii_case(host)
}

fn authority(origin: &str) -> &str {
    origin.split_once("://").map_or("", |(_, authority)| authority)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_listener_answers_to_its_own_names_only() {
        let extra = ["Logs.example.com".to_owned()];
        let hosts = Hosts::for_listener("127.0.0.2:8062".parse().unwrap(), &extra);
        for (host, allowed) in [
            ("localhost:8062", true),
            ("LOCALHOST", true),
            ("localhost.:8062", true),
            ("127.0.0.1:8062", true),
            ("127.0.0.2", true),
            ("[::1]:8062", true),
            ("[::1]", true),
            ("logs.example.com", true),
            ("evil.example.com:8062", false),
            ("localhost.evil.example.com", false),
            ("127.0.0.1.nip.io:8062", false),
            ("", false),
        ] {
            assert_eq!(hosts.allow(host), allowed, "{host}");
        }
        let everywhere = Hosts::for_listener("0.0.0.0:8062".parse().unwrap(), &extra);
        assert!(everywhere.allow("anything"));
        assert!(everywhere.allow_origin("https://logs.example.com", "10.0.0.1:8062"));
        assert!(!everywhere.allow_origin("https://evil.example.com", "10.0.0.1:8062"));
    }

    #[test]
    fn only_own_pages_change_something() {
        let hosts = Hosts::for_listener("127.0.0.1:8062".parse().unwrap(), &[]);
        assert!(hosts.allow_origin("http://127.0.0.1:8062", "127.0.0.1:8062"));
        assert!(hosts.allow_origin("http://localhost:5173", "127.0.0.1:8062"));
        assert!(!hosts.allow_origin("https://evil.example.com", "127.0.0.1:8062"));
        assert!(!hosts.allow_origin("null", "127.0.0.1:8062"));
        assert!(!Hosts::any().allow_origin("https://evil.example.com", "logs.example.com"));
        assert!(Hosts::any().allow_origin("https://logs.example.com", "logs.example.com"));
    }
}
