//! Schedules, as a client sees them.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use crate::client::{Client, List, OrchestrationHandle, Page, Unreadable};
use crate::entity::{Argument, EntityRef};
use crate::entity::{CallError, Entity};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::orchestration::Orchestration;
use crate::schedule::entity::{ScheduleEntity, check_id, run_id};
use crate::schedule::plan::Plan;
use crate::schedule::timing::{CatchUpPolicy, Recurrence};
use crate::time::Timestamp;

/// The schedules of a hub. Created by [`Client::schedules`].
///
/// A schedule starts an orchestration repeatedly. It is a durable entity of the library, so it continues after a
/// restart and starts each run once. Runs do not wait for each other. The run of a schedule `nightly` that is due at
/// three has the instance id `nightly-2026-11-20T03:00:00Z`.
///
/// ```
/// use std::time::Duration;
///
/// use abide::prelude::*;
///
/// #[orchestration]
/// async fn report(ctx: OrchestrationContext, shop: String) -> Result<String, Failure> {
///     Ok(format!("{} for {shop}", ctx.instance_id()))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().orchestration::<report>().open().await?;
/// let schedules = hub.client().schedules();
/// let hour = Recurrence::Every(Duration::from_secs(60 * 60));
/// schedules.create::<report>("hourly", hour, "Berlin".into()).await?;
/// // At every start of a program: creates the schedule, or changes it if the program has changed.
/// schedules.ensure::<report>("hourly", Recurrence::cron("0 * * * *"), "Berlin".into()).await?;
///
/// schedules.pause("hourly").await?;
/// assert!(schedules.get("hourly").await?.is_some_and(|schedule| schedule.paused));
/// schedules.resume("hourly").await?;
///
/// for schedule in schedules.list().await? {
///     println!("{} runs next at {:?}", schedule.id, schedule.next_run);
/// }
/// schedules.delete("hourly").await?;
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Schedules {
    client: Client,
}

/// Information about one schedule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// Its id.
    pub id: String,
    /// The stored name of the orchestration that it starts.
    pub orchestration: String,
    /// The version that it starts. `None` for the newest registered version at each run.
    pub version: Option<String>,
    /// The input of each run as JSON.
    pub input: String,
    /// The tags of each run.
    pub tags: Vec<(String, String)>,
    /// Its recurrence.
    pub recurrence: Recurrence,
    /// The earliest time of its first run.
    pub from: Option<SystemTime>,
    /// The end: no run at or after this time.
    pub until: Option<SystemTime>,
    /// The policy for runs that could not begin in time.
    pub catch_up: CatchUpPolicy,
    /// `true` if it is paused.
    pub paused: bool,
    /// The time of its creation.
    pub created: SystemTime,
    /// The time of the next run. `None` if it is paused or over.
    pub next_run: Option<SystemTime>,
    /// The time at which the last run that it started was due.
    pub last_run: Option<SystemTime>,
    /// The instance id of that run.
    pub last_instance: Option<String>,
    /// Number of runs that it has started.
    pub runs: u64,
}

/// A schedule to create, or to update with a new plan. Created by [`Schedules::create`], [`Schedules::ensure`],
/// [`Schedules::update`] and the variants by name.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use abide::prelude::*;
/// use abide::schedule::CatchUpPolicy;
///
/// # #[orchestration]
/// # async fn report(ctx: OrchestrationContext, shop: String) -> Result<String, Failure> {
/// #     Ok(shop)
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().orchestration::<report>().open().await?;
/// let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
/// hub.client()
///     .schedules()
///     .create::<report>("hourly", "0 * * * *".parse()?, "Berlin".into())
///     .from(tomorrow)
///     .until(tomorrow + Duration::from_secs(365 * 24 * 60 * 60))
///     .catch_up(CatchUpPolicy::RunAll { at_most: 24 })
///     .tag("shop", "Berlin")
///     .paused()
///     .await?;
/// # hub.shutdown().await
/// # }
/// ```
#[must_use = "a schedule is created when this is awaited"]
pub struct CreateSchedule {
    client: Client,
    id: String,
    /// The plan, or the reason why its input could not be serialized.
    plan: Result<Plan>,
    paused: bool,
    change: Change,
}

/// The change that a [`CreateSchedule`] makes.
#[derive(Clone, Copy, Debug)]
enum Change {
    Create,
    Update,
    Ensure,
}

impl Client {
    /// Returns the schedules, which start orchestrations repeatedly. See [`Schedules`] for an example.
    pub fn schedules(&self) -> Schedules {
        Schedules { client: self.clone() }
    }
}

impl Schedules {
    /// Creates a schedule that starts orchestrations of type `O`, in the version of the type.
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
            let text = format!("the input of `{}` does not serialize: {reason}", O::NAME);
            Error::new(ErrorKind::Serialization, text).with_source(reason)
        });
        self.prepare(id, plan, Change::Create)
    }

    /// Creates a schedule, or replaces its plan if it exists and its plan differs. It has no effect on a schedule that
    /// has this plan already, so a program can call it at every start.
    ///
    /// A paused schedule stays paused, and the schedule keeps its counts. Runs that are already due begin under the
    /// former plan. The plan consists of everything that [`CreateSchedule`] sets, except for
    /// [`paused`](CreateSchedule::paused).
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn report(ctx: OrchestrationContext, shop: String) -> Result<String, Failure> {
    /// #     Ok(shop)
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<report>().open().await?;
    /// let schedules = hub.client().schedules();
    /// for pattern in ["0 3 * * *", "0 3 * * *", "0 4 * * *"] {
    ///     schedules.ensure::<report>("nightly", Recurrence::cron(pattern), "Berlin".into()).await?;
    /// }
    /// let nightly = schedules.get("nightly").await?;
    /// assert!(nightly.is_some_and(|nightly| nightly.recurrence == Recurrence::cron("0 4 * * *")));
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn ensure<O: Orchestration>(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        input: O::Input,
    ) -> CreateSchedule {
        let mut ensure = self.create::<O>(id, recurrence, input);
        ensure.change = Change::Ensure;
        ensure
    }

    /// Creates a schedule that starts orchestrations by their stored name, by default in the newest version that is
    /// registered at each run.
    pub fn create_by_name(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        name: impl AsRef<str>,
        input: serde_json::Value,
    ) -> CreateSchedule {
        let plan = Plan::new(name.as_ref(), recurrence, input.to_string());
        self.prepare(id, Ok(plan), Change::Create)
    }

    /// Like [`ensure`](Self::ensure), but takes the stored name of the orchestration, by default in the newest version
    /// that is registered at each run.
    pub fn ensure_by_name(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        name: impl AsRef<str>,
        input: serde_json::Value,
    ) -> CreateSchedule {
        self.ensure_json(id, recurrence, name.as_ref(), input.to_string())
    }

    /// Like [`ensure_by_name`](Self::ensure_by_name), but takes the input as JSON text, which keeps all digits.
    pub(crate) fn ensure_json(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        name: &str,
        input: String,
    ) -> CreateSchedule {
        self.prepare(id, Ok(Plan::new(name, recurrence, input)), Change::Ensure)
    }

    /// Replaces the whole plan of a schedule. A paused schedule stays paused, and the schedule keeps its counts. Runs
    /// that are already due begin under the former plan.
    pub fn update<O: Orchestration>(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        input: O::Input,
    ) -> CreateSchedule {
        let mut update = self.create::<O>(id, recurrence, input);
        update.change = Change::Update;
        update
    }

    /// Like [`update`](Self::update), but takes the stored name of the orchestration.
    pub fn update_by_name(
        &self,
        id: impl Into<String>,
        recurrence: Recurrence,
        name: impl AsRef<str>,
        input: serde_json::Value,
    ) -> CreateSchedule {
        let plan = Plan::new(name.as_ref(), recurrence, input.to_string());
        self.prepare(id, Ok(plan), Change::Update)
    }

    fn prepare(&self, id: impl Into<String>, plan: Result<Plan>, change: Change) -> CreateSchedule {
        CreateSchedule {
            client: self.client.clone(),
            id: id.into(),
            plan,
            paused: false,
            change,
        }
    }

    /// Pauses a schedule. Runs that are already due begin. Runs that become due during the pause are skipped.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such schedule, of kind [`ErrorKind::InvalidId`]
    /// if the id is invalid, or any [hub error](crate::Error).
    pub async fn pause(&self, id: impl AsRef<str>) -> Result<()> {
        let id = id.as_ref();
        check_id(id)?;
        flat(self.client.entity::<ScheduleEntity>(id).pause().await)
    }

    /// Resumes a paused schedule. Its next run is the first one from now on.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such schedule, of kind [`ErrorKind::InvalidId`]
    /// if the id is invalid, or any [hub error](crate::Error).
    pub async fn resume(&self, id: impl AsRef<str>) -> Result<()> {
        let id = id.as_ref();
        check_id(id)?;
        flat(self.client.entity::<ScheduleEntity>(id).resume().await)
    }

    /// Starts a run of a schedule now, whether or not the schedule is paused or over, and returns its handle. The runs
    /// of the plan are not affected, and [`ScheduleInfo::runs`] does not count it. Its instance id is that of a run at
    /// this time, followed by a number.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn report(ctx: OrchestrationContext, shop: String) -> Result<String, Failure> {
    /// #     Ok(shop)
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<report>().open().await?;
    /// let schedules = hub.client().schedules();
    /// schedules.create::<report>("nightly", Recurrence::cron("0 3 * * *"), "Berlin".into()).await?;
    /// let run = schedules.trigger("nightly").await?;
    /// assert_eq!(run.result().await?, "Berlin");
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such schedule, of kind [`ErrorKind::InvalidId`]
    /// if the id is invalid or too long for that of a run, or any [hub error](crate::Error).
    pub async fn trigger(&self, id: impl AsRef<str>) -> Result<OrchestrationHandle> {
        self.trigger_once(id.as_ref(), None).await
    }

    /// Like [`trigger`](Self::trigger), but requests with the same id start one run.
    pub(crate) async fn trigger_once(&self, id: &str, request_id: Option<String>) -> Result<OrchestrationHandle> {
        check_id(id)?;
        let mut trigger = self.client.entity::<ScheduleEntity>(id).trigger();
        if let Some(request_id) = request_id {
            trigger = trigger.request_id(request_id);
        }
        Ok(self.client.untyped_orchestration(flat(trigger.await)?))
    }

    /// Deletes a schedule. The orchestrations that it started continue.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::NotFound`] if there is no such schedule, of kind [`ErrorKind::InvalidId`]
    /// if the id is invalid, or any [hub error](crate::Error).
    pub async fn delete(&self, id: impl AsRef<str>) -> Result<()> {
        let id = id.as_ref();
        check_id(id)?;
        flat(self.client.entity::<ScheduleEntity>(id).remove().await)
    }

    /// Returns the information about one schedule, or `None` if there is no schedule with this id.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the id is invalid, or any [hub error](crate::Error).
    pub async fn get(&self, id: impl AsRef<str>) -> Result<Option<ScheduleInfo>> {
        let id = id.as_ref();
        check_id(id)?;
        let state = self.client.entity::<ScheduleEntity>(id).state().await?;
        Ok(state.and_then(|state| ScheduleInfo::new(id, state)))
    }

    /// Returns the list of all schedules, ordered by id. Schedules that are created or deleted while the list is read
    /// may be missing. Schedules that this build cannot read are left out, but [`page`](List::page) reports them.
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
    let read = query.page().await?;
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
    /// Sets the earliest time of the first run. A period counts from this time.
    pub fn from(mut self, time: SystemTime) -> Self {
        self.set(|plan| plan.from = Some(Timestamp::from(time)));
        self
    }

    /// Sets the end of the schedule. Its last run is before this time.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.set(|plan| plan.until = Some(Timestamp::from(time)));
        self
    }

    /// Sets the policy for runs that could not begin in time. Defaults to [`CatchUpPolicy::RunOnce`].
    pub fn catch_up(mut self, policy: CatchUpPolicy) -> Self {
        self.set(|plan| plan.catch_up = policy);
        self
    }

    /// Sets the version to start, which must be registered.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.set(|plan| plan.version = Some(version.into()));
        self
    }

    /// Adds a tag to each run. A second tag with the same name replaces the first.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|plan| {
            let name = name.into();
            plan.tags.retain(|(known, _)| *known != name);
            plan.tags.push((name, value.into()));
        });
        self
    }

    /// Creates the schedule paused. This has no effect on a schedule that exists.
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
        flat(match self.change {
            Change::Create => entity.create(plan, self.paused).await,
            Change::Update => entity.update(plan).await,
            Change::Ensure => entity.ensure(plan, self.paused).await,
        })
    }
}

impl IntoFuture for CreateSchedule {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    /// Creates or updates the schedule.
    ///
    /// # Errors
    /// Returns an error of kind:
    /// * [`ErrorKind::AlreadyExists`] if the schedule to create exists,
    /// * [`ErrorKind::NotFound`] if the schedule to update does not exist,
    /// * [`ErrorKind::InvalidArguments`] if the pattern is invalid or the input does not decode,
    /// * [`ErrorKind::Unregistered`] if the name or the version is not registered,
    /// * [`ErrorKind::TooLarge`] if the input or the tags exceed the limit,
    /// * [`ErrorKind::InvalidId`] if the id, the name or a tag is invalid.
    ///
    /// It also returns any [hub error](crate::Error).
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

/// Unwraps the error of the entity, which is already an error of the library.
fn flat<T>(result: Result<T, CallError<Error>>) -> Result<T> {
    result.map_err(|error| match error {
        CallError::Returned(error) | CallError::Runtime(error) => error,
    })
}
