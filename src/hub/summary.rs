//! Who a hub is, from the small files of its directory.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::inspect::Inspection;
use crate::store::directory::{Format, Sidecar, holder};

/// What a directory says of its hub, whether a process has it open or not. Made by [`Inspection::summary`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HubSummary {
    /// The id of the hub, drawn when it was made. Its copies have the same until they are released for work.
    pub hub: String,
    /// 1 at the hub's creation, one more whenever a copy was released for work.
    pub incarnation: u64,
    /// Over how many partitions instances are spread.
    pub partitions: u32,
    /// Whether it is a copy made by a checkpoint that was not released for work.
    pub copy: bool,
    /// Who has the hub open, in words; nothing if nobody has.
    pub open_by: Option<String>,
    /// The newest commit that was acknowledged; nothing if the directory does not say.
    pub acknowledged: Option<u64>,
    /// Whether the hub was closed by the last process that had it open; if not, the process has it open or was killed.
    pub closed: bool,
}

impl Inspection {
    /// Reads who the hub is. It opens no store, so it also works while a process has the hub open.
    ///
    /// # Errors
    /// [`ErrorKind::Format`] if the directory is no hub or one of another format, [`ErrorKind::Corrupted`] if one of its
    /// files is broken, and [`ErrorKind::Io`].
    pub fn summary(&self) -> Result<HubSummary> {
        let directory = &self.directory;
        let Some(format) = Format::find(directory)? else {
            let text = format!("{} is not a hub: there is nothing in it", directory.display());
            return Err(Error::new(ErrorKind::Format, text));
        };
        let acknowledged = Sidecar::read(directory)?;
        Ok(HubSummary {
            hub: format.hub.to_string(),
            incarnation: format.incarnation,
            partitions: format.partitions.into(),
            copy: format.copy,
            open_by: holder(directory)?,
            acknowledged: acknowledged.map(|acknowledged| acknowledged.commit),
            closed: acknowledged.is_some_and(|acknowledged| acknowledged.clean),
        })
    }
}
