//! Why an orchestration does not continue: its open steps, and what each of them waits for.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use crate::error::Result;
use crate::id::{ActivityKey, ExecutionId, InstanceId, MessageId, Sequence};
use crate::model::orchestration::START_TIMER;
use crate::model::orchestration::{
    ActivityRecord, LockId, LockOrder, LockRecord, OrchestrationRecord, OrchestrationStatus, Stopped, Unregistered,
};
use crate::model::{self, Action, MessageRecord, QuarantineRecord};
use crate::schema;
use crate::store::PageBounds;
use crate::time::Timestamp;
use crate::views::open_steps::{OpenSteps, What};
use crate::views::view::{ActivityProgress, View};
use crate::views::{info, json, orchestrations};

/// Maximum number of orchestrations in one report. The rest is left out.
const MOST_ORCHESTRATIONS: usize = 256;

/// Maximum length of a chain of orchestrations, each of which waits for the next. As JSON, each takes up to six levels,
/// and most readers of JSON accept 127.
const LONGEST_CHAIN: usize = 20;

/// Maximum number of steps in one report, of all its orchestrations.
const MOST_STEPS: usize = 10_000;

/// Maximum number of events of histories that are replayed for one report, to find the positions of steps in the source.
const MOST_REPLAYED: u64 = 5_000;

/// Maximum number of messages that are read to find the place of one in the queue of an entity.
const MOST_MESSAGES: u64 = 10_000;

/// Why an orchestration does not continue, as of one moment.
///
/// A step may wait for another orchestration: a sub-orchestration, or the one that holds the lock of an entity. The
/// report then contains the reasons of that one as well, and so forms a tree.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Waiting {
    /// The id of the orchestration.
    pub id: String,
    /// The stored name of its type.
    pub name: String,
    /// Its status. An orchestration that has ended waits for nothing.
    pub status: OrchestrationStatus,
    /// The time of its last change.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub last_change: SystemTime,
    /// The time before which it does not start, if it has not started.
    #[serde(serialize_with = "json::optional_time", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub starts_at: Option<SystemTime>,
    /// The reason why its code cannot run, if it is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// What it needs that this build has not registered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unregistered: Vec<Unregistered>,
    /// The steps that it waits for, in the order in which they began. A lock that it holds is not among them.
    pub steps: Vec<WaitingStep>,
    /// The number of messages that wait for it as rows: at most 10,000, and those with priority.
    pub messages: u64,
    /// The events that it has received and not read, by name. Names of events are in lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread_events: Vec<UnreadEvents>,
    /// True if steps are missing because the report reached a limit. See also [`Cause::Omitted`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_truncated: bool,
}

/// A step that an orchestration waits for.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WaitingStep {
    /// The number of the step in its execution.
    pub sequence: u64,
    /// Its label, if the code gave it one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The time at which it began, or at which its last attempt did.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub since: SystemTime,
    /// The position of the step in the source of the code, as `file:line:column`. `None` if the hub is stopped, if this
    /// build has no such code, or if the histories of the report are so long that a replay would take too much time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the step waits for.
    #[serde(flatten)]
    pub reason: WaitReason,
}

/// What a step waits for.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(tag = "waitsFor", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum WaitReason {
    /// An activity.
    Activity {
        /// The name of the activity.
        name: String,
        /// The number of the attempt, starting at 1.
        attempt: u32,
        /// Its progress.
        progress: ActivityProgress,
        /// The number of crashes of the process during which it was running.
        crashes: usize,
    },
    /// The delay before the next attempt of an activity or a sub-orchestration.
    Retry {
        /// The number of the step that is attempted again.
        step: u64,
        /// The time of the next attempt.
        #[serde(serialize_with = "json::time")]
        #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
        due: SystemTime,
    },
    /// A timer.
    Timer {
        /// The time at which it fires.
        #[serde(serialize_with = "json::time")]
        #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
        due: SystemTime,
    },
    /// An event that has not been raised.
    Event {
        /// The name of the event.
        name: String,
    },
    /// The answer of an entity.
    EntityCall {
        /// The id of the entity.
        entity: String,
        /// The name of the operation.
        operation: String,
        /// The number of messages before this one in the queue of the entity. `None` if the call is not among the first
        /// 10,000: it is in transit, its operation runs, its answer is in transit, or it is further behind.
        #[serde(skip_serializing_if = "Option::is_none")]
        ahead: Option<u64>,
        /// The reason why the entity does not process the call, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        blocked: Option<EntityBlock>,
    },
    /// The locks of a critical section.
    Lock {
        /// The entities, in the order in which they are locked.
        entities: Vec<String>,
        /// The number of locks that the section holds already. It waits for `entities[held]`.
        held: usize,
        /// The reason why the next entity is not locked. `None` while the request is on its way.
        #[serde(skip_serializing_if = "Option::is_none")]
        blocked: Option<EntityBlock>,
    },
    /// The end of a sub-orchestration.
    SubOrchestration {
        /// The stored name of its type.
        name: String,
        /// Its id.
        instance: String,
        /// What the sub-orchestration waits for.
        cause: Cause,
    },
}

/// Why an entity does not process a message.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(tag = "by", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum EntityBlock {
    /// Another orchestration holds its lock.
    Lock {
        /// The id of the entity.
        entity: String,
        /// The id of the orchestration.
        owner: String,
        /// The time at which it took the lock.
        #[serde(serialize_with = "json::time")]
        #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
        since: SystemTime,
        /// What the owner waits for.
        cause: Cause,
    },
    /// It is quarantined or held.
    Quarantine {
        /// The id of the entity.
        entity: String,
        /// The reason for the quarantine.
        reason: String,
        /// The time at which it was quarantined.
        #[serde(serialize_with = "json::time")]
        #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
        since: SystemTime,
    },
    /// Its type is not registered with this build.
    Unregistered {
        /// The id of the entity.
        entity: String,
    },
    /// Other messages wait in its queue before this one.
    Queue {
        /// The id of the entity.
        entity: String,
        /// The number of these messages.
        ahead: u64,
    },
}

/// What another orchestration waits for.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Cause {
    /// The report of that orchestration.
    #[cfg_attr(feature = "http", schema(no_recursion))]
    Report(Box<Waiting>),
    /// It is already part of the chain that leads here. Unless another step of one of them ends first, none of them can
    /// continue.
    Cycle,
    /// There is no such orchestration. Its start may be on its way, or it was purged.
    Missing,
    /// Left out because the report reached a limit.
    Omitted,
}

/// Unread events of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UnreadEvents {
    /// The name, in lower case.
    pub name: String,
    /// The number of events.
    pub count: u64,
}

/// Reads why an orchestration does not continue. Returns `None` if there is no such orchestration.
pub(crate) fn read(view: View<'_>, id: &InstanceId) -> Result<Option<Waiting>> {
    let mut search = Search {
        view,
        chain: Vec::new(),
        left: MOST_ORCHESTRATIONS,
        steps_left: MOST_STEPS,
        replay_left: MOST_REPLAYED,
    };
    search.orchestration(id)
}

/// The search for the causes of one report.
struct Search<'a> {
    view: View<'a>,
    /// The orchestrations from the first one to the current one, each of which waits for the next.
    chain: Vec<InstanceId>,
    /// The number of orchestrations that the report may still contain.
    left: usize,
    /// The number of steps that the report may still contain.
    steps_left: usize,
    /// The number of events of histories that the report may still replay.
    replay_left: u64,
}

impl Search<'_> {
    fn orchestration(&mut self, id: &InstanceId) -> Result<Option<Waiting>> {
        let View { reader, partitions, .. } = self.view;
        let partition = id.partition(partitions);
        let Some(mut record) = info::record(self.view, id)? else {
            return Ok(None);
        };
        orchestrations::catch_up(reader, partition, id, &mut record)?;
        self.left = self.left.saturating_sub(1);
        let mut waiting = Waiting {
            id: id.to_string(),
            name: record.name.clone(),
            status: record.status,
            last_change: record.changed.into(),
            starts_at: None,
            stopped: record.stopped.clone(),
            unregistered: record.unregistered.iter().map(|(_, on)| on.clone()).collect(),
            steps: Vec::new(),
            messages: 0,
            unread_events: Vec::new(),
            is_truncated: false,
        };
        if record.status.is_terminal() {
            return Ok(Some(waiting));
        }
        if record.turns == 0 {
            let start = orchestrations::start_of(reader, partition, id, &record)?;
            waiting.starts_at = self.start_time(id)?.or(start.at).map(Into::into);
        }
        waiting.messages = self.messages_of(id)?;
        let steps = OpenSteps::read(self.view, id, &record, record.turns)?;
        let unread = steps.unread.into_iter().filter(|(_, count)| *count > 0);
        waiting.unread_events = unread.map(|(name, count)| UnreadEvents { name, count }).collect();
        let sources = self.sources(id, &record);
        self.chain.push(id.clone());
        for (sequence, open) in steps.open {
            if self.steps_left == 0 {
                waiting.is_truncated = true;
                break;
            }
            let Some(reason) = self.reason(id, record.execution, sequence, open.what)? else {
                continue;
            };
            self.steps_left = self.steps_left.saturating_sub(1);
            waiting.steps.push(WaitingStep {
                sequence,
                label: open.label,
                since: open.since,
                source: sources.get(&sequence).cloned(),
                reason,
            });
        }
        self.chain.pop();
        Ok(Some(waiting))
    }

    /// Returns the positions of the open steps in the source of the code, as long as the report may replay.
    fn sources(&mut self, id: &InstanceId, record: &OrchestrationRecord) -> BTreeMap<Sequence, String> {
        let Some(live) = self.view.live.filter(|_| record.events <= self.replay_left) else {
            return BTreeMap::new();
        };
        self.replay_left -= record.events;
        live.sources(self.view.reader, id, record)
    }

    /// Returns the time at which an orchestration starts that has not started, from its timer.
    fn start_time(&self, id: &InstanceId) -> Result<Option<Timestamp>> {
        let key = schema::timer::name_key(id.partition(self.view.partitions), id, START_TIMER);
        let row = self.view.reader.get(&key)?;
        row.map(|row| schema::timer::due_of(&row)).transpose()
    }

    /// Returns the reason of a step, or `None` if it waits for nothing.
    fn reason(
        &mut self,
        id: &InstanceId,
        execution: ExecutionId,
        sequence: Sequence,
        what: What,
    ) -> Result<Option<WaitReason>> {
        Ok(Some(match what {
            What::Activity { name, attempt } => {
                let (progress, crashes) = self.activity(id, execution, sequence, &name)?;
                WaitReason::Activity {
                    name,
                    attempt,
                    progress,
                    crashes,
                }
            }
            What::Timer { due, retry_of: None } => WaitReason::Timer { due },
            What::Timer {
                due,
                retry_of: Some(of),
            } => WaitReason::Retry { step: of, due },
            What::Event { name } => WaitReason::Event { name },
            What::Call { target, operation, .. } => {
                let is_call = |message: &MessageRecord| {
                    let asked = message.step.map(|step| (step.execution, step.sequence));
                    message.source.as_ref() == Some(id) && asked == Some((execution, sequence))
                };
                let ahead = self.place_in_queue(&target, is_call)?;
                WaitReason::EntityCall {
                    entity: target.to_string(),
                    operation,
                    ahead,
                    blocked: self.block(&target, id, ahead.is_some())?,
                }
            }
            What::Lock { granted: true, .. } => return Ok(None),
            What::Lock { entities, .. } => self.lock(id, execution, sequence, entities)?,
            What::Child { name, instance } => WaitReason::SubOrchestration {
                name,
                cause: self.cause(&instance)?,
                instance: instance.to_string(),
            },
        }))
    }

    fn cause(&mut self, id: &InstanceId) -> Result<Cause> {
        if self.chain.contains(id) {
            return Ok(Cause::Cycle);
        }
        if self.left == 0 || self.chain.len() > LONGEST_CHAIN {
            return Ok(Cause::Omitted);
        }
        Ok(match self.orchestration(id)? {
            Some(waiting) => Cause::Report(Box::new(waiting)),
            None => Cause::Missing,
        })
    }

    fn activity(
        &self,
        id: &InstanceId,
        execution: ExecutionId,
        sequence: Sequence,
        name: &str,
    ) -> Result<(ActivityProgress, usize)> {
        let partition = id.partition(self.view.partitions);
        let key = schema::activity::key(partition, id, execution, sequence);
        let Some(row) = self.view.reader.get(&key)? else {
            return Ok((ActivityProgress::Ended, 0));
        };
        let record: ActivityRecord = model::decode(&row, "activity")?;
        let activity = ActivityKey {
            instance: id.clone(),
            execution,
            sequence,
        };
        let progress = ActivityProgress::of(self.view, &activity, name);
        Ok((progress, record.crashes.len()))
    }

    /// Returns the reason of a lock request that was not granted.
    fn lock(
        &mut self,
        id: &InstanceId,
        execution: ExecutionId,
        sequence: Sequence,
        mut entities: Vec<InstanceId>,
    ) -> Result<WaitReason> {
        let owner = LockId {
            instance: id.clone(),
            execution,
            sequence,
        };
        model::orchestration::sort_for_locking(&mut entities, self.view.partitions);
        let mut locked = 0;
        for entity in &entities {
            match self.lock_of(entity)? {
                Some(lock) if lock.owner == owner => locked += 1,
                _ => break,
            }
        }
        let is_request = |message: &MessageRecord| match &message.action {
            Action::Lock(order) => matches!(&**order, LockOrder::Take { owner: asks, .. } if *asks == owner),
            _ => false,
        };
        let blocked = match entities.get(locked) {
            None => None,
            Some(entity) => {
                let ahead = self.place_in_queue(entity, is_request)?;
                match self.block(entity, id, ahead.is_some())? {
                    None => ahead.filter(|ahead| *ahead > 0).map(|ahead| EntityBlock::Queue {
                        entity: entity.to_string(),
                        ahead,
                    }),
                    blocked => blocked,
                }
            }
        };
        Ok(WaitReason::Lock {
            entities: entities.iter().map(InstanceId::to_string).collect(),
            held: locked,
            blocked,
        })
    }

    fn lock_of(&self, entity: &InstanceId) -> Result<Option<LockRecord>> {
        let key = schema::lock::key(entity.partition(self.view.partitions), entity);
        let row = self.view.reader.get(&key)?;
        row.map(|row| model::decode(&row, "lock")).transpose()
    }

    /// Returns the reason why an entity does not process a message of `id`.
    fn block(&mut self, entity: &InstanceId, id: &InstanceId, is_in_queue: bool) -> Result<Option<EntityBlock>> {
        let partition = entity.partition(self.view.partitions);
        if let Some(row) = self.view.reader.get(&schema::quarantine::key(partition, entity))? {
            let record: QuarantineRecord = model::decode(&row, "quarantine")?;
            return Ok(Some(EntityBlock::Quarantine {
                entity: entity.to_string(),
                reason: record.reason,
                since: record.since.into(),
            }));
        }
        if self
            .view
            .live
            .is_some_and(|live| !live.has_entity(entity.entity_name()))
        {
            return Ok(Some(EntityBlock::Unregistered {
                entity: entity.to_string(),
            }));
        }
        // A message that is not in the queue waits for no lock.
        let lock = if is_in_queue { self.lock_of(entity)? } else { None };
        let Some(lock) = lock.filter(|lock| lock.owner.instance != *id) else {
            return Ok(None);
        };
        Ok(Some(EntityBlock::Lock {
            entity: entity.to_string(),
            cause: self.cause(&lock.owner.instance)?,
            owner: lock.owner.instance.to_string(),
            since: lock.since.into(),
        }))
    }

    /// Returns the number of messages in the queue of an entity before the first one that `is` accepts.
    fn place_in_queue(&self, entity: &InstanceId, is: impl Fn(&MessageRecord) -> bool) -> Result<Option<u64>> {
        let partition = entity.partition(self.view.partitions);
        let mut ahead = 0;
        for mut range in [
            schema::priority::of(partition, entity),
            schema::message::of(partition, entity, MessageId::MIN),
        ] {
            while ahead < MOST_MESSAGES {
                let page = self.view.reader.page(range.clone(), PageBounds::USUAL)?;
                for (_, row) in &page.rows {
                    if is(&model::decode(row, "message")?) {
                        return Ok(Some(ahead));
                    }
                    ahead += 1;
                }
                match page.rows.into_iter().next_back() {
                    Some((last, _)) if page.full => range.start = schema::behind(last),
                    _ => break,
                }
            }
        }
        Ok(None)
    }

    /// Returns the number of messages that wait for an orchestration as rows.
    fn messages_of(&self, id: &InstanceId) -> Result<u64> {
        let partition = id.partition(self.view.partitions);
        let priority = self.view.reader.keys(schema::priority::of(partition, id), usize::MAX)?;
        let range = schema::message::of(partition, id, MessageId::MIN);
        let others = self.view.reader.keys(range, MOST_MESSAGES as usize)?;
        Ok((priority.len() + others.len()) as u64)
    }
}
