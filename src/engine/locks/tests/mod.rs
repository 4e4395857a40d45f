//! Locks and calls by orchestrations, with one and two cores, every kind of delivery, and queues that hardly fit into
//! memory.

mod blocked;
mod calls;
mod lingering;
mod order;
mod release;
mod reopen;
mod stage;
