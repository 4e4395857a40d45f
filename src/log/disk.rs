//! The place of a log's segments: a directory, or a model of one for tests.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::files::{create_private_directory, io_error, make_private, open_private, sync_directory, sync_parent};
use crate::planted::{self, Fault};

/// The file name extension of segments. The stem is the number of the segment.
const EXTENSION: &str = "log";

/// The files of a log, each under the number of its segment.
pub(crate) trait Disk: Send + Sync + fmt::Debug {
    type File: Send + fmt::Debug;

    /// Creates the directory if it does not exist.
    fn prepare(&self) -> Result<()>;

    /// Returns the numbers of the segments in order, or no numbers if there is no log.
    fn list(&self) -> Result<Vec<u64>>;

    /// Replaces the content of `bytes` with the whole segment.
    fn read(&self, number: u64, bytes: &mut Vec<u8>) -> Result<()>;

    /// Opens a file for writing, and creates it if it does not exist.
    fn open(&self, number: u64) -> Result<Self::File>;

    fn length(&self, number: u64, file: &Self::File) -> Result<usize>;

    fn write(&self, number: u64, file: &Self::File, bytes: &[u8], at: usize) -> Result<()>;

    /// Makes the content of a file durable. [`sync_names`](Self::sync_names) makes its existence durable.
    fn sync(&self, number: u64, file: &Self::File) -> Result<()>;

    fn rename(&self, from: u64, to: u64) -> Result<()>;

    fn remove(&self, number: u64) -> Result<()>;

    /// Makes the existence and the numbers of all files durable.
    fn sync_names(&self) -> Result<()>;

    /// Returns the path of a file, for error messages.
    fn path(&self, number: u64) -> PathBuf;
}

/// A directory of the file system.
#[derive(Clone, Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }
}

impl Disk for Directory {
    type File = File;

    fn prepare(&self) -> Result<()> {
        create_private_directory(&self.0)?;
        make_private(&self.0)?;
        sync_parent(&self.0)
    }

    fn list(&self) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        if !self.0.exists() {
            return Ok(numbers);
        }
        let failed = |error| io_error("list", &self.0, error);
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let number = stem.filter(|stem| stem.len() == 16);
            numbers.extend(number.and_then(|stem| u64::from_str_radix(stem, 16).ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read(&self, number: u64, bytes: &mut Vec<u8>) -> Result<()> {
        let path = self.path(number);
        bytes.clear();
        let read = File::open(&path).and_then(|mut file| file.read_to_end(bytes));
        read.map(drop).map_err(|error| io_error("read", &path, error))
    }

    fn open(&self, number: u64) -> Result<File> {
        open_private(&self.path(number))
    }

    fn length(&self, number: u64, file: &File) -> Result<usize> {
        let metadata = file.metadata();
        let metadata = metadata.map_err(|error| io_error("measure", &self.path(number), error))?;
        Ok(usize::try_from(metadata.len()).unwrap_or(usize::MAX))
    }

    fn write(&self, number: u64, file: &File, bytes: &[u8], at: usize) -> Result<()> {
        if planted::is(Fault::IgnoreShortWrite) {
            let written = file.write_at(bytes, at as u64);
            return written
                .map(drop)
                .map_err(|error| io_error("write", &self.path(number), error));
        }
        let written = file.write_all_at(bytes, at as u64);
        if planted::is(Fault::IgnoreFailedWrite) {
            return Ok(());
        }
        written.map_err(|error| io_error("write", &self.path(number), error))
    }

    fn sync(&self, number: u64, file: &File) -> Result<()> {
        if planted::is(Fault::SkipSync) {
            return Ok(());
        }
        file.sync_data()
            .map_err(|error| io_error("sync", &self.path(number), error))
    }

    fn rename(&self, from: u64, to: u64) -> Result<()> {
        let path = self.path(from);
        fs::rename(&path, self.path(to)).map_err(|error| io_error("rename", &path, error))
    }

    fn remove(&self, number: u64) -> Result<()> {
        let path = self.path(number);
        fs::remove_file(&path).map_err(|error| io_error("remove", &path, error))
    }

    fn sync_names(&self) -> Result<()> {
        sync_directory(&self.0)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:016x}.{EXTENSION}"))
    }
}
