//! The `MOVED` file: the hub of this directory is in a database now.
//!
//! Its first line is the id of the import, by which its repetition is recognized, and the second one says where the hub is.

use std::path::Path;

#[cfg(feature = "cluster")]
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::files::read_if_present;
#[cfg(feature = "cluster")]
use crate::files::replace;

const MOVED: &str = "MOVED";

/// Marks a directory whose hub moves into a database. `place` says where to, for people.
#[cfg(feature = "cluster")]
pub(crate) fn mark(directory: &Path, import: Uuid, place: &str) -> Result<()> {
    replace(&directory.join(MOVED), format!("{import}\n{place}\n").as_bytes())
}

/// Returns the id of the import that has marked a directory, if there was one.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Moved`] if the mark is damaged.
#[cfg(feature = "cluster")]
pub(crate) fn import(directory: &Path) -> Result<Option<Uuid>> {
    let Some(text) = read(directory)? else {
        return Ok(None);
    };
    let id = text.lines().next().and_then(|line| line.parse().ok());
    id.map(Some).ok_or_else(|| refused(directory, &text))
}

/// Refuses a directory whose hub has moved.
pub(crate) fn check(directory: &Path) -> Result<()> {
    match read(directory)? {
        None => Ok(()),
        Some(text) => Err(refused(directory, &text)),
    }
}

fn read(directory: &Path) -> Result<Option<String>> {
    let bytes = read_if_present(&directory.join(MOVED))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn refused(directory: &Path, text: &str) -> Error {
    let place = text.lines().nth(1).unwrap_or("a database");
    Error::new(
        ErrorKind::Moved,
        format!(
            "the hub of {} was imported into {place}, and running it here as well would do its work twice; open it there, or \
             repeat the import if it was interrupted. To return to this state of the hub, make sure that it runs nowhere \
             else, and remove the file {MOVED}",
            directory.display()
        ),
    )
}
