//! The rows of a hub of several shards.

use std::ops::{ControlFlow, Range};

use crate::error::Result;
use crate::id::{PartitionId, ShardId};
use crate::store::{Reader, Visitor};

/// Reads each row from the shard that has its partition, with which its key begins.
pub(crate) struct Divided<'a> {
    /// The rows of the shards, by their numbers.
    shards: Vec<&'a dyn Reader>,
    /// Number of partitions of the hub.
    partitions: u16,
}

impl<'a> Divided<'a> {
    pub(crate) fn new(shards: Vec<&'a dyn Reader>, partitions: u16) -> Self {
        Self { shards, partitions }
    }

    /// Returns the index of the shard that has a partition.
    fn shard_of(&self, partition: u16) -> usize {
        ShardId::of(PartitionId(partition), self.shards.len() as u16).index()
    }
}

/// Returns the partition in a key.
fn partition_in(key: &[u8]) -> u16 {
    let byte = |index: usize| key.get(index).copied().unwrap_or_default();
    u16::from_be_bytes([byte(0), byte(1)])
}

impl Reader for Divided<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.shards[self.shard_of(partition_in(key))].get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut values = vec![None; keys.len()];
        for (number, shard) in self.shards.iter().enumerate() {
            let of_shard: Vec<usize> = (0..keys.len())
                .filter(|index| self.shard_of(partition_in(&keys[*index])) == number)
                .collect();
            let asked: Vec<Vec<u8>> = of_shard.iter().map(|index| keys[*index].clone()).collect();
            for (index, value) in of_shard.into_iter().zip(shard.get_many(&asked)?) {
                values[index] = value;
            }
        }
        Ok(values)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        let mut has_ended = false;
        for partition in partition_in(&range.start)..self.partitions {
            let start = partition.to_be_bytes().to_vec().max(range.start.clone());
            let end = (partition + 1).to_be_bytes().to_vec().min(range.end.clone());
            if start >= range.end || has_ended {
                break;
            }
            self.shards[self.shard_of(partition)].visit(start..end, &mut |key, value| {
                let flow = visitor(key, value);
                has_ended = flow == ControlFlow::Break(());
                flow
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Model, Store};

    /// A divided store reads like one that is whole.
    #[test]
    fn rows_of_all_shards_are_read_in_order() {
        let (whole, shards) = (Model::new(), [(); 3].map(|()| Model::new()));
        for partition in 0..8_u16 {
            for row in 0..5 {
                let key = [&partition.to_be_bytes()[..], &[row * 40]].concat();
                let mut batch = Batch::default();
                batch.put(&key, &[row]);
                whole.write(&batch).unwrap();
                shards[usize::from(partition) % 3].write(&batch).unwrap();
            }
        }
        // Another shard may have rows of its own under the partition.
        let mut hidden = Batch::default();
        hidden.put(&[0, 1, 2], b"mail");
        shards[0].write(&hidden).unwrap();
        let divided = Divided::new(shards.iter().map(|shard| shard as &dyn Reader).collect(), 8);
        let edges = [
            vec![],
            vec![0, 1],
            vec![0, 1, 40],
            vec![0, 2, 41],
            vec![0, 5],
            vec![0, 7, 160],
            vec![255; 3],
        ];
        for start in &edges {
            for end in &edges {
                for limit in [0, 1, 3, 100] {
                    let range = || start.clone()..end.clone();
                    let read = |reader: &dyn Reader| reader.scan(range(), limit).unwrap();
                    assert_eq!(read(&divided), read(&whole), "{:?} {limit}", range());
                }
            }
        }
        let keys: Vec<Vec<u8>> = (0..9)
            .rev()
            .flat_map(|partition| [vec![0, partition, 80], vec![0, partition, 81]])
            .collect();
        assert_eq!(divided.get_many(&keys).unwrap(), whole.get_many(&keys).unwrap());
        for key in &keys {
            assert_eq!(divided.get(key).unwrap(), whole.get(key).unwrap());
        }
    }
}
