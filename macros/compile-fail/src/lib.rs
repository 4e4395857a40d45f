//! Pins what the macros of abide say when they refuse; see the tests.
