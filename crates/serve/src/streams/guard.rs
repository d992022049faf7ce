//! Who may connect to a stream, and how often: lists of addresses, limits of rates and of connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::config::{AddressRange, LimitBy, RateLimit};

/// Time after which an address that asks nothing is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// Addresses that are remembered; beyond, the idle ones go first, then all.
const ADDRESSES_MAX: usize = 65_536;
/// An address that is refused again and again is named once in so much time.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What protects one port.
#[derive(Debug)]
pub(super) struct Guard {
    stream: String,
    allowed: Vec<AddressRange>,
    denied: Vec<AddressRange>,
    pub(super) limit: Option<RateLimit>,
    state: Mutex<State>,
    pub(super) requests: AtomicU64,
    pub(super) refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    addresses: HashMap<IpAddr, Address>,
    /// Of all addresses together.
    all: Option<Bucket>,
    connections: usize,
}

/// What is known of an address.
#[derive(Debug, Default)]
struct Address {
    bucket: Option<Bucket>,
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
        if let Some(known) = state.addresses.get_mut(&self.address) {
            known.connections -= 1;
        }
    }
}

impl Bucket {
    fn take(bucket: &mut Option<Self>, limit: &RateLimit, now: Instant) -> bool {
        let burst = f64::from(limit.burst);
        let bucket = bucket.get_or_insert(Self { tokens: burst, filled: now });
        let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * limit.per_second).min(burst);
        bucket.filled = now;
        let fits = bucket.tokens >= 1.0;
        bucket.tokens -= if fits { 1.0 } else { 0.0 };
        fits
    }
}

impl Guard {
    pub(super) fn new(
        stream: &str,
        allowed: &[AddressRange],
        denied: &[AddressRange],
        limit: Option<&RateLimit>,
    ) -> Arc<Self> {
        Arc::new(Self {
            stream: stream.to_owned(),
            allowed: allowed.to_vec(),
            denied: denied.to_vec(),
            limit: limit.cloned(),
            state: Mutex::default(),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection may stay.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Admitted, Refusal> {
        let address = address.to_canonical();
        let is_in = |list: &[AddressRange]| list.iter().any(|range| range.has(address));
        if is_in(&self.denied) || !self.allowed.is_empty() && !is_in(&self.allowed) {
            return Err(self.refuse(address, Refusal::Address, now));
        }
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
        Err(self.refuse(address, Refusal::Connections, now))
    }

    /// Whether a request may be answered.
    pub(super) fn ask(&self, address: IpAddr, now: Instant) -> Result<(), Refusal> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let Some(limit) = &self.limit else { return Ok(()) };
        let address = address.to_canonical();
        let fits = {
            let mut state = self.state();
            match limit.by {
                LimitBy::Everybody => Bucket::take(&mut state.all, limit, now),
                LimitBy::Address => Bucket::take(&mut state.known(address, now).bucket, limit, now),
            }
        };
        if fits { Ok(()) } else { Err(self.refuse(address, Refusal::Rate, now)) }
    }

    /// Addresses and connections that are known now.
    pub(super) fn known(&self) -> (usize, usize) {
        let state = self.state();
        (state.addresses.len(), state.connections)
    }

    /// Counts a refusal, and tells of it.
    fn refuse(&self, address: IpAddr, refusal: Refusal, now: Instant) -> Refusal {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        let told = &mut state.known(address, now).told;
        if told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY) {
            *told = Some(now);
            let reason = match refusal {
                Refusal::Address => "its address may not connect",
                Refusal::Rate => "it asks too often",
                Refusal::Connections => "it has too many connections, or all have",
            };
            tracing::warn!("the stream `{}` turns {address} away: {reason}", self.stream);
        }
        refusal
    }
}

impl State {
    fn known(&mut self, address: IpAddr, now: Instant) -> &mut Address {
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
        self.addresses.retain(|_, known| known.connections > 0 || !is_idle(known));
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.retain(|_, known| known.connections > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let guard = Guard::new("a", &[], &[], Some(&limit(LimitBy::Address)));
        let start = Instant::now();
        let ask = |last, millis| guard.ask(address(last), start + Duration::from_millis(millis)).is_ok();
        assert_eq!([0, 0, 0, 0].map(|at| ask(1, at)), [true, true, true, false]);
        assert!(ask(2, 0), "others have a bucket of their own");
        assert_eq!([499, 500, 999, 1000].map(|at| ask(1, at)), [false, true, false, true]);
        assert_eq!([9000; 4].map(|at| ask(1, at)), [true, true, true, false], "no more than a burst gathers");
        assert_eq!(guard.refused.load(Ordering::Relaxed), 4);

        let guard = Guard::new("a", &[], &[], Some(&limit(LimitBy::Everybody)));
        assert_eq!(
            [1, 2, 3, 4].map(|last| guard.ask(address(last), start).is_ok()),
            [true, true, true, false]
        );
    }

    #[test]
    fn connections_are_counted_and_given_back() {
        let guard = Guard::new("a", &[], &[], Some(&limit(LimitBy::Address)));
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
        let ranges =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<AddressRange>>();
        let guard =
            Guard::new("a", &ranges(&["192.0.2.0/28", "2001:db8::/32"]), &ranges(&["192.0.2.7"]), None);
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

    #[test]
    fn memory_is_bounded() {
        let guard = Guard::new("a", &[], &[], Some(&limit(LimitBy::Address)));
        let now = Instant::now();
        for number in 0..ADDRESSES_MAX as u32 + 10 {
            let _ = guard.ask(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(guard.known().0 <= ADDRESSES_MAX);
    }
}
