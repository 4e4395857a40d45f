//! Instances that are placed together.

use std::fmt;

use crate::entity::Key;

/// The key of an entity, or the id of an orchestration, that is placed with others.
///
/// A hub of several shards divides its instances among them by their ids. A message to an instance of another shard takes
/// longer than one within a shard: it is sent when its commit is durable, perhaps to another machine, and is then durable a
/// second time. Instances with the same placement are in the same shard, so that those that work together do not wait for
/// each other. A placement should have a small part of the work, such as one tenant of many: it cannot be divided.
///
/// A sub-orchestration whose id is generated is placed with its parent.
///
/// The placement is a part of the id: `{tenant-7}lamp` is `lamp`, placed with `tenant-7`. As in
/// [Redis Cluster](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags), the text between
/// the first `{` of a key or an id and the next `}` determines where the instance is, unless it is empty. So a placement
/// contains no `}` and is not empty, and a program in another language writes the same text.
///
/// ```
/// use abide::Placed;
/// use abide::prelude::*;
///
/// #[derive(Entity, Default, Serialize, Deserialize)]
/// struct Stock {
///     pieces: u32,
/// }
///
/// #[operations]
/// impl Stock {
///     pub fn add(&mut self, pieces: u32) -> u32 {
///         self.pieces += pieces;
///         self.pieces
///     }
/// }
///
/// #[orchestration]
/// async fn deliver(ctx: OrchestrationContext, tenant: u32) -> Result<u32, Failure> {
///     Ok(ctx.entity::<Stock>(Placed::with(tenant, "lamp")).add(12).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// let hub = Hub::in_memory().shards(3).entity::<Stock>().orchestration::<deliver>().open().await?;
/// let client = hub.client();
/// let run = client.start::<deliver>(7).placed_with(7).await?;
/// assert_eq!(run.result().await?, 12);
/// let run = client.start::<deliver>(7).instance_id(Placed::with(7, "order-17")).await?;
/// assert_eq!((run.id(), run.result().await?), ("{7}order-17", 24));
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Placed<P, K> {
    placement: P,
    key: K,
}

impl<P: Key, K: Key> Placed<P, K> {
    /// Places a key, or an id, with all others of the same placement.
    pub fn with(placement: P, key: K) -> Self {
        Self { placement, key }
    }
}

impl<P: Key, K: Key> Key for Placed<P, K> {
    fn write_key(&self, text: &mut String) {
        text.push('{');
        self.placement.write_key(text);
        text.push('}');
        self.key.write_key(text);
    }
}

impl<P: Key, K: Key> fmt::Display for Placed<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_key(&mut text);
        f.write_str(&text)
    }
}

impl<P: Key, K: Key> From<Placed<P, K>> for String {
    fn from(placed: Placed<P, K>) -> Self {
        placed.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{InstanceId, placement};

    /// The first text in braces counts, and only if it is not empty. What is written with [`Placed`] is read again.
    #[test]
    fn the_placement_is_the_first_text_in_braces() {
        for (id, expected) in [
            ("plain", None),
            ("@stock@{7}lamp", Some("7")),
            ("{7}order", Some("7")),
            ("order{7}", Some("7")),
            ("{a}{b}", Some("a")),
            ("{{a}}", Some("{a")),
            ("{}order{7}", None),
            ("{7", None),
            ("7}", None),
            ("}{7}", Some("7")),
        ] {
            assert_eq!(placement(id), expected, "{id}");
        }
        let placed = Placed::with("tenant", 12_u32).to_string();
        assert_eq!((placed.as_str(), placement(&placed)), ("{tenant}12", Some("tenant")));
    }

    /// The hash of the placement alone determines the partition. Ids with the same placement are different ids nevertheless.
    #[test]
    fn instances_with_the_same_placement_share_a_partition() {
        let ids = ["@stock@{7}lamp", "@stock@{7}chair", "@shop@{7}", "{7}order"].map(InstanceId::trusted);
        for partitions in [1, 16, 4096] {
            let first = ids[0].partition(partitions);
            assert!(
                ids.iter().all(|id| id.partition(partitions) == first),
                "{partitions} partitions"
            );
        }
        assert_eq!(ids[0].partition(4096).0, 1_530);
        assert!(ids[0] != ids[1]);
        let map: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(map.len(), 4);
    }
}
