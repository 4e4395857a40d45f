//! A proxy between a node and the database, which loses answers and holds messages back.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A proxy on a port of its own.
#[derive(Debug)]
pub(super) struct Proxy {
    port: u16,
    line: Arc<Line>,
}

/// The state of the way between the node and the database.
#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Number of answers that are dropped, each together with its connection.
    losing: u64,
    /// Nothing passes, in neither direction.
    is_blocked: bool,
}

impl Proxy {
    /// Starts a proxy to a port of this machine. It ends with this process.
    pub(super) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("the address of the listener").port();
        let line = Arc::new(Line::default());
        let shared = line.clone();
        std::thread::spawn(move || {
            for node in listener.incoming().flatten() {
                // While the server is away, the node finds that its connection is closed.
                if let Ok(database) = TcpStream::connect(("127.0.0.1", server)) {
                    connect(node, database, &shared);
                }
            }
        });
        Self { port, line }
    }

    /// Returns the URL under which a node reaches the database.
    pub(super) fn url(&self) -> String {
        format!("postgres://abide@127.0.0.1:{}/postgres", self.port)
    }

    /// Drops the next answers of the database, each together with its connection: their requests have taken effect.
    pub(super) fn lose_answers(&self, count: u64) {
        self.line.change(|state| state.losing = count);
    }

    /// Holds all messages back until [`unblock`](Self::unblock).
    pub(super) fn block(&self) {
        self.line.change(|state| state.is_blocked = true);
    }

    pub(super) fn unblock(&self) {
        self.line.change(|state| state.is_blocked = false);
    }
}

impl Line {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until messages pass. Returns `true` if this one is an answer that is lost.
    fn pass(&self, is_answer: bool) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(state, |state| state.is_blocked);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let is_lost = is_answer && state.losing > 0;
        if is_lost {
            state.losing -= 1;
        }
        is_lost
    }
}

fn connect(node: TcpStream, database: TcpStream, line: &Arc<Line>) {
    for (from, to, is_answer) in [(&node, &database, false), (&database, &node, true)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
            return;
        };
        // Without this, the proxy would add up to 40 ms to each answer.
        let _ = to.set_nodelay(true);
        let line = line.clone();
        std::thread::spawn(move || forward(from, to, is_answer, &line));
    }
}

/// Forwards everything in one direction until one of the connections ends, and then ends both.
fn forward(mut from: TcpStream, mut to: TcpStream, is_answer: bool, line: &Line) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if line.pass(is_answer) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
