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
use crate::orchestration::chance::Random;
use crate::orchestration::child_call::{ChildCall, ChildStart};
use crate::orchestration::continue_as_new::ContinueAsNew;
use crate::orchestration::event_wait::EventWait;
use crate::orchestration::journal::Journal;
use crate::orchestration::kind::Orchestration;
use crate::orchestration::lock::{LockRequest, LockTargets};
use crate::orchestration::payload::{Normalize, encode};
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

/// The context of an orchestration, through which its code acts. Cheap to clone; it stays on its thread.
///
/// Activities, timers, event waits and sub-orchestrations begin at the end of the turn that creates them, whether or
/// not they are awaited. Dropping one cancels it. One that is dropped in the turn that creates it never begins.
///
/// # Panics
/// The methods panic if they are used while the code of their orchestration is not running, such as by another
/// orchestration.
#[derive(Clone)]
pub struct OrchestrationContext {
    journal: Rc<Journal>,
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
    pub(super) fn new(journal: Rc<Journal>) -> Self {
        Self { journal }
    }

    pub(super) fn journal(&self) -> &Rc<Journal> {
        &self.journal
    }

    fn started(&self) -> Option<&Started> {
        self.journal.started.get().map(|started| &**started)
    }

    /// Returns the name of the orchestration.
    pub fn name(&self) -> &str {
        self.started()
            .map_or(self.journal.program.name, |started| &started.name)
    }

    /// Returns the version with which this execution began. It is empty if there is none.
    pub fn version(&self) -> &str {
        self.started().map_or("", |started| &started.version)
    }

    /// Returns the id of this orchestration.
    pub fn instance_id(&self) -> &str {
        self.journal.begin.instance.as_str()
    }

    /// Returns the id of this execution of the orchestration.
    ///
    /// Every restart and every continue-as-new has a new one. An execution that resumes by a rewind keeps it, so that
    /// its code issues the same commands again.
    pub fn execution_id(&self) -> String {
        let seed = self
            .started()
            .map_or(self.journal.begin.execution, |started| started.seed);
        seed.to_string()
    }

    /// Returns the parent, if this orchestration was called as a sub-orchestration.
    pub fn parent(&self) -> Option<ParentInfo> {
        let parent = self.started()?.parent.as_ref()?;
        Some(ParentInfo {
            instance_id: parent.instance.clone(),
            execution_id: parent.execution.to_string(),
        })
    }

    /// Returns the tags with which the orchestration was started, as keys and values.
    pub fn tags(&self) -> &[(String, String)] {
        self.started().map_or(&[], |started| &started.tags)
    }

    /// Returns the time at which this turn began. It advances with every await that waits, and replays return the
    /// recorded time.
    pub fn current_utc_time(&self) -> SystemTime {
        self.journal.now().into()
    }

    /// Returns whether the code is being replayed, which restores its state. Events of `tracing` are dropped during a
    /// replay, so that each is logged once. Nothing else should depend on this value.
    pub fn is_replaying(&self) -> bool {
        self.journal.state.borrow().replayed.is_some()
    }

    /// Returns a unique id, which every replay reproduces.
    pub fn new_guid(&self) -> Uuid {
        let mut state = self.journal.state.borrow_mut();
        state.guids += 1;
        let (time, count) = (state.now.0, state.guids);
        drop(state);
        let name = format!("{}/{}/{time}/{count}", self.instance_id(), self.journal.derived_id(0));
        Uuid::new_v5(&GUIDS, name.as_bytes())
    }

    /// Returns a source of random numbers, which every replay reproduces. Not suitable for secrets.
    pub fn random(&self) -> Random {
        Random {
            journal: Rc::clone(&self.journal),
        }
    }

    /// Sets the custom status, which clients can read from the end of this turn on.
    ///
    /// A status that does not serialize or has more than 16 KiB fails the orchestration.
    pub fn set_custom_status(&self, status: impl Serialize) {
        let json = encode("the custom status", &status).and_then(|json| match json.len() {
            ..=CUSTOM_STATUS_BYTES => Ok(json),
            bytes => Err(Error::new(
                ErrorKind::TooLarge,
                format!("the custom status has {bytes} bytes, but the limit is {CUSTOM_STATUS_BYTES}"),
            )),
        });
        match json {
            Ok(json) => self.journal.state.borrow_mut().custom_status = Some(json),
            Err(error) => self.journal.refuse(&error),
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
    pub fn entity<E: Entity>(&self, key: impl Key) -> E::Ref<OrchestrationCaller> {
        reference::<E, _>(OrchestrationCaller::new(Rc::clone(&self.journal)), key)
    }

    /// Locks entities: `ctx.lock_entities((&from, &to)).await?`, or a slice or list of references or
    /// [`EntityId`](crate::EntityId)s.
    ///
    /// No other caller reaches the entities until the guard is dropped. All critical sections acquire locks in the same
    /// order, so they cannot wait for each other in a cycle. One section locks at most 1,000 entities.
    ///
    /// Inside the section, only locked entities can be called, with one call of each at a time. Sub-orchestrations are
    /// refused, and a signal to a locked entity fails the orchestration. Activities, timers, events,
    /// [`start_orchestration`](Self::start_orchestration) and signals to other entities are allowed. If an operator
    /// forcibly releases a lock, calls of that entity fail with [`LockLost`](ErrorKind::LockLost).
    #[track_caller]
    pub fn lock_entities(&self, entities: impl LockTargets) -> LockRequest {
        LockRequest::new(&self.journal, self.journal.claim(), entities)
    }

    /// Runs an activity: `ctx.call_activity::<charge_card>(card).await?`.
    ///
    /// The function is named as a type, which `#[activity]` generates beside it. For a function without the attribute,
    /// the compiler reports "constant provided when a type was expected": add `#[activity]` to it.
    #[track_caller]
    pub fn call_activity<A: Activity>(&self, input: A::Input) -> ActivityCall<A> {
        ActivityCall::new(&self.journal, self.journal.claim(), &input)
    }

    /// Runs another orchestration, and waits for its result when awaited. Runs the newest version, unless the call
    /// selects another one.
    #[track_caller]
    pub fn call_sub_orchestration<O: Orchestration>(&self, input: O::Input) -> ChildCall<O> {
        ChildCall::new(&self.journal, self.journal.claim(), &input)
    }

    /// Starts another orchestration, which then runs independently. Starts the newest version, unless the call selects
    /// another one.
    #[track_caller]
    pub fn start_orchestration<O: Orchestration>(&self, input: O::Input) -> ChildStart<O> {
        ChildStart::new(&self.journal, self.journal.claim(), &input)
    }

    /// Creates a timer that is due after `duration`, however long that is.
    #[track_caller]
    pub fn create_timer(&self, duration: Duration) -> Timer {
        self.journal.timer_after(self.journal.claim(), duration)
    }

    /// Creates a timer that is due at `time`, or at once if that is past.
    #[track_caller]
    pub fn create_timer_at(&self, time: SystemTime) -> Timer {
        Timer::new(&self.journal, self.journal.claim(), Timestamp::from(time))
    }

    /// Waits for an external event with this name, ignoring case.
    ///
    /// The wait receives the oldest unread event. If several waits have the same name, the newest one is served first.
    /// Each event goes to one wait.
    #[track_caller]
    pub fn wait_for_external_event<T: Answer>(&self, name: impl Into<String>) -> EventWait<T> {
        EventWait::new(&self.journal, self.journal.claim(), name.into())
    }

    /// Raises an external event for another orchestration. Nothing happens if no orchestration has this id, or if it
    /// has ended.
    ///
    /// This orchestration fails if the id or the name violates the rules, or if the payload does not serialize or is
    /// too large.
    #[track_caller]
    pub fn send_event(&self, instance_id: impl AsRef<str>, name: impl Into<String>, payload: impl Serialize) {
        let claim = self.journal.claim();
        let (instance, name) = (instance_id.as_ref().to_owned(), name.into());
        let what = || format!("the event `{name}` for `{instance}`");
        let checked = || -> Result<Vec<u8>> {
            let payload = encode(&what(), &payload)?;
            self.journal.permit(claim.sequence, what, || {
                InstanceId::orchestration(&instance)?;
                check_path_name("event name", &name)
            })?;
            self.journal.check_size(claim.sequence, what, payload.len())?;
            Ok(payload)
        };
        match checked() {
            Ok(payload) => {
                let command = Command::SendEvent {
                    sequence: claim.sequence,
                    instance,
                    name,
                    payload,
                };
                self.journal.send(claim, command, Some(Normalize::Written));
            }
            Err(error) => self.journal.refuse(&error),
        }
    }

    /// Ends this execution when awaited, and begins the next one with `input` and an empty history.
    ///
    /// Make it the last expression of the function, as in `ctx.continue_as_new(next).await`, without a `return`. Unread
    /// events are carried over, and everything in progress is canceled.
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
                self.journal.refuse(&error);
                None
            }
        };
        ContinueAsNew::new(Rc::clone(&self.journal), place, input, given)
    }
}

impl fmt::Debug for OrchestrationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrchestrationContext of {}", self.journal.begin.instance)
    }
}
