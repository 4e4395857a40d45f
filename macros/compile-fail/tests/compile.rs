//! What compiles, and what is refused with which words.

/// The programs under `tests/pass` compile and run.
#[test]
fn what_a_user_writes_compiles() {
    trybuild::TestCases::new().pass("tests/pass/*.rs");
}

/// The programs under `tests/refused` are refused with the text beside them. `TRYBUILD=overwrite` writes the texts anew.
#[test]
fn what_cannot_work_is_refused_with_advice() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
