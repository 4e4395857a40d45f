//! Requests of clients to a running hub.

use serde_json::json;

use super::clients::{Heard, Request, What};
use super::coverage::CoverageMark;
use super::plan::{Kind, Work, key};
use super::workload::UNKNOWN;
use super::world::World;
use crate::id::InstanceId;
use crate::model::Action;

/// Number of clients. The order of requests is guaranteed only within one client.
const CLIENTS: u64 = 3;

impl World {
    /// A client makes a new request.
    pub(super) fn ask_something(&mut self) {
        if self.requests.len() as u64 >= self.profile.requests || self.process.failed {
            return;
        }
        let kind = *self.random.pick(&Kind::ALL);
        let target = kind.id(&key(&self.profile, &mut self.random));
        let request = match self.random.below(100) {
            0..10 if self.profile.reads => self.peek(target),
            10..25 if self.profile.timers => self.schedule(target),
            25..40 if self.profile.timers => self.cancel(),
            40..43 => self.unknown(target),
            43..48 => self.misuse(),
            _ => Some(self.work(target)),
        };
        if let Some(request) = request {
            self.requests.push(request);
            let index = self.requests.len() - 1;
            self.send(index);
            if self.profile.impatient && self.aside.chance(20) {
                self.ask_once_more(index);
            }
        }
    }

    /// A client repeats a request under its request id, because it received no reply or does not trust it.
    pub(super) fn ask_again(&mut self) {
        if self.requests.is_empty() || self.process.failed || self.profile.forgetful {
            return;
        }
        let at = self.random.index(self.requests.len());
        self.ask_once_more(at);
    }

    pub(super) fn request(&mut self, target: InstanceId, what: What, action: Action, call: bool) -> Request {
        Request {
            client: self.random.below(CLIENTS),
            target,
            what,
            action,
            call,
            id: None,
            refuse_when_full: false,
            asked: self.requests.len() as u64,
            attempts: 0,
            open: 0,
            lost: 0,
            heard: Vec::new(),
        }
    }

    pub(super) fn draw_request_id(&mut self) -> Option<String> {
        let wanted = self.profile.request_ids && self.random.chance(50);
        wanted.then(|| format!("r{}", self.requests.len()))
    }

    fn work(&mut self, target: InstanceId) -> Request {
        let mut work = self.plans.draw(target.clone(), &self.profile, &mut self.random);
        self.enlarge(&mut work);
        let call = self.random.chance(50);
        let what = What::Work(work.id);
        let mut request = self.request(target, what, operation(&work), call);
        request.id = self.draw_request_id();
        request.refuse_when_full = self.random.chance(20);
        request
    }

    fn schedule(&mut self, target: InstanceId) -> Option<Request> {
        let replaced = self.timer_to_replace();
        let target = replaced.as_ref().map_or(target, |(target, ..)| target.clone());
        let mut work = self.plans.draw(target.clone(), &self.profile, &mut self.random);
        self.enlarge(&mut work);
        let due = self.now.0 + self.random.pick(&[0, 1, 5, 100, 60_000]);
        let (timer, due) = match replaced {
            Some((_, timer, before)) if self.aside.chance(70) => (timer, before),
            Some((_, timer, _)) => (timer, due),
            None => (format!("timer {}", self.requests.len()), due),
        };
        let action = Action::Schedule {
            timer,
            due: crate::time::Timestamp(due),
            operation: work.operation().into(),
            arguments: arguments(&work),
        };
        let mut request = self.request(target, What::Schedule(work.id, due), action, false);
        request.id = self.draw_request_id();
        Some(request)
    }

    /// Sometimes picks the target, name and due time of an earlier timer. The new timer replaces or follows that one.
    fn timer_to_replace(&mut self) -> Option<(InstanceId, String, u64)> {
        if !self.aside.chance(25) {
            return None;
        }
        let timers: Vec<(InstanceId, String, u64)> = self.requests.iter().filter_map(Request::timer).collect();
        let replaced = (!timers.is_empty()).then(|| self.aside.pick(&timers).clone());
        self.see(CoverageMark::TimerReplaced, replaced.is_some());
        replaced
    }

    fn cancel(&mut self) -> Option<Request> {
        let scheduled: Vec<usize> = (0..self.requests.len())
            .filter(|at| matches!(self.requests[*at].what, What::Schedule(..)))
            .collect();
        if scheduled.is_empty() {
            return None;
        }
        let of = *self.random.pick(&scheduled);
        let Action::Schedule { timer, .. } = &self.requests[of].action else {
            return None;
        };
        let action = Action::Cancel { timer: timer.clone() };
        let target = self.requests[of].target.clone();
        Some(self.request(target, What::Cancel(of), action, true))
    }

    fn peek(&mut self, target: InstanceId) -> Option<Request> {
        let action = Action::Operation {
            operation: "peek".into(),
            arguments: Vec::new(),
        };
        Some(self.request(target, What::Peek, action, true))
    }

    fn unknown(&mut self, target: InstanceId) -> Option<Request> {
        let action = Action::Operation {
            operation: UNKNOWN.into(),
            arguments: Vec::new(),
        };
        let call = self.random.chance(50);
        Some(self.request(target, What::Unknown, action, call))
    }

    /// Reuses the request id of an answered request with other arguments.
    fn misuse(&mut self) -> Option<Request> {
        let used: Vec<usize> = (0..self.requests.len())
            .filter(|at| {
                let request = &self.requests[*at];
                let known = request.heard.iter().any(Heard::is_final);
                known && request.id.is_some() && matches!(request.what, What::Work(_)) && !self.profile.forgetful
            })
            .collect();
        if used.is_empty() {
            return None;
        }
        let of = *self.random.pick(&used);
        let target = self.requests[of].target.clone();
        let mut work = self.plans.draw(target.clone(), &self.profile, &mut self.random);
        self.enlarge(&mut work);
        let call = self.random.chance(50);
        let mut request = self.request(target, What::Misuse(of), operation(&work), call);
        request.id = self.requests[of].id.clone();
        Some(request)
    }
}

fn operation(work: &Work) -> Action {
    Action::Operation {
        operation: work.operation().into(),
        arguments: arguments(work),
    }
}

fn arguments(work: &Work) -> Vec<u8> {
    serde_json::to_vec(&json!({ "work": work.filled() })).unwrap()
}
