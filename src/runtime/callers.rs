//! The clients that wait for the results of one executor.

use slab::Slab;

use crate::engine::message::Token;

/// The other end of a request.
pub(crate) trait Client {
    /// Returns `true` if no one waits for the response any more.
    fn is_gone(&self) -> bool;

    /// Releases the room that the request took, because it waits as a row from now on.
    fn give_back_room(&mut self) {}
}

/// Minimum number of clients that have given up before the executor searches for them.
const FEW: usize = 64;

/// The clients that wait for the results of one executor, by token.
///
/// A client that gives up leaves its reply here and its token with the core. Both are removed when enough clients have
/// given up to make the search cheap per client. Therefore the number of leftovers never far exceeds the number of
/// waiting clients.
#[derive(Debug)]
pub(super) struct Callers<C> {
    clients: Slab<C>,
}

impl<C> Default for Callers<C> {
    fn default() -> Self {
        Self { clients: Slab::new() }
    }
}

impl<C: Client> Callers<C> {
    pub(super) fn add(&mut self, client: C) -> Token {
        Token(self.clients.insert(client) as u64)
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<C> {
        self.clients.try_remove(token.0 as usize)
    }

    /// Releases the room that a call took, because the call now waits as a row.
    pub(super) fn give_back_room(&mut self, token: Token) {
        if let Some(client) = self.clients.get_mut(token.0 as usize) {
            client.give_back_room();
        }
    }

    /// Returns `true` if `gave_up` clients are enough for a search for the clients that no longer wait.
    pub(super) fn is_worth_a_look(&self, gave_up: usize) -> bool {
        gave_up >= FEW.max(self.clients.len() / 2)
    }

    /// Returns `true` if the client of `token` no longer waits.
    pub(super) fn is_gone(&self, token: Token) -> bool {
        self.clients.get(token.0 as usize).is_some_and(Client::is_gone)
    }

    /// Returns `true` if any client waits.
    pub(super) fn anyone_waits(&self) -> bool {
        self.clients.iter().any(|(_, client)| !client.is_gone())
    }

    /// Takes out all clients.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = C> {
        self.clients.drain()
    }

    /// Returns the number of waiting clients, including those that have given up and have not been removed.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// The clients with their tokens.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &C)> {
        self.clients.iter().map(|(token, client)| (Token(token as u64), client))
    }

    /// Puts another client in the place of one.
    #[cfg(test)]
    pub(super) fn replace(&mut self, token: Token, client: C) {
        self.clients[token.0 as usize] = client;
    }
}
