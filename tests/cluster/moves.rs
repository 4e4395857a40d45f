//! A hub moves from a directory into the database and back, and runs in one place only.

use std::path::Path;
use std::process::Command;

use abide::cluster::Database;
use abide::prelude::*;

use super::server::{Server, copy_all};
use super::{Counter, builder, greet, runtime, shout};

/// The program of the command line, if it was built.
const ABIDE: Option<&str> = option_env!("CARGO_BIN_EXE_abide");

pub(crate) fn in_directory(directory: &Path) -> abide::HubBuilder {
    Hub::builder(directory)
        .entity::<Counter>()
        .activity::<shout>()
        .orchestration::<greet>()
        .wal_limit(128 << 10)
        .memory_budget(8 << 20)
}

/// Adds to some counters, and starts an orchestration that sleeps when the hub closes.
pub(crate) async fn use_hub(hub: &Hub, id: &str) {
    for key in 0..50 {
        hub.client().entity::<Counter>(key).add().await.unwrap();
    }
    let start = hub.client().start::<greet>("ada".to_owned()).instance_id(id);
    start.await.unwrap();
}

async fn counts(hub: &Hub) -> Vec<u64> {
    let mut counts = Vec::new();
    for key in 0..50 {
        counts.push(hub.client().entity::<Counter>(key).count().await.unwrap());
    }
    counts
}

/// A hub that moves into the database and back has everything it had before, and the same id. Neither place that it has left
/// can be opened.
#[test]
fn a_hub_moves_into_the_database_and_back() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let (first, last, node) = (
        place.path().join("first"),
        place.path().join("last"),
        place.path().join("node"),
    );
    let database = Database::at(server.url());
    runtime().block_on(async {
        let hub = in_directory(&first).open().await.unwrap();
        use_hub(&hub, "one").await;
        hub.shutdown().await.unwrap();
        let id = Hub::inspect(&first).summary().unwrap().hub;

        let moved = database.import(&first, "orders").await.unwrap();
        assert_eq!(moved.hub, id);
        assert!(moved.rows > 50, "{moved:?}");
        let refused = in_directory(&first).open().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Moved);
        assert!(refused.to_string().contains("as `orders`"), "{refused}");

        for count in [1, 2] {
            let hub = builder(&server.url(), &node).open().await.unwrap();
            assert_eq!(counts(&hub).await, [count; 50]);
            let greeting = hub.client().orchestration::<greet>("one").result().await.unwrap();
            assert_eq!(greeting, "ADA");
            use_hub(&hub, &format!("in the database {count}")).await;
            let status = database.hub("orders").await.unwrap();
            assert_eq!((status.hub.as_str(), status.stage.as_str()), (id.as_str(), "open"));
            assert!(status.nodes.iter().any(|node| node.shards == [0] && node.is_connected));
            let busy = database.export("orders", &last).await.unwrap_err();
            assert_eq!(busy.kind(), ErrorKind::Locked, "{busy}");
            hub.shutdown().await.unwrap();
        }

        let moved = database.export("orders", &last).await.unwrap();
        assert_eq!(moved.hub, id);
        let refused = builder(&server.url(), &node).open().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Moved);
        assert!(refused.to_string().contains("was exported to a directory"), "{refused}");
        let report = Hub::inspect(&last).check().await.unwrap();
        assert!(report.is_good() && !report.copy, "{report:?}");
        let hub = in_directory(&last).open().await.unwrap();
        assert_eq!(counts(&hub).await, [3; 50]);
        hub.client()
            .orchestration::<greet>("in the database 2")
            .result()
            .await
            .unwrap();
        use_hub(&hub, "back").await;
        hub.shutdown().await.unwrap();

        // And in again, over what the database still has of it.
        database.import(&last, "orders").await.unwrap();
        let hub = builder(&server.url(), &node).open().await.unwrap();
        assert_eq!(counts(&hub).await, [4; 50]);
        hub.shutdown().await.unwrap();
    });
}

/// An import or an export that was interrupted is repeated, and until then the hub runs nowhere else.
#[test]
fn an_interrupted_move_is_repeated() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let (first, last, node) = (
        place.path().join("first"),
        place.path().join("last"),
        place.path().join("node"),
    );
    let database = Database::at(server.url());
    runtime().block_on(async {
        let hub = in_directory(&first).open().await.unwrap();
        use_hub(&hub, "one").await;
        hub.shutdown().await.unwrap();
        database.import(&first, "orders").await.unwrap();

        // As after a crash right before the end.
        server.run("UPDATE abide.hub SET stage = 'importing'");
        server.run("DELETE FROM abide.log");
        server.run("UPDATE abide.shard SET head = 0, commit = 0, chain = '\\x00000000000000000000000000000000'");
        let refused = builder(&server.url(), &node).open().await.unwrap_err();
        assert!(refused.to_string().contains("is being imported"), "{refused}");
        database.import(&first, "orders").await.unwrap();
        // It has ended now, and the hub runs in one place only.
        for name in ["orders", "bills"] {
            let again = database.import(&first, name).await.unwrap_err();
            assert_eq!(again.kind(), ErrorKind::Moved, "{again}");
        }

        let hub = builder(&server.url(), &node).open().await.unwrap();
        use_hub(&hub, "two").await;
        hub.shutdown().await.unwrap();
        // As after a crash before it had an effect.
        let work = place.path().join(".last.abide-export");
        std::fs::create_dir_all(work.join("hub/db")).unwrap();
        std::fs::write(work.join("EXPORT"), "b5ab4e0c-0b4f-4f0c-9d2e-3b1f6f0a1c11").unwrap();
        database.export("orders", last.join("")).await.unwrap();
        assert!(!work.exists());
        let exported = place.path().join("exported");
        copy_all(&last, &exported);
        let checkpoint = place.path().join("checkpoint");
        let hub = in_directory(&last).open().await.unwrap();
        use_hub(&hub, "three").await;
        hub.checkpoint(&checkpoint).await.unwrap();
        hub.shutdown().await.unwrap();

        // Another state of the hub is not what was exported.
        let other = database.export("orders", &checkpoint).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Configuration, "{other}");
        // As after a crash right before the end.
        let work = place.path().join(".again.abide-export");
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join("EXPORT"), server.run("SELECT move FROM abide.hub")).unwrap();
        std::fs::rename(&exported, work.join("hub")).unwrap();
        std::fs::copy(checkpoint.join("FORMAT"), work.join("hub/FORMAT")).unwrap();
        let refused = in_directory(&work.join("hub")).open().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Copy);
        let again = place.path().join("again");
        // With the wrong name, nothing is removed: the hub is here only.
        let wrong = database.export("bills", &again).await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Configuration, "{wrong}");
        assert!(wrong.to_string().contains("repeat that export"), "{wrong}");
        database.export("orders", &again).await.unwrap();
        assert!(!work.exists());
        let hub = in_directory(&again).open().await.unwrap();
        assert_eq!(counts(&hub).await, [2; 50]);
        hub.shutdown().await.unwrap();

        // The directory that was imported first lacks what happened in the database.
        let older = database.import(&first, "orders").await.unwrap_err();
        assert_eq!(older.kind(), ErrorKind::Moved, "{older}");
        assert!(
            older
                .to_string()
                .contains("import the directory that it was exported to"),
            "{older}"
        );
    });
}

/// What cannot move is refused, with the reason.
#[test]
fn a_move_that_cannot_be_is_refused() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (place.path().join("one"), place.path().join("other"));
    let database = Database::at(server.url());
    runtime().block_on(async {
        let nothing = database.import(&one, "orders").await.unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::Format, "{nothing}");
        for directory in [&one, &other] {
            let hub = in_directory(directory).open().await.unwrap();
            use_hub(&hub, "one").await;
            if directory == &one {
                let open = database.import(&one, "orders").await.unwrap_err();
                assert_eq!(open.kind(), ErrorKind::Locked, "{open}");
                hub.checkpoint(place.path().join("checkpoint")).await.unwrap();
            }
            hub.shutdown().await.unwrap();
        }
        let copy = database
            .import(place.path().join("checkpoint"), "orders")
            .await
            .unwrap_err();
        assert_eq!(copy.kind(), ErrorKind::Copy, "{copy}");
        database.import(&one, "orders").await.unwrap();
        let other = database.import(&other, "orders").await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::AlreadyExists, "{other}");
        // Neither a directory that is not empty, nor one beside which something else has the name of the work.
        let taken = place.path().join("new");
        std::fs::create_dir_all(place.path().join(".new.abide-export/mine")).unwrap();
        for target in [place.path(), &taken, Path::new("/")] {
            let refused = database.export("orders", target).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
        }
        assert!(place.path().join(".new.abide-export/mine").exists());
        let missing = database.export("bills", place.path().join("third")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
        // What was refused has not changed.
        in_directory(&place.path().join("other"))
            .open()
            .await
            .unwrap()
            .shutdown()
            .await
            .unwrap();
    });
}

/// The command line shows hubs and nodes, and moves hubs.
#[test]
fn the_command_line_shows_and_moves_hubs() {
    let (Some(abide), Some(server)) = (ABIDE, Server::start()) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let (first, last) = (place.path().join("first"), place.path().join("last"));
    runtime().block_on(async {
        let hub = in_directory(&first).open().await.unwrap();
        use_hub(&hub, "one").await;
        hub.shutdown().await.unwrap();
    });
    let run = |arguments: &[&str]| {
        let command = Command::new(abide)
            .arg("cluster")
            .args(arguments)
            .env("ABIDE_DATABASE", server.url())
            .output();
        let output = command.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    let (code, text) = run(&["status"]);
    assert!(code == 0 && text.contains("the database has no hub"), "{code} {text}");
    let (code, text) = run(&["status", "orders"]);
    assert!(code == 3 && text.contains("no hub `orders`"), "{code} {text}");
    let (code, text) = run(&["import", "orders", first.to_str().unwrap()]);
    assert!(code == 0 && text.contains("all compared"), "{code} {text}");
    let (code, text) = run(&["import", "orders", first.to_str().unwrap()]);
    assert!(code == 4 && text.contains("was imported into"), "{code} {text}");
    runtime().block_on(async {
        let hub = builder(&server.url(), &place.path().join("node")).open().await.unwrap();
        let (code, text) = run(&["status"]);
        assert!(
            code == 0 && text.contains("orders") && text.contains("runs the hub"),
            "{code} {text}"
        );
        let (code, text) = run(&["export", "orders", last.to_str().unwrap()]);
        assert!(code == 4 && text.contains("shut its nodes down"), "{code} {text}");
        hub.shutdown().await.unwrap();
        let (code, text) = run(&["accept-loss", "orders"]);
        assert!(code == 2 && text.contains("pass --yes"), "{code} {text}");
        let (code, text) = run(&["accept-loss", "orders", "--yes"]);
        assert!(code == 0 && text.contains("as incarnation "), "{code} {text}");
        // The copy is of another incarnation now, and is replaced.
        let hub = builder(&server.url(), &place.path().join("node")).open().await.unwrap();
        assert!(counts(&hub).await.iter().any(|count| *count > 0));
        hub.shutdown().await.unwrap();
    });
    let (code, text) = run(&["export", "orders", last.to_str().unwrap(), "--json"]);
    let document: serde_json::Value = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    assert!(code == 0 && document["rows"].as_u64().unwrap() > 50, "{code} {text}");
    let (_, text) = run(&["status"]);
    assert!(text.contains("orders (exported)"), "{text}");
    let (code, text) = run(&["accept-loss", "orders", "--yes"]);
    assert!(code == 4 && text.contains("was exported"), "{code} {text}");
}

/// An entity that is held in the database is held by whichever node opens the hub, until it is released.
#[test]
fn a_hold_in_the_database_holds_at_every_open() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let nodes = [place.path().join("one"), place.path().join("other")];
    let database = Database::at(server.url());
    runtime().block_on(async {
        let missing = database.hold("orders", "@counter@1").await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
        let hub = builder(&server.url(), &nodes[0]).open().await.unwrap();
        use_hub(&hub, "one").await;
        let invalid = database.hold("orders", "counter").await.unwrap_err();
        assert_eq!(invalid.kind(), ErrorKind::InvalidId, "{invalid}");
        let id = hub.client().entity::<Counter>(1).id().unwrap().to_string();
        assert!(database.hold("orders", &id).await.unwrap());
        assert!(!database.hold("orders", &id).await.unwrap());
        assert_eq!(database.hub("orders").await.unwrap().held, std::slice::from_ref(&id));
        hub.shutdown().await.unwrap();
        for node in &nodes {
            let hub = builder(&server.url(), node).open().await.unwrap();
            let held = hub.client().entity::<Counter>(1).add().await.unwrap_err();
            assert_eq!(Error::from(held).kind(), ErrorKind::Quarantined);
            hub.client().entity::<Counter>(2).add().await.unwrap();
            hub.shutdown().await.unwrap();
        }
        assert!(database.release("orders", &id).await.unwrap());
        assert!(!database.release("orders", &id).await.unwrap());
        let hub = builder(&server.url(), &nodes[0]).open().await.unwrap();
        assert_eq!(hub.client().entity::<Counter>(1).add().await.unwrap(), 2);
        hub.shutdown().await.unwrap();
    });
}
