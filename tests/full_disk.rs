//! A full disk: the hub reports the error to every request, acknowledges nothing more, and continues when it is opened
//! with free space.
//!
//! The worker runs with a limit on the size of its files, so that its writes fail like on a full disk without root.
//!
//! See docs/src/guarantees.md, "Durability".
#![cfg(feature = "rocksdb")]

mod worker;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use abide::Error;
use abide::prelude::*;
use worker::Worker;

const TASKS: u64 = 8;

#[derive(Entity, Default, Clone, Debug, Serialize, Deserialize)]
struct Journal {
    notes: Vec<u64>,
    page: String,
}

#[operations]
impl Journal {
    pub fn note(&mut self, n: u64, page: &str) {
        self.notes.push(n);
        page.clone_into(&mut self.page);
    }

    pub async fn note_slowly(&mut self, n: u64, page: &str) {
        tokio::task::yield_now().await;
        self.note(n, page);
    }

    pub async fn never(&mut self) {
        std::future::pending::<()>().await;
    }
}

async fn open(directory: &Path) -> abide::Result<Hub> {
    Hub::builder(directory).entity::<Journal>().open().await
}

#[test]
fn worker() {
    if let Some((_, directory)) = worker::role() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.unwrap().block_on(fill(&directory));
    }
}

/// The worker: many tasks write in every form until they fail, and report what was acknowledged and the error.
async fn fill(directory: &Path) {
    let hub = open(directory).await.unwrap();
    let client = hub.client();
    // This call waits for a running operation when the disk is full.
    let busy = client.entity::<Journal>("busy");
    let never = tokio::spawn(busy.never());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(write(client.clone(), task)))
        .collect();
    for task in tasks {
        report("writer", &task.await.unwrap());
    }
    report("waiting call", &never.await.unwrap().unwrap_err().into());
    // Later requests fail with the same error at once, and so do reads.
    let late = client.entity::<Journal>("late");
    report("call", &late.note(0, "").await.unwrap_err().into());
    report("signal", &late.note(0, "").signal().await.unwrap_err());
    report("state", &late.state().await.unwrap_err());
    report("count", &client.entities().count().await.unwrap_err());
    report(
        "checkpoint",
        &hub.checkpoint(directory.with_extension("copy")).await.unwrap_err(),
    );
    report("shutdown", &hub.shutdown().await.unwrap_err());
}

/// Writes until a write fails and returns the error.
async fn write(client: Client, task: u64) -> Error {
    let journal = client.entity::<Journal>(task);
    let page = "x".repeat(2_000);
    for n in 0.. {
        let written = match task % 3 {
            0 => journal.note(n, &page).signal().await,
            1 => journal.note(n, &page).await.map_err(Error::from),
            _ => journal.note_slowly(n, &page).await.map_err(Error::from),
        };
        match written {
            Ok(()) => worker::report(format!("acknowledged {task} {n}")),
            Err(error) => return error,
        }
    }
    unreachable!("the disk becomes full")
}

fn report(source: &str, error: &Error) {
    worker::report(format!("{source}: {:?}: {error}", error.kind()));
}

/// Starts the worker with a limit of `kib` KiB per file.
fn worker_with_room_for(kib: usize, directory: &Path) -> Worker {
    let command = Worker::command("fill", directory);
    // The signal stays ignored after `exec`, so a write over the limit fails with an error instead.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(script)
        .arg(command.get_program())
        .args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Worker::spawn(&mut limited)
}

/// When the disk fills up, every kind of request fails with an error that names the way out. When the hub is opened
/// with free space, it has everything that was acknowledged and works.
#[test]
fn a_full_disk_poisons_the_hub_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for kib in [600, 900, 1_500] {
        let mut worker = worker_with_room_for(kib, &path);
        let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
        let mut refused = Vec::new();
        while let Some(line) = worker.next_report() {
            match line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' ')) {
                Some((task, n)) => drop(acknowledged.insert(task.parse().unwrap(), n.parse().unwrap())),
                None => refused.push(line),
            }
        }
        assert!(worker.wait().success(), "{refused:#?}");
        assert_eq!(refused.len(), TASKS as usize + 7, "{refused:#?}");
        for line in &refused {
            for text in [
                ": Poisoned: ",
                "so the hub has stopped",
                "open the hub again",
                "File too large",
            ] {
                assert!(line.contains(text), "`{text}` is not in: {line}");
            }
        }
        assert!(acknowledged.len() > 1, "the disk was full too soon");
        runtime.block_on(async {
            let hub = open(&path).await.unwrap();
            let client = hub.client();
            for task in 0..TASKS {
                let state = client
                    .entity::<Journal>(task)
                    .state()
                    .await
                    .unwrap()
                    .unwrap_or_default();
                let runs: Vec<&[u64]> = state.notes.chunk_by(|a, b| a.checked_add(1) == Some(*b)).collect();
                let run = runs.last().copied().unwrap_or_default();
                let there = run.last().copied();
                assert!(there >= acknowledged.get(&task).copied(), "task {task}: {there:?}");
                assert!(run.is_empty() || run[0] == 0, "task {task}: {:?}", state.notes);
                client.entity::<Journal>(task).note(u64::MAX, "").await.unwrap();
            }
            // The operation that was running when the disk became full never ends. The shutdown abandons it.
            hub.shutdown_within(Duration::ZERO).await.unwrap();
        });
    }
}
