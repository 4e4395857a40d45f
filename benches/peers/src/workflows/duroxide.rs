//! The peer duroxide, over its PostgreSQL provider.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ::duroxide::runtime::registry::ActivityRegistry;
use ::duroxide::runtime::{Runtime, RuntimeOptions};
use ::duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry};
use duroxide_pg::{PostgresProvider, ProviderConfig};

use crate::load::{Load, closed_loop};
use crate::{Figures, Pace};

/// The first argument of a child process that measures duroxide.
pub(crate) const CHILD: &str = "duroxide";

/// The patience of a caller with one orchestration.
const PATIENCE: Duration = Duration::from_secs(600);

/// The settings that decide about throughput.
pub(crate) struct Settings {
    /// Number of orchestration dispatchers, and of activity dispatchers.
    pub(crate) dispatchers: usize,
    /// The time between two polls of a dispatcher that finds no work.
    pub(crate) poll: Duration,
    /// The maximum number of connections.
    pub(crate) connections: u32,
}

/// The defaults of duroxide and of its provider.
pub(crate) const DEFAULTS: Settings = Settings {
    dispatchers: 2,
    poll: Duration::from_millis(100),
    connections: 10,
};

/// The fastest of the settings that were tried. More dispatchers were slower.
pub(crate) const TUNED: Settings = Settings {
    dispatchers: 8,
    poll: Duration::from_millis(10),
    connections: 20,
};

/// Measures in a process of its own, because the provider reads the number of connections from the environment.
pub(crate) fn measure(url: &str, settings: &Settings, callers: usize, pace: &Pace) -> Figures {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program);
    child
        .args([CHILD, url])
        .args([callers, settings.dispatchers].map(|number| number.to_string()))
        .args([settings.poll, pace.warm_up, pace.measured].map(|time| time.as_millis().to_string()))
        .env("DUROXIDE_PG_POOL_MAX", settings.connections.to_string());
    Figures::of(&mut child)
}

/// Measures duroxide as [`measure`] orders, and prints the figures.
pub(crate) async fn child(arguments: &[&str]) {
    let [url, callers, dispatchers, poll, warm_up, measured] = arguments else {
        panic!("the parent passes six arguments");
    };
    let number = |word: &str| word.parse::<usize>().expect("a number");
    let milliseconds = |word: &str| Duration::from_millis(word.parse().expect("a number"));
    let options = RuntimeOptions {
        orchestration_concurrency: number(dispatchers),
        worker_concurrency: number(dispatchers),
        dispatcher_min_poll_interval: milliseconds(poll),
        ..RuntimeOptions::default()
    };
    let load = chains(
        url,
        options,
        number(callers),
        milliseconds(warm_up),
        milliseconds(measured),
    )
    .await;
    Figures::from(load).print();
}

/// An activity that does no work.
async fn nothing(_: ActivityContext, n: u64) -> Result<u64, String> {
    Ok(n)
}

/// An orchestration that calls five activities in sequence.
async fn chain(ctx: OrchestrationContext, mut n: u64) -> Result<u64, String> {
    for _ in 0..5 {
        n = ctx.schedule_activity_typed::<u64, u64>("nothing", &n).await?;
    }
    Ok(n)
}

/// Runs `callers` tasks that repeatedly start a chain and wait for its result.
async fn chains(url: &str, options: RuntimeOptions, callers: usize, warm_up: Duration, measured: Duration) -> Load {
    let provider = PostgresProvider::new_with_config(ProviderConfig::url(url));
    let store = Arc::new(provider.await.expect("the database can be used"));
    let activities = ActivityRegistry::builder().register_typed("nothing", nothing).build();
    let orchestrations = OrchestrationRegistry::builder().register_typed("chain", chain).build();
    let runtime = Runtime::start_with_options(store.clone(), activities, orchestrations, options).await;
    let client = Client::new(store);
    let load = closed_loop(callers, warm_up, measured, |caller| {
        let client = client.clone();
        let mut number = 0_u64;
        move || {
            number += 1;
            let client = client.clone();
            async move {
                let instance = format!("chain-{caller}-{number}");
                let start = client.start_orchestration_typed(&instance, "chain", number);
                start.await.expect("the start is acknowledged");
                let result = client.wait_for_orchestration_typed::<u64>(&instance, PATIENCE).await;
                assert_eq!(result.expect("the chain completes"), Ok(number));
            }
        }
    })
    .await;
    runtime.shutdown(None).await;
    load
}
