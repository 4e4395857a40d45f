//! Critical sections, which lock several entities at once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::entity::CallError;
use crate::entity::caller::Claim;
use crate::entity::reference::ReferenceCode;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EntityId, InstanceId, Sequence, list_of_ids};
use crate::model::history::Command;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::section::Section;
use crate::orchestration::step::What;
use crate::orchestration::step_future::StepFuture;

/// Maximum number of entities in one critical section.
const MOST_ENTITIES: usize = 1_000;

/// Maximum total size of the ids in one critical section, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// A pending request for the locks of a critical section, created by
/// [`OrchestrationContext::lock_entities`](crate::OrchestrationContext::lock_entities). Dropping it withdraws the
/// request.
///
/// # Errors
/// Returns an error of one of these kinds:
///
/// * [`NestedLock`](ErrorKind::NestedLock) inside another critical section.
/// * [`InvalidId`](ErrorKind::InvalidId) for a key that violates the rules for ids.
/// * [`InvalidArguments`](ErrorKind::InvalidArguments) if there is nothing to lock.
/// * [`TooLarge`](ErrorKind::TooLarge) for more than 1,000 entities, or for more than 64 KiB of ids.
#[must_use = "a dropped lock request is withdrawn; await it"]
pub struct LockRequest(StepFuture);

impl LockRequest {
    pub(super) fn new(execution: &Rc<ExecutionState>, claim: Claim, entities: impl LockTargets) -> Self {
        let mut ids = Vec::new();
        entities.add_to(&mut ids);
        Self(match execution.lock(claim, ids) {
            Ok(()) => StepFuture::open(Rc::clone(execution), claim),
            Err(error) => StepFuture::refused(Rc::clone(execution), error),
        })
    }
}

impl Future for LockRequest {
    type Output = Result<LockGuard, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.0).poll(cx));
        // Whatever the outcome is, the guard releases the locks from here on.
        let mut guard = LockGuard {
            execution: Rc::clone(self.0.execution()),
            sequence: self.0.sequence(),
            granted: None,
        };
        Poll::Ready(match outcome {
            Ok(_) => {
                guard.granted = Some(guard.execution.progress());
                Ok(guard)
            }
            Err(failure) => Err(CallError::from_failure(failure)),
        })
    }
}

impl fmt::Debug for LockRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockRequest, {:?}", self.0)
    }
}

/// The locks of a critical section, held until the guard is dropped.
///
/// `let _ = …` drops the guard at once, so bind it to a name, as in `let _guard = …`. `#[orchestration]` rejects the
/// first form, and a guard that is dropped before anything was done under it is logged.
#[must_use = "the critical section ends when the guard is dropped; keep it in a variable"]
pub struct LockGuard {
    execution: Rc<ExecutionState>,
    sequence: Sequence,
    /// The progress of the code when the locks were granted.
    granted: Option<(u64, Sequence)>,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(granted) = self.granted
            && self.execution.is_awake()
            && granted == self.execution.progress()
        {
            tracing::warn!(
                orchestration = %self.execution.begin.instance,
                step = self.sequence,
                "a critical section ended as soon as it began, before any operation in it; keep its guard in a named \
                 variable, as in `let _guard = ctx.lock_entities(…).await?`"
            );
        }
        self.execution.abandon(self.sequence);
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LockGuard of step {} of {}",
            self.sequence, self.execution.begin.instance
        )
    }
}

/// A set of entities to lock: entity references and [`EntityId`]s, alone or in tuples, arrays, slices and lists.
/// Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be locked",
    label = "not an entity reference, an `EntityId` or a collection of these",
    note = "lock references with `ctx.lock_entities((&a, &b))`, or many of one type with `ctx.lock_entities(&list)`"
)]
pub trait LockTargets: sealed::Sealed {
    #[doc(hidden)]
    fn add_to(&self, ids: &mut Vec<Result<EntityId>>);
}

mod sealed {
    /// Prevents implementations of [`super::LockTargets`] outside of this crate.
    pub trait Sealed {}
}

macro_rules! lock_targets {
    ($([$($generics:tt)*] $type:ty, |$targets:ident, $ids:ident| $add:expr;)*) => {$(
        impl<$($generics)*> sealed::Sealed for $type {}

        impl<$($generics)*> LockTargets for $type {
            fn add_to(&self, $ids: &mut Vec<Result<EntityId>>) {
                let $targets = self;
                $add
            }
        }
    )*};
}

lock_targets! {
    [] EntityId, |id, ids| ids.push(Ok(id.clone()));
    [] &EntityId, |id, ids| ids.push(Ok((*id).clone()));
    [R: ReferenceCode] &R, |entity, ids| ids.push(entity.reference().target());
    [T: LockTargets, const N: usize] [T; N], |list, ids| list.iter().for_each(|item| item.add_to(ids));
    [T: LockTargets] Vec<T>, |list, ids| list.iter().for_each(|item| item.add_to(ids));
}

macro_rules! lock_tuples {
    ($($($type:ident $index:tt)*;)*) => {$(
        impl<$($type: LockTargets),*> sealed::Sealed for ($($type,)*) {}

        impl<$($type: LockTargets),*> LockTargets for ($($type,)*) {
            fn add_to(&self, ids: &mut Vec<Result<EntityId>>) {
                $(self.$index.add_to(ids);)*
            }
        }
    )*};
}

lock_tuples! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
}

macro_rules! lock_slices {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<T, $($generics)*> sealed::Sealed for &$type where for<'a> &'a T: LockTargets {}

        impl<T, $($generics)*> LockTargets for &$type where for<'a> &'a T: LockTargets {
            fn add_to(&self, ids: &mut Vec<Result<EntityId>>) {
                self.iter().for_each(|item| item.add_to(ids));
            }
        }
    )*};
}

lock_slices! {
    [] [T];
    [] Vec<T>;
    [const N: usize] [T; N];
}

/// Refuses a section that is too large. Its request carries the ids of all its entities, in memory and wherever it
/// waits.
fn check_size(entities: &[InstanceId]) -> Result<()> {
    let (count, bytes) = (
        entities.len(),
        entities.iter().map(|id| id.as_str().len()).sum::<usize>(),
    );
    if count <= MOST_ENTITIES && bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!(
            "a critical section was requested for {count} entities with {bytes} bytes of ids, but the limit is \
             {MOST_ENTITIES} entities and {MOST_BYTES} bytes; lock fewer entities at once, or one entity that \
             represents them all"
        ),
    ))
}

impl ExecutionState {
    /// Requests locks.
    fn lock(&self, claim: Claim, ids: Vec<Result<EntityId>>) -> Result<()> {
        let ids = ids.into_iter().map(|id| Ok(id?.into_instance()));
        let mut entities = ids.collect::<Result<Vec<InstanceId>>>()?;
        entities.sort();
        entities.dedup();
        if entities.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArguments,
                "a critical section must lock at least one entity",
            ));
        }
        check_size(&entities)?;
        let mut state = self.state.borrow_mut();
        if state.section.is_some() {
            return Err(Error::new(
                ErrorKind::NestedLock,
                format!(
                    "the locks of {} were requested inside a critical section; drop its guard first, or lock all \
                     entities at once",
                    list_of_ids(&entities)
                ),
            ));
        }
        state.section = Some(Section::new(claim.sequence, entities.clone()));
        drop(state);
        let command = Command::Lock {
            sequence: claim.sequence,
            entities: entities.clone(),
        };
        let granted = false;
        self.open(claim, What::Lock { entities, granted }, command, None);
        Ok(())
    }
}
