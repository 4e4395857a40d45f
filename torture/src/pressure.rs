//! More work than there is room for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use abide::prelude::*;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::campaign::{Course, Outcome, Share, run};

/// The memory budget of the hub.
const BUDGET: usize = 64 << 20;

/// Number of entities that are busy while messages arrive.
const BUSY: u64 = 200;

/// Number of orchestrations whose activities are slow, and of clients that do not read their answers.
const SLOW: u64 = 500;

/// Time after which everything has to be done.
const RECOVERY: Duration = Duration::from_secs(60);

/// Sends messages to busy entities, a million by default, while activities are slow and clients do not read their
/// answers. The memory stays within its budget and ten percent, and a minute after the entities are free, everything is
/// done.
pub(crate) fn pressure(share: &Share) -> Outcome {
    let messages = share.cycles().unwrap_or(1_000_000);
    run("pressure", "messages", share, |seed, course| {
        one_hub(seed, messages, course)
    })
}

fn one_hub(seed: u64, messages: u64, course: &Course) {
    let place = course.place();
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command.arg("pressed").arg(place.path()).arg(messages.to_string());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.expect("this program starts again");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let numbers = if output.status.success() { numbers } else { Vec::new() };
    let [idle, peak, millis] = numbers[..] else {
        return course.violated(
            seed,
            place,
            &format!("the process ended with {}: {text}", output.status),
        );
    };
    course.count(messages);
    let used = peak.saturating_sub(idle);
    course.note("MiB above idle", used >> 20);
    course.note("ms of recovery", millis);
    if used as usize > BUDGET / 10 * 11 {
        let what = format!(
            "{} MiB above idle, although the budget is {} MiB",
            used >> 20,
            BUDGET >> 20
        );
        course.violated(seed, place, &what);
    } else if Duration::from_millis(millis) > RECOVERY {
        course.violated(seed, place, &format!("the recovery took {millis} ms"));
    }
}

/// Entities are busy until this has a permit.
static FREE: Semaphore = Semaphore::const_new(0);

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Sink {
    count: u64,
}

#[operations]
impl Sink {
    pub async fn be_busy(&mut self) {
        let _permit = FREE.acquire().await;
    }

    pub fn take(&mut self, text: &str) -> usize {
        self.count += 1;
        text.len()
    }
}

#[activity]
async fn slow(_unit: ()) {
    let _permit = FREE.acquire().await;
}

#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.call_activity::<slow>(()).await?)
}

/// The process under pressure. Prints its memory when idle and its peak, in bytes, and the time of the recovery in
/// milliseconds.
pub(crate) fn pressed(place: &Path, messages: u64) -> ! {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime.expect("threads").block_on(press(place.join("hub"), messages)) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1)
        }
    }
}

async fn press(directory: PathBuf, messages: u64) -> abide::Result<()> {
    let hub = Hub::builder(directory)
        .entity::<Sink>()
        .activity::<slow>()
        .orchestration::<waits>()
        .memory_budget(BUDGET)
        .queue_limit(usize::MAX)
        .operation_timeout(Duration::from_secs(3_600))
        .open()
        .await?;
    let client = hub.client();
    client.entity::<Sink>("first").take("").await?;
    let idle = memory();
    let peak = watch_memory();
    for key in 0..BUSY {
        client.entity::<Sink>(key).be_busy().signal().await?;
    }
    let mut unread = Vec::new();
    for key in 0..SLOW {
        client.start::<waits>(()).await?;
        // The answer of a call that is sent and not read.
        let client = client.clone();
        unread.push(tokio::spawn(async move {
            client.entity::<Sink>(key % BUSY).take("unread").await
        }));
    }
    let senders = 64;
    let text = "x".repeat(400);
    let mut sending = JoinSet::new();
    for sender in 0..senders {
        let (client, text) = (client.clone(), text.clone());
        sending.spawn(async move {
            for n in (sender..messages).step_by(senders as usize) {
                client.entity::<Sink>(n % BUSY).take(&text).signal().await?;
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent.expect("a sender does not panic")?;
    }
    let begin = Instant::now();
    FREE.close();
    for unread in unread {
        unread.await.expect("a caller does not panic")?;
    }
    hub.idle().await?;
    let recovery = begin.elapsed();
    let mut count = 0;
    for key in 0..BUSY {
        count += client.entity::<Sink>(key).state().await?.unwrap_or_default().count;
    }
    assert_eq!(count, messages + SLOW, "every message was processed once");
    let completed = client
        .orchestrations()
        .status(OrchestrationStatus::Completed)
        .count()
        .await?;
    assert_eq!(completed, SLOW, "every orchestration has completed");
    let peak = peak.load(Ordering::Relaxed);
    hub.shutdown().await?;
    assert!(idle > 0 && peak > 0, "this system tells the memory of a process");
    println!("{idle} {peak} {}", recovery.as_millis());
    Ok(())
}

/// Returns the largest memory of this process from now on. A thread measures it until the process ends.
fn watch_memory() -> &'static AtomicU64 {
    static PEAK: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(|| {
        loop {
            PEAK.fetch_max(memory(), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    &PEAK
}

/// Returns the memory of this process in bytes, without the pages of the program itself.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon"))
        .unwrap_or_default();
    let kilobytes = line
        .split_whitespace()
        .nth(1)
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}
