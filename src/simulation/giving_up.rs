//! Clients that stop waiting, and clients that share a request id.

use super::clients::What;
use super::coverage::CoverageMark;
use super::process::{Asked, Process};
use super::world::World;
use crate::engine::message::Token;

/// Maximum number of attempts of one request.
const ATTEMPTS: u32 = 4;

impl World {
    /// A client goes away before it receives a reply. It may repeat the request at once, under the same request id.
    pub(super) fn give_up(&mut self) {
        let waiting = self.waiting(|asked| match asked {
            Asked::Client(request) => Some(*request),
            _ => None,
        });
        if waiting.is_empty() {
            return;
        }
        let (slot, token, request) = *self.aside.pick(&waiting);
        self.story
            .tell(|| format!("{} the client gives request {request} up", self.now.0));
        self.process.cores[slot].driver.replace_client(token, Asked::Nobody);
        self.requests[request].open -= 1;
        self.requests[request].lost += 1;
        if self.aside.chance(50) {
            self.ask_once_more(request);
        }
    }

    /// Informs the core of callers that have gone away. An executor does this between two steps.
    pub(super) fn forget_who_gave_up(&mut self, index: usize) {
        let slot = &mut self.process.cores[index];
        if slot.step.is_none() {
            let forgotten = slot.driver.forget_callers();
            self.see(CoverageMark::CallForgotten, forgotten > 0);
        }
    }

    /// Returns the waiting clients that `pick` selects; see [`waiting_in`].
    pub(super) fn waiting(&self, pick: impl Fn(&Asked) -> Option<usize>) -> Vec<(usize, Token, usize)> {
        waiting_in(&self.process, pick)
    }

    /// Repeats a request under its request id, if that is permitted. The same client repeats it, or another one in
    /// parallel.
    pub(super) fn ask_once_more(&mut self, at: usize) {
        let request = &self.requests[at];
        let may = request.id.is_some() && request.attempts < ATTEMPTS && !matches!(request.what, What::Misuse(_));
        if may && !self.profile.forgetful && !self.process.failed {
            self.send(at);
        }
    }
}

/// Returns the waiting clients of a process that `pick` selects, each with its executor and its token.
pub(super) fn waiting_in(process: &Process, pick: impl Fn(&Asked) -> Option<usize>) -> Vec<(usize, Token, usize)> {
    let cores = process.cores.iter().enumerate();
    let waiting = cores.flat_map(|(index, slot)| {
        let clients = slot.driver.clients().into_iter();
        clients.map(move |(token, asked)| (index, token, asked))
    });
    let picked = waiting.filter_map(|(index, token, asked)| Some((index, token, pick(asked)?)));
    picked.collect()
}
