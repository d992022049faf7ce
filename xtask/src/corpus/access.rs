//! The web access lines, four of ten lines of the corpus.

use super::random::Random;
use super::template::{Pool, Template};
use anyhow::Result;

const REQUESTS: &[(u32, &str)] = &[
    (20, "GET /"),
    (18, "GET /api/v1/orders/{r:1-99999}/items"),
    (16, "GET /api/v1/users/{r:1-99999}"),
    (10, "POST /api/v1/carts/{x:10}/lines"),
    (12, "GET /assets/main.{x:8}.js"),
    (10, "GET /media/{n:6}.webp"),
    (8, "GET /find?q={x:5}&page={r:1-40}"),
    (10, "GET /healthz"),
    (4, "POST /session"),
    (2, "GET /.env"),
];

const ANSWERS: &[(u32, &str)] = &[
    (820, "200"),
    (30, "204"),
    (25, "302"),
    (30, "304"),
    (40, "404"),
    (20, "403"),
    (10, "429"),
    (15, "500"),
    (10, "503"),
];

const AGENTS: &[(u32, &str)] = &[
    (30, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (
        30,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    ),
    (10, "okhttp/4.12.0"),
    (20, "uptime-check/2.4"),
    (10, "Go-http-client/2.0"),
];

/// The parts of an access line, ready to be drawn.
#[derive(Debug)]
pub(crate) struct Access {
    requests: Vec<Template>,
    answers: Vec<Template>,
    agents: Vec<Template>,
    size_and_time: Template,
}

impl Access {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            requests: spread(REQUESTS)?,
            answers: spread(ANSWERS)?,
            agents: spread(AGENTS)?,
            size_and_time: Template::new(" {r:150-48000} \"-\" \"")?,
        })
    }

    /// Appends one line's message.
    pub(crate) fn fill(&self, pool: &Pool, random: &mut Random, out: &mut Vec<u8>) {
        out.extend_from_slice(random.pick(&pool.addresses).as_bytes());
        out.extend_from_slice(b" - - \"");
        random.pick(&self.requests).fill(pool, random, out);
        out.extend_from_slice(b" HTTP/1.1\" ");
        random.pick(&self.answers).fill(pool, random, out);
        self.size_and_time.fill(pool, random, out);
        random.pick(&self.agents).fill(pool, random, out);
        out.extend_from_slice(b"\" rt=0.");
        super::template::push_padded(random.below(1000), 3, out);
    }
}

/// Each template as often as its weight says, so that one even draw finds the right one.
pub(crate) fn spread(weighted: &[(u32, &str)]) -> Result<Vec<Template>> {
    let mut out = Vec::new();
    for (weight, pattern) in weighted {
        let template = Template::new(pattern)?;
        out.extend(std::iter::repeat_n(template, usize::try_from(*weight)?));
    }
    Ok(out)
}
