//! Starts and ends of orchestrations over time.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::client::admin::Admin;
use crate::client::source::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::model::orchestration::OrchestrationStatus;
use crate::runtime::timeline::{INTERVAL_MS, INTERVALS, Interval, Past};
use crate::time::Timestamp;
use crate::views::json;

/// Maximum number of bars.
const MOST_BARS: usize = 500;

/// Maximum number of orchestrations that are read to learn what happened before the hub was opened.
const MOST_READ: u64 = 1_000_000;

/// Starts and ends of orchestrations over time. Returned by [`Admin::timeline`].
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Timeline {
    /// The start of the first bar.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub from: SystemTime,
    /// The end of the last bar.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub to: SystemTime,
    /// The length of a bar. At least ten seconds.
    #[serde(rename = "bucketSeconds", serialize_with = "seconds")]
    #[cfg_attr(feature = "http", schema(value_type = f64))]
    pub bar: Duration,
    /// The bars, oldest first.
    #[serde(rename = "buckets")]
    pub bars: Vec<TimelineBar>,
    /// True if the hub had more than 1,000,000 orchestrations when it was opened. Some of their starts and ends are
    /// missing.
    #[serde(rename = "truncated")]
    pub is_truncated: bool,
}

/// The starts and ends in one interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TimelineBar {
    /// The start of the interval.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub start: SystemTime,
    /// The number of orchestrations that were started.
    pub started: u64,
    /// The number of orchestrations that completed.
    pub completed: u64,
    /// The number of orchestrations that failed.
    pub failed: u64,
    /// The number of orchestrations that were terminated or canceled.
    pub terminated: u64,
}

fn seconds<S: serde::Serializer>(bar: &Duration, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_f64(bar.as_secs_f64())
}

impl Admin {
    /// Counts the starts and ends of orchestrations between two times, in `bars` intervals of equal length. Covers the
    /// last seven days.
    ///
    /// What happened since the hub was opened is counted as it happens. What happened before is read once from the
    /// orchestrations that still exist: only the last end of each, and nothing of those that were purged.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = abide::Hub::in_memory().open().await?;
    /// let now = SystemTime::now();
    /// let timeline = hub.client().admin().timeline(now - Duration::from_secs(3_600), now, 60).await?;
    /// for bar in &timeline.bars {
    ///     println!("{:?}: {} started, {} failed", bar.start, bar.started, bar.failed);
    /// }
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidArguments`] if `from` is not before `to` or `bars` is 0 or greater
    /// than 500, or any [hub error](crate::Error).
    pub async fn timeline(&self, from: SystemTime, to: SystemTime, bars: usize) -> Result<Timeline> {
        if from >= to || bars == 0 || bars > MOST_BARS {
            return Err(Error::new(
                ErrorKind::InvalidArguments,
                format!("a timeline has 1 to {MOST_BARS} bars and begins before it ends"),
            ));
        }
        let first = Timestamp::from(from).0 / INTERVAL_MS;
        let last = Timestamp::from(to).0.div_ceil(INTERVAL_MS).max(first + 1);
        let per_bar = (last - first).div_ceil(bars as u64);
        let mut bars: Vec<Interval> = Vec::new();
        bars.resize((last - first).div_ceil(per_bar) as usize, Interval::default());
        let mut add = |number: u64, interval: Interval| bars[((number - first) / per_bar) as usize].add(interval);
        let mut is_truncated = false;
        for shard in self.client.shards() {
            is_truncated |= shard.admin().count(first..last, &mut add).await? > MOST_READ;
        }
        let start = |number: u64| SystemTime::from(Timestamp(number * INTERVAL_MS));
        Ok(Timeline {
            from: start(first),
            to: start(first + per_bar * bars.len() as u64),
            bar: Duration::from_millis(per_bar * INTERVAL_MS),
            is_truncated,
            bars: (0..)
                .zip(bars)
                .map(|(index, interval)| TimelineBar {
                    start: start(first + index * per_bar),
                    started: interval.started,
                    completed: interval.completed,
                    failed: interval.failed,
                    terminated: interval.terminated,
                })
                .collect(),
        })
    }

    /// Adds what happened in some intervals of a hub of one shard. Returns the number of rows that were read for it.
    async fn count(&self, intervals: Range<u64>, add: &mut impl FnMut(u64, Interval)) -> Result<u64> {
        let add_past = |past: &Past, add: &mut dyn FnMut(u64, Interval)| {
            for (number, interval) in past.intervals.range(intervals.clone()) {
                add(*number, *interval);
            }
            past.read
        };
        let running = match self.client.inspected() {
            Some(_) => None,
            None => Some(self.client.runtime()?).filter(|runtime| !runtime.is_standby),
        };
        let Some(runtime) = running else {
            let past = self.past(Timestamp(u64::MAX)).await?;
            return Ok(add_past(&past, add));
        };
        let past = runtime.past.get_or_try_init(|| self.past(runtime.opened)).await?;
        let read = add_past(past, add);
        runtime.timeline.visit(intervals, add);
        self.client.durable(Source::Open(Arc::clone(&runtime))).await?;
        Ok(read)
    }

    /// Reads what happened before the hub was opened.
    async fn past(&self, opened: Timestamp) -> Result<Past> {
        let past = self.client.orchestrations().fold(Past::default(), move |past, record| {
            past.read += 1;
            if past.read > MOST_READ {
                return ControlFlow::Break(());
            }
            if record.created < opened {
                past.at(record.created).started += 1;
            }
            if record.changed < opened {
                let interval = past.at(record.changed);
                match record.status {
                    OrchestrationStatus::Completed => interval.completed += 1,
                    OrchestrationStatus::Failed => interval.failed += 1,
                    status if status.is_terminal() => interval.terminated += 1,
                    _ => {}
                }
            }
            ControlFlow::Continue(())
        });
        let mut past = past.await?;
        past.intervals.retain(|_, interval| *interval != Interval::default());
        while past.intervals.len() > INTERVALS {
            past.intervals.pop_first();
        }
        Ok(past)
    }
}
