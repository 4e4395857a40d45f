//! The orders of the worker: the saga of `examples/order_processing.rs`, whose activities write to a ledger outside of
//! the hub.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use abide::prelude::*;
use futures::future::try_join_all;

use crate::books::{BOOKS, Run};

/// An article with enough stock for all orders.
const PLENTY: &str = "lamp";
/// An article with too little stock for all orders, so that either outcome is valid.
const SCARCE: &str = "vase";

/// The initial stock by article.
pub(crate) const STOCK: [(&str, u32); 2] = [(PLENTY, 1_000_000), (SCARCE, 40)];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) lines: Vec<(String, u32)>,
    pub(crate) cents: u64,
    /// Number of attempts at the payment that fail before one succeeds.
    pub(crate) refusals: u32,
}

/// Returns the order with number `n`. Its outcome follows from the number, except for orders of the scarce article.
pub(crate) fn order(n: u64) -> Order {
    let small = (n % 5 + 1) as u32;
    let (customer, lines) = match n % 8 {
        0 => ("Mallory", vec![(PLENTY, small)]),
        1 => ("Nemo", vec![(PLENTY, small), (PLENTY, 1)]),
        2 => ("Greedy", vec![(PLENTY, small), (PLENTY, 2_000_000)]),
        3 => ("Carol", vec![]),
        4 => ("Dora", vec![(PLENTY, small), (SCARCE, small)]),
        _ => ("Alice", vec![(PLENTY, small), (PLENTY, 2)]),
    };
    Order {
        customer: customer.to_owned(),
        lines: lines.into_iter().map(|(article, n)| (article.to_owned(), n)).collect(),
        cents: 100 + n,
        refusals: (n % 3) as u32,
    }
}

/// Returns the possible outcomes of an order.
pub(crate) fn foreseen(order: &Order) -> &'static [&'static str] {
    match order.customer.as_str() {
        "Mallory" => &["declined"],
        "Nemo" => &["no-address"],
        "Greedy" => &["sold-out"],
        "Carol" => &["invalid"],
        "Dora" => &["confirmed", "sold-out"],
        _ => &["confirmed"],
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
pub(crate) enum OrderError {
    #[error("invalid")]
    Invalid,
    #[error(transparent)]
    SoldOut(#[from] SoldOut),
    #[error("declined")]
    Declined,
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Runtime(#[from] CallError),
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("sold-out")]
pub(crate) struct SoldOut;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the connection was lost")]
pub(crate) struct ProviderError;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no-address")]
pub(crate) struct NoAddress;

/// One article in stock.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) free: u32,
}

#[operations]
impl Stock {
    pub fn put(&mut self, n: u32) {
        self.free += n;
    }

    pub fn take(&mut self, n: u32) -> Result<(), SoldOut> {
        self.free = self.free.checked_sub(n).ok_or(SoldOut)?;
        Ok(())
    }
}

/// The revenue according to the hub.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Till {
    pub(crate) cents: i64,
}

#[operations]
impl Till {
    pub fn add(&mut self, cents: i64) {
        self.cents += cents;
    }
}

/// The input of an activity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The runs whose results the orchestration had when it called the activity.
    builds_on: Vec<Run>,
    order: Order,
}

impl Task {
    fn new(order: &Order, builds_on: &[Run]) -> Self {
        Self {
            builds_on: builds_on.to_vec(),
            order: order.clone(),
        }
    }
}

/// Takes a little while, so that kills interrupt activities.
async fn work(key: &str) {
    let millis = key.bytes().map(u64::from).sum::<u64>() % 4;
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Runs the common part of every activity and returns its run. Activities return it, so that a result shows which run
/// produced it.
async fn at_work(ctx: &ActivityContext, task: &Task) -> Run {
    let run = BOOKS.begin(ctx.idempotency_key(), ctx.name(), ctx.attempt(), &task.builds_on);
    work(ctx.idempotency_key()).await;
    run
}

#[activity]
async fn validate(ctx: ActivityContext, task: Task) -> Run {
    let run = at_work(&ctx, &task).await;
    BOOKS.done(ctx.idempotency_key(), &run, 0)
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Payment {
    Taken(Run),
    Declined(Run),
}

/// Takes the payment at the first attempt. The connection then breaks as often as the order specifies.
#[activity(retry(max_attempts = 4, first_interval = "3ms", backoff = 2))]
async fn take_payment(ctx: ActivityContext, task: Task) -> Result<Payment, ProviderError> {
    let run = at_work(&ctx, &task).await;
    if task.order.customer == "Mallory" {
        return Ok(Payment::Declined(BOOKS.done(ctx.idempotency_key(), &run, 0)));
    }
    let run = BOOKS.done(ctx.idempotency_key(), &run, task.order.cents as i64);
    match ctx.attempt() > task.order.refusals {
        true => Ok(Payment::Taken(run)),
        false => Err(ProviderError),
    }
}

#[activity(retry(max_attempts = 4, first_interval = "3ms"))]
async fn refund(ctx: ActivityContext, task: Task) -> Result<Run, ProviderError> {
    let run = at_work(&ctx, &task).await;
    let run = BOOKS.done(ctx.idempotency_key(), &run, -(task.order.cents as i64));
    match ctx.attempt() > task.order.refusals {
        true => Ok(run),
        false => Err(ProviderError),
    }
}

#[activity]
async fn pack(ctx: ActivityContext, task: Task) -> Run {
    let run = at_work(&ctx, &task).await;
    BOOKS.done(ctx.idempotency_key(), &run, 0)
}

#[activity]
async fn send_confirmation(ctx: ActivityContext, task: Task) -> Result<Run, NoAddress> {
    let run = at_work(&ctx, &task).await;
    let run = BOOKS.done(ctx.idempotency_key(), &run, 0);
    match task.order.customer.as_str() {
        "Nemo" => Err(NoAddress),
        _ => Ok(run),
    }
}

enum Undo {
    PutBack { article: String, n: u32 },
    Refund,
}

#[orchestration]
pub(crate) async fn process_order(ctx: OrchestrationContext, order: Order) -> Result<Vec<Run>, OrderError> {
    let (mut undo, mut runs) = (VecDeque::new(), Vec::new());
    let Err(error) = fulfill(&ctx, &order, &mut undo, &mut runs).await else {
        return Ok(runs);
    };
    while let Some(step) = undo.pop_front() {
        match step {
            Undo::PutBack { article, n } => ctx.entity::<Stock>(&article).put(n).await?,
            Undo::Refund => {
                runs.push(ctx.call_activity::<refund>(Task::new(&order, &runs)).await?);
                ctx.entity::<Till>("till").add(-(order.cents as i64)).signal();
            }
        }
    }
    Err(error)
}

async fn fulfill(
    ctx: &OrchestrationContext,
    order: &Order,
    undo: &mut VecDeque<Undo>,
    runs: &mut Vec<Run>,
) -> Result<(), OrderError> {
    runs.push(ctx.call_activity::<validate>(Task::new(order, runs)).await?);
    if order.lines.is_empty() {
        return Err(OrderError::Invalid);
    }
    for (article, n) in &order.lines {
        ctx.entity::<Stock>(article).take(*n).await?;
        undo.push_front(Undo::PutBack {
            article: article.clone(),
            n: *n,
        });
    }
    match ctx.call_activity::<take_payment>(Task::new(order, runs)).await? {
        Payment::Taken(run) => {
            undo.push_front(Undo::Refund);
            runs.push(run);
        }
        Payment::Declined(_) => return Err(OrderError::Declined),
    }
    ctx.entity::<Till>("till").add(order.cents as i64).signal();
    let packed = order
        .lines
        .iter()
        .map(|_| ctx.call_activity::<pack>(Task::new(order, runs)));
    let packed = try_join_all(packed.collect::<Vec<_>>()).await?;
    runs.extend(packed);
    runs.push(ctx.call_activity::<send_confirmation>(Task::new(order, runs)).await?);
    Ok(())
}

pub(crate) fn builder(directory: &Path) -> abide::HubBuilder {
    Hub::builder(directory)
        .entity::<Stock>()
        .entity::<Till>()
        .activity::<validate>()
        .activity::<take_payment>()
        .activity::<refund>()
        .activity::<pack>()
        .activity::<send_confirmation>()
        .orchestration::<process_order>()
        .wal_limit(256 << 10)
        // By chance every kill may interrupt the same activity.
        .activity_crash_limit(crate::kills() + 1)
}
