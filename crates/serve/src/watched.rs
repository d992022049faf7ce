//! What files say that are read again when they change.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fs_err as fs;
use tokio::sync::Mutex as Turn;

/// How often it is looked whether they have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes of one, at most.
const FILE_BYTES: u64 = 4 << 20;

/// Of each path the inode of its file, its size, and when that was changed or moved: one that is moved into the place of another
/// may be as old and as large.
type Stamps = Vec<Option<(u64, u64, i64, i64)>>;
type Read<T> = dyn Fn() -> Result<T, String> + Send + Sync;

/// What some files say.
pub(crate) struct Watched<T> {
    files: Arc<Files<T>>,
    /// Of those who would look whether they have changed: one does, the others wait for that.
    turn: Turn<()>,
}

struct Files<T> {
    paths: Vec<PathBuf>,
    read: Box<Read<T>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    said: Said<T>,
    stamps: Stamps,
    looked: Instant,
}

/// What the files said when they were read.
#[derive(Debug)]
pub(crate) struct Said<T> {
    /// What they said.
    pub(crate) value: Arc<T>,
    /// How often they had been read with success before.
    pub(crate) edition: u64,
}

impl<T> Clone for Said<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), edition: self.edition }
    }
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads them with `read`; `told` says its errors for people, where they come up later.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn open<E: 'static>(
        paths: Vec<PathBuf>,
        read: impl Fn() -> Result<T, E> + Send + Sync + 'static,
        told: fn(E) -> String,
    ) -> Result<Self, E> {
        let stamps = stamps(&paths);
        let said = Said { value: Arc::new(read()?), edition: 0 };
        let state = Mutex::new(State { said, stamps, looked: Instant::now() });
        let files = Files { paths, read: Box::new(move || read().map_err(told)), state };
        Ok(Self { files: Arc::new(files), turn: Turn::new(()) })
    }

    /// Reads the text of one file with `read`, whose errors are told with its path.
    ///
    /// # Errors
    /// Those of `read`, and those of [`text`].
    pub(crate) fn of_file<E: std::fmt::Display>(
        path: &Path,
        read: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let own = path.to_path_buf();
        let read = move || read(&text(&own)?).map_err(|error| format!("{}: {error}", own.display()));
        Self::open(vec![path.to_path_buf()], read, |error| error)
    }

    /// What they said when they were read last.
    pub(crate) fn last(&self) -> Said<T> {
        self.files.state().said.clone()
    }

    /// What they say now; as long as they cannot be read, what they said. Files are read by threads that may wait for a disk.
    pub(crate) async fn said(&self) -> Said<T> {
        if self.files.are_due() {
            let _turn = self.turn.lock().await;
            if self.files.are_due() {
                let files = Arc::clone(&self.files);
                // It fails only where the program ends.
                let _ = tokio::task::spawn_blocking(move || files.look()).await;
            }
        }
        self.last()
    }
}

impl<T> Files<T> {
    fn are_due(&self) -> bool {
        self.state().looked.elapsed() >= LOOK_EVERY
    }

    /// Reads them again if they have changed.
    fn look(&self) {
        let stamps = stamps(&self.paths);
        if self.is_known(&stamps) {
            return;
        }
        let read = (self.read)();
        let mut state = self.state();
        state.stamps = stamps;
        match read {
            Ok(value) => {
                state.said = Said { value: Arc::new(value), edition: state.said.edition + 1 };
                tracing::info!("{} has changed and was read again", self.paths[0].display());
            }
            Err(error) => tracing::error!("{error}; what was read before holds"),
        }
    }

    /// Whether these are the stamps of what was read.
    fn is_known(&self, stamps: &Stamps) -> bool {
        let mut state = self.state();
        state.looked = Instant::now();
        state.stamps == *stamps
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> std::fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("paths", &self.files.paths).finish_non_exhaustive()
    }
}

fn stamps(paths: &[PathBuf]) -> Stamps {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
    };
    paths.iter().map(stamp).collect()
}

/// The text of a file.
///
/// # Errors
/// A file that cannot be read, is no text, or larger than 4 MiB; for people, with its path.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| match error.kind() {
        io::ErrorKind::InvalidData => format!(
            "{}: is no text; of binary certificates and keys (DER), \
            `openssl x509 -inform DER` and `openssl pkey -inform DER` make PEM",
            path.display()
        ),
        _ => error.to_string(),
    };
    let mut file = fs::File::open(path).map_err(told)?;
    if file.metadata().map_err(told)?.len() > FILE_BYTES {
        return Err(format!("{}: is larger than 4 MiB", path.display()));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(told)?;
    Ok(text)
}
