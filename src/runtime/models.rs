//! Models of an inbox and of the end of a hub, under many schedules. See [`explore`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};

use super::inbox::{Envelope, Inbox};
use super::tests::{Busy, start};
use crate::engine::message::{Input, Message, Origin};
use crate::error::ErrorKind;
use crate::id::{InstanceId, MessageId};
use crate::model::Action;
use crate::schema;
use crate::store::Model;
use crate::sync::{Mutex, explore, thread};

/// A request to an executor: the sender, and its number at the sender.
type Request = (u64, u64);

/// What became of the requests.
#[derive(Debug, Default)]
struct Ends {
    received: Vec<Request>,
    dropped: Vec<Request>,
}

/// The reply channel of a request. Dropping it without an answer fails the request.
struct Pending {
    request: Request,
    received: bool,
    ends: Arc<Mutex<Ends>>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.received {
            self.ends.lock().unwrap().dropped.push(self.request);
        }
    }
}

/// Two threads send to an executor that receives some of the requests and then ends. Each request is received once, or
/// its sender learns that the executor has ended, or the request fails. The requests of one sender are received in
/// order, and no earlier one is missing. An executor that waits is woken by each request: such a schedule would not end
/// otherwise.
#[test]
fn a_request_is_received_once_or_given_back() {
    explore(3_000, || {
        let (inbox, receiver) = Inbox::<Pending>::new(usize::MAX);
        let ends = Arc::new(Mutex::new(Ends::default()));
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let (inbox, ends) = (Arc::clone(&inbox), Arc::clone(&ends));
                thread::spawn(move || {
                    let send = |number| {
                        let reply = Pending {
                            request: (sender, number),
                            received: false,
                            ends: Arc::clone(&ends),
                        };
                        inbox.send(Envelope::Idle { reply })
                    };
                    let accepted: Vec<bool> = (0..3).map(send).collect();
                    assert!(
                        accepted.is_sorted_by(|one, next| one >= next),
                        "an ended executor accepts nothing"
                    );
                })
            })
            .collect();
        let enough = thread_rng().gen_range(1..=6);
        while ends.lock().unwrap().received.len() < enough {
            receiver.wait(thread_rng().gen_bool(0.5).then_some(Duration::from_secs(1)));
            let mut envelopes = VecDeque::new();
            receiver.take(&mut envelopes, thread_rng().gen_range(1..4));
            for envelope in envelopes {
                let Envelope::Idle { mut reply } = envelope else {
                    panic!("{envelope:?} was never sent");
                };
                reply.received = true;
                ends.lock().unwrap().received.push(reply.request);
            }
        }
        drop(receiver);
        for sender in senders {
            sender.join().unwrap();
        }
        let ends = ends.lock().unwrap();
        for sender in 0..2 {
            let of_sender = |(of, number): &Request| (*of == sender).then_some(*number);
            let received: Vec<u64> = ends.received.iter().filter_map(of_sender).collect();
            let mut dropped: Vec<u64> = ends.dropped.iter().filter_map(of_sender).collect();
            dropped.sort_unstable();
            assert_eq!([received, dropped].concat(), [0, 1, 2], "{ends:?}");
        }
    });
}

/// A message that is delivered to a full inbox is left to its row, and the executor learns of it. So it receives each
/// message or reads the rows, and never waits while there is one.
#[test]
fn a_delivery_is_received_or_known_to_be_left_to_its_row() {
    explore(2_000, || {
        let (inbox, receiver) = Inbox::<()>::new(1);
        let deliverer = thread::spawn(move || {
            for commit in 1..=3 {
                let target = InstanceId::trusted("@a@k");
                let id = MessageId {
                    batch: commit,
                    index: 0,
                };
                let action = Action::Cancel { timer: String::new() };
                let message = Message::new(id, target.clone(), action, Origin::Instance(target));
                inbox.deliver(message, commit);
            }
        });
        let mut newest = 0;
        while newest < 3 {
            receiver.wait(None);
            let mut envelopes = VecDeque::new();
            receiver.take(&mut envelopes, usize::MAX);
            for envelope in envelopes {
                if let Envelope::Input(input) = envelope
                    && let Input::Delivery { commit, .. } = *input
                {
                    assert_eq!(commit, newest + 1, "deliveries have the order of the commits");
                    newest = commit;
                }
            }
            if receiver.has_spilled() {
                // The rows show everything that was written.
                break;
            }
        }
        deliverer.join().unwrap();
    });
}

/// Clients of a hub whose store may fail signal entities, and one waits for the answer of an operation that never
/// begins. A failure reaches all of them without a shutdown, and a shutdown ends what has not failed. Then all threads
/// of the hub have ended, and each accepted signal is durable.
#[test]
fn an_end_reaches_every_client_and_every_thread() {
    explore(300, || {
        // Nothing drives this runtime, so no `async` operation begins.
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = tokio.enter();
        let model = Arc::new(Model::new());
        match thread_rng().gen_range(0..3) {
            0 => model.fail_sync_after(thread_rng().gen_range(0..3)),
            1 => model.fail_write_after(thread_rng().gen_range(0..4)),
            _ => {}
        }
        let (runtime, threads, client) = start(&model, 2);
        let waiting = client.entity::<Busy>(0).wait();
        let waiting = thread::spawn(move || block_on(waiting.into_future()).unwrap_err());
        let clients: Vec<_> = (1..3)
            .map(|key| {
                let signal = client.entity::<Busy>(key).note().signal();
                thread::spawn(move || match block_on(signal.into_future()) {
                    Ok(()) => Some(key),
                    Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::Poisoned) => None,
                    Err(error) => panic!("{error}"),
                })
            })
            .collect();
        let mut accepted = Vec::new();
        if thread_rng().gen_bool(0.5) {
            for client in clients {
                accepted.extend(client.join().unwrap());
            }
            if runtime.failure().is_some() {
                waiting.join().unwrap();
            }
            runtime.stop(Duration::ZERO);
        } else {
            runtime.stop(Duration::ZERO);
            for client in clients {
                accepted.extend(client.join().unwrap());
            }
        }
        threads.join(Duration::ZERO).unwrap();

        let (written, durable) = runtime.order.watermarks();
        if runtime.failure().is_none() {
            assert_eq!((written, model.unsynced()), (durable, 0));
        }
        assert_eq!(runtime.order.gated(), 0);
        assert!(model.acknowledged() >= durable);
        let kept = model.crash(0).rows();
        let is_kept = |key: &i32| {
            let rows = kept.keys().filter_map(|row| schema::id_text(row));
            rows.into_iter().any(|id| id.ends_with(&format!("@{key}")))
        };
        assert!(
            accepted.iter().all(is_kept),
            "{accepted:?} were accepted, {:?} survive",
            kept.keys()
        );
    });
}
