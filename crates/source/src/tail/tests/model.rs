//! Random lives of a log file against the simplest model: every byte that was ever written, in order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Append(String),
    Rotate,
    DeleteAndCreate,
    /// Truncates after everything was read.
    CopyTruncate,
    Read(usize),
    Park,
    /// Back to the last checkpoint that was stored.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => "[a-c]{0,12}\n".prop_map(Act::Append),
        2 => "[a-c\n]{0,40}".prop_map(Act::Append),
        1 => "[x]{300,700}\n?".prop_map(Act::Append),
        2 => Just(Act::Rotate),
        1 => Just(Act::DeleteAndCreate),
        1 => Just(Act::CopyTruncate),
        5 => (1usize..6).prop_map(Act::Read),
        1 => Just(Act::Park),
        2 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..40)
}

struct Model {
    bench: Bench,
    written: Vec<u8>,
    appended: u64,
    rotated: u64,
}

impl Model {
    /// Numbered, so that no two lines are alike and a repeated or lost one shows.
    fn append(&mut self, text: &str) {
        self.appended += 1;
        let text = format!("{}:{text}", self.appended);
        self.bench.append(&text);
        self.written.extend_from_slice(text.as_bytes());
    }

    /// Files born in the same tick of the file system's clock cannot be told apart by age.
    fn next_tick(&self) {
        let birth = |path: &Path| Identity::of(&fs::metadata(path).unwrap()).birth;
        let probe = self.bench.beside("probe");
        let before = birth(&self.bench.path);
        while {
            fs::write(&probe, "").unwrap();
            let same = birth(&probe) <= before;
            fs::remove_file(&probe).unwrap();
            same
        } {
            std::thread::yield_now();
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Append(text) => self.append(text),
            Act::Rotate => {
                self.rotated += 1;
                self.next_tick();
                let old = self.bench.beside(&format!("x.log-{:08}", self.rotated));
                fs::rename(&self.bench.path, old).unwrap();
                self.append("created\n");
            }
            Act::DeleteAndCreate => {
                self.bench.drain();
                self.next_tick();
                fs::remove_file(&self.bench.path).unwrap();
                self.append("anew\n");
                // Only who holds a deleted file can read it: here, the unfinished line.
                self.bench.drain();
            }
            Act::CopyTruncate => {
                self.bench.drain();
                fs::copy(&self.bench.path, self.bench.beside("copy")).unwrap();
                fs::OpenOptions::new().write(true).open(&self.bench.path).unwrap().set_len(0).unwrap();
                self.bench.drain();
            }
            Act::Read(count) => {
                for _ in 0..*count {
                    self.bench.step();
                }
            }
            Act::Park => drop(self.bench.tail.park()),
            Act::Restart => self.bench.restart(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]
    #[test]
    fn every_byte_exactly_once_in_order(acts in acts(), batch_bytes in 1usize..200) {
        let limits = Limits { batch_bytes, rotation_grace: Duration::ZERO, ..Limits::default() };
        let mut model = Model { bench: Bench::with(limits), written: Vec::new(), appended: 0, rotated: 0 };
        model.append("first\n");
        // What is rotated away before it was ever seen is nobody's.
        prop_assert!(model.bench.step());
        for act in &acts {
            model.act(act);
        }
        model.append("\nlast\n");
        model.bench.drain();
        let (got, expected) = (String::from_utf8_lossy(&model.bench.out), String::from_utf8_lossy(&model.written));
        prop_assert_eq!(got, expected);
        prop_assert_eq!(&model.bench.gaps, &vec![]);
        prop_assert_eq!(model.bench.saved.unwrap().offset, model.written.len() as u64);
    }
}
