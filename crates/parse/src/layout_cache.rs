//! From a draft's layout to its index in the batch, mostly without building or hashing its text.

use taffrail_record::LogBatch;
use taffrail_record::layout::NO_NEWLINE;

use crate::draft::{Draft, LayoutChoice, shape_text};

/// Distinct layouts in a batch; lines past it are kept whole.
pub(crate) const LAYOUTS_MAX: usize = 4096;
const RECENT: usize = 8;

/// What stands around a line's text: its `\r`, and whether its newline is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    pub(crate) carriage_return: bool,
    pub(crate) newline: bool,
}

impl Ending {
    fn text(self) -> String {
        format!(
            "{}{}",
            if self.carriage_return { "\r" } else { "" },
            if self.newline { "" } else { NO_NEWLINE }
        )
    }
}

/// The layouts that were used last in the current batch.
#[derive(Debug, Default)]
pub(crate) struct LayoutCache {
    shapes: Vec<(LayoutChoice, Ending, u16)>,
    texts: Vec<(Vec<u8>, u16)>,
    last_text: usize,
}

impl LayoutCache {
    /// Forgets everything: indices belong to one batch.
    pub(crate) fn clear(&mut self) {
        self.shapes.clear();
        self.texts.clear();
        self.last_text = 0;
    }

    /// The index of the draft's layout; 0 where the line is to be kept whole.
    pub(crate) fn index(&mut self, draft: &mut Draft, ending: Ending, batch: &mut LogBatch) -> u16 {
        match draft.choice {
            LayoutChoice::Whole => 0,
            LayoutChoice::Cut => {
                if ending != (Ending { carriage_return: false, newline: true }) {
                    draft.layout.extend_from_slice(ending.text().as_bytes());
                }
                self.of_text(&draft.layout, batch)
            }
            choice => self.of_shape(choice, ending, batch),
        }
    }

    fn of_shape(&mut self, choice: LayoutChoice, ending: Ending, batch: &mut LogBatch) -> u16 {
        for (known, known_ending, index) in &self.shapes {
            if *known == choice && *known_ending == ending {
                return *index;
            }
        }
        if batch.layouts().len() >= LAYOUTS_MAX {
            return 0;
        }
        let text = shape_text(choice) + &ending.text();
        let index = batch.layout(&text).unwrap_or(0);
        self.shapes.truncate(RECENT - 1);
        self.shapes.insert(0, (choice, ending, index));
        index
    }

    fn of_text(&mut self, text: &[u8], batch: &mut LogBatch) -> u16 {
        for step in 0..self.texts.len() {
            let at = (self.last_text + step) % self.texts.len();
            if self.texts[at].0 == text {
                self.last_text = at;
                return self.texts[at].1;
            }
        }
        if batch.layouts().len() >= LAYOUTS_MAX {
            return 0;
        }
        let index = std::str::from_utf8(text).ok().and_then(|text| batch.layout(text)).unwrap_or(0);
        if self.texts.len() < RECENT {
            self.last_text = self.texts.len();
            self.texts.push((text.to_vec(), index));
        } else {
            self.last_text = (self.last_text + 1) % RECENT;
            let slot = &mut self.texts[self.last_text];
            slot.0.clear();
            slot.0.extend_from_slice(text);
            slot.1 = index;
        }
        index
    }
}
