//! Listing and counting entities.

use std::time::SystemTime;

use crate::client::handle::Client;
use crate::client::merged::Merged;
use crate::client::orchestrations::BYTES_A_PAGE;
use crate::client::pages::stored_entity;
use crate::client::source::View;
use crate::client::unreadable::Unreadable;
use crate::error::Result;
use crate::id::{EntityId, InstanceId, PartitionId};
use crate::payload::Payload;
use crate::store::keys;
use crate::store::records::{self, StateRecord};
use crate::time::Timestamp;

/// How many rows one page may look at before it ends early: a filter that matches little must not read for ever.
const ROWS_A_PAGE: usize = 100_000;

/// The most entities on one page.
const MAX_PAGE: usize = 10_000;

/// What to list or count. Made by [`Client::entities`].
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

/// One page of a list of entities, in the order of their ids.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EntityPage {
    /// The entities. A page may hold fewer than were asked for, even none, although more follow.
    pub entities: Vec<EntityInfo>,
    /// Further entities, whose rows cannot be read, whether or not they match the times of the query.
    pub unreadable: Vec<Unreadable>,
    /// What the next page comes after; nothing if this is the last one.
    pub next: Option<String>,
}

/// One entity of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntityInfo {
    /// Its id.
    pub id: EntityId,
    /// When its state was last written.
    pub last_change: SystemTime,
    /// Its state as JSON, if the query fetches states.
    pub state: Option<String>,
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
            page: 100,
            after: None,
        }
    }

    /// Only entities of the type with this name.
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().to_lowercase());
        self
    }

    /// Only entities whose key begins with `prefix`. It counts only together with a [`name`](Self::name).
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Only entities whose state was written at this time or later.
    pub fn changed_from(mut self, time: SystemTime) -> Self {
        self.changed_from = Timestamp::from(time);
        self
    }

    /// Only entities whose state was written before this time.
    pub fn changed_to(mut self, time: SystemTime) -> Self {
        self.changed_to = Timestamp::from(time);
        self
    }

    /// Fetches the states, too.
    pub fn fetch_state(mut self) -> Self {
        self.fetch_state = true;
        self
    }

    /// At most this many entities at once; 100 if nothing is said, 10 000 at most.
    pub fn page(mut self, entities: usize) -> Self {
        self.page = entities.clamp(1, MAX_PAGE);
        self
    }

    /// Goes on after an earlier page. Pages are stable: what was there all the time is on exactly one of them.
    pub fn after(mut self, next: impl Into<String>) -> Self {
        self.after = Some(next.into());
        self
    }

    /// Reads one page. It shows one consistent state of the hub, and it is durable.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if `after` is no id, and what the hub meets.
    pub async fn list(self) -> Result<EntityPage> {
        if let Some(after) = &self.after {
            after.parse::<EntityId>()?;
        }
        let client = self.client.clone();
        client.on_blocking_thread(move |view| self.read(view)).await
    }

    /// Counts. It reads every row that matches name and prefix, about a million in a second.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn count(self) -> Result<u64> {
        let client = self.client.clone();
        client
            .on_blocking_thread(move |view| {
                let mut merged = self.rows(view, 4_096)?;
                let mut count = 0;
                while let Some((_, _, row)) = merged.next()? {
                    // One that cannot be read is there all the same.
                    let matches = records::decode(&row, "state").map_or(true, |record| self.matches(&record));
                    count += u64::from(matches);
                }
                Ok(count)
            })
            .await
    }

    fn read(&self, view: View<'_>) -> Result<EntityPage> {
        let chunk = (2 * self.page / usize::from(view.partitions)).clamp(8, 1_024);
        let mut merged = self.rows(view, chunk)?;
        let mut bytes = 0;
        let mut page = EntityPage::default();
        for _ in 0..ROWS_A_PAGE {
            let Some((id, _, row)) = merged.next()? else {
                page.next = None;
                return Ok(page);
            };
            page.next = Some(id.as_str().to_owned());
            match self.info(&id, &row) {
                Ok(Some(info)) => {
                    bytes += info.state.as_ref().map_or(0, String::len);
                    page.entities.push(info);
                }
                Ok(None) => {}
                Err(reason) => page.unreadable.push(Unreadable::new(id.as_str(), &reason)),
            }
            if page.entities.len() + page.unreadable.len() >= self.page || bytes > BYTES_A_PAGE {
                break;
            }
        }
        if merged.next()?.is_none() {
            page.next = None;
        }
        Ok(page)
    }

    /// What the list says of an entity, if it matches.
    fn info(&self, id: &InstanceId, row: &[u8]) -> Result<Option<EntityInfo>> {
        let record: StateRecord<'_> = records::decode(row, "state")?;
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

    /// The states in the order of their ids, behind the page before.
    fn rows<'a>(&self, view: View<'a>, chunk: usize) -> Result<Merged<'a, InstanceId>> {
        let View { reader, partitions, .. } = view;
        let prefix = self.id_prefix();
        let ranges = (0..partitions).map(PartitionId).map(|partition| {
            let mut range = keys::states(partition, &prefix);
            if let Some(after) = &self.after {
                range.start = range.start.max(keys::behind(keys::state(
                    partition,
                    &InstanceId::trusted(after.as_str()),
                )));
            }
            range
        });
        Merged::open(reader, ranges, chunk, |key| keys::id_of(key).map(InstanceId::trusted))
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
