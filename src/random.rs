//! Random ids. On the thread of a test they follow from its seed.

#[cfg(feature = "testing")]
use std::cell::RefCell;

use uuid::Uuid;

#[cfg(feature = "testing")]
thread_local! {
    static SEEDED: RefCell<Option<fastrand::Rng>> = const { RefCell::new(None) };
}

/// Returns a new id.
#[expect(clippy::disallowed_methods, reason = "random ids are generated here")]
pub(crate) fn uuid() -> Uuid {
    #[cfg(feature = "testing")]
    if let Some(uuid) = seeded_uuid() {
        return uuid;
    }
    Uuid::new_v4()
}

#[cfg(feature = "testing")]
fn seeded_uuid() -> Option<Uuid> {
    SEEDED.with_borrow_mut(|random| {
        let random = random.as_mut()?;
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Some(uuid::Builder::from_random_bytes(bytes).into_uuid())
    })
}

/// Makes the ids of this thread follow from a seed, as long as this exists.
#[cfg(feature = "testing")]
pub(crate) struct Seeded(());

#[cfg(feature = "testing")]
impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        SEEDED.set(Some(fastrand::Rng::with_seed(seed)));
        Self(())
    }
}

#[cfg(feature = "testing")]
impl Drop for Seeded {
    fn drop(&mut self) {
        SEEDED.set(None);
    }
}
