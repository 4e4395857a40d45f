//! Schedules, as a client sees them.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use crate::client::{Client, List, Page, Unreadable};
use crate::entity::{Argument, EntityRef};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::orchestration::Orchestration;
use crate::schedule::entity::{ScheduleEntity, check_id, run_id};
use crate::schedule::plan::Plan;
use crate::schedule::timing::{CatchUpPolicy, Recurrence};
use crate::time::Timestamp;
use crate::{CallError, Entity};

/// The schedules of a hub. Made by [`Client::schedules`].
///
/// A schedule starts an orchestration again and again. It is a durable entity of the library's own, so that it goes on after
/// a restart and starts each run once. The run of a schedule `nightly` that is due at three has the instance id
/// `nightly-2026-11-20T03:00:00Z`. Runs do not wait for each other.
#[derive(Clone, Debug)]
pub struct Schedules {
    client: Client,
}

/// One schedule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// Its id.
    pub id: String,
    /// The stored name of the orchestration that it starts.
    pub orchestration: String,
    /// The version that it starts; the newest registered one at each run if there is none.
    pub version: Option<String>,
    /// What each run begins with, as JSON.
    pub input: String,
    /// The tags of each run.
    pub tags: Vec<(String, String)>,
    /// When it runs.
    pub recurrence: Recurrence,
    /// When its first run may be.
    pub from: Option<SystemTime>,
    /// Before which its last run is.
    pub until: Option<SystemTime>,
    /// What happens to runs that could not begin in time.
    pub catch_up: CatchUpPolicy,
    /// Whether it rests.
    pub paused: bool,
    /// When it was created.
    pub created: SystemTime,
    /// When the next run is due; nothing if it rests or is over.
    pub next_run: Option<SystemTime>,
    /// When the last run that it started was due.
    pub last_run: Option<SystemTime>,
    /// The instance id of that run.
    pub last_instance: Option<String>,
    /// How many runs it has started.
    pub runs: u64,
}

/// A schedule that is to be created, or given a new plan. Made by [`Schedules::create`], [`Schedules::update`] and their
/// forms by name.
#[must_use = "a schedule is created when this is awaited"]
pub struct CreateSchedule {
    client: Client,
    id: String,
    /// What to do, or why its input could not be made.
    plan: Result<Plan>,
    paused: bool,
    update: bool,
}

impl Client {
    /// The schedules, which start orchestrations again and again.
    pub fn schedules(&self) -> Schedules {
        Schedules { client: self.clone() }
    }
}

impl Schedules {
    /// Creates a schedule that starts orchestrations of the type `O`, in the type's own version.
    pub fn create<O: Orchestration>(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        input: O::Input,
    ) -> CreateSchedule {
        let mut json = Vec::new();
        let written = (<O::Input as Argument>::CODE.write)(&input, &mut json);
        let plan = written.map(|()| Plan {
            version: Some(O::VERSION.to_owned()),
            ..Plan::new(O::NAME, recurrence, String::from_utf8_lossy(&json).into_owned())
        });
        let plan = plan.map_err(|reason| {
            let text = format!("the input of `{}` does not serialise: {reason}", O::NAME);
            Error::new(ErrorKind::Serialization, text).with_source(reason)
        });
        self.prepare(id, plan, false)
    }

    /// Creates a schedule that starts orchestrations by their stored name, in the newest version that is registered at each
    /// run if nothing is said.
    pub fn create_by_name(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        name: impl AsRef<str>,
        input: serde_json::Value,
    ) -> CreateSchedule {
        self.prepare(id, Ok(Plan::new(name.as_ref(), recurrence, input.to_string())), false)
    }

    /// Replaces the whole plan of a schedule. It stays paused if it is, and keeps its counts. Runs that are due by now begin by
    /// the former plan.
    pub fn update<O: Orchestration>(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        input: O::Input,
    ) -> CreateSchedule {
        let mut update = self.create::<O>(id, recurrence, input);
        update.update = true;
        update
    }

    /// As [`update`](Self::update), by the stored name of the orchestration.
    pub fn update_by_name(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        name: impl AsRef<str>,
        input: serde_json::Value,
    ) -> CreateSchedule {
        self.prepare(id, Ok(Plan::new(name.as_ref(), recurrence, input.to_string())), true)
    }

    fn prepare(&self, id: impl Into<String>, plan: Result<Plan>, update: bool) -> CreateSchedule {
        CreateSchedule {
            client: self.client.clone(),
            id: id.into(),
            plan,
            paused: false,
            update,
        }
    }

    /// Pauses a schedule. Runs that are due by now begin; those that would be due during the pause are skipped.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], and what the hub meets.
    pub async fn pause(&self, id: impl AsRef<str>) -> Result<()> {
        let id = id.as_ref();
        check_id(id)?;
        flat(self.client.entity::<ScheduleEntity>(id).pause().await)
    }

    /// Lets a schedule go on that rests. Its next run is the first one from now on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], and what the hub meets.
    pub async fn resume(&self, id: impl AsRef<str>) -> Result<()> {
        let id = id.as_ref();
        check_id(id)?;
        flat(self.client.entity::<ScheduleEntity>(id).resume().await)
    }

    /// Forgets a schedule. The orchestrations that it started go on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], and what the hub meets.
    pub async fn delete(&self, id: impl AsRef<str>) -> Result<()> {
        let id = id.as_ref();
        check_id(id)?;
        flat(self.client.entity::<ScheduleEntity>(id).remove().await)
    }

    /// Reads one schedule; nothing if there is none of this id.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`] if the id breaks the rules, and what the hub meets.
    pub async fn get(&self, id: impl AsRef<str>) -> Result<Option<ScheduleInfo>> {
        let id = id.as_ref();
        check_id(id)?;
        let state = self.client.entity::<ScheduleEntity>(id).state().await?;
        Ok(state.and_then(|state| ScheduleInfo::new(id, state)))
    }

    /// Reads all schedules, in the order of their ids. Those that are created or deleted meanwhile may be missing. Those
    /// that this build cannot read are left out: [`page`](Self::page) reports them.
    ///
    /// # Errors
    /// What the hub meets.
    pub fn list(&self) -> List<ScheduleInfo> {
        List::new(self.client.clone(), |client, after, at_most| {
            Box::pin(read_page(client, after, at_most))
        })
    }
}

async fn read_page(client: Client, after: Option<String>, at_most: usize) -> Result<Page<ScheduleInfo>> {
    let query = client.entities().name(ScheduleEntity::NAME).fetch_state();
    let mut query = query.page_size(at_most);
    if let Some(after) = after {
        query = query.cursor(after);
    }
    let read = query.list().await?;
    let mut page = Page {
        items: Vec::new(),
        unreadable: read.unreadable,
        next: read.next,
    };
    for entity in read.items {
        let id = entity.id.key();
        match serde_json::from_str(&entity.state.unwrap_or_default()) {
            Ok(state) => page.items.extend(ScheduleInfo::new(id, state)),
            Err(reason) => page.unreadable.push(Unreadable::new(id, &undecodable(id, reason))),
        }
    }
    Ok(page)
}

impl CreateSchedule {
    /// Begins no earlier than at this time. A period counts from it.
    pub fn from(mut self, time: SystemTime) -> Self {
        self.set(|plan| plan.from = Some(Timestamp::from(time)));
        self
    }

    /// Ends with the last run before this time.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.set(|plan| plan.until = Some(Timestamp::from(time)));
        self
    }

    /// What happens to runs that could not begin in time: [`CatchUpPolicy::RunOnce`] if nothing is said.
    pub fn catch_up(mut self, policy: CatchUpPolicy) -> Self {
        self.set(|plan| plan.catch_up = policy);
        self
    }

    /// The version to start, among those that are registered.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.set(|plan| plan.version = Some(version.into()));
        self
    }

    /// Adds a tag to each run. A second one of the same name replaces the first.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|plan| {
            let name = name.into();
            plan.tags.retain(|(known, _)| *known != name);
            plan.tags.push((name, value.into()));
        });
        self
    }

    /// Creates it resting. It has no effect on an update.
    pub fn paused(mut self) -> Self {
        self.paused = true;
        self
    }

    fn set(&mut self, set: impl FnOnce(&mut Plan)) {
        if let Ok(plan) = &mut self.plan {
            set(plan);
        }
    }

    async fn run(self) -> Result<()> {
        check_id(&self.id)?;
        let plan = self.plan?;
        plan.check()?;
        self.client
            .check_start(&InstanceId::orchestration(&self.id)?, &plan.start())?;
        let entity = self.client.entity::<ScheduleEntity>(&self.id);
        if self.update {
            flat(entity.update(plan).await)
        } else {
            flat(entity.create(plan, self.paused).await)
        }
    }
}

impl IntoFuture for CreateSchedule {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    /// Creates or updates it.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there is one and this is no update, [`ErrorKind::NotFound`] if there is none and it
    /// is, [`ErrorKind::InvalidArguments`] for a broken pattern or an input that does not decode,
    /// [`ErrorKind::Unregistered`], [`ErrorKind::InvalidId`], and what the hub meets.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for CreateSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateSchedule")
            .field("id", &self.id)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl ScheduleInfo {
    fn new(id: &str, ScheduleEntity { course }: ScheduleEntity) -> Option<Self> {
        let next = course.wakes();
        let plan = course.plan?;
        Some(Self {
            id: id.to_owned(),
            orchestration: plan.orchestration,
            version: plan.version,
            input: plan.input,
            tags: plan.tags,
            recurrence: plan.recurrence,
            from: plan.from.map(SystemTime::from),
            until: plan.until.map(SystemTime::from),
            catch_up: plan.catch_up,
            paused: course.paused,
            created: course.created.into(),
            next_run: next.map(SystemTime::from),
            last_run: course.last.map(SystemTime::from),
            last_instance: course.last.map(|run| run_id(id, run)),
            runs: course.runs,
        })
    }
}

fn undecodable(id: &str, reason: serde_json::Error) -> Error {
    let text = format!("the stored schedule `{id}` does not decode: {reason}");
    Error::new(ErrorKind::Serialization, text).with_source(reason)
}

/// What the entity says is an error of ours already.
fn flat(result: Result<(), CallError<Error>>) -> Result<()> {
    result.map_err(|error| match error {
        CallError::Returned(error) | CallError::Runtime(error) => error,
    })
}
