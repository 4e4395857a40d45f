//! Entities and orchestrations that misbehave.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abide::prelude::*;
use tokio::task::JoinSet;

use crate::campaign::{Course, Outcome, Share, run};

/// Number of clients that call the neighbors.
const CALLERS: u64 = 8;

/// Time of one measurement.
const SPAN: Duration = Duration::from_millis(1_500);

/// The 99th percentile that neighbors may have at any rate. Below it, the scheduler of a machine with few cores decides.
const FLOOR: Duration = Duration::from_millis(5);

/// Time after which an operation that hangs is stopped.
const TIMEOUT: Duration = Duration::from_millis(200);

/// Number of entities whose states an earlier build has written.
const EARLIER: u64 = 20;

/// Lets entities panic, hang, keep huge states, write states that they do not read and find such states, and lets
/// activities hang and panic, beside entities that do their work. Each misbehavior fails alone and says why, and the 99th
/// percentile of the neighbors is at most twice what it is without, in a release build.
pub(crate) fn poison(share: &Share) -> Outcome {
    run("poison", "hubs", share, |seed, course| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.expect("threads");
        let place = course.place();
        let hub = async { tokio::time::timeout(course.patience() * 4, one_hub(place.path(), course)).await };
        match runtime.block_on(hub) {
            Ok(Ok(())) => course.count(1),
            Ok(Err(what)) => course.violated(seed, place, &what),
            Err(_) => course.violated(seed, place, "an answer is missing"),
        }
        // Operations that hang are abandoned.
        runtime.shutdown_background();
    })
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Neighbor {
    count: u64,
}

#[operations]
impl Neighbor {
    pub fn add(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Poison {
    padding: String,
}

#[operations]
impl Poison {
    pub fn panic(&mut self) {
        self.padding.push('!');
        std::panic::resume_unwind(Box::new("on purpose"));
    }

    pub async fn hang(&mut self) {
        std::future::pending::<()>().await;
    }

    pub fn grow(&mut self, bytes: usize) -> usize {
        self.padding = "x".repeat(bytes);
        self.padding.len()
    }

    pub fn length(&self) -> usize {
        self.padding.len()
    }
}

/// The build before this one, whose states this build does not read.
mod earlier {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    #[entity(name = "changed")]
    pub(super) struct Changed {
        pub(super) value: String,
    }

    #[operations]
    impl Changed {
        pub fn set(&mut self, value: &str) {
            value.clone_into(&mut self.value);
        }
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
#[entity(name = "changed")]
struct Changed {
    value: u64,
}

#[operations]
impl Changed {
    pub fn add(&mut self) {
        self.value += 1;
    }
}

/// An entity whose state a build writes that no build reads.
#[derive(Entity, Default, Clone, Serialize)]
struct Unreadable {
    value: u64,
}

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u64::deserialize(deserializer)?;
        Ok(Self { value })
    }
}

#[operations]
impl Unreadable {
    pub fn set(&mut self, value: u64) {
        self.value = value;
    }
}

#[activity]
async fn hangs(_unit: ()) {
    std::future::pending::<()>().await;
}

#[activity]
async fn panics(_unit: ()) {
    std::panic::resume_unwind(Box::new("on purpose"));
}

#[orchestration]
async fn calls(ctx: OrchestrationContext, which: String) -> Result<(), Failure> {
    if which == "hangs" {
        ctx.call_activity::<hangs>(()).await?;
    }
    Ok(ctx.call_activity::<panics>(()).await?)
}

/// Lets the earlier build write its states.
async fn run_earlier_build(directory: &Path) -> abide::Result<()> {
    let hub = Hub::builder(directory).entity::<earlier::Changed>().open().await?;
    for key in 0..EARLIER {
        let changed = hub.client().entity::<earlier::Changed>(key);
        changed.set("a text instead of a number").await?;
    }
    hub.shutdown().await
}

async fn one_hub(place: &Path, course: &Course) -> Result<(), String> {
    let directory = place.join("hub");
    let earlier = run_earlier_build(&directory).await;
    earlier.map_err(|error| error.to_string())?;
    let hub = Hub::builder(directory)
        .operation_timeout(TIMEOUT)
        .entity::<Changed>()
        .entity::<Neighbor>()
        .entity::<Poison>()
        .entity::<Unreadable>()
        .activity::<hangs>()
        .activity::<panics>()
        .orchestration::<calls>()
        .open()
        .await;
    let hub = hub.map_err(|error| error.to_string())?;
    let client = hub.client();
    // The first calls fill the caches.
    neighbors(&client).await?;
    let mut alone = neighbors(&client).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut poisons = JoinSet::new();
    for kind in ["panic", "hang", "huge", "unreadable", "changed", "activities"] {
        poisons.spawn(misbehave(client.clone(), kind, is_over.clone()));
    }
    let mut beside = neighbors(&client).await?;
    // A machine that does other work for a moment gets one more chance.
    if beside > alone.max(FLOOR) * 2 && !cfg!(debug_assertions) {
        beside = beside.min(neighbors(&client).await?);
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = poisons.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    ends(&client).await?;
    hub.shutdown_within(Duration::from_millis(100))
        .await
        .map_err(|error| error.to_string())?;
    course.note("µs p99 of neighbors alone, in sum", alone.as_micros() as u64);
    course.note("µs beside poison", beside.as_micros() as u64);
    alone = alone.max(FLOOR);
    // Without optimizations, writing a huge state takes as long as hundreds of calls.
    if beside > alone * 2 && !cfg!(debug_assertions) {
        return Err(format!(
            "the neighbors' 99th percentile is {beside:?} beside poison, and {alone:?} without"
        ));
    }
    Ok(())
}

/// Calls entities for a while, and returns the 99th percentile of the times of the calls.
async fn neighbors(client: &Client) -> Result<Duration, String> {
    let mut callers = JoinSet::new();
    for key in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            let neighbor = client.entity::<Neighbor>(key);
            let begin = Instant::now();
            let mut times = Vec::new();
            let mut expected = neighbor.add().await.map_err(|error| error.to_string())?;
            while begin.elapsed() < SPAN {
                let called = Instant::now();
                expected += 1;
                match neighbor.add().await {
                    Ok(count) if count == expected => times.push(called.elapsed()),
                    other => return Err(format!("neighbor {key} answered {other:?} instead of {expected}")),
                }
            }
            Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(caller) = callers.join_next().await {
        times.extend(caller.map_err(|error| error.to_string())??);
    }
    times.sort_unstable();
    Ok(times[times.len() * 99 / 100])
}

/// Misbehaves in one way until the measurement is over. Returns what was not answered as promised.
async fn misbehave(client: Client, kind: &'static str, is_over: Arc<AtomicBool>) -> Result<(), String> {
    let mut turn = 0;
    while !is_over.load(Ordering::Relaxed) {
        turn += 1;
        let poison = client.entity::<Poison>(format!("{kind}-{turn}"));
        let answered = match kind {
            "panic" => error_kind(poison.panic().await),
            "hang" if turn % 8 == 0 => error_kind(poison.hang().await),
            "hang" => {
                poison.hang().signal().await.map_err(|error| error.to_string())?;
                Some(ErrorKind::TimedOut)
            }
            "huge" => {
                let length = poison.grow(1_000_000).await.map_err(|error| error.to_string())?;
                (length != 1_000_000).then_some(ErrorKind::Corrupted)
            }
            "unreadable" => {
                let set = client.entity::<Unreadable>(turn).set(7).await;
                error_kind(set)
            }
            "changed" => error_kind(client.entity::<Changed>(turn % EARLIER).add().await),
            _ => {
                let start = client.start::<calls>(if turn % 2 == 0 { "hangs" } else { "panics" }.to_owned());
                start.await.map(drop).map_err(|error| error.to_string())?;
                None
            }
        };
        let expected = match kind {
            "panic" => Some(ErrorKind::Panicked),
            "hang" => Some(ErrorKind::TimedOut),
            "changed" => Some(ErrorKind::Quarantined),
            "unreadable" => Some(ErrorKind::Serialization),
            _ => None,
        };
        if answered != expected {
            return Err(format!("{kind} answered {answered:?} instead of {expected:?}"));
        }
        // A huge state takes its time on the disk, which all entities share.
        let pause = if kind == "huge" { 200 } else { 20 };
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    if kind == "panic" {
        let length = client
            .entity::<Poison>("panic-1")
            .length()
            .await
            .map_err(|error| error.to_string())?;
        if length != 0 {
            return Err("an operation that panicked has changed its state".to_owned());
        }
    }
    Ok(())
}

/// Checks what has become of the entities that do not read their states, and of the orchestrations.
async fn ends(client: &Client) -> Result<(), String> {
    let told = |error: Error| error.to_string();
    let quarantined = client.admin().quarantined().await.map_err(told)?;
    // A short measurement has not called all of them.
    if quarantined.is_empty() || quarantined.len() > EARLIER as usize {
        return Err(format!("{} entities are quarantined", quarantined.len()));
    }
    for info in client
        .orchestrations()
        .page_size(1_000)
        .page()
        .await
        .map_err(told)?
        .items
    {
        let run = client.orchestration::<calls>(info.id.clone());
        match info.status {
            // The activity hangs until the process ends, or it has not begun yet.
            OrchestrationStatus::Pending | OrchestrationStatus::Running => {}
            OrchestrationStatus::Failed => {
                let failure = run
                    .result()
                    .await
                    .err()
                    .map(|error| error.to_string())
                    .unwrap_or_default();
                if !failure.contains("on purpose") {
                    return Err(format!("{} failed, but not as its activity did: {failure}", info.id));
                }
            }
            other => return Err(format!("{} is {other:?}", info.id)),
        }
    }
    let failed = client.orchestrations().status(OrchestrationStatus::Failed).count();
    if failed.await.map_err(told)? == 0 {
        return Err("no orchestration has failed, although its activity panics".to_owned());
    }
    Ok(())
}

fn error_kind<T, E: Into<Error>>(result: Result<T, E>) -> Option<ErrorKind> {
    result.err().map(|error| error.into().kind())
}
