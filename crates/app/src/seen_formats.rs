//! In which formats the lines of each source were, since the program started.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use taffrail_serve::api;

/// Formats and the records in each.
pub(crate) type Counts = Vec<(&'static str, u64)>;

/// What is known of all sources; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenFormats(Arc<Mutex<HashMap<Arc<str>, Counts>>>);

impl SeenFormats {
    /// Notes the formats of records of a source.
    pub(crate) fn note(&self, source: &Arc<str>, counts: Counts) {
        if counts.is_empty() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(Arc::clone(source)).or_default();
        for (format, records) in counts {
            match known.iter_mut().find(|(name, _)| *name == format) {
                Some((_, sum)) => *sum += records,
                None => known.push((format, records)),
            }
        }
        known.sort_by_key(|(_, records)| std::cmp::Reverse(*records));
    }

    /// The formats of a source, the most frequent first.
    pub(crate) fn of(&self, source: &str) -> Vec<api::SeenFormat> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(source).map(Vec::as_slice).unwrap_or_default();
        known
            .iter()
            .map(|(format, records)| api::SeenFormat { format: (*format).to_owned(), records: *records })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_add_up_and_the_most_frequent_comes_first() {
        let seen = SeenFormats::default();
        let source: Arc<str> = "/x.log".into();
        seen.note(&source, vec![("plain", 2), ("json", 1)]);
        seen.note(&source, vec![("json", 4)]);
        let of = |source: &str| -> Vec<(String, u64)> {
            seen.of(source).into_iter().map(|one| (one.format, one.records)).collect()
        };
        assert_eq!(of("/x.log"), [("json".to_owned(), 5), ("plain".to_owned(), 2)]);
        assert_eq!(of("/y.log"), []);
    }
}
