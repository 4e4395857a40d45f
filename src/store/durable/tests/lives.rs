//! Many lives of log, fronts and base together. Power and process end at any moment: between write and sync, while the base takes
//! a front, while a segment is recycled, and while the store is opened.

use std::collections::BTreeMap;

use super::*;
use crate::log::tests::HUB;
use crate::log::tests::memory::{Chance, Memory, each_seed};
use crate::log::{FileLog, read_on};
use crate::store::Changes;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// The row that names the newest commit.
const COMMIT: [u8; 1] = [0];

/// A base that loses what it did not make durable, on a disk that loses its power.
#[derive(Debug)]
struct Volatile {
    disk: Memory,
    newest: Model,
    durable: Mutex<Rows>,
}

impl Volatile {
    fn with(disk: Memory, rows: Rows) -> Self {
        let newest = Model::new();
        let mut batch = Batch::default();
        rows.iter().for_each(|(key, value)| batch.put(key, value));
        Store::write(&newest, &batch).unwrap();
        Self {
            disk,
            newest,
            durable: Mutex::new(rows),
        }
    }

    /// What is there in the next life: what was made durable, or more, because the power may go at the last moment.
    fn survives(&self, chance: &mut Chance) -> Rows {
        if chance.one_in(4) {
            self.newest.rows()
        } else {
            self.durable.lock().unwrap().clone()
        }
    }
}

impl Base for Volatile {
    fn take(&self, front: &Front) -> Result<()> {
        let kept = commit_of(&self.durable.lock().unwrap());
        let durable = read_on(&self.disk.durable(), HUB, kept as u64, &mut |_, _| Ok(())).unwrap();
        assert!(durable.newest >= front.commit(), "the base is ahead of the log");
        self.disk.with(|_| ())?;
        Base::take(&self.newest, front)?;
        self.disk.with(|_| *self.durable.lock().unwrap() = self.newest.rows())
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Store::snapshot(&self.newest)
    }
}

impl Reader for Volatile {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.newest.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.newest.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.newest.visit(range, visitor)
    }
}

/// A store through all its lives, and what it owes.
struct Lives {
    chance: Chance,
    disk: Memory,
    base: Rows,
    /// The rows after each commit; the first are those before the first commit.
    truth: Vec<Rows>,
    acknowledged: usize,
}

impl Lives {
    fn begin(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            disk: Memory::default(),
            base: Rows::new(),
            truth: vec![Rows::new()],
            acknowledged: 0,
        }
    }

    fn live(&mut self) {
        let kept = commit_of(&self.base);
        assert_eq!(
            self.base, self.truth[kept],
            "the base has exactly the commits up to one of them"
        );
        let fronts = Fronts::over(kept as u64);
        let reading = read_on(&self.disk, HUB, kept as u64, &mut |_, changes| {
            fronts.apply(Changes::of(changes), |_| {});
            Ok(())
        });
        let reading = reading.unwrap();
        assert_eq!(reading.damage, None);
        let newest = fronts.newest() as usize;
        assert!(
            (self.acknowledged..self.truth.len()).contains(&newest),
            "{newest} of {}",
            self.acknowledged
        );
        self.truth.truncate(newest + 1);

        let fuse = self.chance.one_in(3).then(|| self.chance.below(150));
        self.disk.set_fuse(fuse);
        let base = Volatile::with(self.disk.clone(), self.base.clone());
        if let Ok(log) = FileLog::open_on(self.disk.clone(), HUB, 8192, &reading, kept as u64) {
            self.acknowledged = newest;
            let bounds = Bounds {
                front_bytes: 1 << 20,
                log_bytes: 1 << 30,
            };
            let store = Durable::new(log, base, fronts, kept as u64, bounds);
            for _ in 0..self.chance.below(80) {
                if self.act(&store).is_err() {
                    break;
                }
                assert_eq!(all(&store), self.truth[self.truth.len() - 1]);
            }
            self.base = store.base.survives(&mut self.chance);
        }
        self.disk.set_fuse(None);
        if self.chance.one_in(2) {
            self.disk = self.disk.crash(&mut self.chance);
        }
    }

    fn act(&mut self, store: &Durable<FileLog<Memory>, Volatile>) -> Result<()> {
        match self.chance.below(10) {
            0..=4 => {
                let mut rows = self.truth[self.truth.len() - 1].clone();
                let mut batch = Batch::default();
                batch.put(&COMMIT, &self.truth.len().to_be_bytes());
                rows.insert(COMMIT.to_vec(), self.truth.len().to_be_bytes().to_vec());
                for _ in 0..self.chance.below(6) {
                    let key = vec![0, self.chance.below(3) as u8, self.chance.below(6) as u8];
                    if self.chance.one_in(3) {
                        batch.delete(&key);
                        rows.remove(&key);
                        continue;
                    }
                    let value = vec![self.chance.below(256) as u8; self.chance.below(400) as usize];
                    match rows.insert(key.clone(), value.clone()) {
                        None => batch.insert(&key, &value),
                        Some(_) => batch.put(&key, &value),
                    }
                }
                self.truth.push(rows);
                store.write(&batch)
            }
            5..=6 => {
                store.sync()?;
                self.acknowledged = self.truth.len() - 1;
                Ok(())
            }
            7 => store.materialize_next(),
            8 if self.chance.one_in(4) => store.log.make_room(),
            _ => Ok(()),
        }
    }
}

fn commit_of(rows: &Rows) -> usize {
    rows.get(&COMMIT[..])
        .map_or(0, |row| usize::from_be_bytes(row[..].try_into().unwrap()))
}

fn all(store: &Durable<FileLog<Memory>, Volatile>) -> Rows {
    rows(store).into_iter().collect()
}

/// Whatever ends a life, the next one has everything that was acknowledged, exactly the commits up to one of them, and reads say the
/// same whether a row is in a front or in the base.
#[test]
fn a_store_keeps_what_it_acknowledged_all_its_lives() {
    each_seed(200, |seed| {
        let mut lives = Lives::begin(seed);
        for _ in 0..12 {
            lives.live();
        }
    });
}
