//! The closed loop: N callers with one request in flight each, which send the next one as soon as it completes.

use std::future::Future;
use std::sync::{Arc, Mutex};
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
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are valid")
}

/// Number of latencies that a caller collects before it adds them to the histogram of all callers.
const COLLECTED: usize = 64;

/// The latencies of one caller.
///
/// They reach the common histogram many at a time. With a histogram for each of a thousand callers, adding a latency
/// misses the cache, which takes up to a tenth of the time of a call.
struct Latencies {
    all: Arc<Mutex<Histogram<u64>>>,
    collected_ns: Vec<u64>,
}

impl Latencies {
    fn add(&mut self, latency: Duration) {
        let latency_ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.collected_ns.push(latency_ns);
        if self.collected_ns.len() == COLLECTED {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut all = self.all.lock().expect("no caller panics while it adds latencies");
        for latency_ns in self.collected_ns.drain(..) {
            all.saturating_record(latency_ns);
        }
    }
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
    let all = Arc::new(Mutex::new(histogram()));
    let mut tasks = JoinSet::new();
    for number in 0..callers {
        let mut request = caller(number);
        let mut latencies = Latencies {
            all: Arc::clone(&all),
            collected_ns: Vec::with_capacity(COLLECTED),
        };
        tasks.spawn(async move {
            let mut answers = 0;
            let mut asked = Instant::now();
            while asked < end {
                request().await;
                let answered = Instant::now();
                answers += 1;
                if answered >= begin && answered < end {
                    latencies.add(answered - asked);
                }
                asked = answered;
            }
            latencies.flush();
            answers
        });
    }
    let answers = tasks.join_all().await.into_iter().sum();
    let latency_ns = all.lock().expect("no caller panics while it adds latencies").clone();
    Load {
        answers,
        window: measured,
        latency_ns,
    }
}
