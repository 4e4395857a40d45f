//! Clients that do not wait any longer, and clients that share a request id.

use super::clients::What;
use super::life::Asked;
use super::sights::Sight;
use super::world::World;

/// The most attempts of one request.
const ATTEMPTS: u32 = 4;

impl World {
    /// A client goes away before it gets a reply. It may ask again at once, under the same request id.
    pub(super) fn give_up(&mut self) {
        let waiting = self.life.waiting.iter().filter_map(|(place, asked)| match asked {
            Asked::Client(request) => Some((*place, *request)),
            _ => None,
        });
        let waiting: Vec<_> = waiting.collect();
        if waiting.is_empty() {
            return;
        }
        let (place, request) = *self.aside.pick(&waiting);
        self.story
            .tell(|| format!("{} request {request} is given up", self.now.0));
        self.life.waiting.insert(place, Asked::Nobody);
        self.requests[request].open -= 1;
        self.requests[request].lost += 1;
        if self.aside.chance(50) {
            self.ask_once_more(request);
        }
    }

    /// An executor tells its core who has gone away. It does so between two steps.
    pub(super) fn forget_who_gave_up(&mut self, index: usize) {
        let (seat, waiting) = (&mut self.life.seats[index], &mut self.life.waiting);
        if seat.step.is_some() {
            return;
        }
        let is_gone = |token| matches!(waiting.get(&(index, token)), Some(Asked::Nobody));
        let forgotten = seat.core.forget_callers(is_gone);
        self.sights
            .extend((!forgotten.is_empty()).then_some(Sight::CallForgotten));
        for token in forgotten {
            waiting.remove(&(index, token));
        }
    }

    /// Asks once more under the request id of a request, if that is allowed: the same client again, or another one beside it.
    pub(super) fn ask_once_more(&mut self, at: usize) {
        let request = &self.requests[at];
        let may = request.id.is_some() && request.attempts < ATTEMPTS && !matches!(request.what, What::Misuse(_));
        if may && !self.climate.forgetful && !self.life.failed {
            self.send(at);
        }
    }
}
