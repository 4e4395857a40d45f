//! The `MOVED` file: the hub of this directory is in a database now.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{read_if_present, replace};

const MOVED: &str = "MOVED";

/// Marks a directory whose hub moves into a database. `place` says where to, for people.
pub(crate) fn mark(directory: &Path, place: &str) -> Result<()> {
    replace(&directory.join(MOVED), format!("{place}\n").as_bytes())
}

/// Refuses a directory whose hub has moved.
pub(crate) fn check(directory: &Path) -> Result<()> {
    let Some(place) = read_if_present(&directory.join(MOVED))? else {
        return Ok(());
    };
    let place = String::from_utf8_lossy(&place);
    Err(Error::new(
        ErrorKind::Moved,
        format!(
            "the hub of {} was imported into {}, and running it here as well would do its work twice; open it there, or \
             repeat the import if it was interrupted. To return to this state of the hub, make sure that it runs nowhere \
             else, and remove the file {MOVED}",
            directory.display(),
            place.trim_end()
        ),
    ))
}
