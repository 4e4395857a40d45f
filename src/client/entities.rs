//! Listing and counting of entities.

use std::time::SystemTime;

use crate::client::handle::Client;
use crate::error::Result;
use crate::id::{EntityId, InstanceId, PartitionId};
use crate::model::{self, StateRecord};
use crate::payload::Payload;
use crate::schema;
use crate::time::Timestamp;
use crate::views::merged::Merged;
use crate::views::pages::{BYTES_A_PAGE, MAX_PAGE, Page, ROWS_A_PAGE, USUAL_PAGE, stored_entity};
use crate::views::unreadable::Unreadable;
use crate::views::view::View;

/// A query that lists or counts entities. Created by [`Client::entities`].
///
/// ```
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// let client = hub.client();
/// for n in 0..3 {
///     client.entity::<Counter>(format!("shop-{n}")).add(n).await?;
/// }
/// assert_eq!(client.entities().name("Counter").prefix("shop-").count().await?, 3);
///
/// // All of them, two at a time.
/// let mut cursor: Option<String> = None;
/// loop {
///     let page = client.entities().fetch_state().page_size(2).cursor(cursor).page().await?;
///     for entity in page.items {
///         println!("{}: {:?}", entity.id, entity.state);
///     }
///     cursor = page.next;
///     if cursor.is_none() {
///         break;
///     }
/// }
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until a page is read or counted"]
pub struct EntityQuery {
    client: Client,
    name: Option<String>,
    prefix: String,
    changed_from: Timestamp,
    changed_to: Timestamp,
    fetch_state: bool,
    page: usize,
    after: Option<String>,
}

/// Information about one entity.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntityInfo {
    /// Its id.
    pub id: EntityId,
    /// The time at which its state was last written.
    pub last_change: SystemTime,
    /// Its state as JSON, if the query fetches states.
    pub state: Option<String>,
}

impl Client {
    /// Returns a query that lists and counts entities. See [`EntityQuery`] for an example.
    pub fn entities(&self) -> EntityQuery {
        EntityQuery::new(self.clone())
    }
}

impl EntityQuery {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            name: None,
            prefix: String::new(),
            changed_from: Timestamp(0),
            changed_to: Timestamp(u64::MAX),
            fetch_state: false,
            page: USUAL_PAGE,
            after: None,
        }
    }

    /// Includes only entities of the type with this name.
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().to_lowercase());
        self
    }

    /// Includes only entities whose key begins with `prefix`. It has an effect only together with [`name`](Self::name).
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Includes only entities whose state was last written at this time or later.
    pub fn changed_from(mut self, time: SystemTime) -> Self {
        self.changed_from = Timestamp::from(time);
        self
    }

    /// Includes only entities whose state was last written before this time.
    pub fn changed_to(mut self, time: SystemTime) -> Self {
        self.changed_to = Timestamp::from(time);
        self
    }

    /// Also fetches the states.
    pub fn fetch_state(mut self) -> Self {
        self.fetch_state = true;
        self
    }

    /// Maximum number of entities on one page (default: 100, at most 10,000).
    pub fn page_size(mut self, entities: usize) -> Self {
        self.page = entities.clamp(1, MAX_PAGE);
        self
    }

    /// Continues after an earlier page. Pagination is stable: an entity that exists throughout is on exactly one page.
    pub fn cursor(mut self, next: impl Into<Option<String>>) -> Self {
        self.after = next.into();
        self
    }

    /// Reads one page, from one consistent and durable state of the hub.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if the cursor is invalid, or any
    /// [hub error](crate::Error).
    pub async fn page(self) -> Result<Page<EntityInfo>> {
        if let Some(after) = &self.after {
            after.parse::<EntityId>()?;
        }
        let client = self.client.clone();
        client.on_blocking_thread(move |view| self.read(view)).await
    }

    /// Returns the number of matching entities. It reads every row that matches name and prefix, about a million per
    /// second.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn count(self) -> Result<u64> {
        let client = self.client.clone();
        client
            .on_blocking_thread(move |view| {
                let mut merged = self.rows(view, 4_096)?;
                let mut count = 0;
                while let Some((_, _, row)) = merged.next()? {
                    // An entity whose row cannot be read exists nevertheless.
                    let matches = model::decode(&row, "state").map_or(true, |record| self.matches(&record));
                    count += u64::from(matches);
                }
                Ok(count)
            })
            .await
    }

    fn read(&self, view: View<'_>) -> Result<Page<EntityInfo>> {
        let chunk = (2 * self.page / usize::from(view.partitions)).clamp(8, 1_024);
        let mut merged = self.rows(view, chunk)?;
        let mut bytes = 0;
        let mut page = Page::default();
        for _ in 0..ROWS_A_PAGE {
            let Some((id, _, row)) = merged.next()? else {
                page.next = None;
                return Ok(page);
            };
            page.next = Some(id.as_str().to_owned());
            match self.info(&id, &row) {
                Ok(Some(info)) => {
                    bytes += info.state.as_ref().map_or(0, String::len);
                    page.items.push(info);
                }
                Ok(None) => {}
                Err(reason) => page.unreadable.push(Unreadable::new(id.as_str(), &reason)),
            }
            if page.items.len() + page.unreadable.len() >= self.page || bytes > BYTES_A_PAGE {
                break;
            }
        }
        if merged.next()?.is_none() {
            page.next = None;
        }
        Ok(page)
    }

    /// Returns the entry of an entity, or `None` if the entity does not match.
    fn info(&self, id: &InstanceId, row: &[u8]) -> Result<Option<EntityInfo>> {
        let record: StateRecord<'_> = model::decode(row, "state")?;
        if !self.matches(&record) {
            return Ok(None);
        }
        let state = || Payload::of(record.state).shown().into_owned();
        Ok(Some(EntityInfo {
            id: stored_entity(id.as_str())?,
            last_change: record.changed.into(),
            state: self.fetch_state.then(state),
        }))
    }

    /// Returns the rows of states after the previous page, ordered by id.
    fn rows<'a>(&self, view: View<'a>, chunk: usize) -> Result<Merged<'a, InstanceId>> {
        let View { reader, partitions, .. } = view;
        let prefix = self.id_prefix();
        let ranges = (0..partitions).map(PartitionId).map(|partition| {
            let mut range = schema::state::with_prefix(partition, &prefix);
            if let Some(after) = &self.after {
                range.start = range.start.max(schema::behind(schema::state::key(
                    partition,
                    &InstanceId::trusted(after.as_str()),
                )));
            }
            range
        });
        Merged::open(reader, ranges, chunk, schema::id_of)
    }

    fn matches(&self, record: &StateRecord<'_>) -> bool {
        (self.changed_from..self.changed_to).contains(&record.changed)
    }

    fn id_prefix(&self) -> String {
        match &self.name {
            Some(name) => format!("@{name}@{}", self.prefix),
            None => "@".to_owned(),
        }
    }
}
