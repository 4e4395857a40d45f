//! External events: those that are unread, and the waits for more.

use std::collections::{BTreeMap, VecDeque};

use crate::id::Sequence;

/// The external events of one execution, by the lower-case form of their names.
#[derive(Debug, Default)]
pub(super) struct Events {
    arrivals: u64,
    unread: BTreeMap<String, VecDeque<Event>>,
    /// The newest waiter is the first to receive an event, as in Azure Durable Functions.
    waiters: BTreeMap<String, Vec<Sequence>>,
}

/// An external event.
#[derive(Debug)]
pub(super) struct Event {
    /// The position among all events of the execution.
    arrival: u64,
    /// The name as it was raised.
    pub(super) name: String,
    pub(super) payload: Vec<u8>,
}

impl Events {
    /// Accepts an event. Returns it with its waiter; without a waiter, the event is kept.
    pub(super) fn raise(&mut self, name: &str, payload: &[u8]) -> Option<(Sequence, Event)> {
        self.arrivals += 1;
        self.hand_out(Event {
            arrival: self.arrivals,
            name: name.to_owned(),
            payload: payload.to_vec(),
        })
    }

    /// Hands out an event again whose waiter never read it.
    pub(super) fn hand_out(&mut self, event: Event) -> Option<(Sequence, Event)> {
        let key = key(&event.name);
        let Some(waiters) = self.waiters.get_mut(&key) else {
            self.keep(event);
            return None;
        };
        let waiter = waiters.pop();
        if waiters.is_empty() {
            self.waiters.remove(&key);
        }
        waiter.map(|waiter| (waiter, event))
    }

    /// Keeps an event at its position in the order of arrival.
    pub(super) fn keep(&mut self, event: Event) {
        let queue = self.unread.entry(key(&event.name)).or_default();
        let place = queue.partition_point(|other| other.arrival < event.arrival);
        queue.insert(place, event);
    }

    /// Returns the oldest event with this name, or registers the newest waiter for it.
    pub(super) fn read_or_wait(&mut self, name: &str, waiter: Sequence) -> Option<Event> {
        let key = key(name);
        if let Some(queue) = self.unread.get_mut(&key)
            && let Some(event) = queue.pop_front()
        {
            if queue.is_empty() {
                self.unread.remove(&key);
            }
            return Some(event);
        }
        self.waiters.entry(key).or_default().push(waiter);
        None
    }

    /// Removes a waiter.
    pub(super) fn forget(&mut self, name: &str, waiter: Sequence) {
        let key = key(name);
        if let Some(waiters) = self.waiters.get_mut(&key) {
            waiters.retain(|&other| other != waiter);
            if waiters.is_empty() {
                self.waiters.remove(&key);
            }
        }
    }

    /// Takes all unread events, oldest first.
    pub(super) fn take_unread(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut events: Vec<Event> = std::mem::take(&mut self.unread).into_values().flatten().collect();
        events.sort_by_key(|event| event.arrival);
        events.into_iter().map(|event| (event.name, event.payload)).collect()
    }

    /// Returns the approximate memory of unread events, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let events = self.unread.values().flatten();
        events.map(|event| event.payload.len() + event.name.len() + 64).sum()
    }
}

/// Normalizes the name of an event, because names are compared without regard to case.
fn key(name: &str) -> String {
    name.to_lowercase()
}
