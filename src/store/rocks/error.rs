//! Conversion of RocksDB's errors.

use std::path::Path;

use crate::error::{Error, ErrorKind};

/// Converts an error of an open store. RocksDB's text is kept completely because it names the broken file.
pub(super) fn error(action: &str, error: rocksdb::Error) -> Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corrupted,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("the store failed to {action}: {error}")).with_source(error)
}

/// Converts an error of an open. RocksDB reports a missing CURRENT file as an invalid argument, but in a hub it is
/// damage.
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
