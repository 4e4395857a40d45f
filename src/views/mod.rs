//! The read side: what rows say about instances, for the engine, for clients and for the inspection of a directory.

pub(crate) mod activities;
pub(crate) mod dead_letters;
pub(crate) mod entity;
pub(crate) mod history;
pub(crate) mod info;
pub(crate) mod json;
pub(crate) mod locks;
pub(crate) mod merged;
pub(crate) mod open_steps;
pub(crate) mod orchestrations;
pub(crate) mod pages;
pub(crate) mod quarantine;
pub(crate) mod recorded;
pub(crate) mod tree;
pub(crate) mod turns;
pub(crate) mod unreadable;
pub(crate) mod view;
pub(crate) mod waiting;
