//! The large measurements: a closed loop over whole hubs, beside the floors of the same machine in the same run.
//!
//! `cargo bench --bench throughput -- --help` lists the options. Every figure has the name that the documents use, and
//! the last table compares it with what it has to reach.

mod arguments;
mod entities;
mod floors;
mod hubs;
mod limits;
mod load;
mod million;
mod random;
mod report;

use std::path::Path;
use std::process::ExitCode;

use arguments::Arguments;
use entities::Request;
use report::Report;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, directory] = words.as_slice()
        && word == million::CHILD
    {
        return runtime.block_on(million::child(Path::new(directory)));
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
        .expect("the directory for the stores can be made");
    let mut report = Report::default();
    eprintln!(
        "stores in {}; each hub has a memory budget of {} MiB",
        directory.path().display(),
        hubs::MEMORY_BUDGET_BYTES >> 20
    );
    measure_floors(arguments, directory.path(), &mut report).await;
    measure_calls(arguments, directory.path(), &mut report).await;
    measure_signals(arguments, directory.path(), &mut report).await;
    measure_a_million(arguments, directory.path(), &mut report).await;

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

async fn measure_floors(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const CALLERS: usize = 256;
    let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
    if arguments.wants(&["floor.fdatasync.p50_us"]) {
        let p50_us = floors::fdatasync_p50_us(directory, measured);
        report.add("floor.fdatasync.p50_us", p50_us, "us", 1);
    }
    if arguments.wants(&["floor.channel.callers256.per_s"]) {
        let load = floors::channel(CALLERS, warm_up, measured).await;
        report.add("floor.channel.callers256.per_s", load.per_s(), "1/s", CALLERS);
    }
    for (name, keys) in [
        ("floor.rocksdb.keys1000.puts_per_s", 1_000),
        ("floor.rocksdb.keys100k.puts_per_s", 100_000),
    ] {
        if arguments.wants(&[name]) {
            let per_s = floors::rocksdb_puts_per_s(directory, keys, warm_up, measured);
            report.add(name, per_s, "1/s", 1);
        }
    }
}

/// Which figures of a load a measurement reports, each under its name.
struct Figures {
    callers: usize,
    per_s: Option<&'static str>,
    p50_us: Option<&'static str>,
    p99_us: Option<&'static str>,
}

async fn measure_calls(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const ENTITIES: u64 = 1_000;
    let figures = [
        Figures {
            callers: 1,
            per_s: None,
            p50_us: Some("entity.call.callers1.p50_us"),
            p99_us: Some("entity.call.callers1.p99_us"),
        },
        Figures {
            callers: 64,
            per_s: Some("entity.call.callers64.per_s"),
            p50_us: None,
            p99_us: None,
        },
        Figures {
            callers: 256,
            per_s: Some("entity.call.callers256.per_s"),
            p50_us: None,
            p99_us: Some("entity.call.callers256.p99_us"),
        },
    ];
    for Figures {
        callers,
        per_s,
        p50_us,
        p99_us,
    } in figures
    {
        let names: Vec<&str> = [per_s, p50_us, p99_us].into_iter().flatten().collect();
        if !arguments.wants(&names) {
            continue;
        }
        let hub = hubs::open(&directory.join(format!("calls-{callers}"))).await;
        let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
        let load = entities::counters(&hub.client(), Request::Call, callers, ENTITIES, warm_up, measured).await;
        hub.shutdown().await.expect("the hub closes");
        if let Some(name) = per_s {
            report.add(name, load.per_s(), "1/s", callers);
        }
        if let Some(name) = p50_us {
            report.add(name, load.quantile_us(0.5), "us", callers);
        }
        if let Some(name) = p99_us {
            report.add(name, load.quantile_us(0.99), "us", callers);
        }
    }
}

async fn measure_signals(arguments: &Arguments, directory: &Path, report: &mut Report) {
    const IN_FLIGHT: usize = 1_024;
    const ENTITIES: u64 = 100_000;
    let (warm_up, measured) = (arguments.warm_up(), arguments.measured());
    if arguments.wants(&["entity.signal.hot.per_s"]) {
        let hub = hubs::open(&directory.join("hot")).await;
        let load = entities::counters(&hub.client(), Request::Signal, IN_FLIGHT, 1, warm_up, measured).await;
        hub.shutdown().await.expect("the hub closes");
        report.add("entity.signal.hot.per_s", load.per_s(), "1/s", IN_FLIGHT);
    }
    if arguments.wants(&["entity.signal.spread.per_s", "store.wal_bytes_per_signal"]) {
        let hub = hubs::open(&directory.join("spread")).await;
        let client = hub.client();
        entities::touch_all(&client, ENTITIES, IN_FLIGHT as u64).await;
        let before = hub.stats().wal_bytes;
        let load = entities::counters(&client, Request::Signal, IN_FLIGHT, ENTITIES, warm_up, measured).await;
        report.add("entity.signal.spread.per_s", load.per_s(), "1/s", IN_FLIGHT);
        let wal_bytes = (hub.stats().wal_bytes - before) as f64 / load.requests() as f64;
        report.add("store.wal_bytes_per_signal", wal_bytes, "bytes", IN_FLIGHT);
        hub.shutdown().await.expect("the hub closes");
    }
    if arguments.wants(&["entity.forward.per_s"]) {
        let directory = directory.join("forward");
        let per_s = entities::forwarded_per_s(&directory, IN_FLIGHT as u64, warm_up, measured).await;
        report.add("entity.forward.per_s", per_s, "1/s", IN_FLIGHT);
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
