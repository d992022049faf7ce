//! nginx: visitors, a health check, a scanner that collects 404s, and 5xx while the database is in trouble.

use super::random::Random;
use super::world::{Episode, File, Tick, stamp};

const PAGES: [&str; 12] = [
    "/",
    "/products",
    "/products/17",
    "/products/42",
    "/cart",
    "/checkout",
    "/search?q=lantern",
    "/api/cart",
    "/api/stock/42",
    "/static/app.js",
    "/static/app.css",
    "/img/logo.svg",
];
const SCANNED: [&str; 14] = [
    "/.env",
    "/.git/config",
    "/wp-login.php",
    "/wp-admin/",
    "/phpmyadmin/",
    "/admin.php",
    "/backup.zip",
    "/config.php.bak",
    "/server-status",
    "/../../etc/passwd",
    "/cgi-bin/test.cgi",
    "/vendor/phpunit/eval.php",
    "/actuator/env",
    "/xmlrpc.php",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148",
    "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example.com/)",
];
const SCANNER_AGENT: &str = "masscan-ng/1.4";

/// The web server.
pub(super) struct Web {
    scan: Episode,
    rush: Episode,
    scanner: String,
}

impl Web {
    pub(super) fn new() -> Self {
        Self {
            scan: Episode::new(480, 1_600, 40, 120),
            rush: Episode::new(300, 900, 40, 120),
            scanner: String::new(),
        }
    }

    pub(super) fn tick(&mut self, tick: &mut Tick<'_>) {
        let was_scanned = self.scan.is_active();
        let scanned = self.scan.tick(tick.random);
        if scanned && !was_scanned {
            self.scanner = format!("198.51.100.{}", tick.random.range(2, 250));
        }
        let visits = if self.rush.tick(tick.random) { 3_200 } else { 1_100 };
        let (visits, probes) =
            (tick.random.count(visits), if scanned { tick.random.count(1_800) } else { 0 });
        for moment in tick.moments(visits + probes) {
            let is_probe = scanned && tick.random.range(0, visits + probes) >= visits;
            let time = stamp(moment, "%d/%b/%Y:%H:%M:%S +0000");
            let text = if is_probe {
                probe(&self.scanner, &time, tick.random)
            } else {
                visit(&time, tick.trouble, tick.random)
            };
            tick.line(File::Access, moment, text);
        }
        if tick.number.is_multiple_of(40) {
            let moment = tick.moments(1)[0];
            let time = stamp(moment, "%d/%b/%Y:%H:%M:%S +0000");
            tick.line(
                File::Access,
                moment,
                format!("127.0.0.1 - - [{time}] \"GET /healthz HTTP/1.1\" 200 2 \"-\" \"curl/8.14.1\""),
            );
        }
    }
}

fn visit(time: &str, trouble: bool, random: &mut Random) -> String {
    let page = random.pick(&PAGES);
    let is_static = page.starts_with("/static") || page.starts_with("/img");
    let status = match random.range(0, 1000) {
        0..=349 if trouble && !is_static => random.range(502, 505),
        0..=3 => 500,
        4..=19 => 404,
        20..=49 => 304,
        50..=79 => 302,
        _ => 200,
    };
    let method = if page.starts_with("/api/cart") && random.chance(500) { "POST" } else { "GET" };
    let bytes = match status {
        304 => 0,
        200 => random.range(400, 48_000),
        _ => random.range(120, 600),
    };
    let address = format!("203.0.113.{}", random.range(1, 255));
    let referrer = if random.chance(600) { "https://shop.example.com/" } else { "-" };
    let agent = random.pick(&AGENTS);
    format!("{address} - - [{time}] \"{method} {page} HTTP/1.1\" {status} {bytes} \"{referrer}\" \"{agent}\"")
}

fn probe(scanner: &str, time: &str, random: &mut Random) -> String {
    let path = random.pick(&SCANNED);
    let status = if random.chance(60) { 403 } else { 404 };
    format!("{scanner} - - [{time}] \"GET {path} HTTP/1.1\" {status} 153 \"-\" \"{SCANNER_AGENT}\"")
}
