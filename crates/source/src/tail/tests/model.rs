//! Random lives of a log file against the simplest model: every byte that was ever written, in order, but for
//! what was destroyed before it could be read.

use proptest::prelude::*;
use taffrail_record::Multiline;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Append(String),
    /// Renamed; created anew at once, or only after a read.
    Rename {
        late: bool,
    },
    /// The file that was renamed last is written to by who was not told.
    Late,
    /// The oldest rotated file that is not, compressed.
    Compress {
        zstd: bool,
    },
    /// Copied, then truncated, read or not.
    CopyTruncate,
    /// The same by a program that goes on writing in between; that was read.
    CopyTruncateLate,
    /// Truncated without a copy: what was not read is lost.
    Truncate,
    /// Replaced by a file that may get the same inode, after everything was read.
    DeleteAndCreate,
    /// The path is a symlink that is led to a new file.
    Swap,
    Read(usize),
    Park,
    /// The access to the file system after so many others fails.
    Fail(u64),
    /// Back to the last checkpoint that was stored.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => "[a-c]{0,12}\n".prop_map(Act::Append),
        2 => "[a-c\n]{0,40}".prop_map(Act::Append),
        1 => "[x]{300,700}\n?".prop_map(Act::Append),
        3 => any::<bool>().prop_map(|late| Act::Rename { late }),
        3 => Just(Act::Late),
        2 => any::<bool>().prop_map(|zstd| Act::Compress { zstd }),
        3 => Just(Act::CopyTruncate),
        1 => Just(Act::CopyTruncateLate),
        1 => Just(Act::Truncate),
        1 => Just(Act::DeleteAndCreate),
        1 => Just(Act::Swap),
        6 => (1usize..6).prop_map(Act::Read),
        1 => Just(Act::Park),
        2 => (0u64..12).prop_map(Act::Fail),
        2 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..40)
}

/// A stretch of what was written.
struct Stretch {
    bytes: Vec<u8>,
    /// Whether it was destroyed: a beginning of it may have been read.
    destroyed: bool,
}

struct Model {
    bench: Bench,
    written: Vec<Stretch>,
    /// Bytes of everything in `written`, and of what is in it and destroyed.
    total: u64,
    appended: u64,
    /// Whether rotated files are named by date; else they are counted, and shifted each time.
    dated: bool,
    rotated: usize,
    /// Rotated files that are not compressed, oldest first.
    plain: Vec<PathBuf>,
    /// The file that was renamed last, by its inode, if it is not compressed.
    renamed: Option<u64>,
    /// Files that stood at the path since.
    since: usize,
    /// Lines that were written late, in order.
    late: Vec<String>,
}

impl Model {
    fn new(limits: Limits, dated: bool) -> Self {
        let (bench, stretch) = (Bench::with(limits), Stretch { bytes: Vec::new(), destroyed: false });
        let written = vec![stretch];
        Self {
            bench,
            written,
            total: 0,
            appended: 0,
            dated,
            rotated: 0,
            plain: Vec::new(),
            renamed: None,
            since: 0,
            late: Vec::new(),
        }
    }

    /// Numbered, so that no two lines are alike and a repeated or lost one shows.
    fn append(&mut self, text: &str) {
        self.appended += 1;
        // Long lines differ all the way: who truncates and writes the same bytes again at the same place is not seen.
        let filler = char::from(b'd' + (self.appended % 20) as u8).to_string();
        let text = format!("{}:{}", self.appended, text.replace('x', &filler));
        self.bench.append(&text);
        self.total += text.len() as u64;
        self.written.last_mut().unwrap().bytes.extend_from_slice(text.as_bytes());
    }

    /// Reads all there is; what happens next destroys what was not read, and nothing fails meanwhile.
    fn settle(&mut self) {
        crate::fault::fail_after(None);
        self.bench.drain();
    }

    /// Files born in the same tick of the file system's clock cannot be told apart by age.
    fn next_tick(&mut self) {
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
        self.bench.now.observed = clock();
    }

    /// Where the file is that the path leads to.
    fn target(&self) -> PathBuf {
        fs::canonicalize(&self.bench.path).unwrap()
    }

    fn inode(&self) -> u64 {
        Identity::of(&fs::metadata(&self.bench.path).unwrap()).ino
    }

    /// The name for the next rotated file.
    fn rotated(&mut self) -> PathBuf {
        self.rotated += 1;
        if self.dated {
            return self.bench.beside(&format!("x.log-{}", 20_260_000 + self.rotated));
        }
        for number in (1..self.rotated).rev() {
            for ending in ["", ".gz", ".zst"] {
                let from = self.bench.beside(&format!("x.log.{number}{ending}"));
                let to = self.bench.beside(&format!("x.log.{}{ending}", number + 1));
                if from.exists() {
                    fs::rename(&from, &to).unwrap();
                    self.plain.iter_mut().filter(|path| **path == from).for_each(|path| path.clone_from(&to));
                }
            }
        }
        self.bench.beside("x.log.1")
    }

    fn rename(&mut self) {
        self.next_tick();
        let to = self.rotated();
        fs::rename(self.target(), &to).unwrap();
        if fs::symlink_metadata(&self.bench.path).is_ok_and(|metadata| metadata.is_symlink()) {
            fs::remove_file(&self.bench.path).unwrap();
        }
        self.since = 0;
        self.renamed = Some(Identity::of(&fs::metadata(&to).unwrap()).ino);
        self.plain.push(to);
    }

    /// Where such a line comes is left open: only that it comes once, whole, and that they are in order.
    fn write_late(&mut self) {
        // Of more files that were left, only the latest are looked at.
        if self.since >= 3 {
            return;
        }
        let is_it = |path: &&PathBuf| Some(Identity::of(&fs::metadata(path).unwrap()).ino) == self.renamed;
        let Some(path) = self.plain.iter().find(is_it) else { return };
        // Compressed files are known again by when they were written to last.
        rotation::tick(&self.bench.beside("probe"));
        let line = format!("<late {}>\n", self.late.len());
        append(path, line.as_bytes());
        rotation::tick(&self.bench.beside("probe"));
        self.total += line.len() as u64;
        self.late.push(line);
        // What is compressed, or left for many others, before it was read is not ours to find; nor what was held then.
        self.settle();
        self.bench.wait(Duration::from_millis(500));
        self.settle();
    }

    /// What was handed over but for what was written late; `None` if that is not what was written.
    fn without_late(&self) -> Option<Vec<u8>> {
        let (mut rest, mut from) = (self.bench.out.clone(), 0);
        for line in &self.late {
            let at = from + memchr::memmem::find(&rest[from..], line.as_bytes())?;
            rest.drain(at..at + line.len());
            from = at;
        }
        Some(rest)
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Append(text) => self.append(text),
            Act::Rename { late } => {
                self.rename();
                if *late {
                    self.bench.step();
                }
                self.append("created\n");
            }
            Act::Late => self.write_late(),
            Act::Compress { zstd } => self.compress(*zstd),
            Act::CopyTruncate => {
                self.copy();
                self.truncate();
                // Compressed files are known again by when they were written to last.
                self.next_tick();
            }
            Act::CopyTruncateLate => {
                self.copy();
                self.append("late\n");
                self.settle();
                self.truncate();
                // Of a short content, only who has it still knows what a copy of its beginning is.
                self.settle();
            }
            Act::Truncate => {
                self.destroy();
                self.truncate();
            }
            Act::DeleteAndCreate => {
                self.since += 1;
                self.settle();
                self.next_tick();
                fs::remove_file(self.target()).unwrap();
                self.append("anew\n");
                // Only who holds a deleted file can read it: here, the unfinished line.
                self.settle();
            }
            Act::Swap => self.swap(),
            Act::Read(count) => {
                for _ in 0..*count {
                    self.bench.step();
                }
            }
            Act::Park => drop(self.bench.tail.park()),
            Act::Fail(count) => crate::fault::fail_after(Some(*count)),
            Act::Restart => self.bench.restart(),
        }
    }

    fn copy(&mut self) {
        self.next_tick();
        self.since += 1;
        let copy = self.rotated();
        fs::copy(self.target(), &copy).unwrap();
        self.plain.push(copy);
    }

    fn compress(&mut self, zstd: bool) {
        // A writer that still has it open is a mistake of the rotation; ours never has.
        if self.plain.is_empty() {
            return;
        }
        self.next_tick();
        let path = self.plain.remove(0);
        if self.renamed == Some(Identity::of(&fs::metadata(&path).unwrap()).ino) {
            self.renamed = None;
        }
        let (text, modified) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
        let (ending, bytes) =
            if zstd { (".zst", zstd::encode_all(&text[..], 1).unwrap()) } else { (".gz", gzip(&text)) };
        let packed = PathBuf::from(format!("{}{ending}", path.display()));
        fs::write(&packed, bytes).unwrap();
        fs::OpenOptions::new().write(true).open(&packed).unwrap().set_modified(modified).unwrap();
        fs::remove_file(path).unwrap();
    }

    fn truncate(&self) {
        fs::OpenOptions::new().write(true).open(self.target()).unwrap().set_len(0).unwrap();
    }

    /// What was not handed over yet of the file that stands there is about to be lost. It was read from once, so
    /// how much there is is known.
    fn destroy(&mut self) {
        self.settle();
        // Lines that are never held: what is held at a crash is known to nobody.
        self.append(&"doome\n".repeat(40));
        while self.bench.tail.identity().map(|identity| identity.ino) != Some(self.inode()) {
            self.bench.step();
        }
        self.bench.step();
        let unread = (self.total - self.bench.saved.as_ref().unwrap().offset) as usize;
        let last = self.written.last_mut().unwrap();
        let bytes = last.bytes.split_off(last.bytes.len() - unread);
        self.written.push(Stretch { bytes, destroyed: true });
        self.written.push(Stretch { bytes: Vec::new(), destroyed: false });
    }

    fn swap(&mut self) {
        // The old target keeps a name that tells nothing: only who reads it in time has it.
        self.settle();
        self.next_tick();
        self.since += 1;
        self.rotated += 1;
        let target = self.bench.beside(&format!("target{}", self.rotated));
        fs::write(&target, "").unwrap();
        let fresh = self.bench.beside("fresh");
        symlink(&target, &fresh).unwrap();
        fs::rename(&fresh, &self.bench.path).unwrap();
        self.append("swapped\n");
        self.settle();
    }

    /// Whether `got` is what was written, but for ends of destroyed stretches.
    fn explains(&self, got: &[u8]) -> bool {
        let mut reached = std::collections::BTreeSet::from([0]);
        for Stretch { bytes, destroyed } in &self.written {
            let mut next = std::collections::BTreeSet::new();
            for at in reached {
                let common = bytes.iter().zip(&got[at..]).take_while(|(a, b)| a == b).count();
                if *destroyed {
                    next.extend(at..=at + common);
                } else if common == bytes.len() {
                    next.insert(at + common);
                }
            }
            reached = next;
        }
        reached.contains(&got.len())
    }
}

/// Joins lines, and waits for more of them, without rhyme or reason.
#[derive(Debug)]
struct ByLength;

impl Multiline for ByLength {
    fn goes_on(&mut self, _: &[u8], line: &[u8]) -> bool {
        line.len().is_multiple_of(3)
    }

    fn is_open(&mut self, record: &[u8]) -> bool {
        record.len().is_multiple_of(2)
    }

    fn fresh(&self) -> Box<dyn Multiline> {
        Box::new(Self)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn every_byte_exactly_once_in_order(acts in acts(), batch_bytes in 1usize..200, dated: bool, joins: bool, waits: bool) {
        let multiline = joins.then(|| Arc::new(ByLength) as Arc<dyn Multiline>);
        let multiline_timeout = Duration::from_millis(if waits { 500 } else { 0 });
        let rotation_grace = Duration::ZERO;
        let limits = Limits { batch_bytes, rotation_grace, multiline, multiline_timeout, ..Limits::default() };
        let mut model = Model::new(limits, dated);
        model.bench.now.observed = clock();
        model.append("first\n");
        // What is rotated away before it was ever seen is nobody's.
        prop_assert!(model.bench.step());
        for act in &acts {
            model.act(act);
        }
        model.append("\nlast\n");
        model.bench.drain();
        model.settle();
        // The last record may be held.
        model.bench.wait(multiline_timeout);
        model.settle();
        let got = model.without_late();
        prop_assert!(got.is_some(), "{:?} in {:?}", model.late, String::from_utf8_lossy(&model.bench.out));
        let got = &got.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let written: Vec<String> = model.written.iter().map(|stretch| text(&stretch.bytes)).collect();
        prop_assert!(model.explains(got), "got {:?}, written {written:?}", text(got));
        let lost: u64 = model.bench.gaps.iter().map(|(start, end, _)| end - start).sum();
        prop_assert_eq!(model.bench.out.len() as u64 + lost, model.total, "what is missing is in gaps");
        prop_assert_eq!(model.bench.saved.unwrap().offset, model.total);
    }
}
