//! A disk that has only what was synced for certain, and may have anything of the rest.
//!
//! * A file has the content of its last sync. Of each later write, any sectors may be there.
//! * A directory has the names of its last sync. Of the later creations, renames and removals in it, any number from the
//!   beginning may be there, as in a file system with a journal. Directories are independent of each other.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::recording::{Change, FileId};

/// A kind of power loss: which of the changes that are not durable it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Everything is there, as after a kill.
    Nothing,
    /// Nothing is there.
    Everything,
    /// Everything is there but the end of the last write, which is cut at a multiple of this many bytes.
    Torn(usize),
    /// Any sectors of this size and any names are there.
    Some(usize),
    /// Of each file and each directory, everything is there or nothing.
    Whole,
}

/// All kinds of losses. 512 bytes and 4 KiB are the sectors of real disks.
pub(crate) const LOSSES: [Loss; 7] = [
    Loss::Nothing,
    Loss::Everything,
    Loss::Torn(512),
    Loss::Torn(4096),
    Loss::Some(512),
    Loss::Some(4096),
    Loss::Whole,
];

impl Loss {
    /// Returns what one file or directory loses.
    fn of_one(self, random: &mut fastrand::Rng) -> Self {
        match self {
            Self::Whole if random.bool() => Self::Nothing,
            Self::Whole => Self::Everything,
            loss => loss,
        }
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Default, Debug)]
struct FileState {
    durable: Vec<u8>,
    pending: Vec<Edit>,
    /// Number of edits that were dropped from the front of `pending` because they are durable.
    dropped: usize,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    File(FileId),
    Directory,
}

#[derive(Clone, Debug)]
enum NameEdit {
    Add(PathBuf, Entry),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Default, Debug)]
struct Names {
    pending: Vec<NameEdit>,
    dropped: usize,
}

/// A sync that has begun, and will make the edits of a file or of a directory durable, up to a number.
#[derive(Debug)]
enum Syncing {
    File(FileId, usize),
    Names(PathBuf, usize),
}

#[derive(Default, Debug)]
pub(crate) struct Disk {
    files: HashMap<FileId, FileState>,
    durable: BTreeMap<PathBuf, Entry>,
    directories: BTreeMap<PathBuf, Names>,
    syncing: HashMap<i64, Syncing>,
    /// The file of the last write.
    last: Option<FileId>,
    /// Files that are outside of the computer that loses its power.
    outside: Vec<PathBuf>,
}

/// The content of a disk after a power loss. The default is an empty disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    /// `None` is a directory.
    entries: BTreeMap<PathBuf, Option<Vec<u8>>>,
}

impl Disk {
    /// Returns a disk with the content of an image, all of which is durable. Its files have the numbers 0, 1, 2, ... in
    /// the order of [`Image::files`]. The files with the names `outside` lose nothing.
    pub(crate) fn new(image: &Image, outside: &[&str]) -> Self {
        let mut disk = Self {
            outside: outside.iter().map(PathBuf::from).collect(),
            ..Self::default()
        };
        for (path, content) in &image.entries {
            let entry = match content {
                None => Entry::Directory,
                Some(content) => {
                    let file = disk.files.len();
                    disk.file(file).durable.clone_from(content);
                    Entry::File(file)
                }
            };
            disk.durable.insert(path.clone(), entry);
        }
        disk
    }

    /// Applies a change. Returns `true` if a power loss may leave something else afterwards.
    pub(crate) fn apply(&mut self, change: &Change) -> bool {
        match change {
            Change::Create { path, file } | Change::Link { path, file } => {
                self.name(path, NameEdit::Add(path.clone(), Entry::File(*file)))
            }
            Change::MakeDirectory { path } => self.name(path, NameEdit::Add(path.clone(), Entry::Directory)),
            Change::Rename { from, to } => self.name(from, NameEdit::Rename(from.clone(), to.clone())),
            Change::Remove { path } => self.name(path, NameEdit::Remove(path.clone())),
            Change::Write { file, at, bytes } => {
                let bytes = bytes.clone();
                self.file(*file).pending.push(Edit::Write { at: *at, bytes });
                self.last = Some(*file);
            }
            Change::Resize { file, length } => self.file(*file).pending.push(Edit::Resize(*length)),
            Change::Sync { number, file } => {
                let state = self.file(*file);
                let until = state.dropped + state.pending.len();
                self.syncing.insert(*number, Syncing::File(*file, until));
                return false;
            }
            Change::SyncNames { number, directory } => {
                let names = self.directories.entry(directory.clone()).or_default();
                let until = names.dropped + names.pending.len();
                let syncing = Syncing::Names(directory.clone(), until);
                self.syncing.insert(*number, syncing);
                return false;
            }
            Change::Synced { number } => self.synced(*number),
        }
        true
    }

    fn file(&mut self, file: FileId) -> &mut FileState {
        self.files.entry(file).or_default()
    }

    fn name(&mut self, path: &Path, edit: NameEdit) {
        if self.outside.iter().any(|outside| outside == path) {
            rename(&mut self.durable, &edit);
            return;
        }
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        self.directories.entry(directory).or_default().pending.push(edit);
    }

    fn synced(&mut self, number: i64) {
        match self.syncing.remove(&number) {
            Some(Syncing::File(file, until)) => {
                let state = self.file(file);
                let count = until.saturating_sub(state.dropped);
                for edit in state.pending.drain(..count) {
                    edit.apply(&mut state.durable);
                }
                state.dropped += count;
            }
            Some(Syncing::Names(directory, until)) => {
                let names = self.directories.entry(directory).or_default();
                let count = until.saturating_sub(names.dropped);
                for edit in names.pending.drain(..count) {
                    rename(&mut self.durable, &edit);
                }
                names.dropped += count;
            }
            None => {}
        }
    }

    /// Returns what a power loss leaves now.
    pub(crate) fn lose(&self, loss: Loss, random: &mut fastrand::Rng) -> Image {
        let mut names = self.durable.clone();
        for directory in self.directories.values() {
            let kept = match loss.of_one(random) {
                Loss::Nothing | Loss::Torn(_) | Loss::Whole => directory.pending.len(),
                Loss::Everything => 0,
                Loss::Some(_) => random.usize(..=directory.pending.len()),
            };
            for edit in &directory.pending[..kept] {
                rename(&mut names, edit);
            }
        }
        let mut entries = BTreeMap::new();
        for (path, entry) in &names {
            // What is in a directory that is lost is lost.
            let parents = path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
            if parents.into_iter().any(|parent| !names.contains_key(parent)) {
                continue;
            }
            let content = match entry {
                Entry::Directory => None,
                Entry::File(file) => {
                    let loss = if self.outside.contains(path) {
                        Loss::Nothing
                    } else {
                        loss
                    };
                    Some(self.content(*file, loss, random))
                }
            };
            entries.insert(path.clone(), content);
        }
        Image { entries }
    }

    fn content(&self, file: FileId, loss: Loss, random: &mut fastrand::Rng) -> Vec<u8> {
        let loss = loss.of_one(random);
        let Some(state) = self.files.get(&file) else {
            return Vec::new();
        };
        let mut content = state.durable.clone();
        let last = state.pending.len().saturating_sub(1);
        for (index, edit) in state.pending.iter().enumerate() {
            match (loss, edit) {
                (Loss::Everything, _) => {}
                (Loss::Torn(sector), Edit::Write { at, bytes }) if index == last && self.last == Some(file) => {
                    let end = at + bytes.len();
                    let cut = random.usize(at / sector..=end / sector) * sector;
                    edit.part(*at..cut.max(*at)).apply(&mut content);
                }
                (Loss::Some(sector), Edit::Write { at, bytes }) => {
                    let mut from = *at;
                    while from < at + bytes.len() {
                        let to = ((from / sector + 1) * sector).min(at + bytes.len());
                        if random.bool() {
                            edit.part(from..to).apply(&mut content);
                        }
                        from = to;
                    }
                }
                (Loss::Some(_), Edit::Resize(_)) if random.bool() => {}
                _ => edit.apply(&mut content),
            }
        }
        content
    }
}

impl Edit {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(bytes);
            }
            Self::Resize(length) => content.resize(*length, 0),
        }
    }

    /// Returns the part of a write that is in a range of the file.
    fn part(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::Write { at, bytes } => Self::Write {
                at: range.start,
                bytes: bytes[range.start - at..range.end - at].to_owned(),
            },
            Self::Resize(length) => Self::Resize(*length),
        }
    }
}

fn rename(names: &mut BTreeMap<PathBuf, Entry>, edit: &NameEdit) {
    match edit {
        NameEdit::Add(path, entry) => drop(names.insert(path.clone(), *entry)),
        NameEdit::Remove(path) => drop(names.remove(path)),
        NameEdit::Rename(from, to) => {
            if let Some(entry) = names.remove(from) {
                names.insert(to.clone(), entry);
            }
        }
    }
}

impl Image {
    /// Returns the names of all files, in order.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = self.entries.iter().filter(|(_, content)| content.is_some());
        files.map(|(path, _)| path.clone()).collect()
    }

    /// Returns a number that differs between two different images.
    pub(crate) fn hash(&self) -> u128 {
        let mut hasher = Xxh3::new();
        for (path, content) in &self.entries {
            hasher.update(path.as_os_str().as_encoded_bytes());
            if let Some(content) = content {
                hasher.update(&content.len().to_le_bytes());
                hasher.update(content);
            }
        }
        hasher.digest128()
    }

    /// Writes the image into an empty directory.
    pub(crate) fn write(&self, root: &Path) -> std::io::Result<()> {
        for (path, content) in &self.entries {
            match content {
                None => std::fs::create_dir(root.join(path))?,
                Some(content) => std::fs::write(root.join(path), content)?,
            }
        }
        Ok(())
    }

    /// Returns the first file whose content in a directory is not that of the image. `ignores` are names of files that
    /// do not count.
    pub(crate) fn difference(&self, root: &Path, ignores: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        let differs = |(path, content): &(&PathBuf, &Option<Vec<u8>>)| match content {
            None => !root.join(path).is_dir(),
            Some(content) => std::fs::read(root.join(path)).ok().as_ref() != Some(content),
        };
        let entries = self.entries.iter().filter(|(path, _)| !ignores(path));
        entries.into_iter().find(differs).map(|(path, _)| path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: FileId, at: usize, bytes: &[u8]) -> Change {
        Change::Write {
            file,
            at,
            bytes: bytes.to_owned(),
        }
    }

    fn create(path: &str, file: FileId) -> Change {
        let path = PathBuf::from(path);
        Change::Create { path, file }
    }

    fn disk(changes: &[Change]) -> Disk {
        let mut disk = Disk::new(&Image::default(), &["ledger"]);
        for change in changes {
            disk.apply(change);
        }
        disk
    }

    /// Returns the content of a file after a loss, or `None` if the file is lost.
    fn content(disk: &Disk, loss: Loss, path: &str) -> Option<Vec<u8>> {
        let image = disk.lose(loss, &mut fastrand::Rng::with_seed(1));
        image.entries.get(Path::new(path)).cloned().flatten()
    }

    fn synced(file: FileId, number: i64) -> [Change; 2] {
        [Change::Sync { number, file }, Change::Synced { number }]
    }

    fn synced_names(directory: &str, number: i64) -> [Change; 2] {
        let directory = PathBuf::from(directory);
        [Change::SyncNames { number, directory }, Change::Synced { number }]
    }

    #[test]
    fn what_was_not_synced_may_be_lost() {
        let mut changes = vec![create("a", 0), write(0, 0, b"old")];
        changes.extend(synced(0, 1));
        changes.extend(synced_names("", 2));
        changes.push(write(0, 1, b"new"));
        let disk = disk(&changes);
        assert_eq!(content(&disk, Loss::Everything, "a").unwrap(), b"old");
        assert_eq!(content(&disk, Loss::Nothing, "a").unwrap(), b"onew");
    }

    #[test]
    fn a_write_during_a_sync_may_be_lost() {
        let mut changes = vec![create("a", 0)];
        changes.extend(synced_names("", 1));
        changes.extend([
            write(0, 0, b"old"),
            Change::Sync { number: 2, file: 0 },
            write(0, 0, b"new"),
            Change::Synced { number: 2 },
        ]);
        assert_eq!(content(&disk(&changes), Loss::Everything, "a").unwrap(), b"old");
    }

    #[test]
    fn a_name_needs_a_sync_of_its_directory() {
        let mut changes = vec![Change::MakeDirectory { path: "d".into() }];
        changes.extend(synced_names("", 1));
        changes.extend([create("d/a", 0), write(0, 0, b"x")]);
        changes.extend(synced(0, 2));
        assert_eq!(content(&disk(&changes), Loss::Everything, "d/a"), None);
        changes.extend(synced_names("d", 3));
        assert_eq!(content(&disk(&changes), Loss::Everything, "d/a").unwrap(), b"x");
        let (from, to) = ("d/a".into(), "d/b".into());
        changes.push(Change::Rename { from, to });
        assert_eq!(content(&disk(&changes), Loss::Everything, "d/b"), None);
        assert_eq!(content(&disk(&changes), Loss::Nothing, "d/b").unwrap(), b"x");
    }

    #[test]
    fn a_torn_write_has_whole_sectors() {
        let old = vec![1; 4096];
        let mut changes = vec![create("a", 0), write(0, 0, &old)];
        changes.extend(synced(0, 1));
        changes.extend(synced_names("", 2));
        changes.push(write(0, 100, &[2; 3000]));
        let disk = disk(&changes);
        let mut random = fastrand::Rng::with_seed(7);
        let mut ends = std::collections::BTreeSet::new();
        for loss in [Loss::Torn(512), Loss::Some(512)].repeat(100) {
            let image = disk.lose(loss, &mut random);
            let content = image.entries[Path::new("a")].clone().unwrap();
            for sector in content[512..3072].chunks(512) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "{loss:?}");
            }
            ends.insert(content.iter().filter(|byte| **byte == 2).count());
        }
        assert!(ends.len() > 6, "{ends:?}");
    }

    #[test]
    fn a_file_outside_of_the_computer_loses_nothing() {
        let disk = disk(&[create("ledger", 0), write(0, 0, b"x")]);
        for loss in LOSSES {
            assert_eq!(content(&disk, loss, "ledger").unwrap(), b"x");
        }
    }
}
