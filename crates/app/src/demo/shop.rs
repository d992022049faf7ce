//! The shop: JSON lines about requests, with stack traces while the database is in trouble.

use serde_json::json;
use taffrail_record::Timestamp;

use super::random::Random;
use super::world::{File, Tick, stamp};

const ACTIONS: [&str; 6] = [
    "product shown",
    "added to cart",
    "checkout started",
    "payment accepted",
    "search answered",
    "session renewed",
];
const STACK: &str = "com.example.shop.StockException: stock of product 42 is unknown\n\
    \tat com.example.shop.Stock.reserve(Stock.java:118)\n\
    \tat com.example.shop.Checkout.confirm(Checkout.java:74)\n\
    \tat com.example.shop.Api.handle(Api.java:203)\n\
    Caused by: org.postgresql.util.PSQLException: ERROR: deadlock detected\n\
    \tat org.postgresql.core.v3.QueryExecutorImpl.receiveErrorResponse(QueryExecutorImpl.java:2733)\n\
    \t... 31 more";

/// The shop.
pub(super) struct Shop;

impl Shop {
    pub(super) fn tick(&mut self, tick: &mut Tick<'_>) {
        let count = tick.random.count(550);
        for moment in tick.moments(count) {
            let failed = tick.random.chance(if tick.trouble { 300 } else { 6 });
            let text = if failed { failure(moment, tick.random) } else { request(moment, tick.random) };
            tick.line(File::Shop, moment, text);
        }
    }
}

fn request(moment: Timestamp, random: &mut Random) -> String {
    let milliseconds = random.latency(35);
    let slow = milliseconds > 250;
    json!({
        "time": time(moment),
        "level": if slow { "warn" } else if random.chance(150) { "debug" } else { "info" },
        "service": "shop",
        "msg": if slow { "slow request" } else { random.pick(&ACTIONS) },
        "request_id": format!("{:016x}", random.next()),
        "customer": random.range(1_000, 9_999),
        "duration_ms": milliseconds,
    })
    .to_string()
}

fn failure(moment: Timestamp, random: &mut Random) -> String {
    json!({
        "time": time(moment),
        "level": "error",
        "service": "shop",
        "msg": "checkout failed",
        "request_id": format!("{:016x}", random.next()),
        "customer": random.range(1_000, 9_999),
        "error": "deadlock detected",
        "stack": STACK,
    })
    .to_string()
}

fn time(moment: Timestamp) -> String {
    stamp(moment, "%Y-%m-%dT%H:%M:%S.%3fZ")
}
