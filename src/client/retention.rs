//! Purging what has ended long ago, without being asked.

use std::time::Duration;

use crate::client::handle::Client;
use crate::error::ErrorKind;
use crate::store::records::instance::OrchestrationStatus;

/// The longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The shortest one, so that a short retention does not keep the hub busy.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// How many orchestrations are purged between two looks at the others' work.
const PAGE: usize = 500;

/// How long orchestrations are kept after they have ended, by status. What is not named is kept for ever.
///
/// The age counts from the last change, which is the end. The hub looks ten times within the shortest age, at most once a
/// second and at least every ten minutes; so something may stay that much longer, and never shorter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a retention is set by `HubBuilder::retention`"]
pub struct Retention {
    ages: Vec<(OrchestrationStatus, Duration)>,
}

impl Retention {
    /// Purges those that returned `Ok` after this long.
    pub fn completed(age: Duration) -> Self {
        Self::default().and(OrchestrationStatus::Completed, age)
    }

    /// Purges all that have ended, however, after this long.
    pub fn ended(age: Duration) -> Self {
        Self::completed(age).failed(age).terminated(age)
    }

    /// And those that returned `Err` after this long.
    pub fn failed(self, age: Duration) -> Self {
        self.and(OrchestrationStatus::Failed, age)
    }

    /// And those that were terminated or cancelled after this long.
    pub fn terminated(self, age: Duration) -> Self {
        self.and(OrchestrationStatus::Terminated, age)
            .and(OrchestrationStatus::Canceled, age)
    }

    fn and(mut self, status: OrchestrationStatus, age: Duration) -> Self {
        self.ages.retain(|(known, _)| *known != status);
        self.ages.push((status, age));
        self
    }

    /// How long to rest between two looks; nothing if there is nothing to look for.
    fn pause(&self) -> Option<Duration> {
        let shortest = self.ages.iter().map(|(_, age)| *age).min()?;
        Some((shortest / 10).clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
    }

    /// Purges again and again until the hub is closed. The client holds nothing of the hub open meanwhile.
    pub(crate) async fn keep(self, client: Client) {
        let Some(pause) = self.pause() else { return };
        loop {
            tokio::time::sleep(pause).await;
            for (status, age) in &self.ages {
                let Ok(runtime) = client.runtime() else { return };
                let times = runtime.clock.aging().times_of_age(*age, runtime.clock.now());
                drop(runtime);
                for changed in times {
                    let query = client.orchestrations().status(*status).page(PAGE);
                    let query = query.changed_from(changed.start.into()).changed_to(changed.end.into());
                    match query.purge().await {
                        Ok(0) => {}
                        Ok(purged) => {
                            tracing::info!(purged, ?status, "orchestrations were purged because of their age")
                        }
                        Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::Poisoned) => return,
                        Err(error) => tracing::warn!(%error, ?status, "old orchestrations could not be purged"),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hub looks ten times within the shortest age, but neither in a hurry nor hardly ever; without an age never.
    #[test]
    fn the_pause_follows_the_shortest_age() {
        let pause = |retention: Retention| retention.pause();
        let day = Duration::from_secs(86_400);
        assert_eq!(pause(Retention::default()), None);
        assert_eq!(pause(Retention::completed(day)), Some(LONGEST_PAUSE));
        assert_eq!(
            pause(Retention::ended(day).failed(Duration::from_secs(600))),
            Some(Duration::from_secs(60))
        );
        assert_eq!(pause(Retention::completed(Duration::ZERO)), Some(SHORTEST_PAUSE));
    }
}
