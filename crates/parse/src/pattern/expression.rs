//! Patterns in the language of regular expressions or grok, for formats of one's own: a named group is a field.
//!
//! `time`, `timestamp` and `ts` are the time; `level`, `severity` and `loglevel` the level; `service`, `program` and `app`,
//! `host`, `hostname` and `node`, `message`, `msg` and `body` those columns. All others are attributes.

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::{Capture, Found, Target, grok};
use crate::clock::{Clock, Shape};
use crate::severity_guess::level_word;
use taffrail_record::Severity;

/// Bytes that a compiled expression may take.
const SIZE_MAX: usize = 4 << 20;

/// A regular expression whose groups are fields.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    regex: Regex,
    /// Groups by number, in the order of their numbers.
    groups: Vec<(usize, Target)>,
    time: Option<Shape>,
}

impl Expression {
    /// Reads a regular expression; `time` is the shape of its time, where not any is.
    pub(crate) fn new(text: &str, time: Option<&str>) -> Result<Self, String> {
        Self::compile(text, &|group| Some(group.to_owned()), time)
    }

    /// Reads a pattern of grok.
    pub(crate) fn grok(text: &str, time: Option<&str>) -> Result<Self, String> {
        let expanded = grok::expand(text)?;
        Self::compile(&expanded.regex, &|group| expanded.field(group), time)
    }

    fn compile(
        text: &str,
        field: &dyn Fn(&str) -> Option<String>,
        time: Option<&str>,
    ) -> Result<Self, String> {
        let regex =
            RegexBuilder::new(text).size_limit(SIZE_MAX).build().map_err(|error| error.to_string())?;
        let names = regex.capture_names().enumerate();
        let groups: Vec<(usize, Target)> = names
            .filter_map(|(index, name)| Some((index, target(&field(name?)?))))
            .filter(|(_, target)| *target != Target::Nothing)
            .collect();
        if groups.is_empty() {
            return Err("no group has a name, so nothing would be found; write (?P<name>...)".to_owned());
        }
        let time = time.map(Shape::new).transpose()?;
        Ok(Self { regex, groups, time })
    }

    /// Finds the fields of a line; `Some(true)` if the line can be cut into them: one is the message, and none overlap.
    pub(crate) fn find<'p>(
        &'p self,
        line: &[u8],
        clock: &mut Clock,
        levels: &dyn Fn(&[u8]) -> Option<Severity>,
        found: &mut Found<'p>,
    ) -> Option<bool> {
        let mut places: CaptureLocations = self.regex.capture_locations();
        self.regex.captures_read(&mut places, line)?;
        found.stamp = None;
        found.captures.clear();
        for (group, target) in &self.groups {
            let Some((start, end)) = places.get(*group) else { continue };
            let text = &line[start..end];
            let mut severity = None;
            match target {
                Target::Time => {
                    let stamp = match &self.time {
                        Some(shape) => shape.read(text, clock),
                        None => clock.epoch(text).or_else(|| clock.any(text)),
                    };
                    // Of several groups for the time the first that has one counts.
                    match stamp {
                        Some(stamp) if found.stamp.is_none() && stamp.end() == text.len() => {
                            found.stamp = Some(stamp);
                        }
                        _ => continue,
                    }
                }
                Target::Level => match levels(text).or_else(|| level_word(text)) {
                    Some(level) => severity = Some(level),
                    None => continue,
                },
                _ if start == end => continue,
                _ => {}
            }
            found.captures.push(Capture { target, start, end, number: true, severity });
        }
        found.captures.sort_by_key(|capture| capture.start);
        let apart = found.captures.is_sorted_by(|one, next| one.end <= next.start);
        let has_body = found.captures.iter().any(|capture| *capture.target == Target::Body);
        Some(apart && has_body)
    }
}

/// What a field's name says that it is.
fn target(name: &str) -> Target {
    match name {
        "time" | "timestamp" | "ts" | "datetime" | "@timestamp" => Target::Time,
        "level" | "severity" | "loglevel" | "log.level" => Target::Level,
        "service" | "program" | "app" | "process.name" => Target::Service,
        "host" | "hostname" | "node" | "host.name" | "host.hostname" => Target::Node,
        "message" | "msg" | "body" => Target::Body,
        "_" | "" => Target::Nothing,
        key => Target::Attribute(key.to_owned()),
    }
}
