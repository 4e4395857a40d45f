//! Entities and helpers that several tests share.
//!
//! A binary of its own includes this file with `#[path = "it/fixtures.rs"] mod fixtures;`.

#![allow(dead_code, reason = "each binary and each set of features uses a part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use abide::client::Stopped;
use abide::prelude::*;

/// Maximum time for a condition on a busy machine. It only affects how soon a failure is reported.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) n: u64,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: u64) -> u64 {
        self.n += n;
        self.n
    }
}

/// Keeps its notes in the order in which they arrive.
#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) notes: Vec<u32>,
}

#[operations]
impl Journal {
    pub fn note(&mut self, n: u32) -> usize {
        self.notes.push(n);
        self.notes.len()
    }
}

#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shelf {
    pub(crate) books: u32,
}

#[operations]
impl Shelf {
    pub fn put(&mut self) -> u32 {
        self.books += 1;
        self.books
    }
}

/// Polls until `found` returns a value.
pub(crate) async fn eventually<T>(found: impl AsyncFn() -> Option<T>) -> T {
    let polled = async {
        loop {
            if let Some(value) = found().await {
                break value;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polled)
        .await
        .expect("the condition holds in time")
}

/// Polls until a condition holds. It needs no timer between two polls: an operation of a test may block the thread that
/// would drive the timers.
pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    let polled = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, polled)
        .await
        .expect("the condition holds in time");
}

/// Waits until an orchestration sets the custom status `waiting`.
pub(crate) async fn until_it_waits(run: &OrchestrationHandle) {
    until(async || {
        let info = run.status().await.unwrap().unwrap();
        info.custom_status.as_deref() == Some("\"waiting\"")
    })
    .await;
}

/// Waits until an orchestration stops, and returns the reason. Panics if it ends instead.
pub(crate) async fn until_it_stops(run: &OrchestrationHandle) -> Stopped {
    eventually(async || {
        let info = run.status().await.unwrap().unwrap();
        assert!(!info.status.is_terminal(), "the orchestration ended: {info:?}");
        if info.stopped.is_some() {
            assert_eq!(info.status, OrchestrationStatus::Running, "{info:?}");
        }
        info.stopped
    })
    .await
}

/// Polls a future once.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Returns the error of the runtime for a call that did not reach the operation, or whose operation did not return.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, CallError>) -> Error {
    answer.unwrap_err().into_returned().unwrap_err()
}

/// Asserts the kind of an error, and that its text contains all of `texts`.
#[track_caller]
pub(crate) fn assert_error(error: &Error, kind: ErrorKind, texts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for text in texts {
        assert!(error.to_string().contains(text), "`{text}` is not in: {error}");
    }
}

/// Returns every file below `directory` with its contents. Folders are listed with empty contents.
pub(crate) fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
            files.insert(path, Vec::new());
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

/// Returns a pseudorandom number below `bound`.
pub(crate) fn draw(seed: &mut u64, bound: usize) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) as usize % bound
}
