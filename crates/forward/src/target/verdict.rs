//! What a target is that nobody has named: a hub says that it is one, and stays one.

use std::time::Duration;

use serde_json::Value;
use taffrail_record::Timestamp;

use super::{Protocol, TargetConfig};
use crate::ENTRIES_PATH;
use crate::peer::{Cause, Failure, Peer};
use crate::spool::Spool;

/// How long something is taken for a server of Resolvix without being asked again: it may have become a hub.
const AGE_MAX: Duration = Duration::from_secs(600);

/// What a target is taken for.
#[derive(Debug)]
pub(super) struct Verdict {
    /// What is configured.
    asked: Protocol,
    is_resolvix_likely: bool,
    url: String,
    spool: Spool,
    /// What it turned out to be, and when.
    found: Option<(Protocol, Timestamp)>,
}

impl Verdict {
    /// A hub that was known before is one.
    pub(super) fn new(config: &TargetConfig, spool: &Spool) -> Self {
        let TargetConfig { url, protocol, is_resolvix_likely, .. } = config;
        let found = spool.is_hub(url).then_some((Protocol::Hub, Timestamp(0)));
        let (asked, is_resolvix_likely) = (*protocol, *is_resolvix_likely);
        Self { asked, is_resolvix_likely, url: url.clone(), spool: spool.clone(), found }
    }

    /// How it is spoken to; it is asked where that is not known, or known for long.
    ///
    /// # Errors
    /// If it does not say.
    pub(super) fn protocol(&mut self, peer: &Peer, now: Timestamp) -> Result<Protocol, Failure> {
        let known = match (self.asked, self.found) {
            (Protocol::Auto, Some((protocol, since))) => {
                let age = u128::from(now.0.abs_diff(since.0));
                if protocol == Protocol::Hub || age < AGE_MAX.as_nanos() {
                    return Ok(protocol);
                }
                Some(protocol)
            }
            (Protocol::Auto, None) => None,
            (asked, _) => return Ok(asked),
        };
        // One that works is not doubted because it does not answer this.
        let protocol = self.ask(peer).or_else(|failure| known.ok_or(failure))?;
        self.found = Some((protocol, now));
        if protocol == Protocol::Hub
            && let Err(error) = self.spool.note_hub(&self.url)
        {
            tracing::warn!("{}: that it is a hub cannot be noted: {error}", self.url);
        }
        Ok(protocol)
    }

    /// It has failed: behind its address may be something else from now on. A hub stays one, whatever stands in for it.
    pub(super) fn doubt(&mut self) {
        self.found = self.found.filter(|(protocol, _)| *protocol == Protocol::Hub);
    }

    fn ask(&self, peer: &Peer) -> Result<Protocol, Failure> {
        match peer.get(ENTRIES_PATH) {
            Ok(text) if says_hub(&text) => Ok(Protocol::Hub),
            Ok(_) => Ok(Protocol::Resolvix),
            Err(failure) => match failure.cause {
                Cause::Cut | Cause::Slow | Cause::Code(429 | 502..=504) => Err(failure),
                Cause::Code(401 | 403) if !self.is_resolvix_likely => Err(failure),
                // It answers, but not this: other servers do so in many ways.
                Cause::Nonsense | Cause::Code(_) => Ok(Protocol::Resolvix),
            },
        }
    }
}

fn says_hub(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|answer| answer.get("taffrail").is_some())
}
