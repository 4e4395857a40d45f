//! The history of an orchestration: its events, in the order in which they happened.

pub use crate::client::history::{HistoryEvent, HistoryEventKind, HistoryStep};
