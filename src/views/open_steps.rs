//! The open steps of an execution, for readers. The engine has its own, which know less about a step.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::error::Result;
use crate::id::{InstanceId, Sequence};
use crate::model::history::{Command, EventNote, Incoming, TurnRecord};
use crate::model::orchestration::OrchestrationRecord;
use crate::views::history::HistoryStep;
use crate::views::turns::read_turns;
use crate::views::view::View;

/// An open step.
pub(crate) struct OpenStep {
    /// The time at which it began, or at which its last attempt did.
    pub(crate) since: SystemTime,
    pub(crate) label: Option<String>,
    pub(crate) what: What,
}

pub(crate) enum What {
    Activity {
        name: String,
        attempt: u32,
    },
    Timer {
        due: SystemTime,
        retry_of: Option<Sequence>,
    },
    Event {
        name: String,
    },
    Call {
        target: InstanceId,
        operation: String,
        lock: Option<Sequence>,
    },
    Lock {
        entities: Vec<InstanceId>,
        granted: bool,
    },
    Child {
        name: String,
        instance: InstanceId,
    },
}

/// The open steps of an execution and its unread events, derived from its history.
#[derive(Default)]
pub(crate) struct OpenSteps {
    pub(crate) open: BTreeMap<Sequence, OpenStep>,
    /// The names of the events that were waited for.
    waits: BTreeMap<Sequence, String>,
    /// The number of events that no wait has received, by name.
    pub(crate) unread: BTreeMap<String, u64>,
}

impl OpenSteps {
    /// Reads the steps that were open after the first `turns` turns.
    pub(crate) fn read(view: View<'_>, id: &InstanceId, record: &OrchestrationRecord, turns: u32) -> Result<Self> {
        let mut steps = Self::default();
        let partition = id.partition(view.partitions);
        read_turns(view.reader, partition, id, record, 0..turns, |_, turn| {
            steps.follow(turn);
            true
        })?;
        Ok(steps)
    }

    fn follow(&mut self, turn: TurnRecord) {
        let since = turn.time.into();
        let mut notes: BTreeMap<_, _> = turn.notes.into_iter().collect();
        let mut lost = Vec::new();
        for incoming in turn.incoming {
            match incoming {
                Incoming::Completed { sequence, .. } => self.complete(sequence),
                Incoming::LockLost { lock, entity } => lost.push((lock, entity)),
                Incoming::Raised { name, .. } => *self.unread.entry(name.to_lowercase()).or_default() += 1,
                _ => {}
            }
        }
        for command in turn.commands {
            let (sequence, what) = match command {
                Command::CallActivity {
                    sequence,
                    name,
                    attempt,
                    ..
                } => (sequence, What::Activity { name, attempt }),
                Command::CreateTimer { sequence, due } => {
                    let retry_of = notes.get(&sequence).and_then(|note| note.retry_of);
                    let due = due.into();
                    (sequence, What::Timer { due, retry_of })
                }
                Command::WaitForEvent { sequence, name } => {
                    let name = name.to_lowercase();
                    self.waits.insert(sequence, name.clone());
                    (sequence, What::Event { name })
                }
                Command::StartOrchestration {
                    sequence,
                    instance,
                    name,
                    wait: true,
                    ..
                } => (sequence, What::Child { name, instance }),
                Command::CallEntity {
                    sequence,
                    target,
                    operation,
                    lock,
                    ..
                } => (
                    sequence,
                    What::Call {
                        target,
                        operation,
                        lock,
                    },
                ),
                Command::Lock { sequence, entities } => {
                    let granted = false;
                    (sequence, What::Lock { entities, granted })
                }
                Command::Cancel { sequence, .. } => {
                    self.open.remove(&sequence);
                    continue;
                }
                _ => continue,
            };
            let known = self.open.get(&sequence).and_then(|open| open.label.clone());
            let label = notes.get_mut(&sequence).and_then(|note| note.label.take()).or(known);
            self.open.insert(sequence, OpenStep { since, label, what });
        }
        // A call that was made after the loss of the lock was refused, so a recorded one was made before.
        for (section, entity) in lost {
            self.lose(section, &entity);
        }
        for (sequence, note) in notes {
            if let Some(event) = note.event {
                self.event(sequence, event);
            }
        }
    }

    fn complete(&mut self, sequence: Sequence) {
        match self.open.get_mut(&sequence).map(|open| &mut open.what) {
            Some(What::Lock { granted, .. }) => *granted = true,
            _ => drop(self.open.remove(&sequence)),
        }
    }

    /// Ends the calls of an entity whose lock was released by force. For the code, they have failed.
    fn lose(&mut self, section: Sequence, entity: &InstanceId) {
        self.open.retain(|_, open| match &open.what {
            What::Call { target, lock, .. } => target != entity || *lock != Some(section),
            _ => true,
        });
    }

    /// Ends the wait for an event, and counts the unread events of its name.
    fn event(&mut self, sequence: Sequence, event: EventNote) {
        self.open.remove(&sequence);
        let Some(name) = self.waits.get(&sequence) else { return };
        let unread = self.unread.entry(name.clone()).or_default();
        match event {
            EventNote::Given => *unread = unread.saturating_sub(1),
            EventNote::Dropped => {}
            EventNote::Returned => *unread += 1,
        }
    }
}

impl What {
    /// Returns the step as histories show it, or `None` for a lock that was granted: the code waits for nothing.
    pub(crate) fn history_step(&self) -> Option<HistoryStep> {
        Some(match self {
            Self::Activity { name, .. } => HistoryStep::Activity { name: name.clone() },
            Self::Timer { due, .. } => HistoryStep::Timer { due: *due },
            Self::Event { name } => HistoryStep::Event { name: name.clone() },
            Self::Call { target, operation, .. } => HistoryStep::EntityCall {
                entity: target.to_string(),
                operation: operation.clone(),
            },
            Self::Lock { granted: true, .. } => return None,
            Self::Lock { entities, .. } => HistoryStep::Lock {
                entities: entities.iter().map(InstanceId::to_string).collect(),
            },
            Self::Child { name, instance } => HistoryStep::SubOrchestration {
                name: name.clone(),
                instance: instance.to_string(),
            },
        })
    }
}
