//! The commit path: one total order of commits, the durable watermark, and the output gate that waits for it.
//!
//! It knows the store's trait and not what a commit means.

mod order;
mod syncer;

pub(crate) use order::{CommitOrder, Gated, Work};
pub(crate) use syncer::Syncer;
