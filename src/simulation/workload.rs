//! The entities of the simulation, written as user code.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serializer;
use serde::ser::Error as _;

use super::padding::PAYLOAD_BYTES;
use super::plan::{End, How, Kind, NEVER_MS, Sending, Work};
use crate::prelude::*;

/// Number of an entry that fails to serialize.
const UNWRITABLE: u64 = u64::MAX;

/// Key of the entity that stores the logs of deleted entities.
pub(super) const ARCHIVE: &str = "all";

/// An operation that no entity has.
pub(super) const UNKNOWN: &str = "unregistered_op";

thread_local! {
    /// Kept outside of the hub, so that a crash of the hub does not affect it.
    static SERVICE: RefCell<Service> = RefCell::default();
}

/// An external service that `async` work calls.
#[derive(Debug, Default)]
struct Service {
    /// The first idempotency key of each piece of work.
    seen: BTreeMap<u64, String>,
    /// A later, different key of a piece of work.
    changed: BTreeMap<u64, String>,
}

/// A log entry: one piece of work that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(serialize_with = "write_id")]
    pub(super) id: u64,
    /// Time in milliseconds.
    pub(super) at: u64,
}

/// The answer to work, with the previous log entry. It remains true, because an entity discards its log only as a
/// whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receipt {
    pub(super) id: u64,
    /// Number of the previous entry, or 0 if there was none.
    pub(super) previous: u64,
    padding: String,
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Peek {
    pub(super) entries: usize,
    pub(super) last: u64,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the work {id} was refused")]
pub(super) struct Refused {
    id: u64,
}

macro_rules! worker {
    ($type:ident, $($derive:ident),*) => {
        /// Does work and records it.
        #[derive(Debug, Entity, Default, Serialize, Deserialize, $($derive),*)]
        pub(super) struct $type {
            pub(super) log: Vec<Entry>,
        }

        #[operations]
        impl $type {
            pub fn work(&mut self, work: Work, ctx: &mut EntityContext) -> Result<Receipt, Refused> {
                carry_out(&mut self.log, &work, ctx)
            }

            pub async fn work_slowly(&mut self, work: Work, ctx: &mut EntityContext) -> Result<Receipt, Refused> {
                ask_service(work.id, ctx.idempotency_key());
                for _ in 0..work.pauses.unwrap_or_default() {
                    pause().await;
                }
                let receipt = carry_out(&mut self.log, &work, ctx)?;
                if work.end == End::Hang {
                    std::future::pending::<()>().await;
                }
                pause().await;
                Ok(receipt)
            }

            /// Cancels a timer that an earlier operation set. It adds no entry, so it does not start a log either.
            pub fn withdraw(&mut self, kind: Kind, key: &str, timer: String, ctx: &mut EntityContext) {
                cancel(kind, key, timer, ctx);
            }

            pub fn peek(&self) -> Peek {
                Peek {
                    entries: self.log.len(),
                    last: self.log.last().map_or(0, |entry| entry.id),
                }
            }
        }
    };
}

worker!(Ledger, Clone);
worker!(Register,);

/// Stores the logs of deleted entities, in order.
#[derive(Clone, Debug, Entity, Default, Serialize, Deserialize)]
pub(super) struct Archive {
    pub(super) chunks: Vec<(String, Vec<Entry>)>,
}

#[operations]
impl Archive {
    pub fn keep(&mut self, of: String, log: Vec<Entry>) {
        self.chunks.push((of, log));
    }
}

/// Records the work first and fails last, so that only a rollback keeps the log correct.
fn carry_out(log: &mut Vec<Entry>, work: &Work, ctx: &mut EntityContext) -> Result<Receipt, Refused> {
    let previous = log.last().map_or(0, |entry| entry.id);
    log.push(Entry {
        id: work.id,
        at: millis(ctx.now()),
    });
    for sending in &work.sends {
        send(sending, ctx);
    }
    if work.end == End::Unwritable {
        log.push(Entry { id: UNWRITABLE, at: 0 });
    }
    if work.dies {
        let log = std::mem::take(log);
        ctx.entity::<Archive>(ARCHIVE).keep(ctx.id().to_string(), log).signal();
        ctx.delete_state();
    }
    match work.end {
        End::Fine | End::Hang | End::Unwritable | End::TooLong | End::Disputed => {}
        End::Refuse => return Err(Refused { id: work.id }),
        // Unlike `panic!`, this does not call the panic hook, which prints. A test causes thousands of these panics.
        End::Panic => std::panic::resume_unwind(Box::new(format!("the work {} panics", work.id))),
    }
    let mut receipt = Receipt {
        id: work.id,
        previous,
        padding: String::new(),
    };
    let wanted = match work.end {
        End::TooLong if work.answer == 0 => PAYLOAD_BYTES + 1_024,
        _ => work.answer,
    };
    if wanted > 0 {
        let bytes = serde_json::to_string(&receipt).map_or(0, |answer| answer.len());
        receipt.padding = "x".repeat(wanted.saturating_sub(bytes));
    }
    Ok(receipt)
}

fn send(sending: &Sending, ctx: &EntityContext) {
    let (key, work) = (sending.key.as_str(), sending.work.filled());
    let operation = match (sending.kind, work.pauses) {
        (Kind::Ledger, None) => ctx.entity::<Ledger>(key).work(work),
        (Kind::Ledger, Some(_)) => ctx.entity::<Ledger>(key).work_slowly(work),
        (Kind::Register, None) => ctx.entity::<Register>(key).work(work),
        (Kind::Register, Some(_)) => ctx.entity::<Register>(key).work_slowly(work),
    };
    match sending.how {
        How::Now => operation.signal(),
        How::After(delay) => {
            operation.signal_after(Duration::from_millis(delay));
        }
        How::Canceled | How::Withdrawn => {
            let timer = format!("work {}", sending.work.id);
            operation
                .timer_id(timer.as_str())
                .signal_after(Duration::from_millis(NEVER_MS));
            if sending.how == How::Canceled {
                cancel(sending.kind, key, timer, ctx);
            } else if ctx.id().name() == Ledger::NAME {
                let me = ctx.entity::<Ledger>(ctx.key());
                me.withdraw(sending.kind, key, timer).signal();
            } else {
                let me = ctx.entity::<Register>(ctx.key());
                me.withdraw(sending.kind, key, timer).signal();
            }
        }
    }
}

fn cancel(kind: Kind, key: &str, timer: String, ctx: &EntityContext) {
    match kind {
        Kind::Ledger => ctx.entity::<Ledger>(key).cancel_signal(timer),
        Kind::Register => ctx.entity::<Register>(key).cancel_signal(timer),
    }
}

/// Yields once to the executor of `async` operations.
async fn pause() {
    let mut waited = false;
    poll_fn(|_| match std::mem::replace(&mut waited, true) {
        false => Poll::Pending,
        true => Poll::Ready(()),
    })
    .await;
}

/// Resets the external service at the start of a run.
pub(super) fn reset_service() {
    SERVICE.with_borrow_mut(|service| *service = Service::default());
}

/// Describes work whose later attempt had a different idempotency key, if there is any outside of `except`.
pub(super) fn service_complaint(except: &BTreeSet<u64>) -> Option<String> {
    SERVICE.with_borrow(|service| {
        let mut changed = service.changed.iter().filter(|(work, _)| !except.contains(work));
        changed
            .next()
            .map(|(work, key)| format!("work {work} was repeated with the key {key}"))
    })
}

fn ask_service(work: u64, key: String) {
    SERVICE.with_borrow_mut(|service| {
        let first = service.seen.entry(work).or_insert_with(|| key.clone());
        if *first != key {
            service.changed.insert(work, key);
        }
    });
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

fn write_id<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match *id {
        UNWRITABLE => Err(S::Error::custom("the serialization of this entry failed")),
        id => serializer.serialize_u64(id),
    }
}
