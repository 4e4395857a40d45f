//! A recording of all changes that a process has made to its files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file, whatever its name is. Two files that had the same name one after the other are two files.
pub(crate) type FileId = usize;

/// A change, in the order in which the process made it.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Create {
        path: PathBuf,
        file: FileId,
    },
    MakeDirectory {
        path: PathBuf,
    },
    Write {
        file: FileId,
        at: usize,
        bytes: Vec<u8>,
    },
    Resize {
        file: FileId,
        length: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    /// A file has one more name.
    Link {
        path: PathBuf,
        file: FileId,
    },
    Remove {
        path: PathBuf,
    },
    /// A sync of a file begins. What was written before is durable after its end.
    Sync {
        number: i64,
        file: FileId,
    },
    /// A sync of a directory begins.
    SyncNames {
        number: i64,
        directory: PathBuf,
    },
    /// A sync has ended.
    Synced {
        number: i64,
    },
}

/// The operations of `calls.c`.
mod op {
    pub(super) const OPEN: i64 = 1;
    pub(super) const CLOSE: i64 = 2;
    pub(super) const WRITE: i64 = 3;
    pub(super) const SYNC: i64 = 4;
    pub(super) const SYNCED: i64 = 5;
    pub(super) const RENAME: i64 = 6;
    pub(super) const REMOVE: i64 = 7;
    pub(super) const MAKE_DIRECTORY: i64 = 8;
    pub(super) const RESIZE: i64 = 9;
    pub(super) const LINK: i64 = 10;
}

/// The flag of an open that creates the file.
const CREATE: i64 = 0o100;
/// The flag of an open that empties the file.
const TRUNCATE: i64 = 0o1000;

#[derive(Default)]
struct Reading {
    changes: Vec<Change>,
    /// The files by name, and what each descriptor is open for.
    names: HashMap<PathBuf, FileId>,
    open: HashMap<i64, Open>,
    files: usize,
}

#[derive(Clone)]
enum Open {
    File(FileId),
    Directory(PathBuf),
}

/// Reads the recording of a process that began with the files `existing` in a directory `root`. They have the numbers 0,
/// 1, 2, ... All paths are relative to the root.
pub(crate) fn read(recording: &Path, root: &Path, existing: &[PathBuf]) -> Vec<Change> {
    let bytes = std::fs::read(recording).expect("the worker has recorded its calls");
    let mut reading = Reading {
        names: existing.iter().cloned().zip(0..).collect(),
        files: existing.len(),
        ..Reading::default()
    };
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (head, after) = rest.split_at(40);
        let number = |index: usize| i64::from_ne_bytes(head[8 * index..8 * index + 8].try_into().expect("8 bytes"));
        let (first, after) = after.split_at(number(3) as usize);
        let (second, after) = after.split_at(number(4) as usize);
        rest = after;
        let path = |bytes: &[u8]| {
            let path = Path::new(OsStr::from_bytes(bytes));
            path.strip_prefix(root)
                .expect("only files below the root are recorded")
                .to_owned()
        };
        match number(0) {
            op::OPEN => reading.open(number(1), number(2), path(first)),
            op::CLOSE => drop(reading.open.remove(&number(1))),
            op::WRITE => {
                let file = reading.file(number(1));
                reading.changes.push(Change::Write {
                    file,
                    at: number(2) as usize,
                    bytes: first.to_owned(),
                });
            }
            op::RESIZE => {
                let file = reading.file(number(1));
                let length = number(2) as usize;
                reading.changes.push(Change::Resize { file, length });
            }
            op::SYNC => {
                let change = match reading.open[&number(1)].clone() {
                    Open::File(file) => Change::Sync {
                        number: number(2),
                        file,
                    },
                    Open::Directory(directory) => Change::SyncNames {
                        number: number(2),
                        directory,
                    },
                };
                reading.changes.push(change);
            }
            op::SYNCED => reading.changes.push(Change::Synced { number: number(2) }),
            op::RENAME => {
                let (from, to) = (path(first), path(second));
                if let Some(file) = reading.names.remove(&from) {
                    reading.names.insert(to.clone(), file);
                }
                reading.changes.push(Change::Rename { from, to });
            }
            op::LINK => {
                let (from, path) = (path(first), path(second));
                let file = reading.names[&from];
                reading.names.insert(path.clone(), file);
                reading.changes.push(Change::Link { path, file });
            }
            op::REMOVE => {
                let path = path(first);
                reading.names.remove(&path);
                reading.changes.push(Change::Remove { path });
            }
            op::MAKE_DIRECTORY => reading.changes.push(Change::MakeDirectory { path: path(first) }),
            other => panic!("the recording has an operation {other}"),
        }
    }
    reading.changes
}

impl Reading {
    fn open(&mut self, descriptor: i64, flags: i64, path: PathBuf) {
        let known = self.names.get(&path).copied();
        let open = match known {
            Some(file) => {
                if flags & TRUNCATE != 0 {
                    self.changes.push(Change::Resize { file, length: 0 });
                }
                Open::File(file)
            }
            None if flags & CREATE != 0 => {
                let file = self.files;
                self.files += 1;
                self.names.insert(path.clone(), file);
                self.changes.push(Change::Create { path, file });
                Open::File(file)
            }
            // Everything else that exists is a directory.
            None => Open::Directory(path),
        };
        self.open.insert(descriptor, open);
    }

    fn file(&self, descriptor: i64) -> FileId {
        match self.open[&descriptor] {
            Open::File(file) => file,
            Open::Directory(ref path) => panic!("{} is a directory", path.display()),
        }
    }
}
