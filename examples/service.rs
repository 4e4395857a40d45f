//! An order service: orders are placed, monitored and approved over HTTP.
//!
//! ```text
//! cargo run --example service --features http                     (or `make serve`)
//! cargo run --example service --features http -- --port 7071 --data DIRECTORY
//! ```
//!
//! The program only defines orders and how to process them; `hub.serve_http` provides everything that clients use. An
//! order is on disk before its request is answered. Kill the program at any moment and start it again with the same
//! `--data`: every order resumes. With the feature `cluster`, several machines can run it: see `Place::Database`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use abide::http::{HttpConfig, Token};
use abide::metrics::SECONDS_BUCKETS;
use abide::prelude::*;
use abide::schedule::Recurrence;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

// ---- The stock ------------------------------------------------------------------------------------------------------

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

// ---- Orders ---------------------------------------------------------------------------------------------------------

/// The body of the request that places an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    article: String,
    n: u32,
}

/// The output in the status of a completed order.
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    paid_cents: u64,
    left_in_stock: u32,
}

/// The reason why an order failed. Its articles are back in stock.
#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
enum OrderError {
    #[error(transparent)]
    SoldOut(#[from] SoldOut),
    #[error("the order was not approved")]
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

/// Minimum number of pieces for which an order needs an approval.
const MANY: u32 = 10;

/// Maximum time that an order waits for its approval.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

// ---- The processing of an order -------------------------------------------------------------------------------------

/// Takes the payment. A real implementation would pass `ctx.idempotency_key()` to the payment provider, so that a retry
/// does not pay twice.
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
        // Clients see the custom status while the order waits: `GET …/instances/{id}`.
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

/// Counts every article. `open_shop` schedules it once a year.
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
    // Signals are handled from here on, so a process that still waits for its database can be stopped as well.
    let mut end = tokio::spawn(asked_to_end());
    // The hub records its metrics with this recorder, and `GET …/metrics` returns them.
    let metrics = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), SECONDS_BUCKETS)?
        .install_recorder()?;

    let place = Place::of(&arguments)?;
    let hub = tokio::select! {
        opened = open(&place) => opened?,
        end = &mut end => {
            end??;
            // A thread may wait for the database, and a return would wait for the thread.
            std::process::exit(0);
        }
    };

    let config = http(&arguments)?.metrics(move || metrics.render());
    let server = hub.serve_http(config).await?;

    let url = server.url();
    println!("the order service listens at {url}");
    println!("dashboard: {url}/ui/");
    println!("{place}");
    println!(
        r#"
place an order:   curl -i {url}/orchestrators/process_order/order-1 --json '{{"customer": "Alice", "article": "lamp", "n": 2}}'
show its status:  curl {url}/instances/order-1
show the stock:   curl {url}/entities/stock/lamp

press ctrl-c to stop"#
    );

    tokio::select! {
        end = &mut end => end??,
        // Whatever supervises this process starts it again, and it opens the hub again.
        error = failure(hub.client()) => return Err(error.into()),
    }
    // The server goes first. It completes the requests that it has, while the hub still works. Then the hub ends, or
    // another node runs it.
    server.shutdown().await?;
    hub.shutdown().await?;
    println!("closed");
    Ok(())
}

/// Opens the hub and the shop.
async fn open(place: &Place) -> abide::Result<Hub> {
    let hub = place
        .builder()
        .entity::<Stock>()
        .activity::<take_payment>()
        .orchestration::<process_order>()
        .orchestration::<take_stock>()
        .open()
        .await?;
    // Until a node runs the hub, such as during the pause after several have died, a request on another one fails.
    while let Err(error) = open_shop(&hub.client()).await {
        if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unconfirmed) {
            return Err(error);
        }
        eprintln!("waiting for a node that runs the hub: {error}");
    }
    Ok(hub)
}

/// Fills the stock of a new hub and schedules a yearly count. The request ids make a second attempt harmless.
async fn open_shop(client: &Client) -> abide::Result<()> {
    let stock = [("lamp", 100), ("bulb", 250)];
    for (article, n) in stock {
        let shelf = client.entity::<Stock>(article);
        if shelf.state().await?.is_none() {
            shelf.put(n).request_id(format!("first {article}")).await?;
        }
    }
    let articles = stock.map(|(article, _)| article.to_owned()).to_vec();
    let new_year = Recurrence::cron("0 3 1 1 *");
    client
        .schedules()
        .ensure::<take_stock>("stock-taking", new_year, articles)
        .await
}

/// Completes when the process is asked to end: by Ctrl-C, or by SIGTERM, which Docker and Kubernetes send.
async fn asked_to_end() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Completes when the hub has failed and has to be opened again.
async fn failure(client: Client) -> Error {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Err(error) = client.health() {
            return error;
        }
    }
}

/// Other machines reach the service with the address in `ABIDE_HTTP`, such as `0.0.0.0:7071`, and the token in
/// `ABIDE_TOKEN`. `ABIDE_PUBLIC_URL` is the URL that they use.
fn http(arguments: &Arguments) -> Result<HttpConfig, Box<dyn std::error::Error>> {
    let Some(address) = setting("ABIDE_HTTP") else {
        return Ok(HttpConfig::new().bind(SocketAddr::from(([127, 0, 0, 1], arguments.port))));
    };
    let address: SocketAddr = address.parse().map_err(|error| format!("ABIDE_HTTP: {error}"))?;
    let mut config = HttpConfig::new().bind(address);
    if let Some(token) = setting("ABIDE_TOKEN") {
        config = config.token(Token::operate(token));
    }
    if let Some(url) = setting("ABIDE_PUBLIC_URL") {
        config = config.public_url(url);
    }
    Ok(config)
}

/// Returns an environment variable that is set and not empty.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The place of the hub.
enum Place {
    Directory(PathBuf),
    /// Deleted on exit.
    Fresh(tempfile::TempDir),
    /// The database whose URL is in `ABIDE_DATABASE`. Several processes can run, each with
    /// * a directory for its copy, in `ABIDE_DIRECTORY`,
    /// * an address at which it listens for the others, in `ABIDE_LISTEN`, such as `0.0.0.0:7400`,
    /// * the address at which the others reach it, in `ABIDE_ADVERTISE`, if it is another one.
    #[cfg(feature = "cluster")]
    Database(String),
}

impl Place {
    fn of(arguments: &Arguments) -> Result<Self, Box<dyn std::error::Error>> {
        if let Some(data) = &arguments.data {
            return Ok(Self::Directory(data.clone()));
        }
        match setting("ABIDE_DATABASE") {
            #[cfg(feature = "cluster")]
            Some(url) => Ok(Self::Database(url)),
            #[cfg(not(feature = "cluster"))]
            Some(_) => Err("ABIDE_DATABASE is set, but this program was built without the feature `cluster`".into()),
            None => Ok(Self::Fresh(
                tempfile::Builder::new().prefix("abide-service-").tempdir()?,
            )),
        }
    }

    fn builder(&self) -> abide::HubBuilder {
        match self {
            Self::Directory(data) => Hub::builder(data),
            Self::Fresh(data) => Hub::builder(data.path()),
            #[cfg(feature = "cluster")]
            Self::Database(url) => {
                // A node that starts while the database is away waits for it, rather than ending every 30 seconds.
                let mut hub = Hub::cluster(url, "orders").open_patience(Duration::from_secs(600));
                if let Some(directory) = setting("ABIDE_DIRECTORY") {
                    hub = hub.directory(directory);
                }
                if let Some(address) = setting("ABIDE_LISTEN") {
                    hub = hub.listen(address);
                }
                if let Some(address) = setting("ABIDE_ADVERTISE") {
                    hub = hub.advertise(address);
                }
                hub
            }
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(data) => write!(f, "data directory: {}", data.display()),
            Self::Fresh(data) => {
                let data = data.path().display();
                write!(
                    f,
                    "data directory: {data}, deleted on exit; use --data DIRECTORY to keep the data"
                )
            }
            // The URL may have a password.
            #[cfg(feature = "cluster")]
            Self::Database(_) => f.write_str("the orders are in the database"),
        }
    }
}

struct Arguments {
    /// The port to listen on. 0 lets the system choose one.
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
                _ => {
                    return Err(format!(
                        "unknown option {word}; valid options are --port PORT and --data DIRECTORY"
                    ));
                }
            }
        }
        Ok(read)
    }
}
