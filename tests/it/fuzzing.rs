//! The fuzz targets of the decoders with fixed inputs: the corpora in `fuzz/corpus`, and thousands of mutations and
//! combinations of them.

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::Duration;

use abide::fuzzing::{TARGETS, seeds};
use abide::prelude::*;

/// Number of mutations per target.
const MUTATIONS: usize = 20_000;

/// Maximum length of an input in bytes.
const LONGEST: usize = 16 << 10;

fn corpus(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fuzz/corpus", target].iter().collect()
}

/// Returns the files of a corpus, in the order of their names.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(corpus(target)).unwrap_or_else(|error| panic!("corpus of {target}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Changes a few bytes or ranges of an input.
fn mutate(random: &mut fastrand::Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    const EDGES: [u8; 8] = [0, 1, 0x20, 0x7f, 0x80, 0xc0, 0xfe, 0xff];
    let mut bytes = random.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..=4) {
        let at = random.usize(0..=bytes.len());
        let end = bytes.len().min(at + random.usize(0..16));
        match random.u8(0..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, random.u8(..)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 => {
                let other = random.choice(corpus).map_or(&[][..], Vec::as_slice);
                let begin = random.usize(0..=other.len());
                let piece = other[begin..].iter().take(random.usize(1..64)).copied();
                drop(bytes.splice(at..end, piece));
            }
            5 if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
            6 if at < bytes.len() => bytes[at] = EDGES[random.usize(0..EDGES.len())],
            _ if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(random.u8(0..3)).wrapping_sub(1),
            _ => bytes.push(random.u8(..)),
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// No decoder panics, whatever the bytes are, and what it decodes is encoded and decoded to the same value.
#[test]
fn every_decoder_returns_a_value_or_an_error() {
    for (target, run) in TARGETS {
        let corpus = inputs(target);
        let mut random = fastrand::Rng::with_seed(1);
        let mutations = (0..MUTATIONS).map(|_| mutate(&mut random, &corpus));
        for bytes in corpus.iter().cloned().chain(mutations) {
            if catch_unwind(|| run(&bytes)).is_err() {
                panic!("the target {target} fails for b\"{}\"", bytes.escape_ascii());
            }
        }
    }
}

/// Each target has its file in `fuzz/`.
#[test]
fn every_target_can_be_fuzzed() {
    let manifest = fs::read_to_string(corpus("").join("../Cargo.toml")).unwrap();
    for (target, _) in TARGETS {
        let file = corpus("").join(format!("../fuzz_targets/{target}.rs"));
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains(&format!("abide::fuzzing::{target}(bytes)")), "{target}");
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
#[entity(audit = 3)]
struct Purse {
    cents: i64,
    notes: BTreeMap<String, f64>,
}

#[operations]
impl Purse {
    pub fn put(&mut self, cents: i64, note: String) -> i64 {
        self.cents += cents;
        self.notes.insert(note, cents as f64 / 100.0);
        self.cents
    }

    pub fn fail(&mut self) -> Result<(), Failure> {
        Err(Failure::message("always"))
    }

    pub async fn wait(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[activity]
async fn print(text: String) -> Result<String, Failure> {
    Ok(text)
}

#[activity(retry(max_attempts = 2, first_interval = "1h"))]
async fn refuse(_text: String) -> Result<String, Failure> {
    Err(Failure::message("no paper"))
}

#[orchestration]
async fn child(ctx: OrchestrationContext, text: String) -> Result<String, Failure> {
    ctx.set_custom_status(&text);
    Ok(ctx.call_activity::<print>(text).await?)
}

#[orchestration]
async fn story(ctx: OrchestrationContext, text: String) -> Result<String, Failure> {
    let purse = ctx.entity::<Purse>("locked");
    let lock = ctx.lock_entities(&purse).await?;
    purse.put(7, text.clone()).await?;
    drop(lock);
    purse.put(8, "later".into()).signal();
    let answer = ctx.call_sub_orchestration::<child>(text).await?;
    ctx.create_timer(Duration::from_millis(1)).await;
    let event: String = ctx.wait_for_external_event("go").await?;
    ctx.call_activity::<refuse>(event.clone())
        .await
        .map_err(|_| Failure::message(event))?;
    Ok(answer)
}

/// Writes the seeds of the corpora anew, after a change of the stored format.
#[tokio::test]
#[ignore = "writes files"]
async fn write_the_seeds() {
    let hub = Hub::in_memory()
        .entity::<Purse>()
        .orchestration::<story>()
        .orchestration::<child>()
        .activity::<print>()
        .activity::<refuse>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let purse = client.entity::<Purse>("k");
    purse
        .put(5, "a \u{20ac} note".into())
        .request_id("first")
        .await
        .unwrap();
    purse.fail().signal().await.unwrap();
    purse
        .put(1, "soon".into())
        .signal_after(Duration::from_secs(3_600))
        .await
        .unwrap();
    client.entity::<Purse>("busy").wait().signal().await.unwrap();
    client
        .entity::<Purse>("busy")
        .put(2, "waits".into())
        .signal()
        .await
        .unwrap();
    let run = client
        .start::<story>("once".into())
        .instance_id("story-1")
        .await
        .unwrap();
    run.raise_event("go", "now").await.unwrap();
    client
        .start::<child>("done".into())
        .instance_id("child-1")
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    for (target, name, bytes) in seeds(&hub) {
        fs::create_dir_all(corpus(target)).unwrap();
        fs::write(corpus(target).join(name), bytes).unwrap();
    }
    let recorded = run.recorded_history().await.unwrap();
    fs::create_dir_all(corpus("recorded_histories")).unwrap();
    fs::write(
        corpus("recorded_histories").join("story"),
        serde_json::to_vec(&recorded).unwrap(),
    )
    .unwrap();
    hub.shutdown().await.unwrap();
}
