//! What a format found in one line, before it goes into the batch: kept between lines for its allocations.

use taffrail_record::layout::push_literal;
use taffrail_record::{AttributeKind, Severity, TimeFormat, Timestamp};

use crate::clock::Stamp;

/// Literal bytes of a layout at most; a line with more is kept whole. The keys of a journal or proxy line in
/// JSON take 600 to 900.
const LITERAL_MAX: usize = 1024;

/// The format of a line that no other recognises.
pub(crate) const PLAIN: &str = "plain";

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) home: Home,
}

/// The bytes that a [`Place`] is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Home {
    Line,
    Scratch,
}

impl Place {
    pub(crate) const fn line(start: usize, end: usize) -> Self {
        Self { start, end, home: Home::Line }
    }

    pub(crate) const fn scratch(start: usize, end: usize) -> Self {
        Self { start, end, home: Home::Scratch }
    }

    /// What stands at `start..end` of this.
    pub(crate) const fn part(self, start: usize, end: usize) -> Self {
        Self { start: self.start + start, end: self.start + end, home: self.home }
    }
}

macro_rules! known_names {
    ($($variant:ident $text:literal,)*) => {
        /// Attributes that formats name themselves.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Known { $($variant,)* }

        impl Known {
            pub(crate) const COUNT: usize = [$($text),*].len();

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            pub(crate) const fn hole(self) -> &'static [u8] {
                match self { $(Self::$variant => concat!("{.", $text, "}").as_bytes(),)* }
            }
        }
    };
}

known_names! {
    Bytes "bytes",
    ClientIp "client_ip",
    ClientPort "client_port",
    Connection "connection",
    Container "container",
    ContainerId "container_id",
    Duration "duration",
    DurationMs "duration_ms",
    Ident "ident",
    Level "level",
    Logger "logger",
    Logtag "logtag",
    Method "method",
    Module "module",
    MsgId "msgid",
    Namespace "namespace",
    Path "path",
    Pid "pid",
    Pod "pod",
    Referer "referer",
    SpanId "span_id",
    Status "status",
    Stream "stream",
    Thread "thread",
    Tid "tid",
    TimeDoubt "time_doubt",
    TraceId "trace_id",
    User "user",
    UserAgent "user_agent",
    // journald's, see `journal`.
    AuditLoginuid "audit_loginuid",
    AuditSession "audit_session",
    BootId "boot_id",
    CapEffective "cap_effective",
    Cgroup "cgroup",
    Cmdline "cmdline",
    CodeFile "code_file",
    CodeFunc "code_func",
    CodeLine "code_line",
    Comm "comm",
    Cursor "cursor",
    Errno "errno",
    Exe "exe",
    Facility "facility",
    Gid "gid",
    InvocationId "invocation_id",
    MachineId "machine_id",
    MessageId "message_id",
    MonotonicUs "monotonic_us",
    OwnerUid "owner_uid",
    ReceivedUs "received_us",
    RuntimeScope "runtime_scope",
    SelinuxContext "selinux_context",
    Session "session",
    Slice "slice",
    StreamId "stream_id",
    SyslogPid "syslog_pid",
    SyslogTimestamp "syslog_timestamp",
    Transport "transport",
    Uid "uid",
    Unit "unit",
    UserSlice "user_slice",
    UserUnit "user_unit",
}

/// An attribute's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    Known(Known),
    /// In the line.
    Line(usize, usize),
    /// In [`Draft::names`].
    Built(usize, usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct DraftAttribute {
    pub(crate) name: Name,
    pub(crate) kind: AttributeKind,
    pub(crate) value: Place,
}

/// How the line is to be written again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LayoutChoice {
    /// `{body}`.
    Plain,
    /// `{ts} {node} {service}[{.pid}]: {body}`, the pid and the last blank optional.
    Syslog { format: TimeFormat, pid: bool, blank: bool },
    /// What was cut into [`Draft::layout`].
    Cut,
    /// No layout: the raw line is kept.
    Whole,
}

/// One record to be.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The format that recognised the line: one of [`crate::format_names`].
    pub(crate) format: &'static str,
    /// The format of the message, where it is a line of its own; else the one whose messages it is like.
    pub(crate) payload: Option<&'static str>,
    /// `None`: the time of reading.
    pub(crate) timestamp: Option<Timestamp>,
    /// The timestamp as it stands in the line, and where.
    pub(crate) stamp: Option<(usize, Stamp)>,
    /// `None`: to be guessed from the body.
    pub(crate) severity: Option<Severity>,
    pub(crate) body: Place,
    /// `None`: the context's.
    pub(crate) node: Option<Place>,
    /// `None`: the context's.
    pub(crate) service: Option<Place>,
    pub(crate) attributes: Vec<DraftAttribute>,
    pub(crate) choice: LayoutChoice,
    /// The layout's text so far, for [`LayoutChoice::Cut`].
    pub(crate) layout: Vec<u8>,
    /// Text that does not stand in the line.
    pub(crate) scratch: Vec<u8>,
    /// Attribute names that do not stand in the line.
    pub(crate) names: Vec<u8>,
    /// The names around the current member, while nested ones are read.
    pub(crate) path: Vec<u8>,
    /// Of the line inside this one, while none is read.
    pub(crate) inner: Option<Box<Draft>>,
    cursor: usize,
    literal: usize,
    time_text: (Option<TimeFormat>, String),
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self {
            format: PLAIN,
            payload: None,
            timestamp: None,
            stamp: None,
            severity: None,
            body: Place::line(0, 0),
            node: None,
            service: None,
            attributes: Vec::new(),
            choice: LayoutChoice::Plain,
            layout: Vec::new(),
            scratch: Vec::new(),
            names: Vec::new(),
            path: Vec::new(),
            inner: None,
            cursor: 0,
            literal: 0,
            time_text: (None, String::new()),
        }
    }

    /// Back to an unrecognised line of `len` bytes.
    pub(crate) fn reset(&mut self, len: usize) {
        self.format = PLAIN;
        self.payload = None;
        self.timestamp = None;
        self.stamp = None;
        self.severity = None;
        self.body = Place::line(0, len);
        self.node = None;
        self.service = None;
        self.attributes.clear();
        self.choice = LayoutChoice::Plain;
        self.layout.clear();
        self.scratch.clear();
        self.names.clear();
        self.path.clear();
        self.cursor = 0;
        self.literal = 0;
    }

    pub(crate) fn attribute(&mut self, known: Known, kind: AttributeKind, start: usize, end: usize) {
        let value = Place::line(start, end);
        self.attributes.push(DraftAttribute { name: Name::Known(known), kind, value });
    }

    /// An attribute whose value is a number if it looks like one.
    pub(crate) fn number(&mut self, known: Known, line: &[u8], start: usize, end: usize) {
        let kind = AttributeKind::of_number(&line[start..end], AttributeKind::Text);
        self.attribute(known, kind, start, end);
    }

    /// What stands at a place.
    pub(crate) fn text<'a>(&'a self, line: &'a [u8], place: Place) -> &'a [u8] {
        match place.home {
            Home::Line => &line[place.start..place.end],
            Home::Scratch => &self.scratch[place.start..place.end],
        }
    }

    /// An attribute's name as text.
    pub(crate) fn name_text<'a>(&'a self, line: &'a [u8], name: Name) -> &'a [u8] {
        match name {
            Name::Known(known) => known.name().as_bytes(),
            Name::Line(start, end) => &line[start..end],
            Name::Built(start, end) => &self.names[start..end],
        }
    }

    /// Whether there is an attribute of this name.
    pub(crate) fn has(&self, line: &[u8], name: &[u8]) -> bool {
        self.attributes.iter().any(|attribute| self.name_text(line, attribute.name) == name)
    }

    /// Sets the severity; the word as written stays where it is not the severity's name.
    pub(crate) fn level(&mut self, severity: Severity, line: &[u8], start: usize, end: usize) {
        self.severity = Some(severity);
        if line[start..end] != *severity.name().as_bytes() {
            self.number(Known::Level, line, start, end);
        }
    }

    /// Takes the severity that the message has itself; must come before its attributes. A layout that holds the line's own
    /// level could not write that again.
    pub(crate) fn level_of_message(&mut self, severity: Severity) {
        let is_kept = self.attributes.iter().any(|attribute| attribute.name == Name::Known(Known::Level));
        if !is_kept && memchr::memmem::find(&self.layout, b"{level").is_some() {
            self.keep_whole();
        }
        self.severity = Some(severity);
    }

    /// The place of a text that does not stand in the line.
    pub(crate) fn own_text(&mut self, text: &[u8]) -> Place {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(text);
        Place::scratch(start, self.scratch.len())
    }

    /// Gives up on an exact layout: the raw line is kept.
    pub(crate) fn keep_whole(&mut self) {
        self.choice = LayoutChoice::Whole;
    }

    /// An attribute could not be stored: only a layout without holes for attributes is still exact.
    pub(crate) fn lose_attribute(&mut self) {
        if self.choice != LayoutChoice::Plain {
            self.keep_whole();
        }
    }

    fn literal_to(&mut self, line: &[u8], end: usize) {
        if self.choice == LayoutChoice::Plain {
            self.choice = LayoutChoice::Cut;
        }
        let from = self.cursor;
        self.literal += end - from;
        if self.literal > LITERAL_MAX {
            self.keep_whole();
        }
        if self.choice == LayoutChoice::Cut {
            let mut rest = &line[from..end];
            while let Some(brace) = rest.iter().position(|byte| matches!(byte, b'{' | b'}')) {
                self.layout.extend_from_slice(&rest[..=brace]);
                self.layout.push(rest[brace]);
                rest = &rest[brace + 1..];
            }
            self.layout.extend_from_slice(rest);
        }
    }

    /// Puts `hole` in the place of the line's bytes `start..end`. Cuts go from left to right.
    pub(crate) fn cut(&mut self, line: &[u8], start: usize, end: usize, hole: &[u8]) {
        self.literal_to(line, start);
        self.cursor = end;
        self.layout.extend_from_slice(hole);
    }

    /// Cuts out the attribute `known`.
    pub(crate) fn cut_known(&mut self, line: &[u8], start: usize, end: usize, known: Known) {
        self.cut(line, start, end, known.hole());
    }

    /// Takes a timestamp that was found at `at`.
    pub(crate) fn take_time(&mut self, at: usize, stamp: &Stamp) {
        self.timestamp = Some(stamp.timestamp);
        self.stamp = Some((at, *stamp));
    }

    /// Cuts out a timestamp that was found at `at`, and takes it.
    pub(crate) fn cut_time(&mut self, line: &[u8], at: usize, stamp: &Stamp) {
        self.take_time(at, stamp);
        let Some(format) = stamp.format else {
            self.cut(line, at, at + stamp.len, b"");
            self.keep_whole();
            return;
        };
        if self.time_text.0 != Some(format) {
            self.time_text.1.clear();
            taffrail_record::layout::push_timestamp(&mut self.time_text.1, format);
            self.time_text.0 = Some(format);
        }
        self.cut(line, at, at + stamp.len, b"");
        self.layout.extend_from_slice(self.time_text.1.as_bytes());
        if !stamp.exact {
            self.keep_whole();
        }
    }

    /// Cuts out an attribute by name; `escaped` for the inside of a JSON string. A name that a hole cannot
    /// hold keeps the line whole.
    pub(crate) fn cut_named(&mut self, line: &[u8], start: usize, end: usize, name: &[u8], escaped: bool) {
        let fits = !name.is_empty() && !name.iter().any(|b| matches!(b, b'{' | b'}' | b'|') || *b < b' ');
        self.cut(line, start, end, b"{.");
        self.layout.extend_from_slice(name);
        self.layout.extend_from_slice(if escaped { b"|j}" } else { b"}" });
        if !fits {
            self.keep_whole();
        }
    }

    /// Takes the rest of the line from `start` as body: the last cut of most formats.
    pub(crate) fn cut_body(&mut self, line: &[u8], start: usize) {
        self.body = Place::line(start, line.len());
        self.cut(line, start, line.len(), b"{body}");
    }

    /// The line of `first` bytes that was read goes on to the end of `text`, and its message with it. Blank lines at the
    /// end are no part of that.
    pub(crate) fn go_on(&mut self, text: &[u8], first: usize) {
        let end = text.trim_ascii_end().len().max(first);
        if end < text.len() {
            self.keep_whole();
        }
        if self.body == Place::line(self.body.start, first) {
            self.body.end = end;
            self.cursor = text.len();
            return;
        }
        self.keep_whole();
        let Place { start, end: body_end, home } = self.body;
        let body_start = self.scratch.len();
        match home {
            Home::Line => self.scratch.extend_from_slice(&text[start..body_end]),
            Home::Scratch => self.scratch.extend_from_within(start..body_end),
        }
        self.scratch.extend_from_slice(&text[first..end]);
        self.body = Place::scratch(body_start, self.scratch.len());
    }

    /// Ends the layout with what follows the last cut.
    pub(crate) fn finish(&mut self, line: &[u8]) {
        self.cut(line, line.len(), line.len(), b"");
    }
}

/// The text of a layout of fixed shape.
pub(crate) fn shape_text(choice: LayoutChoice) -> String {
    let mut text = String::new();
    if let LayoutChoice::Syslog { format, pid, blank } = choice {
        taffrail_record::layout::push_timestamp(&mut text, format);
        text.push_str(" {node} {service}");
        if pid {
            push_literal(&mut text, "[");
            text.push_str("{.pid}]");
        }
        text.push_str(if blank { ": " } else { ":" });
    }
    text.push_str("{body}");
    text
}
