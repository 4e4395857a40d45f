//! The trace of an orchestration is passed on to everything that it requests.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::*;
use crate::entity::entity_code;
use crate::model::orchestration::ActivityRecord;
use crate::model::{self, MessageRecord, TimerRecord};
use crate::trace::TraceContext;

/// Signals another entity and starts an orchestration.
#[derive(Default, Serialize, Deserialize, Entity)]
struct Gossip {
    heard: u32,
}

#[operations]
impl Gossip {
    pub fn hear(&mut self, ctx: &mut EntityContext) {
        self.heard += 1;
        ctx.entity::<Stranger>("s").hear().signal();
        ctx.start_orchestration::<echo>(0).instance_id("by-an-entity");
        ctx.entity::<Stranger>("s").hear().signal_after(Duration::from_secs(60));
    }
}

/// An unregistered entity, so messages to it wait.
#[derive(Default, Serialize, Deserialize, Entity)]
struct Stranger {
    heard: u32,
}

#[operations]
impl Stranger {
    pub fn hear(&mut self) {
        self.heard += 1;
    }
}

#[activity]
async fn nothing() -> Result<(), Failure> {
    Ok(())
}

/// Requests one of each kind of step, in its second execution.
#[orchestration]
async fn asks(ctx: OrchestrationContext, is_first: bool) -> Result<(), Failure> {
    if is_first {
        ctx.continue_as_new(false).await;
    }
    ctx.entity::<Gossip>("g").hear().await?;
    let activity = ctx.call_activity::<nothing>(());
    let timer = ctx.create_timer(Duration::from_secs(60));
    ctx.start_orchestration::<echo>(0).instance_id("started");
    ctx.call_sub_orchestration::<echo>(0).instance_id("child").await?;
    timer.await;
    Ok(activity.await?)
}

fn trace() -> Option<Box<TraceContext>> {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    TraceContext::parse(parent, Some("a=1")).map(Box::new)
}

/// Returns all records of one table.
fn records_of<R: DeserializeOwned>(model: &Model, table: impl Fn(PartitionId) -> std::ops::Range<Vec<u8>>) -> Vec<R> {
    let rows = (0..PARTITIONS).flat_map(|partition| model.scan(table(PartitionId(partition)), 100).unwrap());
    rows.map(|(_, row)| model::decode(&row, "record").unwrap()).collect()
}

/// The rows of activities, timers, sub-orchestrations, messages to entities, and messages that those entities send all
/// contain the trace.
#[test]
fn a_trace_travels_with_whatever_is_asked_for() {
    for trace in [trace(), None] {
        let mut stage = Stage::open();
        let mut registry = Registry::default();
        registry.add_entity(entity_code::<Gossip>()).unwrap();
        for code in [orchestration_code::<asks>(), orchestration_code::<echo>()] {
            registry.add_orchestration(code).unwrap();
        }
        let config = CoreConfig::of_all(PARTITIONS, registry, &Limits::default());
        stage.core = Core::open(config, &stage.model).unwrap();
        let start = StartRecord {
            name: "asks".into(),
            input: b"true".to_vec(),
            trace: trace.clone(),
            ..StartRecord::default()
        };
        stage.tell("a", Order::Start(Box::new(start))).unwrap();

        for id in ["a", "started", "child", "by-an-entity"] {
            assert_eq!(stage.record(id).unwrap().trace, trace, "{id}");
            assert_eq!(stage.start_of(id).trace, trace, "{id}");
        }
        let activities: Vec<ActivityRecord> = records_of(&stage.model, schema::activity::all);
        let timers: Vec<TimerRecord> = records_of(&stage.model, schema::timer::all);
        let messages: Vec<MessageRecord> = records_of(&stage.model, schema::message::all);
        assert_eq!((activities.len(), timers.len(), messages.len()), (1, 2, 1));
        assert_eq!(activities[0].trace, trace);
        assert!(timers.iter().all(|timer| timer.trace == trace), "{timers:?}");
        assert!(messages.iter().all(|message| message.trace == trace), "{messages:?}");
    }
}
