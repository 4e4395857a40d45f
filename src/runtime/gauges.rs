//! The current load of an executor, for the metrics facade.

use metrics::Gauge;

/// The gauges of one executor. They are looked up once, so a recorder must be installed before the hub is opened.
pub(crate) struct Gauges {
    queued: Gauge,
    waiting_instances: Gauge,
    entities_in_memory: Gauge,
}

impl Gauges {
    pub(crate) fn of_executor(index: usize) -> Self {
        let gauge = |name: &'static str| metrics::gauge!(name, "executor" => index.to_string());
        Self {
            queued: gauge("abide.messages.queued"),
            waiting_instances: gauge("abide.instances.waiting"),
            entities_in_memory: gauge("abide.entities.in_memory"),
        }
    }

    /// Sets the number of queued messages, of instances with waiting messages, and of entities in memory.
    pub(crate) fn set(&self, queued: usize, waiting_instances: usize, entities_in_memory: usize) {
        self.queued.set(queued as f64);
        self.waiting_instances.set(waiting_instances as f64);
        self.entities_in_memory.set(entities_in_memory as f64);
    }
}
