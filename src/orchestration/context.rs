//! The context of an orchestration.

use std::any::type_name_of_val;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use uuid::Uuid;

use crate::activity::Activity;
use crate::entity::{Answer, Entity, Key, reference};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, check_path_name};
use crate::model::history::{Command, Started};
use crate::orchestration::activity_call::ActivityCall;
use crate::orchestration::caller::OrchestrationCaller;
use crate::orchestration::child_call::{ChildCall, ChildStart};
use crate::orchestration::continue_as_new::ContinueAsNew;
use crate::orchestration::event_wait::EventWait;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::kind::Orchestration;
use crate::orchestration::lock::{LockRequest, LockTargets};
use crate::orchestration::payload::{Normalize, encode};
use crate::orchestration::random::Random;
use crate::orchestration::timer::Timer;
use crate::resource::ResourceOfReplayedCode;
use crate::time::Timestamp;

/// Maximum size of a custom status in bytes. Source: Azure Durable Functions.
const CUSTOM_STATUS_BYTES: usize = 16 << 10;

/// The namespace of the GUIDs that orchestrations create. It is part of the stored behavior and never changes.
const GUIDS: Uuid = Uuid::from_u128(0x9b6d_3f0a_51c4_4e0b_8f27_d1a6_72e0_c35d);

/// The parameter of `call_http` in a build without that feature. No type implements it.
#[cfg(not(feature = "http-client"))]
#[diagnostic::on_unimplemented(
    message = "`call_http` needs the feature `http-client` of abide",
    label = "this build of abide has no HTTP client",
    note = "add the feature in Cargo.toml: `abide = {{ version = \"...\", features = [\"http-client\"] }}`"
)]
#[doc(hidden)]
pub trait NeedsHttpClient {}

/// The context of an orchestration, through which its code acts. Cheap to clone. It is not `Send`.
///
/// Activities, timers, event waits and sub-orchestrations start at the end of the turn that creates them, whether or
/// not they are awaited. Dropping one cancels it. One that is dropped in the turn that creates it never starts.
///
/// ```
/// use std::time::Duration;
///
/// use abide::prelude::*;
///
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Stock {
/// #     free: i64,
/// # }
/// # #[operations]
/// # impl Stock {
/// #     pub fn change(&mut self, by: i64) -> i64 {
/// #         self.free += by;
/// #         self.free
/// #     }
/// # }
/// #[activity]
/// async fn ship(article: String) -> String {
///     format!("{article} shipped")
/// }
///
/// #[orchestration]
/// async fn order(ctx: OrchestrationContext, article: String) -> Result<String, Failure> {
///     let stock = ctx.entity::<Stock>(&article);
///     stock.change(-1).await?;
///
///     ctx.set_custom_status("waiting for the payment");
///     let paid = ctx.wait_for_external_event::<bool>("paid").timeout(Duration::from_secs(60));
///     if paid.await? != Some(true) {
///         // Undoes what was done. This step is durable as well.
///         stock.change(1).await?;
///         return Ok("canceled".into());
///     }
///
///     ctx.create_timer(Duration::from_millis(10)).await;
///     Ok(ctx.call_activity::<ship>(article).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Stock>().activity::<ship>().orchestration::<order>().open().await?;
/// # let client = hub.client();
/// let run = client.start::<order>("lamp".into()).await?;
/// run.raise_event("paid", true).await?;
/// assert_eq!(run.result().await?, "lamp shipped");
/// # hub.shutdown().await
/// # }
/// ```
///
/// # Panics
/// The methods panic if they are used while the code of their orchestration is not running, for example from another
/// orchestration.
#[derive(Clone)]
pub struct OrchestrationContext {
    execution: Rc<ExecutionState>,
}

/// The parent of a sub-orchestration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentInfo {
    /// The id of the parent.
    pub instance_id: String,
    /// The id of the parent's execution.
    pub execution_id: String,
}

impl OrchestrationContext {
    pub(super) fn new(execution: Rc<ExecutionState>) -> Self {
        Self { execution }
    }

    pub(super) fn execution(&self) -> &Rc<ExecutionState> {
        &self.execution
    }

    fn started(&self) -> Option<&Started> {
        self.execution.started.get().map(|started| &**started)
    }

    /// Returns the name of the orchestration. See [`instance_id`](Self::instance_id) for an example.
    pub fn name(&self) -> &str {
        self.started()
            .map_or(self.execution.program.name, |started| &started.name)
    }

    /// Returns the version with which this execution began. It is empty if there is none.
    pub fn version(&self) -> &str {
        self.started().map_or("", |started| &started.version)
    }

    /// Returns the id of this orchestration.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration(version = "2")]
    /// async fn describe(ctx: OrchestrationContext) -> Vec<String> {
    ///     let tag = |(name, value): &(String, String)| format!("{name}={value}");
    ///     let mut facts = vec![ctx.name().to_owned(), ctx.version().to_owned(), ctx.instance_id().to_owned()];
    ///     facts.extend(ctx.tags().iter().map(tag));
    ///     facts.extend(ctx.parent().map(|parent| parent.instance_id));
    ///     facts
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<describe>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<describe>(()).instance_id("d-1").tag("customer", "alice").await?;
    /// assert_eq!(run.result().await?, ["describe", "2", "d-1", "customer=alice"]);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn instance_id(&self) -> &str {
        self.execution.begin.instance.as_str()
    }

    /// Returns the id of the execution that began this history.
    ///
    /// Every restart and every continue-as-new has a new one. A rewind keeps it, so that the code issues the same
    /// commands again, while [`OrchestrationInfo::execution_id`](crate::client::OrchestrationInfo::execution_id)
    /// changes.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn identify(ctx: OrchestrationContext) -> String {
    ///     ctx.execution_id()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<identify>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<identify>(()).await?;
    /// let first = run.result().await?;
    /// run.restart().await?;
    /// assert_ne!(run.result().await?, first);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn execution_id(&self) -> String {
        let seed = self
            .started()
            .map_or(self.execution.begin.execution, |started| started.seed);
        seed.to_string()
    }

    /// Returns the parent, if this orchestration was called as a sub-orchestration. See
    /// [`instance_id`](Self::instance_id) for an example.
    pub fn parent(&self) -> Option<ParentInfo> {
        let parent = self.started()?.parent.as_ref()?;
        Some(ParentInfo {
            instance_id: parent.instance.to_string(),
            execution_id: parent.execution.to_string(),
        })
    }

    /// Returns the tags with which the orchestration was started, as names and values. See
    /// [`instance_id`](Self::instance_id) for an example.
    pub fn tags(&self) -> &[(String, String)] {
        self.started().map_or(&[], |started| &started.tags)
    }

    /// Returns the time at which this turn began. It advances with every await that waits, and replays return the
    /// recorded time.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn remind(ctx: OrchestrationContext, delay: Duration) -> SystemTime {
    ///     let due = ctx.current_utc_time() + delay;
    ///     ctx.create_timer_at(due).await;
    ///     due
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<remind>().open().await?;
    /// # let client = hub.client();
    /// let begin = SystemTime::now();
    /// let run = client.start::<remind>(Duration::from_millis(20)).await?;
    /// assert!(run.result().await? > begin);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn current_utc_time(&self) -> SystemTime {
        self.execution.now().into()
    }

    /// Returns `true` while a replay restores the state of the code. The output of `tracing` is suppressed then, so that
    /// each line is logged once. Use this value for output only.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn greet(ctx: OrchestrationContext, name: String) -> String {
    ///     // `println!` would write again in every replay.
    ///     if !ctx.is_replaying() {
    ///         println!("greeting {name}");
    ///     }
    ///     format!("Hello, {name}!")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<greet>().open().await?;
    /// # let client = hub.client();
    /// assert_eq!(client.start::<greet>("Alice".into()).await?.result().await?, "Hello, Alice!");
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn is_replaying(&self) -> bool {
        self.execution.state.borrow().replayed.is_some()
    }

    /// Returns a unique id, which every replay reproduces.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn invite(ctx: OrchestrationContext, guest: String) -> String {
    ///     format!("{guest}-{}", ctx.new_guid())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<invite>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<invite>("alice".into()).await?;
    /// assert!(run.result().await?.starts_with("alice-"));
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn new_guid(&self) -> Uuid {
        let mut state = self.execution.state.borrow_mut();
        state.guids += 1;
        let (time, count) = (state.now.0, state.guids);
        drop(state);
        let name = format!("{}/{}/{time}/{count}", self.instance_id(), self.execution.derived_id(0));
        Uuid::new_v5(&GUIDS, name.as_bytes())
    }

    /// Returns a source of random numbers, which every replay reproduces. Not suitable for secrets.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn raffle(ctx: OrchestrationContext, tickets: Vec<String>) -> Option<String> {
    ///     let mut tickets = tickets;
    ///     ctx.random().shuffle(&mut tickets);
    ///     tickets.pop()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<raffle>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<raffle>(vec!["alice".into(), "bob".into()]).await?;
    /// assert!(run.result().await?.is_some());
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn random(&self) -> Random {
        Random {
            execution: Rc::clone(&self.execution),
        }
    }

    /// Sets the custom status, which clients can read from the end of this turn on.
    ///
    /// A status that does not serialize or has more than 16 KiB fails the orchestration.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn import(ctx: OrchestrationContext, files: u32) -> u32 {
    ///     for file in 1..=files {
    ///         ctx.set_custom_status(format!("{file} of {files}"));
    ///         ctx.create_timer(Duration::from_millis(1)).await;
    ///     }
    ///     files
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<import>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<import>(3).await?;
    /// run.result().await?;
    /// if let Some(info) = run.status().await? {
    ///     assert_eq!(info.custom_status_as::<String>()?.as_deref(), Some("3 of 3"));
    /// }
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn set_custom_status(&self, status: impl Serialize) {
        let json = encode("the custom status", &status).and_then(|json| match json.len() {
            ..=CUSTOM_STATUS_BYTES => Ok(json),
            bytes => Err(Error::new(
                ErrorKind::TooLarge,
                format!("the custom status has {bytes} bytes, but the limit is {CUSTOM_STATUS_BYTES}"),
            )),
        });
        match json {
            Ok(json) => self.execution.state.borrow_mut().custom_status = Some(json),
            Err(error) => self.execution.refuse(&error),
        }
    }

    /// Rejects resources in an orchestration at compile time.
    #[doc(hidden)]
    pub fn resource<T: ResourceOfReplayedCode>(&self) {}

    /// Reports a missing feature at compile time.
    #[cfg(not(feature = "http-client"))]
    #[doc(hidden)]
    pub fn call_http<R: NeedsHttpClient>(&self, _request: R) {}

    /// Returns a reference to an entity. Await an operation to call the entity, or signal it.
    ///
    /// ```
    /// use abide::prelude::*;
    /// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    /// # struct Account {
    /// #     cents: i64,
    /// # }
    /// # #[operations]
    /// # impl Account {
    /// #     pub fn deposit(&mut self, cents: i64) -> i64 {
    /// #         self.cents += cents;
    /// #         self.cents
    /// #     }
    /// #     pub fn withdraw(&mut self, cents: i64) -> Result<i64, Failure> {
    /// #         if self.cents < cents {
    /// #             return Err(Failure::message("insufficient funds"));
    /// #         }
    /// #         self.cents -= cents;
    /// #         Ok(self.cents)
    /// #     }
    /// # }
    ///
    /// #[orchestration]
    /// async fn transfer(ctx: OrchestrationContext, cents: i64) -> Result<i64, Failure> {
    ///     // A signal, which is one-way.
    ///     ctx.entity::<Account>("alice").deposit(-cents).signal();
    ///     // A call, which waits for the answer.
    ///     Ok(ctx.entity::<Account>("bob").deposit(cents).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().entity::<Account>().orchestration::<transfer>().open().await?;
    /// # let client = hub.client();
    /// assert_eq!(client.start::<transfer>(200).await?.result().await?, 200);
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn entity<E: Entity>(&self, key: impl Key) -> E::Ref<OrchestrationCaller> {
        reference::<E, _>(OrchestrationCaller::new(Rc::clone(&self.execution)), key)
    }

    /// Locks entities: `ctx.lock_entities((&from, &to)).await?`, or a slice or `Vec` of references or
    /// [`EntityId`](crate::EntityId)s.
    ///
    /// Messages of other callers wait until the guard is dropped. Reads of clients continue and see the committed state.
    /// All critical sections acquire locks in the same order, so they cannot wait for each other in a cycle. One section
    /// locks at most 1,000 entities.
    ///
    /// Inside the section, only locked entities can be called, and only one call of each may be pending.
    /// Sub-orchestrations are
    /// refused, and a signal to a locked entity fails the orchestration. Activities, timers, events,
    /// [`start_orchestration`](Self::start_orchestration) and signals to other entities are allowed. If an operator
    /// forcibly releases a lock, calls of that entity fail with [`LockLost`](ErrorKind::LockLost).
    ///
    /// ```
    /// use abide::prelude::*;
    /// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    /// # struct Account {
    /// #     cents: i64,
    /// # }
    /// # #[operations]
    /// # impl Account {
    /// #     pub fn deposit(&mut self, cents: i64) -> i64 {
    /// #         self.cents += cents;
    /// #         self.cents
    /// #     }
    /// #     pub fn withdraw(&mut self, cents: i64) -> Result<i64, Failure> {
    /// #         if self.cents < cents {
    /// #             return Err(Failure::message("insufficient funds"));
    /// #         }
    /// #         self.cents -= cents;
    /// #         Ok(self.cents)
    /// #     }
    /// # }
    ///
    /// #[orchestration]
    /// async fn transfer(ctx: OrchestrationContext, cents: i64) -> Result<i64, Failure> {
    ///     let (from, to) = (ctx.entity::<Account>("alice"), ctx.entity::<Account>("bob"));
    ///     let guard = ctx.lock_entities((&from, &to)).await?;
    ///     // No one else changes the two accounts in between.
    ///     from.withdraw(cents).await?;
    ///     let balance = to.deposit(cents).await?;
    ///     drop(guard);
    ///     Ok(balance)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().entity::<Account>().orchestration::<transfer>().open().await?;
    /// # let client = hub.client();
    /// client.entity::<Account>("alice").deposit(500).await?;
    /// assert_eq!(client.start::<transfer>(200).await?.result().await?, 200);
    /// # hub.shutdown().await
    /// # }
    /// ```
    #[track_caller]
    pub fn lock_entities(&self, entities: impl LockTargets) -> LockRequest {
        LockRequest::new(&self.execution, self.execution.claim(), entities)
    }

    /// Runs an activity: `ctx.call_activity::<charge_card>(card).await?`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::prelude::*;
    ///
    /// #[activity]
    /// async fn charge(cents: u64) -> Result<u64, Failure> {
    ///     Ok(cents)
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext, cents: u64) -> Result<u64, Failure> {
    ///     let charged = ctx
    ///         .call_activity::<charge>(cents)
    ///         .retry(RetryPolicy::new(3).backoff(2.0))
    ///         .timeout(Duration::from_secs(30))
    ///         .label("charge the card");
    ///     Ok(charged.await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().activity::<charge>().orchestration::<order>().open().await?;
    /// # let client = hub.client();
    /// assert_eq!(client.start::<order>(900).await?.result().await?, 900);
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// The function is named as a type, which `#[activity]` generates beside it. For a function without the attribute,
    /// the compiler reports "constant provided when a type was expected": add `#[activity]` to it.
    #[track_caller]
    pub fn call_activity<A: Activity>(&self, input: A::Input) -> ActivityCall<A> {
        ActivityCall::new(&self.execution, self.execution.claim(), &input)
    }

    /// Runs another orchestration, and waits for its result when awaited. Runs the newest version, unless the call
    /// selects another one.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn ship(ctx: OrchestrationContext, pieces: u32) -> String {
    ///     format!("{pieces} pieces as {}", ctx.instance_id())
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext, pieces: u32) -> Result<String, Failure> {
    ///     let shipping = ctx.call_sub_orchestration::<ship>(pieces).instance_id("shipping-17");
    ///     Ok(shipping.tag("customer", "alice").await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<ship>().orchestration::<order>().open().await?;
    /// # let client = hub.client();
    /// assert_eq!(client.start::<order>(3).await?.result().await?, "3 pieces as shipping-17");
    /// # hub.shutdown().await
    /// # }
    /// ```
    #[track_caller]
    pub fn call_sub_orchestration<O: Orchestration>(&self, input: O::Input) -> ChildCall<O> {
        ChildCall::new(&self.execution, self.execution.claim(), &input)
    }

    /// Starts another orchestration, which then runs independently. Starts the newest version, unless the call selects
    /// another one.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn ship(ctx: OrchestrationContext, pieces: u32) -> u32 {
    ///     pieces
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext, pieces: u32) -> String {
    ///     ctx.start_orchestration::<ship>(pieces).instance_id("shipping-17").id().to_owned()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<ship>().orchestration::<order>().open().await?;
    /// # let client = hub.client();
    /// let id = client.start::<order>(3).await?.result().await?;
    /// let shipping = client.orchestration::<ship>(&id);
    /// # while shipping.status().await?.is_none() {
    /// #     tokio::task::yield_now().await;
    /// # }
    /// assert_eq!(shipping.result().await?, 3);
    /// # hub.shutdown().await
    /// # }
    /// ```
    #[track_caller]
    pub fn start_orchestration<O: Orchestration>(&self, input: O::Input) -> ChildStart<O> {
        ChildStart::new(&self.execution, self.execution.claim(), &input)
    }

    /// Creates a timer that is due after `duration`, however long that is.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::prelude::*;
    /// use futures::future::{Either, select};
    ///
    /// #[activity]
    /// async fn render(page: String) -> String {
    ///     format!("<p>{page}</p>")
    /// }
    ///
    /// #[orchestration]
    /// async fn publish(ctx: OrchestrationContext, page: String) -> Result<String, Failure> {
    ///     // A race. The loser is dropped, and so canceled.
    ///     let limit = ctx.create_timer(Duration::from_secs(60));
    ///     match select(ctx.call_activity::<render>(page), limit).await {
    ///         Either::Left((rendered, _limit)) => Ok(rendered?),
    ///         Either::Right(((), _call)) => Err(Failure::message("rendering takes too long")),
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().activity::<render>().orchestration::<publish>().open().await?;
    /// # let client = hub.client();
    /// assert_eq!(client.start::<publish>("hello".into()).await?.result().await?, "<p>hello</p>");
    /// # hub.shutdown().await
    /// # }
    /// ```
    #[track_caller]
    pub fn create_timer(&self, duration: Duration) -> Timer {
        self.execution.timer_after(self.execution.claim(), duration)
    }

    /// Creates a timer that is due at `time`, or at once if that is past. See
    /// [`current_utc_time`](Self::current_utc_time) for an example.
    #[track_caller]
    pub fn create_timer_at(&self, time: SystemTime) -> Timer {
        Timer::new(&self.execution, self.execution.claim(), Timestamp::from(time))
    }

    /// Waits for an external event with this name, ignoring case.
    ///
    /// The wait receives the oldest unread event. If several waits have the same name, the newest one is served first.
    /// Each event goes to one wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    ///     let week = Duration::from_secs(7 * 24 * 60 * 60);
    ///     // Without a limit, `ctx.wait_for_external_event::<bool>("decision").await?` returns the payload.
    ///     Ok(match ctx.wait_for_external_event::<bool>("decision").timeout(week).await? {
    ///         Some(true) => format!("{expense}: approved"),
    ///         Some(false) => format!("{expense}: rejected"),
    ///         None => format!("{expense}: lapsed"),
    ///     })
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// run.raise_event("decision", true).await?;
    /// assert_eq!(run.result().await?, "a chair: approved");
    /// # hub.shutdown().await
    /// # }
    /// ```
    #[track_caller]
    pub fn wait_for_external_event<T: Answer>(&self, name: impl Into<String>) -> EventWait<T> {
        EventWait::new(&self.execution, self.execution.claim(), name.into())
    }

    /// Raises an external event for another orchestration. Nothing happens if no orchestration has this id, or if it
    /// has ended.
    ///
    /// This orchestration fails if the id or the name violates the rules, or if the payload does not serialize or is
    /// too large.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn wait_for_bread(ctx: OrchestrationContext) -> Result<u32, Failure> {
    ///     Ok(ctx.wait_for_external_event::<u32>("bread").await?)
    /// }
    ///
    /// #[orchestration]
    /// async fn bake(ctx: OrchestrationContext, waiting: String) {
    ///     ctx.send_event(waiting, "bread", 3);
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<wait_for_bread>().orchestration::<bake>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<wait_for_bread>(()).await?;
    /// client.start::<bake>(run.id().to_owned()).await?;
    /// assert_eq!(run.result().await?, 3);
    /// # hub.shutdown().await
    /// # }
    /// ```
    #[track_caller]
    pub fn send_event(&self, instance_id: impl AsRef<str>, name: impl Into<String>, payload: impl Serialize) {
        let claim = self.execution.claim();
        let (instance, name) = (instance_id.as_ref().to_owned(), name.into());
        let what = || format!("the event `{name}` for `{instance}`");
        let checked = || -> Result<Vec<u8>> {
            let payload = encode(&what(), &payload)?;
            self.execution.permit(claim.sequence, what, || {
                InstanceId::orchestration(&instance)?;
                check_path_name("event name", &name)
            })?;
            self.execution.check_size(claim.sequence, what, payload.len())?;
            Ok(payload)
        };
        match checked() {
            Ok(payload) => {
                let command = Command::SendEvent {
                    sequence: claim.sequence,
                    instance: InstanceId::trusted(instance),
                    name,
                    payload,
                };
                self.execution.send(claim, command, Some(Normalize::Written));
            }
            Err(error) => self.execution.refuse(&error),
        }
    }

    /// Ends this execution when awaited, and starts the next one with `input` and an empty history.
    ///
    /// Make it the last expression of the function, as in `ctx.continue_as_new(next).await`, without a `return`. Unread
    /// events are carried over, and everything in progress is canceled.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn countdown(ctx: OrchestrationContext, n: u32) -> Result<String, Failure> {
    ///     if n == 0 {
    ///         return Ok("liftoff".into());
    ///     }
    ///     ctx.create_timer(Duration::from_millis(1)).await;
    ///     ctx.continue_as_new(n - 1).await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<countdown>().open().await?;
    /// # let client = hub.client();
    /// // Three executions under one id, each with a history of its own.
    /// assert_eq!(client.start::<countdown>(2).await?.result().await?, "liftoff");
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// `#[orchestration]` checks the type of the input if the call is awaited in the function itself. Elsewhere, an
    /// input that does not decode into this orchestration's type fails the orchestration, unless another
    /// [version](ContinueAsNew::version) is selected.
    #[track_caller]
    pub fn continue_as_new(&self, input: impl Serialize) -> ContinueAsNew {
        let place = Location::caller();
        let given = type_name_of_val(&input);
        let input = match encode("the input for continue-as-new", &input) {
            Ok(input) => Some(input),
            Err(error) => {
                self.execution.refuse(&error);
                None
            }
        };
        ContinueAsNew::new(Rc::clone(&self.execution), place, input, given)
    }
}

impl fmt::Debug for OrchestrationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrchestrationContext of {}", self.execution.begin.instance)
    }
}
