//! The ledger outside of the hub: the requests, their acknowledgments, and the comparison with the states.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide::prelude::*;

use crate::LANES;
use crate::entities::{Account, Journal, START_CENTS};
use crate::worker::Worker;

/// The requests of one lane and their results.
#[derive(Default)]
struct Lane {
    asked: u64,
    waiting: VecDeque<(u64, u64)>,
    answers: BTreeMap<u64, u64>,
}

/// The ledger outside of the hub.
#[derive(Default)]
pub(crate) struct Ledger {
    lanes: BTreeMap<String, Lane>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let kinds = ["signal", "bare", "call", "slow", "late", "relay", "account"];
        let names = kinds
            .iter()
            .flat_map(|kind| (0..LANES).map(move |n| format!("{kind}-{n}")));
        Self {
            lanes: names.map(|name| (name, Lane::default())).collect(),
        }
    }

    /// Repeats the unacknowledged requests and sends `new` more to every lane. Returns the number of requests.
    pub(crate) fn ask(&mut self, worker: &mut Worker, new: u64) -> usize {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let mut count = 0;
        for (name, lane) in &mut self.lanes {
            if name.starts_with("bare") {
                // Without a request ID it is unknown whether the request took effect, so it is not repeated.
                lane.waiting.clear();
            }
            for n in lane.asked..lane.asked + new {
                lane.waiting.push_back((n, now + n % 30));
            }
            lane.asked += new;
            for (n, due) in &lane.waiting {
                worker.send(format!("{name} {n} {due}"));
            }
            count += lane.waiting.len();
        }
        count
    }

    /// Records an acknowledgment. The acknowledgments of one lane arrive in order.
    pub(crate) fn acknowledge(&mut self, report: &str) {
        let mut words = report.split(' ');
        let lane = self.lanes.get_mut(words.next().unwrap()).expect("the lane exists");
        let [n, due, answer] = [(); 3].map(|()| words.next().unwrap().parse().unwrap());
        assert_eq!(lane.waiting.pop_front(), Some((n, due)), "{report}");
        lane.answers.insert(n, answer);
    }

    /// Waits until every scheduled signal has fired.
    pub(crate) async fn wait_for_late(&self, client: &Client) {
        for (name, lane) in self.lanes.iter().filter(|(name, _)| name.starts_with("late")) {
            let journal = client.entity::<Journal>(name);
            while journal.state().await.unwrap().unwrap_or_default().written() < lane.asked as usize {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Compares the states with the acknowledgments.
    pub(crate) async fn check(&self, client: &Client) {
        let mut cents = 0;
        let mut forwarded: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for n in 0..LANES {
            let inbox = client
                .entity::<Journal>(format!("inbox-{n}"))
                .state()
                .await
                .unwrap()
                .unwrap();
            for (source, notes) in inbox.notes {
                assert!(notes.is_sorted(), "from {source} to inbox {n}: {notes:?}");
                forwarded.entry(source).or_default().extend(notes);
            }
        }
        for (name, lane) in &self.lanes {
            let (kind, index) = name.split_once('-').unwrap();
            let answers: Vec<u64> = lane.answers.values().copied().collect();
            let all: Vec<u64> = (0..lane.asked).collect();
            let in_order: Vec<u64> = (1..=lane.asked).collect();
            if kind == "account" {
                let account = client.entity::<Account>(index).state().await.unwrap().unwrap();
                let paid: Vec<u64> = answers.into_iter().filter(|answer| *answer > 0).collect();
                assert_eq!(paid, (1..=account.payments).collect::<Vec<_>>(), "{name}");
                cents += account.cents;
                continue;
            }
            if kind == "relay" {
                let mut notes = forwarded.remove(index).unwrap();
                notes.sort_unstable();
                assert_eq!((answers, notes), (in_order, all), "{name}");
                continue;
            }
            let mut journal = client.entity::<Journal>(name).state().await.unwrap().unwrap();
            let mut notes = journal.notes.remove("client").unwrap();
            match kind {
                "bare" => {
                    assert!(notes.is_sorted_by(|a, b| a < b), "{name}: {notes:?}");
                    let lost = lane.answers.keys().find(|n| !notes.contains(n));
                    assert_eq!(lost, None, "{name}: {notes:?}");
                    continue;
                }
                "call" | "slow" => assert_eq!(answers, in_order, "{name}"),
                "late" => notes.sort_unstable(),
                _ => {}
            }
            assert_eq!((notes, journal.early), (all, 0), "{name}");
        }
        assert_eq!(cents, START_CENTS * LANES as i64, "cents were created or lost");
    }
}
