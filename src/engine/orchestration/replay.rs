//! Bringing an orchestration's code back to where its history ends.

use std::sync::Arc;

use crate::engine::code::{Begin, OrchestrationCode, OrchestrationRun};
use crate::engine::core::Core;
use crate::engine::orchestration::instance::{Instance, stopped};
use crate::error::Result;
use crate::id::InstanceId;
use crate::store::records;
use crate::store::records::history::TurnRecord;
use crate::store::records::instance::{InstanceRecord, StopKind, Stopped};
use crate::store::{Reader, keys};

impl Core {
    /// The code of an orchestration as its history left it, from memory or replayed. The inner error says why it cannot be.
    pub(super) fn live<'i>(
        &self,
        id: &InstanceId,
        instance: &'i mut Instance,
        reader: &dyn Reader,
    ) -> Result<Result<&'i mut Box<dyn OrchestrationRun>, Stopped>> {
        if instance.run.is_none() {
            match self.replayed(id, &instance.record, reader)? {
                Ok(run) => instance.run = Some(run),
                Err(stopped) => return Ok(Err(stopped)),
            }
        }
        let Some(run) = instance.run.as_mut() else {
            unreachable!("it was set above");
        };
        Ok(Ok(run))
    }

    fn replayed(
        &self,
        id: &InstanceId,
        record: &InstanceRecord,
        reader: &dyn Reader,
    ) -> Result<Result<Box<dyn OrchestrationRun>, Stopped>> {
        let code = match self.code_of(record) {
            Ok(code) => code,
            Err(stopped) => return Ok(Err(stopped)),
        };
        let mut run = self.begin_run(&code, id, record);
        let mut ended = Ok(());
        self.read_turns(id, record, reader, |number, turn| {
            ended = run.replay(number, &turn);
            ended.is_ok()
        })?;
        Ok(ended.map(|()| run))
    }

    pub(super) fn begin_run(
        &self,
        code: &Arc<dyn OrchestrationCode>,
        id: &InstanceId,
        record: &InstanceRecord,
    ) -> Box<dyn OrchestrationRun> {
        code.begin(Begin {
            instance: id.clone(),
            execution: record.execution,
            actions: self.limits.actions,
            payload_bytes: self.limits.payload_bytes,
        })
    }

    /// The code that runs an orchestration of this record, or why there is none.
    pub(super) fn code_of(&self, record: &InstanceRecord) -> Result<Arc<dyn OrchestrationCode>, Stopped> {
        self.registry.orchestration(&record.name, &record.version).ok_or_else(|| {
            let known: Vec<&str> = self
                .registry
                .versions(&record.name)
                .iter()
                .map(|code| code.version())
                .collect();
            let message = if known.is_empty() {
                format!(
                    "no orchestration is registered as `{}`; register it with the builder and open again",
                    record.name
                )
            } else {
                format!(
                    "the version `{}` of the orchestration `{}` is not registered, only `{}`; register it as well, or open \
                     with `.version_match(VersionMatch::CurrentOrOlder)`",
                    record.version,
                    record.name,
                    known.join("`, `")
                )
            };
            stopped(StopKind::Unregistered, message)
        })
    }

    /// Reads the turns of an execution in order, a page at a time, until `take` wants no more.
    pub(super) fn read_turns(
        &self,
        id: &InstanceId,
        record: &InstanceRecord,
        reader: &dyn Reader,
        mut take: impl FnMut(u32, TurnRecord) -> bool,
    ) -> Result<()> {
        let partition = self.partition_of(id);
        let page = u32::try_from(self.limits.page).unwrap_or(u32::MAX);
        let mut first = 0;
        while first < record.turns {
            let end = record.turns.min(first.saturating_add(page));
            let range = keys::turns(partition, id, record.execution, first..end);
            let rows = reader.scan(range, self.limits.page)?;
            if rows.len() != (end - first) as usize {
                return Err(crate::Error::new(
                    crate::ErrorKind::Corrupted,
                    format!("the history of `{id}` lacks turns between {first} and {end}"),
                ));
            }
            for (number, (_, row)) in (first..end).zip(&rows) {
                if !take(number, records::decode(row, "turn")?) {
                    return Ok(());
                }
            }
            first = end;
        }
        Ok(())
    }
}
