//! A process is repeatedly killed at random moments, and everything that was acknowledged takes effect exactly once.
//!
//! The ledger is outside of the hub: this process records what the worker acknowledges, kills it, restarts it, and
//! repeats the unacknowledged requests with their request IDs. At the end, the states have to agree with the ledger.
//!
//! See:
//!
//! * docs/src/guarantees.md, "Durability"
//! * docs/src/guarantees.md, "Delivery"
#![cfg(feature = "rocksdb")]

mod books;
mod entities;
#[path = "../it/fixtures.rs"]
mod fixtures;
mod ledger;
mod orders;
mod saga;
#[path = "../worker/mod.rs"]
mod worker;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide::prelude::*;
use entities::{Account, Journal, Relay};
use fixtures::draw;
use ledger::Ledger;
use worker::Worker;

/// Returns the number of kills (default: 24). `ABIDE_KILLS` raises it for a longer search.
fn kills() -> usize {
    let wanted = std::env::var("ABIDE_KILLS").ok();
    wanted.and_then(|number| number.parse().ok()).unwrap_or(24)
}

/// Number of new requests per lane between two kills.
const NEW_A_ROUND: u64 = 40;

/// Number of lanes of each kind.
const LANES: usize = 4;

fn builder(directory: &Path) -> abide::HubBuilder {
    let builder = Hub::builder(directory).entity::<Journal>().entity::<Relay>();
    // With a small log, some kills happen right after tables were written.
    builder.entity::<Account>().wal_limit(256 << 10)
}

#[test]
fn worker() {
    if let Some((role, directory)) = worker::role() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        match role.as_str() {
            saga::ROLE => runtime.block_on(saga::work(&directory)).unwrap(),
            _ => runtime.block_on(work(&directory)).unwrap(),
        }
    }
}

/// The worker: each lane processes its requests in sequence and acknowledges them.
async fn work(directory: &Path) -> abide::Result<()> {
    let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || std::iter::from_fn(worker::order).try_for_each(|order| sender.send(order)));
    let executors = orders.recv().await.unwrap_or_default().parse().unwrap_or(1);
    let hub = builder(directory).executors(executors).open().await?;
    worker::report("open");
    let mut lanes = BTreeMap::new();
    while let Some(order) = orders.recv().await {
        if order == "shut down" {
            return hub.shutdown().await;
        }
        let (name, order) = order.split_once(' ').expect("an order names a lane");
        let lane = lanes.entry(name.to_owned()).or_insert_with(|| {
            let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel::<String>();
            let (client, name) = (hub.client(), name.to_owned());
            tokio::spawn(async move {
                while let Some(order) = orders.recv().await {
                    match obey(&client, &name, &order).await {
                        Ok(answer) => worker::report(format!("{name} {order} {answer}")),
                        Err(error) => end(&format!("{name} {order}: {error}")),
                    }
                }
            });
            sender
        });
        lane.send(order.to_owned()).expect("a failing lane ends the process");
    }
    Ok(())
}

/// Ends the worker with an unexpected error.
fn end(error: &str) -> ! {
    eprintln!("{error}");
    std::process::exit(1)
}

/// Processes one request and returns its result as a number.
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
                // An error of the operation is a result, too.
                Err(error) => error.into_returned().map(|_| 0)?,
            }
        }
        other => unreachable!("a lane of the kind {other}"),
    };
    Ok(answer)
}

/// After many kills, some of them while the hub opens, a last run finishes everything and the states agree with the
/// ledger.
#[test]
fn acknowledged_work_takes_effect_exactly_once() {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let directory = tempfile::tempdir().unwrap();
    let (mut ledger, kills) = (Ledger::new(), kills());
    for round in 0..=kills {
        let mut worker = Worker::start("obey", directory.path());
        worker.send(1 + round % 3);
        if round % 4 == 2 && round < kills {
            // Kill the worker while the hub opens, or soon after. The seed and the scheduler make the moment random.
            std::thread::sleep(Duration::from_micros(draw(&mut seed, 60_000) as u64));
            worker.kill();
            continue;
        }
        worker.expect("open");
        let asked = ledger.ask(&mut worker, if round < kills { NEW_A_ROUND } else { 0 });
        let wanted = if round < kills { draw(&mut seed, asked) } else { asked };
        for _ in 0..wanted {
            ledger.acknowledge(&worker.next_report().expect("the worker reports"));
        }
        if round < kills {
            for report in worker.kill() {
                ledger.acknowledge(&report);
            }
        } else {
            worker.send("shut down");
            assert!(worker.wait().success());
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let hub = builder(directory.path()).open().await.unwrap();
        let client = hub.client();
        // The signals of the last round were due within 30 ms of its start.
        let late = ledger.wait_for_late(&client);
        tokio::time::timeout(Duration::from_secs(20), late)
            .await
            .expect("every scheduled signal fires");
        ledger.check(&client).await;
        assert!(client.admin().dead_letters().await.unwrap().is_empty());
        hub.shutdown().await.unwrap();
    });
}
