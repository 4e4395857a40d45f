//! The order hub as a service: orders are placed, watched and approved over HTTP.
//!
//! ```text
//! cargo run --example service --features http                     (or `make serve`)
//! cargo run --example service --features http -- --port 7071 --data DIRECTORY
//! ```
//!
//! The program only says what an order is and what has to be done for one. Everything that a client talks to, from
//! `POST …/orchestrators/process_order` to `GET …/metrics`, comes from `hub.serve_http`. What was placed is on disk before it
//! is answered: kill the program at any moment, start it again with the same `--data`, and every order goes on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use abide::http::HttpConfig;
use abide::prelude::*;
use abide::schedule::Recurrence;
use metrics_exporter_prometheus::PrometheusBuilder;

// ---- What is in stock -----------------------------------------------------------------------------------------------

/// One article. The article is the key.
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
    pub fn put(&mut self, n: u32) -> u32 {
        self.free += n;
        self.free
    }

    pub fn count(&self) -> u32 {
        self.free
    }

    pub fn take(&mut self, ctx: &mut EntityContext, n: u32) -> Result<u32, SoldOut> {
        self.free = self.free.checked_sub(n).ok_or_else(|| SoldOut {
            article: ctx.key().to_owned(),
            free: self.free,
        })?;
        Ok(self.free)
    }
}

// ---- What an order is -----------------------------------------------------------------------------------------------

/// The body of the request that places it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    article: String,
    n: u32,
}

/// What the status of a finished order shows as its output.
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    paid_cents: u64,
    left_in_stock: u32,
}

/// Why an order came to nothing. Nothing of it is left then: what it had taken is back in stock.
#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
enum OrderError {
    #[error(transparent)]
    SoldOut(#[from] SoldOut),
    #[error("nobody approved it")]
    NotApproved,
    #[error(transparent)]
    Declined(#[from] Declined),
    #[error(transparent)]
    Runtime(#[from] CallError),
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the card of {customer} was declined")]
struct Declined {
    customer: String,
}

const CENTS_EACH: u64 = 1_500;

/// From this number of pieces on, somebody has to approve an order.
const MANY: u32 = 10;

/// How long an order waits for that.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

// ---- What is done for one -------------------------------------------------------------------------------------------

/// A real one would ask the payment provider, under `ctx.idempotency_key()`, so that a retry does not pay twice.
#[activity(retry(max_attempts = 3, first_interval = "100ms", backoff = 2))]
async fn take_payment(ctx: ActivityContext, order: Order) -> Result<u64, Declined> {
    let cents = u64::from(order.n) * CENTS_EACH;
    tracing::info!(order = ctx.instance_id(), cents, "payment");
    match order.customer.as_str() {
        "Mallory" => Err(Declined {
            customer: order.customer,
        }),
        _ => Ok(cents),
    }
}

#[orchestration]
async fn process_order(ctx: OrchestrationContext, order: Order) -> Result<Receipt, OrderError> {
    let stock = ctx.entity::<Stock>(&order.article);
    let left_in_stock = stock.take(order.n).await?;
    match pay(&ctx, &order).await {
        Ok(paid_cents) => Ok(Receipt {
            paid_cents,
            left_in_stock,
        }),
        Err(error) => {
            stock.put(order.n).await?;
            Err(error)
        }
    }
}

async fn pay(ctx: &OrchestrationContext, order: &Order) -> Result<u64, OrderError> {
    if order.n >= MANY {
        // The custom status is what a client sees while it waits: `GET …/instances/{id}`.
        ctx.set_custom_status("waiting for the event `approved`, true or false");
        let approved = ctx.wait_for_external_event::<bool>("approved");
        if !approved.timeout_or(PATIENCE, false).await? {
            return Err(OrderError::NotApproved);
        }
    }
    ctx.set_custom_status("paying");
    let paid_cents = ctx.call_activity::<take_payment>(order.clone()).await?;
    ctx.set_custom_status("paid");
    Ok(paid_cents)
}

/// Counts every article, once a year: see `open_shop`.
#[orchestration]
async fn take_stock(ctx: OrchestrationContext, articles: Vec<String>) -> Result<u32, CallError> {
    let mut sum = 0;
    for article in articles {
        sum += ctx.entity::<Stock>(article).count().await?;
    }
    Ok(sum)
}

// ---- The service ----------------------------------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read()?;
    // Whatever the hub counts and measures goes to this recorder, and `GET …/metrics` shows it.
    let metrics = PrometheusBuilder::new().install_recorder()?;

    let fresh = tempfile::Builder::new().prefix("abide-service-").tempdir()?;
    let data = arguments.data.as_deref().unwrap_or(fresh.path());
    let hub = Hub::builder(data)
        .entity::<Stock>()
        .activity::<take_payment>()
        .orchestration::<process_order>()
        .orchestration::<take_stock>()
        .open()
        .await?;
    open_shop(&hub.client()).await?;

    let address = SocketAddr::from(([127, 0, 0, 1], arguments.port));
    let config = HttpConfig::new().bind(address).metrics(move || metrics.render());
    let server = hub.serve_http(config).await?;

    let url = server.url();
    println!("the order hub is at {url}");
    match &arguments.data {
        Some(data) => println!("its data is in {}", data.display()),
        None => println!(
            "its data is in {} until it ends; --data DIRECTORY keeps it",
            data.display()
        ),
    }
    println!(
        r#"
place an order:         curl -i {url}/orchestrators/process_order/order-1 --json '{{"customer": "Alice", "article": "lamp", "n": 2}}'
see what became of it:  curl {url}/instances/order-1
see what is in stock:   curl {url}/entities/stock/lamp

ctrl-c ends it"#
    );

    tokio::signal::ctrl_c().await?;
    server.shutdown().await?;
    hub.shutdown().await?;
    println!("closed");
    Ok(())
}

/// Fills the shelves of a hub that is new, and has them counted each new year. The request ids make a second try harmless.
async fn open_shop(client: &Client) -> abide::Result<()> {
    let stock = [("lamp", 100), ("bulb", 250)];
    for (article, n) in stock {
        let shelf = client.entity::<Stock>(article);
        if shelf.state().await?.is_none() {
            shelf.put(n).request_id(format!("first {article}")).await?;
        }
    }
    if client.schedules().get("stock-taking").await?.is_none() {
        let articles = stock.map(|(article, _)| article.to_owned()).to_vec();
        let new_year = Recurrence::cron("0 3 1 1 *");
        client
            .schedules()
            .create::<take_stock>("stock-taking", new_year, articles)
            .await?;
    }
    Ok(())
}

struct Arguments {
    /// 0 lets the system choose one.
    port: u16,
    data: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let mut read = Self { port: 7071, data: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--port" => read.port = value?.parse().map_err(|error| format!("--port: {error}"))?,
                "--data" => read.data = Some(value?.into()),
                _ => return Err(format!("unknown: {word}; there are --port PORT and --data DIRECTORY")),
            }
        }
        Ok(read)
    }
}
