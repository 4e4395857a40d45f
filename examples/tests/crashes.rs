//! The tests of the example `order_processing`. An example that is built as a test cannot be run, so its module is built
//! again here.

#[path = "../order_processing.rs"]
#[allow(dead_code)]
mod order_processing;
