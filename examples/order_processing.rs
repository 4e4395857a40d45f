//! A saga: an order runs from validation to confirmation, and is rolled back if a step fails.
//!
//! ```text
//! cargo run --example order_processing
//! ```
//!
//! An order is validated, its articles are reserved, the payment is taken and a confirmation is sent. Every step with
//! an effect records how to undo it. When a later step fails, the completed steps are undone, the latest first. Both
//! directions are durable: after a crash, each resumes where it was.
//!
//! The inventory is in the hub, as entities. The payment provider is outside. It keeps its books in a file, and
//! recognizes a repeated payment by its idempotency key. It loses the connection at every first attempt, after it has
//! booked the payment. Each payment of this example is therefore requested twice, and must be taken once.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use abide::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    /// The articles and their quantities.
    lines: Vec<(String, u32)>,
    cents: u64,
}

/// The reason why an order failed. All its effects have been undone.
#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
enum OrderError {
    #[error("invalid order: {0}")]
    Invalid(String),
    #[error(transparent)]
    SoldOut(#[from] SoldOut),
    #[error("the card of {0} was declined")]
    Declined(String),
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Runtime(#[from] CallError),
}

// ---- The inventory, inside the hub ----------------------------------------------------------------------------------

/// The stock of one article. The key is the name of the article.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Stock {
    free: u32,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("insufficient stock of {article}: {free} left")]
struct SoldOut {
    article: String,
    free: u32,
}

#[operations]
impl Stock {
    pub fn put(&mut self, n: u32) {
        self.free += n;
    }

    pub fn take(&mut self, ctx: &mut EntityContext, n: u32) -> Result<(), SoldOut> {
        let free = self.free;
        self.free = free.checked_sub(n).ok_or_else(|| SoldOut {
            article: ctx.key().to_owned(),
            free,
        })?;
        Ok(())
    }

    pub fn free(&self) -> u32 {
        self.free
    }
}

/// The log of an order. The key is the id of the order.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct OrderLog {
    lines: Vec<String>,
}

#[operations]
impl OrderLog {
    pub fn note(&mut self, line: String) {
        self.lines.push(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }
}

// ---- The external systems -------------------------------------------------------------------------------------------

/// The payment provider, with a line for each payment or refund in its books. In reality, it would be another process.
struct Provider {
    books: PathBuf,
    /// The booked idempotency keys, with their amounts.
    booked: Mutex<HashMap<String, u64>>,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the connection to the provider was lost")]
struct ProviderError;

/// The result of a payment. A declined card is a result, not an error that is worth another attempt.
#[derive(Debug, Serialize, Deserialize)]
enum Payment {
    Taken,
    Declined,
}

impl Provider {
    /// Books once per key, regardless of the number of requests.
    fn book(&self, key: &str, what: &str, customer: &str, cents: u64) {
        let mut booked = self.booked.lock().expect("no thread panics while it holds the lock");
        if booked.insert(key.to_owned(), cents).is_none() {
            let books = OpenOptions::new().append(true).create(true).open(&self.books);
            let written = books.and_then(|mut books| writeln!(books, "{what} {customer} {cents}"));
            written.expect("the provider can write its books");
        }
    }
}

/// Takes the payment. The provider is a resource of the hub, passed as a parameter. An activity runs at least once. The
/// idempotency key is the same in each attempt and unique to this call.
#[activity(retry(max_attempts = 4, first_interval = "20ms", backoff = 2))]
async fn take_payment(
    ctx: ActivityContext,
    provider: Resource<Provider>,
    order: Order,
) -> Result<Payment, ProviderError> {
    if order.customer == "Mallory" {
        return Ok(Payment::Declined);
    }
    provider.book(ctx.idempotency_key(), "payment", &order.customer, order.cents);
    match ctx.attempt() {
        1 => Err(ProviderError),
        _ => Ok(Payment::Taken),
    }
}

#[activity(retry(max_attempts = 10, first_interval = "20ms", backoff = 2))]
async fn refund(ctx: ActivityContext, provider: Resource<Provider>, order: Order) -> Result<(), ProviderError> {
    provider.book(ctx.idempotency_key(), "refund", &order.customer, order.cents);
    match ctx.attempt() {
        1 => Err(ProviderError),
        _ => Ok(()),
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no address for {customer}")]
struct NoAddress {
    customer: String,
}

#[activity]
async fn send_confirmation(customer: String) -> Result<(), NoAddress> {
    match customer.as_str() {
        "Nemo" => Err(NoAddress { customer }),
        _ => Ok(()),
    }
}

// ---- The saga -------------------------------------------------------------------------------------------------------

/// The action that undoes a completed step.
enum Undo {
    PutBack { article: String, n: u32 },
    Refund,
}

#[orchestration]
async fn process_order(ctx: OrchestrationContext, order: Order) -> Result<(), OrderError> {
    let log = ctx.entity::<OrderLog>(ctx.instance_id());
    let mut undo = Vec::new();
    let Err(error) = fulfill(&ctx, &order, &mut undo).await else {
        log.note("confirmed".into()).signal();
        return Ok(());
    };
    log.note(format!("failed: {error}")).signal();
    while let Some(step) = undo.pop() {
        match step {
            Undo::PutBack { article, n } => {
                ctx.entity::<Stock>(&article).put(n).await?;
                log.note(format!("put back {n} {article}")).signal();
            }
            Undo::Refund => {
                ctx.call_activity::<refund>(order.clone()).await?;
                log.note(format!("refunded {}", order.cents)).signal();
            }
        }
    }
    Err(error)
}

/// Runs the steps forward. It is an ordinary function that the orchestration calls. `?` returns at the first error, and
/// `undo` contains the actions that undo the completed steps.
async fn fulfill(ctx: &OrchestrationContext, order: &Order, undo: &mut Vec<Undo>) -> Result<(), OrderError> {
    let log = ctx.entity::<OrderLog>(ctx.instance_id());
    if order.lines.is_empty() {
        return Err(OrderError::Invalid("no lines".into()));
    }
    log.note("validated".into()).signal();

    for (article, n) in &order.lines {
        ctx.entity::<Stock>(article).take(*n).await?;
        undo.push(Undo::PutBack {
            article: article.clone(),
            n: *n,
        });
        log.note(format!("took {n} {article}")).signal();
    }

    match ctx.call_activity::<take_payment>(order.clone()).await? {
        Payment::Taken => undo.push(Undo::Refund),
        Payment::Declined => return Err(OrderError::Declined(order.customer.clone())),
    }
    log.note(format!("paid {}", order.cents)).signal();

    ctx.call_activity::<send_confirmation>(order.customer.clone()).await?;
    Ok(())
}

// ---- A few orders ---------------------------------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let books = directory.path().join("books");
    let provider = Provider {
        books: books.clone(),
        booked: Mutex::default(),
    };
    let hub = Hub::builder(directory.path().join("hub"))
        .resource(provider)
        .entity::<Stock>()
        .entity::<OrderLog>()
        .activity::<take_payment>()
        .activity::<refund>()
        .activity::<send_confirmation>()
        .orchestration::<process_order>()
        .open()
        .await?;
    let client = hub.client();
    client.entity::<Stock>("lamp").put(10).await?;
    client.entity::<Stock>("bulb").put(25).await?;

    for (id, customer, lines) in [
        ("good", "Alice", vec![("lamp", 2), ("bulb", 4)]),
        ("declined", "Mallory", vec![("lamp", 1), ("bulb", 2)]),
        ("sold-out", "Bob", vec![("bulb", 3), ("lamp", 9)]),
        ("no-address", "Nemo", vec![("lamp", 3), ("bulb", 6)]),
        ("empty", "Carol", vec![]),
    ] {
        let order = Order {
            customer: customer.to_owned(),
            cents: lines.iter().map(|(_, n)| u64::from(*n) * 500).sum(),
            lines: lines.into_iter().map(|(article, n)| (article.to_owned(), n)).collect(),
        };
        let run = client.start::<process_order>(order).instance_id(id).await?;
        match run.result().await {
            Ok(()) => println!("{id}: confirmed"),
            // The orchestration returned an error of its own type.
            Err(CallError::Returned(error)) => println!("{id}: {error}"),
            Err(error) => return Err(error.into()),
        }
        for line in client.entity::<OrderLog>(id).lines().await? {
            println!("    {line}");
        }
    }

    for article in ["lamp", "bulb"] {
        println!("{article}: {} in stock", client.entity::<Stock>(article).free().await?);
    }
    print!("the provider's books:\n{}", std::fs::read_to_string(books)?);
    hub.shutdown().await?;
    Ok(())
}

// ---- Tests: a crash at every sync -----------------------------------------------------------------------------------

#[cfg(test)]
mod tests {
    use abide::testing::{RunningHub, TestHub, crash_everywhere};

    use super::*;
    use crate::golden;

    fn hub() -> TestHub {
        let builder = || {
            Hub::in_memory()
                .entity::<Stock>()
                .entity::<OrderLog>()
                .activity::<send_confirmation>()
                .orchestration::<process_order>()
        };
        TestHub::new(builder)
            .mock::<take_payment>(|_| Ok(Payment::Taken))
            .mock::<refund>(|_| Ok(()))
    }

    /// Places an order for three lamps. Returns its error, the lamps that are left and the log.
    async fn order_lamps(hub: &RunningHub, customer: &str) -> (Option<String>, u32, Vec<String>) {
        let (client, lamps) = (hub.client(), hub.client().entity::<Stock>("lamp"));
        lamps.put(10).request_id("delivery").await.unwrap();
        let order = Order {
            customer: customer.to_owned(),
            lines: vec![("lamp".to_owned(), 3)],
            cents: 1_500,
        };
        let start = client.start::<process_order>(order).instance_id("o").request_id("o");
        let result = start.await.unwrap().result().await;
        hub.run_until_idle().await;
        let left = lamps.free().await.unwrap();
        let log = client.entity::<OrderLog>("o").lines().await.unwrap();
        (result.err().map(|error| error.to_string()), left, log)
    }

    #[test]
    fn an_order_takes_its_articles_once_whenever_it_crashes() {
        crash_everywhere(hub, async |hub| {
            let (error, left, log) = order_lamps(hub, "Alice").await;
            assert_eq!((error, left), (None, 7));
            log
        });
    }

    #[test]
    fn a_failed_order_leaves_nothing_behind_whenever_it_crashes() {
        crash_everywhere(hub, async |hub| {
            let (error, left, log) = order_lamps(hub, "Nemo").await;
            assert_eq!((error.as_deref(), left), (Some("no address for Nemo"), 10));
            assert!(!hub.calls::<refund>().is_empty(), "the payment is given back");
            log
        });
    }

    /// A change of the orchestration must fit orders that are being processed. This history is one of them.
    #[test]
    fn an_earlier_history_still_fits() {
        golden::assert_fits("order_processing", Hub::in_memory().orchestration::<process_order>());
    }

    /// Records the history of an order that was undone.
    #[test]
    #[ignore = "records a new history"]
    fn record_the_history() {
        let recorded = hub().run(async |hub| {
            order_lamps(hub, "Nemo").await;
            let run = hub.client().orchestration::<process_order>("o");
            run.recorded_history().await.unwrap()
        });
        golden::record("order_processing", &recorded);
    }
}
