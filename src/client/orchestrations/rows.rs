//! The rows that a query over orchestrations reads, and their order.

use std::ops::{ControlFlow, Range};

use crate::client::orchestrations::OrchestrationQuery;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::model::orchestration::OrchestrationStatus;
use crate::schema;
use crate::store::PageBounds;
use crate::time::Timestamp;
use crate::views::merged::Merged;
use crate::views::view::View;

/// The range of all times.
pub(super) const ALWAYS: Range<Timestamp> = Timestamp(0)..Timestamp(u64::MAX);

/// The position of an orchestration in the order of a list. In the order of ids, the time is zero.
pub(super) type Place = (Timestamp, InstanceId);

impl OrchestrationQuery {
    /// Returns `true` if a condition needs more than the index contains.
    pub(super) fn needs_record(&self) -> bool {
        self.only_some_live() || !self.names.is_empty() || !self.tags.is_empty() || self.changed != ALWAYS
    }

    /// Returns `true` if the query reads the status index, which is ordered by creation time.
    pub(super) fn is_indexed(&self) -> bool {
        self.only_some_live() || !self.statuses.is_empty() || self.created != ALWAYS
    }

    /// Returns the statuses in the index that can match.
    fn indexed_statuses(&self) -> &[OrchestrationStatus] {
        match (self.statuses.as_slice(), self.only_some_live()) {
            ([], false) => &OrchestrationStatus::ALL,
            // Orchestrations that have ended are not stopped, and there may be many of them.
            ([], true) => &OrchestrationStatus::LIVE,
            (statuses, _) => statuses,
        }
    }

    /// Returns the rows after `after` that can match, in order.
    pub(super) fn rows<'a>(&self, view: View<'a>, after: Option<&Place>, chunk: usize) -> Result<Merged<'a, Place>> {
        Merged::open(view.reader, self.ranges(view, after), chunk, self.place())
    }

    /// Calls `visit` for each row that can match, one range after the other, until it breaks. This is cheaper than
    /// merging the ranges into one order.
    pub(super) fn each_row(
        &self,
        view: View<'_>,
        mut visit: impl FnMut(InstanceId, &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let place = self.place();
        for mut range in self.ranges(view, None) {
            while range.start < range.end {
                let page = view.reader.page(range.clone(), PageBounds::USUAL)?;
                for (key, row) in &page.rows {
                    // A key that no build has written has no place.
                    if let Some((_, id)) = place(key)
                        && visit(id, row)?.is_break()
                    {
                        return Ok(());
                    }
                }
                match page.rows.into_iter().next_back() {
                    Some((last, _)) if page.full => range.start = schema::behind(last),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Returns the ranges of rows after `after` that can match. Each range is in order.
    fn ranges(&self, view: View<'_>, after: Option<&Place>) -> impl Iterator<Item = Range<Vec<u8>>> {
        let indexed = match self.is_indexed() {
            true => self.indexed_statuses(),
            false => &[],
        };
        let partitions = (0..view.partitions).map(PartitionId);
        partitions.flat_map(move |partition| {
            let by_status = indexed
                .iter()
                .map(move |status| self.index_range(partition, *status, after));
            let by_id = indexed.is_empty().then(|| self.id_range(partition, after));
            by_status.chain(by_id)
        })
    }

    /// Returns a function that reads the place of a row of these ranges from its key.
    fn place(&self) -> fn(&[u8]) -> Option<Place> {
        match self.is_indexed() {
            true => {
                |key| schema::orchestration::status_parts(key).map(|(created, id)| (created, InstanceId::trusted(id)))
            }
            false => |key| schema::id_of(key).map(|id| (Timestamp(0), id)),
        }
    }

    /// Returns the range of the orchestrations of one partition that can match, by id.
    fn id_range(&self, partition: PartitionId, after: Option<&Place>) -> Range<Vec<u8>> {
        let mut range = schema::orchestration::with_prefix(partition, &self.prefix);
        if let Some((_, id)) = after {
            range.start = range
                .start
                .max(schema::behind(schema::orchestration::key(partition, id)));
        }
        range
    }

    /// Returns the range of the index that contains the matches of one partition and one status.
    fn index_range(
        &self,
        partition: PartitionId,
        status: OrchestrationStatus,
        after: Option<&Place>,
    ) -> Range<Vec<u8>> {
        let lowest = InstanceId::trusted("");
        let mut range = schema::orchestration::with_status(partition, status);
        range.start = range.start.max(schema::orchestration::status_key(
            partition,
            status,
            self.created.start,
            &lowest,
        ));
        range.end = range.end.min(schema::orchestration::status_key(
            partition,
            status,
            self.created.end,
            &lowest,
        ));
        if let Some((created, id)) = after {
            range.start = range.start.max(schema::behind(schema::orchestration::status_key(
                partition, status, *created, id,
            )));
        }
        range
    }
}

/// Returns the cursor for the page after `place`.
pub(super) fn token((created, id): &Place) -> String {
    format!("{}:{id}", created.0)
}

pub(super) fn read_token(token: &str) -> Result<Place> {
    let parts = token.split_once(':');
    let place = parts.and_then(|(created, id)| {
        let id = InstanceId::orchestration(id).ok()?;
        Some((Timestamp(created.parse().ok()?), id))
    });
    place.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidId,
            format!(
                "`{}` is not the cursor of a page of orchestrations; pass the `next` of a page",
                token.chars().take(64).collect::<String>().escape_debug()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cursor decodes to its place, whatever the id contains. Any other text is refused and quoted in the error.
    #[test]
    fn a_token_leads_back_to_its_place() {
        for (created, id) in [(0, "a"), (7, "a:b"), (u64::MAX, ":")] {
            let place = (Timestamp(created), InstanceId::trusted(id));
            assert_eq!(read_token(&token(&place)).unwrap(), place);
        }
        for broken in ["", "a", ":a", "1:", "-1:a", "1:@a@b", "x:a"] {
            let error = read_token(broken).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidId);
            assert!(error.to_string().contains(&format!("`{broken}`")), "{error}");
        }
    }
}
