//! Repair of schedules that were planned under another clock.

use crate::client::Client;
use crate::entity::Entity;
use crate::error::Result;
use crate::id::PartitionId;
use crate::model::{self, StateRecord};
use crate::schedule::entity::ScheduleEntity;
use crate::schema;
use crate::store::Reader;
use crate::time::Timestamp;

/// Number of schedules read at once.
const PAGE: usize = 256;

/// Returns the keys of all schedules that wait for a time although they would run earlier if they were planned now. A
/// hub that was open while the clock was ahead leaves such schedules, and their timers fire only at that time.
pub(crate) fn astray(reader: &dyn Reader, partitions: u16, now: Timestamp) -> Result<Vec<String>> {
    let mut astray = Vec::new();
    let prefix = format!("@{}@", ScheduleEntity::NAME);
    for partition in (0..partitions).map(PartitionId) {
        let mut range = schema::state::with_prefix(partition, &prefix);
        loop {
            let rows = reader.scan(range.clone(), PAGE)?;
            astray.extend(rows.iter().filter_map(|(key, value)| {
                let key = schema::id_text(key)?.strip_prefix(&prefix)?;
                // The list of schedules reports unreadable ones.
                let record: StateRecord<'_> = model::decode(value, "state").ok()?;
                let schedule: ScheduleEntity = serde_json::from_slice(record.state).ok()?;
                schedule.course.is_astray(now).then(|| key.to_owned())
            }));
            match rows.last() {
                Some((last, _)) if rows.len() == PAGE => {
                    range.start.clone_from(last);
                    range.start.push(0);
                }
                _ => break,
            }
        }
    }
    Ok(astray)
}

/// Wakes the schedules with these keys, so that they are planned again.
pub(crate) async fn plan_again(client: Client, schedules: Vec<String>) {
    for schedule in schedules {
        tracing::warn!(
            schedule,
            "a schedule was planned under another clock and is planned again"
        );
        let woken = client.entity::<ScheduleEntity>(&schedule).tick().signal().await;
        match woken {
            Err(error) if error.kind().ends_hub() => {
                return;
            }
            Err(error) => tracing::warn!(schedule, %error, "failed to plan a schedule again"),
            Ok(()) => {}
        }
    }
}
