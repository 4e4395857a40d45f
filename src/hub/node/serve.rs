//! Answers to the requests of other nodes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::wire::{Answer, Call, Change, Request, kind_of, parse};
use crate::client::submit::ask_once;
use crate::client::{ChangeQuery, Client, wait_for_end};
use crate::engine::Registry;
use crate::engine::message::OperatorRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::ShardId;
use crate::runtime::mail::{Letter, deliver};
use crate::runtime::roles::Roles;
use crate::runtime::{HubRef, Response, Runtime, closed};
use crate::store::rocks::replicated::Member;
use crate::time::Deadline;
use crate::transport::{BoxFuture, Fingerprint, Service};

/// Maximum time that a request for changes waits for some.
const CHANGES: Duration = Duration::from_secs(10);

/// Maximum time that a node that ends answers others, and the time without a request after which it ends.
const LINGER: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_millis(200);

/// Answers other nodes. Until it has [opened](Self::open), nobody is admitted.
#[derive(Default)]
pub(super) struct PeerService {
    node: OnceLock<(Arc<Member>, Vec<Weak<Roles>>)>,
    /// Number of requests so far.
    requests: AtomicU64,
}

impl PeerService {
    /// Admits other nodes from now on. `shards` has the roles of this node in all shards.
    pub(super) fn open(&self, member: Arc<Member>, shards: &[Arc<Roles>]) {
        // It is opened once.
        let _ = self.node.set((member, shards.iter().map(Arc::downgrade).collect()));
    }

    /// Answers a request of another node.
    async fn reply(&self, request: &[u8]) -> Answer {
        let Call { shard, request } = match Call::decode(request) {
            Ok(call) => call,
            Err(error) => return Answer::Refused(error),
        };
        let Some((_, shards)) = self.node.get() else {
            return Answer::NotOwner;
        };
        let Some(roles) = shards.get(shard.index()) else {
            return Answer::Refused(no_such_shard(shard, shards.len()));
        };
        let owner = roles.upgrade().and_then(|roles| roles.owner());
        match owner.filter(|owner| owner.failed().is_none()) {
            Some(owner) => process(&Arc::downgrade(&owner), request).await,
            None => Answer::NotOwner,
        }
    }
}

impl PeerService {
    /// Answers until no request has come for a while: the others learn that this node does not run the hub any more, and
    /// would not know what has become of a request whose connection ends.
    pub(super) async fn linger(&self) {
        let deadline = Deadline::after(LINGER);
        let mut before = None;
        while !deadline.has_passed() && before.replace(self.count()) != Some(self.count()) {
            sleep(QUIET).await;
        }
    }

    fn count(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for PeerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerService").finish_non_exhaustive()
    }
}

impl Service for PeerService {
    fn admits(&self, peer: Fingerprint) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let Some((member, _)) = self.node.get() else {
                return false;
            };
            let member = Arc::clone(member);
            #[expect(clippy::disallowed_methods, reason = "the gateway has a runtime of its own")]
            let asked = tokio::task::spawn_blocking(move || member.admits(peer.as_bytes()));
            match asked.await {
                Ok(Ok(is_admitted)) => is_admitted,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "cannot look up the certificate of a node in the database; refusing it");
                    false
                }
                // The panic hook has reported it.
                Err(_) => false,
            }
        })
    }

    fn answer(&self, request: Bytes) -> BoxFuture<'_, Bytes> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { self.reply(&request).await.encode() })
    }
}

/// Creates the error for a request to a shard that the hub does not have.
fn no_such_shard(shard: ShardId, count: usize) -> Error {
    let text = format!(
        "a node has sent a request for shard {} of a hub of {count} shards; use the same build of the program on all nodes",
        shard.0
    );
    Error::new(ErrorKind::InvalidArguments, text)
}

/// Processes a request in this process, which runs the shard.
pub(super) async fn process(owner: &Weak<Runtime>, request: Request) -> Answer {
    let hub = HubRef::Process(Weak::clone(owner));
    let done = match request {
        Request::Submit(submit) => match registry(owner).and_then(|registry| submit.into_submission(&registry)) {
            Ok(submission) => {
                let mut sending = submission.run(Arc::new(hub));
                let told = (&mut sending).await;
                return Answer::of(told, sending.was_sent());
            }
            Err(error) => Err(error.into()),
        },
        Request::Operate(request) => {
            let (answer, was_sent) = match check(&request) {
                Ok(()) => ask_once(&hub, request).await,
                Err(error) => (Err(error), false),
            };
            let answer = answer.map(|is_done| Response::Answer(is_done.to_string().into_bytes()));
            return Answer::of(answer.map_err(CallFailure::from), was_sent);
        }
        Request::Wait { instance, until } => match parse(&instance) {
            Ok(instance) => wait_for_end(&hub, &instance, until).await.map(Response::Answer),
            Err(error) => Err(error.into()),
        },
        Request::Idle => idle(owner).await.map_err(CallFailure::from),
        Request::Changes { kinds, after } => return changes(owner, &kinds, after).await,
        Request::Mail { from, first, messages } => return take_mail(owner, from, Letter { first, messages }).await,
    };
    Answer::of(done, false)
}

fn registry(owner: &Weak<Runtime>) -> Result<Arc<Registry>> {
    let open = owner.upgrade().ok_or_else(closed)?;
    Ok(Arc::clone(&open.registry))
}

/// Refuses ids that no client could have sent.
fn check(request: &OperatorRequest) -> Result<()> {
    match request {
        OperatorRequest::Resume(instance) | OperatorRequest::DeleteChanges(instance) => {
            parse(instance.as_str()).map(drop)
        }
        OperatorRequest::DeadLetter { .. } => Ok(()),
    }
}

async fn idle(owner: &Weak<Runtime>) -> Result<Response> {
    let runtime = HubRef::Process(Weak::clone(owner)).open()?;
    let number = runtime.shard_idle().await?;
    Ok(Response::of_number(number))
}

/// Takes in messages of another shard.
async fn take_mail(owner: &Weak<Runtime>, from: ShardId, letter: Letter) -> Answer {
    let Some(shard) = owner.upgrade().map(|owner| owner.shard) else {
        return Answer::NotOwner;
    };
    if !shard.others().any(|other| other == from) {
        return Answer::Refused(no_such_shard(from, usize::from(shard.count)));
    }
    match deliver(owner, from, letter).await {
        Some(taken) => {
            let taken = taken.map(Response::of_number);
            Answer::of(taken.map_err(CallFailure::from), true)
        }
        // It may have taken them in.
        None => Answer::Lost,
    }
}

/// Waits for changes, but not for long, so that the other node shows from time to time that it still wants them.
async fn changes(owner: &Weak<Runtime>, kinds: &[String], after: Option<String>) -> Answer {
    let refused = |error: Error| Answer::of(Err(error.into()), false);
    let Some(runtime) = owner.upgrade() else {
        return Answer::NotOwner;
    };
    let query = Client::new(&runtime).changes();
    drop(runtime);
    let kinds = kinds.iter().filter_map(|name| kind_of(name));
    let query = kinds.fold(query, ChangeQuery::kind);
    let is_first = after.is_none();
    let query = match after {
        Some(after) => query.after(after),
        None => query,
    };
    let mut changes = match query.watch() {
        Ok(changes) => changes,
        Err(error) => return refused(error),
    };
    if is_first {
        // The feed keeps the changes from here on until the next request.
        return Answer::Changes {
            changes: Vec::new(),
            has_gap: false,
            position: changes.position(),
        };
    }
    match tokio::time::timeout(CHANGES, changes.next()).await {
        Ok(Ok(batch)) => Answer::Changes {
            changes: batch.changes.into_iter().map(Change::of).collect(),
            has_gap: batch.has_gap,
            position: batch.position,
        },
        Ok(Err(error)) => refused(error),
        Err(_) => Answer::Changes {
            changes: Vec::new(),
            has_gap: false,
            position: changes.position(),
        },
    }
}
