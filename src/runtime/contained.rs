//! Containment of panics in code of the program: wakers, metrics recorders, subscribers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::panic_text;

/// Runs a closure that may call code of the program: a waker, a recorder, a subscriber or a `Drop`.
///
/// A panic is logged and has no other effect, because it must not end a thread that the whole hub needs.
pub(super) fn contained(run: impl FnOnce()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else {
        return;
    };
    // The subscriber itself may panic.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let text = panic_text(panic.as_ref());
        tracing::error!(
            text,
            "a waker, a recorder, a subscriber or a destructor of the program panicked"
        );
    }));
}
