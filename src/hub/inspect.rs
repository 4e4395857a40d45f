//! Inspection of a hub that is not open, and the check whether a build can continue with its data.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::activity::Activity;
use crate::client::{Client, Inspected};
use crate::engine::message::Message;
use crate::engine::orchestration::RecordedRun;
use crate::engine::{Limits, Registry, caught};
use crate::entity::{Entity, Operations};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::builder::HubBuilder;
use crate::hub::handle::Hub;
use crate::id::{InstanceId, PartitionId};
use crate::model::orchestration::{ActivityRecord, OrchestrationRecord, Order, StartRecord, StopKind};
use crate::model::{self, Action, StateRecord, TimerRecord};
use crate::orchestration::Orchestration;
use crate::schema;
use crate::store::{PageBounds, Reader};
use crate::views::orchestrations;

/// The store's memory during an inspection, in bytes.
pub(super) const MEMORY: usize = 64 << 20;

/// An inspection of a hub's directory that changes nothing. Created by [`Hub::inspect`].
///
/// An inspection starts no timers, and runs no operations and no activities. No process may have the hub open. To
/// inspect a running hub, take a checkpoint and inspect the checkpoint.
///
/// ```
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let data = directory.path().join("data");
/// let hub = Hub::builder(&data).entity::<Counter>().open().await?;
/// hub.client().entity::<Counter>("visits").add(1).await?;
/// hub.shutdown().await?;
///
/// // Can this build continue with all data?
/// let report = Hub::inspect(&data).entity::<Counter>().replay_check().await?;
/// assert!(report.is_good(), "{report}");
///
/// // Can every record be read?
/// let report = Hub::inspect(&data).check().await?;
/// assert!(report.is_good(), "{report}");
///
/// // A client that only reads.
/// let client = Hub::inspect(&data).client().await?;
/// assert_eq!(client.entities().count().await?, 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "an inspection does nothing until one of its methods is called"]
#[derive(Debug)]
pub struct Inspection {
    pub(super) directory: PathBuf,
    build: HubBuilder,
}

/// The report of [`Inspection::replay_check`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReplayReport {
    /// Number of live orchestrations that were replayed.
    pub orchestrations: u64,
    /// Number of entity states that were decoded.
    pub entities: u64,
    /// Number of waiting messages, timers and activities that were decoded.
    pub messages: u64,
    /// The problems that would keep this build from continuing.
    pub problems: Vec<ReplayProblem>,
}

/// A problem that would keep a build from continuing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplayProblem {
    /// The orchestration or the entity.
    pub instance: String,
    /// The reason why an orchestration would stop. `None` if a state, an input or arguments do not decode.
    pub kind: Option<StopKind>,
    /// The full description, with both sides of the first difference.
    pub message: String,
}

impl ReplayReport {
    /// Returns `true` if the build can continue with all data.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "checked {} orchestrations, {} entities and {} messages, found {} problems",
            self.orchestrations,
            self.entities,
            self.messages,
            self.problems.len()
        )?;
        for problem in &self.problems {
            write!(f, "\n`{}`: {}", problem.instance, problem.message)?;
        }
        Ok(())
    }
}

impl Hub {
    /// Inspects the hub in `directory`, or a checkpoint of one, without changing it. Register the types that the build
    /// to be checked registers.
    pub fn inspect(directory: impl Into<PathBuf>) -> Inspection {
        let directory = directory.into();
        Inspection {
            build: Hub::builder(&directory),
            directory,
        }
    }
}

impl Inspection {
    /// Registers an entity type, like [`HubBuilder::entity`].
    pub fn entity<E: Entity + Operations>(mut self) -> Self {
        self.build = self.build.entity::<E>();
        self
    }

    /// Registers an orchestration, like [`HubBuilder::orchestration`].
    pub fn orchestration<O: Orchestration>(mut self) -> Self {
        self.build = self.build.orchestration::<O>();
        self
    }

    /// Registers an activity, like [`HubBuilder::activity`].
    pub fn activity<A: Activity>(mut self) -> Self {
        self.build = self.build.activity::<A>();
        self
    }

    /// Uses all registrations of `builder`, so that a program can check exactly what it opens.
    pub fn build(mut self, builder: HubBuilder) -> Self {
        self.build = builder;
        self
    }

    /// Returns a client that reads the directory. It lists, counts and shows the same data as a client of the running
    /// hub. Requests that change something or wait fail with [`ErrorKind::ReadOnly`]. The directory stays open until
    /// the client and all its clones are dropped, and no process should open the hub in this time.
    ///
    /// This needs no registered types.
    ///
    /// # Errors
    /// Returns an error of kind:
    /// * [`ErrorKind::Locked`] if a process has the hub open,
    /// * [`ErrorKind::Format`] if the directory is not a hub, or has another format version,
    /// * [`ErrorKind::Corrupted`] if acknowledged commits are missing,
    /// * [`ErrorKind::Configuration`] outside a tokio runtime.
    ///
    /// It also returns the errors of the store.
    pub async fn client(self) -> Result<Client> {
        let tokio = current_runtime()?;
        let directory = self.directory;
        let opening = tokio.spawn_blocking(move || crate::store::open_read_only(&directory, MEMORY));
        let opened = opening.await.map_err(|error| {
            Error::new(ErrorKind::Closed, "the tokio runtime is shutting down").with_source(error)
        })??;
        Ok(Client::inspecting(Inspected {
            store: Box::new(opened.store),
            partitions: opened.partitions,
            last_commit: opened.last_commit,
            tokio,
        }))
    }

    /// Checks whether the types registered here can be deployed. It replays the history of every live orchestration,
    /// and decodes every entity state and everything that waits.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Locked`] if a process has the hub open, of kind [`ErrorKind::Format`] if
    /// the directory is not a hub or has another format version, or an error of the store. Data that the build cannot
    /// continue with is not an error but part of the report.
    pub async fn replay_check(self) -> Result<ReplayReport> {
        let tokio = tokio::runtime::Handle::current();
        let checked = tokio.spawn_blocking(move || {
            let (registry, limits) = self.build.into_code()?;
            let inspected = crate::store::open_read_only(&self.directory, MEMORY)?;
            let mut check = Check {
                registry,
                limits,
                reader: &inspected.store,
                partition: PartitionId(0),
                report: ReplayReport::default(),
            };
            for partition in 0..inspected.partitions {
                check.partition = PartitionId(partition);
                check.all()?;
            }
            Ok(check.report)
        });
        checked
            .await
            .map_err(|error| Error::new(ErrorKind::Closed, "the check did not finish").with_source(error))?
    }
}

pub(super) fn current_runtime() -> Result<tokio::runtime::Handle> {
    tokio::runtime::Handle::try_current().map_err(|error| {
        Error::new(
            ErrorKind::Configuration,
            "a hub can only be inspected inside a tokio runtime",
        )
        .with_source(error)
    })
}

/// The check of one partition.
struct Check<'a> {
    registry: Registry,
    limits: Limits,
    reader: &'a dyn Reader,
    partition: PartitionId,
    report: ReplayReport,
}

impl Check<'_> {
    fn all(&mut self) -> Result<()> {
        self.orchestrations()?;
        self.states()?;
        let partition = self.partition;
        for rows in [schema::message::all(partition), schema::priority::all(partition)] {
            self.rows(rows, |check, (key, value)| {
                let Some(id) = schema::id_of(key) else {
                    return Ok(());
                };
                let message = Message::from_row(&id, key, value)?;
                check.action(&id, &message.action);
                Ok(())
            })?;
        }
        self.rows(schema::timer::all(partition), |check, (key, value)| {
            let Some((_, id, _)) = schema::timer::parts(key) else {
                return Ok(());
            };
            let record: TimerRecord = model::decode(value, "timer")?;
            check.action(&InstanceId::trusted(id), &record.action);
            Ok(())
        })?;
        self.activities()
    }

    fn orchestrations(&mut self) -> Result<()> {
        self.rows(
            schema::orchestration::with_prefix(self.partition, ""),
            |check, (key, value)| {
                let mut record: OrchestrationRecord = model::decode(value, "orchestration")?;
                let Some(id) = schema::id_of(key) else {
                    return Ok(());
                };
                if record.status.is_terminal() {
                    return Ok(());
                }
                check.report.orchestrations += 1;
                orchestrations::catch_up(check.reader, check.partition, &id, &mut record)?;
                if record.turns == 0 {
                    let start = orchestrations::start_of(check.reader, check.partition, &id, &record)?;
                    if let Some((kind, problem)) = check.start(&start) {
                        check.problem(&id, kind, problem);
                    }
                    return Ok(());
                }
                let recorded = RecordedRun {
                    registry: &check.registry,
                    limits: &check.limits,
                    partition: check.partition,
                    id: &id,
                    record: &record,
                    reader: check.reader,
                };
                if let Err(stopped) = recorded.replay()? {
                    check.problem(&id, Some(stopped.kind), stopped.message);
                }
                Ok(())
            },
        )
    }

    fn states(&mut self) -> Result<()> {
        self.rows(
            schema::state::with_prefix(self.partition, "@"),
            |check, (key, value)| {
                let Some(id) = schema::id_of(key) else {
                    return Ok(());
                };
                check.report.entities += 1;
                let record: StateRecord<'_> = model::decode(value, "state")?;
                let problem = match check.registry.entity(id.entity_name()) {
                    None => Some("its type is not registered".to_owned()),
                    Some(code) => caught(|| code.decode(record.state).map(drop))
                        .unwrap_or_else(|panic| Err(format!("its decoder panicked: {panic}")))
                        .err()
                        .map(|reason| format!("its state does not decode: {reason}")),
                };
                if let Some(problem) = problem {
                    check.problem(&id, None, problem);
                }
                Ok(())
            },
        )
    }

    fn activities(&mut self) -> Result<()> {
        self.rows(schema::activity::all(self.partition), |check, (key, value)| {
            let Some((id, _, _)) = schema::activity::parts(key) else {
                return Ok(());
            };
            let record: ActivityRecord = model::decode(value, "activity")?;
            check.report.messages += 1;
            let name = &record.name;
            let problem = match check.registry.activity(name) {
                None => Some(format!("its activity `{name}` is not registered")),
                Some(code) => caught(|| code.check_input(&record.input))
                    .unwrap_or_else(|panic| Err(format!("its decoder panicked: {panic}")))
                    .err()
                    .map(|reason| format!("the input of its activity `{name}` does not decode: {reason}")),
            };
            if let Some(problem) = problem {
                check.problem(&InstanceId::trusted(id), None, problem);
            }
            Ok(())
        })
    }

    /// Checks an action that waits for an instance.
    fn action(&mut self, id: &InstanceId, action: &Action) {
        self.report.messages += 1;
        let problem = match action {
            Action::Operation { operation, arguments }
            | Action::Schedule {
                operation, arguments, ..
            } => self.operation(id, operation, arguments).map(|problem| (None, problem)),
            Action::Order(order) => match &**order {
                Order::Start(start) => self.start(start),
                _ => None,
            },
            Action::Cancel { .. } | Action::Lock(_) => None,
        };
        if let Some((kind, problem)) = problem {
            self.problem(id, kind, problem);
        }
    }

    fn start(&self, start: &StartRecord) -> Option<(Option<StopKind>, String)> {
        // Without a version, it begins in the newest one.
        let (code, version) = match start.version.as_deref() {
            None => (self.registry.versions(&start.name).last().cloned(), String::new()),
            Some("") => (self.registry.orchestration(&start.name, ""), String::new()),
            Some(version) => (
                self.registry.orchestration(&start.name, version),
                format!(" in version `{version}`"),
            ),
        };
        let Some(code) = code else {
            let problem = format!(
                "it waits for its start, and `{}` is not registered{version}",
                start.name
            );
            return Some((Some(StopKind::Unregistered), problem));
        };
        let reason = caught(|| code.check_input(&start.input))
            .unwrap_or_else(|panic| Err(format!("its decoder panicked: {panic}")))
            .err()?;
        Some((
            None,
            format!("it waits for its start, and its input does not decode: {reason}"),
        ))
    }

    fn operation(&self, id: &InstanceId, operation: &str, arguments: &[u8]) -> Option<String> {
        let Some(code) = self.registry.entity(id.entity_name()) else {
            return Some("a message waits for it, but its type is not registered".to_owned());
        };
        let Some(spec) = code.find(operation) else {
            let is_built_in = operation.eq_ignore_ascii_case("delete");
            return (!is_built_in)
                .then(|| format!("a message waits for its operation `{operation}`, which does not exist"));
        };
        caught(|| code.check_arguments(spec, arguments))
            .unwrap_or_else(|panic| Err(format!("their decoder panicked: {panic}")))
            .err()
            .map(|reason| format!("the arguments of a waiting `{operation}` do not decode: {reason}"))
    }

    fn problem(&mut self, id: &InstanceId, kind: Option<StopKind>, message: String) {
        self.report.problems.push(ReplayProblem {
            instance: id.as_str().to_owned(),
            kind,
            message,
        });
    }

    /// Visits every row of a range, one page at a time.
    fn rows(
        &mut self,
        mut range: Range<Vec<u8>>,
        mut look: impl FnMut(&mut Self, (&[u8], &[u8])) -> Result<()>,
    ) -> Result<()> {
        loop {
            let page = self.reader.page(range.clone(), PageBounds::USUAL)?;
            for (key, value) in &page.rows {
                look(self, (key, value))?;
            }
            match page.rows.last() {
                Some((key, _)) if page.full => {
                    range.start.clone_from(key);
                    range.start.push(0);
                }
                _ => return Ok(()),
            }
        }
    }
}
