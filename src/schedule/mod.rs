//! Schedules: orchestrations that start repeatedly, by the clock.

mod course;
mod entity;
mod plan;
mod repair;
mod schedules;
mod timing;

pub(crate) use entity::ScheduleEntity;
pub(crate) use repair::{astray, plan_again};
pub use schedules::{CreateSchedule, ScheduleInfo, Schedules};
pub use timing::{CatchUpPolicy, Recurrence};
