//! A standby takes over for the database server, with everything that was acknowledged or without.

use std::time::{Duration, Instant};

use abide::ErrorKind;
use abide::cluster::Database;

use crate::server::Server;
use crate::{Counter, acknowledged, builder, runtime, start_at};

/// The address of two servers, of which a node uses the one that accepts writes.
fn both(server: &Server, standby: &Server) -> String {
    format!(
        "postgres://abide@127.0.0.1:{},127.0.0.1:{}/postgres",
        server.port(),
        standby.port()
    )
}

/// Everything that was acknowledged is on a synchronous standby, and the node goes on there by itself.
#[test]
fn nothing_is_lost_when_a_synchronous_standby_takes_over() {
    let Some(mut server) = Server::start() else { return };
    let standby = server.standby();
    server.wait_for_standby();
    let url = both(&server, &standby);
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut running = start_at(&url, places[0].path());
    assert_eq!(running.next_report().unwrap(), "open");
    let mut next = start_at(&url, places[1].path());
    let mut newest = acknowledged(&mut running, 0, 100);
    server.kill();
    standby.promote();
    newest = acknowledged(&mut running, newest, 100);
    for line in running.kill() {
        newest = line.parse().unwrap();
    }
    assert_eq!(next.next_report().unwrap(), "open");
    let first = acknowledged(&mut next, newest, 1);
    // One more may have been added whose answer was lost with the process.
    assert!(first <= newest + 2, "{first} after {newest}");
}

/// A standby that was behind takes over. The node that ran the hub and the node that followed it know better and refuse,
/// until an operator accepts the loss.
#[test]
fn a_failover_that_loses_data_is_noticed_by_every_node_that_knew() {
    let Some(mut server) = Server::start() else { return };
    let mut standby = server.standby();
    let url = both(&server, &standby);
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut running = start_at(&url, places[0].path());
    assert_eq!(running.next_report().unwrap(), "open");
    let kept = acknowledged(&mut running, 0, 50);
    // The standby may be behind for a moment, but not for long.
    let head = "SELECT head FROM abide.shard";
    let reached: u64 = server.run(head).parse().unwrap();
    let began_copy = Instant::now();
    while standby.run(head).parse::<u64>().unwrap() < reached {
        assert!(
            began_copy.elapsed() < Duration::from_secs(120),
            "the standby does not follow"
        );
    }
    standby.kill();
    let runtime = runtime();
    let waiting = runtime.spawn(builder(&url, places[1].path()).open());
    let mut newest = kept;
    let began = Instant::now();
    while server.run(head).parse::<u64>().unwrap() < reached + 100 {
        newest = acknowledged(&mut running, newest, 10);
    }
    let read = || {
        server
            .run("SELECT coalesce(max(read), 0) FROM abide.copy")
            .parse::<u64>()
            .unwrap()
    };
    let lost: u64 = server.run(head).parse().unwrap();
    while read() < lost {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "the waiting node does not follow"
        );
        newest = acknowledged(&mut running, newest, 1);
    }
    server.kill();
    standby.resume();
    standby.promote();

    // Whatever was acknowledged before the end.
    let failed = loop {
        let line = running.next_report().expect("the node reports its end");
        match line.parse::<u64>() {
            Ok(value) => assert!(value > newest),
            Err(_) => break line,
        }
    };
    assert!(failed.contains("has lost data"), "{failed}");
    drop(running);
    let refused = runtime.block_on(waiting).unwrap().unwrap_err();
    for place in &places {
        let again = runtime.block_on(builder(&url, place.path()).open()).unwrap_err();
        for error in [&refused, &again] {
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
            assert!(error.to_string().contains("`abide cluster accept-loss`"), "{error}");
        }
    }

    let database = Database::at(&url);
    runtime.block_on(async {
        assert_eq!(database.hub("orders").await.unwrap().incarnation, 1);
        let incarnation = database.accept_loss("orders").await.unwrap();
        assert!(incarnation > 1);
        let mut found = 0;
        for place in &places {
            let hub = builder(&url, place.path()).open().await.unwrap();
            let counter = hub.client().entity::<Counter>("one");
            let count = counter.add().await.unwrap();
            assert!(count > kept && count > found, "{count} after {kept} and {found}");
            found = count;
            hub.shutdown().await.unwrap();
        }
        assert_eq!(database.hub("orders").await.unwrap().incarnation, incarnation);
    });
}

/// While the disk of the database is full, requests wait. They succeed when it has room again.
#[test]
fn a_full_disk_of_the_database_is_waited_for() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let hub = builder(&server.url(), place.path()).open().await.unwrap();
        let counter = hub.client().entity::<Counter>("one");
        assert_eq!(counter.add().await.unwrap(), 1);
        server.run(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END$$",
        );
        server.run("CREATE TRIGGER full_disk BEFORE INSERT ON abide.log EXECUTE FUNCTION full_disk()");
        let adding = tokio::spawn({
            let counter = hub.client().entity::<Counter>("one");
            async move { counter.add().await }
        });
        let failed = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        let before: u64 = server.run(failed).parse().unwrap();
        let began = Instant::now();
        while server.run(failed).parse::<u64>().unwrap() < before + 2 {
            assert!(began.elapsed() < Duration::from_secs(120), "nothing was tried again");
            assert!(!adding.is_finished(), "a call does not wait for the database");
            tokio::task::yield_now().await;
        }
        server.run("DROP TRIGGER full_disk ON abide.log");
        assert_eq!(adding.await.unwrap().unwrap(), 2);
        hub.shutdown().await.unwrap();
    });
}
