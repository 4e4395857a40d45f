//! An order from its check to its confirmation, and all the way back when a step fails: a saga.
//!
//! ```text
//! cargo run --example order_processing
//! ```
//!
//! An order is validated, its articles are reserved, the payment is taken and a confirmation is sent. Every step that has
//! an effect leaves behind what undoes it. When a later step fails, what was done is undone, the newest first. Both
//! directions are durable: a crash in the middle of either goes on where it was.
//!
//! The inventory lies in the hub, as entities. The payment provider is outside: it keeps its books in a file, and knows an
//! order to pay again by its idempotency key. It loses the connection at every first attempt, after it has booked, so that
//! each payment of this example is asked for twice, and must be taken once.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use abide::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    /// Articles, and how many of each.
    lines: Vec<(String, u32)>,
    cents: u64,
}

/// Why an order came to nothing. Whatever it was, nothing of the order is left.
#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
enum OrderError {
    #[error("the order is not valid: {0}")]
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

/// One article in stock. The article is the key.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Stock {
    free: u32,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("of {article} there are {free} left")]
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

/// What happened to an order, in its words. The order's id is the key.
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

// ---- The world outside ----------------------------------------------------------------------------------------------

/// The provider's books: a line for each payment or refund. What it knows it would know in a process of its own.
struct Provider {
    books: PathBuf,
    /// The idempotency keys that it has booked.
    booked: Mutex<HashMap<String, u64>>,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the connection to the provider was lost")]
struct ProviderError;

/// A declined card is an answer, and not a failure that is worth another attempt.
#[derive(Debug, Serialize, Deserialize)]
enum Payment {
    Taken,
    Declined,
}

impl Provider {
    /// Books once for each key, however often it is asked.
    fn book(&self, key: &str, what: &str, customer: &str, cents: u64) {
        let mut booked = self.booked.lock().expect("nobody panics with it");
        if booked.insert(key.to_owned(), cents).is_none() {
            let books = OpenOptions::new().append(true).create(true).open(&self.books);
            let written = books.and_then(|mut books| writeln!(books, "{what} {customer} {cents}"));
            written.expect("the provider can write its books");
        }
    }
}

/// The provider is a resource of the hub, and a parameter asks for it. An activity runs at least once. The idempotency key
/// is the same in each attempt, and no other call has it.
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
#[error("nobody knows where {customer} lives")]
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

/// What undoes a step that was done.
enum Undo {
    PutBack { article: String, n: u32 },
    Refund,
}

#[orchestration]
async fn process_order(ctx: OrchestrationContext, order: Order) -> Result<(), OrderError> {
    let log = ctx.entity::<OrderLog>(ctx.instance_id());
    let mut undo = Vec::new();
    let Err(error) = fulfil(&ctx, &order, &mut undo).await else {
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

/// The way forward. It is ordinary Rust, called by the orchestration: `?` leaves it at the first error, and `undo` tells
/// how far it came.
async fn fulfil(ctx: &OrchestrationContext, order: &Order, undo: &mut Vec<Undo>) -> Result<(), OrderError> {
    let log = ctx.entity::<OrderLog>(ctx.instance_id());
    if order.lines.is_empty() {
        return Err(OrderError::Invalid("it has no lines".into()));
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
            // What the orchestration returned is an error of its own type.
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
