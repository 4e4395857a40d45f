//! The trace of an orchestration is passed on to everything that it requests.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::*;
use crate::engine::spans::FinishedSpan;
use crate::entity::entity_code;
use crate::model::orchestration::ActivityRecord;
use crate::model::{self, MessageRecord, TimerRecord};
use crate::trace::{Sampling, TraceContext};

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

/// Calls and signals an entity, and waits for an event.
#[orchestration]
async fn meets(ctx: OrchestrationContext) -> Result<(), Failure> {
    ctx.entity::<Gossip>("g").hear().await?;
    ctx.entity::<Gossip>("g").hear().signal();
    ctx.wait_for_external_event::<()>("go").await?;
    Ok(())
}

fn stage(limits: &Limits) -> Stage {
    let mut stage = Stage::open();
    let mut registry = Registry::default();
    registry.add_entity(entity_code::<Gossip>()).unwrap();
    for code in [
        orchestration_code::<asks>(),
        orchestration_code::<echo>(),
        orchestration_code::<meets>(),
    ] {
        registry.add_orchestration(code).unwrap();
    }
    stage.core = Core::open(CoreConfig::of_all(PARTITIONS, registry, limits), &stage.model).unwrap();
    stage
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
        let mut stage = stage(&Limits::default());
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

/// Returns the spans of an orchestration that belongs to this trace, and the time of its first turn.
fn spans_of(trace: Option<Box<TraceContext>>) -> (Vec<FinishedSpan>, Timestamp) {
    let mut stage = stage(&Limits {
        spans: Some(Sampling::ratio(1.0)),
        ..Limits::default()
    });
    let start = StartRecord {
        name: "meets".into(),
        input: b"null".to_vec(),
        trace,
        ..StartRecord::default()
    };
    stage.tell("m", Order::Start(Box::new(start))).unwrap();
    stage.now += 1_000;
    stage.tell("m", go()).unwrap();
    assert_eq!(stage.status("m"), OrchestrationStatus::Completed);
    let spans = stage.effects().filter_map(|effect| match effect {
        Effect::Span(span) => Some(FinishedSpan::clone(span)),
        _ => None,
    });
    (spans.collect(), stage.turns("m")[0].time)
}

/// The span of an execution begins with its first turn. The spans of an entity distinguish a call from a signal.
#[test]
fn a_span_has_the_name_the_kind_and_the_times_of_its_work() {
    for trace in [trace(), None] {
        let (spans, began) = spans_of(trace);
        let kinds = |name: &str| {
            let named = spans.iter().filter(|span| span.name == name);
            let mut kinds: Vec<String> = named.map(|span| format!("{:?}", span.kind)).collect();
            kinds.sort();
            kinds
        };
        assert_eq!(kinds("create_orchestration:meets"), ["Producer"]);
        assert_eq!(kinds("orchestration:meets"), ["Server"]);
        // The caller and the entity describe the call, and so do the sender and the entity for the signal.
        assert_eq!(
            kinds("entity:gossip:hear"),
            ["Client", "Consumer", "Producer", "Server"]
        );
        let execution = spans.iter().find(|span| span.name == "orchestration:meets").unwrap();
        assert_eq!(execution.start, began);
        assert!(execution.end > Timestamp(began.0 + 1_000), "{execution:?}");
    }
}

/// A trace that is not sampled has no spans.
#[test]
fn a_trace_that_is_not_sampled_has_no_spans() {
    let unsampled = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", None);
    assert_eq!(spans_of(unsampled.map(Box::new)).0, []);
}
