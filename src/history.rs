//! The history of an orchestration: its events, in the order in which they happened.

pub use crate::views::history::{
    ActivityCall, ActivityOutcome, HistoryEvent, HistoryEventKind, HistoryPart, HistoryStep, activities,
};
pub use crate::views::recorded::RecordedHistory;
