//! The closed loop: N callers, each with one request in flight, who ask again as soon as they are answered.

use std::future::Future;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// What a closed loop saw between the end of the warm-up and the end of the measurement.
#[derive(Debug)]
pub(crate) struct Load {
    /// All answers, those of the warm-up and the last ones after the end too.
    answers: u64,
    window: Duration,
    /// The answers within the measured time.
    latency_ns: Histogram<u64>,
}

impl Load {
    pub(crate) fn per_s(&self) -> f64 {
        self.latency_ns.len() as f64 / self.window.as_secs_f64()
    }

    /// The latency in microseconds below which `share` of the requests stayed.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        self.latency_ns.value_at_quantile(share) as f64 / 1_000.0
    }

    /// How many requests were made in all, whether they were measured or not.
    pub(crate) fn requests(&self) -> u64 {
        self.answers
    }
}

/// An empty histogram of nanoseconds, up to a minute with two significant digits.
///
/// Two digits keep it at some tens of KiB, so that a thousand callers can each own one and share nothing.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are valid")
}

/// Runs `callers` tasks for `warm_up` and then for `measured`.
///
/// `caller` is asked once for each task and gives what makes that task's requests. A request counts if its answer came
/// within the measured time; its latency is the time since the same caller's last answer, which includes whatever the
/// runtime took to get back to the caller.
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
