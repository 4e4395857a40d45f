//! Orchestrations without an engine, whose part an in-memory driver plays.

mod combinators;
mod divergence;
mod driver;
mod dropping;
mod ending;
mod events;
mod foreign;
mod labels;
mod limits;
mod locks;
mod payloads;
mod prefixes;
mod retries;
mod script;
mod stage;
