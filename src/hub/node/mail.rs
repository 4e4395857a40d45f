//! The messages of the shards that this node runs, on their way to the other shards.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::forward::{Nature, ask};
use super::wire::{Call, Request};
use crate::id::ShardId;
use crate::runtime::Runtime;
use crate::runtime::mail::{Letter, carry};
use crate::runtime::roles::{Role, Roles, moved_from};

/// Pause after a letter that could not be delivered.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends the messages of one shard whenever this node runs it. `shards` has the roles of this node in all shards.
pub(super) async fn send_mail(from: ShardId, shards: Arc<[Arc<Roles>]>) {
    let mut role = shards[from.index()].subscribe();
    loop {
        let owner = match &*role.borrow_and_update() {
            Role::Owner(owner) => Some(Weak::clone(owner)),
            Role::Waiting { .. } | Role::Ended(_) => None,
        };
        if let Some(owner) = owner {
            tokio::select! {
                () = send_all(&owner, from, &shards) => {}
                () = moved_from(role.clone(), owner.clone()) => {}
            }
        }
        if role.changed().await.is_err() {
            return;
        }
    }
}

/// Sends the messages of a runtime to all other shards, until it has ended.
async fn send_all(owner: &Weak<Runtime>, from: ShardId, shards: &Arc<[Arc<Roles>]>) {
    let others = (0..shards.len() as u16).map(ShardId).filter(|to| *to != from);
    let sending = others.map(|to| {
        let receiver = Arc::clone(&shards[to.index()]);
        carry(Weak::clone(owner), to, async move |letter| {
            Some(deliver(letter, from, to, &receiver).await)
        })
    });
    join_all(sending).await;
}

/// Delivers a letter to the node that runs a shard, however long that takes. Returns the number of the newest message that
/// the shard has.
async fn deliver(letter: Letter, from: ShardId, to: ShardId, receiver: &Arc<Roles>) -> u64 {
    let call = Call {
        shard: to,
        request: Request::Mail {
            from,
            first: letter.first,
            messages: letter.messages,
        },
    };
    let request = call.encode();
    let mut role = receiver.subscribe();
    loop {
        let answer = match &request {
            // The other shard takes in each message once, however often it is sent.
            Ok(request) => ask(request, Nature::ONCE, &Arc::downgrade(receiver), &mut role).await,
            Err(error) => Err(error.clone()),
        };
        match answer.map(|response| response.number()) {
            Ok(Some(taken)) => return taken,
            Ok(None) => {}
            Err(error) => tracing::warn!(
                from = from.0,
                to = to.0,
                %error,
                "messages between two shards of the hub were not delivered; trying again"
            ),
        }
        sleep(PAUSE).await;
    }
}
