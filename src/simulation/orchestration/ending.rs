//! The end of a run: all orchestrations are terminated. Only their ends are left then, and nothing after a purge.

use std::sync::Arc;

use super::{effects, rows};
use crate::id::{ActivityKey, InstanceId};
use crate::model::orchestration::{OrchestrationRecord, OrchestrationStatus, Order};
use crate::simulation::clients::Wish;
use crate::simulation::world::World;

/// Maximum number of rounds that end the remaining orchestrations, which may have started others.
const PATIENCE: usize = 30;

impl World {
    /// Ends all orchestrations, and checks that nothing is left of them.
    pub(in crate::simulation) fn end_orchestrations(&mut self) {
        let reason = || "the run ends".to_owned();
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
        for process in self.processes() {
            assert!(process.jobs.is_empty(), "jobs are left: {:?}", process.jobs);
        }
        // Events for an orchestration that never began are kept for a limited time.
        self.now.0 += 3_600_000;
        self.settle_all();
        let inventory = self.inventory();
        assert!(inventory.early.is_empty(), "events are left for {:?}", inventory.early);
        assert!(
            inventory.early_left.is_empty(),
            "events are left for {:?}",
            inventory.early_left
        );
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
        assert_eq!(left, (0, 0, 0, 0), "rows of purged orchestrations are left");
        assert!(
            inventory.children.is_empty(),
            "children are left: {:?}",
            inventory.children
        );
    }

    /// Returns whether there are orchestrations that wait for another build or for an operator.
    pub(in crate::simulation) fn has_stopped_orchestrations(&self) -> bool {
        self.inventory()
            .orchestrations
            .values()
            .any(|record| record.stopped.is_some())
    }

    /// Closes the hub as its executors do, and leaves all work as it is. Returns whether that was possible. Running
    /// activities no longer count as running then, so they are not blamed for a crash when they run again.
    pub(in crate::simulation) fn leave(&mut self) -> bool {
        self.process.has_left = true;
        for index in 0..self.process.cores.len() {
            self.commit(index);
            self.process.cores[index].driver.core_mut().begin_no_more_activities();
        }
        for index in 0..self.process.cores.len() {
            let order = Arc::clone(&self.process.order);
            let step = self.process.cores[index].driver.leave(&order, self.now);
            if let Some(step) = step
                .expect("the model's reads do not fail")
                .filter(|_| !self.process.failed)
            {
                self.process.cores[index].step = Some(step);
                self.commit(index);
            }
        }
        if self.process.failed {
            return false;
        }
        let inventory = self.inventory();
        for job in &self.process.jobs {
            let ActivityKey {
                instance,
                execution,
                sequence,
            } = &job.activity;
            let row = inventory.activities.get(&(instance.to_string(), *execution, *sequence));
            let counts = row.is_some_and(|record| record.started.is_some() && record.attempt == job.attempt);
            assert!(!counts, "the hub is closed but an activity counts as running: {job:?}");
        }
        true
    }

    /// Sends an order to each orchestration for which `is` holds, until there is none.
    fn order_each(&mut self, is: impl Fn(&OrchestrationRecord) -> bool, order: impl Fn() -> Order) {
        for _ in 0..PATIENCE {
            let instances = self.inventory().orchestrations.into_iter();
            let targets: Vec<String> = instances.filter(|(_, record)| is(record)).map(|(id, _)| id).collect();
            if targets.is_empty() {
                return;
            }
            for target in targets {
                self.order(InstanceId::trusted(target), Wish::Manage, order(), None);
            }
            self.settle_all();
        }
        panic!("orchestrations do not follow their orders");
    }
}
