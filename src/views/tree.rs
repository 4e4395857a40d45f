//! The tree of an orchestration and the orchestrations that it has started.

use std::time::SystemTime;

use serde::Serialize;

use crate::error::Result;
use crate::id::{InstanceId, Sequence};
use crate::model::history::Command;
use crate::model::orchestration::{OrchestrationRecord, OrchestrationStatus};
use crate::views::turns::read_turns;
use crate::views::view::View;
use crate::views::{json, orchestrations};

/// Maximum number of orchestrations in a tree.
const MOST_ORCHESTRATIONS: usize = 1_000;

/// Maximum number of events of histories that are read for one tree.
const MOST_EVENTS: u64 = 200_000;

/// Maximum depth of a tree. As JSON, each level takes two, and most readers of JSON accept 127.
const DEEPEST: usize = 50;

/// An orchestration and the orchestrations that its newest execution has started, as of one moment.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OrchestrationTree {
    /// The id of the orchestration.
    #[serde(rename = "instanceId")]
    pub id: String,
    /// The stored name of its type.
    pub name: String,
    /// Its status. `None` if there is no such orchestration: its start is on its way, or it was purged. So is a
    /// sub-orchestration whose id another orchestration has taken.
    #[serde(rename = "runtimeStatus")]
    pub status: Option<OrchestrationStatus>,
    /// The time at which it was started.
    #[serde(rename = "createdTime", serialize_with = "json::optional_time")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub created: Option<SystemTime>,
    /// The time of its last change.
    #[serde(rename = "lastUpdatedTime", serialize_with = "json::optional_time")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub last_change: Option<SystemTime>,
    /// The number of the step of the parent that started it. `None` for the root.
    pub sequence: Option<u64>,
    /// True if the parent started it without waiting for it.
    #[serde(rename = "detached")]
    pub is_detached: bool,
    /// The orchestrations that it has started, in the order of the starts.
    #[cfg_attr(feature = "http", schema(no_recursion))]
    pub children: Vec<OrchestrationTree>,
    /// True if children are missing because the tree reached a limit, or because the orchestration is shown above.
    #[serde(rename = "truncated")]
    pub is_truncated: bool,
}

/// A start in a history.
struct Child {
    id: InstanceId,
    name: String,
    sequence: Sequence,
    is_detached: bool,
}

/// Reads the tree of an orchestration. Returns `None` if there is no such orchestration.
pub(crate) fn read(view: View<'_>, id: &InstanceId) -> Result<Option<OrchestrationTree>> {
    let Some(record) = record(view, id)? else {
        return Ok(None);
    };
    let mut growth = Growth {
        view,
        chain: Vec::new(),
        left: MOST_ORCHESTRATIONS - 1,
        events_left: MOST_EVENTS,
    };
    let name = record.name.clone();
    growth.node(id, name, Some(record)).map(Some)
}

fn record(view: View<'_>, id: &InstanceId) -> Result<Option<OrchestrationRecord>> {
    orchestrations::record(view.reader, id.partition(view.partitions), id)
}

/// The state of a read.
struct Growth<'a> {
    view: View<'a>,
    /// The orchestrations from the root to the current one.
    chain: Vec<InstanceId>,
    /// The number of orchestrations that the tree may still contain.
    left: usize,
    /// The number of events of histories that may still be read.
    events_left: u64,
}

impl Growth<'_> {
    fn node(
        &mut self,
        id: &InstanceId,
        name: String,
        record: Option<OrchestrationRecord>,
    ) -> Result<OrchestrationTree> {
        let mut node = OrchestrationTree {
            id: id.to_string(),
            name,
            status: record.as_ref().map(|record| record.status),
            created: record.as_ref().map(|record| record.created.into()),
            last_change: record.as_ref().map(|record| record.changed.into()),
            sequence: None,
            is_detached: false,
            children: Vec::new(),
            is_truncated: false,
        };
        let Some(record) = record else { return Ok(node) };
        // The history of the root is always read.
        if record.events > self.events_left && !self.chain.is_empty() {
            node.is_truncated = true;
            return Ok(node);
        }
        self.events_left = self.events_left.saturating_sub(record.events);
        let children = self.children(id, &record)?;
        if !children.is_empty() && (self.chain.len() == DEEPEST || self.chain.contains(id)) {
            node.is_truncated = true;
            return Ok(node);
        }
        self.chain.push(id.clone());
        for child in children {
            if self.left == 0 {
                node.is_truncated = true;
                break;
            }
            self.left -= 1;
            let known = record_of(self.view, id, &child)?;
            let name = known.as_ref().map_or(child.name, |record| record.name.clone());
            node.children.push(OrchestrationTree {
                sequence: Some(child.sequence),
                is_detached: child.is_detached,
                ..self.node(&child.id, name, known)?
            });
        }
        self.chain.pop();
        Ok(node)
    }

    /// Returns the orchestrations that an execution has started, each once.
    fn children(&self, id: &InstanceId, record: &OrchestrationRecord) -> Result<Vec<Child>> {
        let mut children: Vec<Child> = Vec::new();
        let partition = id.partition(self.view.partitions);
        let mut known = std::collections::HashSet::new();
        read_turns(self.view.reader, partition, id, record, 0..record.turns, |_, turn| {
            for command in turn.commands {
                if let Command::StartOrchestration {
                    sequence,
                    instance,
                    name,
                    wait,
                    ..
                } = command
                    // A retry starts the same child again.
                    && known.insert((sequence, instance.clone()))
                {
                    children.push(Child {
                        id: instance,
                        name,
                        sequence,
                        is_detached: !wait,
                    });
                }
            }
            // One more than the tree may contain, so that it is known to be truncated.
            children.len() <= self.left
        })?;
        Ok(children)
    }
}

/// Returns the row of a child, unless another orchestration has its id.
fn record_of(view: View<'_>, parent: &InstanceId, child: &Child) -> Result<Option<OrchestrationRecord>> {
    let is_child = |record: &OrchestrationRecord| {
        let waits = record.parent.as_ref();
        child.is_detached || waits.is_some_and(|waits| waits.instance == *parent)
    };
    Ok(record(view, &child.id)?.filter(is_child))
}
