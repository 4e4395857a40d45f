//! Locks, and calls by orchestrations, driven by hand: over one and two cores, with messages that come in every way, and with
//! queues that hardly fit into memory.

mod blocked;
mod calls;
mod lingering;
mod order;
mod release;
mod reopen;
mod stage;
