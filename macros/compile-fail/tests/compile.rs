//! Programs that compile, and programs that the macros reject with pinned error messages.

/// The programs under `tests/pass` compile and run.
#[test]
fn what_a_user_writes_compiles() {
    trybuild::TestCases::new().pass("tests/pass/*.rs");
}

/// The programs under `tests/refused` fail to compile with the error messages in the `.stderr` files beside them.
/// `TRYBUILD=overwrite` rewrites these files.
#[test]
fn what_cannot_work_is_refused_with_advice() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
