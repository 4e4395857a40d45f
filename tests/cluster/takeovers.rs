//! Nodes that cannot take over a shard, or cannot leave it: they stay open.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};

use abide::cluster::Database;
use abide::prelude::*;
use futures::future::join_all;
use tempfile::TempDir;

use crate::nodes::{listening, places};
use crate::server::Server;
use crate::{Counter, runtime, until};

/// Whether the operations of [`Door`] go on.
static IS_OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// An operation of [`Door`] waits.
static WAITS: AtomicBool = AtomicBool::new(false);

/// An entity with an operation that keeps its thread until the test ends it.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Door {
    passed: u32,
}

#[operations]
impl Door {
    pub fn pass(&mut self) -> u32 {
        self.passed += 1;
        // Only the first attempt waits: the next node runs the operation again.
        if !WAITS.swap(true, Ordering::SeqCst) {
            let is_open = IS_OPEN.0.lock().unwrap();
            drop(IS_OPEN.1.wait_while(is_open, |is_open| !*is_open).unwrap());
        }
        self.passed
    }
}

async fn open(server: &Server, place: &TempDir) -> Hub {
    listening(server, place.path()).entity::<Door>().open().await.unwrap()
}

/// A node that has waited, and that the database then refuses as the owner, goes on waiting and tries again.
#[test]
fn a_node_whose_first_takeover_fails_tries_again() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let first = open(&server, &places[0]).await;
        let owner = server.run("SELECT owner FROM abide.shard LIMIT 1");
        let second = open(&server, &places[1]).await;
        let counter = second.client().entity::<Counter>("one");
        assert_eq!(counter.add().await.unwrap(), 1);

        server.run("CREATE SEQUENCE refused");
        server.run(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN PERFORM nextval('refused'); RAISE EXCEPTION 'nobody but {owner}'; END$$"
        ));
        server.run(&format!(
            "CREATE TRIGGER refuse BEFORE UPDATE ON abide.shard FOR EACH ROW \
             WHEN (NEW.owner <> '{owner}') EXECUTE FUNCTION refuse()"
        ));
        first.shutdown().await.unwrap();
        let adding = tokio::spawn(async move { counter.add().await });
        until("no claim was refused", async || {
            server.run("SELECT is_called FROM refused") == "t"
        })
        .await;
        server.run("DROP TRIGGER refuse ON abide.shard");
        assert_eq!(adding.await.unwrap().unwrap(), 2);
        second.shutdown().await.unwrap();
    });
}

/// A node that has failed neither counts for the others nor keeps its shards, although its program still has the hub.
#[test]
fn a_node_that_has_failed_is_left_alone() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    let database = Database::at(server.url());
    runtime().block_on(async {
        let first = open(&server, &places[0]).await;
        let failing = server.run("SELECT owner FROM abide.shard LIMIT 1");
        let second = open(&server, &places[1]).await;
        // Both have a role in each shard.
        until("the second node is not ready", async || {
            server.run("SELECT bool_and(ready) FROM abide.node") == "t"
        })
        .await;
        server.run(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN IF (SELECT owner FROM abide.shard s WHERE s.hub = NEW.hub AND s.shard = NEW.shard) = '{failing}' \
             THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END$$"
        ));
        server.run("CREATE TRIGGER refuse BEFORE INSERT ON abide.log FOR EACH ROW EXECUTE FUNCTION refuse()");
        let refused = first.client().entity::<Counter>("one").add().await.unwrap_err();
        assert!(refused.to_string().contains("refused"), "{refused}");
        until("the node that has failed counts", async || {
            let status = database.hub("orders").await.unwrap();
            let gone = |id: &str| status.nodes.iter().all(|node| node.id != id || !node.is_connected);
            gone(&failing)
                && status
                    .shards
                    .iter()
                    .all(|shard| shard.owner.as_deref() != Some(&failing))
        })
        .await;
        assert!(first.client().health().is_err());
        for key in 0..8 {
            assert_eq!(second.client().entity::<Counter>(key).add().await.unwrap(), 1);
        }
        second.shutdown().await.unwrap();
        first.shutdown().await.unwrap_err();
    });
}

/// An operation that keeps its thread does not keep its node from leaving the shard. The node stays open, forwards requests,
/// and can run the shard again when the operation has returned.
#[test]
fn a_node_leaves_a_shard_whose_operation_does_not_return() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    let database = Database::at(server.url());
    runtime().block_on(async {
        let first = open(&server, &places[0]).await;
        let drained = first.client().admin().cluster().await.unwrap().nodes[0].id.clone();
        let second = open(&server, &places[1]).await;
        let door = first.client().entity::<Door>("front");
        let passing = tokio::spawn(async move { door.pass().request_id("pass").await });
        until("nobody waits", async || WAITS.load(Ordering::SeqCst)).await;
        let counters = || (0..8).map(|key| first.client().entity::<Counter>(key));
        let waiting = tokio::spawn(join_all(counters().map(async |counter| {
            // Some of them wait behind the operation.
            loop {
                match counter.add().request_id("first").await {
                    Err(CallError::Runtime(error)) if error.kind() == ErrorKind::Unconfirmed => {}
                    answer => return answer.unwrap(),
                }
            }
        })));

        database.drain("orders", &drained).await.unwrap();
        assert_eq!(waiting.await.unwrap(), [1; 8]);
        assert!(!first.client().runs_hub() && first.client().health().is_ok());

        *IS_OPEN.0.lock().unwrap() = true;
        IS_OPEN.1.notify_all();
        let passed = passing.await.unwrap();
        assert!(
            matches!(&passed, Err(CallError::Runtime(error)) if error.kind() == ErrorKind::Unconfirmed),
            "{passed:?}"
        );
        database.undrain("orders", &drained).await.unwrap();
        second.shutdown().await.unwrap();
        let counts = join_all(counters().map(async |counter| counter.add().await.unwrap())).await;
        assert!(counts.iter().all(|count| *count == 2), "{counts:?}");
        let door = first.client().entity::<Door>("front");
        assert_eq!(door.pass().request_id("pass").await.unwrap(), 1);
        assert!(first.client().runs_hub());
        first.shutdown().await.unwrap();
    });
}

/// A node that has waited, and then cannot read the log, is not ready to take over until it can read it again.
#[test]
fn a_node_that_cannot_follow_is_not_ready() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    let database = Database::at(server.url());
    runtime().block_on(async {
        let first = open(&server, &places[0]).await;
        let second = open(&server, &places[1]).await;
        let both_are_ready = async |expected: bool| {
            let status = database.hub("orders").await.unwrap();
            status.nodes.iter().all(|node| node.is_ready) == expected
        };
        until("a node is not ready", async || both_are_ready(true).await).await;

        // The next records are damaged on their way into the table.
        server.run("CREATE TABLE kept AS SELECT * FROM abide.log WITH NO DATA");
        server.run(
            "CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN INSERT INTO kept SELECT NEW.*; NEW.body := '\\x00'; RETURN NEW; END$$",
        );
        server.run("CREATE TRIGGER damage BEFORE INSERT ON abide.log FOR EACH ROW EXECUTE FUNCTION damage()");
        let counter = first.client().entity::<Counter>("one");
        assert_eq!(counter.add().await.unwrap(), 1);
        until("a node that cannot follow is ready", async || {
            both_are_ready(false).await
        })
        .await;

        server.run("DROP TRIGGER damage ON abide.log");
        server.run(
            "UPDATE abide.log l SET body = k.body FROM kept k \
             WHERE (l.hub, l.shard, l.position) = (k.hub, k.shard, k.position)",
        );
        until("the node is not ready again", async || both_are_ready(true).await).await;
        first.shutdown().await.unwrap();
        assert_eq!(second.client().entity::<Counter>("one").add().await.unwrap(), 2);
        second.shutdown().await.unwrap();
    });
}
