//! Counts words, with one entity per word, and survives being killed at any moment.
//!
//! ```text
//! cargo run --example wordcount -- DIRECTORY FILE…
//! ```
//!
//! The result is that of `cat FILE… | tr -cs A-Za-z '\n' | tr A-Z a-z | LC_ALL=C sort | uniq -c`. Kill the program and
//! start it again with the same DIRECTORY, as often as you like. It resumes, and counts every word exactly once.
//!
//! This needs no request ids. The position in a file is itself an entity, [`Cursor`]. Its operation advances the cursor
//! over a chunk of the file and signals the words of that chunk. Both are stored in one commit, so either both happen
//! or neither. After a kill, the program reads from the cursor where to resume. A chunk that arrives a second time does
//! not match the cursor and changes nothing. Abide guarantees that messages between entities take effect exactly once,
//! so every signaled word is counted once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use abide::prelude::*;

/// The number of occurrences of one word. The key is the word.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Word {
    count: u64,
}

#[operations]
impl Word {
    pub fn add(&mut self, n: u64) {
        self.count += n;
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

/// The position in one file. The key is derived from the path of the file.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Cursor {
    /// The start of the next chunk, in bytes.
    offset: u64,
}

#[operations]
impl Cursor {
    /// Signals the words of the chunk from `begin` to `end`, unless that was done before. Returns the start of the next
    /// chunk.
    pub fn advance(&mut self, context: &mut EntityContext, begin: u64, end: u64, words: BTreeMap<String, u64>) -> u64 {
        if begin == self.offset {
            for (word, n) in words {
                context.entity::<Word>(&word).add(n).signal();
            }
            self.offset = end;
        }
        self.offset
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), files) = (arguments.next(), arguments.collect::<Vec<_>>()) else {
        return Err("usage: wordcount DIRECTORY FILE…".into());
    };
    let hub = Hub::builder(&directory)
        .entity::<Word>()
        .entity::<Cursor>()
        .open()
        .await?;
    let client = hub.client();
    for file in &files {
        feed(&client, Path::new(file)).await?;
    }
    // Every signal of every cursor has arrived, also those of an earlier run.
    hub.idle().await?;
    for (word, count) in counts(&client).await? {
        println!("{count:>7} {word}");
    }
    hub.shutdown().await?;
    Ok(())
}

/// Passes a file to its cursor, chunk by chunk, starting at the position of the cursor.
async fn feed(client: &Client, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // A chunk ends at the end of a line, so that no word is split.
    const CHUNK_BYTES: u64 = 16 * 1024;
    let cursor = client.entity::<Cursor>(key_of(&file.canonicalize()?));
    let mut begin = cursor.offset().await?;
    let mut text = BufReader::new(std::fs::File::open(file)?);
    std::io::Seek::seek(&mut text, std::io::SeekFrom::Start(begin))?;
    let mut line = Vec::new();
    loop {
        let mut end = begin;
        let mut words = BTreeMap::new();
        while end - begin < CHUNK_BYTES {
            line.clear();
            let bytes = text.read_until(b'\n', &mut line)?;
            if bytes == 0 {
                break;
            }
            end += bytes as u64;
            count(&line, &mut words);
        }
        if end == begin {
            return Ok(());
        }
        begin = cursor.advance(begin, end, words).await?;
    }
}

/// Adds the words of one line: runs of ASCII letters, in lower case.
fn count(line: &[u8], words: &mut BTreeMap<String, u64>) {
    for word in line
        .split(|byte| !byte.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
    {
        let word = String::from_utf8_lossy(word).to_ascii_lowercase();
        *words.entry(word).or_default() += 1;
    }
}

/// Returns the counts of all words.
async fn counts(client: &Client) -> abide::Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for word in keys(client, "word").await? {
        let count = client.entity::<Word>(&word).count().await?;
        counts.insert(word, count);
    }
    Ok(counts)
}

/// Returns the keys of all entities with this name, page by page.
async fn keys(client: &Client, name: &str) -> abide::Result<Vec<String>> {
    let query = || client.entities().name(name).page_size(1_000);
    let mut keys = Vec::new();
    let mut page = query().page().await?;
    loop {
        keys.extend(page.items.iter().map(|entity| entity.id.key().to_owned()));
        let Some(next) = page.next else { return Ok(keys) };
        page = query().cursor(next).page().await?;
    }
}

/// Converts a path to a key. Keys must not contain slashes and a few other characters, so these are percent-encoded.
fn key_of(path: &Path) -> String {
    let mut key = String::new();
    for character in path.to_string_lossy().chars() {
        if matches!(character, '/' | '\\' | '#' | '?' | '%') || character.is_control() {
            key.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            key.push(character);
        }
    }
    key
}
