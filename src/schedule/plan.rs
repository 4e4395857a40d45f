//! What a schedule starts, and when.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{check_name, check_tags};
use crate::schedule::timing::{CatchUpPolicy, Recurrence, Times};
use crate::store::records::instance::StartRecord;
use crate::time::Timestamp;

/// What a schedule starts, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) orchestration: String,
    /// `None` for the newest one that is registered.
    pub(crate) version: Option<String>,
    /// JSON as text, so that it is handed on as it was given.
    pub(crate) input: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) recurrence: Recurrence,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) catch_up: CatchUpPolicy,
}

impl Plan {
    /// A plan of which nothing is said but the most necessary.
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

    /// Refuses a plan that no schedule can keep. Which orchestrations are registered is not asked: that changes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArguments`] for a broken pattern, policy or input, and [`ErrorKind::InvalidId`] for a name.
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

    /// Its times. A period counts from its start time, or else from the creation of the schedule.
    pub(super) fn times(&self, created: Timestamp) -> Result<Times> {
        self.recurrence.parse(self.from.unwrap_or(created))
    }

    /// The first run at `from` or later.
    pub(super) fn first(&self, created: Timestamp, from: Timestamp) -> Result<Option<Timestamp>> {
        let from = self.from.map_or(from, |start| from.max(start));
        let next = self.times(created)?.first(from);
        Ok(next.filter(|next| self.until.is_none_or(|until| *next < until)))
    }

    /// The runs from `due` up to `now` that begin, oldest first.
    pub(super) fn due(&self, created: Timestamp, due: Timestamp, now: Timestamp) -> Result<Vec<Timestamp>> {
        let last = self
            .until
            .map_or(now, |until| now.min(Timestamp(until.0.saturating_sub(1))));
        Ok(self.catch_up.runs(&self.times(created)?, due, last))
    }

    /// What one run begins with.
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
