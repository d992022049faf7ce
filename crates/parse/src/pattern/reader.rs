//! From the text of a pattern to its steps.

use super::{Bytes, Form, Hole, Pattern, Step, Target};
use crate::clock::Shape;

/// Reads a pattern; `Err` says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Pattern, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    // Where optional parts began that have no end yet.
    let mut open = Vec::new();
    // Literals that belong to different parts are different steps.
    let mut part = 0;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\\}") {
            literal(&mut steps, part, "}");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{?") {
            open.push(steps.len());
            part = steps.len() + 1;
            steps.push(Step::Optional(0));
            rest = after;
        } else if let (Some(after), false) = (rest.strip_prefix('}'), open.is_empty()) {
            if let Some(start) = open.pop() {
                steps[start] = Step::Optional(steps.len() - start - 1);
            }
            part = steps.len();
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            literal(&mut steps, part, &rest[..1]);
            rest = after;
        } else if c == '{' {
            let end = rest.find('}').ok_or_else(|| format!("`{rest}` has no `}}`"))?;
            steps.push(hole(&rest[1..end])?);
            rest = &rest[end + 1..];
        } else if c == '}' {
            return Err("a `}` has no `{`; a brace of the line is written `}}`".to_owned());
        } else if c == ' ' {
            let blanks = rest.len() - rest.trim_start_matches(' ').len();
            steps.push(Step::Blanks(blanks));
            rest = &rest[blanks..];
        } else {
            literal(&mut steps, part, &rest[..c.len_utf8()]);
            rest = &rest[c.len_utf8()..];
        }
    }
    if !open.is_empty() {
        return Err("a `{?` has no `}`".to_owned());
    }
    if steps.is_empty() {
        return Err("the pattern is empty".to_owned());
    }
    bound(&mut steps)?;
    let first = Bytes::of(&steps);
    let second = match steps.get(1) {
        Some(Step::Blanks(_)) => Bytes::of(&steps[2..]),
        _ => Bytes::of(&steps[1..]),
    };
    let timed = steps.first() == Some(&Step::Time(None));
    Ok(Pattern { steps, timed, first, second })
}

/// Adds to the literal that ends the steps from `part` on, or begins one.
fn literal(steps: &mut Vec<Step>, part: usize, text: &str) {
    let from = part.min(steps.len());
    match steps[from..].last_mut() {
        Some(Step::Literal(literal)) => literal.extend_from_slice(text.as_bytes()),
        _ => steps.push(Step::Literal(text.as_bytes().to_vec())),
    }
}

fn hole(text: &str) -> Result<Step, String> {
    if let Some(shape) = text.strip_prefix("time:") {
        return Ok(Step::Time(Some(Shape::new(shape)?)));
    }
    if text == "time" {
        return Ok(Step::Time(None));
    }
    let (text, absent) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
    let (text, choices) = text.split_once('=').map_or((text, ""), |(text, choices)| (text, choices));
    let choices: Vec<Vec<u8>> = choices
        .split('|')
        .filter(|choice| !choice.is_empty())
        .map(|choice| choice.as_bytes().to_vec())
        .collect();
    let (name, form) = text.split_once(':').unwrap_or((text, ""));
    let target = match name {
        "level" => Target::Level,
        "node" => Target::Node,
        "service" => Target::Service,
        "body" => Target::Body,
        "_" => Target::Nothing,
        "pairs" => Target::Pairs,
        _ => match name.strip_prefix('.') {
            Some(key)
                if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) =>
            {
                Target::Attribute(key.to_owned())
            }
            _ => {
                return Err(format!(
                    "`{{{text}}}` is no hole: time, level, node, service, body, pairs, .key and _ are"
                ));
            }
        },
    };
    let form = match form {
        "" if !choices.is_empty() => Form::Choice,
        "" if matches!(target, Target::Body | Target::Pairs) => Form::Text,
        "" | "word" => Form::Word,
        "text" => Form::Text,
        "int" => Form::Int,
        "number" => Form::Number,
        "ip" => Form::Ip,
        "hex" => Form::Hex,
        "letter" => Form::Letter,
        "name" => Form::Name,
        "path" => Form::Path,
        "quoted" => Form::Quoted,
        "class" => Form::Class,
        "mac" => Form::Mac,
        "dashed" => Form::Dashed,
        other => {
            return Err(format!(
                "`{other}` is no form: word, text, int, number, ip, hex, letter, name, class, path, mac, dashed and quoted are"
            ));
        }
    };
    Ok(Step::Hole(Hole {
        target,
        form,
        absent,
        stops: Vec::new(),
        until: Vec::new(),
        to_end: false,
        choices,
    }))
}

/// Tells each hole what ends it: what can come after it.
fn bound(steps: &mut [Step]) -> Result<(), String> {
    for index in 0..steps.len() {
        let (head, following) = steps.split_at_mut(index + 1);
        let Some(Step::Hole(hole)) = head.last_mut() else { continue };
        stops(following, &mut hole.stops);
        hole.until = literals(following);
        hole.to_end = following.iter().all(|step| matches!(step, Step::Literal(_) | Step::Blanks(_)));
        if !hole.until.is_empty() {
            continue;
        }
        hole.until = match following.first() {
            Some(Step::Hole(Hole { form: Form::Quoted, .. })) => b"\"".to_vec(),
            None => Vec::new(),
            Some(_) if hole.form == Form::Text => {
                return Err("a text ends where the line does, or before a literal".to_owned());
            }
            Some(_) => Vec::new(),
        };
    }
    Ok(())
}

/// The literal text that comes next, its blanks included.
fn literals(following: &[Step]) -> Vec<u8> {
    let mut text = Vec::new();
    for step in following {
        match step {
            Step::Literal(literal) => text.extend_from_slice(literal),
            Step::Blanks(least) => text.extend(std::iter::repeat_n(b' ', *least)),
            _ => break,
        }
    }
    text
}

/// First bytes of the literals that can come next.
fn stops(following: &[Step], into: &mut Vec<u8>) {
    match following.first() {
        Some(Step::Literal(literal)) => into.extend(literal.first()),
        Some(Step::Optional(inside)) => {
            stops(&following[1..], into);
            stops(&following[1 + inside..], into);
        }
        _ => {}
    }
}
