//! The JSON objects of `attributes_rest`: written here, read back here.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use taffrail_record::layout::escape_json;

use crate::hit::AttributeValue;

/// A JSON object under construction.
#[derive(Default)]
pub(crate) struct Object {
    text: Vec<u8>,
}

impl Object {
    /// Adds a member; `bare` values are JSON already.
    pub(crate) fn push(&mut self, key: &str, value: &str, bare: bool) {
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        self.quote(key);
        self.text.push(b':');
        if bare {
            self.text.extend_from_slice(value.as_bytes());
        } else {
            self.quote(value);
        }
    }

    /// Adds all members of an object that was finished before.
    pub(crate) fn push_all(&mut self, object: &str) {
        let members = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        if !members.is_empty() {
            self.text.push(if self.text.is_empty() { b'{' } else { b',' });
            self.text.extend_from_slice(members.as_bytes());
        }
    }

    fn quote(&mut self, text: &str) {
        self.text.push(b'"');
        escape_json(text, &mut self.text);
        self.text.push(b'"');
    }

    /// The object's text.
    pub(crate) fn finish(mut self) -> String {
        if self.text.is_empty() {
            self.text.push(b'{');
        }
        self.text.push(b'}');
        // Only whole strs and ASCII were pushed.
        String::from_utf8(self.text).unwrap_or_default()
    }
}

/// The members of an object that [`Object`] wrote, values other than strings as their JSON text; nothing for
/// anything else.
pub(crate) fn members(object: &str) -> Vec<(String, AttributeValue)> {
    let Ok(map) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(object) else { return Vec::new() };
    map.into_iter().map(|(key, value)| (key, value_of(value.get()))).collect()
}

fn value_of(json: &str) -> AttributeValue {
    if let Ok(text) = serde_json::from_str::<String>(json) {
        return AttributeValue::Text(text);
    }
    match json.parse::<i64>() {
        Ok(number) if number.to_string() == json => AttributeValue::Integer(number),
        _ => AttributeValue::Text(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        let mut object = Object::default();
        object.push("a \"b\"", "x\ny", false);
        object.push("n", "0.120", true);
        object.push("z", "-7", true);
        let text = object.finish();
        assert_eq!(text, r#"{"a \"b\"":"x\ny","n":0.120,"z":-7}"#);
        let want = vec![
            ("a \"b\"".to_owned(), AttributeValue::Text("x\ny".to_owned())),
            ("n".to_owned(), AttributeValue::Text("0.120".to_owned())),
            ("z".to_owned(), AttributeValue::Integer(-7)),
        ];
        assert_eq!(members(&text), want);
        assert_eq!(members("nonsense"), Vec::new());
        assert_eq!(Object::default().finish(), "{}");
    }
}
