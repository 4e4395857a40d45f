//! Orders under SIGKILL: the worker and the test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide::prelude::*;
use abide::{
    OrchestrationStatus,
    history::{HistoryEventKind, HistoryStep},
};

use crate::books::{Audit, BOOKS, order_of};
use crate::fixtures::draw;
use crate::orders::{Order, STOCK, Stock, Till, builder, foreseen, order, process_order};
use crate::worker::{self, Worker};
use crate::{end, kills};

/// The role of the worker that processes orders.
pub(crate) const ROLE: &str = "orders";

/// Number of new orders between two kills.
const NEW_A_ROUND: u64 = 24;

/// The worker: starts the requested orders, or waits for those whose start was acknowledged before.
pub(crate) async fn work(place: &Path) -> abide::Result<()> {
    let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || std::iter::from_fn(worker::order).try_for_each(|order| sender.send(order)));
    BOOKS.open(place, &orders.recv().await.unwrap_or_default());
    let hub = builder(&place.join("hub")).executors(2).open().await?;
    let client = hub.client();
    for (article, n) in STOCK {
        let put = client.entity::<Stock>(article).put(n);
        put.request_id(format!("stock {article}")).await?;
    }
    worker::report("open");
    while let Some(request) = orders.recv().await {
        if request == "shut down" {
            return hub.shutdown().await;
        }
        let client = client.clone();
        tokio::spawn(async move {
            if let Err(error) = obey(&client, &request).await {
                end(&format!("{request}: {error}"));
            }
        });
    }
    Ok(())
}

async fn obey(client: &Client, request: &str) -> abide::Result<()> {
    let (verb, id) = request.split_once(' ').expect("an order has a verb");
    let run = client.orchestration::<process_order>(id);
    if verb == "start" {
        let start = client.start::<process_order>(order(number(id)));
        // A start that was not acknowledged may have taken effect.
        start.instance_id(id).request_id(id).await?;
        BOOKS.acknowledged(id);
        worker::report(format!("acknowledged {id}"));
    }
    let outcome = match run.result().await {
        Ok(_) => "confirmed".to_owned(),
        Err(error) => error.into_returned()?.to_string(),
    };
    BOOKS.ended(id, &outcome);
    worker::report(format!("ended {id}"));
    Ok(())
}

/// Returns the number of the order with this ID.
fn number(id: &str) -> u64 {
    let number = id.strip_prefix("order-").expect("the id of an order");
    number.parse().expect("an order has a number")
}

/// The worker is killed at random moments while it processes orders, and the ledger outside of the hub agrees with the
/// histories.
///
/// * No activity ran again after its result was recorded, and none ran that is not in a history.
/// * No acknowledged start was lost, and every order has an outcome that its input allows.
/// * Stock and money add up.
#[test]
fn orders_survive_any_kill() {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let place = tempfile::tempdir().unwrap();
    let kills = kills().div_ceil(2);
    let mut known = 0;
    for round in 0..=kills {
        let mut worker = Worker::start(ROLE, place.path());
        worker.send(round);
        if round % 4 == 2 && round < kills {
            // Kill the worker while the hub opens, or soon after. The seed and the scheduler make the moment random.
            std::thread::sleep(Duration::from_micros(draw(&mut seed, 60_000) as u64));
            worker.kill();
            continue;
        }
        worker.expect("open");
        let audit = Audit::read(place.path()).unwrap();
        known += if round < kills { NEW_A_ROUND } else { 0 };
        let open: Vec<String> = (0..known)
            .map(|n| format!("order-{n}"))
            .filter(|id| !audit.ended.contains_key(id))
            .collect();
        let mut answers = 0;
        for id in &open {
            let is_acknowledged = audit.acknowledged.contains(id);
            worker.send(format!("{} {id}", if is_acknowledged { "wait" } else { "start" }));
            answers += if is_acknowledged { 1 } else { 2 };
        }
        if round < kills {
            for _ in 0..draw(&mut seed, answers) {
                worker.next_report().expect("the worker reports");
            }
            std::thread::sleep(Duration::from_micros(draw(&mut seed, 3_000) as u64));
            worker.kill();
        } else {
            for _ in 0..answers {
                worker.next_report().expect("the worker reports");
            }
            worker.send("shut down");
            assert!(worker.wait().success());
        }
    }
    let audit = Audit::read(place.path()).unwrap();
    println!(
        "{known} orders, {} steps, {} interrupted runs",
        audit.steps.len(),
        audit.repeated
    );
    assert!(audit.repeated > 0, "no kill interrupted an activity");
    let all: BTreeSet<String> = (0..known).map(|n| format!("order-{n}")).collect();
    assert_eq!(audit.acknowledged, all);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let hub = builder(&place.path().join("hub")).open().await.unwrap();
        agrees(&hub.client(), &audit).await;
        hub.shutdown().await.unwrap();
    });
}

/// Compares the hub with the ledger.
async fn agrees(client: &Client, audit: &Audit) {
    let mut stock: BTreeMap<&str, u32> = STOCK.into();
    let mut earned = 0;
    for id in &audit.acknowledged {
        let order = order(number(id));
        let outcome = audit.ended[id].as_str();
        assert!(foreseen(&order).contains(&outcome), "{id} {outcome}");
        if outcome == "confirmed" {
            for (article, n) in &order.lines {
                *stock.get_mut(article.as_str()).unwrap() -= n;
            }
            earned += order.cents as i64;
        }
        history_agrees(client, audit, id, &order).await;
    }
    for (article, free) in stock {
        let state = client.entity::<Stock>(article).state().await.unwrap().unwrap();
        assert_eq!(state.free, free, "{article}");
    }
    // The provider outside counts each idempotency key once, and the till inside counts each signal once.
    let booked: i64 = audit.steps.values().map(|step| step.cents).sum();
    assert_eq!(booked, earned);
    let till = client.entity::<Till>("till").state().await.unwrap().unwrap();
    assert_eq!(till.cents, earned);
    assert!(client.admin().dead_letters().await.unwrap().is_empty());
}

/// Compares the history of one order with the ledger: the activities that ran were called, and their results are those
/// in the history.
async fn history_agrees(client: &Client, audit: &Audit, id: &str, order: &Order) {
    let run = client.untyped_orchestration(id);
    let info = run.status().await.unwrap().expect("an acknowledged start exists");
    let status = match audit.ended[id].as_str() {
        "confirmed" => OrchestrationStatus::Completed,
        _ => OrchestrationStatus::Failed,
    };
    assert_eq!(info.status, status, "{id}");
    // The activities in the history by idempotency key: the name and the last attempt.
    let mut asked = BTreeMap::new();
    let mut answered = BTreeMap::new();
    for event in run.history().await.unwrap() {
        let key = |sequence| format!("{id}/{}/{sequence}", info.execution_id);
        match event.kind {
            HistoryEventKind::ExecutionStarted { input, .. } => {
                assert_eq!(input, serde_json::to_string(order).unwrap(), "{id}");
            }
            HistoryEventKind::StepScheduled {
                sequence,
                step: HistoryStep::Activity { name },
                attempt,
                ..
            } => drop(asked.insert(key(sequence), (name, attempt))),
            HistoryEventKind::StepCompleted {
                sequence,
                step: Some(HistoryStep::Activity { .. }),
                result,
                ..
            } => drop(answered.insert(key(sequence), result)),
            HistoryEventKind::StepFailed { error: Some(error), .. } => panic!("{id}: {error}"),
            _ => {}
        }
    }
    let ran = audit.steps.iter().filter(|(key, _)| order_of(key) == id);
    let ran: BTreeMap<_, _> = ran
        .map(|(key, step)| (key.clone(), (step.name.clone(), step.attempt)))
        .collect();
    // Equal in both directions: the order has ended, so every activity that it called has run.
    assert_eq!(ran, asked, "{id}");
    for (key, result) in answered {
        let step = &audit.steps[&key];
        let names = |run: &String| result.contains(&format!("\"{run}\""));
        assert!(step.done.iter().any(names), "{key} was recorded as {result}");
        assert!(step.recorded.iter().all(names), "{key} was recorded as {result}");
    }
}
