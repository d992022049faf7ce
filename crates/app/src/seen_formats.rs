//! In which formats the lines of each source were since the program started, and what was concluded from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use taffrail_parse::Detection;
use taffrail_serve::api;

/// Formats and the records in each.
pub(crate) type Counts = Vec<(&'static str, u64)>;

/// What is known of all sources; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenFormats(Arc<Mutex<HashMap<Arc<str>, Seen>>>);

/// What is known of a source.
#[derive(Debug, Default)]
struct Seen {
    counts: Counts,
    found: Detection,
}

impl SeenFormats {
    /// Notes the formats of records of a source, and what they show.
    pub(crate) fn note(&self, source: &Arc<str>, counts: Counts, found: Detection) {
        if counts.is_empty() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.entry(Arc::clone(source)).or_default();
        seen.found = found;
        let known = &mut seen.counts;
        for (format, records) in counts {
            match known.iter_mut().find(|(name, _)| *name == format) {
                Some((_, sum)) => *sum += records,
                None => known.push((format, records)),
            }
        }
        known.sort_by_key(|(_, records)| std::cmp::Reverse(*records));
    }

    /// The formats of a source, the most frequent first, and what was concluded from them.
    pub(crate) fn of(&self, source: &str) -> (Vec<api::SeenFormat>, Detection) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = all.get(source) else { return Default::default() };
        let format = |(format, records): &(&'static str, u64)| api::SeenFormat {
            format: (*format).to_owned(),
            records: *records,
        };
        (seen.counts.iter().map(format).collect(), seen.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_add_up_and_the_most_frequent_comes_first() {
        let seen = SeenFormats::default();
        let source: Arc<str> = "/x.log".into();
        let found = Detection { format: Some("json"), day_first: false };
        seen.note(&source, vec![("plain", 2), ("json", 1)], Detection::default());
        seen.note(&source, vec![("json", 4)], found);
        assert_eq!(seen.of("/x.log").1, found);
        let of = |source: &str| -> Vec<(String, u64)> {
            seen.of(source).0.into_iter().map(|one| (one.format, one.records)).collect()
        };
        assert_eq!(of("/x.log"), [("json".to_owned(), 5), ("plain".to_owned(), 2)]);
        assert_eq!(of("/y.log"), []);
    }
}
