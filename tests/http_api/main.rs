//! The management API: every row of its specification, every status code, and its documents.
//!
//! The router is driven in memory, without a socket.
#![cfg(feature = "http")]

mod entities;
mod fixture;
mod hub;
mod listing;
mod looking;
mod managing;
mod repairing;
mod routing;
mod starting;
