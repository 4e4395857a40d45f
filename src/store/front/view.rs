//! The readers' view of the fronts over the base.

use std::ops::Range;

use super::fronts::Pinned;
use super::{Front, Fronts, merge};
use crate::error::Result;
use crate::store::{Reader, Visitor};

/// A view of exactly the commits up to a certain commit, unaffected by later ones.
pub(in crate::store) struct View<'a> {
    pinned: Pinned<'a>,
    base: Box<dyn Reader + 'a>,
}

impl<'a> View<'a> {
    /// Creates a view of the newest state. `base` creates a view of the base that later writes do not change.
    pub(in crate::store) fn newest(fronts: &'a Fronts, base: impl FnOnce() -> Box<dyn Reader + 'a>) -> Self {
        let (pinned, base) = fronts.pin(base);
        Self { pinned, base }
    }

    fn fronts(&self) -> impl Iterator<Item = &Front> {
        self.pinned.fronts.iter().map(|front| &**front)
    }

    fn find(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        self.fronts().find_map(|front| front.get(key, self.pinned.commit))
    }
}

impl Reader for View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.find(key).map_or_else(|| self.base.get(key), Ok)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        get_many(keys, |key| self.find(key), &*self.base)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        merge::visit(self.fronts(), &*self.base, &range, self.pinned.commit, visitor)
    }
}

impl Fronts {
    /// Returns the newest values of `keys`, from the fronts or the base.
    pub(in crate::store) fn get_many(&self, keys: &[Vec<u8>], base: &dyn Reader) -> Result<Vec<Option<Vec<u8>>>> {
        get_many(keys, |key| self.get(key), base)
    }
}

/// Returns the values of `keys`. Each comes from the fronts or, if they do not have the key, from the base.
fn get_many(
    keys: &[Vec<u8>],
    find: impl Fn(&[u8]) -> Option<Option<Vec<u8>>>,
    base: &dyn Reader,
) -> Result<Vec<Option<Vec<u8>>>> {
    let found: Vec<_> = keys.iter().map(|key| find(key)).collect();
    let missing = keys.iter().zip(&found).filter(|(_, found)| found.is_none());
    let missing: Vec<Vec<u8>> = missing.map(|(key, _)| key.clone()).collect();
    let below = match missing.len() {
        0 => Vec::new(),
        _ => base.get_many(&missing)?,
    };
    let mut below = below.into_iter();
    let values = found
        .into_iter()
        .map(|found| found.unwrap_or_else(|| below.next().flatten()));
    Ok(values.collect())
}
