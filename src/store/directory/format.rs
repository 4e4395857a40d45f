//! The `FORMAT` file: the identity of a hub and the version of its format.

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{io_error, is_absent_or_empty, open_private, read_if_present, replace, sync_directory};
use crate::model;
use crate::planted::{self, Fault};
use crate::store::PARTITIONS;

const FORMAT: &str = "FORMAT";

/// Marks a directory in which a hub is being created. Without a `FORMAT` file, the directory has no acknowledged
/// commits.
const CREATING: &str = "CREATING";

const MAGIC: &str = "abide hub";

/// The version of the stored format.
const VERSION: u32 = model::STORED_FORMAT;

/// The identity of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// The id of the hub, generated at creation and shared by its copies.
    pub(crate) hub: Uuid,
    /// Number of partitions. It is fixed at creation because it determines the placement of instances.
    pub(crate) partitions: u16,
    /// 1 at creation, incremented whenever a copy is released for work or a loss is accepted.
    pub(crate) incarnation: u64,
    /// True if this is a copy made by a checkpoint and has not been released for work.
    pub(crate) copy: bool,
}

/// The content of the file, which is human-readable and protected by a checksum.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    magic: String,
    version: u32,
    hub: Uuid,
    partitions: u16,
    incarnation: u64,
    copy: bool,
    /// CRC-32 of the other fields.
    crc32: u32,
}

/// The fields that are read first because they have the same meaning in every version.
#[derive(Deserialize)]
struct Preamble {
    magic: String,
    version: u32,
}

impl Format {
    #[expect(clippy::disallowed_methods, reason = "the id of a hub is generated here")]
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            hub: Uuid::new_v4(),
            partitions,
            incarnation: 1,
            copy: false,
        }
    }

    /// Returns the identity of the hub's next life. A copy becomes a hub of its own with a new id, because two copies
    /// of one hub may both be released. External effects of one copy must not be attributed to the other.
    pub(crate) fn next_life(&self) -> Self {
        let hub = if self.copy {
            Self::new(self.partitions).hub
        } else {
            self.hub
        };
        Self {
            hub,
            copy: false,
            incarnation: self.incarnation + 1,
            ..self.clone()
        }
    }

    /// Reads the identity of the hub in `directory` without changing anything. Returns `None` if a new hub may be
    /// created there.
    pub(crate) fn find(directory: &Path) -> Result<Option<Self>> {
        if let Some(bytes) = read_if_present(&directory.join(FORMAT))? {
            return Self::decode(directory, &bytes).map(Some);
        }
        let unfinished = directory.join(CREATING).exists();
        if unfinished || is_absent_or_empty(directory)? {
            return Ok(None);
        }
        Err(Error::new(
            ErrorKind::Format,
            format!(
                "{} is not a hub: it is not empty and has no {FORMAT} file; \
                 specify the directory of a hub or an empty one",
                directory.display()
            ),
        ))
    }

    /// Returns `true` if `directory` has the file, regardless of its content.
    pub(crate) fn is_marked(directory: &Path) -> bool {
        directory.join(FORMAT).exists()
    }

    /// Writes the file atomically, so a crash leaves either the old or the new content.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        replace(&directory.join(FORMAT), self.encode()?.as_bytes())
    }

    /// Marks the directory as under construction, until [`Format::write`] and [`Format::finish`].
    pub(crate) fn begin(directory: &Path) -> Result<()> {
        open_private(&directory.join(CREATING))?;
        sync_directory(directory)
    }

    /// Removes the mark of [`Format::begin`]. A leftover mark next to a `FORMAT` file has no meaning.
    pub(crate) fn finish(directory: &Path) -> Result<()> {
        let mark = directory.join(CREATING);
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &mark, error)),
            _ => sync_directory(directory),
        }
    }

    pub(crate) fn encode(&self) -> Result<String> {
        let document = Document {
            magic: MAGIC.to_owned(),
            version: VERSION,
            hub: self.hub,
            partitions: self.partitions,
            incarnation: self.incarnation,
            copy: self.copy,
            crc32: self.checksum(),
        };
        let text = serde_json::to_string_pretty(&document).map_err(|error| {
            Error::new(ErrorKind::Serialization, format!("{FORMAT} cannot be encoded")).with_source(error)
        })?;
        Ok(text + "\n")
    }

    pub(crate) fn decode(directory: &Path, bytes: &[u8]) -> Result<Self> {
        let broken = |error| {
            let message = format!(
                "{}/{FORMAT} is broken or does not belong to a hub: {error}",
                directory.display()
            );
            Error::new(ErrorKind::Format, message).with_source(error)
        };
        let preamble: Preamble = serde_json::from_slice(bytes).map_err(broken)?;
        if preamble.magic != MAGIC {
            let message = format!(
                "{} is not a hub: its {FORMAT} file belongs to another program",
                directory.display()
            );
            return Err(Error::new(ErrorKind::Format, message));
        }
        if preamble.version != VERSION && !planted::is(Fault::OpenAnyFormat) {
            return Err(other_version(directory, preamble.version));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(broken)?;
        let format = Self {
            hub: document.hub,
            partitions: document.partitions,
            incarnation: document.incarnation,
            copy: document.copy,
        };
        if document.crc32 != format.checksum() {
            let message = format!(
                "{}/{FORMAT} is broken: its checksum does not match; restore the file from a backup of this hub",
                directory.display()
            );
            return Err(Error::new(ErrorKind::Corrupted, message));
        }
        format.check(directory)?;
        Ok(format)
    }

    /// Checks that each field has a valid value.
    fn check(&self, directory: &Path) -> Result<()> {
        let wrong = if !PARTITIONS.contains(&self.partitions) {
            let (fewest, most) = (PARTITIONS.start(), PARTITIONS.end());
            format!("{} partitions, but a hub has {fewest} to {most}", self.partitions)
        } else if self.incarnation == 0 {
            "incarnation 0, but the first incarnation of a hub is 1".to_owned()
        } else if self.hub.is_nil() {
            "the nil UUID as the id of the hub".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::Corrupted,
            format!(
                "{}/{FORMAT} is broken: it specifies {wrong}; restore the file from a backup of this hub",
                directory.display()
            ),
        ))
    }

    /// Returns the checksum of the fields, independent of the layout of the file. It detects manual edits.
    fn checksum(&self) -> u32 {
        let Self {
            hub,
            partitions,
            incarnation,
            copy,
        } = self;
        let guarded = format!("{VERSION} {hub} {partitions} {incarnation} {copy}");
        crc32fast::hash(guarded.as_bytes())
    }
}

fn other_version(directory: &Path, version: u32) -> Error {
    let advice = if version > VERSION {
        "use a newer build"
    } else {
        "use an older build"
    };
    Error::new(
        ErrorKind::Format,
        format!(
            "{} has format version {version}, but this build supports version {VERSION}; nothing was changed, {advice}",
            directory.display()
        ),
    )
}

#[cfg(test)]
mod tests;
