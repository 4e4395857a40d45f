//! A segment of a log as a function of bytes, for the fuzz target `log_segments`.

use std::path::PathBuf;

use uuid::Uuid;

use super::disk::Disk;
use super::{read_on, record, segment};
use crate::error::Result;

/// The number of the segment.
const NUMBER: u64 = 1;

/// A disk with one segment, which is only read.
#[derive(Debug)]
struct OneSegment(Vec<u8>);

impl Disk for OneSegment {
    type File = ();

    fn prepare(&self) -> Result<()> {
        unreachable!("a reader changes nothing")
    }

    fn list(&self) -> Result<Vec<u64>> {
        Ok(vec![NUMBER])
    }

    fn read(&self, _number: u64, bytes: &mut Vec<u8>) -> Result<()> {
        bytes.clone_from(&self.0);
        Ok(())
    }

    fn open(&self, _number: u64) -> Result<()> {
        Ok(())
    }

    fn length(&self, _number: u64, (): &()) -> Result<usize> {
        Ok(self.0.len())
    }

    fn write(&self, _number: u64, (): &(), _bytes: &[u8], _at: usize) -> Result<()> {
        unreachable!("a reader changes nothing")
    }

    fn sync(&self, _number: u64, (): &()) -> Result<()> {
        unreachable!("a reader changes nothing")
    }

    fn rename(&self, _from: u64, _to: u64) -> Result<()> {
        unreachable!("a reader changes nothing")
    }

    fn remove(&self, _number: u64) -> Result<()> {
        unreachable!("a reader changes nothing")
    }

    fn sync_names(&self) -> Result<()> {
        unreachable!("a reader changes nothing")
    }

    fn path(&self, number: u64) -> PathBuf {
        number.to_string().into()
    }
}

/// Reads a segment of arbitrary bytes. The commits that are read follow each other without gaps.
fn read(bytes: Vec<u8>, after: u64) -> Vec<(u64, Vec<u8>)> {
    let mut commits = Vec::new();
    let mut visitor = |commit: u64, changes: &[u8]| {
        commits.push((commit, changes.to_vec()));
        Ok(())
    };
    if let Ok(reading) = read_on(&OneSegment(bytes), Uuid::nil(), after, &mut visitor) {
        assert!(
            (after + 1..)
                .zip(&commits)
                .all(|(expected, (commit, _))| expected == *commit)
        );
        assert_eq!(reading.newest, after + commits.len() as u64);
    }
    commits
}

/// Reads the bytes as a segment, then as the records of a valid segment, and then as descriptions of records that are
/// sealed with their checksums: a mutation alone never finds a valid checksum.
pub(crate) fn fuzz(bytes: &[u8]) {
    read(bytes.to_vec(), 0);
    let begin = segment::block(Uuid::nil(), NUMBER);
    read([&begin[..], bytes].concat(), 0);

    let mut segment = begin.to_vec();
    let (mut previous, mut rest) = (0, bytes);
    let mut sealed = Vec::new();
    while let Some(([commit, durable, link, length], after)) = rest.split_first_chunk() {
        let (changes, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let start = segment.len();
        record::append(&mut segment, u64::from(*commit), changes);
        // Most records continue the chain.
        let linked = if *link < 200 { previous } else { u32::from(*link) };
        previous = record::seal(&mut segment[start..], u64::from(*durable), NUMBER, linked);
        sealed.push((u64::from(*commit), changes.to_vec()));
    }
    let commits = read(segment.clone(), 0);
    assert!(sealed.starts_with(&commits) || commits.iter().all(|commit| sealed.contains(commit)));
    read(segment, u64::from(bytes.first().copied().unwrap_or_default()));
}
