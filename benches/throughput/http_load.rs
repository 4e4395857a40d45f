//! The load generator: a separate process with one thread and a configurable number of connections.

use std::cell::RefCell;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use crate::connection::Connection;
use crate::load::histogram;
use crate::random::Random;

/// The first argument of a child process; the second is the server's URL with the base path.
pub(crate) const CHILD: &str = "child-with-connections";

/// Number of counters that are called and signaled.
const COUNTERS: u64 = 1_000;

/// The request that a connection sends repeatedly.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Health,
    Signal,
    Call,
    Start,
    /// Lists the first hundred completed instances.
    Completed,
    /// Lists the first hundred running instances.
    Running,
}

/// An order from the parent, sent as one line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Keeps one request in flight on each of `connections`, first for the warm-up and then for the measurement.
    Load {
        request: Request,
        connections: usize,
        warm_up: Duration,
        measured: Duration,
    },
    /// Opens `connections`, sends one request on each and keeps them open.
    Idle { connections: usize },
    /// Counts the idle connections that are still open.
    CountIdle,
    /// Receives the changes of the hub on `connections` until the process ends. The first connection asks for all
    /// changes of entities and does not read. Of the others, one in ten asks for those of one entity.
    Watch { connections: usize },
}

/// The measurements of one load.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answers {
    pub(crate) per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// The child process: executes the orders of its parent and reports after each.
pub(crate) fn child(url: &str) -> ExitCode {
    // One thread is enough for all connections and leaves the other cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let server = Server::at(url);
    let (mut idle, mut unread) = (Vec::new(), Vec::new());
    for order in std::io::stdin().lines() {
        let Ok(order) = serde_json::from_str(&order.expect("the orders can be read")) else {
            break;
        };
        let report = runtime.block_on(async {
            match order {
                Order::Load {
                    request,
                    connections,
                    warm_up,
                    measured,
                } => {
                    let answers = server.load(request, connections, warm_up, measured).await;
                    serde_json::to_string(&answers).expect("the measurements serialize")
                }
                Order::Idle { connections } => {
                    idle = server.connect(connections).await;
                    idle.len().to_string()
                }
                Order::Watch { connections } => {
                    unread.extend(server.watch(connections).await);
                    connections.to_string()
                }
                Order::CountIdle => {
                    // Lets the reactor notice the connections that the server has closed.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    idle.iter()
                        .filter(|connection| connection.is_open())
                        .count()
                        .to_string()
                }
            }
        });
        println!("{report}");
    }
    ExitCode::SUCCESS
}

struct Server {
    address: SocketAddr,
    /// The path prefix of every route.
    base: String,
}

impl Server {
    fn at(url: &str) -> Self {
        let (host, path) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .expect("a URL with a path");
        Self {
            address: host.parse().expect("the host is an address with a port"),
            base: format!("/{path}"),
        }
    }

    async fn load(&self, request: Request, connections: usize, warm_up: Duration, measured: Duration) -> Answers {
        let latency_ns = Rc::new(RefCell::new(histogram()));
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(self.address).await.expect("the server listens"));
        }
        let begin = Instant::now() + warm_up;
        let end = begin + measured;
        let tasks = LocalSet::new();
        for (number, mut connection) in open.into_iter().enumerate() {
            let mut writer = Writer::new(self, number as u64);
            let latency_ns = Rc::clone(&latency_ns);
            tasks.spawn_local(async move {
                let mut asked = Instant::now();
                while asked < end {
                    let status = writer.write(request);
                    connection.exchange(&writer.bytes, status).await;
                    let answered = Instant::now();
                    if answered >= begin && answered < end {
                        record(&mut latency_ns.borrow_mut(), answered - asked);
                    }
                    asked = answered;
                }
            });
        }
        tasks.await;
        let latency_ns = latency_ns.borrow();
        Answers {
            per_s: latency_ns.len() as f64 / measured.as_secs_f64(),
            p50_us: latency_ns.value_at_quantile(0.5) as f64 / 1_000.0,
            p99_us: latency_ns.value_at_quantile(0.99) as f64 / 1_000.0,
        }
    }

    /// Returns the connections that do not read, which stay open as long as they are held.
    async fn watch(&self, connections: usize) -> Vec<Connection> {
        let mut unread = Vec::new();
        for number in 0..connections {
            let query = match number {
                0 => "?kinds=entity".to_owned(),
                _ if number % 10 == 0 => format!("?kinds=entity&prefix=@counter@{number}"),
                _ => String::new(),
            };
            let mut writer = Writer::new(self, 0);
            writer.get(&format!("/events{query}"));
            let mut connection = Connection::open(self.address).await.expect("the server listens");
            connection.begin(&writer.bytes).await;
            if number == 0 {
                unread.push(connection);
            } else {
                tokio::spawn(connection.receive_all());
            }
        }
        unread
    }

    /// Opens connections and uses each once, as many as the limit on open files allows.
    async fn connect(&self, connections: usize) -> Vec<Connection> {
        let mut open = Vec::new();
        let mut writer = Writer::new(self, 0);
        let status = writer.write(Request::Health);
        for _ in 0..connections {
            let Ok(mut connection) = Connection::open(self.address).await else {
                break;
            };
            connection.exchange(&writer.bytes, status).await;
            open.push(connection);
        }
        open
    }
}

fn record(latency_ns: &mut Histogram<u64>, latency: Duration) {
    latency_ns.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
}

/// Writes the requests of one connection.
struct Writer {
    host: SocketAddr,
    base: String,
    random: Random,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(server: &Server, number: u64) -> Self {
        Self {
            host: server.address,
            base: server.base.clone(),
            random: Random::new(number),
            bytes: Vec::new(),
        }
    }

    /// Writes one request and returns the expected status of its response.
    fn write(&mut self, request: Request) -> u16 {
        match request {
            Request::Health => self.get("/health"),
            Request::Completed => self.get("/instances?runtimeStatus=Completed&top=100"),
            Request::Running => self.get("/instances?runtimeStatus=Running&top=100"),
            Request::Signal => {
                let key = self.random.below(COUNTERS);
                self.post(format_args!("/entities/counter/{key}?op=add"));
                202
            }
            Request::Call => {
                let key = self.random.below(COUNTERS);
                self.post(format_args!("/entities/counter/{key}?op=add&wait=true"));
                200
            }
            Request::Start => {
                self.post(format_args!("/orchestrators/at_once"));
                202
            }
        }
    }

    fn get(&mut self, path: &str) -> u16 {
        let Self { host, base, bytes, .. } = self;
        bytes.clear();
        write!(bytes, "GET {base}{path} HTTP/1.1\r\nhost: {host}\r\n\r\n").expect("writing to memory succeeds");
        200
    }

    /// Writes a POST request with the body `1`, the number that a counter adds.
    fn post(&mut self, path: std::fmt::Arguments<'_>) {
        const HEADERS: &str = "content-type: application/json\r\ncontent-length: 1";
        let Self { host, base, bytes, .. } = self;
        bytes.clear();
        write!(
            bytes,
            "POST {base}{path} HTTP/1.1\r\nhost: {host}\r\n{HEADERS}\r\n\r\n1"
        )
        .expect("writing to memory succeeds");
    }
}
