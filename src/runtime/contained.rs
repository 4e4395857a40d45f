//! Panics of what a program brings along: wakers, recorders of metrics, subscribers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::panic_text;

/// Runs something that may call the program's code: a waker, a recorder, a subscriber, a `Drop`. A panic in it is logged and
/// has no other effect: it must not take down a thread that everyone needs.
pub(super) fn contained(run: impl FnOnce()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else {
        return;
    };
    // The subscriber may be what panics.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let text = panic_text(panic.as_ref());
        tracing::error!(
            text,
            "a waker, a recorder, a subscriber or a destructor of the program panicked"
        );
    }));
}
