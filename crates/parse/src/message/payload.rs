//! A program's own line inside an envelope: JSON in a syslog message, any line in what a container runtime wrote.

use crate::draft::{Draft, DraftAttribute, Home, Name, PLAIN, Place};
use crate::formats::{self, Payload};
use crate::tools::Tools;

/// Formats whose messages are the values of members: what is left of the line says nothing more.
const MEMBERED: [&str; 2] = ["json", "logfmt"];

/// Reads the message as a line of its own, and adds what it says; whether it is in a format that is known.
pub(super) fn read(line: &[u8], tools: &mut Tools, draft: &mut Draft) -> bool {
    let payload = match expected(line, draft) {
        Some(Payload::Certain) => formats::certain(draft.text(line, draft.body), &mut tools.clock),
        payload => payload,
    };
    let Some(payload) = payload else { return false };
    let mut inner = draft.inner.take().unwrap_or_else(|| Box::new(Draft::new()));
    let scratch = std::mem::take(&mut draft.scratch);
    let Place { start, end, home } = draft.body;
    let text = match home {
        Home::Line => &line[start..end],
        Home::Scratch => &scratch[start..end],
    };
    inner.reset(text.len());
    formats::parse_payload(text, payload, tools, &mut inner);
    let is_known = inner.format != PLAIN;
    let names = if is_known { adopt_names(&inner, text, line, draft) } else { Vec::new() };
    draft.scratch = scratch;
    if is_known {
        adopt(&inner, names, draft);
    }
    draft.inner = Some(inner);
    is_known
}

/// What a message may be; `None` for those that are no program's line.
fn expected(line: &[u8], draft: &Draft) -> Option<Payload> {
    let first = match draft.body {
        Place { start, end, .. } if start == end => return None,
        Place { start, home: Home::Line, .. } => line[start],
        Place { start, home: Home::Scratch, .. } => draft.scratch[start],
    };
    let is_whole = draft.body == Place::line(0, line.len());
    match draft.format {
        "cri" => Some(Payload::Any),
        "syslog" => Some(Payload::Certain),
        "json" if !is_whole && draft.has(line, b"stream") => Some(Payload::Any),
        _ if !is_whole && first == b'{' => Some(Payload::Certain),
        _ => None,
    }
}

/// The names of the inner line's attributes as the outer one's; `None` for those that it has already.
fn adopt_names(inner: &Draft, text: &[u8], line: &[u8], draft: &mut Draft) -> Vec<Option<Name>> {
    let own = |DraftAttribute { name, .. }: &DraftAttribute| {
        let name_text = inner.name_text(text, *name);
        if draft.has(line, name_text) {
            return None;
        }
        Some(match *name {
            Name::Known(known) => Name::Known(known),
            Name::Line(from, to) if draft.body.home == Home::Line => {
                Name::Line(draft.body.start + from, draft.body.start + to)
            }
            Name::Line(..) | Name::Built(..) => {
                let from = draft.names.len();
                draft.names.extend_from_slice(name_text);
                Name::Built(from, draft.names.len())
            }
        })
    };
    inner.attributes.iter().map(own).collect()
}

fn adopt(inner: &Draft, names: Vec<Option<Name>>, draft: &mut Draft) {
    let own_scratch = draft.scratch.len();
    draft.scratch.extend_from_slice(&inner.scratch);
    let outer = draft.body;
    let moved = |place: Place| match place.home {
        Home::Line => outer.part(place.start, place.end),
        Home::Scratch => Place::scratch(own_scratch + place.start, own_scratch + place.end),
    };
    if let Some(severity) = inner.severity {
        draft.level_of_message(severity);
    }
    for (attribute, name) in inner.attributes.iter().zip(names) {
        if let Some(name) = name {
            draft.attributes.push(DraftAttribute {
                name,
                kind: attribute.kind,
                value: moved(attribute.value),
            });
        }
    }
    draft.service = draft.service.or(inner.service.map(moved));
    draft.node = draft.node.or(inner.node.map(moved));
    if draft.timestamp.is_none() {
        draft.timestamp = inner.timestamp;
    }
    draft.payload = Some(inner.format);
    if MEMBERED.contains(&inner.format) && inner.body != Place::line(0, outer.end - outer.start) {
        draft.body = moved(inner.body);
        draft.keep_whole();
    }
}
