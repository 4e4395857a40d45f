//! Nodes that listen: each of them answers every request, whichever runs the hub.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use abide::client::ChangeKind;
use abide::prelude::*;
use futures::future::join_all;
use tempfile::TempDir;

use crate::server::Server;
use crate::{Counter, builder, greet, runtime};

/// A list that tells the order of the operations.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) entries: Vec<u32>,
}

#[operations]
impl Journal {
    pub fn add(&mut self, entry: u32) {
        self.entries.push(entry);
    }
}

/// An entity whose operation does not end by itself.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Sleeper {
    naps: u32,
}

#[operations]
impl Sleeper {
    pub async fn sleep(&mut self, _ctx: &mut EntityContext) -> u32 {
        self.naps += 1;
        if self.naps == 1 {
            std::future::pending::<()>().await;
        }
        self.naps
    }
}

#[orchestration]
pub(crate) async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    ctx.set_custom_status("waiting");
    let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    Ok(format!("{expense}: {approved}"))
}

pub(crate) fn places<const N: usize>() -> [TempDir; N] {
    std::array::from_fn(|_| tempfile::tempdir().unwrap())
}

pub(crate) fn listening(server: &Server, directory: &Path) -> abide::HubBuilder {
    builder(&server.url(), directory)
        .entity::<Journal>()
        .entity::<Sleeper>()
        .orchestration::<approval>()
        .listen("127.0.0.1:0")
        .shards(shards())
}

/// The number of shards of the hubs of these tests, which the environment variable `ABIDE_SHARDS` sets.
pub(crate) fn shards() -> u16 {
    std::env::var("ABIDE_SHARDS").map_or(1, |shards| shards.parse().unwrap())
}

async fn open(server: &Server, place: &TempDir) -> Hub {
    listening(server, place.path()).open().await.unwrap()
}

/// Everything that a client does works on each node: calls, signals, reads, lists, orchestrations, events and waits.
#[test]
fn every_node_answers() {
    let Some(server) = Server::start() else { return };
    let places = places::<3>();
    runtime().block_on(async {
        let hubs = join_all(places.iter().map(|place| open(&server, place))).await;
        let clients: Vec<Client> = hubs.iter().map(Hub::client).collect();
        let mut newest = 0;
        for (turn, client) in clients.iter().cycle().take(30).enumerate() {
            newest += 1;
            assert_eq!(client.entity::<Counter>("one").add().await.unwrap(), newest);
            let reader = &clients[(turn + 1) % clients.len()];
            let state = reader.entity::<Counter>("one").state().await.unwrap().unwrap();
            assert_eq!(state.count, newest, "a read on another node");
        }
        for (number, client) in clients.iter().enumerate() {
            client.health().unwrap();
            let other = &clients[(number + 1) % clients.len()];
            let id = format!("chair-{number}");
            let run = client
                .start::<approval>("a chair".into())
                .instance_id(&id)
                .await
                .unwrap();
            let same = other.orchestration::<approval>(&id);
            same.wait_for_custom_status("waiting").await.unwrap();
            let again = client.start::<greet>("ada".to_owned()).instance_id(&id).await;
            assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
            same.raise_event("decision", number == 1).await.unwrap();
            assert_eq!(run.result().await.unwrap(), format!("a chair: {}", number == 1));
            let info = same.status().await.unwrap().unwrap();
            assert_eq!(info.status, OrchestrationStatus::Completed);
            let missing = client
                .untyped_orchestration("missing")
                .raise_event("decision", true)
                .await;
            assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
        }
        for client in &clients {
            assert_eq!(client.orchestrations().count().await.unwrap(), 3);
            assert_eq!(client.entities().name("counter").count().await.unwrap(), 1);
            assert!(
                client
                    .admin()
                    .registered()
                    .unwrap()
                    .activities
                    .contains(&"shout".to_owned())
            );
            assert!(client.admin().dead_letters().page().await.unwrap().items.is_empty());
        }
        // Each shard has one owner.
        let status = clients[0].admin().cluster().await.unwrap();
        let mut owned: Vec<u16> = status.nodes.iter().flat_map(|node| node.shards.clone()).collect();
        owned.sort_unstable();
        assert_eq!(owned, (0..shards()).collect::<Vec<_>>());
        for hub in hubs {
            hub.shutdown().await.unwrap();
        }
    });
}

/// Messages that one node sends to one entity without waiting for each other arrive in order, as in one process.
#[test]
fn forwarded_messages_keep_their_order() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let owner = open(&server, &places[0]).await;
        let waiting = open(&server, &places[1]).await;
        let journal = waiting.client().entity::<Journal>("main");
        let sent = join_all((0..2_000).map(|entry| journal.add(entry).signal()));
        assert!(sent.await.into_iter().all(|sent| sent.is_ok()));
        owner.idle().await.unwrap();
        let entries = journal.state().await.unwrap().unwrap().entries;
        assert_eq!(entries, (0..2_000).collect::<Vec<_>>());
        waiting.shutdown().await.unwrap();
        owner.shutdown().await.unwrap();
    });
}

/// While each node is shut down in turn, the clients of the others see no error and wait only briefly, and each addition
/// counts once.
#[test]
fn a_handover_fails_no_request() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let mut hubs = vec![open(&server, &places[0]).await, open(&server, &places[1]).await];
        let mut newest = 0;
        for turn in 0..4 {
            let leaving = hubs.remove(0);
            let client = hubs[0].client();
            let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
            let adding = tokio::spawn(async move {
                let (mut count, mut longest) = (0, Duration::ZERO);
                let mut last = 0;
                while stopped.try_recv().is_err() {
                    let began = Instant::now();
                    last = client.entity::<Counter>("one").add().await.unwrap();
                    longest = longest.max(began.elapsed());
                    count += 1;
                }
                (count, last, longest)
            });
            leaving.shutdown().await.unwrap();
            // The other one runs the hub now.
            let began = Instant::now();
            while hubs[0].stats().commits == 0 {
                assert!(began.elapsed() < Duration::from_secs(60), "nobody runs the hub");
                tokio::task::yield_now().await;
            }
            hubs.push(open(&server, &places[turn % 2]).await);
            stop.send(()).unwrap();
            let (count, last, longest) = adding.await.unwrap();
            newest += count;
            assert_eq!(last, newest);
            println!("{count} additions, the longest took {longest:?}");
        }
        assert_eq!(server.run("SELECT max(crashes) FROM abide.shard"), "0");
        for hub in hubs {
            hub.shutdown().await.unwrap();
        }
    });
}

/// A node that loses the hub to another one stays open: it forwards and reads, and takes over again.
#[test]
fn a_replaced_node_stays_open() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let hubs = [open(&server, &places[0]).await, open(&server, &places[1]).await];
        let mut newest = 0;
        for _ in 0..4 {
            server.run("UPDATE abide.shard SET epoch = epoch + 1, owner = NULL");
            for hub in &hubs {
                let counter = hub.client().entity::<Counter>("one");
                // An addition that was under way may or may not have been made.
                let count = loop {
                    match counter.add().await.map_err(Error::from) {
                        Ok(count) => break count,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Unconfirmed, "{error}"),
                    }
                };
                assert!(count > newest, "{count} after {newest}");
                newest = count;
                assert_eq!(counter.state().await.unwrap().unwrap().count, newest);
                hub.client().health().unwrap();
            }
        }
        for hub in hubs {
            hub.shutdown().await.unwrap();
        }
    });
}

/// When the node that runs the hub ends without a word, the others continue. A request with an id takes effect once, a wait
/// goes on, and a request without an id that was under way is reported as unconfirmed.
#[test]
fn requests_survive_the_end_of_the_node_that_runs_the_hub() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let owner = open(&server, &places[0]).await;
        let waiting = open(&server, &places[1]).await;
        let client = waiting.client();
        client
            .start::<approval>("a desk".into())
            .instance_id("desk")
            .await
            .unwrap();
        let result = {
            let client = client.clone();
            tokio::spawn(async move { client.orchestration::<approval>("desk").result().await })
        };
        let call = |name: &'static str, id: Option<&'static str>| {
            let client = client.clone();
            tokio::spawn(async move {
                let call = client.entity::<Sleeper>(name).sleep();
                match id {
                    Some(id) => call.request_id(id).await,
                    None => call.await,
                }
            })
        };
        let (with_id, without) = (call("with", Some("nap-1")), call("without", None));
        // Both operations run.
        let owners = owner.client();
        let running = async |name: &str| {
            let id = format!("@sleeper@{name}").parse().unwrap();
            owners.admin().entity_details(&id).await.unwrap().waiting > 0
        };
        let began = Instant::now();
        while !(running("with").await && running("without").await) {
            assert!(began.elapsed() < Duration::from_secs(60), "the operations do not begin");
        }
        drop(owners);
        drop(owner);
        let error = Error::from(without.await.unwrap().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Unconfirmed, "{error}");
        assert!(error.to_string().contains("with a request id"), "{error}");
        // The operation that was under way is run again, because its row is there. So is its answer.
        client
            .orchestration::<approval>("desk")
            .raise_event("decision", true)
            .await
            .unwrap();
        assert_eq!(result.await.unwrap().unwrap(), "a desk: true");
        with_id.abort();
        waiting.shutdown_within(Duration::from_millis(100)).await.unwrap();
    });
}

/// A watcher on a node that waits receives the changes, also after the hub has moved.
#[test]
fn changes_are_watched_on_every_node() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let owner = open(&server, &places[0]).await;
        let waiting = open(&server, &places[1]).await;
        let client = waiting.client();
        let mut changes = client.changes().kind(ChangeKind::Started).watch().unwrap();
        let mut seen = BTreeSet::new();
        let mut owner = Some(owner);
        for number in 0..4 {
            let id = format!("order-{number}");
            client.start::<greet>("ada".to_owned()).instance_id(&id).await.unwrap();
            let began = Instant::now();
            while !seen.contains(&id) {
                assert!(began.elapsed() < Duration::from_secs(60), "{id} is missing");
                let batch = changes.next().await.unwrap();
                seen.extend(batch.changes.into_iter().map(|change| change.id));
                if batch.has_gap {
                    // As a view does: it reads again what it shows.
                    let page = client.orchestrations().page().await.unwrap();
                    seen.extend(page.items.into_iter().map(|info| info.id));
                }
            }
            if number == 1 {
                owner.take().unwrap().shutdown().await.unwrap();
            }
        }
        waiting.shutdown().await.unwrap();
    });
}

/// An address on which a node cannot listen, or which the others cannot reach, is refused at the open.
#[test]
fn an_unsuitable_address_is_refused() {
    let Some(server) = Server::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    runtime().block_on(async {
        for (address, text) in [
            ("0.0.0.0:0", "add `.advertise("),
            (
                taken.as_str(),
                "address already in use; choose another `listen` address",
            ),
            ("nowhere", "cannot listen on nowhere"),
        ] {
            let open = builder(&server.url(), place.path()).listen(address).open().await;
            let error = open.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
        let advertised = builder(&server.url(), place.path())
            .listen("0.0.0.0:0")
            .advertise("node-1:7400");
        let hub = advertised.open().await.unwrap();
        assert_eq!(server.run("SELECT address FROM abide.node"), "node-1:7400");
        hub.shutdown().await.unwrap();
    });
}

/// `GET /cluster` shows the hub and its nodes on each of them, and the health of a node that waits is good.
#[cfg(feature = "http")]
#[test]
fn the_management_api_of_each_node_shows_the_hub() {
    use abide::http::{BASE_PATH, HttpConfig, router};
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let hubs = join_all(places.iter().map(|place| open(&server, place))).await;
        hubs[0].client().entity::<Counter>("one").add().await.unwrap();
        let mut owners = BTreeSet::new();
        for hub in &hubs {
            let router = router(hub.client(), &HttpConfig::new().without_token()).unwrap();
            let get = async |path: &str| {
                let request = Request::get(format!("{BASE_PATH}{path}")).header("host", "localhost:7071");
                let answer = router
                    .clone()
                    .oneshot(request.body(Body::empty()).unwrap())
                    .await
                    .unwrap();
                assert_eq!(answer.status(), StatusCode::OK, "{path}");
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                serde_json::from_slice::<Value>(&body).unwrap_or_default()
            };
            get("/health").await;
            let shown = get("/cluster").await;
            assert_eq!((&shown["name"], &shown["stage"]), (&json!("orders"), &json!("open")));
            let written = shown["shards"].as_array().unwrap().iter();
            assert!(
                written.map(|shard| shard["records"].as_u64().unwrap()).sum::<u64>() > 0 && shown["format"].is_u64(),
                "{shown}"
            );
            let nodes = shown["nodes"].as_array().unwrap();
            assert_eq!(nodes.len(), 2);
            for node in nodes {
                assert!(node["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{node}");
                assert_eq!(
                    (&node["isConnected"], &node["isDraining"]),
                    (&json!(true), &json!(false))
                );
            }
            owners.extend(shown["shards"].as_array().unwrap().iter().map(|shard| {
                let owner = shard["owner"].as_str().unwrap();
                assert!(nodes.iter().any(|node| node["id"] == owner), "{shown}");
                (shard["number"].as_u64(), owner.to_owned())
            }));
        }
        assert_eq!(owners.len(), usize::from(shards()), "all nodes name the same owners");
        join_all(hubs.into_iter().map(Hub::shutdown)).await;
    });
}

/// A node that is drained hands the hub over, and goes on answering. It does not take it back before the drain ends.
#[test]
fn a_drained_node_leaves_the_hub_to_the_others() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let database = abide::cluster::Database::at(server.url());
        let first = open(&server, &places[0]).await;
        let drained = first.client().admin().cluster().await.unwrap().nodes[0].id.clone();
        let alone = database.drain("orders", &drained).await.unwrap_err();
        assert_eq!(alone.kind(), ErrorKind::Configuration, "{alone}");
        assert!(alone.to_string().contains("start one first"), "{alone}");
        let unknown = database.drain("orders", "nobody").await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");

        let second = open(&server, &places[1]).await;
        assert!(first.client().runs_hub() && !second.client().runs_hub());
        let counter = first.client().entity::<Counter>("one");
        assert_eq!(counter.add().await.unwrap(), 1);
        database.drain("orders", &drained).await.unwrap();
        let began = Instant::now();
        let mut newest = 1;
        while !second.client().runs_hub() {
            assert!(began.elapsed() < Duration::from_secs(60), "nobody takes over");
            newest += 1;
            assert_eq!(counter.add().await.unwrap(), newest);
        }
        assert_eq!(counter.add().await.unwrap(), newest + 1);
        let status = second.client().admin().cluster().await.unwrap();
        assert!(
            status
                .nodes
                .iter()
                .any(|node| node.id == drained && node.is_draining && node.shards.is_empty())
        );
        assert_eq!(status.shards[0].crashes, 0);

        database.undrain("orders", &drained).await.unwrap();
        second.shutdown().await.unwrap();
        assert_eq!(counter.add().await.unwrap(), newest + 2);
        assert!(first.client().runs_hub());
        first.shutdown().await.unwrap();
    });
}

/// A node that waits can be shut down while the database is away, and the node that runs the hub continues when it is back.
#[test]
fn a_waiting_node_closes_while_the_database_is_away() {
    let Some(mut server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let owner = open(&server, &places[0]).await;
        let waiting = open(&server, &places[1]).await;
        let counter = owner.client().entity::<Counter>("one");
        assert_eq!(counter.add().await.unwrap(), 1);
        server.kill();
        let began = Instant::now();
        waiting.shutdown().await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        server.resume();
        assert_eq!(counter.add().await.unwrap(), 2);
        owner.shutdown().await.unwrap();
    });
}

/// Thousands of waits for one orchestration leave room for the event that ends them, on the same node.
#[test]
fn many_waits_leave_room_for_other_requests() {
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    runtime().block_on(async {
        let owner = open(&server, &places[0]).await;
        let waiting = open(&server, &places[1]).await;
        let client = waiting.client();
        let run = client
            .start::<approval>("a lamp".into())
            .instance_id("lamp")
            .await
            .unwrap();
        let waits: Vec<_> = (0..5_000)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.orchestration::<approval>("lamp").result().await })
            })
            .collect();
        run.raise_event("decision", true).await.unwrap();
        for result in join_all(waits).await {
            assert_eq!(result.unwrap().unwrap(), "a lamp: true");
        }
        waiting.shutdown().await.unwrap();
        owner.shutdown().await.unwrap();
    });
}
