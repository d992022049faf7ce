//! One value of a key, whether it was written in TOML, in the environment or on the command line.

use toml::de::DeValue;

/// A value on its way into a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// A string of the file, or a variable or flag (which stand for numbers, switches and lists as well).
    Text {
        /// The text.
        text: String,
        /// Whether it comes from a place that knows only text.
        untyped: bool,
    },
    /// A whole number.
    Number(i64),
    /// A switch.
    Switch(bool),
    /// A list of strings.
    List(Vec<String>),
}

impl Value {
    /// What a variable or flag says.
    pub(crate) fn untyped(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), untyped: true }
    }

    /// A TOML value; `Err` names a type that no key takes.
    pub(crate) fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let strings = |list: &toml::de::DeArray<'_>| {
            let texts = list.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>()
        };
        match value {
            DeValue::String(text) => Ok(Self::Text { text: text.to_string(), untyped: false }),
            DeValue::Boolean(switch) => Ok(Self::Switch(*switch)),
            DeValue::Integer(number) => {
                i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
                    .map(Self::Number)
                    .map_err(|_| format!("{} is too large", number.as_str()))
            }
            DeValue::Array(list) => {
                strings(list).map(Self::List).ok_or_else(|| "a list of strings only".to_owned())
            }
            other => Err(format!("not {}", article(other.type_str()))),
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text { text, .. } => Ok(text),
            other => Err(format!("a string in quotes is wanted, not {}", other.kind())),
        }
    }

    /// One string or several.
    pub(crate) fn list(&self) -> Result<Vec<String>, String> {
        match self {
            Self::List(list) => Ok(list.clone()),
            Self::Text { text, .. } => Ok(vec![text.clone()]),
            other => Err(format!("a list of strings is wanted, not {}", other.kind())),
        }
    }

    /// Names in a list, or in one text with commas between them.
    pub(crate) fn names(&self) -> Result<Vec<String>, String> {
        let names = self
            .list()?
            .iter()
            .flat_map(|text| text.split(','))
            .map(|name| name.trim().to_owned())
            .collect::<Vec<_>>();
        Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
    }

    /// True or false.
    pub(crate) fn switch(&self) -> Result<bool, String> {
        match self {
            Self::Switch(switch) => Ok(*switch),
            Self::Text { text, untyped: true } => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" | "" => Ok(false),
                _ => Err(format!("true or false is wanted, not `{text}`")),
            },
            other => Err(format!("true or false is wanted, without quotes, not {}", other.kind())),
        }
    }

    /// A whole number from 1 on.
    pub(crate) fn count(&self) -> Result<usize, String> {
        let number = match self {
            Self::Number(number) => usize::try_from(*number).ok(),
            Self::Text { text, untyped: true } => text.parse().ok(),
            other => return Err(format!("a whole number is wanted, without quotes, not {}", other.kind())),
        };
        number.filter(|number| *number > 0).ok_or_else(|| "a whole number from 1 on is wanted".to_owned())
    }

    /// The text of a quantity: a string with a unit; a bare number is taken as it stands.
    pub(crate) fn quantity(&self) -> Result<String, String> {
        match self {
            Self::Text { text, .. } => Ok(text.clone()),
            Self::Number(number) => Ok(number.to_string()),
            other => Err(format!("a number with its unit in quotes is wanted, not {}", other.kind())),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "a string",
            Self::Number(_) => "a number",
            Self::Switch(_) => "true or false",
            Self::List(_) => "a list",
        }
    }
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
