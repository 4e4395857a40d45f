//! Orchestrations: fan-outs, transfers under a lock, and one with a long history.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use abide::client::Waiting;
use abide::prelude::*;
use futures::future::try_join_all;

use crate::chains::nothing;
use crate::hubs;
use crate::load::{Load, closed_loop};
use crate::random::Random;

/// Number of accounts that transfers choose from.
pub(crate) const ACCOUNTS: u64 = 1_000;

/// Number of activities in one fan-out.
const FAN: u64 = 1_000;

/// An orchestration that calls many activities concurrently.
#[orchestration]
pub(crate) async fn fan(ctx: OrchestrationContext, wide: u64) -> Result<u64, Failure> {
    let calls = (0..wide).map(|n| ctx.call_activity::<nothing>(n));
    Ok(try_join_all(calls).await?.into_iter().sum())
}

/// An account that may be overdrawn, so that every transfer does the same work.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    cents: i64,
}

#[operations]
impl Account {
    pub fn change(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }
}

/// Moves one cent under a lock on both accounts.
#[orchestration]
pub(crate) async fn transfer(ctx: OrchestrationContext, accounts: (u64, u64)) -> Result<(), Failure> {
    let from = ctx.entity::<Account>(accounts.0);
    let to = ctx.entity::<Account>(accounts.1);
    let lock = ctx.lock_entities((&from, &to)).await?;
    from.change(-1).await?;
    to.change(1).await?;
    drop(lock);
    Ok(())
}

/// The time of each step of the long history. It is outside the history, so that reading it costs no turn.
static STEPS: Mutex<Vec<Instant>> = Mutex::new(Vec::new());

#[activity]
pub(crate) async fn note_time(step: u64) -> u64 {
    STEPS
        .lock()
        .expect("no thread panics while holding the lock")
        .push(Instant::now());
    step
}

/// An orchestration that calls `steps` activities in sequence, in one history.
#[orchestration]
pub(crate) async fn long(ctx: OrchestrationContext, steps: u64) -> Result<u64, Failure> {
    let mut sum = 0;
    for step in 0..steps {
        sum += ctx.call_activity::<note_time>(step).await?;
    }
    Ok(sum)
}

/// An orchestration that waits for as many sub-orchestrations, each within the one before. The last waits for an event.
#[orchestration]
pub(crate) async fn nested(ctx: OrchestrationContext, deep: u32) -> Result<(), Failure> {
    match deep.checked_sub(1) {
        Some(deep) => {
            let child = ctx.call_sub_orchestration::<nested>(deep);
            Ok(child.instance_id(format!("nested-{deep}")).await?)
        }
        None => Ok(ctx.wait_for_external_event::<()>("never").await?),
    }
}

/// Asks repeatedly why an orchestration waits that has a chain of `causes` others before it.
pub(crate) async fn reasons(directory: &Path, causes: u32, warm_up: Duration, measured: Duration) -> Load {
    let hub = hubs::open(directory).await;
    let client = hub.client();
    let start = client.start::<nested>(causes).instance_id(format!("nested-{causes}"));
    let run = start.await.expect("the start is acknowledged").untyped();
    let is_complete = |waiting: &Waiting| format!("{waiting:?}").contains("Event");
    while !run
        .waiting()
        .await
        .expect("the hub reads")
        .is_some_and(|waiting| is_complete(&waiting))
    {}
    let load = closed_loop(1, warm_up, measured, |_| {
        let run = run.clone();
        move || {
            let run = run.clone();
            async move { drop(run.waiting().await.expect("the hub reads")) }
        }
    })
    .await;
    hub.shutdown().await.expect("the hub closes");
    load
}

/// Runs one caller whose orchestrations each call a thousand activities concurrently.
pub(crate) async fn fans(directory: &Path, warm_up: Duration, measured: Duration) -> Load {
    let hub = hubs::open(directory).await;
    let client = hub.client();
    let load = closed_loop(1, warm_up, measured, |_| {
        let client = client.clone();
        let mut number = 0;
        move || {
            number += 1;
            let start = client.start::<fan>(FAN).instance_id(format!("fan-{number}"));
            async move {
                let run = start.await.expect("the start is acknowledged");
                assert_eq!(run.result().await.expect("the fan-out completes"), FAN * (FAN - 1) / 2);
            }
        }
    })
    .await;
    hub.shutdown().await.expect("the hub closes");
    load
}

/// Runs `callers` tasks that each move one cent between two random accounts and wait.
pub(crate) async fn transfers(
    place: impl Into<hubs::Place>,
    callers: usize,
    warm_up: Duration,
    measured: Duration,
) -> Load {
    let hub = hubs::open(place).await;
    let client = hub.client();
    let load = closed_loop(callers, warm_up, measured, |caller| {
        let client = client.clone();
        let mut random = Random::new(caller as u64);
        let mut number = 0;
        move || {
            number += 1;
            let from = random.below(ACCOUNTS);
            let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
            let start = client
                .start::<transfer>((from, to))
                .instance_id(format!("transfer-{caller}-{number}"));
            async move {
                let run = start.await.expect("the start is acknowledged");
                run.result().await.expect("the transfer completes");
            }
        }
    })
    .await;
    hub.shutdown().await.expect("the hub closes");
    load
}

/// The cost of a long history.
#[derive(Debug)]
pub(crate) struct LongHistory {
    /// The median time of all runs, from the start to the result.
    pub(crate) ms: f64,
    /// The median time of one step near step 100, over all runs.
    pub(crate) early_step_us: f64,
    /// The median time of one step near the last, over all runs.
    pub(crate) late_step_us: f64,
}

/// Runs `runs` orchestrations of `steps` activities in sequence.
pub(crate) async fn long_histories(directory: &Path, steps: u64, runs: usize) -> LongHistory {
    /// Wide enough for a median that one slow sync does not move.
    const WINDOW: usize = 100;
    let hub = hubs::open(directory).await;
    let client = hub.client();
    let (mut total_ms, mut early_us, mut late_us) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        STEPS.lock().expect("no thread panics while holding the lock").clear();
        let begin = Instant::now();
        let start = client.start::<long>(steps).instance_id(format!("long-{run}"));
        let handle = start.await.expect("the start is acknowledged");
        let sum = handle.result().await.expect("the orchestration completes");
        total_ms.push(begin.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(sum, steps * (steps - 1) / 2);
        let times = STEPS.lock().expect("no thread panics while holding the lock");
        let step_us: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e6)
            .collect();
        early_us.extend_from_slice(&step_us[100 - WINDOW / 2..100 + WINDOW / 2]);
        late_us.extend_from_slice(&step_us[step_us.len() - WINDOW..]);
    }
    hub.shutdown().await.expect("the hub closes");
    LongHistory {
        ms: median(total_ms),
        early_step_us: median(early_us),
        late_step_us: median(late_us),
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
