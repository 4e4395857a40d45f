//! The failed orchestrations, grouped by their errors.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::SystemTime;

use serde::Serialize;

use crate::client::orchestrations::OrchestrationQuery;
use crate::error::Result;
use crate::failure::{Failure, shortened};
use crate::id::InstanceId;
use crate::model;
use crate::model::orchestration::{EndRecord, OrchestrationRecord, OrchestrationStatus};
use crate::schema;
use crate::views::json;
use crate::views::unreadable::Unreadable;
use crate::views::view::View;

/// Maximum number of orchestrations that are read.
const MOST_READ: usize = 100_000;

/// Maximum number of groups.
const MOST_GROUPS: usize = 1_000;

/// Maximum size of the message of a group, in bytes.
const MESSAGE_BYTES: usize = 1 << 10;

/// Number of ids in a group.
const EXAMPLES: usize = 10;

/// Failed orchestrations by the kind of their error. Returned by [`OrchestrationQuery::failures`].
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Failures {
    /// The groups, largest first.
    pub groups: Vec<FailureGroup>,
    /// True if more than 100,000 orchestrations have failed or there are more than 1,000 groups. The others are left
    /// out.
    #[serde(rename = "truncated")]
    pub is_truncated: bool,
}

/// Orchestrations of one type that failed with one kind of error: its type and, for an enum, its variant.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FailureGroup {
    /// The stored name of the type of the orchestrations.
    pub name: String,
    /// The type of the error.
    pub error_type: String,
    /// The variant of the error, if its type is an enum that is stored in serde's default form.
    pub variant: Option<String>,
    /// The message of the newest error, shortened to 1 KiB.
    pub message: String,
    /// The number of orchestrations.
    pub count: u64,
    /// The time of the first of these failures.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub first: SystemTime,
    /// The time of the last of these failures.
    #[serde(serialize_with = "json::time")]
    #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
    pub last: SystemTime,
    /// The ids of up to ten of the orchestrations.
    pub instances: Vec<String>,
}

impl OrchestrationQuery {
    /// Groups the matching orchestrations that have failed by the kind of their error.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext, article: String) -> Result<String, Failure> {
    ///     Err(Failure::message(format!("{article} is sold out")))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<order>().open().await?;
    /// let client = hub.client();
    /// assert!(client.start::<order>("lamp".into()).await?.result().await.is_err());
    /// let failures = client.orchestrations().failures().await?;
    /// assert_eq!(failures.groups[0].message, "lamp is sold out");
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn failures(mut self) -> Result<Failures> {
        self.statuses = vec![OrchestrationStatus::Failed];
        let client = self.client.clone();
        client.on_blocking_thread(move |view| self.read_failures(view)).await
    }

    fn read_failures(&self, view: View<'_>) -> Result<Failures> {
        let mut groups = Groups::new();
        let (mut read, mut is_truncated) = (0, false);
        self.each_row(view, |id, row| {
            if read == MOST_READ {
                is_truncated = true;
                return Ok(ControlFlow::Break(()));
            }
            read += 1;
            let failed = super::readable(
                self.record(view, &id, row)
                    .and_then(|record| failure(view, &id, record)),
            )?;
            match failed {
                Ok(Some((record, failure))) if self.matches(&id, &record) => {
                    is_truncated |= !add(&mut groups, id, record, &failure);
                }
                Ok(_) => {}
                // The groups do not report the row, so at least log it.
                Err(reason) => drop(Unreadable::new(id.as_str(), &reason)),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let named = groups.into_iter().map(|((name, kind), group)| FailureGroup {
            name,
            error_type: kind.error_type,
            variant: kind.variant,
            ..group
        });
        let mut groups: Vec<FailureGroup> = named.collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(Failures { groups, is_truncated })
    }
}

type Groups = BTreeMap<(String, FailureKind), FailureGroup>;

/// Adds a failed orchestration to its group. Returns `false` if it has none and there are too many to create another.
fn add(groups: &mut Groups, id: InstanceId, record: OrchestrationRecord, failure: &Failure) -> bool {
    let key = (record.name, FailureKind::of(failure));
    let time = SystemTime::from(record.changed);
    if groups.len() == MOST_GROUPS && !groups.contains_key(&key) {
        return false;
    }
    let group = groups.entry(key).or_insert_with(|| FailureGroup {
        name: String::new(),
        error_type: String::new(),
        variant: None,
        message: String::new(),
        count: 0,
        first: time,
        last: time,
        instances: Vec::new(),
    });
    if time >= group.last || group.count == 0 {
        (group.last, group.message) = (time, shortened(&failure.message, MESSAGE_BYTES).into_owned());
    }
    group.first = group.first.min(time);
    group.count += 1;
    if group.instances.len() < EXAMPLES {
        group.instances.push(id.to_string());
    }
    true
}

/// The kind of an error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FailureKind {
    pub(super) error_type: String,
    pub(super) variant: Option<String>,
}

impl FailureKind {
    pub(super) fn of(failure: &Failure) -> Self {
        Self {
            error_type: failure.error_type.clone(),
            variant: failure.details.as_deref().and_then(variant),
        }
    }
}

/// Returns the variant of an enum that is stored in serde's default form: a string, or an object with one field. The
/// names of variants begin with a capital letter, those of fields usually do not.
fn variant(details: &str) -> Option<String> {
    use serde_json::Value;
    let name = match serde_json::from_str(details).ok()? {
        Value::String(name) => name,
        Value::Object(fields) if fields.len() == 1 => fields.into_iter().next()?.0,
        _ => return None,
    };
    let is_name = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    is_name.then_some(name)
}

/// Returns the failure of an orchestration that has failed.
pub(super) fn failure(
    view: View<'_>,
    id: &InstanceId,
    record: Option<OrchestrationRecord>,
) -> Result<Option<(OrchestrationRecord, Failure)>> {
    let Some(record) = record.filter(|record| record.status == OrchestrationStatus::Failed) else {
        return Ok(None);
    };
    let key = schema::orchestration::end_key(id.partition(view.partitions), id);
    let row = view.reader.get(&key)?;
    let end: Option<EndRecord> = row
        .map(|row| model::decode(&row, "end of an orchestration"))
        .transpose()?;
    Ok(match end {
        Some(EndRecord::Failed(failure)) => Some((record, failure)),
        _ => None,
    })
}
