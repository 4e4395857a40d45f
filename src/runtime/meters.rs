//! The metrics of executors and activities. They are looked up once, so a recorder must be installed before the hub is
//! opened.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use crate::engine::{CoreStep, Counts, Fact, Registry, Sizes};
use crate::metrics as catalog;
use crate::model::orchestration::{OrchestrationStatus, StopKind};

/// The label of orchestrations whose name is not registered. Names come from clients, so they must not become labels.
const UNREGISTERED: &str = "unregistered";

/// The metrics of one executor.
pub(crate) struct ExecutorMeters {
    queued: Gauge,
    waiting_instances: Gauge,
    entities_in_memory: Gauge,
    orchestrations_in_memory: Gauge,
    step_seconds: Histogram,
    commits: Counter,
    commit_changes: Histogram,
    commit_seconds: Histogram,
    turns: Counter,
    operations: Counter,
    failures: Counter,
    loads: Counter,
    replays: Counter,
    timers_fired: Counter,
    dead_letters: Counter,
    queue_age: Histogram,
    lateness: Histogram,
    orchestrations: HashMap<String, OrchestrationMeters>,
    retried_activities: HashMap<String, Counter>,
}

/// The metrics of the orchestrations of one name.
struct OrchestrationMeters {
    started: Counter,
    start_seconds: Histogram,
    ended: Vec<(OrchestrationStatus, Counter, Histogram)>,
    stopped: Vec<(StopKind, Counter)>,
    retried: Counter,
}

impl ExecutorMeters {
    pub(crate) fn new(executor: usize) -> Self {
        let executor = executor.to_string();
        Self {
            queued: catalog::MESSAGES_QUEUED.to_gauge(&[&executor]),
            waiting_instances: catalog::INSTANCES_WAITING.to_gauge(&[&executor]),
            entities_in_memory: catalog::ENTITIES_IN_MEMORY.to_gauge(&[&executor]),
            orchestrations_in_memory: catalog::ORCHESTRATIONS_IN_MEMORY.to_gauge(&[&executor]),
            step_seconds: catalog::STEP_SECONDS.to_histogram(&[]),
            commits: catalog::COMMITS.to_counter(&[]),
            commit_changes: catalog::COMMIT_CHANGES.to_histogram(&[]),
            commit_seconds: catalog::COMMIT_SECONDS.to_histogram(&[]),
            turns: catalog::TURNS.to_counter(&[]),
            operations: catalog::OPERATIONS.to_counter(&[]),
            failures: catalog::OPERATIONS_FAILED.to_counter(&[]),
            loads: catalog::STATES_LOADED.to_counter(&[]),
            replays: catalog::ORCHESTRATIONS_REPLAYED.to_counter(&[]),
            timers_fired: catalog::TIMERS_FIRED.to_counter(&[]),
            dead_letters: catalog::DEAD_LETTERS.to_counter(&[]),
            queue_age: catalog::QUEUE_AGE_SECONDS.to_histogram(&[]),
            lateness: catalog::TIMER_LATENESS_SECONDS.to_histogram(&[]),
            orchestrations: HashMap::new(),
            retried_activities: HashMap::new(),
        }
    }

    /// Records the current load: the number of queued messages and of instances in memory.
    pub(crate) fn load(&self, queued: usize, sizes: Sizes) {
        self.queued.set(queued as f64);
        self.waiting_instances.set(sizes.mailboxes as f64);
        self.entities_in_memory.set(sizes.entities as f64);
        self.orchestrations_in_memory.set(sizes.orchestrations as f64);
    }

    /// Records one step, and the commit that follows if the step has changed anything.
    pub(crate) fn step(&mut self, step: &CoreStep, took: Duration, registry: &Registry) {
        self.count(&step.counts);
        for fact in &step.facts {
            self.fact(fact, registry);
        }
        self.step_seconds.record(took.as_secs_f64());
        if !step.batch.is_empty() {
            self.commits.increment(1);
            self.commit_changes.record(step.batch.len() as f64);
        }
    }

    /// Records the duration of a commit.
    pub(crate) fn committed(&self, took: Duration) {
        self.commit_seconds.record(took.as_secs_f64());
    }

    fn count(&self, counts: &Counts) {
        let pairs = [
            (&self.turns, counts.turns),
            (&self.operations, counts.operations),
            (&self.failures, counts.failures),
            (&self.loads, counts.loads),
            (&self.replays, counts.replays),
            (&self.timers_fired, counts.timers_fired),
            (&self.dead_letters, counts.dead_letters),
        ];
        for (counter, count) in pairs {
            if count > 0 {
                counter.increment(count);
            }
        }
        if counts.oldest.is_some() {
            self.queue_age.record(counts.queue_age.as_secs_f64());
        }
        if counts.timers_fired > 0 {
            self.lateness.record(counts.lateness.as_secs_f64());
        }
    }

    fn fact(&mut self, fact: &Fact, registry: &Registry) {
        match fact {
            Fact::Started { orchestration, waited } => {
                let meters = self.of(orchestration, registry);
                meters.started.increment(1);
                meters.start_seconds.record(waited.as_secs_f64());
            }
            Fact::Ended {
                orchestration,
                status,
                after,
            } => {
                let ended = &mut self.of(orchestration, registry).ended;
                let known = ended.iter().position(|(known, ..)| known == status);
                let at = known.unwrap_or_else(|| {
                    let labels = [label(orchestration, registry), status.as_str()];
                    let ends = catalog::ORCHESTRATIONS_ENDED.to_counter(&labels);
                    ended.push((*status, ends, catalog::ORCHESTRATION_SECONDS.to_histogram(&labels)));
                    ended.len() - 1
                });
                ended[at].1.increment(1);
                ended[at].2.record(after.as_secs_f64());
            }
            Fact::Stopped { orchestration, kind } => {
                let stopped = &mut self.of(orchestration, registry).stopped;
                let known = stopped.iter().position(|(known, _)| known == kind);
                let at = known.unwrap_or_else(|| {
                    let labels = [label(orchestration, registry), &format!("{kind:?}")];
                    stopped.push((*kind, catalog::ORCHESTRATIONS_STOPPED.to_counter(&labels)));
                    stopped.len() - 1
                });
                stopped[at].1.increment(1);
            }
            Fact::OrchestrationRetried { orchestration } => self.of(orchestration, registry).retried.increment(1),
            Fact::ActivityRetried { activity } => {
                let name = match registry.activity(activity) {
                    Some(_) => activity,
                    None => UNREGISTERED,
                };
                if !self.retried_activities.contains_key(name) {
                    let counter = catalog::ACTIVITIES_RETRIED.to_counter(&[name]);
                    self.retried_activities.insert(name.to_owned(), counter);
                }
                self.retried_activities[name].increment(1);
            }
        }
    }

    fn of(&mut self, orchestration: &str, registry: &Registry) -> &mut OrchestrationMeters {
        let is_known = self.orchestrations.contains_key(orchestration);
        let name = if is_known {
            orchestration
        } else {
            label(orchestration, registry)
        };
        if !is_known && !self.orchestrations.contains_key(name) {
            let meters = OrchestrationMeters {
                started: catalog::ORCHESTRATIONS_STARTED.to_counter(&[name]),
                start_seconds: catalog::ORCHESTRATION_START_SECONDS.to_histogram(&[name]),
                ended: Vec::new(),
                stopped: Vec::new(),
                retried: catalog::ORCHESTRATIONS_RETRIED.to_counter(&[name]),
            };
            self.orchestrations.insert(name.to_owned(), meters);
        }
        self.orchestrations.get_mut(name).expect("it was just inserted")
    }
}

fn label<'a>(orchestration: &'a str, registry: &Registry) -> &'a str {
    match registry.versions(orchestration) {
        [] => UNREGISTERED,
        _ => orchestration,
    }
}

/// The metrics of all activities.
pub(crate) struct ActivitiesMeters(HashMap<String, Arc<ActivityMeters>>);

/// The metrics of one activity.
pub(super) struct ActivityMeters {
    name: String,
    pub(super) started: Counter,
    pub(super) running: Gauge,
    pub(super) wait_seconds: Histogram,
    pub(super) seconds: Histogram,
    ended: [OnceLock<Counter>; OUTCOMES.len()],
}

/// Increments a gauge while it exists.
pub(super) struct Counted(Gauge);

impl Counted {
    pub(super) fn one(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The outcomes of attempts.
const OUTCOMES: [&str; 7] = [
    "answered",
    "returned",
    "timed_out",
    "panicked",
    "canceled",
    "abandoned",
    "refused",
];

impl ActivitiesMeters {
    pub(crate) fn new(registry: &Registry) -> Self {
        let meters = registry.activity_names().map(|name| {
            let meters = ActivityMeters {
                started: catalog::ACTIVITIES_STARTED.to_counter(&[name]),
                running: catalog::ACTIVITIES_RUNNING.to_gauge(&[name]),
                wait_seconds: catalog::ACTIVITY_WAIT_SECONDS.to_histogram(&[name]),
                seconds: catalog::ACTIVITY_SECONDS.to_histogram(&[name]),
                ended: Default::default(),
                name: name.to_owned(),
            };
            (name.to_owned(), Arc::new(meters))
        });
        Self(meters.collect())
    }

    /// Returns the metrics of a registered activity.
    pub(super) fn of(&self, name: &str) -> Option<&Arc<ActivityMeters>> {
        self.0.get(name)
    }
}

impl ActivityMeters {
    /// Counts an attempt that ended with this outcome.
    pub(super) fn ended(&self, outcome: &str) {
        let known = OUTCOMES.iter().zip(&self.ended).find(|(known, _)| **known == outcome);
        if let Some((outcome, counter)) = known {
            counter
                .get_or_init(|| catalog::ACTIVITIES_ENDED.to_counter(&[&self.name, outcome]))
                .increment(1);
        }
    }
}
