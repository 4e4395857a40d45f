//! The end of a node when a part of it fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::tenures::Signal;
use crate::error::{Error, ErrorKind};
use crate::runtime::roles::Roles;
use crate::store::rocks::replicated::Member;

/// Maximum time that the synchronous operations of the other shards may take to end when the node has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The parts of a node that end together.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) roles: Vec<Arc<Roles>>,
    /// To the threads of the shards.
    pub(super) signals: Vec<Sender<Signal>>,
    /// Number of these threads that have not ended.
    pub(super) running: AtomicUsize,
    pub(super) member: Weak<Member>,
}

impl Ending {
    /// Ends the node: its requests fail with `error`, and other nodes continue with its shards.
    pub(super) fn end(&self, error: &Error) {
        self.roles.iter().for_each(|roles| roles.end(error));
        for signals in &self.signals {
            // If this fails, the thread has ended.
            let _ = signals.send(Signal::Stop(PATIENCE));
        }
        if let Some(member) = self.member.upgrade() {
            member.cancel();
        }
    }
}

/// Counts the end of the thread of a shard. After the last one, the node does not beat any more, so that others may claim what
/// it could not release. The program may keep the hub that has ended.
pub(super) struct EndOfThread(pub(super) Arc<Ending>);

impl Drop for EndOfThread {
    fn drop(&mut self) {
        let is_last = self.0.running.fetch_sub(1, Ordering::AcqRel) == 1;
        if let Some(member) = self.0.member.upgrade().filter(|_| is_last) {
            member.leave();
        }
    }
}

/// Ends the node if the thread that has this panics. Otherwise, its requests would wait for a thread that is gone.
pub(super) struct EndOnPanic(pub(super) Arc<Ending>);

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
    use std::sync::mpsc::channel;

    use super::*;
    use crate::Hub;
    use crate::id::{Shard, ShardId};
    use crate::runtime::Runtime;
    use crate::time::{Clock, ClockRecord};

    /// What waits for a node learns that one of its threads has panicked, and its other shards are left to other nodes.
    #[tokio::test]
    async fn a_panic_ends_the_node() {
        let roles = |id| {
            let clock = Clock::start(ClockRecord::default());
            let shard = Shard {
                id: ShardId(id),
                count: 2,
            };
            let config = Hub::in_memory().standby_config("hub".into(), 2, shard, Arc::default(), clock);
            let (standby, _inbox) = Runtime::standby(config, tokio::runtime::Handle::current());
            Arc::new(Roles::new(standby, || {}))
        };
        let (signals, received) = channel();
        let ending = Arc::new(Ending {
            roles: vec![roles(0), roles(1)],
            signals: vec![signals],
            running: AtomicUsize::new(1),
            member: Weak::new(),
        });
        let guarded = Arc::clone(&ending);
        let thread = std::thread::spawn(move || {
            let _guard = EndOnPanic(guarded);
            panic!("planted");
        });
        thread.join().unwrap_err();
        for roles in &ending.roles {
            let error = roles.failure().unwrap();
            assert_eq!(error.kind(), ErrorKind::Poisoned);
            assert!(error.to_string().contains("open the hub again"), "{error}");
            assert_eq!(roles.runtime().health().unwrap_err().kind(), ErrorKind::Poisoned);
        }
        assert!(matches!(received.try_recv(), Ok(Signal::Stop(_))));
    }
}
