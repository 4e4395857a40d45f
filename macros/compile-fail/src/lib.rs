//! Pins the error messages of the macros of abide; see the tests.
