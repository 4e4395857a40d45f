//! The commit path: one total order of commits, the durable watermark, and the output gate that waits for it.
//!
//! It depends on the trait of the store and does not interpret commits.

#[cfg(all(test, shuttle))]
mod models;
mod order;
mod syncer;

pub(crate) use order::{CommitOrder, Gated, Work};
pub(crate) use syncer::Syncer;
