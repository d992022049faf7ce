//! What is wrong in a config, by its keys.

use std::fmt;

/// What is wrong with the value of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// The key's path, from the table that was looked at.
    pub key: String,
    /// For people.
    pub what: String,
}

impl Mistake {
    pub(crate) fn new(key: &str, what: impl Into<String>) -> Self {
        Self { key: key.to_owned(), what: what.into() }
    }

    /// Makes one of what went wrong with a key's value.
    pub(crate) fn of(key: &str) -> impl Fn(String) -> Vec<Self> {
        move |what| vec![Self::new(key, what)]
    }

    /// The same, seen from the table that `table` stands in.
    #[must_use]
    pub fn within(self, table: &str) -> Self {
        Self { key: format!("{table}.{}", self.key), ..self }
    }

    /// The same of several.
    pub(crate) fn all_within(table: &str) -> impl Fn(Vec<Self>) -> Vec<Self> {
        move |all| all.into_iter().map(|one| one.within(table)).collect()
    }

    /// All in one line.
    pub(crate) fn list(all: Vec<Self>) -> String {
        all.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }

    /// What came of several attempts, if all went well; or all that is wrong.
    pub(crate) fn both<A, B>(
        one: Result<A, Vec<Self>>,
        other: Result<B, Vec<Self>>,
    ) -> Result<(A, B), Vec<Self>> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (one, other) => Err(one.err().into_iter().chain(other.err()).flatten().collect()),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}
