//! Many concurrent activities: hashes the files of a directory tree in parallel and adds up their sizes.
//!
//! ```text
//! cargo run --example fan_out                   hashes the source of this library
//! cargo run --example fan_out -- DIRECTORY      hashes the files below DIRECTORY
//! ```
//!
//! It prints one line per file, with its XXH3 hash, its size in bytes and its path, and a line with the totals. The
//! sizes are those of `find DIRECTORY -type f -print0 | du -b -l -c --files0-from=-`.
//!
//! A hashed file is never hashed again, even if the program is killed while it runs, because its result is on disk.

use std::path::{Path, PathBuf};

use abide::prelude::*;
use futures::future::try_join_all;
use xxhash_rust::xxh3::Xxh3;

/// The hash and the size of one file.
#[derive(Debug, Serialize, Deserialize)]
struct Hashed {
    path: PathBuf,
    bytes: u64,
    hash: u64,
}

/// The hashes and the size of the whole tree.
#[derive(Debug, Serialize, Deserialize)]
struct Tree {
    files: Vec<Hashed>,
    bytes: u64,
    /// The hash of all hashes, in the order of the paths.
    hash: u64,
}

/// Lists the files below a directory. It blocks its thread, so it is marked as `blocking` and runs on a thread for such
/// work.
#[activity(blocking)]
fn list_files(directory: PathBuf) -> Result<Vec<PathBuf>, Failure> {
    let (mut files, mut directories) = (Vec::new(), vec![directory]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            // This is the type of the entry itself. A symbolic link is neither.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Hashes one file. At most eight of these activities run at a time, regardless of the number of calls.
#[activity(blocking, limit = 8)]
fn hash_file(path: PathBuf) -> Result<Hashed, Failure> {
    let mut file = std::fs::File::open(&path)?;
    let mut hasher = Hasher::default();
    let bytes = std::io::copy(&mut file, &mut hasher)?;
    let hash = hasher.0.digest();
    Ok(Hashed { path, bytes, hash })
}

/// A hasher that implements `Write`.
#[derive(Default)]
struct Hasher(Xxh3);

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[orchestration]
async fn hash_tree(ctx: OrchestrationContext, directory: PathBuf) -> Result<Tree, Failure> {
    let paths = ctx.call_activity::<list_files>(directory).await?;
    // Fan-out: a call starts when it is created, and all calls are created before the first one is awaited.
    let calls = paths.into_iter().map(|path| ctx.call_activity::<hash_file>(path));
    // Fan-in: the results are in the order of the calls, regardless of the order in which they finished. If one call
    // fails, the others are dropped, which cancels them.
    let files = try_join_all(calls).await?;

    let mut hasher = Xxh3::new();
    for file in &files {
        hasher.update(&file.hash.to_be_bytes());
    }
    Ok(Tree {
        bytes: files.iter().map(|file| file.bytes).sum(),
        hash: hasher.digest(),
        files,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = match std::env::args().nth(1) {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../src"),
    };
    let data = tempfile::tempdir()?;
    let hub = Hub::builder(data.path())
        .activity::<list_files>()
        .activity::<hash_file>()
        .orchestration::<hash_tree>()
        .open()
        .await?;
    let run = hub.client().start::<hash_tree>(directory.canonicalize()?).await?;
    let tree = run.result().await?;
    for file in &tree.files {
        println!("{:016x} {:>9} {}", file.hash, file.bytes, file.path.display());
    }
    println!("{:016x} {:>9} in {} files", tree.hash, tree.bytes, tree.files.len());
    hub.shutdown().await?;
    Ok(())
}

#[cfg(test)]
#[path = "tests/cases/fan_out.rs"]
mod tests;
