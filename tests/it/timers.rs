//! Scheduled signals under load on a complete hub.

use std::time::{Duration, Instant};

use abide::client::Cancellation;
use abide::prelude::*;

const ENTITIES: u64 = 8;
const ROUNDS: u64 = 10;
const SIGNALS: u64 = 500;

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Meter {
    ticks: u64,
}

#[operations]
impl Meter {
    /// Schedules many signals to the meters in rotation, with short delays.
    pub fn spread(&mut self, ctx: &mut EntityContext, seed: u64) {
        for n in 0..SIGNALS {
            let to = format!("m{}", (seed + n) % ENTITIES);
            let soon = Duration::from_millis(1 + (seed + n * 5) % 7);
            ctx.entity::<Meter>(&to).tick().signal_after(soon);
        }
    }

    pub fn tick(&mut self) {
        self.ticks += 1;
    }

    pub fn ticks(&self) -> u64 {
        self.ticks
    }
}

/// Several executors set timers for each other that become due while the pages of due timers are full. All of them fire
/// before the hub closes.
#[tokio::test(flavor = "multi_thread")]
async fn every_scheduled_signal_fires_in_the_same_life() {
    let hub = Hub::in_memory().executors(4).entity::<Meter>().open().await.unwrap();
    let client = hub.client();
    for round in 0..ROUNDS {
        for n in 0..ENTITIES {
            client
                .entity::<Meter>(format!("m{n}"))
                .spread(round * ENTITIES + n)
                .signal()
                .await
                .unwrap();
        }
    }
    let expected = ENTITIES * ROUNDS * SIGNALS;
    // A busy machine may be slow, but timers have to fire continuously.
    let patience = Duration::from_secs(30);
    let (mut fired, mut since) = (0, Instant::now());
    loop {
        let mut ticks = 0;
        for n in 0..ENTITIES {
            ticks += client.entity::<Meter>(format!("m{n}")).ticks().await.unwrap();
        }
        assert!(ticks <= expected, "{ticks} of {expected} signals fired");
        if ticks == expected {
            break;
        }
        if ticks > fired {
            (fired, since) = (ticks, Instant::now());
        }
        assert!(since.elapsed() < patience, "only {ticks} of {expected} signals fired");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hub.shutdown().await.unwrap();
}

/// A scheduled signal accepts every valid request ID, and a retry returns the same timer.
#[tokio::test]
async fn a_request_id_of_any_length_schedules_once() {
    let hub = Hub::in_memory().entity::<Meter>().open().await.unwrap();
    let client = hub.client();
    let meter = client.entity::<Meter>("m");
    let hour = Duration::from_secs(3_600);
    for length in [1, 512] {
        let schedule = || meter.tick().request_id("r".repeat(length)).signal_after(hour);
        let first = schedule().await.unwrap();
        assert_eq!(schedule().await.unwrap(), first);
        assert_eq!(meter.cancel_signal(&first).await.unwrap(), Cancellation::Canceled);
    }
    let error = meter
        .tick()
        .request_id("r".repeat(513))
        .signal_after(hour)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the request id"), "{error}");
    hub.shutdown().await.unwrap();
}
