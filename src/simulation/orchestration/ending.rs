//! The last act: whoever has not ended is ended, and then nothing is left of orchestrations but their ends, and after a purge
//! nothing at all.

use std::sync::Arc;

use super::effects;
use super::rows;
use crate::engine::message::ActivityKey;
use crate::id::InstanceId;
use crate::simulation::clients::Wish;
use crate::simulation::world::World;
use crate::store::records::instance::{InstanceRecord, OrchestrationStatus, Order};

/// How often the last orchestrations are ended: one may start others.
const PATIENCE: usize = 30;

impl World {
    /// Ends all orchestrations, and sees that nothing is left.
    pub(in crate::simulation) fn end_orchestrations(&mut self) {
        let reason = || "the end of the world".to_owned();
        self.order_each(
            |record| record.status == OrchestrationStatus::Suspended,
            || Order::Resume { reason: reason() },
        );
        self.order_each(
            |record| !record.status.is_terminal(),
            || Order::Terminate {
                reason: reason(),
                children: false,
            },
        );
        let inventory = self.inventory();
        let references = self.follow_all(&inventory);
        rows::belong_together(&inventory, &references);
        effects::exactly_once(self, &self.survey());
        assert!(inventory.locks.is_empty(), "locks are left: {:?}", inventory.locks);
        assert!(
            inventory.activities.is_empty(),
            "activities are left: {:?}",
            inventory.activities
        );
        assert!(inventory.orders.is_empty(), "orders are left: {:?}", inventory.orders);
        assert!(self.life.jobs.is_empty(), "jobs are left: {:?}", self.life.jobs);
        // What is kept for an orchestration that never began is kept for a time.
        self.now.0 += 3_600_000;
        self.settle_all();
        let inventory = self.inventory();
        assert!(inventory.early.is_empty(), "events are left for {:?}", inventory.early);
        assert!(inventory.early_left.is_empty(), "{:?}", inventory.early_left);
        self.order_each(
            |_| true,
            || Order::Purge {
                children: false,
                seen: None,
            },
        );
        let inventory = self.inventory();
        let left = (
            inventory.turns.len(),
            inventory.ends.len(),
            inventory.custom_statuses.len(),
            inventory.index.len(),
        );
        assert_eq!(left, (0, 0, 0, 0), "rows are left of orchestrations that were purged");
        assert!(inventory.children.is_empty(), "{:?}", inventory.children);
    }

    /// Whether there are orchestrations that wait for another build or for an operator.
    pub(in crate::simulation) fn has_stopped_orchestrations(&self) -> bool {
        self.inventory()
            .instances
            .values()
            .any(|record| record.stopped.is_some())
    }

    /// Closes the hub as its executors do, with everything left as it is. Says whether that was possible. What runs does not
    /// count as running then, so that it is no suspect when it runs again.
    pub(in crate::simulation) fn leave(&mut self) -> bool {
        for index in 0..self.life.seats.len() {
            self.commit(index);
            self.life.seats[index].core.begin_no_more_activities();
        }
        for index in 0..self.life.seats.len() {
            let order = Arc::clone(&self.life.order);
            let batch = order.draw_batch_number();
            let core = &mut self.life.seats[index].core;
            let step = core.leave(self.now, batch, order.store().as_ref());
            if let Some(step) = step
                .expect("the model's reads do not fail")
                .filter(|_| !self.life.failed)
            {
                self.life.seats[index].step = Some(step);
                self.commit(index);
            }
        }
        if self.life.failed {
            return false;
        }
        let inventory = self.inventory();
        for job in &self.life.jobs {
            let ActivityKey {
                instance,
                execution,
                sequence,
            } = &job.activity;
            let row = inventory.activities.get(&(instance.to_string(), *execution, *sequence));
            let counts = row.is_some_and(|record| record.started.is_some() && record.attempt == job.attempt);
            assert!(!counts, "the hub is closed and an activity counts as running: {job:?}");
        }
        true
    }

    /// Gives an order to each orchestration that is so, until there is none.
    fn order_each(&mut self, is: impl Fn(&InstanceRecord) -> bool, order: impl Fn() -> Order) {
        for _ in 0..PATIENCE {
            let instances = self.inventory().instances.into_iter();
            let targets: Vec<String> = instances.filter(|(_, record)| is(record)).map(|(id, _)| id).collect();
            if targets.is_empty() {
                return;
            }
            for target in targets {
                self.order(InstanceId::trusted(target), Wish::Manage, order(), None);
            }
            self.settle_all();
        }
        panic!("orchestrations do not do what they are ordered");
    }
}
