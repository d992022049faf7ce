//! How a client is written to: events over HTTP, frames of a WebSocket, or lines over TCP.

use std::time::SystemTime;

use bytes::Bytes;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

use super::Transport;
use super::config::{Heartbeat, HttpConfig};
use super::entry::{self, Entry};
use super::heartbeat::Moment;
use super::place::Place;

/// What a client of events finds at the end.
const DISCONNECT: &[u8] = b"event: disconnect\ndata: {\"reason\":\"server_shutdown\"}\n\n";
/// What ends a body of chunks (RFC 9112, 7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// The headers of an event stream, but for those that its version asks for.
const HEADERS: &str = "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
                       Access-Control-Allow-Origin: *\r\nX-Accel-Buffering: no\r\n";

/// How entries stand in what a client is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Events, in the chunks of HTTP/1.1.
    Chunks,
    /// Events, as HTTP/1.0 has them: until the connection ends.
    Events,
    /// Each as a text frame of a WebSocket: its JSON.
    Frames,
    /// The same, as `{"id": "...", "entry": {...}}`.
    FramesWithIds,
    /// Each as a line of JSON.
    Lines,
}

impl Form {
    /// All forms; each is at the place of its number.
    pub(super) const ALL: [Self; 5] =
        [Self::Chunks, Self::Events, Self::Frames, Self::FramesWithIds, Self::Lines];

    /// How those who are written to so are counted.
    pub(super) fn transport(self) -> Transport {
        match self {
            Self::Chunks | Self::Events => Transport::Events,
            Self::Frames | Self::FramesWithIds => Transport::Socket,
            Self::Lines => Transport::Tcp,
        }
    }

    /// The head of the answer that a client of events gets, and what it is greeted with: it comes back to `place` if it loses
    /// the connection before the first entry.
    pub(super) fn greeting(self, config: &HttpConfig, client: i64, place: Place) -> Bytes {
        let (version, connection) = match self {
            Self::Chunks => ("1.1", "keep-alive\r\nTransfer-Encoding: chunked"),
            Self::Events => ("1.0", "close"),
            Self::Frames | Self::FramesWithIds | Self::Lines => return Bytes::new(),
        };
        let date = httpdate::fmt_http_date(SystemTime::now());
        let head =
            format!("HTTP/{version} 200 OK\r\n{HEADERS}Connection: {connection}\r\nDate: {date}\r\n\r\n");
        let HttpConfig { buffer, stream_path, status_path, .. } = config;
        let (stream_path, status_path) =
            (serde_json::Value::from(stream_path.as_str()), serde_json::Value::from(status_path.as_str()));
        let event = format!(
            "event: connected\ndata: {{\"buffer_size\":{buffer},\"client_id\":\"{client}\",\"status_path\":{status_path},\"stream_path\":{stream_path}}}\nid: {place}\n\n"
        );
        Bytes::from([head.as_bytes(), &self.wrap(event.as_bytes())].concat())
    }

    /// Entries, one after the other.
    pub(super) fn entries<'a>(self, entries: impl Iterator<Item = &'a Entry> + Clone) -> Bytes {
        match self {
            Self::Events => entry::events(entries),
            Self::Chunks => self.wrap(&entry::events(entries)),
            Self::Frames | Self::FramesWithIds => {
                let mut frames =
                    Vec::with_capacity(entries.clone().map(|entry| entry.event().len() + 32).sum());
                entries.for_each(|entry| match self {
                    Self::FramesWithIds => text_frame(&with_id(entry), &mut frames),
                    _ => text_frame(entry.json(), &mut frames),
                });
                Bytes::from(frames)
            }
            Self::Lines => {
                let mut lines = Vec::with_capacity(entries.clone().map(|entry| entry.line().len()).sum());
                entries.for_each(|entry| lines.extend_from_slice(entry.line()));
                Bytes::from(lines)
            }
        }
    }

    /// A sign of life.
    pub(super) fn beat(self, heartbeat: &Heartbeat, moment: &Moment) -> Bytes {
        match self {
            Self::Chunks | Self::Events => self.wrap(heartbeat.event(moment).as_bytes()),
            Self::Frames | Self::FramesWithIds => {
                let mut frame = Vec::new();
                text_frame(heartbeat.json(moment).as_bytes(), &mut frame);
                Bytes::from(frame)
            }
            Self::Lines => Bytes::from(heartbeat.line(moment)),
        }
    }

    /// What is said when the program ends.
    pub(super) fn good_bye(self) -> Bytes {
        match self {
            Self::Chunks => Bytes::from([&self.wrap(DISCONNECT), LAST_CHUNK].concat()),
            Self::Events => Bytes::from_static(DISCONNECT),
            Self::Frames | Self::FramesWithIds => close_frame(CloseCode::Away, "server_shutdown"),
            Self::Lines => Bytes::new(),
        }
    }

    /// What is said to a client that is to come again.
    pub(super) fn failure(self) -> Bytes {
        match self {
            Self::Frames | Self::FramesWithIds => close_frame(CloseCode::Again, "try again"),
            Self::Chunks | Self::Events | Self::Lines => Bytes::new(),
        }
    }

    /// Events as this form has them.
    fn wrap(self, events: &[u8]) -> Bytes {
        if self != Self::Chunks || events.is_empty() {
            return Bytes::copy_from_slice(events);
        }
        let mut chunk = Vec::with_capacity(events.len() + 16);
        chunk.extend_from_slice(format!("{:x}\r\n", events.len()).as_bytes());
        chunk.extend_from_slice(events);
        chunk.extend_from_slice(b"\r\n");
        Bytes::from(chunk)
    }
}

/// Appends a text frame.
fn text_frame(json: &[u8], frames: &mut Vec<u8>) {
    let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    // Writing to memory cannot fail.
    let _ = header.format(json.len() as u64, frames);
    frames.extend_from_slice(json);
}

fn close_frame(code: CloseCode, reason: &'static str) -> Bytes {
    let mut frame = Vec::new();
    let _ = Frame::close(Some(CloseFrame { code, reason: reason.into() })).format(&mut frame);
    Bytes::from(frame)
}

/// An entry, and the id to come back with; what is no stored line has none.
fn with_id(entry: &Entry) -> Vec<u8> {
    let id = entry.place().map_or_else(String::new, |place| format!(r#""id":"{place}","#));
    [b"{", id.as_bytes(), br#""entry":"#, entry.json(), b"}"].concat()
}

#[cfg(test)]
mod tests {
    use taffrail_record::Timestamp;

    use super::*;

    #[test]
    fn each_form_has_the_same_entries() {
        let entries = ["one", "two"].map(|message| Entry::notice("", message, "a.log", Timestamp(0)));
        let text = |form: Form| String::from_utf8(form.entries(entries.iter()).to_vec()).unwrap();
        let json = |message: &str| {
            format!(r#"{{"time":"1970-01-01T00:00:00Z","source":"a.log","message":"{message}"}}"#)
        };
        let events = format!("data: {}\n\ndata: {}\n\n", json("one"), json("two"));
        assert_eq!(text(Form::Events), events);
        assert_eq!(text(Form::Chunks), format!("{:x}\r\n{events}\r\n", events.len()));
        assert_eq!(text(Form::Lines), format!("{}\n{}\n", json("one"), json("two")));
        let frame = |json: String| [&[0x81, json.len() as u8], json.as_bytes()].concat();
        assert_eq!(Form::Frames.entries(entries.iter()), [frame(json("one")), frame(json("two"))].concat());
        let with_id = |message: &str| frame(format!(r#"{{"entry":{}}}"#, json(message)));
        assert_eq!(Form::FramesWithIds.entries(entries.iter()), [with_id("one"), with_id("two")].concat());
        for form in Form::ALL {
            assert_eq!(form.entries([].iter()), "", "an empty chunk would end the body");
        }
    }
}
