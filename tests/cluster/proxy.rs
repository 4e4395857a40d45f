//! A proxy in front of a port of this machine: that of the database, or that of a node.

// The campaigns and the tests use different parts of this module.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::TcpSocket;

use super::server::{port_of, reserve_port};

/// Time after which nothing is expected to happen any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happens to connections, and to what they carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Everything passes.
    #[default]
    Open,
    /// Connections end, and new ones end at once.
    Cut,
    /// Connections are accepted, and nothing passes, not even their ends. Later it does.
    Frozen,
    /// Requests pass. An answer does not, and when the flow changes, it is lost together with its connection.
    OneWay,
    /// Everything passes, and each chunk of it waits for this time.
    Slow(Duration),
}

/// A proxy on a port of its own. Dropping it ends all of its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    target: u16,
    line: Arc<Line>,
    /// Keeps the port of the target while nothing listens on it.
    _reserved: Option<TcpSocket>,
}

/// The state of all connections.
#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    flow: Flow,
    /// Number of answers that are dropped, each together with its connection.
    losing: u64,
    /// Number of chunks that wait for another flow.
    held: u64,
    /// Number of connections that were ended because the flow is cut.
    refused: u64,
    connections: Vec<Weak<Connection>>,
    has_ended: bool,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
}

impl Connection {
    fn end(&self) {
        // An end that has gone already needs no other.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Proxy {
    /// Starts a proxy in front of a port.
    pub(crate) fn start(target: u16) -> Self {
        Self::new(target, None)
    }

    /// Starts a proxy in front of a port that is reserved for a node.
    pub(crate) fn reserve() -> Self {
        let target = reserve_port();
        Self::new(port_of(&target), Some(target))
    }

    fn new(target: u16, reserved: Option<TcpSocket>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("the address of the listener").port();
        let line = Arc::new(Line::default());
        let shared = line.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.lock().has_ended {
                    return;
                }
                // While the target is away, the client finds that its connection is closed.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
                    shared.connect(Connection { client, server });
                }
            }
        });
        Self {
            port,
            target,
            line,
            _reserved: reserved,
        }
    }

    /// Returns the port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the port that the proxy connects to.
    pub(crate) fn target(&self) -> u16 {
        self.target
    }

    /// Changes what happens to connections from now on.
    pub(crate) fn set(&self, flow: Flow) {
        self.line.change(|state| state.flow = flow);
    }

    /// Waits until a chunk is held back.
    pub(crate) fn wait_until_held(&self) {
        self.line.wait_until(|state| state.held > 0);
    }

    /// Waits until everything that was held back has passed or is lost.
    pub(crate) fn wait_until_released(&self) {
        self.line.wait_until(|state| state.held == 0);
    }

    /// Returns the number of connections that were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.line.lock().refused
    }

    /// Drops the next answers, each together with its connection: their requests have taken effect.
    pub(crate) fn lose_answers(&self, count: u64) {
        self.line.change(|state| state.losing = count);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.change(|state| {
            state.flow = Flow::Cut;
            state.has_ended = true;
        });
        // The thread looks at the state when it has a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        if state.flow == Flow::Cut {
            state.connections.drain(..).for_each(|connection| {
                if let Some(connection) = connection.upgrade() {
                    connection.end();
                }
            });
        }
        self.changed.notify_all();
    }

    fn wait_until(&self, is_reached: impl Fn(&State) -> bool) {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, |state| !is_reached(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(is_reached(&state), "nothing happens at the proxy: {state:?}");
    }

    /// Begins to forward what a connection carries.
    fn connect(self: &Arc<Self>, connection: Connection) {
        let connection = Arc::new(connection);
        let mut state = self.lock();
        if state.flow == Flow::Cut {
            state.refused += 1;
            self.changed.notify_all();
            return;
        }
        state.connections.retain(|other| other.strong_count() > 0);
        state.connections.push(Arc::downgrade(&connection));
        drop(state);
        for is_answer in [false, true] {
            let (line, connection) = (self.clone(), connection.clone());
            std::thread::spawn(move || line.forward(&connection, is_answer));
        }
    }

    /// Forwards everything in one direction until the connection ends on one side, and then ends it on the other one.
    fn forward(&self, connection: &Connection, is_answer: bool) {
        let (mut from, mut to) = match is_answer {
            false => (&connection.client, &connection.server),
            true => (&connection.server, &connection.client),
        };
        // Without this, the proxy would add up to 40 ms to each answer.
        let _ = to.set_nodelay(true);
        let mut bytes = [0; 16 << 10];
        loop {
            let count = from.read(&mut bytes).unwrap_or(0);
            // The end passes as late as everything else.
            if !self.passes(is_answer) || count == 0 || to.write_all(&bytes[..count]).is_err() {
                return connection.end();
            }
        }
    }

    /// Waits until a chunk passes. Returns `false` if it is lost.
    fn passes(&self, is_answer: bool) -> bool {
        let is_held = |flow| flow == Flow::Frozen || flow == Flow::OneWay && is_answer;
        let mut state = self.lock();
        let mut is_lost = false;
        if is_held(state.flow) {
            state.held += 1;
            self.changed.notify_all();
            while is_held(state.flow) {
                is_lost |= state.flow == Flow::OneWay;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.held -= 1;
            self.changed.notify_all();
        }
        if is_answer && state.losing > 0 {
            state.losing -= 1;
            is_lost = true;
        }
        let flow = state.flow;
        drop(state);
        if let Flow::Slow(delay) = flow {
            std::thread::sleep(delay);
        }
        !is_lost && flow != Flow::Cut
    }
}
