//! Opening a directory: a failed open changes nothing, and no waiting message is lost.
//!
//! See docs/src/guarantees.md, "One process, one directory".
#![cfg(feature = "rocksdb")]

#[path = "it/fixtures.rs"]
mod fixtures;
mod worker;

use std::fs;
use std::path::Path;

use abide::ErrorKind;
use abide::prelude::*;
use fixtures::{Journal, assert_error, contents};
use worker::Worker;

/// Forwards notes, so that they come from an entity.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Sender;

#[operations]
impl Sender {
    pub fn send(&mut self, ctx: &mut EntityContext, to: &str, n: u32) {
        ctx.entity::<Journal>(to).note(n).signal();
    }
}

/// The journal after an incompatible change of its state.
mod changed {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(crate) struct Journal {
        notes: String,
    }

    #[operations]
    impl Journal {
        pub fn note(&mut self, n: u32) {
            self.notes += &n.to_string();
        }
    }
}

#[test]
fn worker() {
    if let Some((_, directory)) = worker::role() {
        block_on(async {
            let _hub = open(&directory).await.unwrap();
            worker::report("open");
            worker::order();
        });
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

async fn open(directory: &Path) -> abide::Result<Hub> {
    Hub::builder(directory)
        .entity::<Journal>()
        .entity::<Sender>()
        .open()
        .await
}

async fn notes(client: &Client, key: &str) -> Vec<u32> {
    let state = client.entity::<Journal>(key).state().await.unwrap();
    state.unwrap_or_default().notes
}

/// A second process, or a second hub in the same process, fails with an error that names the directory and the process
/// ID of the first. When the first process is killed, the directory is unlocked at once.
#[test]
fn a_directory_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub");
    let mut worker = Worker::start("hold the hub", &path);
    worker.expect("open");
    let shown = path.display().to_string();
    let error = block_on(open(&path)).unwrap_err();
    let holder = format!("process {}", worker.id());
    assert_error(&error, ErrorKind::Locked, &[&shown, &holder, "is locked by"]);
    worker.kill();
    block_on(async {
        let hub = open(&path).await.unwrap();
        let error = open(&path).await.unwrap_err();
        let holder = format!("process {}", std::process::id());
        assert_error(&error, ErrorKind::Locked, &[&shown, &holder]);
        hub.client().entity::<Journal>("j").note(1).await.unwrap();
        hub.shutdown().await.unwrap();
        open(&path).await.unwrap().shutdown().await.unwrap();
    });
}

/// A directory that is not a hub, or is of a newer format, fails to open with an error that names it. Not a byte of it
/// changes. A file in place of the directory fails as well.
#[test]
fn a_directory_without_a_hub_is_refused_and_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |path: &Path, kind, texts: &[&str]| {
        let before = contents(directory.path());
        let error = block_on(open(path)).unwrap_err();
        assert_error(&error, kind, &[&path.display().to_string()]);
        assert_error(&error, kind, texts);
        assert_eq!(contents(directory.path()), before, "{error}");
    };
    let photos = directory.path().join("photos");
    fs::create_dir_all(photos.join("db")).unwrap();
    fs::write(photos.join("db/cat.jpg"), "a cat").unwrap();
    refused(&photos, ErrorKind::Format, &["is not a hub", "an empty one"]);
    fs::write(photos.join("FORMAT"), r#"{"magic":"photo album","version":1}"#).unwrap();
    refused(&photos, ErrorKind::Format, &["belongs to another program"]);
    fs::write(photos.join("FORMAT"), "landscape").unwrap();
    refused(&photos, ErrorKind::Format, &["is broken or does not belong to a hub"]);

    let newer = directory.path().join("newer");
    block_on(async { open(&newer).await.unwrap().shutdown().await.unwrap() });
    let format = fs::read_to_string(newer.join("FORMAT")).unwrap();
    let line = format.lines().find(|line| line.contains("\"version\"")).unwrap();
    let version: u32 = line.split([':', ',']).nth(1).unwrap().trim().parse().unwrap();
    let next = version + 1;
    fs::write(
        newer.join("FORMAT"),
        format.replace(line, &format!("\"version\": {next},")),
    )
    .unwrap();
    let found = format!("format version {next}");
    refused(
        &newer,
        ErrorKind::Format,
        &[&found, "nothing was changed", "newer build"],
    );
    let edited = format.replace("\"partitions\": 64", "\"partitions\": 63");
    fs::write(newer.join("FORMAT"), edited).unwrap();
    refused(&newer, ErrorKind::Corrupted, &["FORMAT", "checksum"]);
    fs::write(newer.join("FORMAT"), format).unwrap();
    block_on(async { open(&newer).await.unwrap().shutdown().await.unwrap() });

    let file = directory.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    refused(&file, ErrorKind::Io, &[]);
}

/// An invalid builder fails before the directory is created.
#[test]
fn a_builder_that_cannot_work_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub");
    let builders = [
        (
            Hub::builder(&path).entity::<Journal>().entity::<changed::Journal>(),
            ErrorKind::Configuration,
        ),
        (Hub::builder(&path).partitions(0), ErrorKind::Configuration),
        (Hub::builder(&path).partitions(5_000), ErrorKind::Configuration),
        (Hub::builder(&path).queue_limit(0), ErrorKind::Configuration),
        (Hub::builder(&path).in_flight_limit(0), ErrorKind::Configuration),
        (Hub::builder(&path).hold("journal"), ErrorKind::InvalidId),
    ];
    for (builder, kind) in builders {
        assert_eq!(block_on(builder.open()).unwrap_err().kind(), kind);
        assert!(!path.exists());
    }
}

/// A held entity rejects calls, and its signals wait in order, even over restarts. Other entities work. The held entity
/// continues when it is resumed.
#[test]
fn a_held_entity_waits_until_it_is_released() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let hub = open(directory.path()).await.unwrap();
        hub.client().entity::<Journal>("held").note(0).await.unwrap();
        hub.shutdown().await.unwrap();
        for round in 0..2 {
            let hub = Hub::builder(directory.path()).entity::<Journal>().entity::<Sender>();
            let hub = hub.hold("@Journal@held").open().await.unwrap();
            let client = hub.client();
            let held = client.entity::<Journal>("held");
            let error = held.note(9).await.unwrap_err().into_returned().unwrap_err();
            let texts = [
                "`@journal@held` has been held since the hub was opened",
                "release it",
                ".hold",
            ];
            assert_error(&error, ErrorKind::Quarantined, &texts);
            held.note(2 * round + 1).signal().await.unwrap();
            client.entity::<Sender>("s").send("held", 2 * round + 2).await.unwrap();
            client.entity::<Sender>("s").send("free", round).await.unwrap();
            assert_eq!(notes(&client, "held").await, [0]);
            if round == 1 {
                assert!(client.admin().release_quarantine(held.id().unwrap()).await.unwrap());
                assert!(!client.admin().release_quarantine(held.id().unwrap()).await.unwrap());
                held.note(5).await.unwrap();
                assert_eq!(notes(&client, "held").await, [0, 1, 2, 3, 4, 5]);
            }
            assert_eq!(notes(&client, "free").await.len(), round as usize + 1);
            hub.shutdown().await.unwrap();
        }
    });
}

/// Messages for an unregistered type wait, and the hub reports the type. A build that registers it processes them in
/// order.
#[test]
fn an_unregistered_type_waits_visibly() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let hub = Hub::builder(directory.path()).entity::<Sender>().open().await.unwrap();
        assert!(hub.unregistered().is_empty());
        for n in 0..3 {
            hub.client().entity::<Sender>("s").send("j", n).await.unwrap();
        }
        hub.shutdown().await.unwrap();

        let hub = Hub::builder(directory.path()).entity::<Sender>().open().await.unwrap();
        assert_eq!(hub.unregistered(), ["journal"]);
        hub.client().entity::<Sender>("s").send("j", 3).await.unwrap();
        assert_eq!(hub.client().entities().name("journal").count().await.unwrap(), 0);
        let journal = hub.client().entity::<Journal>("j");
        let error = journal.note(9).signal().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unregistered);
        assert!(hub.client().admin().dead_letters().await.unwrap().is_empty());
        hub.shutdown().await.unwrap();

        let hub = open(directory.path()).await.unwrap();
        assert!(hub.unregistered().is_empty());
        hub.client().entity::<Journal>("j").note(4).await.unwrap();
        assert_eq!(notes(&hub.client(), "j").await, [0, 1, 2, 3, 4]);
        hub.shutdown().await.unwrap();
    });
}

/// A state that the build cannot read quarantines its entity: calls fail at once, signals wait, and the list shows the
/// reason. A build that can read the state processes everything in order.
#[test]
fn an_unreadable_state_is_quarantined_until_a_build_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let hub = open(directory.path()).await.unwrap();
        hub.client().entity::<Journal>("old").note(1).await.unwrap();
        hub.shutdown().await.unwrap();
        for round in 0..2 {
            let hub = Hub::builder(directory.path())
                .entity::<changed::Journal>()
                .entity::<Sender>();
            let hub = hub.open().await.unwrap();
            let client = hub.client();
            client.entity::<changed::Journal>("new").note(1).await.unwrap();
            let old = client.entity::<changed::Journal>("old");
            let error = old.note(9).await.unwrap_err().into_returned().unwrap_err();
            let texts = [
                "`@journal@old` is quarantined",
                "invalid type: sequence, expected a string",
            ];
            assert_error(&error, ErrorKind::Quarantined, &texts);
            old.note(2 * round + 2).signal().await.unwrap();
            client.entity::<Sender>("s").send("old", 2 * round + 3).await.unwrap();
            let listed = client.admin().quarantined().await.unwrap();
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0].id.as_str(), "@journal@old");
            assert!(listed[0].reason.contains("expected a string"), "{}", listed[0].reason);
            // The build is the same, so the entity is quarantined again on the first attempt.
            assert!(client.admin().release_quarantine(&listed[0].id).await.unwrap());
            assert_eq!(client.admin().quarantined().await.unwrap().len(), 1);
            hub.shutdown().await.unwrap();
        }
        let hub = open(directory.path()).await.unwrap();
        let client = hub.client();
        client.entity::<Journal>("old").note(6).await.unwrap();
        assert_eq!(notes(&client, "old").await, [1, 2, 3, 4, 5, 6]);
        let listed = client.admin().quarantined().await.unwrap();
        let listed: Vec<&str> = listed.iter().map(|entity| entity.id.as_str()).collect();
        // The entity of the other build is quarantined only when it is used.
        assert!(listed.is_empty(), "{listed:?}");
        let error = client.entity::<Journal>("new").note(1).await.unwrap_err();
        assert_eq!(error.into_returned().unwrap_err().kind(), ErrorKind::Quarantined);
        hub.shutdown().await.unwrap();
    });
}
