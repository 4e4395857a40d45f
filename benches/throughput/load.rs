//! The closed loop: N callers with one request in flight each, which send the next one as soon as it completes.

use std::future::Future;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// The measurements of a closed loop.
#[derive(Debug)]
pub(crate) struct Load {
    /// Number of all answers, including those of the warm-up and those after the end.
    answers: u64,
    window: Duration,
    /// The latencies of the answers within the measured time.
    latency_ns: Histogram<u64>,
}

impl Load {
    pub(crate) fn per_s(&self) -> f64 {
        self.latency_ns.len() as f64 / self.window.as_secs_f64()
    }

    /// The latency in microseconds at quantile `share`.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        self.latency_ns.value_at_quantile(share) as f64 / 1_000.0
    }

    /// Total number of requests, measured or not.
    pub(crate) fn requests(&self) -> u64 {
        self.answers
    }
}

/// Returns an empty histogram of nanoseconds, up to a minute with two significant digits.
///
/// With two digits it takes some tens of KiB, so that each of a thousand callers can have its own.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are valid")
}

/// Runs `callers` tasks for `warm_up` and then for `measured`.
///
/// `caller` is called once per task and returns the closure that makes the requests of the task. A request counts if
/// its answer arrives within the measured time. Its latency is the time since the previous answer to the same caller,
/// which includes the time the runtime takes to poll the caller again.
pub(crate) async fn closed_loop<C, R>(
    callers: usize,
    warm_up: Duration,
    measured: Duration,
    mut caller: impl FnMut(usize) -> C,
) -> Load
where
    C: FnMut() -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let begin = Instant::now() + warm_up;
    let end = begin + measured;
    let mut tasks = JoinSet::new();
    for number in 0..callers {
        let mut request = caller(number);
        tasks.spawn(async move {
            let mut latency_ns = histogram();
            let mut answers = 0;
            let mut asked = Instant::now();
            while asked < end {
                request().await;
                let answered = Instant::now();
                answers += 1;
                if answered >= begin && answered < end {
                    latency_ns.saturating_record(u64::try_from((answered - asked).as_nanos()).unwrap_or(u64::MAX));
                }
                asked = answered;
            }
            (answers, latency_ns)
        });
    }
    let (mut answers, mut latency_ns) = (0, histogram());
    for (of_caller, latencies_ns) in tasks.join_all().await {
        answers += of_caller;
        latency_ns
            .add(latencies_ns)
            .expect("all histograms have the same bounds");
    }
    Load {
        answers,
        window: measured,
        latency_ns,
    }
}
