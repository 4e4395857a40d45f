//! Requests without a request id, of which a node reports honestly whether they have happened, may have happened, or have
//! not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use abide::prelude::*;

use super::client::rest;
use super::entities::Journal;
use super::ledger::{append, write};

/// Number of visits of one journal, so that its state stays small.
const VISITS: u64 = 32;

/// Pause of a visitor between two visits.
const PAUSE: Duration = Duration::from_millis(20);

/// The end of a visit, as far as its visitor knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was acknowledged, so it has happened once.
    Acknowledged,
    /// It has not happened.
    Unavailable,
    /// It has happened once or not at all.
    Unconfirmed,
}

const ENDS: [(End, &str); 3] = [
    (End::Acknowledged, "acknowledged"),
    (End::Unavailable, "unavailable"),
    (End::Unconfirmed, "unconfirmed"),
];

impl End {
    /// Returns the end of a request that has failed.
    ///
    /// # Errors
    /// Returns the error if no request may fail with it while the hub moves.
    fn of(error: Error) -> abide::Result<Self> {
        match error.kind() {
            ErrorKind::Unavailable => Ok(Self::Unavailable),
            ErrorKind::Unconfirmed => Ok(Self::Unconfirmed),
            _ => Err(error),
        }
    }

    fn word(self) -> &'static str {
        ENDS.into_iter().find(|(end, _)| *end == self).expect("every end").1
    }
}

/// Visits the journals of this process one after the other, and records what becomes of each visit. Returns the error with
/// which one failed.
pub(super) async fn visit(client: Client, place: PathBuf) -> Error {
    let file = append(&path(&place));
    let life = fastrand::u64(..);
    for n in 0.. {
        rest().await;
        let key = format!("visit-{life:x}-{}", n / VISITS);
        write(&file, &format!("began {key} {n}"));
        let end = match ask(&client, &key, n).await {
            Ok(()) => End::Acknowledged,
            Err(error) => match End::of(error) {
                Ok(end) => end,
                Err(error) => return error,
            },
        };
        write(&file, &format!("{} {key} {n}", end.word()));
        tokio::time::sleep(PAUSE).await;
    }
    unreachable!("there are more numbers than visits")
}

async fn ask(client: &Client, key: &str, n: u64) -> abide::Result<()> {
    // It is not early, whenever it comes.
    let note = client.entity::<Journal>(key).note_late(n, 0);
    if n.is_multiple_of(2) {
        note.await.map_err(Error::from)
    } else {
        note.signal().await
    }
}

/// The visits of a place, by journal and number. A visit without an end was interrupted by the end of its process.
#[derive(Debug, Default)]
pub(crate) struct Visits(BTreeMap<String, BTreeMap<u64, Option<End>>>);

impl Visits {
    pub(crate) fn read(place: &Path) -> Self {
        let mut visits = Self::default();
        let text = std::fs::read_to_string(path(place)).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split(' ');
            if let (Some(word), Some(key), Some(Ok(n))) = (words.next(), words.next(), words.next().map(str::parse)) {
                let end = ENDS.into_iter().find(|(_, name)| *name == word).map(|(end, _)| end);
                visits.0.entry(key.to_owned()).or_default().insert(n, end);
            }
        }
        visits
    }

    /// Returns the number of visits whose end their visitor has learned, and how many of them are unconfirmed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let ends = self.0.values().flat_map(BTreeMap::values).flatten();
        let unconfirmed = ends.clone().filter(|end| **end == End::Unconfirmed);
        (ends.clone().count() as u64, unconfirmed.count() as u64)
    }

    /// Compares the journals with the visits. Returns the differences.
    pub(super) async fn audit(&self, client: &Client) -> abide::Result<Vec<String>> {
        let mut violations = Vec::new();
        for (key, visits) in &self.0 {
            let state = client.entity::<Journal>(key).state().await?.unwrap_or_default();
            violations.extend(state.faults.iter().map(|fault| format!("{key}: {fault}")));
            for (n, end) in visits {
                let is_there = state.stamps.contains_key(n);
                match end {
                    Some(End::Acknowledged) if !is_there => {
                        violations.push(format!("{key}: visit {n} was acknowledged, but has not happened"));
                    }
                    Some(End::Unavailable) if is_there => {
                        violations.push(format!(
                            "{key}: visit {n} was reported as not accepted, but has happened"
                        ));
                    }
                    _ => {}
                }
            }
        }
        Ok(violations)
    }
}

fn path(place: &Path) -> PathBuf {
    place.join("visits")
}
