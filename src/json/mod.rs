//! The JSON of users' values. What is acknowledged can be read later, and is equal to what was given.

mod lossless;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use write::{read_back, write, write_list, write_value};
