//! A disk in memory that loses data as in a crash, and the random numbers that decide about the loss.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, ErrorKind, Result};
use crate::log::disk::Disk;

/// Size of the unit that a disk writes atomically, in bytes.
const SECTOR: usize = 512;

/// A generator of random numbers from a seed.
#[derive(Debug)]
pub(crate) struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Returns another generator, derived from this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.below(u64::MAX))
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        xxh3_64_with_seed(&self.drawn.to_le_bytes(), self.seed) % bound
    }

    pub(crate) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// A file: its durable content, the content that a process reads, and the later writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    durable: Vec<u8>,
    cached: Vec<u8>,
    writes: Vec<(usize, Vec<u8>)>,
    /// Number of writes whose sync failed. The kernel then considers them written, so a later sync omits them.
    forgotten: usize,
}

impl Content {
    fn of(durable: Vec<u8>) -> Self {
        Self {
            cached: durable.clone(),
            durable,
            ..Self::default()
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, write: &[u8]) {
    bytes.resize(bytes.len().max(at + write.len()), 0);
    bytes[at..at + write.len()].copy_from_slice(write);
}

pub(crate) type Shared = Arc<Mutex<Content>>;
type Names = BTreeMap<u64, Shared>;

#[derive(Clone, Debug)]
enum Change {
    Make(u64, Shared),
    Rename(u64, u64),
    Remove(u64),
}

fn change(names: &mut Names, change: &Change) {
    match change {
        Change::Make(number, content) => drop(names.insert(*number, Arc::clone(content))),
        Change::Rename(from, to) => {
            let content = names.remove(from).unwrap();
            names.insert(*to, content);
        }
        Change::Remove(number) => drop(names.remove(number)),
    }
}

/// A directory in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    names: Names,
    durable: Names,
    /// The changes to the names since the last sync, in order. A file system keeps a prefix of them.
    changes: Vec<Change>,
    /// Number of operations until the power is lost. `None` means never.
    fuse: Option<u64>,
    /// Number of renames.
    renames: u64,
    meanwhile: Option<Weak<dyn Meanwhile>>,
}

/// Simulates the work of another thread while a thread waits for the disk.
pub(crate) trait Meanwhile: Send + Sync {
    fn go_on(&self);
}

impl Memory {
    /// Performs an operation that changes the disk, unless the power is lost.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> Result<R> {
        self.go_on_meanwhile();
        let mut state = self.0.lock().unwrap();
        match &mut state.fuse {
            Some(0) => return Err(Error::new(ErrorKind::Io, "the power is lost")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(act(&mut state))
    }

    fn go_on_meanwhile(&self) {
        let meanwhile = self.0.lock().unwrap().meanwhile.clone();
        if let Some(meanwhile) = meanwhile.and_then(|meanwhile| meanwhile.upgrade()) {
            meanwhile.go_on();
        }
    }

    pub(crate) fn set_meanwhile(&self, meanwhile: Option<Weak<dyn Meanwhile>>) {
        self.0.lock().unwrap().meanwhile = meanwhile;
    }

    fn rename_now(state: &mut State, made: Change) {
        change(&mut state.names, &made);
        state.changes.push(made);
    }

    /// Returns the number of renames since the last crash.
    pub(crate) fn renames(&self) -> u64 {
        self.0.lock().unwrap().renames
    }

    /// Returns `true` if a rename is not durable yet.
    pub(crate) fn is_renaming(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.changes.iter().any(|made| matches!(made, Change::Rename(..)))
    }

    /// Returns `true` if a write is not durable yet.
    pub(crate) fn is_unsynced(&self) -> bool {
        let state = self.0.lock().unwrap();
        state
            .names
            .values()
            .any(|content| !content.lock().unwrap().writes.is_empty())
    }

    pub(crate) fn set_fuse(&self, fuse: Option<u64>) {
        self.0.lock().unwrap().fuse = fuse;
    }

    /// Returns the disk after a power loss that lost all unsynced changes.
    pub(crate) fn durable(&self) -> Self {
        let state = self.0.lock().unwrap();
        let names = state.durable.iter().map(|(number, content)| {
            let durable = content.lock().unwrap().durable.clone();
            (*number, Arc::new(Mutex::new(Content::of(durable))))
        });
        let names: Names = names.collect();
        Self(Arc::new(Mutex::new(State {
            durable: names.clone(),
            names,
            ..State::default()
        })))
    }

    /// Returns the disk after a power loss. Of the unsynced changes, arbitrary sectors survive, and a prefix of the
    /// changes to names.
    pub(crate) fn crash(&self, chance: &mut Chance) -> Self {
        let state = self.0.lock().unwrap();
        let mut names = state.durable.clone();
        let kept = chance.below(state.changes.len() as u64 + 1) as usize;
        state.changes[..kept].iter().for_each(|made| change(&mut names, made));
        let survive = |content: &Shared, chance: &mut Chance| {
            let content = content.lock().unwrap();
            let mut bytes = content.durable.clone();
            let mode = chance.below(3);
            for (at, write) in &content.writes {
                for (index, sector) in write.chunks(SECTOR).enumerate() {
                    let is_kept = match mode {
                        0 => false,
                        1 => true,
                        _ => chance.one_in(2),
                    };
                    if is_kept {
                        put(&mut bytes, at + index * SECTOR, sector);
                    }
                }
            }
            Arc::new(Mutex::new(Content::of(bytes)))
        };
        let names: Names = names
            .iter()
            .map(|(number, content)| (*number, survive(content, chance)))
            .collect();
        Self(Arc::new(Mutex::new(State {
            durable: names.clone(),
            names,
            ..State::default()
        })))
    }
}

impl Disk for Memory {
    type File = Shared;

    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    fn list(&self) -> Result<Vec<u64>> {
        Ok(self.0.lock().unwrap().names.keys().copied().collect())
    }

    fn read(&self, number: u64, bytes: &mut Vec<u8>) -> Result<()> {
        bytes.clone_from(&self.0.lock().unwrap().names[&number].lock().unwrap().cached);
        Ok(())
    }

    fn open(&self, number: u64) -> Result<Shared> {
        self.with(|state| {
            if let Some(content) = state.names.get(&number) {
                return Arc::clone(content);
            }
            let content = Shared::default();
            Self::rename_now(state, Change::Make(number, Arc::clone(&content)));
            content
        })
    }

    fn length(&self, _number: u64, file: &Shared) -> Result<usize> {
        Ok(file.lock().unwrap().cached.len())
    }

    fn write(&self, _number: u64, file: &Shared, bytes: &[u8], at: usize) -> Result<()> {
        // A write that is interrupted by a power loss may have been performed partially.
        {
            let content = &mut *file.lock().unwrap();
            put(&mut content.cached, at, bytes);
            content.writes.push((at, bytes.to_vec()));
        }
        self.with(|_| ())
    }

    fn sync(&self, _number: u64, file: &Shared) -> Result<()> {
        let synced = self.with(|_| ());
        let content = &mut *file.lock().unwrap();
        if synced.is_ok() {
            let writes = content.writes.drain(..).skip(content.forgotten);
            writes.for_each(|(at, write)| put(&mut content.durable, at, &write));
            content.forgotten = 0;
        } else {
            content.forgotten = content.writes.len();
        }
        synced
    }

    fn rename(&self, from: u64, to: u64) -> Result<()> {
        self.with(|state| {
            state.renames += 1;
            Self::rename_now(state, Change::Rename(from, to));
        })
    }

    fn remove(&self, number: u64) -> Result<()> {
        self.with(|state| Self::rename_now(state, Change::Remove(number)))
    }

    fn sync_names(&self) -> Result<()> {
        self.with(|state| {
            state.durable = state.names.clone();
            state.changes.clear();
        })
    }

    fn path(&self, number: u64) -> PathBuf {
        PathBuf::from(format!("{number}.log"))
    }
}

/// Runs `live` with `seeds` seeds, or with a multiple given by `ABIDE_SEEDS`, and names the seed that fails.
pub(crate) fn each_seed(seeds: u64, live: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let wanted = std::env::var("ABIDE_SEEDS").ok().and_then(|wanted| wanted.parse().ok());
    for seed in 0..wanted.map_or(seeds, |wanted: u64| wanted.max(20) * seeds / 200) {
        let lived = std::panic::catch_unwind(|| live(seed));
        assert!(lived.is_ok(), "seed {seed} fails");
    }
}
