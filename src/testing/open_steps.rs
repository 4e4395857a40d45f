//! The open steps of the orchestrations of a hub, as a text for the message of a failed test.

use std::fmt::Write;

use crate::id::{InstanceId, PartitionId};
use crate::model::orchestration::OrchestrationStatus;
use crate::runtime::Runtime;
use crate::schema;
use crate::store::Reader;
use crate::views::view::View;
use crate::views::waiting::{self, WaitReason};

/// Maximum number of orchestrations that are described.
const MOST_DESCRIBED: usize = 10;

/// Describes the orchestrations that have not ended, with a line for each step that they wait for.
pub(super) fn describe_open_steps(runtime: &Runtime, reader: &dyn Reader) -> String {
    let mut text = String::new();
    for id in unended(runtime, reader).iter().take(MOST_DESCRIBED) {
        let view = View {
            reader,
            partitions: runtime.partitions,
            live: Some(runtime),
        };
        let Ok(Some(waiting)) = waiting::read(view, id) else {
            continue;
        };
        let _ = writeln!(text, "`{id}` ({}) is {}", waiting.name, waiting.status.as_str());
        for step in &waiting.steps {
            let source = step.source.as_deref().unwrap_or("an unknown place");
            let _ = writeln!(text, "  and waits for {} at {source}", name(&step.reason));
        }
        if let Some(stopped) = &waiting.stopped {
            let _ = writeln!(text, "  and is stopped: {}", stopped.message);
        }
    }
    text
}

fn unended(runtime: &Runtime, reader: &dyn Reader) -> Vec<InstanceId> {
    let partitions = (0..runtime.partitions).map(PartitionId);
    let ranges = partitions.flat_map(|partition| {
        OrchestrationStatus::LIVE.map(|status| schema::orchestration::with_status(partition, status))
    });
    let keys = ranges.flat_map(|range| reader.keys(range, MOST_DESCRIBED).unwrap_or_default());
    keys.filter_map(|key| Some(InstanceId::trusted(schema::orchestration::status_parts(&key)?.1)))
        .collect()
}

fn name(reason: &WaitReason) -> String {
    match reason {
        WaitReason::Activity { name, .. } => format!("the activity `{name}`"),
        WaitReason::Retry { step, .. } => format!("the next attempt of step {step}"),
        WaitReason::Timer { .. } => "a timer".to_owned(),
        WaitReason::Event { name } => format!("the event `{name}`"),
        WaitReason::EntityCall { entity, operation, .. } => format!("the answer of `{entity}` to `{operation}`"),
        WaitReason::Lock { entities, .. } => format!("the locks of {}", entities.join(", ")),
        WaitReason::SubOrchestration { instance, .. } => format!("the sub-orchestration `{instance}`"),
    }
}
