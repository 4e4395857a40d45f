//! Hubs over PostgreSQL, and the floors of the server: a round trip, and a bare append.

#[path = "../../tests/cluster/server.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use abide::{EntityRef, Hub};
use server::Server;
use tokio_postgres::{Client, NoTls};

use crate::arguments::Arguments;
use crate::chains;
use crate::entities::{self, Counter};
use crate::hubs::{self, Place};
use crate::load::{Load, closed_loop, histogram};
use crate::orchestrations;
use crate::report::Report;
use crate::{CALLED, SIGNALS};

/// Size of the body of a bare append, in bytes: about that of a record with one call.
const BODY: usize = 200;

/// A bare append, as the log of a hub makes it: one row changed by comparison, and one added.
const APPEND: &str = "\
WITH mine AS (UPDATE bare SET head = head + 1 WHERE id = 1 AND head = $1 RETURNING head)
INSERT INTO bare_log (position, body) SELECT head, $2 FROM mine RETURNING position";

/// The database of the measured hubs.
pub(crate) struct Database {
    url: String,
    /// The directory of the copies.
    directory: PathBuf,
    hubs: AtomicU32,
    /// The server, if it is one of the bench.
    _server: Option<Server>,
}

impl Database {
    /// Uses the server at a URL, or starts one.
    pub(crate) fn new(url: Option<&str>, directory: &Path) -> Self {
        let server = url.is_none().then(|| {
            let server = Server::start_with(&["shared_buffers=256MB", "max_wal_size=4GB"]);
            server.expect("PostgreSQL is installed; see scripts/postgres")
        });
        let own = server.as_ref().map(Server::url);
        Self {
            url: url.map(str::to_owned).or(own).expect("a URL"),
            directory: directory.to_owned(),
            hubs: AtomicU32::new(0),
            _server: server,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the name of a hub that does not exist yet.
    pub(crate) fn fresh_name(&self) -> String {
        let number = self.hubs.fetch_add(1, Ordering::Relaxed);
        format!("bench-{}-{number}", std::process::id())
    }

    /// The place of a hub that does not exist yet.
    fn fresh(&self) -> Place {
        let name = self.fresh_name();
        Place::Database {
            url: self.url.clone(),
            copy: self.directory.join(&name),
            name,
            listens: false,
            shards: 1,
        }
    }

    /// Opens two nodes of a hub with a name. The first one runs all of it, and the second one waits.
    pub(crate) async fn open_two(&self, name: &str, shards: u16) -> [Hub; 2] {
        let node = |number: u32| Place::Database {
            url: self.url.clone(),
            name: name.to_owned(),
            copy: self.directory.join(name).join(number.to_string()),
            listens: true,
            shards,
        };
        [hubs::open(node(1)).await, hubs::open(node(2)).await]
    }

    /// Measures requests on a node that waits. Both nodes are in this process.
    pub(crate) async fn measure_waiting(&self, arguments: &Arguments, report: &mut Report) {
        const CALL: &str = "postgres.waiting.call.callers1.p50_us";
        const STATE: &str = "postgres.waiting.state.callers1.p50_us";
        const MANY: &str = "postgres.waiting.call.callers256.per_s";
        const STATES: &str = "postgres.waiting.state.callers256.per_s";
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        if !arguments.wants(&[CALL, STATE, MANY, STATES]) {
            return;
        }
        let [owner, waiting] = self.open_two(&self.fresh_name(), 1).await;
        let client = waiting.client();
        assert!(!client.runs_hub(), "the second node waits");
        let load = entities::counters(&client, entities::Request::Call, 1, CALLED, warm_up, measured).await;
        report.add(CALL, load.quantile_us(0.5), "us", 1);
        let load = self.states(&client, 1, warm_up, measured).await;
        report.add(STATE, load.quantile_us(0.5), "us", 1);
        let load = entities::counters(&client, entities::Request::Call, 256, CALLED, warm_up, measured).await;
        report.add(MANY, load.per_s(), "1/s", 256);
        let load = self.states(&client, 256, warm_up, measured).await;
        report.add(STATES, load.per_s(), "1/s", 256);
        waiting.shutdown().await.expect("the node ends");
        owner.shutdown().await.expect("the hub closes");
    }

    async fn states(&self, client: &abide::Client, callers: usize, warm_up: Duration, measured: Duration) -> Load {
        closed_loop(callers, warm_up, measured, |caller| {
            let client = client.clone();
            move || {
                let counter = client.entity::<Counter>(caller as u64 % CALLED);
                async move {
                    counter.state().await.expect("the node reads");
                }
            }
        })
        .await
    }

    async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls)
            .await
            .expect("the database answers");
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn measure_one_caller(&self, arguments: &Arguments, report: &mut Report) {
        const TRIP: &str = "floor.postgres.roundtrip.p50_us";
        const APPEND: &str = "floor.postgres.append.p50_us";
        const P50: &str = "postgres.entity.call.callers1.p50_us";
        const P99: &str = "postgres.entity.call.callers1.p99_us";
        const READ: &str = "postgres.entity.read.callers1.p50_us";
        const CHAIN: &str = "postgres.orchestration.chain5.callers1.p50_us";
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        if arguments.wants(&[TRIP, APPEND]) {
            let (trip, append) = self.floors(measured / 2).await;
            report.add(TRIP, trip, "us", 1);
            report.add(APPEND, append, "us", 1);
        }
        if arguments.wants(&[P50, P99, READ]) {
            let hub = hubs::open(self.fresh()).await;
            let client = hub.client();
            let load = entities::counters(&client, entities::Request::Call, 1, CALLED, warm_up, measured).await;
            report.add(P50, load.quantile_us(0.5), "us", 1);
            report.add(P99, load.quantile_us(0.99), "us", 1);
            let load = closed_loop(1, warm_up, measured, |_| {
                let client = client.clone();
                move || {
                    let counter = client.entity::<Counter>(1);
                    async move {
                        counter.total().await.expect("the hub reads");
                    }
                }
            })
            .await;
            report.add(READ, load.quantile_us(0.5), "us", 1);
            hub.shutdown().await.expect("the hub closes");
        }
        if arguments.wants(&[CHAIN]) {
            let load = chains::chains(hubs::open(self.fresh()).await, 1, warm_up, measured).await;
            report.add(CHAIN, load.quantile_us(0.5), "us", 1);
        }
    }

    pub(crate) async fn measure_callers(&self, arguments: &Arguments, report: &mut Report) {
        const MANY: &str = "postgres.entity.call.callers256.per_s";
        const CROWD: &str = "postgres.entity.call.callers1024.per_s";
        const CHAINS: &str = "postgres.orchestration.chain5.callers256.per_s";
        const TRANSFERS: &str = "postgres.orchestration.transfer.per_s";
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        for (name, callers) in [(MANY, 256), (CROWD, SIGNALS)] {
            if arguments.wants(&[name]) {
                let before = self.used().await;
                let hub = hubs::open(self.fresh()).await;
                let client = hub.client();
                let load =
                    entities::counters(&client, entities::Request::Call, callers, CALLED, warm_up, measured).await;
                hub.shutdown().await.expect("the hub closes");
                report.add(name, load.per_s(), "1/s", callers);
                let used = self.used().await.since(&before);
                used.report(
                    name.trim_end_matches(".per_s"),
                    &load,
                    warm_up + measured,
                    callers,
                    report,
                );
            }
        }
        if arguments.wants(&[CHAINS]) {
            let load = chains::chains(hubs::open(self.fresh()).await, 256, warm_up, measured).await;
            report.add(CHAINS, load.per_s(), "1/s", 256);
        }
        if arguments.wants(&[TRANSFERS]) {
            let load = orchestrations::transfers(self.fresh(), 64, warm_up, measured).await;
            report.add(TRANSFERS, load.per_s(), "1/s", 64);
        }
    }

    /// Returns the median times of a round trip and of a bare append.
    async fn floors(&self, measured: Duration) -> (f64, f64) {
        let client = self.connect().await;
        client
            .batch_execute(
                "DROP TABLE IF EXISTS bare, bare_log; CREATE TABLE bare (id int PRIMARY KEY, head bigint NOT NULL); \
                 CREATE TABLE bare_log (position bigint PRIMARY KEY, body bytea NOT NULL); \
                 INSERT INTO bare VALUES (1, 0)",
            )
            .await
            .expect("the tables can be made");
        let trip = client.prepare("SELECT 1").await.expect("a statement");
        let append = client.prepare(APPEND).await.expect("a statement");
        let body = vec![0x5a_u8; BODY];
        let (mut trips, mut appends, mut head) = (histogram(), histogram(), 0_i64);
        let end = Instant::now() + 2 * measured;
        while Instant::now() < end {
            let begin = Instant::now();
            client.query_one(&trip, &[]).await.expect("an answer");
            trips.saturating_record(begin.elapsed().as_nanos() as u64);
            let begin = Instant::now();
            client.query_one(&append, &[&head, &body]).await.expect("an append");
            appends.saturating_record(begin.elapsed().as_nanos() as u64);
            head += 1;
        }
        client
            .batch_execute("DROP TABLE bare, bare_log")
            .await
            .expect("the tables go");
        let median_us = |times: hdrhistogram::Histogram<u64>| times.value_at_quantile(0.5) as f64 / 1_000.0;
        (median_us(trips), median_us(appends))
    }

    /// Returns what all hubs of the database have appended so far, and what its processes have used.
    async fn used(&self) -> Used {
        let client = self.connect().await;
        let there = "SELECT to_regclass('abide.log') IS NOT NULL";
        let has_tables: bool = client.query_one(there, &[]).await.expect("an answer").get(0);
        let (mut appends, mut bytes) = (0, 0);
        if has_tables {
            let text = "SELECT count(*), coalesce(sum(octet_length(body)), 0)::bigint FROM abide.log";
            let row = client.query_one(text, &[]).await.expect("an answer");
            (appends, bytes) = (row.get(0), row.get(1));
        }
        Used {
            appends,
            bytes,
            cpu_us: cpu_us_of("postgres"),
        }
    }
}

/// What hubs have used of a database.
struct Used {
    appends: i64,
    /// Bytes of the appended records.
    bytes: i64,
    cpu_us: f64,
}

impl Used {
    fn since(self, before: &Self) -> Self {
        Self {
            appends: self.appends - before.appends,
            bytes: self.bytes - before.bytes,
            cpu_us: self.cpu_us - before.cpu_us,
        }
    }

    fn report(&self, name: &str, load: &Load, elapsed: Duration, callers: usize, report: &mut Report) {
        let events = load.requests() as f64;
        let appends = self.appends as f64;
        report.add(
            format!("{name}.appends_per_s"),
            appends / elapsed.as_secs_f64(),
            "1/s",
            callers,
        );
        report.add(format!("{name}.calls_per_append"), events / appends, "", callers);
        report.add(
            format!("{name}.log_bytes_per_call"),
            self.bytes as f64 / events,
            "bytes",
            callers,
        );
        report.add(
            format!("{name}.database_us_per_call"),
            self.cpu_us / events,
            "us",
            callers,
        );
    }
}

/// Returns the time that the processes of a program on this machine have run so far, and those of their children that have
/// ended, in microseconds. It is 0 for a server on another machine.
fn cpu_us_of(program: &str) -> f64 {
    const TICK_US: f64 = 10_000.0;
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ticks = processes.filter_map(|process| {
        let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
        let (head, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        // The times in user mode and in the kernel, and those of ended children: see proc(5).
        let times = fields.get(11..15)?.iter().map(|time| time.parse::<u64>());
        let is_named = head.split_once('(')?.1 == program;
        is_named.then(|| times.sum::<Result<u64, _>>().ok()).flatten()
    });
    ticks.sum::<u64>() as f64 * TICK_US
}
