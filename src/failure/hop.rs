//! The record of an error that crosses a call, on its way through `?`.
//!
//! `?` converts an error of any type into a [`Failure`], and the conversion knows only that the type implements
//! `Error`. If the error came out of another call, its record with type and details must survive, also inside an error
//! of the user that wraps it. Three simpler approaches do not work:
//!
//! * `Error::provide`, which is designed for this, is unstable.
//! * A downcast needs the concrete type. That is `CallError<E>` for any `E`, or the wrapper of the user.
//! * A conversion of its own for `CallError<E>` overlaps with the one for all errors, and specialization is unstable.
//!
//! Every wrapper forwards `source()`, so the conversion asks for the source, and an error that came out of a call
//! [reports](tell_record) its record to this thread when it is asked. Outside of a conversion, `source()` has no
//! effect.

use std::cell::RefCell;

use crate::failure::Failure;

thread_local! {
    /// The record that an error reports while it is converted into a failure: `None` outside of a conversion, and
    /// `Some(None)` before the report.
    static BEFORE: RefCell<Option<Option<Failure>>> = const { RefCell::new(None) };
}

/// Returns the record of an error that came out of a call, with its type and details.
pub(crate) fn record_of(error: &dyn std::error::Error) -> Option<Failure> {
    BEFORE.set(Some(None));
    let _ = error.source();
    let reported = BEFORE.take().flatten();
    // An error that wraps it may have a message of its own.
    let text = error.to_string();
    reported.filter(|failure| failure.message == text || failure.to_string() == text)
}

/// Reports the record if a conversion is in progress.
pub(crate) fn tell_record(record: impl FnOnce() -> Failure) {
    // The cell is empty during the call, because `record` requests the sources of the error. The first report wins,
    // because its error wraps the others.
    BEFORE.set(match BEFORE.take() {
        Some(None) => Some(Some(record())),
        reported => reported,
    });
}
