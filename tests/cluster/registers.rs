//! Registers that clients of all nodes write, read and compare, while nodes come and go.

use std::sync::Arc;
use std::time::Duration;

use abide::prelude::*;
use abide::testing::Recorder;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::nodes::{listening, places};
use crate::runtime;
use crate::server::Server;

const NODES: usize = 3;
const CLIENTS_OF_A_NODE: usize = 2;
const REGISTERS: u64 = 4;

/// Answers before and after each fault.
const CALM: u64 = 60;

/// Maximum time for these operations on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Register {
    value: u64,
}

#[operations]
impl Register {
    pub fn write(&mut self, value: u64) {
        self.value = value;
    }

    pub fn read(&self) -> u64 {
        self.value
    }

    pub fn replace(&mut self, expected: u64, value: u64) -> bool {
        let is_expected = self.value == expected;
        if is_expected {
            self.value = value;
        }
        is_expected
    }
}

/// What a client has asked, and the answer if it arrived.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Write(u64),
    Read(Option<u64>),
    Replace {
        expected: u64,
        value: u64,
        replaced: Option<bool>,
    },
}

/// What the clients share.
struct Shared {
    records: [Recorder<Asked>; REGISTERS as usize],
    /// The clients of the nodes that are open. Empty at the end.
    clients: watch::Sender<Vec<Option<Client>>>,
    /// Operations with an answer, and successful comparisons among them.
    operations: watch::Sender<u64>,
    replaced: watch::Sender<u64>,
}

impl Shared {
    /// Returns the client of a node, once the node is open. Returns `None` at the end.
    async fn client(&self, node: usize) -> Option<Client> {
        let mut clients = self.clients.subscribe();
        let is_there = |clients: &Vec<Option<Client>>| clients.get(node).is_none_or(Option::is_some);
        let found = clients.wait_for(is_there).await.unwrap();
        found.get(node).cloned().flatten()
    }

    /// Waits until the clients have received some more answers.
    async fn some_more_operations(&self) {
        let mut operations = self.operations.subscribe();
        let wanted = *operations.borrow() + CALM;
        let made = tokio::time::timeout(PATIENCE, operations.wait_for(|count| *count >= wanted)).await;
        made.expect("the clients wait forever").unwrap();
    }
}

/// A client of a node: asks one thing after the other, at any register.
async fn ask(shared: Arc<Shared>, node: usize, number: u64) {
    let mut random = fastrand::Rng::with_seed(number);
    let mut known = [0; REGISTERS as usize];
    let mut written = number << 32;
    while let Some(client) = shared.client(node).await {
        let key = random.u64(..REGISTERS);
        let register = client.entity::<Register>(key);
        let (record, known) = (&shared.records[key as usize], &mut known[key as usize]);
        let began = record.begin();
        let (asked, is_answered) = match random.u8(..4) {
            0 => {
                written += 1;
                let done = register.write(written).await.is_ok();
                (Asked::Write(written), done)
            }
            1 => {
                let read = register.read().await.ok();
                (Asked::Read(read), read.is_some())
            }
            // From the copy of this node.
            2 => {
                let read = register.state().await.ok();
                let read = read.map(|state| state.unwrap_or_default().value);
                (Asked::Read(read), read.is_some())
            }
            _ => {
                written += 1;
                let (expected, value) = (*known, written);
                let replaced = register.replace(expected, value).await.ok();
                let asked = Asked::Replace {
                    expected,
                    value,
                    replaced,
                };
                (asked, replaced.is_some())
            }
        };
        if !is_answered {
            record.give_up(began, asked);
            continue;
        }
        record.end(began, asked);
        match asked {
            Asked::Read(Some(value)) | Asked::Write(value) => *known = value,
            Asked::Replace {
                value,
                replaced: Some(true),
                ..
            } => {
                *known = value;
                shared.replaced.send_modify(|count| *count += 1);
            }
            Asked::Replace { .. } | Asked::Read(None) => {}
        }
        shared.operations.send_modify(|count| *count += 1);
    }
}

/// Applies an operation to a register. Returns `false` if its answer is not possible.
fn apply(register: &mut u64, asked: &Asked) -> bool {
    match *asked {
        Asked::Write(value) => *register = value,
        Asked::Read(read) => return read.is_none_or(|read| read == *register),
        Asked::Replace {
            expected,
            value,
            replaced,
        } => {
            let is_expected = *register == expected;
            if is_expected {
                *register = value;
            }
            return replaced.is_none_or(|replaced| replaced == is_expected);
        }
    }
    true
}

/// Writes, reads and comparisons at any node take effect one at a time, between their begin and their end, while shards are
/// taken away, a node ends without a word, and nodes are shut down in turn.
#[test]
fn registers_are_linearizable_on_every_node() {
    let Some(server) = Server::start() else { return };
    let places = places::<NODES>();
    runtime().block_on(async {
        let shared = Arc::new(Shared {
            records: std::array::from_fn(|_| Recorder::new()),
            clients: watch::Sender::new(vec![None; NODES]),
            operations: watch::Sender::default(),
            replaced: watch::Sender::default(),
        });
        let open = async |node: usize, place: &TempDir| {
            let builder = listening(&server, place.path()).shards(2).entity::<Register>();
            let hub = builder.open().await.unwrap();
            shared.clients.send_modify(|clients| clients[node] = Some(hub.client()));
            hub
        };
        let mut hubs = Vec::new();
        for (node, place) in places.iter().enumerate() {
            hubs.push(open(node, place).await);
        }
        let asking: Vec<_> = (0..NODES * CLIENTS_OF_A_NODE)
            .map(|number| tokio::spawn(ask(Arc::clone(&shared), number % NODES, number as u64 + 1)))
            .collect();
        for fault in 0..6 {
            shared.some_more_operations().await;
            let node = fault / 2;
            if fault % 2 == 0 {
                server.run("UPDATE abide.shard SET epoch = epoch + 1, owner = NULL");
                continue;
            }
            shared.clients.send_modify(|clients| clients[node] = None);
            let leaving = hubs.remove(0);
            match node {
                0 => drop(leaving),
                _ => leaving.shutdown().await.unwrap(),
            }
            shared.some_more_operations().await;
            hubs.push(open(node, &places[node]).await);
        }
        shared.some_more_operations().await;
        shared.clients.send_modify(Vec::clear);
        for client in asking {
            client.await.unwrap();
        }
        let (operations, replaced) = (*shared.operations.borrow(), *shared.replaced.borrow());
        println!("{operations} operations, {replaced} of them successful comparisons");
        assert!(replaced > 0, "no comparison succeeded");
        for (key, record) in shared.records.iter().enumerate() {
            let checked = record.check(0, apply);
            assert!(checked.is_ok(), "register {key}: {}", checked.unwrap_err());
        }
        for hub in hubs {
            hub.shutdown().await.unwrap();
        }
    });
}
