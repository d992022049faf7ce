//! The listen address: reading it, and when it is refused.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Problem;

/// Reads `127.0.0.1:8062`, `[::1]:8062`, `localhost:8062`.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    if let Some(port) = local {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let way_out = if text.starts_with(':') {
        format!("name the address too: \"127.0.0.1{text}\" for this machine only")
    } else if text.parse::<IpAddr>().is_ok() {
        format!("name the port too: \"{text}:8062\"")
    } else {
        "write it as \"127.0.0.1:8062\" or \"[::1]:8062\"".to_owned()
    };
    Err(format!("`{text}` is no address and port; {way_out}"))
}

/// Refuses an address that others reach unless that was asked for.
pub(crate) fn check(key: &str, listen: SocketAddr, allow_anonymous: bool) -> Result<(), Problem> {
    if listen.ip().is_loopback() || allow_anonymous {
        return Ok(());
    }
    let message = format!(
        "{listen} can be reached from other machines and nothing would ask them who they are: everyone could read \
         and post logs; listen on 127.0.0.1:{}, or set `allow_anonymous = true` (TAFFRAIL_ALLOW_ANONYMOUS=true) if \
         that is wanted",
        listen.port()
    );
    Err(Problem::new(key, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, want) in [
            ("127.0.0.1:8062", Ok("127.0.0.1:8062")),
            ("localhost:80", Ok("127.0.0.1:80")),
            ("[::1]:1", Ok("[::1]:1")),
            (":8062", Err("\"127.0.0.1:8062\"")),
            ("10.0.0.1", Err("\"10.0.0.1:8062\"")),
            ("example.org:1", Err("[::1]:8062")),
            ("127.0.0.1:99999", Err("127.0.0.1:8062")),
        ] {
            match (address(text), want) {
                (Ok(got), Ok(want)) => assert_eq!(got.to_string(), want),
                (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
                (got, want) => panic!("{text}: {got:?}, wanted {want:?}"),
            }
        }
    }

    #[test]
    fn the_open_network_needs_a_word() {
        for (text, allowed, ok) in [
            ("127.0.0.1:1", false, true),
            ("[::1]:1", false, true),
            ("0.0.0.0:1", false, false),
            ("0.0.0.0:1", true, true),
        ] {
            assert_eq!(check("listen", text.parse().unwrap(), allowed).is_ok(), ok, "{text}");
        }
    }
}
