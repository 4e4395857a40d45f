//! The read side: what rows say about instances, for the engine, for clients and for the inspection of a directory.

pub(crate) mod instances;
