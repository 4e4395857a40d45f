//! The end of a node when one of its threads panics.

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::runtime::roles::Roles;

/// Ends the node if the thread that has this panics. Otherwise, its requests would wait for a thread that is gone.
pub(super) struct EndOnPanic(pub(super) Arc<Roles>);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = "a thread of the node panicked; open the hub again";
            self.0.end(&Error::new(ErrorKind::Poisoned, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hub;
    use crate::runtime::Runtime;
    use crate::time::{Clock, ClockRecord};

    /// What waits for a node learns that one of its threads has panicked.
    #[tokio::test]
    async fn a_panic_ends_the_node() {
        let clock = Clock::start(ClockRecord::default());
        let config = Hub::in_memory().standby_config("hub".to_owned(), 1, clock);
        let (standby, _inbox) = Runtime::standby(config, tokio::runtime::Handle::current());
        let roles = Arc::new(Roles::new(standby));
        let guarded = Arc::clone(&roles);
        let thread = std::thread::spawn(move || {
            let _guard = EndOnPanic(guarded);
            panic!("planted");
        });
        thread.join().unwrap_err();
        let error = roles.failure().unwrap();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.to_string().contains("open the hub again"), "{error}");
        assert_eq!(roles.runtime().health().unwrap_err().kind(), ErrorKind::Poisoned);
    }
}
