//! Schedules: orchestrations that start again and again, by the clock.

mod entity;
mod schedules;
mod timing;

pub(crate) use entity::ScheduleEntity;
pub use schedules::{CreateSchedule, ScheduleInfo, Schedules};
pub use timing::{MissedRuns, Timing};
