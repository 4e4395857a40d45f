//! The clients that wait for what one executor does for them.

use slab::Slab;

use crate::engine::message::Token;
use crate::error::Error;
use crate::runtime::contained::contained;
use crate::runtime::inbox::Reply;

/// How many clients may have given up before they are looked for, if few wait.
const FEW: usize = 64;

/// The clients that wait for what one executor does for them, by token.
///
/// A client that gives up leaves its reply here and its token with the core. They are removed when so many have given up that
/// the search costs little for each. So these are never many more than the clients that still wait.
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

    /// Gives back the room that a call took, because it waits as a row now.
    pub(super) fn give_back_room(&mut self, token: Token) {
        if let Some(reply) = self.replies.get_mut(token.0 as usize) {
            let permit = reply.permit.take();
            // This wakes a client that waits for room.
            contained(|| drop(permit));
        }
    }

    /// Whether it is time to look for those who do not wait any more, if so many have given up.
    pub(super) fn is_worth_a_look(&self, gave_up: usize) -> bool {
        gave_up >= FEW.max(self.replies.len() / 2)
    }

    /// Whether the client of `token` does not wait any more.
    pub(super) fn is_gone(&self, token: Token) -> bool {
        let reply = self.replies.get(token.0 as usize);
        reply.is_some_and(|reply| reply.sender.is_closed())
    }

    /// Whether any client waits.
    pub(super) fn anyone_waits(&self) -> bool {
        self.replies.iter().any(|(_, reply)| !reply.sender.is_closed())
    }

    /// Tells everyone why there will be no answer.
    pub(super) fn refuse(&mut self, error: &Error) {
        for reply in self.replies.drain() {
            reply.refuse(error);
        }
    }

    /// How many wait, with those who have given up and were not looked for.
    pub(super) fn len(&self) -> usize {
        self.replies.len()
    }
}
