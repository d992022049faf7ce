//! What is told of rotations: in the log, and to those who take lines.

use super::*;

#[test]
fn what_showed_a_rotation_is_told() {
    for parked in [false, true] {
        for (text, back, expected) in [
            ("zwei\n", -3, "modification time reset"),
            ("zwei\n", 3, "size decrease"),
            ("z\n", -3, "size decrease"),
            ("three or more\n", 3, "size decrease"),
        ] {
            let mut bench = Bench::new();
            bench.append("eins\n");
            assert_eq!(bench.lines(), ["eins"]);
            assert!(!parked || bench.tail.park());
            let modified = fs::metadata(&bench.path).unwrap().modified().unwrap();
            fs::write(&bench.path, text).unwrap();
            let step = Duration::from_secs(3);
            let modified = if back < 0 { modified - step } else { modified + step };
            fs::OpenOptions::new().write(true).open(&bench.path).unwrap().set_modified(modified).unwrap();
            assert_eq!(bench.lines(), [text.trim_end()]);
            let rotations = bench.tail.rotations();
            assert_eq!((rotations.count, rotations.last.to_string()), (1, expected.to_owned()), "{text}");
        }
    }
}

/// Counts what is said.
#[derive(Clone, Default)]
struct Said(Arc<std::sync::atomic::AtomicUsize>);

impl tracing::Subscriber for Said {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn where_a_renamed_file_is_found_is_said_once() {
    let said = Said::default();
    let count = || said.0.load(std::sync::atomic::Ordering::Relaxed);
    tracing::subscriber::with_default(said.clone(), || {
        let mut bench = Bench::new();
        bench.append("1\n");
        assert_eq!(bench.lines(), ["1"]);
        let other = bench.beside("x2.log");
        fs::rename(&bench.path, &other).unwrap();
        for round in 0..5 {
            // As the thread does with a file to which nobody writes.
            bench.wait(DELETED_HOLD);
            assert_eq!(bench.lines(), [""; 0]);
            assert!(bench.tail.park() && bench.tail.is_elsewhere());
            assert_eq!(bench.tail.look_again(bench.now), Some(DELETED_HOLD));
            assert_eq!(count(), usize::from(round > 0));
        }
        append(&other, b"2\n");
        assert_eq!(bench.lines(), ["2"]);
        fs::remove_file(&other).unwrap();
        assert!(!bench.tail.park(), "a deleted file cannot be found again");
        assert_eq!(count(), 1);
    });
}
