//! The metrics that a hub records through the facade of the crate [`metrics`](https://docs.rs/metrics).
//!
//! [`CATALOG`] lists all of them, with kind, unit, labels and meaning. The page *Metrics* of the book shows the same
//! table, with a dashboard and alert rules.
//!
//! A recorder must be installed before the hub opens, because a hub looks its metrics up once. For Prometheus:
//!
//! ```ignore
//! let metrics = PrometheusBuilder::new()
//!     .with_recommended_naming(true)
//!     .set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), abide::metrics::SECONDS_BUCKETS)?
//!     .install_recorder()?;
//! ```

use ::metrics::{Counter, Gauge, Histogram, Label, Unit};

/// A metric that a hub records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name, such as `abide.sync.seconds`. Prometheus shows it as `abide_sync_seconds`.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// The unit.
    pub unit: MetricUnit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The meaning.
    pub description: &'static str,
}

/// The kind of a [`Metric`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// A number that only grows.
    Counter,
    /// A number that changes in both directions.
    Gauge,
    /// A distribution.
    Histogram,
}

/// The unit of a [`Metric`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricUnit {
    /// A number of things.
    Count,
    /// Seconds. The name of the metric ends in `.seconds`.
    Seconds,
}

impl Metric {
    const fn new(name: &'static str, kind: MetricKind, unit: MetricUnit, description: &'static str) -> Self {
        Self {
            name,
            kind,
            unit,
            labels: &[],
            description,
        }
    }

    const fn counter(name: &'static str, description: &'static str) -> Self {
        Self::new(name, MetricKind::Counter, MetricUnit::Count, description)
    }

    const fn gauge(name: &'static str, description: &'static str) -> Self {
        Self::new(name, MetricKind::Gauge, MetricUnit::Count, description)
    }

    const fn counts(name: &'static str, description: &'static str) -> Self {
        Self::new(name, MetricKind::Histogram, MetricUnit::Count, description)
    }

    const fn seconds(name: &'static str, description: &'static str) -> Self {
        Self::new(name, MetricKind::Histogram, MetricUnit::Seconds, description)
    }

    const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// Looks up the counter with these values of its labels.
    pub(crate) fn to_counter(self, values: &[&str]) -> Counter {
        ::metrics::counter!(self.name, self.labelled(values))
    }

    /// Looks up the gauge with these values of its labels.
    pub(crate) fn to_gauge(self, values: &[&str]) -> Gauge {
        ::metrics::gauge!(self.name, self.labelled(values))
    }

    /// Looks up the histogram with these values of its labels.
    pub(crate) fn to_histogram(self, values: &[&str]) -> Histogram {
        ::metrics::histogram!(self.name, self.labelled(values))
    }

    fn labelled(self, values: &[&str]) -> Vec<Label> {
        debug_assert_eq!(self.labels.len(), values.len(), "the labels of {}", self.name);
        let labels = self.labels.iter().zip(values);
        labels
            .map(|(name, value)| Label::new(*name, (*value).to_owned()))
            .collect()
    }
}

/// Upper bounds of histogram buckets that suit every metric in seconds: from 100 µs to a day.
pub const SECONDS_BUCKETS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 3_600.0, 86_400.0,
];

/// Declares the metrics and [`CATALOG`].
macro_rules! catalog {
    ($($constant:ident = $metric:expr;)*) => {
        $(pub(crate) const $constant: Metric = $metric;)*

        /// All metrics that a hub records.
        pub const CATALOG: &[Metric] = &[$($constant),*];
    };
}

catalog! {
    COMMITS = Metric::counter("abide.commits", "Commits.");
    COMMIT_CHANGES = Metric::counts("abide.commit.changes", "Changes of rows in one commit.");
    COMMIT_SECONDS = Metric::seconds(
        "abide.commit.seconds",
        "Duration of writing one commit to the log's buffer and to memory. It grows when the disk or RocksDB is behind.",
    );
    SYNC_SECONDS = Metric::seconds("abide.sync.seconds", "Duration of one sync of the log to disk.");
    GATE_OUTPUTS = Metric::gauge(
        "abide.gate.outputs",
        "Replies, starts of activities and other outputs that wait for a sync.",
    );
    STEP_SECONDS = Metric::seconds(
        "abide.step.seconds",
        "Duration of one step: all turns whose effects become one commit.",
    );
    TURNS = Metric::counter("abide.turns", "Turns. A turn processes the waiting messages of one instance.");
    TURNS_HANGING = Metric::counter("abide.turns.hanging", "Turns that have run for more than five seconds.");
    OPERATIONS = Metric::counter("abide.operations", "Operations of entities, and messages to orchestrations.");
    OPERATIONS_FAILED = Metric::counter("abide.operations.failed", "Operations that failed and were rolled back.");
    ORCHESTRATION_TURN_SECONDS = Metric::seconds(
        "abide.orchestration.turn.seconds",
        "Duration of the code of an orchestration in one turn, without replays.",
    ).by(&["orchestration"]);
    MESSAGES_QUEUED = Metric::gauge("abide.messages.queued", "Messages that wait for an executor.").by(&["executor"]);
    INSTANCES_WAITING = Metric::gauge("abide.instances.waiting", "Instances with waiting messages.").by(&["executor"]);
    QUEUE_AGE_SECONDS = Metric::seconds(
        "abide.queue.age.seconds",
        "Time for which the oldest message of a step has waited until it was processed. Messages from before the open \
         count from the open.",
    );
    ENTITIES_IN_MEMORY = Metric::gauge("abide.entities.in_memory", "Cached entities.").by(&["executor"]);
    ORCHESTRATIONS_IN_MEMORY =
        Metric::gauge("abide.orchestrations.in_memory", "Cached orchestrations.").by(&["executor"]);
    STATES_LOADED = Metric::counter("abide.states.loaded", "States of entities that were read from the store.");
    ORCHESTRATIONS_REPLAYED = Metric::counter(
        "abide.orchestrations.replayed",
        "Orchestrations that were restored from their histories.",
    );
    TIMERS_FIRED = Metric::counter("abide.timers.fired", "Timers, scheduled signals and scheduled starts that fired.");
    TIMER_LATENESS_SECONDS = Metric::seconds(
        "abide.timer.lateness.seconds",
        "Time by which the latest timer of a step was late.",
    );
    DEAD_LETTERS = Metric::counter("abide.dead_letters", "Messages that became dead letters.");
    ORCHESTRATIONS_STARTED =
        Metric::counter("abide.orchestrations.started", "Executions that began.").by(&["orchestration"]);
    ORCHESTRATION_START_SECONDS = Metric::seconds(
        "abide.orchestration.start.seconds",
        "Time from the request to start an orchestration, or from the timer of a scheduled start, until its first turn.",
    ).by(&["orchestration"]);
    ORCHESTRATIONS_ENDED =
        Metric::counter("abide.orchestrations.ended", "Orchestrations that ended.").by(&["orchestration", "status"]);
    ORCHESTRATION_SECONDS = Metric::seconds(
        "abide.orchestration.seconds",
        "Time from the creation of an orchestration until its end.",
    ).by(&["orchestration", "status"]);
    ORCHESTRATIONS_RETRIED = Metric::counter(
        "abide.orchestrations.retried",
        "Second and later attempts of sub-orchestrations.",
    ).by(&["orchestration"]);
    ORCHESTRATIONS_STOPPED = Metric::counter(
        "abide.orchestrations.stopped",
        "Stops of orchestrations whose code cannot continue.",
    ).by(&["orchestration", "kind"]);
    ACTIVITIES_STARTED = Metric::counter("abide.activities.started", "Attempts that started.").by(&["activity"]);
    ACTIVITIES_RUNNING = Metric::gauge("abide.activities.running", "Attempts that run.").by(&["activity"]);
    ACTIVITIES_ENDED = Metric::counter("abide.activities.ended", "Attempts that ended.").by(&["activity", "outcome"]);
    ACTIVITIES_RETRIED = Metric::counter("abide.activities.retried", "Second and later attempts.").by(&["activity"]);
    ACTIVITY_WAIT_SECONDS = Metric::seconds(
        "abide.activity.wait.seconds",
        "Time from the request of an attempt until it starts: the wait for a slot and for a sync. Attempts from before \
         the open count from the open.",
    ).by(&["activity"]);
    ACTIVITY_SECONDS = Metric::seconds("abide.activity.seconds", "Duration of one attempt.").by(&["activity"]);
    HUB_FAILED = Metric::counter("abide.hub.failed", "Failures of a write or a sync, after which the hub is stopped.");
}

/// Describes all metrics to the recorder, and begins the counters of rare events at 0, so that the first event is an
/// increase.
pub(crate) fn register() {
    for metric in CATALOG {
        let unit = match metric.unit {
            MetricUnit::Count => Unit::Count,
            MetricUnit::Seconds => Unit::Seconds,
        };
        let (name, description) = (metric.name, metric.description);
        match metric.kind {
            MetricKind::Counter => ::metrics::describe_counter!(name, unit, description),
            MetricKind::Gauge => ::metrics::describe_gauge!(name, unit, description),
            MetricKind::Histogram => ::metrics::describe_histogram!(name, unit, description),
        }
    }
    for rare in [HUB_FAILED, TURNS_HANGING] {
        rare.to_counter(&[]).increment(0);
    }
}
