//! Work that ends without its effect: dead letters beyond their limit, and calls that a build refuses.

use super::coverage::CoverageMark;
use super::survey::Survey;
use super::world::World;
use crate::engine::CoreStep;
use crate::id::InstanceId;
use crate::model::{self, Action, DeadLetterRecord, MessageRecord};
use crate::schema::{self, Table};
use crate::store::{Change, Reader};

impl World {
    /// Records the work in dead letters that a step removes. The effect of dropped work is unknown, and work that is
    /// sent again may be dropped the next time.
    pub(super) fn note_dropped(&mut self, step: &CoreStep) {
        if !self.profile.drops_dead_letters() {
            return;
        }
        for change in step.batch.changes() {
            let Change::Delete { key } = change else {
                continue;
            };
            let table = schema::partition_and_table(key).map(|(_, table)| table);
            let row = self.model.get(key).expect("the model's reads do not fail");
            if let (Some(Table::DeadLetter), Some(row)) = (table, row) {
                let letter: DeadLetterRecord =
                    model::decode(&row, "dead letter").expect("the record of a dead letter is valid");
                if let Action::Operation { operation, arguments } = &letter.action {
                    let work = Survey::work_in(operation, arguments);
                    self.disordered.extend(&work);
                    self.dropped.extend(&work);
                }
                self.marks.insert(CoverageMark::DeadLetterDropped);
            }
        }
    }

    /// Records the work in calls that a step ends because this build lacks the operation. A client that repeats such a
    /// request sends a new message, with a new idempotency key.
    pub(super) fn note_refused(&mut self, step: &CoreStep) {
        for change in step.batch.changes() {
            let Change::Delete { key } = change else {
                continue;
            };
            let Some((_, Table::Message)) = schema::partition_and_table(key) else {
                continue;
            };
            let Some(row) = self.model.get(key).expect("the model's reads do not fail") else {
                continue;
            };
            let entity = InstanceId::name_in(schema::id_text(key).expect("the key of a message is valid"));
            let message: MessageRecord = model::decode(&row, "message").expect("the record of a message is valid");
            if let Action::Operation { operation, arguments } = &message.action
                && self.process.build.lacks_operation(entity, operation)
            {
                self.refused.extend(Survey::work_in(operation, arguments));
            }
        }
    }
}
