//! A metrics recorder that panics. It is the recorder of the whole process, so this file has a single test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abide::prelude::*;
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::time::timeout;

/// Whether the recorder panics.
static BROKEN: AtomicBool = AtomicBool::new(false);

/// Panics at the next sync once [`BROKEN`] is set.
struct Fragile;

struct Syncs;

impl HistogramFn for Syncs {
    fn record(&self, _: f64) {
        assert!(!BROKEN.load(Ordering::SeqCst), "the recorder is broken");
    }
}

impl Recorder for Fragile {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        assert!(
            !BROKEN.load(Ordering::SeqCst) || key.name() != "abide.hub.failed",
            "the recorder is broken"
        );
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if key.name() == "abide.sync.seconds" {
            return Histogram::from_arc(Arc::new(Syncs));
        }
        Histogram::noop()
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Counted {
    n: u32,
}

#[operations]
impl Counted {
    pub fn add(&mut self) -> u32 {
        self.n += 1;
        self.n
    }
}

/// A recorder that panics in the sync thread stops the hub. Every waiting client receives an error, and the shutdown
/// completes.
#[tokio::test]
async fn a_panicking_recorder_stops_the_hub_and_no_client_hangs() {
    metrics::set_global_recorder(Fragile).ok().unwrap();
    let hub = Hub::in_memory().entity::<Counted>().open().await.unwrap();
    let client = hub.client();
    assert_eq!(client.entity::<Counted>("a").add().await.unwrap(), 1);
    BROKEN.store(true, Ordering::SeqCst);
    let mut calls = tokio::task::JoinSet::new();
    for key in 0..20 {
        calls.spawn(client.entity::<Counted>(key).add().into_future());
    }
    while let Some(answer) = timeout(Duration::from_secs(30), calls.join_next())
        .await
        .expect("every call completes")
    {
        answer.unwrap().unwrap_err();
    }
    let ended = timeout(Duration::from_secs(30), hub.shutdown())
        .await
        .expect("the shutdown completes");
    let error = ended.unwrap_err();
    assert!(error.to_string().contains("the recorder is broken"), "{error}");
}
