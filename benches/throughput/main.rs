//! The large bench: closed loops over complete hubs, and the floors of the same machine in the same run.
//!
//! `cargo bench --features http --bench throughput -- --help` lists the options. The documents refer to the figures by
//! name, and the last table compares them with their limits.

mod arguments;
mod chains;
mod child;
mod connection;
#[cfg(feature = "cluster")]
mod divided;
mod entities;
mod floors;
mod http;
mod http_load;
mod hubs;
mod limits;
mod load;
mod million;
mod orchestrations;
#[cfg(feature = "cluster")]
mod postgres;
mod random;
mod report;
mod sleepers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use abide::Hub;
use arguments::Arguments;
use http::Served;
use http_load::Request;
use load::Load;
use report::Report;

/// The threads of a hub often free memory that another thread allocated, which is slow in the system allocator. A
/// server would choose its allocator as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, url] = words.as_slice()
        && word == http_load::CHILD
    {
        // The load generator has its own single-threaded runtime.
        return http_load::child(url);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if let [word, directory] = words.as_slice() {
        match word.as_str() {
            million::CHILD => return runtime.block_on(million::child(Path::new(directory))),
            sleepers::CHILD => return runtime.block_on(sleepers::child(Path::new(directory))),
            http::CHILD => return runtime.block_on(http::child(Path::new(directory))),
            _ => {}
        }
    }
    match Arguments::parse(words) {
        Ok(arguments) => runtime.block_on(measure(&arguments)),
        Err(text) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
    }
}

async fn measure(arguments: &Arguments) -> ExitCode {
    let directory = tempfile::Builder::new()
        .prefix("throughput-")
        .tempdir_in(&arguments.directory)
        .expect("the directory for the stores can be created");
    let mut report = Report::default();
    eprintln!(
        "stores in {}; each hub has a memory budget of {} MiB",
        directory.path().display(),
        hubs::MEMORY_BUDGET_BYTES >> 20
    );
    let directory = directory.path();
    #[cfg(feature = "cluster")]
    let postgres = arguments
        .postgres
        .as_ref()
        .map(|url| postgres::Database::new(url.as_deref(), directory));
    // The figures of one loop are compared with each other, so the rounds alternate between them.
    for _ in 0..arguments.rounds() {
        measure_one_caller(arguments, directory, &mut report).await;
        measure_one_chain(arguments, directory, &mut report).await;
        #[cfg(feature = "cluster")]
        if let Some(postgres) = &postgres {
            postgres.measure_one_caller(arguments, &mut report).await;
        }
    }
    for _ in 0..arguments.rounds() {
        measure_callers(arguments, directory, &mut report).await;
        measure_chains(arguments, directory, &mut report).await;
        #[cfg(feature = "cluster")]
        if let Some(postgres) = &postgres {
            postgres.measure_callers(arguments, &mut report).await;
            postgres.measure_waiting(arguments, &mut report).await;
            divided::measure(postgres, arguments, &mut report).await;
        }
    }
    for _ in 0..arguments.rounds() {
        measure_hot_signals(arguments, directory, &mut report).await;
    }
    for _ in 0..arguments.rounds() {
        measure_spread_signals(arguments, directory, &mut report).await;
    }
    measure_fans(arguments, directory, &mut report).await;
    measure_long_history(arguments, directory, &mut report).await;
    measure_reasons(arguments, directory, &mut report).await;
    measure_forwarding(arguments, directory, &mut report).await;
    measure_a_million(arguments, directory, &mut report).await;
    measure_sleepers(arguments, directory, &mut report).await;
    measure_http(arguments, directory, &mut report);
    for _ in 0..arguments.rounds() {
        measure_watched(arguments, directory, &mut report);
    }
    measure_first_page(arguments, directory, &mut report);
    measure_idle_connections(arguments, directory, &mut report);

    println!("{}", report.table());
    if let Some(limits) = limits::table(&report, hubs::MEMORY_BUDGET_BYTES) {
        println!("\n{limits}");
    }
    if let Some(path) = &arguments.json
        && let Err(error) = report.write_json(path)
    {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Number of counters that are called.
const CALLED: u64 = 1_000;

/// Number of counters that are signaled where signals are spread.
const SIGNALED: u64 = 100_000;

/// Number of signals in flight.
const SIGNALS: usize = 1_024;

/// Number of sleeping orchestrations.
const SLEEPERS: u64 = 100_000;

/// Number of clients that receive the changes of a hub.
const WATCHERS: usize = 1_000;

/// Number of instances in the hub whose first page is listed.
const LISTED: u64 = 1_000_000;

/// Number of idle connections.
const IDLE: usize = 10_000;

async fn measure_one_caller(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const FLOOR: &str = "floor.fdatasync.p50_us";
    const P50: &str = "entity.call.callers1.p50_us";
    const P99: &str = "entity.call.callers1.p99_us";
    if arguments.wants(&[FLOOR]) {
        report.add(
            FLOOR,
            floors::fdatasync_p50_us(directory, arguments.measured()),
            "us",
            1,
        );
    }
    if arguments.wants(&[P50, P99]) {
        let load = load_of_calls(arguments, directory, 1).await;
        report.add(P50, load.quantile_us(0.5), "us", 1);
        report.add(P99, load.quantile_us(0.99), "us", 1);
    }
}

async fn measure_callers(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const FEW: &str = "entity.call.callers64.per_s";
    const MANY: &str = "entity.call.callers256.per_s";
    const MANY_P99: &str = "entity.call.callers256.p99_us";
    const CROWD: &str = "entity.call.callers1024.per_s";
    #[cfg(feature = "otel")]
    const TRACED: &str = "entity.call.traced.callers256.per_s";
    const APPENDS: &str = "floor.log.appends.per_s";
    if arguments.wants(&[APPENDS]) {
        let per_s = floors::log_appends_per_s(directory, arguments.warm_up(), arguments.measured());
        report.add(APPENDS, per_s, "1/s", 1);
    }
    measure_puts(
        arguments,
        directory,
        report,
        "floor.rocksdb.keys1000.puts_per_s",
        CALLED,
    );
    if arguments.wants(&[FEW]) {
        let load = load_of_calls(arguments, directory, 64).await;
        report.add(FEW, load.per_s(), "1/s", 64);
    }
    if arguments.wants(&[MANY, MANY_P99]) {
        let load = load_of_calls(arguments, directory, 256).await;
        report.add(MANY, load.per_s(), "1/s", 256);
        report.add(MANY_P99, load.quantile_us(0.99), "us", 256);
    }
    #[cfg(feature = "otel")]
    if arguments.wants(&[TRACED]) {
        let load = load_of(arguments, directory, 256, entities::Request::TracedCall).await;
        report.add(TRACED, load.per_s(), "1/s", 256);
    }
    for (figure, executors) in EXECUTORS {
        if arguments.wants(&[figure]) {
            let hub = hubs::open_with_executors(&fresh(directory, figure), executors).await;
            let load = load_on(hub, arguments, 256, entities::Request::Call).await;
            report.add(figure, load.per_s(), "1/s", 256);
        }
    }
    if arguments.wants(&[CROWD]) {
        let load = load_of_calls(arguments, directory, 1_024).await;
        report.add(CROWD, load.per_s(), "1/s", 1_024);
    }
}

/// The figures of hubs with this number of executors.
const EXECUTORS: [(&str, usize); 3] = [
    ("entity.call.executors1.callers256.per_s", 1),
    ("entity.call.executors2.callers256.per_s", 2),
    ("entity.call.executors4.callers256.per_s", 4),
];

async fn load_of_calls(arguments: &Arguments, directory: &Path, callers: usize) -> Load {
    load_of(arguments, directory, callers, entities::Request::Call).await
}

async fn load_of(arguments: &Arguments, directory: &Path, callers: usize, request: entities::Request) -> Load {
    let hub = hubs::open(&fresh(directory, &format!("calls-{callers}"))).await;
    load_on(hub, arguments, callers, request).await
}

async fn load_on(hub: Hub, arguments: &Arguments, callers: usize, request: entities::Request) -> Load {
    let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
    let load = entities::counters(&hub.client(), request, callers, CALLED, warm_up, measured).await;
    hub.shutdown().await.expect("the hub closes");
    load
}

fn measure_puts(arguments: &Arguments, directory: &Path, report: &mut Report, name: &'static str, keys: u64) {
    if arguments.wants(&[name]) {
        let per_s = floors::rocksdb_puts_per_s(directory, keys, arguments.warm_up(), arguments.measured());
        report.add(name, per_s, "1/s", 1);
    }
}

async fn measure_hot_signals(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const FLOOR: &str = "floor.channel.callers256.per_s";
    const HOT: &str = "entity.signal.hot.per_s";
    let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
    if arguments.wants(&[FLOOR]) {
        let load = floors::channel(256, warm_up, measured).await;
        report.add(FLOOR, load.per_s(), "1/s", 256);
    }
    if arguments.wants(&[HOT]) {
        let hub = hubs::open(&fresh(directory, "hot")).await;
        let load = entities::counters(&hub.client(), entities::Request::Signal, SIGNALS, 1, warm_up, measured).await;
        hub.shutdown().await.expect("the hub closes");
        report.add(HOT, load.per_s(), "1/s", SIGNALS);
    }
}

async fn measure_spread_signals(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const SPREAD: &str = "entity.signal.spread.per_s";
    const WAL_BYTES: &str = "store.wal_bytes_per_signal";
    measure_puts(
        arguments,
        directory,
        report,
        "floor.rocksdb.keys100k.puts_per_s",
        SIGNALED,
    );
    if arguments.wants(&[SPREAD, WAL_BYTES]) {
        let hub = hubs::open(&fresh(directory, "spread")).await;
        let client = hub.client();
        entities::touch_all(&client, SIGNALED, SIGNALS as u64).await;
        let before = hub.stats().wal_bytes;
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        let load = entities::counters(&client, entities::Request::Signal, SIGNALS, SIGNALED, warm_up, measured).await;
        let wal_bytes = (hub.stats().wal_bytes - before) as f64;
        hub.shutdown().await.expect("the hub closes");
        report.add(SPREAD, load.per_s(), "1/s", SIGNALS);
        report.add(WAL_BYTES, wal_bytes / load.requests() as f64, "bytes", SIGNALS);
    }
}

async fn measure_forwarding(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const FORWARD: &str = "entity.forward.per_s";
    if arguments.wants(&[FORWARD]) {
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        let per_s = entities::forwarded_per_s(&directory.join("forward"), SIGNALS as u64, warm_up, measured).await;
        report.add(FORWARD, per_s, "1/s", SIGNALS);
    }
}

async fn measure_a_million(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const RSS: &str = "hub.rss.entities1m.mib";
    const CLEAN: &str = "hub.open.clean1m.ms";
    const KILLED: &str = "hub.open.killed1m.ms";
    if arguments.wants(&[RSS, CLEAN, KILLED]) {
        let million = million::measure(&directory.join("million")).await;
        report.add(CLEAN, million.open_clean_ms, "ms", 1);
        report.add(KILLED, million.open_killed_ms, "ms", 1);
        report.add(RSS, million.rss_mib, "MiB", 0);
    }
}

async fn measure_one_chain(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const ONE: &str = "orchestration.chain5.callers1.p50_us";
    if arguments.wants(&[ONE]) {
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        let hub = hubs::open(&fresh(directory, "chain-1")).await;
        let load = chains::chains(hub, 1, warm_up, measured).await;
        report.add(ONE, load.quantile_us(0.5), "us", 1);
    }
}

async fn measure_chains(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const MANY: &str = "orchestration.chain5.callers256.per_s";
    const TRANSFER: &str = "orchestration.transfer.per_s";
    let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
    if arguments.wants(&[MANY]) {
        let hub = hubs::open(&fresh(directory, "chain-256")).await;
        let load = chains::chains(hub, 256, warm_up, measured).await;
        report.add(MANY, load.per_s(), "1/s", 256);
    }
    if arguments.wants(&[TRANSFER]) {
        let load = orchestrations::transfers(&fresh(directory, "transfer"), 64, warm_up, measured).await;
        report.add(TRANSFER, load.per_s(), "1/s", 64);
    }
}

async fn measure_fans(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const FAN: &str = "orchestration.fanout1000.p50_ms";
    if arguments.wants(&[FAN]) {
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        let load = orchestrations::fans(&directory.join("fan"), warm_up, measured).await;
        report.add(FAN, load.quantile_us(0.5) / 1_000.0, "ms", 1);
    }
}

async fn measure_reasons(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const P50: &str = "orchestration.waiting.chain20.p50_us";
    const P99: &str = "orchestration.waiting.chain20.p99_us";
    if arguments.wants(&[P50, P99]) {
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        let load = orchestrations::reasons(&directory.join("reasons"), 20, warm_up, measured).await;
        report.add(P50, load.quantile_us(0.5), "us", 1);
        report.add(P99, load.quantile_us(0.99), "us", 1);
    }
}

/// Returns the directory of a hub, and deletes the hub of the previous round.
fn fresh(directory: &Path, name: &str) -> PathBuf {
    let directory = directory.join(name);
    if directory.exists() {
        std::fs::remove_dir_all(&directory).expect("the previous hub can be removed");
    }
    directory
}

async fn measure_long_history(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const TOTAL: &str = "orchestration.history2000.ms";
    const EARLY: &str = "orchestration.history2000.step100_us";
    const LATE: &str = "orchestration.history2000.step2000_us";
    const RATIO: &str = "orchestration.history2000.step_ratio";
    if arguments.wants(&[TOTAL, EARLY, LATE, RATIO]) {
        let runs = if arguments.quick { 2 } else { 15 };
        let long = orchestrations::long_histories(&directory.join("long"), 2_000, runs).await;
        report.add(TOTAL, long.ms, "ms", 1);
        report.add(EARLY, long.early_step_us, "us", 1);
        report.add(LATE, long.late_step_us, "us", 1);
        report.add(RATIO, long.late_step_us / long.early_step_us, "", 1);
    }
}

async fn measure_sleepers(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const RSS: &str = "orchestration.sleeping100k.rss_mib";
    const EACH: &str = "orchestration.sleeping100k.bytes_each";
    const RESTART: &str = "orchestration.sleeping100k.restart_ms";
    if arguments.wants(&[RSS, EACH, RESTART]) {
        let count = if arguments.quick { SLEEPERS / 10 } else { SLEEPERS };
        if arguments.quick {
            eprintln!("  only {count} sleepers, which is not representative of {SLEEPERS}");
        }
        let measured = sleepers::measure(&directory.join("sleepers"), count).await;
        report.add(RESTART, measured.restart_ms, "ms", 1);
        report.add(RSS, measured.rss_mib, "MiB", 0);
        report.add(EACH, measured.bytes_each, "bytes", 0);
    }
}

/// The HTTP requests and the names of their figures. The first is the floor of the others, because the server answers
/// it without the hub.
const HTTP: [(&str, Request); 4] = [
    ("http.health", Request::Health),
    ("http.entity.signal", Request::Signal),
    ("http.entity.call", Request::Call),
    ("http.start", Request::Start),
];

fn measure_http(arguments: &Arguments, directory: &Path, report: &mut Report) {
    let mut served = None;
    let connections: &[usize] = if arguments.quick { &[256] } else { &[64, 256] };
    for &connections in connections {
        for (name, request) in HTTP {
            let names = ["per_s", "p50_us", "p99_us"].map(|figure| format!("{name}.connections{connections}.{figure}"));
            if !arguments.wants(&names) {
                continue;
            }
            let served = served.get_or_insert_with(|| Served::start(&directory.join("http")));
            let answers = served.load(request, connections, arguments.warm_up(), arguments.measured());
            let [per_s, p50_us, p99_us] = names;
            report.add(per_s, answers.per_s, "1/s", connections);
            report.add(p50_us, answers.p50_us, "us", connections);
            report.add(p99_us, answers.p99_us, "us", connections);
        }
    }
    if let Some(served) = served {
        served.close();
    }
}

/// Calls over HTTP while nobody watches the hub and, by turns, while many clients receive its changes.
fn measure_watched(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const ALONE: &str = "http.unwatched.entity.call.connections256.per_s";
    const WATCHED: &str = "http.watched.entity.call.connections256.per_s";
    const RSS: &str = "http.watched.rss_mib";
    if !arguments.wants(&[ALONE, WATCHED, RSS]) {
        return;
    }
    for (name, watchers) in [(ALONE, 0), (WATCHED, WATCHERS)] {
        let mut served = Served::start(&fresh(directory, "http-watched"));
        served.watch(watchers);
        let answers = served.load(Request::Call, 256, arguments.warm_up(), arguments.measured());
        let rss_mib = served.resident_mib();
        served.close();
        report.add(name, answers.per_s, "1/s", 256);
        if watchers > 0 {
            report.add(RSS, rss_mib, "MiB", watchers);
        }
    }
}

fn measure_first_page(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const COMPLETED: &str = "http.list.first_page.p50_us";
    const COMPLETED_P99: &str = "http.list.first_page.p99_us";
    const RUNNING: &str = "http.list.first_page.running.p50_us";
    if !arguments.wants(&[COMPLETED, COMPLETED_P99, RUNNING]) {
        return;
    }
    let count = if arguments.quick { LISTED / 20 } else { LISTED };
    if arguments.quick {
        eprintln!("  only {count} instances, which is not representative of {LISTED}");
    }
    let mut served = Served::start(&directory.join("http-list"));
    served.fill(count);
    let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
    let completed = served.load(Request::Completed, 1, warm_up, measured);
    let running = served.load(Request::Running, 1, warm_up, measured);
    served.close();
    report.add(COMPLETED, completed.p50_us, "us", 1);
    report.add(COMPLETED_P99, completed.p99_us, "us", 1);
    report.add(RUNNING, running.p50_us, "us", 1);
}

fn measure_idle_connections(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const CONNECTIONS: &str = "http.idle.connections";
    const RSS: &str = "http.idle.rss_mib";
    if !arguments.wants(&[CONNECTIONS, RSS]) {
        return;
    }
    let mut served = Served::start(&directory.join("http-idle"));
    let opened = served.hold_idle(IDLE);
    if opened < IDLE {
        eprintln!("  only {opened} connections: the limit on open files allows no more");
    }
    let rss_mib = served.resident_mib();
    let kept = served.idle();
    served.close();
    report.add(CONNECTIONS, kept as f64, "", kept);
    report.add(RSS, rss_mib, "MiB", kept);
}
