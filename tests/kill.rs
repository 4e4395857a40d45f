//! A process that is killed at any moment, again and again: everything acknowledged is there exactly once.
//!
//! The ledger is outside: this process writes down what the worker acknowledged, kills it, starts it again, and sends
//! again what was not acknowledged, with its request id. At the end the states have to agree with the ledger.

mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide::prelude::*;
use worker::Worker;

const KILLS: usize = 24;
const LANES: usize = 4;
const NEW_A_ROUND: u64 = 40;
const START_CENTS: i64 = 1_000;

/// Writes down what it is told, by sender.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Journal {
    notes: BTreeMap<String, Vec<u64>>,
    early: u64,
}

impl Journal {
    /// How much a client had written down.
    fn written(&self) -> usize {
        self.notes.get("client").map_or(0, Vec::len)
    }
}

#[operations]
impl Journal {
    pub fn note(&mut self, source: &str, n: u64) -> usize {
        let notes = self.notes.entry(source.to_owned()).or_default();
        notes.push(n);
        notes.len()
    }

    pub fn note_late(&mut self, ctx: &mut EntityContext, n: u64, due_ms: u64) {
        self.early += u64::from(ctx.now() < UNIX_EPOCH + Duration::from_millis(due_ms));
        self.note("client", n);
    }

    pub async fn note_slowly(&mut self, n: u64) -> usize {
        for _ in 0..n % 4 {
            tokio::task::yield_now().await;
        }
        self.note("client", n)
    }
}

/// Tells journals of other partitions, by turns, how often it was asked to.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Relay {
    sent: u64,
}

#[operations]
impl Relay {
    pub fn forward(&mut self, ctx: &mut EntityContext) -> u64 {
        let inbox = format!("inbox-{}", self.sent % LANES as u64);
        ctx.entity::<Journal>(inbox).note(ctx.key(), self.sent).signal();
        self.sent += 1;
        self.sent
    }
}

#[derive(Entity, Clone, Serialize, Deserialize)]
#[entity(init = Account::opened)]
struct Account {
    cents: i64,
    payments: u64,
}

impl Account {
    fn opened(_key: &str) -> Self {
        Self {
            cents: START_CENTS,
            payments: 0,
        }
    }
}

#[operations]
impl Account {
    pub fn pay(&mut self, ctx: &mut EntityContext, to: &str, cents: i64) -> Result<u64, Failure> {
        ctx.entity::<Account>(to).receive(cents).signal();
        if self.cents < cents {
            return Err(Failure::message("not enough"));
        }
        self.cents -= cents;
        self.payments += 1;
        Ok(self.payments)
    }

    pub fn receive(&mut self, cents: i64) {
        self.cents += cents;
    }
}

fn builder(directory: &Path) -> abide::HubBuilder {
    let builder = Hub::builder(directory).entity::<Journal>().entity::<Relay>();
    // With a small log some kills find tables that were just written, too.
    builder.entity::<Account>().wal_limit(256 << 10)
}

#[test]
fn worker() {
    if let Some((_, directory)) = worker::role() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.unwrap().block_on(work(&directory)).unwrap();
    }
}

/// The worker: each lane does what it is asked, one after the other, and acknowledges it.
async fn work(directory: &Path) -> abide::Result<()> {
    let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || std::iter::from_fn(worker::order).try_for_each(|order| sender.send(order)));
    let executors = orders.recv().await.unwrap_or_default().parse().unwrap_or(1);
    let hub = builder(directory).executors(executors).open().await?;
    worker::tell("open");
    let mut lanes = BTreeMap::new();
    while let Some(order) = orders.recv().await {
        if order == "shut down" {
            return hub.shutdown().await;
        }
        let (name, order) = order.split_once(' ').expect("an order has a lane");
        let lane = lanes.entry(name.to_owned()).or_insert_with(|| {
            let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel::<String>();
            let (client, name) = (hub.client(), name.to_owned());
            tokio::spawn(async move {
                while let Some(order) = orders.recv().await {
                    let answer = obey(&client, &name, &order).await.unwrap();
                    worker::tell(format!("{name} {order} {answer}"));
                }
            });
            sender
        });
        lane.send(order.to_owned())
            .expect("a lane that failed has ended the process");
    }
    Ok(())
}

/// Does one thing and gives its answer, as a number.
async fn obey(client: &Client, lane: &str, order: &str) -> abide::Result<u64> {
    let (n, due) = order.split_once(' ').expect("an order has a number and a time");
    let request = format!("{lane} {n}");
    let (n, due): (u64, u64) = (n.parse().expect("a number"), due.parse().expect("a time"));
    let (kind, index) = lane.split_once('-').expect("a lane has a kind");
    let journal = client.entity::<Journal>(lane);
    let answer = match kind {
        "signal" => journal
            .note("client", n)
            .request_id(request)
            .signal()
            .await
            .map(|()| 0)?,
        "bare" => journal.note("client", n).signal().await.map(|()| 0)?,
        "call" => journal.note("client", n).request_id(request).await? as u64,
        "slow" => journal.note_slowly(n).request_id(request).await? as u64,
        "late" => {
            let late = journal.note_late(n, due).request_id(request);
            late.signal_at(UNIX_EPOCH + Duration::from_millis(due))
                .await
                .map(|_| 0)?
        }
        "relay" => client.entity::<Relay>(index).forward().request_id(request).await?,
        "account" => {
            let to = ((index.parse::<u64>().expect("a number") + 1 + n) % LANES as u64).to_string();
            let pay = client.entity::<Account>(index).pay(&to, (n * 37 % 400) as i64);
            match pay.request_id(request).await {
                Ok(payments) => payments,
                // What the operation refuses is an answer, too.
                Err(error) => error.into_returned().map(|_| 0)?,
            }
        }
        other => unreachable!("a lane of the kind {other}"),
    };
    Ok(answer)
}

/// What one lane was asked, and what came back.
#[derive(Default)]
struct Lane {
    asked: u64,
    waiting: VecDeque<(u64, u64)>,
    answers: BTreeMap<u64, u64>,
}

/// The outside ledger.
#[derive(Default)]
struct Ledger {
    lanes: BTreeMap<String, Lane>,
}

impl Ledger {
    fn new() -> Self {
        let kinds = ["signal", "bare", "call", "slow", "late", "relay", "account"];
        let names = kinds
            .iter()
            .flat_map(|kind| (0..LANES).map(move |n| format!("{kind}-{n}")));
        Self {
            lanes: names.map(|name| (name, Lane::default())).collect(),
        }
    }

    /// Asks what was not acknowledged once more, and `new` more things of every lane. Says how much that is.
    fn ask(&mut self, worker: &mut Worker, new: u64) -> usize {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let mut count = 0;
        for (name, lane) in &mut self.lanes {
            if name.starts_with("bare") {
                // Without a request id nobody can know whether it was taken in, so it is not sent again.
                lane.waiting.clear();
            }
            for n in lane.asked..lane.asked + new {
                lane.waiting.push_back((n, now + n % 30));
            }
            lane.asked += new;
            for (n, due) in &lane.waiting {
                worker.say(format!("{name} {n} {due}"));
            }
            count += lane.waiting.len();
        }
        count
    }

    /// Writes an acknowledgement down. Those of one lane come in order.
    fn acknowledge(&mut self, told: &str) {
        let mut words = told.split(' ');
        let lane = self
            .lanes
            .get_mut(words.next().unwrap())
            .expect("a lane that was asked");
        let [n, due, answer] = [(); 3].map(|()| words.next().unwrap().parse().unwrap());
        assert_eq!(lane.waiting.pop_front(), Some((n, due)), "{told}");
        lane.answers.insert(n, answer);
    }

    /// Waits until everything scheduled has fired.
    async fn wait_for_late(&self, client: &Client) {
        for (name, lane) in self.lanes.iter().filter(|(name, _)| name.starts_with("late")) {
            let journal = client.entity::<Journal>(name);
            while journal.state().await.unwrap().unwrap_or_default().written() < lane.asked as usize {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Compares the states with what was acknowledged.
    async fn check(&self, client: &Client) {
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
        assert_eq!(cents, START_CENTS * LANES as i64, "cents were made or lost");
    }
}

/// Draws a number below `bound`.
fn draw(seed: &mut u64, bound: usize) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize % bound
}

/// Many kills, some while the hub opens, and an end that finishes everything: then the ledger is right.
#[test]
fn what_was_acknowledged_is_there_exactly_once() {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new();
    for round in 0..=KILLS {
        let mut worker = Worker::start("obey", directory.path());
        worker.say(1 + round % 3);
        if round % 4 == 2 && round < KILLS {
            // This one is killed while it opens, or soon after; the kernel's clock is chance enough.
            std::thread::sleep(Duration::from_micros(draw(&mut seed, 60_000) as u64));
            worker.kill();
            continue;
        }
        worker.expect("open");
        let asked = ledger.ask(&mut worker, if round < KILLS { NEW_A_ROUND } else { 0 });
        let wanted = if round < KILLS { draw(&mut seed, asked) } else { asked };
        for _ in 0..wanted {
            ledger.acknowledge(&worker.hear().expect("the worker goes on"));
        }
        if round < KILLS {
            for told in worker.kill() {
                ledger.acknowledge(&told);
            }
        } else {
            worker.say("shut down");
            assert!(worker.wait().success());
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let hub = builder(directory.path()).open().await.unwrap();
        let client = hub.client();
        // What was scheduled for the last round was due within 30 ms of its beginning.
        let late = ledger.wait_for_late(&client);
        tokio::time::timeout(Duration::from_secs(20), late)
            .await
            .expect("every scheduled signal fires");
        ledger.check(&client).await;
        assert!(client.dead_letters().await.unwrap().is_empty());
        hub.shutdown().await.unwrap();
    });
}
