//! The clients that wait for the results of one executor.

use slab::Slab;

use crate::engine::message::Token;
use crate::error::Error;
use crate::runtime::contained::contained;
use crate::runtime::inbox::Reply;

/// Minimum number of clients that have given up before the executor searches for them.
const FEW: usize = 64;

/// The clients that wait for the results of one executor, by token.
///
/// A client that gives up leaves its reply here and its token with the core. Both are removed when enough clients have
/// given up to make the search cheap per client. Therefore the number of leftovers never far exceeds the number of
/// waiting clients.
#[derive(Debug, Default)]
pub(super) struct Callers {
    replies: Slab<Reply>,
}

impl Callers {
    pub(super) fn add(&mut self, reply: Reply) -> Token {
        Token(self.replies.insert(reply) as u64)
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Reply> {
        self.replies.try_remove(token.0 as usize)
    }

    /// Releases the room that a call took, because the call now waits as a row.
    pub(super) fn give_back_room(&mut self, token: Token) {
        if let Some(reply) = self.replies.get_mut(token.0 as usize) {
            let permit = reply.permit.take();
            // The drop wakes a client that waits for room.
            contained(|| drop(permit));
        }
    }

    /// Returns `true` if `gave_up` clients are enough for a search for the clients that no longer wait.
    pub(super) fn is_worth_a_look(&self, gave_up: usize) -> bool {
        gave_up >= FEW.max(self.replies.len() / 2)
    }

    /// Returns `true` if the client of `token` no longer waits.
    pub(super) fn is_gone(&self, token: Token) -> bool {
        let reply = self.replies.get(token.0 as usize);
        reply.is_some_and(|reply| reply.sender.is_closed())
    }

    /// Returns `true` if any client waits.
    pub(super) fn anyone_waits(&self) -> bool {
        self.replies.iter().any(|(_, reply)| !reply.sender.is_closed())
    }

    /// Fails the requests of all waiting clients.
    pub(super) fn refuse(&mut self, error: &Error) {
        for reply in self.replies.drain() {
            reply.refuse(error);
        }
    }

    /// Returns the number of waiting clients, including those that have given up and have not been removed.
    pub(super) fn len(&self) -> usize {
        self.replies.len()
    }
}
