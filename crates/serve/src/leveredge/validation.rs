//! Parameters and bodies checked as the original's framework does, with its words for what is wrong.

use serde_json::{Map, Value, json};

/// Entries that one answer has at most.
pub(super) const LIMIT_MAX: i64 = 1000;

/// The parameters of a request and what is wrong with them.
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<Value>,
}

impl Query {
    pub(super) fn read(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        Self { pairs, errors: Vec::new() }
    }

    /// A parameter's value; of several the last counts, unknown ones are ignored.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter's value that is not empty.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(super) fn required(&mut self, name: &str) -> String {
        if let Some(text) = self.text(name) {
            return text.to_owned();
        }
        self.errors.push(error("missing", &[json!("query"), json!(name)], "Field required", &Value::Null));
        String::new()
    }

    /// `limit`.
    pub(super) fn limit(&mut self) -> i64 {
        let limit = self.integer("limit", 100);
        if limit > LIMIT_MAX {
            let message = format!("Input should be less than or equal to {LIMIT_MAX}");
            let input = json!(self.text("limit"));
            let mut error = error("less_than_equal", &[json!("query"), json!("limit")], &message, &input);
            error["ctx"] = json!({ "le": LIMIT_MAX });
            self.errors.push(error);
        }
        limit
    }

    /// `offset`.
    pub(super) fn offset(&mut self) -> i64 {
        self.integer("offset", 0)
    }

    fn integer(&mut self, name: &str, default: i64) -> i64 {
        let Some(text) = self.text(name) else { return default };
        if let Some(number) = integer(text) {
            return number;
        }
        let message = "Input should be a valid integer, unable to parse string as an integer";
        let input = json!(text);
        self.errors.push(error("int_parsing", &[json!("query"), json!(name)], message, &input));
        default
    }

    /// What was wrong; empty: nothing.
    pub(super) fn into_errors(self) -> Vec<Value> {
        self.errors
    }
}

/// An integer as pydantic reads it from text: blanks around, a sign, single underscores between digits and
/// a fraction of zeros are fine. What 64 bits do not hold becomes their end.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let (negative, digits) = match whole.as_bytes().first()? {
        b'-' => (true, &whole[1..]),
        b'+' => (false, &whole[1..]),
        _ => (false, whole),
    };
    let groups =
        digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    groups.then(|| {
        let number = digits.replace('_', "").parse().unwrap_or(i64::MAX);
        if negative { -number } else { number }
    })
}

/// One entry of a 422's `detail`.
pub(super) fn error(kind: &str, location: &[Value], message: &str, input: &Value) -> Value {
    json!({ "type": kind, "loc": location, "msg": message, "input": input })
}

/// What is wrong with a posted entry, field by field in the model's order.
pub(super) fn entry_errors(body: &Map<String, Value>) -> Vec<Value> {
    let mut errors = Vec::new();
    for (field, nullable) in
        [("timestamp", false), ("level", false), ("agent", false), ("message", false), ("source", true)]
    {
        let location = [json!("body"), json!(field)];
        match body.get(field) {
            None if field == "message" => {
                errors.push(error("missing", &location, "Field required", &Value::Object(body.clone())));
            }
            None | Some(Value::String(_)) => {}
            Some(Value::Null) if nullable => {}
            Some(other) => {
                errors.push(error("string_type", &location, "Input should be a valid string", other));
            }
        }
    }
    match body.get("metadata") {
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(other) => {
            let location = [json!("body"), json!("metadata")];
            errors.push(error("dict_type", &location, "Input should be a valid dictionary", other));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_the_original_does() {
        for (text, want) in [
            ("5", Some(5)),
            ("+5", Some(5)),
            ("-1", Some(-1)),
            (" 12 ", Some(12)),
            ("1_000", Some(1000)),
            ("10.0", Some(10)),
            ("99999999999999999999", Some(i64::MAX)),
            ("", None),
            ("abc", None),
            ("1.5", None),
            ("1__0", None),
            ("_1", None),
            ("0x10", None),
            ("--1", None),
        ] {
            assert_eq!(integer(text), want, "{text:?}");
        }
    }
}
