//! The `FORMAT` file: who a hub is, and in which format it is stored.

use std::ops::RangeInclusive;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{io_error, is_absent_or_empty, open_private, read_if_present, replace, sync_directory};

const FORMAT: &str = "FORMAT";

/// Marks a directory that is being made: without a `FORMAT` beside it, nothing was ever acknowledged from here.
const CREATING: &str = "CREATING";

const MAGIC: &str = "abide hub";

/// The version of everything that is stored, keys and records included.
const VERSION: u32 = 6;

/// How many partitions a hub may have.
const PARTITIONS: RangeInclusive<u16> = 1..=4096;

/// Who a hub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Drawn at the hub's creation; its copies have the same.
    pub(crate) hub: Uuid,
    /// The number of partitions, fixed at creation because instances are placed by it.
    pub(crate) partitions: u16,
    /// 1 at creation, one more whenever a copy is released for work.
    pub(crate) incarnation: u64,
    /// Whether this is a copy made by a checkpoint that was not released for work.
    pub(crate) copy: bool,
}

/// The file as it is written: readable for people, and guarded against a changed digit.
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

/// What is read first, because only it means the same in every version.
#[derive(Deserialize)]
struct Preamble {
    magic: String,
    version: u32,
}

impl Format {
    #[expect(clippy::disallowed_methods, reason = "a hub's id is drawn here")]
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            hub: Uuid::new_v4(),
            partitions,
            incarnation: 1,
            copy: false,
        }
    }

    /// The next life of this hub. A copy becomes a hub of its own with a new id: two copies of one hub may both be released,
    /// and what either does outside must not be taken for what the other did.
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

    /// Reads who the hub in `directory` is and touches nothing; `None` if a new hub may be made there.
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
                "{} is not a hub: it is not empty and has no {FORMAT} file; name a hub's directory or an empty one",
                directory.display()
            ),
        ))
    }

    /// Whether `directory` has the file, whatever is in it.
    pub(crate) fn is_marked(directory: &Path) -> bool {
        directory.join(FORMAT).exists()
    }

    /// Writes the file so that a crash leaves the old one or the new one.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        replace(&directory.join(FORMAT), self.encode()?.as_bytes())
    }

    /// Marks the directory as one that is being made, until [`Format::write`] and [`Format::finish`].
    pub(crate) fn begin(directory: &Path) -> Result<()> {
        open_private(&directory.join(CREATING))?;
        sync_directory(directory)
    }

    /// Removes the mark of [`Format::begin`]; what is left over beside a `FORMAT` means nothing.
    pub(crate) fn finish(directory: &Path) -> Result<()> {
        let mark = directory.join(CREATING);
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &mark, error)),
            _ => sync_directory(directory),
        }
    }

    fn encode(&self) -> Result<String> {
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

    fn decode(directory: &Path, bytes: &[u8]) -> Result<Self> {
        let broken = |error| {
            let message = format!("{}/{FORMAT} is broken or not a hub's: {error}", directory.display());
            Error::new(ErrorKind::Format, message).with_source(error)
        };
        let preamble: Preamble = serde_json::from_slice(bytes).map_err(broken)?;
        if preamble.magic != MAGIC {
            let message = format!(
                "{} is not a hub: its {FORMAT} file is somebody else's",
                directory.display()
            );
            return Err(Error::new(ErrorKind::Format, message));
        }
        if preamble.version != VERSION {
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
                "{}/{FORMAT} is broken: its checksum does not match; take it from a backup of this hub",
                directory.display()
            );
            return Err(Error::new(ErrorKind::Corrupted, message));
        }
        format.check(directory)?;
        Ok(format)
    }

    /// Whether each field has a value that a hub can have.
    fn check(&self, directory: &Path) -> Result<()> {
        let wrong = if !PARTITIONS.contains(&self.partitions) {
            let (fewest, most) = (PARTITIONS.start(), PARTITIONS.end());
            format!("{} partitions, and a hub has {fewest} to {most}", self.partitions)
        } else if self.incarnation == 0 {
            "incarnation 0, and a hub's first one is 1".to_owned()
        } else if self.hub.is_nil() {
            "no hub's id".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::Corrupted,
            format!(
                "{}/{FORMAT} is broken: it says {wrong}; take it from a backup of this hub",
                directory.display()
            ),
        ))
    }

    /// The fields in one line, whatever the layout of the file; a person who edits the file meets the checksum.
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
            "{} has format version {version} and this build reads version {VERSION}; nothing was changed, {advice}",
            directory.display()
        ),
    )
}

#[cfg(test)]
mod tests;
