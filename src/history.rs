//! The history of an orchestration: its events, in the order in which they happened.

pub use crate::views::history::{HistoryEvent, HistoryEventKind, HistoryPart, HistoryStep};
pub use crate::views::recorded::RecordedHistory;
