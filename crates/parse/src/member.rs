//! Key-value pairs of one line (JSON members, logfmt pairs) and the roles that their names give them.

mod level;

use taffrail_record::{AttributeKind, Severity};

use self::level::{letter_level, level, otel_level, upward_level};

use crate::clock::{Clock, Stamp};
use crate::draft::{Draft, DraftAttribute, Known, LayoutChoice, Name, Place};
use crate::formats::severity_of_class;
use crate::{byte_list, journal, quoted};

/// Members of one line at most; the rest stays in the raw line.
const MEMBERS_MAX: usize = 256;
/// Bytes of the shortest time that a message may begin with: a mere number is none.
const STAMP_MIN: usize = 15;
/// Bytes of a service or node name at most.
const NAME_MAX: usize = 128;

/// The rank of the member that every journal entry has, and no other JSON.
const JOURNAL_TIME: u8 = 7;
/// The rank of a journal entry's message, which may be a list: of bytes, or of several messages.
const MESSAGE: u8 = 3;
/// The rank of MongoDB's level, a letter.
const LETTER: u8 = 9;
/// The rank of OpenTelemetry's level, a number from 1 to 24.
const OTEL: u8 = 10;
/// Members that hold the status of an HTTP response.
const STATUS: [&[u8]; 8] = [
    b"status",
    b"status_code",
    b"statusCode",
    b"http.response.status_code",
    b"responseStatus.code",
    b"response.status",
    b"DownstreamStatus",
    b"httpRequest.status",
];
/// A member that only Nextcloud's lines have, whose levels are counted from the other end than syslog's.
const NEXTCLOUD: &[u8] = b"reqId";
/// The rank of the unit as a service; it is an attribute as well.
const UNIT: u8 = 7;

/// What a member's value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// The inside of a quoted string, with or without escapes.
    Quoted { escaped: bool },
    /// A JSON number.
    Number,
    /// Other JSON: `true`, `null`, an array, an empty object.
    Json,
    /// Text without quotes.
    Bare,
}

/// One pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) name: Name,
    /// Where the value stands in the line, without quotes.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) value: Value,
}

/// The pairs of one line.
#[derive(Debug, Default)]
pub(crate) struct Members {
    list: Vec<Member>,
    /// Whether there were more than fit.
    overflow: bool,
}

/// What a name says about its value; the number orders names of the same role, lowest first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Time,
    Level,
    Message,
    Service,
    Node,
}

/// Whether a member of this name says what it is.
pub(crate) fn has_role(name: &[u8]) -> bool {
    role(name).is_some()
}

/// Whether a member of this name is a time.
pub(crate) fn is_time_name(name: &[u8]) -> bool {
    matches!(role(name), Some((Role::Time, _)))
}

fn role(name: &[u8]) -> Option<(Role, u8)> {
    Some(match name {
        b"time" => (Role::Time, 0),
        b"timestamp" => (Role::Time, 1),
        b"ts" => (Role::Time, 2),
        b"@timestamp" => (Role::Time, 3),
        b"t" => (Role::Time, 4),
        b"date" => (Role::Time, 5),
        b"_SOURCE_REALTIME_TIMESTAMP" => (Role::Time, 6),
        b"__REALTIME_TIMESTAMP" => (Role::Time, JOURNAL_TIME),
        // MongoDB, CloudTrail, Azure, Serilog, Traefik, Python, .NET, OpenTelemetry, nginx, Kubernetes.
        b"t.$date" | b"eventTime" | b"@t" | b"StartUTC" | b"asctime" => (Role::Time, 8),
        b"Timestamp"
        | b"timeStamp"
        | b"eventTimestamp"
        | b"event_timestamp"
        | b"datetime"
        | b"timeUnixNano"
        | b"time_iso8601"
        | b"time_local"
        | b"requestReceivedTimestamp" => (Role::Time, 9),
        b"level" => (Role::Level, 0),
        b"severity" => (Role::Level, 1),
        b"lvl" => (Role::Level, 2),
        b"log.level" => (Role::Level, 3),
        b"loglevel" => (Role::Level, 4),
        b"levelname" => (Role::Level, 5),
        b"PRIORITY" => (Role::Level, 6),
        b"@l" | b"log_level" | b"logLevel" | b"severityText" | b"severity_text" => (Role::Level, 7),
        b"Level" | b"LogLevel" | b"LEVEL" | b"error_severity" | b"SeverityText" => (Role::Level, 8),
        b"s" => (Role::Level, LETTER),
        b"severityNumber" | b"SeverityNumber" => (Role::Level, OTEL),
        b"msg" => (Role::Message, 0),
        b"message" => (Role::Message, 1),
        b"log" => (Role::Message, 2),
        b"MESSAGE" => (Role::Message, MESSAGE),
        b"event" => (Role::Message, 4),
        b"fields.message" | b"short_message" | b"@m" | b"@mt" | b"Message" => (Role::Message, 5),
        b"body.stringValue" | b"body" | b"text" | b"Body" => (Role::Message, 6),
        b"RenderedMessage" => (Role::Message, 7),
        b"MessageTemplate" => (Role::Message, 8),
        b"service" => (Role::Service, 0),
        b"agent" => (Role::Service, 1),
        b"app" => (Role::Service, 2),
        b"application" => (Role::Service, 3),
        b"logger" => (Role::Service, 4),
        b"service.name" => (Role::Service, 5),
        b"SYSLOG_IDENTIFIER" => (Role::Service, 6),
        b"_SYSTEMD_UNIT" => (Role::Service, UNIT),
        b"_COMM" => (Role::Service, 8),
        b"Resource.service.name" | b"resource.service.name" | b"eventSource" => (Role::Service, 8),
        b"target" | b"logger_name" | b"component" | b"Category" => (Role::Service, 9),
        b"host" => (Role::Node, 0),
        b"hostname" => (Role::Node, 1),
        b"node" => (Role::Node, 2),
        b"_HOSTNAME" => (Role::Node, 3),
        b"host.name" | b"host.hostname" | b"Resource.host.name" | b"resource.host.name" => (Role::Node, 4),
        _ => return None,
    })
}

/// The members that were given a role: index and rank by role.
#[derive(Default)]
struct Cast {
    chosen: [Option<(usize, u8)>; 5],
    stamp: Option<Stamp>,
    severity: Option<Severity>,
    /// Whether the line is an entry of journald's journal.
    journal: bool,
}

impl Cast {
    fn has(&self, role: Role, index: usize) -> bool {
        self.chosen[role as usize].is_some_and(|(chosen, _)| chosen == index)
    }
}

impl Members {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.overflow = false;
    }

    pub(crate) fn push(&mut self, member: Member) {
        if self.list.len() < MEMBERS_MAX {
            self.list.push(member);
        } else {
            self.overflow = true;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
    }

    /// Whether a member is named by one of `names`.
    pub(crate) fn any_named(&self, line: &[u8], draft: &Draft, names: &[&[u8]]) -> bool {
        self.list.iter().any(|member| names.contains(&name_of(member, line, &draft.names)))
    }

    /// Writes the members into the draft: those with a role as fields, all others as attributes.
    // Inlined it would be in the way of the formats that have no members.
    #[inline(never)]
    pub(crate) fn fill(&self, line: &[u8], clock: &mut Clock, draft: &mut Draft) {
        let cast = self.cast(line, clock, &draft.names);
        if let (Some(stamp), Some((index, _))) = (cast.stamp, cast.chosen[Role::Time as usize]) {
            draft.take_time(self.list[index].start, &stamp);
        }
        draft.severity = cast.severity.or_else(|| self.status(line, &draft.names));
        let has_message = cast.chosen[Role::Message as usize].is_some();
        for (index, member) in self.list.iter().enumerate() {
            self.fill_one(index, member, &cast, line, draft);
        }
        if let (None, Some((index, _))) = (cast.stamp, cast.chosen[Role::Message as usize]) {
            time_of_message(self.list[index].start, line, clock, draft);
        }
        draft.finish(line);
        if !has_message {
            // The body is the whole line, so its layout is too.
            draft.body = Place::line(0, line.len());
            draft.choice = LayoutChoice::Plain;
        } else if self.overflow {
            draft.keep_whole();
        }
    }

    /// How bad the response is that the line tells of.
    fn status(&self, line: &[u8], names: &[u8]) -> Option<Severity> {
        self.list.iter().find_map(|member| match line[member.start..member.end] {
            [class @ b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => {
                STATUS.contains(&name_of(member, line, names)).then(|| severity_of_class(class))
            }
            _ => None,
        })
    }

    fn cast(&self, line: &[u8], clock: &mut Clock, names: &[u8]) -> Cast {
        let mut cast = Cast::default();
        let upward = self.list.iter().any(|member| name_of(member, line, names) == NEXTCLOUD);
        for (index, member) in self.list.iter().enumerate() {
            let Some((role, rank)) = role(name_of(member, line, names)) else {
                continue;
            };
            cast.journal |= role == Role::Time && rank == JOURNAL_TIME;
            if cast.chosen[role as usize].is_some_and(|(_, best)| best <= rank) {
                continue;
            }
            let text = &line[member.start..member.end];
            let fits = match role {
                Role::Time => {
                    time(member.value, text, clock).inspect(|stamp| cast.stamp = Some(*stamp)).is_some()
                }
                Role::Level => {
                    let found = match rank {
                        LETTER => letter_level(text),
                        OTEL => otel_level(text),
                        _ if upward => upward_level(text),
                        _ => level(member.value, text),
                    };
                    found.inspect(|found| cast.severity = Some(*found)).is_some()
                }
                Role::Message => {
                    (is_text(member.value) && !text.is_empty())
                        || (rank == MESSAGE && is_list(member.value, text))
                }
                Role::Service | Role::Node => is_text(member.value) && is_name(text),
            };
            if fits {
                cast.chosen[role as usize] = Some((index, rank));
            }
        }
        cast
    }

    fn fill_one(&self, index: usize, member: &Member, cast: &Cast, line: &[u8], draft: &mut Draft) {
        let Member { start, end, .. } = *member;
        let quoted = matches!(member.value, Value::Quoted { .. });
        let hole = |plain: &'static [u8], json: &'static [u8]| if quoted { json } else { plain };
        if cast.has(Role::Time, index)
            && let Some(stamp) = cast.stamp
            && stamp.exact
        {
            draft.cut_time(line, start, &stamp);
        } else if cast.has(Role::Level, index)
            && let Some(severity) = cast.severity
        {
            draft.cut(line, start, end, hole(b"{level}", b"{level|j}"));
            draft.level(severity, line, start, end);
            self.check_level_hole(index, line, draft);
        } else if cast.has(Role::Message, index) {
            self.fill_body(member, line, draft);
        } else if cast.has(Role::Service, index) {
            let unit =
                cast.chosen[Role::Service as usize].is_some_and(|(_, rank)| cast.journal && rank == UNIT);
            let end = if unit { end - unit_suffix(&line[start..end]) } else { end };
            draft.cut(line, start, end, hole(b"{service}", b"{service|j}"));
            draft.service = Some(Place::line(start, end));
            if unit {
                draft.attribute(Known::Unit, AttributeKind::Text, start, member.end);
            }
        } else if cast.has(Role::Node, index) {
            draft.cut(line, start, end, hole(b"{node}", b"{node|j}"));
            draft.node = Some(Place::line(start, end));
        } else {
            let names = &draft.names;
            let known = journal_field(cast, member, line, names).or_else(|| trace_field(member, line, names));
            attribute(member, known, line, draft);
        }
    }

    /// The level's hole asks for an attribute `level` first: there must be no other member of that name.
    fn check_level_hole(&self, chosen: usize, line: &[u8], draft: &mut Draft) {
        let other = self
            .list
            .iter()
            .enumerate()
            .any(|(index, member)| index != chosen && name_of(member, line, &draft.names) == b"level");
        if other {
            draft.keep_whole();
        }
    }

    /// The message is the body, without the newline that container runtimes leave at its end.
    fn fill_body(&self, member: &Member, line: &[u8], draft: &mut Draft) {
        let mut end = member.end;
        let text = &line[member.start..end];
        if member.value == Value::Json {
            // What the list stands for cannot tell how it was written.
            draft.keep_whole();
            let from = draft.scratch.len();
            byte_list::decode(text, &mut draft.scratch);
            draft.body = Place::scratch(from, draft.scratch.len());
            return;
        }
        let escaped = match member.value {
            Value::Quoted { escaped: true } => {
                let newline = text.ends_with(b"\\n")
                    && (text.iter().rev().skip(1).take_while(|byte| **byte == b'\\').count() % 2) == 1;
                end -= if newline { 2 } else { 0 };
                memchr::memchr(b'\\', &line[member.start..end]).is_some()
            }
            _ => false,
        };
        let hole: &[u8] = if member.value == Value::Bare { b"{body}" } else { b"{body|j}" };
        draft.cut(line, member.start, end, hole);
        draft.body = decode(line, member.start, end, escaped, draft);
    }
}

fn name_of<'a>(member: &Member, line: &'a [u8], names: &'a [u8]) -> &'a [u8] {
    match member.name {
        Name::Known(known) => known.name().as_bytes(),
        Name::Line(start, end) => &line[start..end],
        Name::Built(start, end) => &names[start..end],
    }
}

fn is_list(value: Value, text: &[u8]) -> bool {
    value == Value::Json && text.first() == Some(&b'[')
}

fn is_text(value: Value) -> bool {
    matches!(value, Value::Quoted { .. } | Value::Bare)
}

/// Whether a text can be a service's or machine's name; a browser's identification cannot.
fn is_name(text: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && !text.iter().any(|byte| matches!(byte, b' ' | b'\\'))
}

/// Takes the time that a message begins with, where no member has one: a program's line in an envelope. The message
/// stands in the line from `start` on.
fn time_of_message(start: usize, line: &[u8], clock: &mut Clock, draft: &mut Draft) {
    let text = &line[start..];
    if let Some(stamp) = clock.any(text).filter(|stamp| stamp.year_known && stamp.len >= STAMP_MIN) {
        draft.take_time(start, &stamp);
    }
}

fn time(value: Value, text: &[u8], clock: &mut Clock) -> Option<Stamp> {
    match value {
        Value::Number => clock.epoch(text),
        Value::Quoted { escaped: false } | Value::Bare => clock
            .whole_iso(text)
            .or_else(|| clock.epoch(text))
            .or_else(|| clock.any(text).filter(|stamp| stamp.end() == text.len())),
        _ => None,
    }
}

/// A journal entry's field that has a name of ours, and what its value is.
fn journal_field(cast: &Cast, member: &Member, line: &[u8], names: &[u8]) -> Option<(Known, AttributeKind)> {
    if !cast.journal || !matches!(member.value, Value::Quoted { .. }) {
        return None;
    }
    let (known, number) = journal::known(name_of(member, line, names))?;
    let text = &line[member.start..member.end];
    Some((
        known,
        if number { AttributeKind::of_number(text, AttributeKind::Text) } else { AttributeKind::Text },
    ))
}

/// A trace's or span's identity under the name that all lines share.
fn trace_field(member: &Member, line: &[u8], names: &[u8]) -> Option<(Known, AttributeKind)> {
    let known = match name_of(member, line, names) {
        b"traceId" | b"trace.id" | b"TraceId" | b"traceID" | b"traceid" | b"dd.trace_id" | b"otelTraceID" => {
            Known::TraceId
        }
        b"spanId" | b"span.id" | b"SpanId" | b"spanID" | b"spanid" | b"dd.span_id" | b"otelSpanID" => {
            Known::SpanId
        }
        _ => return None,
    };
    let text = &line[member.start..member.end];
    let kind = match member.value {
        Value::Quoted { .. } => AttributeKind::Text,
        Value::Number => AttributeKind::of_number(text, AttributeKind::Json),
        Value::Bare => AttributeKind::of_number(text, AttributeKind::Text),
        Value::Json => return None,
    };
    Some((known, kind))
}

/// Bytes of the ending that every service's unit has.
fn unit_suffix(text: &[u8]) -> usize {
    const SUFFIX: &[u8] = b".service";
    if text.len() > SUFFIX.len() && text.ends_with(SUFFIX) { SUFFIX.len() } else { 0 }
}

fn attribute(member: &Member, known: Option<(Known, AttributeKind)>, line: &[u8], draft: &mut Draft) {
    let Member { name, start, end, value } = *member;
    let name = known.map_or(name, |(known, _)| Name::Known(known));
    let text = &line[start..end];
    let kind = match value {
        _ if let Some((_, kind)) = known => kind,
        Value::Quoted { .. } => AttributeKind::Text,
        Value::Number => AttributeKind::of_number(text, AttributeKind::Json),
        Value::Json => AttributeKind::Json,
        Value::Bare => AttributeKind::of_number(text, AttributeKind::Text),
    };
    let quoted = matches!(value, Value::Quoted { .. });
    // The names are lent out while the layout is written.
    let names = std::mem::take(&mut draft.names);
    draft.cut_named(line, start, end, name_of(&Member { name, ..*member }, line, &names), quoted);
    draft.names = names;
    let value = decode(line, start, end, value == Value::Quoted { escaped: true }, draft);
    draft.attributes.push(DraftAttribute { name, kind, value });
}

/// The place of what `start..end` of the line stands for; escapes that a layout cannot write keep it whole.
fn decode(line: &[u8], start: usize, end: usize, escaped: bool, draft: &mut Draft) -> Place {
    if !escaped {
        return Place::line(start, end);
    }
    let from = draft.scratch.len();
    if !quoted::unescape(&line[start..end], &mut draft.scratch) {
        draft.keep_whole();
    }
    Place::scratch(from, draft.scratch.len())
}
