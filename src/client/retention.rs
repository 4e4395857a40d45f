//! Automatic purging of orchestrations that ended long ago.

use std::time::Duration;

use crate::client::handle::Client;
use crate::model::orchestration::OrchestrationStatus;

/// Maximum time between two checks.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Minimum time between two checks, so that a short retention does not keep the hub busy.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Number of orchestrations purged at once. Other work may run between two such pages.
const PAGE: usize = 500;

/// The time for which ended orchestrations are kept, by status. Orchestrations with other statuses are kept forever.
///
/// The age of an orchestration is the time since its last change, which is its end. The hub checks ten times within the
/// shortest age, but at most once a second and at least every ten minutes. An orchestration may therefore be purged
/// later by this interval, but never earlier.
///
/// ```
/// use std::time::Duration;
///
/// use abide::hub::Retention;
/// use abide::prelude::*;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// // What failed stays longer, so that someone can look at it or rewind it.
/// let retention = Retention::completed(7 * DAY).failed(90 * DAY).terminated(7 * DAY);
/// let hub = Hub::in_memory().retention(retention).open().await?;
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a retention is set by `HubBuilder::retention`"]
pub struct Retention {
    ages: Vec<(OrchestrationStatus, Duration)>,
}

impl Retention {
    /// Purges completed orchestrations once this time has passed since their end.
    pub fn completed(age: Duration) -> Self {
        Self::default().and(OrchestrationStatus::Completed, age)
    }

    /// Purges all ended orchestrations once this time has passed since their end.
    pub fn ended(age: Duration) -> Self {
        Self::completed(age).failed(age).terminated(age)
    }

    /// Also purges failed orchestrations once this time has passed since their end.
    pub fn failed(self, age: Duration) -> Self {
        self.and(OrchestrationStatus::Failed, age)
    }

    /// Also purges terminated and canceled orchestrations once this time has passed since their end.
    pub fn terminated(self, age: Duration) -> Self {
        self.and(OrchestrationStatus::Terminated, age)
            .and(OrchestrationStatus::Canceled, age)
    }

    fn and(mut self, status: OrchestrationStatus, age: Duration) -> Self {
        self.ages.retain(|(known, _)| *known != status);
        self.ages.push((status, age));
        self
    }

    /// Returns the time between two checks, or `None` if there is nothing to purge.
    fn pause(&self) -> Option<Duration> {
        let shortest = self.ages.iter().map(|(_, age)| *age).min()?;
        Some((shortest / 10).clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
    }

    /// Purges repeatedly until the hub is closed. The client keeps nothing of the hub open in between.
    pub(crate) async fn keep(self, client: Client) {
        let Some(pause) = self.pause() else { return };
        loop {
            tokio::time::sleep(pause).await;
            for (status, age) in &self.ages {
                let Ok(runtime) = client.runtime() else { return };
                let times = runtime.clock.aging().times_of_age(*age, runtime.clock.now());
                drop(runtime);
                for changed in times {
                    let query = client.orchestrations().status(*status).page_size(PAGE);
                    let query = query.changed_from(changed.start.into()).changed_to(changed.end.into());
                    match query.purge().await {
                        Ok(0) => {}
                        Ok(purged) => {
                            tracing::info!(purged, ?status, "purged orchestrations because of their age")
                        }
                        Err(error) if error.kind().ends_hub() => {
                            return;
                        }
                        Err(error) => tracing::warn!(%error, ?status, "failed to purge old orchestrations"),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hub checks ten times within the shortest age, within the bounds of the pause. Without an age, it never
    /// checks.
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
