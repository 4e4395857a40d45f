//! The recorded histories in the directory `histories`.

use std::path::PathBuf;

use abide::history::RecordedHistory;
use abide::hub::HubBuilder;

/// Replays the recorded histories of an example with today's code.
#[track_caller]
pub(crate) fn assert_fits(example: &str, builder: HubBuilder) {
    let path = path(example);
    let histories = std::fs::read_to_string(&path);
    let histories = histories.unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    abide::testing::assert_replays(builder, &histories);
}

/// Replaces the recorded history of an example.
#[track_caller]
pub(crate) fn record(example: &str, history: &RecordedHistory) {
    let line = serde_json::to_string(history).expect("a history is a document of JSON");
    let path = path(example);
    std::fs::write(&path, line + "\n").unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}

fn path(example: &str) -> PathBuf {
    let histories = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("histories");
    histories.join(example).with_extension("jsonl")
}
