//! The names that a request may call this server by.
//!
//! A page on the web can make a browser ask a loopback server under the page's own name (DNS rebinding) and
//! read the answers. So a listener on a loopback address answers only to names that mean this machine.

use std::net::SocketAddr;
use std::sync::Arc;

/// Which names in `Host` are answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hosts {
    /// `None`: all.
    allowed: Option<Arc<[String]>>,
}

impl Hosts {
    /// Every name.
    pub fn any() -> Self {
        Self { allowed: None }
    }

    /// For a listener at `address`: on loopback `localhost`, `127.0.0.1`, `[::1]`, the address itself and
    /// `extra` (names without a port); elsewhere every name, since the machine's own are not known.
    pub fn for_listener(address: SocketAddr, extra: &[String]) -> Self {
        if !address.ip().is_loopback() {
            return Self::any();
        }
        let own = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        let standard = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        let all = standard.into_iter().chain([own]).chain(extra.iter().map(|name| name.to_ascii_lowercase()));
        Self { allowed: Some(all.collect()) }
    }

    /// Whether `authority` (`name` or `name:port`) is answered.
    pub(crate) fn allow(&self, authority: &str) -> bool {
        let Some(allowed) = &self.allowed else { return true };
        let name = without_port(authority).trim_end_matches('.').to_ascii_lowercase();
        allowed.contains(&name)
    }

    /// Whether a request to `host` that changes something may come from a page of `origin`
    /// (`scheme://authority`): its own pages, and those of the allowed names.
    pub(crate) fn allow_origin(&self, origin: &str, host: &str) -> bool {
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        authority.eq_ignore_ascii_case(host) || (self.allowed.is_some() && self.allow(authority))
    }
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
        let everywhere = Hosts::for_listener("0.0.0.0:8062".parse().unwrap(), &[]);
        assert!(everywhere.allow("anything"));
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
