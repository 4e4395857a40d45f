//! RocksDB's errors as ours.

use std::path::Path;

use crate::error::{Error, ErrorKind};

/// An error of an open store. RocksDB's text stays whole: it names the file that is broken.
pub(super) fn error(action: &str, error: rocksdb::Error) -> Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corrupted,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("the store failed to {action}: {error}")).with_source(error)
}

/// An error while opening. RocksDB calls a missing CURRENT file an invalid argument; in a hub it is damage.
pub(super) fn open_error(database: &Path, error: rocksdb::Error) -> Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption | rocksdb::ErrorKind::InvalidArgument => ErrorKind::Corrupted,
        _ => ErrorKind::Io,
    };
    Error::new(
        kind,
        format!("cannot open the store in {}: {error}", database.display()),
    )
    .with_source(error)
}
