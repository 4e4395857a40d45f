//! The changes of the hub, for the watchers of this process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::forward::{Attempt, Nature, PAUSE, begin};
use super::wire::{Answer, Call, Change, Request};
use crate::client::ChangeKind;
use crate::engine::{ChangeKinds, NotedChange};
use crate::id::ShardId;
use crate::runtime::roles::{Role, Roles};
use crate::time::Deadline;

/// Time for which a request waits for a node that runs the hub, before it is made again.
const WAIT: Duration = Duration::from_secs(10);

/// Copies the feed of the node that runs a shard, which may be this one, as long as this process watches changes.
pub(super) async fn mirror(roles: Arc<Roles>) {
    let mut role = roles.subscribe();
    let mut mirrored = Mirrored::default();
    loop {
        let wanted = roles.standby().feed.wanted();
        if wanted.is_empty() {
            mirrored = Mirrored::default();
            roles.watched().await;
            continue;
        }
        mirrored.begin(wanted);
        tokio::select! {
            answer = ask(&mirrored, roles.standby().shard.id, &mut role) => take(&mut mirrored, answer, &roles).await,
            // There may be a watcher of other kinds.
            () = roles.watched() => {}
        }
    }
}

/// What is being mirrored.
#[derive(Default)]
struct Mirrored {
    kinds: ChangeKinds,
    /// The position in the feed of the other runtime, if it is known.
    position: Option<String>,
}

impl Mirrored {
    /// Begins again if there are new kinds.
    fn begin(&mut self, wanted: ChangeKinds) {
        if wanted.iter().any(|kind| !self.kinds.contains(kind)) {
            self.position = None;
        }
        self.kinds = wanted;
    }
}

/// Asks for the next changes. Returns `None` if there is no answer.
async fn ask(mirrored: &Mirrored, shard: ShardId, role: &mut watch::Receiver<Role>) -> Option<Answer> {
    let request = Request::Changes {
        kinds: mirrored
            .kinds
            .iter()
            .map(ChangeKind::as_str)
            .map(str::to_owned)
            .collect(),
        after: mirrored.position.clone(),
    };
    let request = Call { shard, request }.encode().ok()?;
    let attempt = begin(&request, Nature::READ, role, Deadline::after(WAIT)).await.ok()?;
    match attempt.end(role, Duration::ZERO).await {
        Attempt::Answered(answer) => Some(answer),
        _ => None,
    }
}

/// Passes the changes on, or tells the watchers that some are missing.
async fn take(mirrored: &mut Mirrored, answer: Option<Answer>, roles: &Roles) {
    let feed = &roles.standby().feed;
    let Some(Answer::Changes {
        changes,
        has_gap,
        position,
    }) = answer
    else {
        mirrored.position = None;
        return sleep(PAUSE).await;
    };
    if has_gap || mirrored.position.is_none() {
        feed.miss(mirrored.kinds);
    }
    mirrored.position = Some(position);
    let changes = changes.into_iter().filter_map(Change::into_change);
    feed.publish(changes.filter_map(NotedChange::from_shown).collect());
}
