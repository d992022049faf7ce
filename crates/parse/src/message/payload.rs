//! A program's own line inside an envelope: JSON in a syslog message, any line in what a container runtime wrote.

use crate::draft::{Draft, DraftAttribute, Home, Name, PLAIN, Place};
use crate::formats::{self, Payload};
use crate::tools::Tools;

/// Formats whose messages are the values of members: what is left of the line says nothing more.
const MEMBERED: [&str; 2] = ["json", "logfmt"];

/// Reads the message as a line of its own, and adds what it says; else the JSON that it ends with.
pub(super) fn read(line: &[u8], tools: &mut Tools, draft: &mut Draft) {
    let payload = match expected(line, draft) {
        Some(Payload::Certain) => formats::certain(draft.text(line, draft.body), &mut tools.clock),
        payload => payload,
    };
    let outer = draft.body;
    let is_read = payload.is_some_and(|payload| {
        let parse = |text: &[u8], inner: &mut Draft| formats::parse_payload(text, payload, tools, inner);
        inside(line, outer, draft, parse, |inner, names, draft| {
            take_attributes(inner, names, outer, draft);
            adopt(inner, outer, draft);
        })
    });
    if !is_read && let Some(tail) = tail(line, draft) {
        let parse = |text: &[u8], inner: &mut Draft| formats::parse_json(text, tools, inner);
        inside(line, tail, draft, parse, |inner, names, draft| take_attributes(inner, names, tail, draft));
    }
}

/// Where an object of JSON begins that the message ends with, as zap's and others' fields do.
fn tail(line: &[u8], draft: &Draft) -> Option<Place> {
    let text = draft.text(line, draft.body);
    if text.last() != Some(&b'}') {
        return None;
    }
    let at = memchr::memmem::find(text, b"{\"")?;
    let is_apart = at > 0 && matches!(text[at - 1], b' ' | b'\t');
    is_apart.then(|| draft.body.part(at, text.len()))
}

/// Reads what stands at a place of the line with `parse`, and lets `take` take it over; whether it is in a format that is
/// known.
fn inside(
    line: &[u8],
    place: Place,
    draft: &mut Draft,
    parse: impl FnOnce(&[u8], &mut Draft),
    take: impl FnOnce(&Draft, Vec<Option<Name>>, &mut Draft),
) -> bool {
    let mut inner = draft.inner.take().unwrap_or_else(|| Box::new(Draft::new()));
    let scratch = std::mem::take(&mut draft.scratch);
    let text = match place.home {
        Home::Line => &line[place.start..place.end],
        Home::Scratch => &scratch[place.start..place.end],
    };
    inner.reset(text.len());
    parse(text, &mut inner);
    let is_known = inner.format != PLAIN;
    let names = if is_known { adopt_names(&inner, text, place, line, draft) } else { Vec::new() };
    draft.scratch = scratch;
    if is_known {
        take(&inner, names, draft);
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
fn adopt_names(
    inner: &Draft,
    text: &[u8],
    place: Place,
    line: &[u8],
    draft: &mut Draft,
) -> Vec<Option<Name>> {
    let own = |DraftAttribute { name, .. }: &DraftAttribute| {
        let name_text = inner.name_text(text, *name);
        if draft.has(line, name_text) {
            return None;
        }
        Some(match *name {
            Name::Known(known) => Name::Known(known),
            Name::Line(from, to) if place.home == Home::Line => {
                Name::Line(place.start + from, place.start + to)
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

/// Where a place of the inner line, whose scratch stands at the end of the outer one's, is in the outer one.
fn moved(place: Place, inner: &Draft, outer: Place, draft: &Draft) -> Place {
    match place.home {
        Home::Line => outer.part(place.start, place.end),
        Home::Scratch => {
            let own = draft.scratch.len() - inner.scratch.len();
            Place::scratch(own + place.start, own + place.end)
        }
    }
}

/// Takes the attributes over that have a name; must come before all else.
fn take_attributes(inner: &Draft, names: Vec<Option<Name>>, outer: Place, draft: &mut Draft) {
    draft.scratch.extend_from_slice(&inner.scratch);
    for (attribute, name) in inner.attributes.iter().zip(names) {
        if let Some(name) = name {
            let value = moved(attribute.value, inner, outer, draft);
            draft.attributes.push(DraftAttribute { name, kind: attribute.kind, value });
        }
    }
}

/// Takes over what else a line of its own says.
fn adopt(inner: &Draft, outer: Place, draft: &mut Draft) {
    if let Some(severity) = inner.severity {
        draft.level_of_message(severity);
    }
    let place = |place: Place, draft: &Draft| moved(place, inner, outer, draft);
    draft.service = draft.service.or(inner.service.map(|service| place(service, draft)));
    draft.node = draft.node.or(inner.node.map(|node| place(node, draft)));
    if draft.timestamp.is_none() {
        draft.timestamp = inner.timestamp;
    }
    draft.payload = Some(inner.format);
    if MEMBERED.contains(&inner.format) && inner.body != Place::line(0, outer.end - outer.start) {
        draft.body = place(inner.body, draft);
        draft.keep_whole();
    }
}
