//! Pagination of lists.

use clap::Args;

use crate::exit::{Exit, Failure, Result};
use crate::hub::Hub;
use crate::output::note;
use crate::request::{CONTINUATION, Request};
use crate::value::Value;

/// Maximum number of items per request.
const PAGE: u64 = 1_000;

/// Maximum length of a list.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Limit {
    /// Maximum number of items.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,

    /// Lists all items.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl Limit {
    /// No limit.
    pub(crate) const NONE: Self = Self { limit: 0, all: true };

    pub(crate) fn of(limit: u64) -> Self {
        Self { limit, all: false }
    }

    fn most(self) -> u64 {
        if self.all { u64::MAX } else { self.limit }
    }
}

/// Passes every document of a list to `each`, page by page, up to the limit. Returns `true` if there are more.
///
/// `page` creates the request for a page.
pub(crate) fn each(
    hub: &Hub,
    limit: Limit,
    page: impl Fn() -> Request,
    mut each: impl FnMut(&Value) -> Result,
) -> Result<bool> {
    let (mut left, mut after) = (limit.most(), None);
    loop {
        let request = page()
            .query("top", Some(left.min(PAGE).to_string()))
            .header(CONTINUATION, after);
        let answer = hub.ask(&request)?;
        let documents = answer.json()?;
        let Some(documents) = documents.as_array() else {
            let text = "the hub did not respond with a list; it may be of another version";
            return Err(Failure::new(Exit::Failed, "NoList", text).into());
        };
        if answer.unreadable > 0 {
            note(&format!(
                "{} more cannot be read; stop the hub and run `abide check DIRECTORY` to list them",
                answer.unreadable
            ));
        }
        for document in documents.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            each(document)?;
        }
        left = left.saturating_sub(documents.len() as u64);
        after = answer.continuation;
        if after.is_none() || left == 0 {
            return Ok(after.is_some());
        }
    }
}
