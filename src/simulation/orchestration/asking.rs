//! Requests of clients to orchestrations, and actions of operators on them.

use super::draw::{event_name, known_id};
use super::padding::Note;
use crate::id::InstanceId;
use crate::model::Action;
use crate::model::orchestration::{LockOrder, OrchestrationStatus, Order, ReusePolicy, StartRecord};
use crate::runtime::Envelope;
use crate::runtime::Response;
use crate::simulation::clients::{Heard, What, Wish};
use crate::simulation::coverage::CoverageMark;
use crate::simulation::padding::PAYLOAD_BYTES;
use crate::simulation::plan::{Kind, key};
use crate::simulation::process::Asked;
use crate::simulation::world::World;
use crate::time::Timestamp;

impl World {
    /// A client or an operator makes a request that concerns an orchestration.
    pub(in crate::simulation) fn ask_of_an_orchestration(&mut self) {
        let Some(conditions) = self.profile.orchestrations.clone() else {
            return;
        };
        let is_order = |what: &What| matches!(what, What::Order(_) | What::Wait);
        let asked = self.requests.iter().filter(|request| is_order(&request.what)).count();
        if asked as u64 >= conditions.orders || self.process.failed {
            return;
        }
        let target = InstanceId::trusted(self.some_id());
        let why = || "picked at random".to_owned();
        let (wish, order) = match self.random.below(100) {
            0..40 => (Wish::Start, self.start()),
            40..62 => self.raise(),
            62..72 => return self.wait_for_end(target),
            72..75 => return self.forget_a_wait(),
            75..82 if conditions.force => return self.force(),
            82..84 if conditions.manage => (Wish::Manage, Order::Suspend { reason: why() }),
            84..86 if conditions.manage => (Wish::Manage, Order::Resume { reason: why() }),
            86..89 if conditions.manage => {
                let children = self.random.chance(50);
                (
                    Wish::Manage,
                    Order::Terminate {
                        reason: why(),
                        children,
                    },
                )
            }
            89..95 if conditions.manage => return self.rewind(target),
            95..97 if conditions.manage => (Wish::Manage, Order::Restart),
            97..100 if conditions.manage => {
                let children = self.random.chance(50);
                (Wish::Purge, Order::Purge { children, seen: None })
            }
            _ => (Wish::Start, self.start()),
        };
        let id = self.draw_request_id();
        self.order(target, wish, order, id);
    }

    /// A client rewinds an orchestration, usually one that has failed.
    fn rewind(&mut self, target: InstanceId) {
        let instances = self.inventory().orchestrations.into_iter();
        let failed = instances.filter(|(_, record)| record.status == OrchestrationStatus::Failed);
        let failed: Vec<String> = failed.map(|(id, _)| id).collect();
        let target = match failed.is_empty() || self.random.chance(10) {
            true => target,
            false => InstanceId::trusted(self.random.pick(&failed).as_str()),
        };
        let (reason, start) = ("picked at random".to_owned(), None);
        let id = self.draw_request_id();
        self.order(target, Wish::Manage, Order::Rewind { reason, start }, id);
    }

    /// Sends an order to an orchestration.
    pub(super) fn order(&mut self, target: InstanceId, wish: Wish, order: Order, id: Option<String>) {
        let mut request = self.request(target, What::Order(wish), Action::Order(Box::new(order)), true);
        request.id = id;
        self.requests.push(request);
        self.send(self.requests.len() - 1);
    }

    /// Draws a known id, or sometimes the id of any orchestration, which may be derived.
    fn some_id(&mut self) -> String {
        if self.random.chance(15) {
            let ids = self.inventory().orchestrations.into_keys().collect::<Vec<_>>();
            if !ids.is_empty() {
                return self.random.pick(&ids).clone();
            }
        }
        known_id(&mut self.random)
    }

    fn start(&mut self) -> Order {
        let mut program = self.drawer.program(&self.profile, &mut self.random);
        self.dress(&mut program);
        // A client checks the size of an input before it sends the start.
        program.input = program.input.min(PAYLOAD_BYTES);
        let later = self.random.chance(20);
        let at = later.then(|| Timestamp(self.now.0 + self.random.pick(&[0, 1, 400, 60_000])));
        Order::Start(Box::new(StartRecord {
            name: "play".to_owned(),
            version: self.random.chance(50).then(|| self.some_version()),
            input: serde_json::to_vec(&program.filled()).expect("a program serializes"),
            at,
            reuse: *self.random.pick(&[
                ReusePolicy::Error,
                ReusePolicy::Error,
                ReusePolicy::Ignore,
                ReusePolicy::Terminate,
                ReusePolicy::RejectDuplicate,
            ]),
            ..StartRecord::default()
        }))
    }

    fn raise(&mut self) -> (Wish, Order) {
        let note = self.drawer.note();
        let bytes = self.size_of_event();
        let early = self.random.chance(30);
        let keep_until = early.then(|| Timestamp(self.now.0 + self.random.pick(&[1, 1_000, 1_000_000])));
        let order = Order::Raise {
            name: event_name(&mut self.random),
            payload: serde_json::to_vec(&Note::new(note, bytes)).expect("a note serializes"),
            keep_until,
        };
        (Wish::Raise(note), order)
    }

    fn wait_for_end(&mut self, target: InstanceId) {
        // The action is unused, because a wait is not a message.
        let action = Action::Order(Box::new(Order::Restart));
        let request = self.request(target, What::Wait, action, true);
        self.requests.push(request);
        self.send(self.requests.len() - 1);
    }

    /// A client that waits for an end goes away.
    fn forget_a_wait(&mut self) {
        let waiting = self.waiting(|asked| match asked {
            Asked::Wait(request) => Some(*request),
            _ => None,
        });
        if waiting.is_empty() {
            return;
        }
        let (slot, token, request) = *self.random.pick(&waiting);
        // The reply may already be in flight and is discarded then.
        self.process.cores[slot].driver.replace_client(token, Asked::Nobody);
        self.requests[request].open -= 1;
        let instance = self.requests[request].target.clone();
        self.process.cores[slot]
            .inbox
            .send(Envelope::Forget { instance, token });
    }

    /// An operator releases the lock of an entity by force.
    fn force(&mut self) {
        let locked: Vec<String> = self.inventory().locks.into_keys().collect();
        let target = match self.random.chance(80) && !locked.is_empty() {
            true => InstanceId::trusted(self.random.pick(&locked).as_str()),
            false => self.random.pick(&Kind::ALL).id(&key(&self.profile, &mut self.random)),
        };
        let action = Action::Lock(Box::new(LockOrder::Force));
        let request = self.request(target, What::Order(Wish::Force), action, true);
        self.requests.push(request);
        self.send(self.requests.len() - 1);
    }

    /// Records the marks of an answer to an order.
    pub(in crate::simulation) fn see_answer(&mut self, request: usize) {
        let request = &self.requests[request];
        let Some(Heard::Text(answer)) = request.heard.last() else {
            return;
        };
        let is_rewind = matches!(&request.action, Action::Order(order) if matches!(**order, Order::Rewind { .. }));
        let is_forced = request.what == What::Order(Wish::Force) && answer == "true";
        self.see(CoverageMark::OrchestrationRewound, is_rewind);
        self.see(CoverageMark::LockForced, is_forced);
    }

    /// Delivers the end of an orchestration to a client that waits for it.
    pub(in crate::simulation) fn tell_end(&mut self, request: usize, settled: &Response) {
        self.tell(request, settled);
        let heard = self.requests[request].heard.last();
        self.see(
            CoverageMark::EndTold,
            matches!(heard, Some(Heard::Text(_) | Heard::Refused)),
        );
        self.observations
            .check_told(self.requests[request].target.as_str(), settled);
    }
}
