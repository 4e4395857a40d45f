//! The network between two nodes is cut, hangs, or loses answers, while the hub stays where it is or moves.

use std::collections::BTreeSet;
use std::time::Duration;

use abide::prelude::*;
use futures::future::join_all;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::nodes::{Journal, approval, listening, places};
use crate::proxy::{Flow, Proxy};
use crate::server::Server;
use crate::{Counter, greet, runtime, until};

/// Time after which a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens a node that the others reach through a proxy.
async fn open(server: &Server, place: &TempDir, proxy: &Proxy) -> Hub {
    let builder = listening(server, place.path())
        .listen(format!("127.0.0.1:{}", proxy.target()))
        .advertise(format!("127.0.0.1:{}", proxy.port()));
    builder.open().await.unwrap()
}

/// Requests with an id that are under way when the connections end take effect once, and each caller receives its answer:
/// if the requests are lost, if their answers are lost, and if it is not known.
#[test]
fn requests_on_a_link_that_is_cut_take_effect_once() {
    const CALLS: u64 = 200;
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    let proxy = Proxy::reserve();
    runtime().block_on(async {
        let owner = open(&server, &places[0], &proxy).await;
        let waiting = listening(&server, places[1].path()).open().await.unwrap();
        let count = async |name: &str| {
            let counter = owner.client().entity::<Counter>(name.to_owned());
            counter.state().await.unwrap().unwrap_or_default().count
        };
        for (turn, flow) in [Flow::Frozen, Flow::OneWay, Flow::Open].into_iter().enumerate() {
            // The requests use a connection that is there.
            let counter = waiting.client().entity::<Counter>(format!("warm-{turn}"));
            counter.add().await.unwrap();
            let before = waiting.stats().forwarded;
            proxy.set(flow);
            let calls: Vec<_> = (0..CALLS)
                .map(|number| {
                    let counter = waiting.client().entity::<Counter>(format!("cut-{turn}"));
                    tokio::spawn(async move { counter.add().request_id(format!("{turn}-{number}")).await })
                })
                .collect();
            until("the requests do not leave the node", async || {
                waiting.stats().forwarded == before + CALLS
            })
            .await;
            match flow {
                Flow::Frozen => proxy.wait_until_held(),
                Flow::OneWay => {
                    let name = format!("cut-{turn}");
                    until("the requests do not arrive", async || count(&name).await == CALLS).await;
                    proxy.wait_until_held();
                }
                _ => {}
            }
            let refused = proxy.refused();
            proxy.set(Flow::Cut);
            // On an open link, all of them may have been answered before. Then nothing connects.
            let is_answered = || flow == Flow::Open && calls.iter().all(|call| call.is_finished());
            until("the node does not connect again", async || {
                proxy.refused() > refused || is_answered()
            })
            .await;
            proxy.set(Flow::Open);
            let answers = join_all(calls).await.into_iter().map(|call| call.unwrap().unwrap());
            // Each addition returns another number.
            let answers: BTreeSet<u64> = answers.collect();
            assert_eq!(answers, (1..=CALLS).collect(), "{flow:?}");
            assert_eq!(count(&format!("cut-{turn}")).await, CALLS, "{flow:?}");
        }
        assert!(owner.client().runs_hub());
        waiting.shutdown().await.unwrap();
        owner.shutdown().await.unwrap();
    });
}

/// Requests without an id on a link that hangs are reported as unconfirmed, and none of them takes effect twice: if they
/// arrive afterwards, and if only their answers are lost. If the link hangs only briefly, they are answered.
#[test]
fn requests_on_a_link_that_hangs_are_unconfirmed() {
    const CALLS: u32 = 100;
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    let proxy = Proxy::reserve();
    runtime().block_on(async {
        let owner = open(&server, &places[0], &proxy).await;
        let waiting = listening(&server, places[1].path()).open().await.unwrap();
        let cases = [(Flow::Frozen, true), (Flow::Frozen, false), (Flow::OneWay, false)];
        for (turn, (flow, is_brief)) in (0..).zip(cases) {
            waiting.client().entity::<Counter>("warm").add().await.unwrap();
            let before = waiting.stats().forwarded;
            proxy.set(flow);
            let numbers: Vec<u32> = (turn * CALLS..(turn + 1) * CALLS).collect();
            let calls: Vec<_> = numbers
                .iter()
                .map(|&number| {
                    let journal = waiting.client().entity::<Journal>("main");
                    tokio::spawn(async move { journal.add(number).await })
                })
                .collect();
            until("the requests do not leave the node", async || {
                waiting.stats().forwarded == before + u64::from(CALLS)
            })
            .await;
            let entries = async || {
                let state = owner.client().entity::<Journal>("main").state().await.unwrap();
                state.unwrap_or_default().entries
            };
            if flow == Flow::OneWay {
                until("the requests do not arrive", async || {
                    let entries = entries().await;
                    numbers.iter().all(|number| entries.contains(number))
                })
                .await;
            }
            proxy.wait_until_held();
            // Until then, no request can be answered.
            until("no request ends", async || {
                is_brief || calls.iter().any(JoinHandle::is_finished)
            })
            .await;
            proxy.set(Flow::Open);
            let ends: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
            proxy.wait_until_released();
            // The link is healthy again, and what arrives late has arrived.
            waiting.client().entity::<Counter>("warm").add().await.unwrap();
            owner.idle().await.unwrap();
            let entries = entries().await;
            let mut unconfirmed = 0;
            for (number, end) in numbers.into_iter().zip(ends) {
                let times = entries.iter().filter(|entry| **entry == number).count();
                match end.map_err(Error::from) {
                    Ok(()) => assert_eq!(times, 1, "{flow:?}: {number}"),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Unconfirmed, "{error}");
                        assert!(times <= 1, "{flow:?}: {number} is there {times} times");
                        unconfirmed += 1;
                    }
                }
            }
            assert_eq!(
                unconfirmed == 0,
                is_brief,
                "{flow:?}: {unconfirmed} requests are unconfirmed"
            );
        }
        waiting.shutdown().await.unwrap();
        owner.shutdown().await.unwrap();
    });
}

/// Waits for an orchestration, on nodes that wait, continue when their connections are cut, and when the hub moves after
/// that.
#[test]
fn a_wait_survives_a_cut_and_a_handover() {
    const WAITS: u64 = 10;
    let Some(server) = Server::start() else { return };
    let places = places::<3>();
    let proxy = Proxy::reserve();
    runtime().block_on(async {
        let owner = open(&server, &places[0], &proxy).await;
        let mut others = Vec::new();
        for place in &places[1..] {
            others.push(listening(&server, place.path()).open().await.unwrap());
        }
        let client = owner.client();
        let hello = client.start::<greet>("ada".to_owned()).instance_id("hello").await;
        hello.unwrap().result().await.unwrap();
        let boat = client.start::<approval>("a boat".into()).instance_id("boat").await;
        boat.unwrap();
        let mut waits = Vec::new();
        for node in &others {
            waits.extend((0..WAITS).map(|_| {
                let client = node.client();
                tokio::spawn(async move { client.orchestration::<approval>("boat").result().await })
            }));
            until("the waits do not leave the node", async || {
                node.stats().forwarded == WAITS
            })
            .await;
        }
        // Waits arrive in order, so all of them have arrived when a later one is answered.
        let ask = async || {
            for node in &others {
                let hello = node.client().orchestration::<greet>("hello");
                assert_eq!(hello.result().await.unwrap(), "ADA");
            }
        };
        ask().await;
        let refused = proxy.refused();
        proxy.set(Flow::Cut);
        until("the waits are not sent again by themselves", async || {
            proxy.refused() > refused
        })
        .await;
        proxy.set(Flow::Open);
        ask().await;

        // One of the others takes over, so half of the waits find the hub on their own node.
        owner.shutdown().await.unwrap();
        let boat = others[0].client().orchestration::<approval>("boat");
        boat.raise_event("decision", true).await.unwrap();
        for wait in waits {
            assert_eq!(wait.await.unwrap().unwrap(), "a boat: true");
        }
        for hub in others {
            hub.shutdown().await.unwrap();
        }
    });
}

/// While an operator drains the node that runs the hub, and while the next one is shut down, requests without an id
/// succeed, and each takes effect once.
#[test]
fn a_planned_handover_fails_none_of_many_requests() {
    const CALLERS: usize = 300;
    let Some(server) = Server::start() else { return };
    let places = places::<2>();
    let database = abide::cluster::Database::at(server.url());
    runtime().block_on(async {
        let first = listening(&server, places[0].path()).open().await.unwrap();
        let drained = first.client().admin().cluster().await.unwrap().nodes[0].id.clone();
        let second = listening(&server, places[1].path()).open().await.unwrap();

        // Half of the callers are on the node that is drained.
        let callers = Callers::start(&[&first, &second], &[0; CALLERS]);
        callers.each_is_answered().await;
        database.drain("orders", &drained).await.unwrap();
        until("no node takes over", async || second.client().runs_hub()).await;
        callers.each_is_answered().await;
        let counts = callers.stop().await;

        database.undrain("orders", &drained).await.unwrap();
        let callers = Callers::start(&[&first], &counts);
        callers.each_is_answered().await;
        second.shutdown().await.unwrap();
        until("no node takes over", async || first.client().runs_hub()).await;
        callers.each_is_answered().await;
        callers.stop().await;
        assert_eq!(server.run("SELECT max(crashes) FROM abide.shard"), "0");
        first.shutdown().await.unwrap();
    });
}

/// Callers, each of which adds to a counter of its own and compares the answers.
struct Callers {
    stop: watch::Sender<bool>,
    /// The number of answers of each.
    answers: Vec<watch::Receiver<u64>>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Callers {
    /// Starts one caller for each count, which is what its counter has. They take the nodes in turn.
    fn start(nodes: &[&Hub], counts: &[u64]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (mut answers, mut tasks) = (Vec::new(), Vec::new());
        for (number, (&count, node)) in counts.iter().zip(nodes.iter().cycle()).enumerate() {
            let counter = node.client().entity::<Counter>(format!("caller-{number}"));
            let (answer, answered) = watch::channel(0);
            let stopped = stopped.clone();
            tasks.push(tokio::spawn(async move {
                let mut count = count;
                while !*stopped.borrow() {
                    count += 1;
                    assert_eq!(counter.add().await.unwrap(), count, "caller {number}");
                    answer.send_modify(|answers| *answers += 1);
                }
                count
            }));
            answers.push(answered);
        }
        Self { stop, answers, tasks }
    }

    /// Waits until each caller has received the answer to a request that it began after this.
    async fn each_is_answered(&self) {
        let begun = self.answers.iter().map(|answers| (*answers.borrow(), answers.clone()));
        for (before, mut answers) in begun.collect::<Vec<_>>() {
            let answer = answers.wait_for(|answers| *answers >= before + 2);
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            answer.expect("a caller waits").expect("a caller has failed");
        }
    }

    /// Returns what the counters have.
    async fn stop(self) -> Vec<u64> {
        self.stop.send_replace(true);
        let counts = join_all(self.tasks).await;
        counts.into_iter().map(Result::unwrap).collect()
    }
}
