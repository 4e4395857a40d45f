//! What an orchestration can know and do.

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
use crate::store::records::history::{Command, Started};
use crate::time::Timestamp;

/// The largest custom status, in bytes. Source: Azure Durable Functions.
const CUSTOM_STATUS_BYTES: usize = 16 << 10;

/// The namespace of the guids that orchestrations make. Part of the stored behaviour: it never changes.
const GUIDS: Uuid = Uuid::from_u128(0x9b6d_3f0a_51c4_4e0b_8f27_d1a6_72e0_c35d);

/// What can be given to `call_http` in a build without it: nothing.
#[cfg(not(feature = "http-client"))]
#[diagnostic::on_unimplemented(
    message = "`call_http` needs the feature `http-client` of abide",
    label = "this build of abide has no HTTP client",
    note = "add the feature in Cargo.toml: `abide = {{ version = \"...\", features = [\"http-client\"] }}`"
)]
#[doc(hidden)]
pub trait NeedsHttpClient {}

/// What an orchestration can know and do. Cheap to clone; it stays on its thread.
///
/// Activities, timers, waits for events and sub-orchestrations begin when the turn that makes them is over, also if nobody
/// awaits them yet. Dropping one cancels it; one that is dropped in the turn that makes it never begins.
///
/// # Panics
/// Its methods panic if they are used while the code of its orchestration does not run, from another orchestration.
#[derive(Clone)]
pub struct OrchestrationContext {
    journal: Rc<Journal>,
}

/// Who waits for a sub-orchestration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentInfo {
    /// The id of the parent.
    pub instance_id: String,
    /// Which of its executions it is.
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

    /// The name of the orchestration.
    pub fn name(&self) -> &str {
        self.started()
            .map_or(self.journal.program.name, |started| &started.name)
    }

    /// The version with which this execution began; empty if it has none.
    pub fn version(&self) -> &str {
        self.started().map_or("", |started| &started.version)
    }

    /// The id of this orchestration.
    pub fn instance_id(&self) -> &str {
        self.journal.begin.instance.as_str()
    }

    /// The id of this execution of it: another one after every restart or continuing as new. One that goes on by a rewind
    /// keeps it, so that its code asks for the same again.
    pub fn execution_id(&self) -> String {
        let seed = self
            .started()
            .map_or(self.journal.begin.execution, |started| started.seed);
        seed.to_string()
    }

    /// Who waits for this orchestration, if it was called as a sub-orchestration.
    pub fn parent(&self) -> Option<ParentInfo> {
        let parent = self.started()?.parent.as_ref()?;
        Some(ParentInfo {
            instance_id: parent.instance.clone(),
            execution_id: parent.execution.to_string(),
        })
    }

    /// The tags with which it was started, as keys and values.
    pub fn tags(&self) -> &[(String, String)] {
        self.started().map_or(&[], |started| &started.tags)
    }

    /// When this turn began. It moves with every await that waits, and replays see the recorded time.
    pub fn current_utc_time(&self) -> SystemTime {
        self.journal.now().into()
    }

    /// Whether what runs now has run before, and is only brought back to where it was. What is logged by `tracing` meanwhile
    /// is dropped, so that it is said once; nothing else should depend on it.
    pub fn is_replaying(&self) -> bool {
        self.journal.state.borrow().replayed.is_some()
    }

    /// A unique id that every replay makes again.
    pub fn new_guid(&self) -> Uuid {
        let mut state = self.journal.state.borrow_mut();
        state.guids += 1;
        let (time, count) = (state.now.0, state.guids);
        drop(state);
        let name = format!("{}/{}/{time}/{count}", self.instance_id(), self.journal.derived_id(0));
        Uuid::new_v5(&GUIDS, name.as_bytes())
    }

    /// Random numbers that every replay draws again. Not for secrets.
    pub fn random(&self) -> Random {
        Random {
            journal: Rc::clone(&self.journal),
        }
    }

    /// Shows `status` to whoever asks for this orchestration, from the end of this turn on.
    ///
    /// One that does not become JSON or has more than 16 KiB fails the orchestration.
    pub fn set_custom_status(&self, status: impl Serialize) {
        let json = encode("the custom status", &status).and_then(|json| match json.len() {
            ..=CUSTOM_STATUS_BYTES => Ok(json),
            bytes => Err(Error::new(
                ErrorKind::TooLarge,
                format!("the custom status has {bytes} bytes and {CUSTOM_STATUS_BYTES} is the limit"),
            )),
        });
        match json {
            Ok(json) => self.journal.state.borrow_mut().custom_status = Some(json),
            Err(error) => self.journal.refuse(&error),
        }
    }

    /// Refuses resources in an orchestration at compile time.
    #[doc(hidden)]
    pub fn resource<T: ResourceOfReplayedCode>(&self) {}

    /// Reports at compile time that a feature is missing.
    #[cfg(not(feature = "http-client"))]
    #[doc(hidden)]
    pub fn call_http<R: NeedsHttpClient>(&self, _request: R) {}

    /// A reference to an entity, to call it by awaiting an operation, or to signal it.
    pub fn entity<E: Entity>(&self, key: impl Key) -> E::Ref<OrchestrationCaller> {
        reference::<E, _>(OrchestrationCaller::new(Rc::clone(&self.journal)), key)
    }

    /// Locks entities: `ctx.lock_entities((&from, &to)).await?`, or a slice or list of references or
    /// [`EntityId`](crate::EntityId)s. Until the guard is dropped nobody else reaches them. The locks are taken in one order
    /// that holds for all, so that critical sections do not wait for each other in a circle. One section locks 1 000 entities at
    /// most.
    ///
    /// Inside, only locked entities are called, each by one call at a time. Sub-orchestrations are refused, and a signal to
    /// a locked entity fails the orchestration. Activities, timers, events, [`start_orchestration`](Self::start_orchestration)
    /// and signals to other entities are fine. If an operator releases a lock by force, calls of that entity fail with
    /// [`LockLost`](ErrorKind::LockLost).
    #[track_caller]
    pub fn lock_entities(&self, entities: impl LockTargets) -> LockRequest {
        LockRequest::new(&self.journal, self.journal.claim(), entities)
    }

    /// Runs an activity: `ctx.call_activity::<charge_card>(card).await?`.
    ///
    /// The function is named as a type, which `#[activity]` makes beside it. On one without the attribute the compiler says
    /// "constant provided when a type was expected": write `#[activity]` on it.
    #[track_caller]
    pub fn call_activity<A: Activity>(&self, input: A::Input) -> ActivityCall<A> {
        ActivityCall::new(&self.journal, self.journal.claim(), &input)
    }

    /// Runs another orchestration, the newest version if the call does not say which, and waits for its end when it is
    /// awaited.
    #[track_caller]
    pub fn call_sub_orchestration<O: Orchestration>(&self, input: O::Input) -> ChildCall<O> {
        ChildCall::new(&self.journal, self.journal.claim(), &input)
    }

    /// Starts another orchestration, the newest version if nothing is said, which then goes its own way.
    #[track_caller]
    pub fn start_orchestration<O: Orchestration>(&self, input: O::Input) -> ChildStart<O> {
        ChildStart::new(&self.journal, self.journal.claim(), &input)
    }

    /// A timer that is due `duration` from now, however long that is.
    #[track_caller]
    pub fn create_timer(&self, duration: Duration) -> Timer {
        self.journal.timer_after(self.journal.claim(), duration)
    }

    /// A timer that is due at `time`; at once if that is past.
    #[track_caller]
    pub fn create_timer_at(&self, time: SystemTime) -> Timer {
        Timer::new(&self.journal, self.journal.claim(), Timestamp::from(time))
    }

    /// Waits for an external event of this name; upper and lower case are alike. It is given the oldest one that nobody has
    /// read. Of several who wait for one name the last is first, and one event is for one of them.
    #[track_caller]
    pub fn wait_for_external_event<T: Answer>(&self, name: impl Into<String>) -> EventWait<T> {
        EventWait::new(&self.journal, self.journal.claim(), name.into())
    }

    /// Raises an external event at another orchestration. If there is none of this id, or it has ended, nothing happens.
    ///
    /// An id or a name that breaks the rules, or a payload that does not become JSON or is too large, fails this orchestration.
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

    /// Ends this execution when it is awaited, and begins the next one with `input` and an empty history. It is the last
    /// expression of what it ends, as in `ctx.continue_as_new(next).await`, without a `return`. Events that nobody has read
    /// go along; everything that is under way is cancelled.
    ///
    /// `#[orchestration]` checks the type of the input where this is awaited in the function itself. Elsewhere an input that
    /// does not decode into this orchestration's type fails the orchestration, unless another
    /// [version](ContinueAsNew::version) is to read it.
    #[track_caller]
    pub fn continue_as_new(&self, input: impl Serialize) -> ContinueAsNew {
        let place = Location::caller();
        let given = type_name_of_val(&input);
        let input = match encode("the input with which it is to continue as new", &input) {
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
