//! The limits on concurrent activities, shared by the cores of a hub.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::ActivityKey;

/// The slots of concurrent activities, in the hub and for each activity, and the order in which they are granted.
///
/// The cores share the slots, so a busy core cannot withhold them from the others. A free slot goes to the request that
/// has waited longest, on any core. No activity that could start waits here while there is room for it.
#[derive(Debug)]
pub(crate) struct ActivitySlots {
    limit: usize,
    state: Mutex<State>,
    /// For each core, true if it was granted a slot that it has not taken.
    granted: Vec<AtomicBool>,
    /// True if a core has a grant and was not notified.
    wakeups: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// Number of running attempts of each activity.
    running_of: BTreeMap<String, usize>,
    /// True while a suspect runs.
    suspect_runs: bool,
    next_ticket: u64,
    /// Waiting requests by activity, oldest first.
    waiting: BTreeMap<String, VecDeque<(u64, SlotRequest)>>,
    /// Waiting requests of suspects, oldest first.
    suspects: VecDeque<(u64, SlotRequest)>,
    /// Requests that were granted a slot after waiting, for each core.
    grants: Vec<VecDeque<SlotRequest>>,
    /// Cores that have to be notified of their grants.
    untold: BTreeSet<usize>,
}

/// An activity that waits for a slot.
#[derive(Clone, Debug)]
pub(super) struct SlotRequest {
    pub(super) core: usize,
    pub(super) activity: ActivityKey,
    pub(super) name: String,
    /// Maximum number of concurrent attempts of this activity.
    pub(super) limit: Option<usize>,
    pub(super) suspicion: Suspicion,
}

/// The place of an activity in the line for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlaceInLine {
    /// The number of requests before it: of the same name or, for a suspect, of other suspects.
    pub(crate) ahead: usize,
    /// The number of slots that are taken.
    pub(crate) running: usize,
    /// The number of slots.
    pub(crate) limit: usize,
}

/// The suspicion that an activity causes crashes of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    None,
    /// It was running during several crashes. Two suspects never run concurrently.
    Suspect,
}

impl ActivitySlots {
    /// Creates the slots for `limit` concurrent activities, shared by `cores` cores.
    pub(crate) fn new(limit: usize, cores: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                grants: vec![VecDeque::new(); cores],
                ..State::default()
            }),
            granted: (0..cores).map(|_| AtomicBool::new(false)).collect(),
            wakeups: AtomicBool::new(false),
        }
    }

    /// Takes a slot for a new activity that is not a suspect, if there is room.
    pub(super) fn take(&self, name: &str, limit: Option<usize>) -> bool {
        let mut state = self.state();
        let room = state.has_room(self.limit, name, limit);
        if room {
            state.occupy(name, Suspicion::None);
        }
        room
    }

    /// Appends a request to the line. It may be granted immediately.
    pub(super) fn wait(&self, request: SlotRequest) {
        let mut state = self.state();
        let (ticket, core) = (state.next_ticket, request.core);
        state.next_ticket += 1;
        if request.suspicion == Suspicion::Suspect {
            state.suspects.push_back((ticket, request));
        } else {
            let line = state.waiting.entry(request.name.clone()).or_default();
            line.push_back((ticket, request));
        }
        self.grant(&mut state, core);
    }

    /// Releases a slot on behalf of `core`.
    pub(super) fn release(&self, core: usize, name: &str, suspicion: Suspicion) {
        let mut state = self.state();
        state.vacate(name, suspicion);
        self.grant(&mut state, core);
    }

    /// Takes the next granted request of `core`. It holds its slot until the core releases it.
    pub(super) fn next_grant(&self, core: usize) -> Option<SlotRequest> {
        if !self.has_grants(core) {
            return None;
        }
        let mut state = self.state();
        let request = state.grants[core].pop_front();
        if state.grants[core].is_empty() {
            self.granted[core].store(false, Ordering::Release);
        }
        request
    }

    /// Returns `true` if `core` has a grant that it has not taken.
    pub(super) fn has_grants(&self, core: usize) -> bool {
        self.granted[core].load(Ordering::Acquire)
    }

    /// Withdraws the requests of `core` that `unwanted` selects, granted or not.
    pub(super) fn withdraw(&self, core: usize, unwanted: impl Fn(&ActivityKey) -> bool) {
        let mut state = self.state();
        let state = &mut *state;
        let stays = |request: &SlotRequest| request.core != core || !unwanted(&request.activity);
        for line in state.waiting.values_mut().chain([&mut state.suspects]) {
            line.retain(|(_, request)| stays(request));
        }
        for request in mem::take(&mut state.grants[core]) {
            if stays(&request) {
                state.grants[core].push_back(request);
            } else {
                state.vacate(&request.name, request.suspicion);
            }
        }
        self.granted[core].store(!state.grants[core].is_empty(), Ordering::Release);
        self.grant(state, core);
    }

    /// Returns the number of slots.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the place of an activity in the line for a slot, or `None` if it is not in line.
    pub(crate) fn place(&self, activity: &ActivityKey, name: &str) -> Option<PlaceInLine> {
        let state = self.state();
        let is_it = |(_, request): &(u64, SlotRequest)| request.activity == *activity;
        let line = state.waiting.get(name).and_then(|line| line.iter().position(is_it));
        let ahead = line.or_else(|| state.suspects.iter().position(is_it))?;
        Some(PlaceInLine {
            ahead,
            running: state.running,
            limit: self.limit,
        })
    }

    /// Panics if the taken slots are not those of `holders` and of the grants.
    #[cfg(test)]
    pub(crate) fn recount(&self, holders: impl Iterator<Item = (String, Suspicion)>) {
        let state = self.state();
        let granted = state.grants.iter().flatten();
        let granted = granted.map(|request| (request.name.clone(), request.suspicion));
        let mut running_of: BTreeMap<String, usize> = state.running_of.keys().map(|name| (name.clone(), 0)).collect();
        let mut suspects = 0;
        for (name, suspicion) in holders.chain(granted) {
            *running_of.entry(name).or_default() += 1;
            suspects += usize::from(suspicion == Suspicion::Suspect);
        }
        assert_eq!(state.running_of, running_of, "the slots of each activity");
        assert_eq!(
            state.running,
            running_of.values().sum::<usize>(),
            "the slots of all activities"
        );
        assert_eq!(usize::from(state.suspect_runs), suspects, "the slots of suspects");
        assert!(
            state.running <= self.limit,
            "{} slots are taken of {}",
            state.running,
            self.limit
        );
    }

    /// Returns the cores that have received grants without being notified since the last call. The caller has to wake
    /// them.
    pub(crate) fn take_wakeups(&self) -> BTreeSet<usize> {
        if !self.wakeups.swap(false, Ordering::AcqRel) {
            return BTreeSet::new();
        }
        mem::take(&mut self.state().untold)
    }

    /// Grants requests while there is room. The core `by`, which made the room, is not notified, because it checks its
    /// grants itself.
    fn grant(&self, state: &mut State, by: usize) {
        while let Some(request) = state.next(self.limit) {
            let core = request.core;
            state.occupy(&request.name, request.suspicion);
            state.grants[core].push_back(request);
            self.granted[core].store(true, Ordering::Release);
            if core != by {
                state.untold.insert(core);
                self.wakeups.store(true, Ordering::Release);
            }
        }
    }

    /// Ignores poisoning: a panic while the lock is held ends the executor and with it the hub.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, limit: usize, name: &str, limit_of: Option<usize>) -> bool {
        let running_of = || self.running_of.get(name).copied().unwrap_or_default();
        self.running < limit && limit_of.is_none_or(|limit| running_of() < limit)
    }

    fn occupy(&mut self, name: &str, suspicion: Suspicion) {
        self.running += 1;
        match self.running_of.get_mut(name) {
            Some(running) => *running += 1,
            None => {
                self.running_of.insert(name.to_owned(), 1);
            }
        }
        self.suspect_runs |= suspicion == Suspicion::Suspect;
    }

    fn vacate(&mut self, name: &str, suspicion: Suspicion) {
        self.running -= 1;
        if let Some(running) = self.running_of.get_mut(name) {
            *running -= 1;
        }
        if suspicion == Suspicion::Suspect {
            self.suspect_runs = false;
        }
    }

    /// Takes the request that has waited longest among those that can start now.
    fn next(&mut self, limit: usize) -> Option<SlotRequest> {
        let can_begin = |entry: &&(u64, SlotRequest)| self.has_room(limit, &entry.1.name, entry.1.limit);
        let ordinary = self.waiting.values().filter_map(VecDeque::front).filter(can_begin);
        let ordinary = ordinary.map(|(ticket, _)| *ticket).min();
        let suspect = self.suspects.iter().find(can_begin).filter(|_| !self.suspect_runs);
        let suspect = suspect.map(|(ticket, _)| *ticket);
        let first = ordinary.into_iter().chain(suspect).min()?;
        let has_ticket = |entry: &(u64, SlotRequest)| entry.0 == first;
        if suspect == Some(first) {
            let at = self.suspects.iter().position(has_ticket)?;
            return self.suspects.remove(at).map(|(_, request)| request);
        }
        let line = self
            .waiting
            .values_mut()
            .find(|line| line.front().is_some_and(has_ticket))?;
        line.pop_front().map(|(_, request)| request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ExecutionId, InstanceId};

    fn key(number: u64) -> ActivityKey {
        ActivityKey {
            instance: InstanceId::trusted("i"),
            execution: ExecutionId::default(),
            sequence: number,
        }
    }

    fn request(core: usize, name: &str, number: u64) -> SlotRequest {
        SlotRequest {
            core,
            activity: key(number),
            name: name.to_owned(),
            limit: None,
            suspicion: Suspicion::None,
        }
    }

    /// Returns the numbers of all granted requests of `core`.
    fn grants(slots: &ActivitySlots, core: usize) -> Vec<u64> {
        std::iter::from_fn(|| slots.next_grant(core))
            .map(|request| request.activity.sequence)
            .collect()
    }

    /// A free slot goes to the request that has waited longest, on any core. Only another core has to be notified.
    #[test]
    fn the_longest_waiting_is_next_over_all_cores() {
        let slots = ActivitySlots::new(1, 2);
        assert!(slots.take("a", None));
        assert!(!slots.take("a", None));
        slots.wait(request(1, "b", 1));
        slots.wait(request(0, "a", 2));
        slots.wait(request(1, "a", 3));
        for (core, number) in [(1, 1), (0, 2), (1, 3)] {
            slots.release(0, if number == 2 { "b" } else { "a" }, Suspicion::None);
            assert_eq!(
                slots.take_wakeups(),
                if core == 1 { [1].into() } else { BTreeSet::new() }
            );
            assert_eq!(grants(&slots, core), [number]);
            assert!(!slots.has_grants(1 - core));
        }
    }

    /// An activity that has reached its own limit does not delay others.
    #[test]
    fn a_limit_of_one_activity_holds_back_only_that_one() {
        let slots = ActivitySlots::new(3, 1);
        let narrow = |number| SlotRequest {
            limit: Some(1),
            ..request(0, "narrow", number)
        };
        assert!(slots.take("narrow", Some(1)));
        slots.wait(narrow(1));
        slots.wait(request(0, "wide", 2));
        assert!(slots.take("wide", None));
        assert!(!slots.take("wide", None), "all three are taken");
        assert_eq!(grants(&slots, 0), [2]);
        slots.release(0, "wide", Suspicion::None);
        assert!(!slots.has_grants(0), "one narrow activity runs already");
        slots.release(0, "narrow", Suspicion::None);
        assert_eq!(grants(&slots, 0), [1]);
    }

    /// Suspects run one at a time. Other activities run concurrently.
    #[test]
    fn suspects_run_one_at_a_time() {
        let slots = ActivitySlots::new(8, 1);
        for number in 1..=3 {
            slots.wait(SlotRequest {
                suspicion: Suspicion::Suspect,
                ..request(0, "a", number)
            });
        }
        slots.wait(request(0, "a", 4));
        assert_eq!(grants(&slots, 0), [1, 4]);
        slots.release(0, "a", Suspicion::None);
        assert!(!slots.has_grants(0), "a suspect runs");
        slots.release(0, "a", Suspicion::Suspect);
        assert_eq!(grants(&slots, 0), [2]);
    }

    /// A withdrawn request gets no slot. A slot that it was already granted goes to the next request.
    #[test]
    fn a_withdrawn_request_passes_its_slot_on() {
        let slots = ActivitySlots::new(1, 2);
        slots.wait(request(0, "a", 1));
        slots.wait(request(0, "a", 2));
        slots.wait(request(1, "a", 3));
        slots.withdraw(0, |activity| *activity == key(2));
        slots.withdraw(0, |activity| *activity == key(1));
        assert!(!slots.has_grants(0));
        assert_eq!(slots.take_wakeups(), [1].into());
        assert_eq!(grants(&slots, 1), [3]);
    }
}
