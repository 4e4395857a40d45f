//! Which requests each client asks.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Number of accounts of the bank.
pub(crate) const ACCOUNTS: u64 = 6;

/// Everything that two processes have to agree on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Number of clients, which all ask at the same time.
    pub(crate) clients: u64,
    /// Number of requests of each client.
    pub(crate) requests: u64,
    pub(crate) executors: usize,
    /// See [`abide::HubBuilder::wal_limit`].
    pub(crate) log_bytes: u64,
    /// Number of bytes that each note adds to its journal besides its number.
    pub(crate) note_bytes: usize,
    /// The process closes the hub at its end, and does not just end.
    pub(crate) closes: bool,
    /// Time after which the process exits in the middle of its work, in microseconds.
    pub(crate) exits_after: Option<u64>,
    /// A schedule ticks beside the clients.
    pub(crate) ticks: bool,
    /// Number of readers, which read all the time what the clients have written.
    pub(crate) readers: u64,
    /// The process is a node of a cluster.
    pub(crate) node: Option<Node>,
}

/// A node of a cluster, which runs the hub together with others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Node {
    /// The URL of the database.
    pub(crate) url: String,
    /// The directory of its copy.
    pub(crate) directory: PathBuf,
    /// Set if all nodes listen. The clients are then divided between the nodes.
    pub(crate) listens: Option<Listening>,
    /// Number of shards of the hub.
    pub(crate) shards: u16,
}

/// The place of a node among the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) number: u64,
    /// Number of nodes.
    pub(crate) count: u64,
    /// The address at which it listens.
    pub(crate) address: String,
    /// The address at which the others reach it.
    pub(crate) advertised: String,
}

impl Listening {
    /// Returns the place of a node that has no other beside it.
    pub(crate) fn alone() -> Self {
        let address = "127.0.0.1:0".to_owned();
        Self {
            number: 0,
            count: 1,
            advertised: address.clone(),
            address,
        }
    }
}

impl Node {
    /// Returns `true` if the requests of a client are sent by this node.
    pub(crate) fn has(&self, client: u64) -> bool {
        let is_here = |place: &Listening| client % place.count == place.number;
        self.listens.as_ref().is_none_or(is_here)
    }
}

/// A request of a client. `n` counts the requests of one kind by one client from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Calls an operation.
    Call { n: u64 },
    /// Signals an operation.
    Signal { n: u64 },
    /// Calls an `async` operation.
    Slow { n: u64 },
    /// Has an entity signal another one.
    Relay { n: u64 },
    /// Signals an operation at a later time.
    Later { n: u64, delay_ms: u64 },
    /// Moves money between two locked accounts.
    Transfer { from: u64, to: u64, cents: i64 },
    /// Runs an order: activities, a timer, a sub-orchestration and an external event.
    Order { n: u64, refusals: u32 },
}

/// The kinds of journals.
pub(crate) const CALL: &str = "call";
pub(crate) const SIGNAL: &str = "signal";
pub(crate) const SLOW: &str = "slow";
pub(crate) const RELAY: &str = "relay";
pub(crate) const LATER: &str = "later";
pub(crate) const ORDER: &str = "order";
pub(crate) const JOURNALS: [&str; 6] = [CALL, SIGNAL, SLOW, RELAY, LATER, ORDER];

/// Returns the key of a journal.
pub(crate) fn journal(client: u64, kind: &str) -> String {
    format!("{client}-{kind}")
}

/// Returns the id of the orchestration, and of the request, that is the n-th request of a client.
pub(crate) fn request_id(client: u64, n: u64) -> String {
    format!("{client}-{n}")
}

impl Plan {
    /// Returns a plan with one request of one client, a small log, and nothing beside the clients.
    pub(crate) fn small(seed: u64) -> Self {
        Self {
            seed,
            clients: 1,
            requests: 1,
            executors: 1,
            log_bytes: 128 << 10,
            note_bytes: 0,
            closes: true,
            exits_after: None,
            ticks: false,
            readers: 0,
            node: None,
        }
    }

    /// Returns all requests of a client in order, without an end.
    pub(crate) fn requests(&self, client: u64) -> impl Iterator<Item = Request> + use<> {
        let seed = self.seed;
        let mut counts = [0; 7];
        (0..).map(move |number: u64| {
            let bits = xxh3_64_with_seed(&[client.to_le_bytes(), number.to_le_bytes()].concat(), seed);
            let kind = (bits % 7) as usize;
            let n = counts[kind];
            counts[kind] += 1;
            let more = bits >> 8;
            match kind {
                0 => Request::Call { n },
                1 => Request::Signal { n },
                2 => Request::Slow { n },
                3 => Request::Relay { n },
                4 => Request::Later { n, delay_ms: more % 20 },
                5 => {
                    let from = more % ACCOUNTS;
                    Request::Transfer {
                        from,
                        to: (from + 1 + (more >> 8) % (ACCOUNTS - 1)) % ACCOUNTS,
                        cents: ((more >> 16) % 700) as i64,
                    }
                }
                _ => Request::Order {
                    n,
                    refusals: (more % 3) as u32,
                },
            }
        })
    }
}
