//! The identity of a hub, read from the small files of its directory.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::inspect::Inspection;
use crate::store::directory::{Format, Sidecar, holder};

/// A summary of a hub's directory, whether or not a process has it open. Returned by [`Inspection::summary`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HubSummary {
    /// The id of the hub, generated at its creation. A copy has the same id until it is
    /// [restored](crate::HubBuilder::restore).
    pub hub: String,
    /// 1 at the creation of the hub, incremented each time a copy is restored.
    pub incarnation: u64,
    /// Number of partitions that the instances are spread over.
    pub partitions: u32,
    /// `true` if the directory is a copy made by a checkpoint that has not been restored.
    pub copy: bool,
    /// A description of the process that has the hub open. `None` if no process has it open.
    pub open_by: Option<String>,
    /// The newest acknowledged commit. `None` if the directory does not contain it.
    pub acknowledged: Option<u64>,
    /// `true` if the last process that had the hub open closed it. Otherwise, a process has the hub open or was killed.
    pub closed: bool,
}

impl Inspection {
    /// Reads the summary of the hub. It does not open the store, so it also works while a process has the hub open.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Format`] if the directory is not a hub or has another format, of kind
    /// [`ErrorKind::Corrupted`] if one of its files is broken, or of kind [`ErrorKind::Io`] if one cannot be read.
    pub fn summary(&self) -> Result<HubSummary> {
        let directory = &self.directory;
        let Some(format) = Format::find(directory)? else {
            let text = format!(
                "{} is not a hub: the directory is empty or does not exist",
                directory.display()
            );
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
