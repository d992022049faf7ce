//! Which files are followed: found, taken up, left out, forgotten.

use tracing::debug;

use super::*;

/// New files that are named in the log between two walks; the others are counted.
const NAMED: usize = 100;

/// What is known of the log that rotation may have taken a path from.
enum Origin {
    /// No such log is followed.
    None,
    /// It was found together with this file, which is therefore a part of its past that nobody has read.
    Older,
    /// It may be reading this file right now.
    Busy,
    /// It was followed before: this file was read as a part of it.
    Read(String),
}

impl Worker {
    /// A new name in a watched directory: the usual case, without a walk.
    pub(super) fn appeared(&mut self, path: &Path) {
        let name = source_name(path);
        if self.refused.contains(&name) || self.truncated {
            return;
        }
        let mut found = Found::default();
        found.consider(path, 1);
        let identity = fs::metadata(path).map(|metadata| Identity::of(&metadata));
        let owner = identity.ok().and_then(|identity| Some((identity, self.owner(&identity)?)));
        let known = owner.map(|(identity, id)| (identity.ino, vec![(identity, id)])).into_iter().collect();
        self.take_up(found, &known);
    }

    fn owner(&self, identity: &Identity) -> Option<u64> {
        let owns = |followed: &Followed| followed.tail.identities().any(|other| other.may_be(identity));
        self.tails.iter().find(|(_, followed)| owns(followed)).map(|(&id, _)| id)
    }

    /// Walks all patterns.
    pub(super) fn discover(&mut self) {
        self.discover_at = self.started.elapsed() + DISCOVERY_INTERVAL;
        self.walks += 1;
        self.forget_gone();
        let mut found = Found::walk(&self.patterns, self.config.max_files);
        if found.truncated && !self.truncated {
            warn!(
                "more than {} files match: the rest is not followed; raise max_files",
                self.config.max_files
            );
        }
        self.truncated = found.truncated;
        self.absent_roots = std::mem::take(&mut found.absent_roots);
        for dir in std::mem::take(&mut found.dirs) {
            self.watch_dir(&dir);
        }
        // A file that was rotated away while nobody looked still has a rest to read.
        let absent = self.checkpoints.keys().map(PathBuf::from);
        found.missing.extend(
            absent.filter(|path| path.is_absolute() && self.patterns.matches(path) && !path.exists()),
        );
        self.refused_anew(&found);
        // Files go by the sources that checkpoints say have read them, wherever they stand now.
        let (again, found) = found.split(|path| self.checkpoints.contains_key(&source_name(path)));
        if !again.files.is_empty() || !again.missing.is_empty() {
            self.take_up(again, &HashMap::new());
            self.settle_claims();
        }
        let known = self.identities();
        self.take_up(found, &known);
        self.start_at = StartAt::Beginning;
        let (_, unnamed) = std::mem::take(&mut self.found);
        if unnamed > 0 {
            info!("following {unnamed} more files");
        }
        // Directories that are watched anew may have changed before.
        self.scan_at = Duration::ZERO;
    }

    fn refused_anew(&mut self, found: &Found) {
        let mut board = self.shared.board();
        for name in std::mem::take(&mut self.refused) {
            board.remove(&name);
        }
        drop(board);
        for path in std::mem::take(&mut self.renamed) {
            self.by_path.remove(&path);
        }
        for (path, reason) in &found.refused {
            self.refuse(path, SourceState::Refused(reason.clone()));
        }
        for (path, error) in &found.unreadable {
            self.refuse(path, SourceState::Failed(error.clone()));
        }
    }

    fn refuse(&mut self, path: &Path, state: SourceState) {
        // A path that is followed tells of itself.
        if self.by_path.contains_key(path) && !self.refused.contains(&source_name(path)) {
            return;
        }
        let source = source_name(path);
        self.refused.insert(source.clone());
        self.post(SourceStatus {
            path: Some(path.to_owned()),
            ..SourceStatus::new(source, SourceKind::File, state)
        });
    }

    /// By inode, which source has read or is going to read which file.
    fn identities(&self) -> HashMap<u64, Vec<(Identity, u64)>> {
        let mut out: HashMap<u64, Vec<(Identity, u64)>> = HashMap::new();
        for (&id, followed) in &self.tails {
            for identity in followed.tail.identities() {
                out.entry(identity.ino).or_default().push((identity, id));
            }
        }
        out
    }

    fn take_up(&mut self, found: Found, known: &HashMap<u64, Vec<(Identity, u64)>>) {
        for (path, reason) in &found.refused {
            self.refuse(path, SourceState::Refused(reason.clone()));
        }
        let new = |path: &&PathBuf| !self.by_path.contains_key(*path);
        let (files, missing): (Vec<_>, Vec<_>) = (
            found.files.iter().filter(new).cloned().collect(),
            found.missing.iter().filter(new).cloned().collect(),
        );
        for path in files {
            let identity = fs::metadata(&path).map(|metadata| Identity::of(&metadata)).ok();
            let owner = identity.and_then(|identity| {
                let same = known.get(&identity.ino)?.iter().find(|(other, _)| other.may_be(&identity))?;
                Some((same.1, source_name(self.tails.get(&same.1)?.tail.path())))
            });
            match owner {
                Some((id, _)) if self.handed_over(id, &path) => {}
                Some((id, owner)) => {
                    let reason = format!("is read as {owner}: it stood there before it was renamed");
                    self.refuse(&path, SourceState::Refused(reason));
                    self.renamed.insert(path.clone());
                    self.by_path.insert(path, id);
                }
                None => match self.origin(&path) {
                    Origin::None => self.follow(path, false, false),
                    Origin::Older => self.follow(path, false, true),
                    Origin::Busy => self.discover_at = self.started.elapsed() + TREE_DELAY,
                    Origin::Read(origin) => {
                        let reason = format!(
                            "looks like {origin} rotated, which is followed; `taffrail import` reads it if it is not"
                        );
                        self.refuse(&path, SourceState::Refused(reason));
                    }
                },
            }
        }
        for path in missing {
            let archive = matches!(self.origin(&path), Origin::Older);
            self.follow(path, true, archive);
        }
    }

    /// Follows a file by itself that another source has left: it is renamed, to a name that is no rotation's.
    fn handed_over(&mut self, id: u64, path: &Path) -> bool {
        let source = source_name(path);
        if self.tails.len() >= self.config.max_files {
            return false;
        }
        let (Ok(metadata), Some(followed)) = (fs::metadata(path), self.tails.get_mut(&id)) else {
            return false;
        };
        let mark = followed.tail.hand_over(&Identity::of(&metadata), path);
        let checkpoint = mark.map(|mark| mark.of_its_own(self.checkpoints.get(&source)));
        let Some(checkpoint) = checkpoint else { return false };
        self.checkpoints.insert(source, checkpoint);
        self.follow(path.to_owned(), false, false);
        self.mark(id);
        if let Some(&new) = self.by_path.get(path) {
            self.read_first(new);
        }
        true
    }

    /// Looks again at the names of files that a source has left.
    pub(super) fn left(&mut self, id: u64) {
        let is_its = |path: &&PathBuf| self.by_path.get(*path) == Some(&id);
        let names: Vec<PathBuf> = self.renamed.iter().filter(is_its).cloned().collect();
        for path in names {
            self.renamed.remove(&path);
            self.refused.remove(&source_name(&path));
            self.by_path.remove(&path);
            if fs::metadata(&path).is_ok() {
                self.appeared(&path);
            }
        }
    }

    /// Finds out who reads the files that were moved to where others are followed. Who has left one hands it over.
    pub(super) fn meet_strangers(&mut self) {
        let strange = std::mem::take(&mut self.strange);
        if strange.is_empty() {
            return;
        }
        let (known, now) = (self.identities(), self.now());
        for id in strange {
            let Some(followed) = self.tails.get(&id) else { continue };
            let (Some(identity), path) = (followed.tail.stranger(), followed.tail.path().to_owned()) else {
                continue;
            };
            let same = |(other, owner): &&(Identity, u64)| *owner != id && other.may_be(&identity);
            let owner =
                known.get(&identity.ino).and_then(|owners| owners.iter().find(same)).map(|(_, id)| *id);
            let mark = owner.map(|owner| self.tails.get_mut(&owner)?.tail.hand_over(&identity, &path));
            // While another reads it, it is looked at again with every scan.
            if mark.as_ref().is_none_or(Option::is_some)
                && let Some(followed) = self.tails.get_mut(&id)
            {
                followed.tail.answered(identity, mark.flatten(), now);
                self.read_first(id);
                owner.into_iter().for_each(|owner| self.mark(owner));
            }
        }
    }

    /// It is stored where a source stands before another says that it has left the file: a crash in between doubles
    /// nothing.
    fn read_first(&mut self, id: u64) {
        let Some(followed) = self.tails.get_mut(&id) else { return };
        followed.tail.save();
        followed.dirty = true;
        self.dirty.retain(|other| *other != id);
        self.dirty.push_front(id);
    }

    /// A file that became a source of its own is not looked at by the one that has left it.
    fn settle_claims(&mut self) {
        let mut read: HashMap<u64, Vec<(Identity, u64)>> = HashMap::new();
        for (&id, followed) in &self.tails {
            if let Some(identity) = followed.tail.identity() {
                read.entry(identity.ino).or_default().push((identity, id));
            }
        }
        for (&id, followed) in self.tails.iter_mut().filter(|(_, followed)| followed.tail.has_late()) {
            followed.tail.yield_late(|identity| {
                let same = |(other, owner): &(Identity, u64)| *owner != id && other.may_be(identity);
                read.get(&identity.ino).is_some_and(|others| others.iter().any(same))
            });
        }
    }

    /// What is known of the log that rotation may have taken `path` from.
    fn origin(&self, path: &Path) -> Origin {
        let is_known = |origin: &PathBuf| {
            self.by_path.contains_key(origin) || self.checkpoints.contains_key(&source_name(origin))
        };
        let Some(origin) = rotated::origins(path).into_iter().find(is_known) else { return Origin::None };
        let followed = self.by_path.get(&origin).and_then(|id| self.tails.get(id));
        let found_together = followed.is_some_and(|followed| followed.found_in == Some(self.walks));
        if found_together || self.checkpoints.contains_key(&source_name(path)) {
            return Origin::Older;
        }
        match followed {
            Some(followed) if followed.dirty => Origin::Busy,
            _ => Origin::Read(source_name(&origin)),
        }
    }

    fn follow(&mut self, path: PathBuf, missing: bool, archive: bool) {
        if self.tails.len() >= self.config.max_files || self.by_path.contains_key(&path) {
            return;
        }
        let name = source_name(&path);
        let checkpoint = self.checkpoints.remove(&name);
        self.refused.remove(&name);
        let tail = Tail::new(path.clone(), checkpoint.as_ref(), self.start_at, self.config.limits.clone());
        let tail = if archive { tail.archive() } else { tail.among_others() };
        self.found.0 += usize::from(!missing);
        match self.found.0 {
            _ if missing => {}
            count if count <= NAMED => info!("following {}", tail.source()),
            _ => {
                self.found.1 += 1;
                debug!("following {}", tail.source());
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        if let Some(dir) = path.parent() {
            self.watch_dir(dir);
        }
        // Writes through a symlink are told where its target lies.
        if let Ok(real) = fs::canonicalize(&path)
            && real != path
            && let Some(dir) = real.parent()
        {
            self.watch_dir(dir);
            self.by_path.entry(real).or_insert(id);
        }
        let named = self.patterns.each.iter().any(|pattern| pattern.depth == 0 && pattern.root == path);
        self.by_path.insert(path, id);
        let active = self.started.elapsed();
        let found_in = checkpoint.is_none().then_some(self.walks);
        let followed = Followed {
            tail,
            dirty: false,
            glance: None,
            active,
            timer: None,
            error: None,
            is_told: false,
            named,
            found_in,
        };
        self.tails.insert(id, Box::new(followed));
        self.mark(id);
    }

    /// Makes room for new files: what is gone for good is only remembered by its checkpoint.
    fn forget_gone(&mut self) {
        let gone = |followed: &Followed| {
            let status = followed.tail.status();
            status.state == SourceState::Missing
                && !followed.tail.is_open()
                && !followed.tail.is_elsewhere()
                && !followed.named
                && !followed.dirty
        };
        let now = self.started.elapsed();
        let ids: BTreeSet<u64> = self
            .tails
            .iter()
            .filter(|(_, followed)| now.saturating_sub(followed.active) > IDLE && gone(followed))
            .map(|(id, _)| *id)
            .collect();
        self.by_path.retain(|_, owner| !ids.contains(owner));
        for id in ids {
            let Some(followed) = self.tails.remove(&id) else { continue };
            if let Some(timer) = followed.timer {
                self.timers.remove(&(timer, id));
            }
            let name = followed.tail.source().to_string();
            self.shared.board().remove(&name);
            self.checkpoints.insert(name, followed.tail.checkpoint());
        }
    }
}
