//! Files and directories that only their owner can access, and atomic writes.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Creates an error of the operating system that names the action and the path.
pub(crate) fn io_error(action: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot {action} {}: {error}", path.display())).with_source(error)
}

/// Creates `directory` and its missing parents. Only the owner can access the directories that are created.
pub(crate) fn create_private_directory(directory: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| io_error("create", directory, error))
}

/// Restricts the access to an existing directory to its owner.
pub(crate) fn make_private(directory: &Path) -> Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))
        .map_err(|error| io_error("change the permissions of", directory, error))
}

/// Opens `path` for reading and writing. A missing file is created, and only its owner can access it.
pub(crate) fn open_private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|error| io_error("open", path, error))
}

/// Returns the bytes of `path`, or `None` if there is no such file.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path, error)),
    }
}

/// Replaces `path` with a file of these bytes. After a crash, it holds either the old or the new bytes.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let file = open_private(&temporary)?;
    let written = file
        .set_len(0)
        .and_then(|()| (&file).write_all(bytes))
        .and_then(|()| file.sync_all());
    written.map_err(|error| io_error("write", &temporary, error))?;
    fs::rename(&temporary, path).map_err(|error| io_error("replace", path, error))?;
    sync_parent(path)
}

/// Makes the entries of the directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| io_error("sync", directory, error))
}

/// Makes the directory entry of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        // The parent of a bare name is the empty path, which stands for the current directory.
        Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

/// Returns whether `directory` is absent or empty, so that it can be initialized.
pub(crate) fn is_absent_or_empty(directory: &Path) -> Result<bool> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(io_error("list", directory, error)),
    }
}
