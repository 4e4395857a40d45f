//! Hubs whose log is in PostgreSQL: another node continues after whatever happens to the one that runs the hub, and has
//! everything that was acknowledged.
//!
//! The tests start a server and nodes of their own. Without PostgreSQL they are skipped.

mod cuts;
mod failover;
mod moves;
mod nodes;
mod pooler;
mod proxy;
#[cfg(feature = "testing")]
mod registers;
mod server;
mod shards;
#[path = "../it/shards_cast.rs"]
mod shards_cast;
mod takeovers;
#[path = "../worker/mod.rs"]
mod worker;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use abide::prelude::*;
use futures::future::Either;
use server::{Server, copy_all};
use worker::Worker;

const URL: &str = "ABIDE_TEST_URL";

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

#[operations]
impl Counter {
    pub fn add(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

#[activity]
async fn shout(text: String) -> String {
    text.to_uppercase()
}

#[orchestration]
async fn greet(ctx: OrchestrationContext, name: String) -> Result<String, Failure> {
    ctx.create_timer(Duration::from_millis(20)).await;
    Ok(ctx.call_activity::<shout>(name).await?)
}

fn builder(url: &str, directory: &Path) -> abide::HubBuilder {
    Hub::cluster(url, "orders")
        .directory(directory)
        .entity::<Counter>()
        .activity::<shout>()
        .orchestration::<greet>()
        // A small log, so that rows move to the copy.
        .wal_limit(128 << 10)
        .memory_budget(8 << 20)
}

#[test]
fn worker() {
    if let Some((_, directory)) = worker::role() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        runtime.unwrap().block_on(node(&directory));
    }
}

/// A node: waits for the hub, and adds to a counter until it fails. Reports every acknowledged value.
async fn node(directory: &Path) {
    let url = std::env::var(URL).unwrap();
    let hub = builder(&url, directory).open().await.unwrap();
    worker::report("open");
    let counter = hub.client().entity::<Counter>("one");
    loop {
        match counter.add().await {
            Ok(value) => worker::report(value),
            Err(error) => return worker::report(format!("failed: {error}")),
        }
    }
}

fn start(server: &Server, directory: &Path) -> Worker {
    start_at(&server.url(), directory)
}

fn start_at(url: &str, directory: &Path) -> Worker {
    Worker::spawn(Worker::command("node", directory).env(URL, url))
}

/// Reads acknowledged values until there are `count` of them. Each is larger than the one before.
fn acknowledged(node: &mut Worker, mut newest: u64, count: usize) -> u64 {
    for _ in 0..count {
        let line = node.next_report().expect("the node reports");
        let value: u64 = line.parse().unwrap_or_else(|_| panic!("the node reported {line}"));
        assert!(value > newest, "{value} was acknowledged after {newest}");
        newest = value;
    }
    newest
}

fn signal(node: &Worker, name: &str) {
    let status = Command::new("kill").args([name, &node.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// After a kill, another node continues with everything that was acknowledged, within seconds.
#[test]
fn another_node_continues_after_a_kill() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut newest = 0;
    let mut running = start(&server, places[0].path());
    assert_eq!(running.next_report().unwrap(), "open");
    for turn in 1..6 {
        newest = acknowledged(&mut running, newest, 50);
        let mut next = start(&server, places[turn % 2].path());
        let killed = Instant::now();
        // Acknowledged before the kill, and not read yet.
        for line in running.kill() {
            newest = line.parse().unwrap();
        }
        assert_eq!(next.next_report().unwrap(), "open");
        newest = acknowledged(&mut next, newest, 1);
        let away = killed.elapsed();
        println!("serves again after {away:?}");
        assert!(away < Duration::from_secs(20), "{away:?}");
        running = next;
        // Otherwise, each owner that dies makes the next one wait longer.
        server.run("UPDATE abide.shard SET crashes = 0");
    }
}

/// A waiting node has the log before it owns the hub, so it needs none of it for the takeover.
#[test]
fn a_waiting_node_follows_the_log() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut running = start(&server, places[0].path());
    assert_eq!(running.next_report().unwrap(), "open");
    let mut newest = acknowledged(&mut running, 0, 50);
    let mut next = start(&server, places[1].path());
    // Written as soon as the copy has as much of the log as a reopened copy may lack.
    let mark = places[1].path().join("copy/COPY");
    let began = Instant::now();
    while !mark.exists() {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "the waiting node does not follow"
        );
        newest = acknowledged(&mut running, newest, 10);
    }
    server.run("DELETE FROM abide.log WHERE position <= 20");
    for line in running.kill() {
        newest = line.parse().unwrap();
    }
    assert_eq!(next.next_report().unwrap(), "open");
    acknowledged(&mut next, newest, 1);
}

/// Nodes that find no tables at the same time create them once, and share them.
#[test]
fn nodes_that_start_together_share_the_tables() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    std::thread::scope(|scope| {
        // Holds the lock of the tables until both nodes wait for it.
        let held = scope.spawn(|| {
            server.run(
                "DO $$ BEGIN PERFORM pg_advisory_lock(418262901861); \
                 WHILE (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) < 2 \
                 LOOP PERFORM pg_sleep(0.01); END LOOP; END $$",
            )
        });
        while server.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == "0" {}
        runtime().block_on(async {
            let [one, other] = places
                .each_ref()
                .map(|place| builder(&server.url(), place.path()).open());
            let (one, other) = (tokio::spawn(one), tokio::spawn(other));
            held.join().unwrap();
            // One of them opens the hub, and the other one follows.
            let (first, second) = match futures::future::select(one, other).await {
                Either::Left(opened) | Either::Right(opened) => opened,
            };
            first.unwrap().unwrap().shutdown().await.unwrap();
            second.await.unwrap().unwrap().shutdown().await.unwrap();
        });
    });
}

/// After owners that died one after the other, the next node waits before it takes over: an operation that ends its process
/// would otherwise end all nodes in turn.
#[test]
fn a_crash_loop_slows_down() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut running = start(&server, places[0].path());
    running.expect("open");
    // As after two deaths; the next one is the third.
    server.run("UPDATE abide.shard SET crashes = 2");
    let mut next = start(&server, places[1].path());
    running.kill();
    let killed = Instant::now();
    next.expect("open");
    assert!(killed.elapsed() > Duration::from_secs(10), "{:?}", killed.elapsed());
    assert_eq!(server.run("SELECT crashes FROM abide.shard"), "3");
}

/// An owner that sleeps for longer than the others wait acknowledges nothing any more, and ends.
#[test]
fn a_sleeping_owner_is_replaced_and_learns_it() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut sleeper = start(&server, places[0].path());
    assert_eq!(sleeper.next_report().unwrap(), "open");
    let mut newest = acknowledged(&mut sleeper, 0, 50);
    signal(&sleeper, "-STOP");
    let mut next = start(&server, places[1].path());
    assert_eq!(next.next_report().unwrap(), "open");
    let first = acknowledged(&mut next, newest, 1);
    signal(&sleeper, "-CONT");
    loop {
        let line = sleeper.next_report().expect("the sleeper reports its end");
        match line.parse::<u64>() {
            // Acknowledged before it slept, and read only now.
            Ok(value) => {
                assert!(
                    value > newest && value < first,
                    "{value} was acknowledged beside {first}"
                );
                newest = value;
            }
            Err(_) => {
                assert!(line.contains("another node runs this hub"), "{line}");
                break;
            }
        }
    }
    acknowledged(&mut next, first, 50);
}

/// A server that is killed and comes back loses nothing, and the node continues by itself.
#[test]
fn the_database_may_be_killed() {
    let Some(mut server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let mut node = start(&server, place.path());
    assert_eq!(node.next_report().unwrap(), "open");
    let mut newest = 0;
    for _ in 0..4 {
        newest = acknowledged(&mut node, newest, 50);
        server.kill();
        server.resume();
        // Each value is one larger than the last one: nothing is lost, and nothing is done twice.
        let after = acknowledged(&mut node, newest, 100);
        assert_eq!(after, newest + 100);
        newest = after;
    }
}

/// The error of a hub that another node has replaced has a kind of its own, for whoever asks.
#[test]
fn a_replaced_hub_says_so() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let hub = builder(&server.url(), place.path()).open().await.unwrap();
        let counter = hub.client().entity::<Counter>("one");
        counter.add().await.unwrap();
        server.run("UPDATE abide.shard SET epoch = epoch + 1");
        let refused: Error = counter.add().await.unwrap_err().into();
        let unread = counter.count().await.map_err(Error::from).unwrap_err();
        let health = hub.client().health().unwrap_err();
        let closed = hub.shutdown().await.unwrap_err();
        for error in [refused, unread, health, closed] {
            assert_eq!(error.kind(), ErrorKind::Replaced, "{error}");
        }
        let hub = builder(&server.url(), place.path()).open().await.unwrap();
        assert_eq!(hub.client().entity::<Counter>("one").add().await.unwrap(), 2);
        hub.shutdown().await.unwrap();
    });
}

/// Waits for something that has no notification, and fails with `what` if it does not come.
async fn until(what: &str, mut is_reached: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_reached().await {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// A node that shuts down hands the hub over at once, and orchestrations continue on the next node.
#[test]
fn a_shutdown_hands_the_hub_over() {
    let Some(server) = Server::start() else { return };
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let first = builder(&server.url(), places[0].path()).open().await.unwrap();
        for _ in 0..10 {
            first.client().entity::<Counter>("one").add().await.unwrap();
        }
        let started = first.client().start::<greet>("ada".to_owned()).instance_id("greeting");
        started.await.unwrap();
        let waiting = tokio::spawn(builder(&server.url(), places[1].path()).open());
        first.shutdown().await.unwrap();
        let second = waiting.await.unwrap().unwrap();
        let client = second.client();
        assert_eq!(client.entity::<Counter>("one").count().await.unwrap(), 10);
        let greeting = client.orchestration::<greet>("greeting").result().await.unwrap();
        assert_eq!(greeting, "ADA");
        second.shutdown().await.unwrap();
    });
}

/// Each node is restarted in turn, as for a new version: another one continues at once, each addition counts once, and no
/// node is taken for one that crashed.
#[test]
fn a_rolling_restart_loses_nothing() {
    let Some(server) = Server::start() else { return };
    let places = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (url, mut newest) = (server.url(), 0);
    let open = |node: usize| {
        let builder = builder(&url, places[node].path());
        Box::pin(async move { (node, builder.open().await) })
    };
    runtime().block_on(async {
        let mut nodes: Vec<_> = (0..places.len()).map(|node| tokio::spawn(open(node))).collect();
        let mut left: Option<Instant> = None;
        let mut served = [0; 3];
        for _ in 0..9 {
            let (opened, _, waiting) = futures::future::select_all(nodes).await;
            let (node, hub) = opened.unwrap();
            let hub = hub.unwrap();
            served[node] += 1;
            let counter = hub.client().entity::<Counter>("one");
            for _ in 0..30 {
                newest += 1;
                assert_eq!(counter.add().await.unwrap(), newest);
            }
            let away = left.map(|left| left.elapsed()).unwrap_or_default();
            println!("node {node} continues after {away:?}");
            assert!(away < Duration::from_secs(20), "{away:?}");
            left = Some(Instant::now());
            hub.shutdown().await.unwrap();
            nodes = waiting;
            nodes.push(tokio::spawn(open(node)));
        }
        // Which node continues is a matter of moments.
        println!("the nodes ran the hub {served:?} times");
        assert_eq!(server.run("SELECT crashes FROM abide.shard"), "0");
    });
}

/// A hub that is dropped without a shutdown is released as well, and does not count as a crash.
#[test]
fn a_dropped_hub_is_released() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let hub = builder(&server.url(), place.path()).open().await.unwrap();
        hub.client().entity::<Counter>("one").add().await.unwrap();
        drop(hub);
    });
    assert_eq!(server.run("SELECT owner IS NULL, crashes FROM abide.shard"), "t|0");
}

/// Whatever happens to the copy of a node, the hub has everything after the next open.
#[test]
fn a_damaged_copy_is_replaced() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let old = place.path().join("old");
    let mut expected = 0;
    let damages: [(&str, &dyn Fn()); 5] = [
        ("nothing", &|| {}),
        ("lost", &|| std::fs::remove_dir_all(&copy).unwrap()),
        ("its mark is lost", &|| std::fs::remove_file(copy.join("COPY")).unwrap()),
        ("a table is cut", &|| {
            let files = std::fs::read_dir(copy.join("db")).unwrap().flatten();
            let table = files
                .map(|file| file.path())
                .find(|path| path.extension().is_some_and(|end| end == "sst"));
            std::fs::write(table.expect("a table"), b"garbage").unwrap();
        }),
        ("an older copy", &|| {
            std::fs::remove_dir_all(&copy).unwrap();
            copy_all(&old, &copy);
        }),
    ];
    for (what, damage) in damages {
        runtime().block_on(async {
            let hub = builder(&server.url(), place.path()).open().await.unwrap();
            let counter = hub.client().entity::<Counter>("one");
            assert_eq!(counter.count().await.unwrap(), expected, "before: {what}");
            for _ in 0..20 {
                expected = counter.add().await.unwrap();
            }
            hub.shutdown().await.unwrap();
        });
        if !old.exists() {
            copy_all(&copy, &old);
        }
        damage();
    }
    runtime().block_on(async {
        let hub = builder(&server.url(), place.path()).open().await.unwrap();
        assert_eq!(hub.client().entity::<Counter>("one").count().await.unwrap(), expected);
        hub.shutdown().await.unwrap();
    });
}

/// Another hub of the same name in the database, such as after the database was lost, does not replace the copy.
#[test]
fn another_hub_of_the_same_name_is_refused() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let count = || {
        runtime().block_on(async {
            let hub = builder(&server.url(), place.path()).open().await?;
            let count = hub.client().entity::<Counter>("one").add().await.unwrap();
            hub.shutdown().await?;
            Ok::<u64, Error>(count)
        })
    };
    assert_eq!((count().unwrap(), count().unwrap(), count().unwrap()), (1, 2, 3));
    assert_eq!(server.run("SELECT last_value FROM abide.hub_hub_seq"), "1");
    server.run("DROP SCHEMA abide CASCADE");
    let error: Error = count().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("has a copy of the hub"), "{error}");
    std::fs::remove_dir_all(place.path().join("copy")).unwrap();
    assert_eq!(count().unwrap(), 1);
}

/// A database that was restored from a backup lacks what it has acknowledged, and the node that knows it refuses.
#[test]
fn a_database_that_went_back_is_noticed() {
    let Some(mut server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let add = |server: &Server| {
        runtime().block_on(async {
            let hub = builder(&server.url(), place.path()).open().await.unwrap();
            for _ in 0..10 {
                hub.client().entity::<Counter>("one").add().await.unwrap();
            }
            hub.shutdown().await.unwrap();
        });
    };
    add(&server);
    server.kill();
    let backup = server.data().with_extension("backup");
    copy_all(&server.data(), &backup);
    server.resume();
    add(&server);
    server.kill();
    std::fs::remove_dir_all(server.data()).unwrap();
    copy_all(&backup, &server.data());
    server.resume();
    let error = runtime()
        .block_on(builder(&server.url(), place.path()).open())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
    assert!(error.to_string().contains("the database has lost data"), "{error}");
}

/// A user who owns the schema needs no right to create another one. Without a right, the error names it.
#[test]
fn a_user_needs_only_the_schema() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE ROLE guest LOGIN");
    server.run("REVOKE CREATE ON DATABASE postgres FROM PUBLIC");
    let place = tempfile::tempdir().unwrap();
    let url = server.url().replace("abide@", "guest@");
    let open = || builder(&url, place.path()).open();
    let error = runtime().block_on(open()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("CREATE on the database"), "{error}");
    server.run("CREATE SCHEMA abide AUTHORIZATION guest");
    runtime().block_on(async {
        let hub = open().await.unwrap();
        assert_eq!(hub.client().entity::<Counter>("one").add().await.unwrap(), 1);
        hub.shutdown().await.unwrap();
    });
}

/// An error of the open names the database, the reason and the way out.
#[test]
fn an_unsuitable_database_is_refused() {
    let Some(server) = Server::start_with(&["fsync=off"]) else {
        return;
    };
    let refused = |url: &str| {
        let place = tempfile::tempdir().unwrap();
        let open = builder(url, place.path())
            .open_patience(Duration::from_millis(200))
            .open();
        runtime().block_on(open).unwrap_err()
    };
    let good = server.url();
    let cases = [
        (good.clone(), ErrorKind::Configuration, "`fsync` switched off"),
        (
            good.replace("/postgres", "/missing")
                .replace("postgres:", "postgresql:"),
            ErrorKind::Configuration,
            "create the database",
        ),
        (
            good.replace("abide@", "nobody@"),
            ErrorKind::Configuration,
            "check user and password",
        ),
        (
            "postgres://abide@127.0.0.1:1/postgres".to_owned(),
            ErrorKind::Io,
            "127.0.0.1:1/postgres cannot be reached",
        ),
        (
            "mysql://here".to_owned(),
            ErrorKind::Configuration,
            "postgres://user:password@host:port/database",
        ),
    ];
    for (url, kind, text) in cases {
        let error = refused(&url);
        assert_eq!(error.kind(), kind, "{url}: {error}");
        assert!(error.to_string().contains(text), "{url}: {error}");
    }
}

/// A hub is joined as it was made, and by one process of a directory. What is refused changes nothing.
#[test]
fn a_node_that_does_not_fit_is_refused() {
    let Some(server) = Server::start() else { return };
    let [place, other] = nodes::places();
    runtime().block_on(async {
        let hub = nodes::listening(&server, place.path()).open().await.unwrap();
        let refused = async |builder: abide::HubBuilder, kind, text: &str| {
            let error = builder.open().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        };
        let same_directory = nodes::listening(&server, place.path());
        refused(same_directory, ErrorKind::Locked, "is locked by process").await;
        let more_shards = nodes::listening(&server, other.path()).shards(7);
        refused(more_shards, ErrorKind::Configuration, "this program opens it with 7").await;
        server.run("UPDATE abide.hub SET format = format + 1");
        let older = nodes::listening(&server, other.path());
        refused(older, ErrorKind::Format, "use the build that wrote it").await;
        server.run("UPDATE abide.hub SET format = format - 1");
        server.run("UPDATE abide.meta SET version = 1000");
        let other_tables = nodes::listening(&server, other.path());
        refused(other_tables, ErrorKind::Format, "have version 1000").await;
        assert_eq!(server.run("SELECT version FROM abide.meta"), "1000");
        assert_eq!(server.run("SELECT count(*) FROM abide.node"), "1");
        assert_eq!(hub.client().entity::<Counter>("one").add().await.unwrap(), 1);
        hub.shutdown().await.unwrap();
    });
}

/// Of two nodes with one id, as after a machine was copied, the second one gets an id of its own. The first one keeps the hub.
#[test]
fn a_copied_node_gets_an_id_of_its_own() {
    let Some(server) = Server::start() else { return };
    let [place, copy] = nodes::places();
    runtime().block_on(async {
        let first = nodes::listening(&server, place.path()).open().await.unwrap();
        let counter = first.client().entity::<Counter>("one");
        assert_eq!(counter.add().await.unwrap(), 1);
        let epochs = server.run("SELECT array_agg(epoch ORDER BY shard) FROM abide.shard");
        let node = |place: &Path| std::fs::read(place.join("NODE")).unwrap();
        std::fs::write(copy.path().join("NODE"), node(place.path())).unwrap();
        let second = nodes::listening(&server, copy.path()).open().await.unwrap();
        assert_ne!(node(place.path()), node(copy.path()));
        assert_eq!(second.client().entity::<Counter>("one").add().await.unwrap(), 2);
        assert_eq!(counter.add().await.unwrap(), 3);
        if nodes::shards() == 1 {
            let now = server.run("SELECT array_agg(epoch ORDER BY shard) FROM abide.shard");
            assert_eq!(now, epochs, "the copy has taken the hub away");
        }
        // A node that is started again keeps its id.
        let own = node(copy.path());
        second.shutdown().await.unwrap();
        let second = nodes::listening(&server, copy.path()).open().await.unwrap();
        assert_eq!(node(copy.path()), own);
        for hub in [second, first] {
            hub.shutdown().await.unwrap();
        }
    });
}

/// A machine that lost its power leaves a connection of its node behind, which does not beat. The node keeps its id, and
/// runs the hub.
#[test]
fn a_connection_that_was_left_behind_takes_no_id_away() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let hub = nodes::listening(&server, place.path()).open().await.unwrap();
        assert_eq!(hub.client().entity::<Counter>("one").add().await.unwrap(), 1);
        let locks = "SELECT classid::int4 || ', ' || objid::int4 FROM pg_locks \
                     WHERE locktype = 'advisory' AND objsubid = 2 AND granted";
        let lock = server.run(locks);
        assert_eq!(lock.lines().count(), 1, "{lock}");
        let node = || std::fs::read(place.path().join("NODE")).unwrap();
        let own = node();
        hub.shutdown().await.unwrap();
        // Otherwise the node could be faster than the connection that holds the lock.
        while !server.run(locks).is_empty() {}
        let hold = format!("SELECT pg_advisory_lock({lock}); SELECT pg_sleep(600)");
        let mut left = server.psql(&hold).spawn().unwrap();
        while server.run(locks).is_empty() {
            assert!(left.try_wait().unwrap().is_none(), "the connection has ended");
        }
        let hub = nodes::listening(&server, place.path()).open().await.unwrap();
        assert_eq!(node(), own);
        assert_eq!(hub.client().entity::<Counter>("one").add().await.unwrap(), 2);
        assert_eq!(server.run("SELECT count(*) FROM abide.node"), "1");
        assert!(left.try_wait().unwrap().is_none(), "the connection has ended");
        left.kill().unwrap();
        left.wait().unwrap();
        hub.shutdown().await.unwrap();
    });
}
