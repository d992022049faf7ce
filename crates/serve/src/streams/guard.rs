//! Who may connect to a stream, and how often: lists of addresses, limits of rates and of connections.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::config::{AddressRange, LimitBy, RateLimit, StreamConfig};
use crate::access::{Access, Denied};
use crate::audit::{Audit, Refused};

/// Time after which an address that asks nothing is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// Addresses that are remembered; beyond, the idle ones go first, then all.
const ADDRESSES_MAX: usize = 65_536;
/// An address that is refused again and again is named once in so much time.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Refusals that are named at once in the program's log, of all addresses together, and so many more in a second.
const TELLS: u32 = 60;
const TELLS_PER_SECOND: f64 = 1.0;

/// Wrong passwords or tokens that an address may try at once, and so many more in a second: a tenth of one.
const FAILURES: u32 = 10;
const FAILURES_PER_SECOND: f64 = 0.1;
/// How long somebody waits while others of the address try as many as it may, and how often it looks.
const TRY_TIME: Duration = Duration::from_secs(10);
const TRY_EVERY: Duration = Duration::from_millis(20);

/// What protects one port.
#[derive(Debug)]
pub(super) struct Guard {
    stream: String,
    /// `http` or `tcp`.
    server: &'static str,
    audit: Audit,
    allowed: Vec<AddressRange>,
    denied: Vec<AddressRange>,
    pub(super) limit: Option<RateLimit>,
    state: Mutex<State>,
    pub(super) requests: AtomicU64,
    pub(super) refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// By [`line`].
    addresses: HashMap<IpAddr, Address>,
    /// Of all addresses together.
    all: Option<Bucket>,
    /// What may be said of those who are turned away.
    words: Option<Bucket>,
    connections: usize,
}

/// What is known of an address.
#[derive(Debug, Default)]
struct Address {
    bucket: Option<Bucket>,
    /// Of wrong passwords and tokens.
    failures: Option<Bucket>,
    /// Passwords and tokens that are being looked at.
    tries: u32,
    connections: usize,
    asked: Option<Instant>,
    told: Option<Instant>,
}

/// Requests that may come at once, filled again as time goes by.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// Why somebody is turned away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// The address is not on the list of those that may come, or on that of those that may not.
    Address,
    /// Too many requests.
    Rate,
    /// Too many connections.
    Connections,
    /// It did not say who it is.
    Unnamed,
    /// What it said is wrong.
    Credentials,
    /// What it said was wrong too often.
    Failures,
    /// It does not speak TLS, or has no certificate that counts.
    Handshake,
    /// What it says is no request, or too much.
    NoRequest,
    /// It does not say what it wants, or too slowly.
    Slow,
    /// The stream is to be asked at its own port: only there are certificates checked, or is TLS spoken.
    Elsewhere,
    /// A page of another site asks in the name of its reader.
    Site,
}

impl Refusal {
    /// For people.
    fn reason(self) -> &'static str {
        match self {
            Self::Address => "its address may not connect",
            Self::Rate => "it asks too often",
            Self::Connections => "it has too many connections, or all have",
            Self::Unnamed => "it does not say who it is",
            Self::Credentials => "its password or token is wrong",
            Self::Failures => "its password or token was wrong too often",
            Self::Handshake => "the TLS handshake failed",
            Self::NoRequest => "what it says is no request, or too much",
            Self::Slow => "it does not say what it wants, or too slowly",
            Self::Elsewhere => "the stream's own port is to be asked, which is better protected",
            Self::Site => "a page of another site asks in the name of its reader",
        }
    }
}

/// A connection that was let in; it is given up by dropping it.
#[derive(Debug)]
pub(super) struct Admitted {
    guard: Arc<Guard>,
    address: IpAddr,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut state = self.guard.state();
        state.connections -= 1;
        if let Some(known) = state.addresses.get_mut(&line(self.address)) {
            known.connections -= 1;
        }
    }
}

/// A password or token that is being looked at.
struct Trying<'a> {
    guard: &'a Guard,
    address: IpAddr,
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.guard.state().addresses.get_mut(&line(self.address)) {
            known.tries = known.tries.saturating_sub(1);
        }
    }
}

impl Bucket {
    /// How many there are.
    fn left(bucket: &mut Option<Self>, burst: u32, per_second: f64, now: Instant) -> f64 {
        let burst = f64::from(burst);
        let bucket = bucket.get_or_insert(Self { tokens: burst, filled: now });
        let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * per_second).min(burst);
        bucket.filled = now;
        bucket.tokens
    }

    /// Takes one, if there is one more.
    fn take(bucket: &mut Option<Self>, burst: u32, per_second: f64, now: Instant) -> bool {
        let has = Self::left(bucket, burst, per_second, now) >= 1.0;
        if let (Some(bucket), true) = (bucket, has) {
            bucket.tokens -= 1.0;
        }
        has
    }
}

impl Guard {
    pub(super) fn new(
        config: &StreamConfig,
        server: &'static str,
        limit: Option<&RateLimit>,
        audit: &Audit,
    ) -> Arc<Self> {
        Arc::new(Self {
            stream: config.name.clone(),
            server,
            audit: audit.clone(),
            allowed: config.allowed.clone(),
            denied: config.denied.clone(),
            limit: limit.cloned(),
            state: Mutex::default(),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an address may come at all.
    pub(super) fn permits(&self, address: IpAddr, now: Instant) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let is_in = |list: &[AddressRange]| list.iter().any(|range| range.has(address));
        if is_in(&self.denied) || !self.allowed.is_empty() && !is_in(&self.allowed) {
            return Err(self.refuse(address, Refusal::Address, None, now));
        }
        Ok(())
    }

    /// Whether a connection may stay.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Admitted, Refusal> {
        self.permits(address, now)?;
        let address = address.to_canonical();
        let limit = self.limit.as_ref();
        let fits = |count: usize, most: Option<usize>| most.is_none_or(|most| count < most);
        {
            let mut state = self.state();
            let total = state.connections;
            let known = state.known(address, now);
            if fits(known.connections, limit.and_then(|limit| limit.connections_per_address))
                && fits(total, limit.and_then(|limit| limit.connections))
            {
                known.connections += 1;
                state.connections += 1;
                return Ok(Admitted { guard: Arc::clone(self), address });
            }
        }
        Err(self.refuse(address, Refusal::Connections, None, now))
    }

    /// Whether a request may be answered.
    pub(super) fn ask(&self, address: IpAddr, now: Instant) -> Result<(), Refusal> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let Some(limit) = &self.limit else { return Ok(()) };
        let address = address.to_canonical();
        let fits = {
            let mut state = self.state();
            let bucket = match limit.by {
                LimitBy::Everybody => &mut state.all,
                LimitBy::Address => &mut state.known(address, now).bucket,
            };
            Bucket::take(bucket, limit.burst, limit.per_second, now)
        };
        if fits { Ok(()) } else { Err(self.refuse(address, Refusal::Rate, None, now)) }
    }

    /// Whether who asks is let in, by what it says of itself.
    pub(super) async fn identify(
        &self,
        access: &Access,
        words: Option<&str>,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        if access.is_open() {
            return Ok(());
        }
        let address = address.to_canonical();
        let Some(trying) = self.may_try(address).await else {
            return Err(self.refuse(address, Refusal::Failures, None, Instant::now()));
        };
        let checked = access.check(words).await;
        let now = Instant::now();
        let refusal = match checked {
            Ok(_) => return Ok(()),
            Err(Denied::Nothing) => Refusal::Unnamed,
            Err(Denied::Wrong) => {
                let mut state = self.state();
                Bucket::take(&mut state.known(address, now).failures, FAILURES, FAILURES_PER_SECOND, now);
                Refusal::Credentials
            }
        };
        drop(trying);
        Err(self.refuse(address, refusal, None, now))
    }

    /// Waits until the address may try another password: all that are being looked at may turn out to be wrong. `None` if
    /// it has tried too many.
    async fn may_try(&self, address: IpAddr) -> Option<Trying<'_>> {
        let begun = Instant::now();
        loop {
            let now = Instant::now();
            {
                let mut state = self.state();
                let known = state.known(address, now);
                let left = Bucket::left(&mut known.failures, FAILURES, FAILURES_PER_SECOND, now);
                if left >= f64::from(known.tries) + 1.0 {
                    known.tries += 1;
                    return Some(Trying { guard: self, address });
                }
                if known.tries == 0 || now.saturating_duration_since(begun) > TRY_TIME {
                    return None;
                }
            }
            sleep(TRY_EVERY).await;
        }
    }

    /// Addresses and connections that are known now.
    pub(super) fn known(&self) -> (usize, usize) {
        let state = self.state();
        (state.addresses.len(), state.connections)
    }

    /// Counts a refusal, notes it in the audit log, and tells of it.
    pub(super) fn refuse(
        &self,
        address: IpAddr,
        refusal: Refusal,
        detail: Option<String>,
        now: Instant,
    ) -> Refusal {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let (stream, server, reason) = (self.stream.clone(), self.server, refusal.reason());
        self.audit.refused(Refused { stream, server, address, reason, detail });
        let mut state = self.state();
        let told = state.known(address, now).told;
        if told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY)
            && Bucket::take(&mut state.words, TELLS, TELLS_PER_SECOND, now)
        {
            state.known(address, now).told = Some(now);
            tracing::warn!("the stream `{}` turns {address} away: {reason}", self.stream);
        }
        refusal
    }
}

/// What counts as one address: of IPv6 all that one line has, the first half of its bits (RFC 6177).
fn line(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

impl State {
    fn known(&mut self, address: IpAddr, now: Instant) -> &mut Address {
        let address = line(address);
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&address) {
            self.forget(now);
        }
        let known = self.addresses.entry(address).or_default();
        known.asked = Some(now);
        known
    }

    /// Forgets who is not connected: first those that ask nothing, and if that is not enough all.
    fn forget(&mut self, now: Instant) {
        let is_idle = |known: &Address| {
            known.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= FORGET_AFTER)
        };
        let is_used = |known: &Address| known.connections > 0 || known.tries > 0;
        self.addresses.retain(|_, known| is_used(known) || !is_idle(known));
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.retain(|_, known| is_used(known));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{AccessConfig, BasicConfig, BearerConfig};

    /// `secret`, by bcrypt.
    const HASH: &str = "$2b$04$xHzFpwBu4izit2pTUW0TY.Smwx1bneGyNRjlf2LQpPcwN7uXbwx5W";

    fn protecting(allowed: &[&str], denied: &[&str], limit: Option<&RateLimit>) -> Arc<Guard> {
        let ranges =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<AddressRange>>();
        let (allowed, denied) = (ranges(allowed), ranges(denied));
        let config = StreamConfig { allowed, denied, ..StreamConfig::default() };
        Guard::new(&config, "http", limit, &Audit::default())
    }

    #[test]
    fn a_line_of_ipv6_counts_as_one_address_and_ipv4_in_its_clothes_as_itself() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (one, other, is_same) in [
            ("2001:db8:0:1::7", "2001:db8:0:1:ffff::", true),
            ("2001:db8:0:1::7", "2001:db8:0:2::7", false),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
        ] {
            assert_eq!(line(address(one)) == line(address(other)), is_same, "{one} {other}");
        }
        let guard = protecting(&[], &["::ffff:192.0.2.7", "::ffff:198.51.100.0/120"], None);
        for (text, may) in [("192.0.2.7", false), ("198.51.100.9", false), ("192.0.2.8", true)] {
            assert_eq!(guard.permits(address(text), Instant::now()).is_ok(), may, "{text}");
        }
        let few = RateLimit { connections_per_address: Some(1), ..limit(LimitBy::Address) };
        let guard = protecting(&[], &[], Some(&few));
        let first = guard.admit(address("2001:db8::1"), Instant::now()).unwrap();
        assert!(guard.admit(address("2001:db8::2"), Instant::now()).is_err());
        drop(first);
        assert!(guard.admit(address("2001:db8::2"), Instant::now()).is_ok());
    }

    fn limit(by: LimitBy) -> RateLimit {
        RateLimit {
            per_second: 2.0,
            burst: 3,
            by,
            code: 429,
            message: String::new(),
            connections_per_address: Some(2),
            connections: Some(3),
        }
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_burst_is_let_in_and_then_the_rate() {
        let guard = protecting(&[], &[], Some(&limit(LimitBy::Address)));
        let start = Instant::now();
        let ask = |last, millis| guard.ask(address(last), start + Duration::from_millis(millis)).is_ok();
        assert_eq!([0, 0, 0, 0].map(|at| ask(1, at)), [true, true, true, false]);
        assert!(ask(2, 0), "others have a bucket of their own");
        assert_eq!([499, 500, 999, 1000].map(|at| ask(1, at)), [false, true, false, true]);
        assert_eq!([9000; 4].map(|at| ask(1, at)), [true, true, true, false], "no more than a burst gathers");
        assert_eq!(guard.refused.load(Ordering::Relaxed), 4);

        let guard = protecting(&[], &[], Some(&limit(LimitBy::Everybody)));
        assert_eq!(
            [1, 2, 3, 4].map(|last| guard.ask(address(last), start).is_ok()),
            [true, true, true, false]
        );
    }

    #[test]
    fn connections_are_counted_and_given_back() {
        let guard = protecting(&[], &[], Some(&limit(LimitBy::Address)));
        let now = Instant::now();
        let first = guard.admit(address(1), now).unwrap();
        let _second = guard.admit(address(1), now).unwrap();
        assert_eq!(guard.admit(address(1), now).unwrap_err(), Refusal::Connections);
        let _third = guard.admit(address(2), now).unwrap();
        assert_eq!(guard.admit(address(3), now).unwrap_err(), Refusal::Connections, "three are all");
        drop(first);
        assert!(guard.admit(address(3), now).is_ok());
        assert_eq!(guard.known().1, 2);
    }

    #[test]
    fn lists_say_who_may_come() {
        let guard = protecting(&["192.0.2.0/28", "2001:db8::/32"], &["192.0.2.7"], None);
        for (text, want) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.7", false),
            ("192.0.2.16", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(guard.admit(text.parse().unwrap(), Instant::now()).is_ok(), want, "{text}");
        }
    }

    #[tokio::test]
    async fn who_is_wrong_too_often_is_not_even_listened_to() {
        let basic = BearerConfig { tokens: vec!["right".to_owned()], jwt: None };
        let access = Access::open(&AccessConfig::Bearer(basic)).unwrap();
        let guard = protecting(&[], &[], None);
        let says = |words: &'static str, last| guard.identify(&access, Some(words), address(last));
        assert_eq!(guard.identify(&access, None, address(1)).await, Err(Refusal::Unnamed));
        for _ in 0..FAILURES {
            assert_eq!(says("Bearer wrong", 1).await, Err(Refusal::Credentials));
        }
        assert_eq!(says("Bearer right", 1).await, Err(Refusal::Failures));
        assert_eq!(says("Bearer right", 2).await, Ok(()));
    }

    #[tokio::test]
    async fn nobody_tries_more_at_once_than_one_after_the_other() {
        let basic = BasicConfig {
            realm: "logs".to_owned(),
            users_file: None,
            users: vec![("ann".to_owned(), HASH.to_owned())],
        };
        let access = Access::open(&AccessConfig::Basic(basic)).unwrap();
        let guard = protecting(&[], &[], None);
        let tries =
            (0..3 * FAILURES).map(|_| guard.identify(&access, Some("Basic YW5uOndyb25n"), address(1)));
        let ended = futures::future::join_all(tries).await;
        let count = |refusal| ended.iter().filter(|ended| **ended == Err(refusal)).count() as u32;
        assert!((FAILURES..FAILURES + 3).contains(&count(Refusal::Credentials)), "{ended:?}");
        assert_eq!(count(Refusal::Credentials) + count(Refusal::Failures), 3 * FAILURES);
        // Those that are right are all let in, though they come together.
        let right =
            (0..3 * FAILURES).map(|_| guard.identify(&access, Some("Basic YW5uOnNlY3JldA=="), address(2)));
        assert!(futures::future::join_all(right).await.iter().all(Result::is_ok));
        assert!(guard.state().addresses.values().all(|known| known.tries == 0));
    }

    #[test]
    fn memory_is_bounded() {
        let guard = protecting(&[], &[], Some(&limit(LimitBy::Address)));
        let now = Instant::now();
        for number in 0..ADDRESSES_MAX as u32 + 10 {
            let _ = guard.ask(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(guard.known().0 <= ADDRESSES_MAX);
    }
}
