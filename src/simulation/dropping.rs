//! Dead letters that are dropped because there are too many.

use super::sights::Sight;
use super::survey::Survey;
use super::world::World;
use crate::engine::Step;
use crate::store::keys::{self, Table};
use crate::store::records::{self, Action, DeadLetterRecord};
use crate::store::{Change, Reader};

impl World {
    /// Notes what is in dead letters that a step removes: of what is dropped nobody knows more, and what is sent again
    /// may be dropped the next time.
    pub(super) fn note_dropped(&mut self, step: &Step) {
        if !self.climate.drops_dead_letters() {
            return;
        }
        for change in step.batch.changes() {
            let Change::Delete { key } = change else {
                continue;
            };
            let table = keys::partition_and_table(key).map(|(_, table)| table);
            let row = self.model.get(key).expect("the model can be read");
            if let (Some(Table::DeadLetter), Some(row)) = (table, row) {
                let letter: DeadLetterRecord = records::decode(&row, "dead letter").expect("it was written so");
                if let Action::Operation { operation, arguments } = &letter.action {
                    let work = Survey::work_in(operation, arguments);
                    self.disordered.extend(&work);
                    self.dropped.extend(&work);
                }
                self.sights.insert(Sight::DeadLetterDropped);
            }
        }
    }
}
