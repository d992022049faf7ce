//! The live stream: server-sent events, with a new connection when the old one ends.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::time::Duration;

use taffrail_serve::api::{GapNotice, Record, SampledNotice};

use super::{Client, Refusal};

/// The first pause before connecting again.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// The longest pause before connecting again.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Bytes of one event at most.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// What a live stream tells.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Event {
    /// A record.
    Record(Record),
    /// Records were left out.
    Gap(GapNotice),
    /// Not all records were shown, as asked.
    Sampled(SampledNotice),
    /// The connection ended with this reason and is made again.
    Lost(String),
    /// The daemon is there, but refuses for now, for this reason; it is asked again.
    Refused(String),
    /// The connection is there again.
    Back,
}

type Sink<'a> = dyn FnMut(Event) -> anyhow::Result<ControlFlow<()>> + 'a;

impl Client {
    /// Hands the matching new records to `sink` until it breaks. Connects again by itself, after a pause
    /// that grows, and goes on after the last record that came. `rate`: records a second, if not all are wanted.
    ///
    /// # Errors
    /// The daemon refuses the expression, or `sink` fails.
    pub(crate) fn tail(
        &self,
        expression: &str,
        rate: Option<u32>,
        sink: &mut Sink<'_>,
    ) -> anyhow::Result<()> {
        let mut client = self.clone();
        let rate = rate.map(|rate| rate.to_string());
        let mut asked = vec![("q", expression)];
        asked.extend(rate.as_deref().map(|rate| ("rate", rate)));
        let mut last = None;
        let mut pause = None;
        loop {
            let trouble = match client.connect(&asked, &mut last, &mut pause, sink) {
                Ok(ControlFlow::Break(())) => return Ok(()),
                Ok(ControlFlow::Continue(reason)) => Event::Lost(reason),
                Err(error) if error.is::<ureq::Error>() => Event::Lost(error.root_cause().to_string()),
                Err(error) if is_passing(&error) => Event::Refused(error.to_string()),
                Err(error) => return Err(error),
            };
            if pause.is_none() && sink(trouble)?.is_break() {
                return Ok(());
            }
            let next = pause.map_or(BACKOFF_FIRST, |pause: Duration| (pause * 2).min(BACKOFF_MAX));
            pause = Some(next);
            std::thread::sleep(next);
            // A daemon that was restarted may answer elsewhere.
            let data_dir = client.daemon_file.parent().map(std::path::Path::to_owned);
            if let Some(Ok(Some(found))) = data_dir.map(|data_dir| Client::find(&data_dir)) {
                client = found;
            }
        }
    }

    /// One connection, from its beginning to its end (`Continue` with the reason).
    fn connect(
        &self,
        asked: &[(&str, &str)],
        last: &mut Option<String>,
        pause: &mut Option<Duration>,
        sink: &mut Sink<'_>,
    ) -> anyhow::Result<ControlFlow<(), String>> {
        let mut parameters = asked.to_vec();
        parameters.extend(last.as_deref().map(|last| ("after", last)));
        let response = self.call("/api/v1/tail", &parameters)?;
        if pause.is_some() && sink(Event::Back)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        let before = last.clone();
        let ended = read(BufReader::new(reader), last, sink);
        // A connection that brought nothing is no reason to hurry with the next one.
        if *last != before {
            *pause = None;
        }
        ended
    }
}

/// Whether a failure ends by itself: the daemon is starting, stopping or busy.
fn is_passing(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| matches!(refusal.code.as_str(), "busy" | "store" | "timed_out"))
}

/// Reads events until the stream ends (`Continue` with the reason) or `sink` breaks.
pub(super) fn read(
    mut stream: impl BufRead,
    last: &mut Option<String>,
    sink: &mut Sink<'_>,
) -> anyhow::Result<ControlFlow<(), String>> {
    let (mut kind, mut data, mut id, mut line) = (String::new(), String::new(), None, Vec::new());
    loop {
        line.clear();
        match read_line(&mut stream, &mut line) {
            Ok(0) => return Ok(ControlFlow::Continue("the daemon ended the connection".to_owned())),
            Ok(_) => {}
            Err(error) => return Ok(ControlFlow::Continue(error.to_string())),
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if text.is_empty() => {
                let event = event(&std::mem::take(&mut kind), &std::mem::take(&mut data));
                if let Some(event) = event
                    && sink(event)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
                *last = id.take().or(last.take());
            }
            "event" => value.clone_into(&mut kind),
            "data" if data.len() < EVENT_BYTES_MAX => {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            "id" => id = Some(value.to_owned()),
            _ => {}
        }
    }
}

fn read_line(stream: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let read = std::io::Read::take(&mut *stream, EVENT_BYTES_MAX as u64).read_until(b'\n', line)?;
    if read == EVENT_BYTES_MAX {
        Err(std::io::Error::other("an event of the daemon has no end"))
    } else {
        Ok(read)
    }
}

fn event(kind: &str, data: &str) -> Option<Event> {
    match kind {
        // One that this program cannot read is not passed over in silence.
        "record" => Some(match serde_json::from_str::<Record>(data) {
            Ok(record) => Event::Record(record),
            Err(_) => Event::Gap(GapNotice { missed: 1, deleted: false }),
        }),
        "gap" => serde_json::from_str::<GapNotice>(data).ok().map(Event::Gap),
        "sampled" => serde_json::from_str(data).ok().map(Event::Sampled),
        _ => None,
    }
}
