//! The condition that records must meet: what the search language parses to and what the engine runs.

use taffrail_record::Severity;

/// A condition on a record.
#[derive(Clone, PartialEq, Debug)]
pub enum Filter {
    /// Every record.
    All,
    /// All of these hold; empty = every record.
    And(Vec<Filter>),
    /// One of these holds; empty = no record.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// Words in the body, the service, the node or a text attribute.
    Text(TextMatch),
    /// A condition on one column or attribute.
    Field {
        /// `severity`, `node`, `source`, `service`, `body`, `offset`, or an attribute's key.
        name: String,
        /// What must hold.
        test: FieldTest,
    },
}

/// How text is looked for.
#[derive(Clone, PartialEq, Debug)]
pub enum TextMatch {
    /// These characters with no letter, digit or underscore right before or after, ASCII case ignored.
    /// One word or a phrase: inner blanks and punctuation match themselves.
    Phrase(String),
    /// As `Phrase`, but a word may go on after it (`fail*`).
    Prefix(String),
    /// These characters anywhere, ASCII case ignored (`*fail*`).
    Substring(String),
    /// A regular expression, found anywhere; case counts unless it says `(?i)`.
    Regex(String),
}

/// A condition on a field.
#[derive(Clone, PartialEq, Debug)]
pub enum FieldTest {
    /// The whole value is this text (ASCII case ignored) or this number.
    Equals(String),
    /// The whole value is one of these texts, ASCII case ignored.
    OneOf(Vec<String>),
    /// The value contains a match.
    Matches(TextMatch),
    /// The value is a number (severity: a step) on this side of the bound.
    Compare(Comparison, Bound),
    /// The record has this field, not empty.
    Exists,
}

/// Which side of a bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
}

/// The bound of a comparison.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bound {
    /// A number.
    Number(f64),
    /// A severity, for the field `severity`.
    Severity(Severity),
}

impl Filter {
    /// Both conditions.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, filter) | (filter, Self::All) => filter,
            (Self::And(mut all), filter) => {
                all.push(filter);
                Self::And(all)
            }
            (filter, other) => Self::And(vec![filter, other]),
        }
    }

    /// A condition on one field.
    pub fn field(name: impl Into<String>, test: FieldTest) -> Self {
        Self::Field { name: name.into(), test }
    }
}
