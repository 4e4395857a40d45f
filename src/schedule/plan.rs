//! The plan of a schedule.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{check_name, check_tags};
use crate::model::orchestration::StartRecord;
use crate::schedule::timing::{CatchUpPolicy, Recurrence, Times};
use crate::time::Timestamp;

/// The plan of a schedule: the orchestration that it starts, and the times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) orchestration: String,
    /// `None` for the newest registered version.
    pub(crate) version: Option<String>,
    /// JSON text, so that it is passed on unchanged.
    pub(crate) input: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) recurrence: Recurrence,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) catch_up: CatchUpPolicy,
}

impl Plan {
    /// Creates a plan with defaults for everything else.
    pub(super) fn new(orchestration: &str, recurrence: Recurrence, input: String) -> Self {
        Self {
            orchestration: orchestration.to_owned(),
            version: None,
            input,
            tags: Vec::new(),
            recurrence,
            from: None,
            until: None,
            catch_up: CatchUpPolicy::default(),
        }
    }

    /// Refuses a plan that no schedule can keep. Does not check the registered orchestrations, because they may change.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidArguments`] for an invalid pattern, policy or input, or of kind
    /// [`ErrorKind::InvalidId`] for an invalid name.
    pub(super) fn check(&self) -> Result<()> {
        self.recurrence.parse(Timestamp(0))?;
        self.catch_up.check()?;
        check_name("name of an orchestration", &self.orchestration)?;
        check_tags(&self.tags)?;
        serde_json::from_str::<serde_json::Value>(&self.input).map_err(|reason| {
            Error::new(
                ErrorKind::InvalidArguments,
                format!(
                    "the input of `{}` in a schedule is not valid JSON: {reason}",
                    self.orchestration
                ),
            )
        })?;
        Ok(())
    }

    /// Returns its times. A period counts from the start time, or else from the creation of the schedule.
    pub(super) fn times(&self, created: Timestamp) -> Result<Times> {
        self.recurrence.parse(self.from.unwrap_or(created))
    }

    /// Returns the first run at `from` or later.
    pub(super) fn first(&self, created: Timestamp, from: Timestamp) -> Result<Option<Timestamp>> {
        let from = self.from.map_or(from, |start| from.max(start));
        let next = self.times(created)?.first(from);
        Ok(next.filter(|next| self.until.is_none_or(|until| *next < until)))
    }

    /// Returns the runs from `due` up to `now` that begin, oldest first.
    pub(super) fn due(&self, created: Timestamp, due: Timestamp, now: Timestamp) -> Result<Vec<Timestamp>> {
        let last = self
            .until
            .map_or(now, |until| now.min(Timestamp(until.0.saturating_sub(1))));
        Ok(self.catch_up.runs(&self.times(created)?, due, last))
    }

    /// Returns the start record of one run.
    pub(super) fn start(&self) -> StartRecord {
        StartRecord {
            name: self.orchestration.clone(),
            version: self.version.clone(),
            input: self.input.clone().into_bytes(),
            tags: self.tags.clone(),
            ..StartRecord::default()
        }
    }
}
