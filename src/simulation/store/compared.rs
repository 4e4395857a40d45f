//! Reads that compare two stores.

use std::ops::Range;

use crate::error::Result;
use crate::store::{Reader, Row, Visitor};

/// The store and the model at one moment. Every read compares them.
pub(super) struct Compared<'a> {
    pub(super) store: &'a dyn Reader,
    pub(super) model: &'a dyn Reader,
}

impl Compared<'_> {
    /// Compares all rows.
    pub(super) fn all(&self) {
        self.scan(Vec::new()..vec![0xff; 3], usize::MAX)
            .expect("reads from memory do not fail");
    }
}

impl Reader for Compared<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.store.get(key)?;
        assert_eq!(
            value,
            self.model.get(key)?,
            "the store and the model differ in the row {}",
            key.escape_ascii()
        );
        Ok(value)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let values = self.store.get_many(keys)?;
        assert_eq!(
            values,
            self.model.get_many(keys)?,
            "the store and the model differ in the rows {keys:?}"
        );
        Ok(values)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        let mut shown: Vec<Row> = Vec::new();
        let mut is_enough = false;
        self.store.visit(range.clone(), &mut |key, value| {
            shown.push((key.to_vec(), value.to_vec()));
            let flow = visitor(key, value);
            is_enough = flow.is_break();
            flow
        })?;
        let limit = if is_enough { shown.len() } else { usize::MAX };
        assert_eq!(
            shown,
            self.model.scan(range.clone(), limit)?,
            "the store and the model differ in {range:?}"
        );
        Ok(())
    }
}
