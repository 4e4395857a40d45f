#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| abide::fuzzing::ids(bytes));
