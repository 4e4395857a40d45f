//! Many lives of a log, fronts and a base together. Power and process may end at any point: between a write and a sync,
//! while the base takes a front, while a segment is recycled, and while the store is opened.

use std::collections::BTreeMap;

use super::by_hand::ByHand;
use super::machine::{Machine, Sizes};
use super::*;
use crate::log::tests::memory::{Chance, each_seed};
use crate::model::{self, CommitRecord};
use crate::schema;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store through all its lives, and the data that it must preserve.
struct Lives {
    chance: Chance,
    machine: Machine,
    /// The rows after each commit, starting with those before the first commit.
    truth: Vec<Rows>,
    acknowledged: usize,
}

impl Lives {
    fn begin(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            machine: Machine::default(),
            truth: vec![Rows::new()],
            acknowledged: 0,
        }
    }

    fn live(&mut self) {
        let found = self.machine.look();
        assert_eq!(
            self.machine.base.rows(),
            self.truth[found.kept as usize],
            "the base has exactly the commits up to a certain commit"
        );
        let newest = found.newest() as usize;
        assert!(
            (self.acknowledged..self.truth.len()).contains(&newest),
            "{newest} of {}",
            self.acknowledged
        );
        self.truth.truncate(newest + 1);

        let fuse = self.chance.one_in(3).then(|| self.chance.below(150));
        self.machine.disk.set_fuse(fuse);
        let sizes = Sizes {
            front_bytes: 1 << 20,
            segment_bytes: 8192,
            log_bytes: 1 << 30,
        };
        if let Ok(store) = self.machine.open(found, sizes) {
            self.acknowledged = newest;
            for _ in 0..self.chance.below(80) {
                if self.act(&store).is_err() {
                    break;
                }
                assert_eq!(all(&store), self.truth[self.truth.len() - 1]);
            }
            self.machine.kill(&store, &mut self.chance);
        }
        self.machine.disk.set_fuse(None);
        if self.chance.one_in(2) {
            self.machine.lose_power(&mut self.chance);
        }
    }

    fn act(&mut self, store: &ByHand) -> Result<()> {
        match self.chance.below(10) {
            0..=4 => {
                let mut rows = self.truth[self.truth.len() - 1].clone();
                let commit = CommitRecord {
                    number: self.truth.len() as u64,
                    ..CommitRecord::before_the_first(1)
                };
                let commit = model::encode(&commit).unwrap();
                let mut batch = Batch::default();
                batch.put(&schema::COMMIT, &commit);
                rows.insert(schema::COMMIT.to_vec(), commit);
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
            7 if self.chance.one_in(2) => store.materialize(),
            7..=8 => store.advance(),
            9 if self.chance.one_in(4) => store.make_room(),
            _ => Ok(()),
        }
    }
}

fn all(store: &ByHand) -> Rows {
    rows(store).into_iter().collect()
}

/// However a life ends, the next one has every acknowledged commit, and exactly the commits up to a certain commit.
/// Reads return the same rows from a front and from the base.
#[test]
fn a_store_keeps_what_it_acknowledged_all_its_lives() {
    each_seed(200, |seed| {
        let mut lives = Lives::begin(seed);
        for _ in 0..12 {
            lives.live();
        }
    });
}
