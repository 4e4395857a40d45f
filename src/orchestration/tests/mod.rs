//! Orchestrations without an engine: a driver in memory plays it.

mod combinators;
mod divergence;
mod driver;
mod dropping;
mod ending;
mod events;
mod foreign;
mod locks;
mod prefixes;
mod retries;
mod script;
mod stage;
