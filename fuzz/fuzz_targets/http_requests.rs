//! Sends arbitrary bytes to the management API of a hub in memory. No handler panics, no response is an unexpected
//! server error, and every error has the common error body.
//!
//! Run it with `scripts/fuzz 60 http_requests`. The test `http_requests` drives the same function with a fixed set of
//! inputs.

#![no_main]

#[path = "../../tests/it/http_requests/drive.rs"]
mod drive;
#[path = "../../tests/it/http_requests/fuzzed.rs"]
mod fuzzed;

use std::cell::RefCell;

use abide::Hub;
use axum::Router;
use drive::drive;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

/// Number of requests after which the hub is replaced, so that stored data does not slow down later requests.
const REQUESTS: u32 = 1_000;

struct Target {
    tokio: Runtime,
    hub: Hub,
    router: Router,
    left: u32,
}

impl Target {
    fn open() -> Self {
        let tokio = Runtime::new().expect("threads");
        let (hub, router) = tokio.block_on(fuzzed::open());
        Self {
            tokio,
            hub,
            router,
            left: REQUESTS,
        }
    }

    fn drive(mut self, bytes: &[u8]) -> Option<Self> {
        self.tokio.block_on(drive(&self.router, bytes));
        self.left -= 1;
        if self.left > 0 {
            return Some(self);
        }
        self.tokio.block_on(self.hub.shutdown()).expect("the hub closes");
        None
    }
}

thread_local! {
    static TARGET: RefCell<Option<Target>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    TARGET.with_borrow_mut(|target| {
        let current = target.take().unwrap_or_else(Target::open);
        *target = current.drive(bytes);
    });
});
