//! The executor without its thread: it receives envelopes, runs the steps of one core, commits them and hands out what
//! may leave the process.
//!
//! It knows neither threads nor tokio, and reads no clock. The thread of an executor runs it, and so does the
//! simulation.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::commit::{CommitOrder, Gated};
use crate::engine::message::{ClientOrigin, Effect, Input, Message, Origin, Output, Token};
use crate::engine::{Core, CoreConfig, CoreStep};
use crate::error::{Error, Result};
use crate::id::MessageId;
use crate::runtime::backpressure::{Backpressure, Response};
use crate::runtime::callers::{Callers, Client};
use crate::runtime::inbox::{Envelope, InboxReceiver};
use crate::store::{Reader, Store};
use crate::time::Timestamp;

/// Something that leaves the process once it is durable.
pub(crate) enum Release<C> {
    /// A client receives its response.
    Reply { client: C, response: Response },
    /// Something happens outside of the core.
    Effect(Effect),
}

/// The result of a commit.
pub(crate) enum Committed<T> {
    /// The step changed rows. Its releases wait at the gate.
    Written,
    /// The step changed no row. Its releases wait until the rows that it read are durable, or may leave at once.
    Read(Gated<T>),
}

/// The state of the store that a step works on.
pub(crate) struct View<'a> {
    reader: ViewReader<'a>,
    /// The newest commit that it shows, of those that other cores may have written.
    pub(crate) seen: u64,
}

enum ViewReader<'a> {
    /// The newest state of the store.
    Newest(&'a dyn Store),
    Snapshot(Box<dyn Reader + 'a>),
}

/// An executor without its thread. `C` is the other end of a request.
pub(crate) struct Driver<C> {
    core: Core,
    inbox: InboxReceiver<C>,
    /// True if the hub has no other executor, so no other core writes messages for this one.
    is_alone: bool,
    callers: Callers<C>,
    /// The clients that wait for the ends of orchestrations. Their tokens are never used again, because the core may
    /// still settle a token that was removed here.
    waits: HashMap<Token, C>,
    /// The clients that wait until there is nothing to do.
    idle_waiters: Vec<C>,
    /// The patience of a request to stop that was received.
    stop: Option<Duration>,
    /// Reusable memory for received envelopes.
    envelopes: VecDeque<Envelope<C>>,
}

impl<C: Client> Driver<C> {
    /// Opens the core.
    ///
    /// # Errors
    /// Any error of the reader.
    pub(crate) fn open(
        config: CoreConfig,
        inbox: InboxReceiver<C>,
        is_alone: bool,
        reader: &dyn Reader,
    ) -> Result<Self> {
        Ok(Self {
            core: Core::open(config, reader)?,
            inbox,
            is_alone,
            callers: Callers::default(),
            waits: HashMap::new(),
            idle_waiters: Vec::new(),
            stop: None,
            envelopes: VecDeque::new(),
        })
    }

    /// Returns `true` if the hub has no other executor.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn inbox(&self) -> &InboxReceiver<C> {
        &self.inbox
    }

    /// Number of clients that wait for the results of requests.
    pub(crate) fn callers(&self) -> usize {
        self.callers.len()
    }

    /// Returns `true` if a client waits for the result of a request.
    pub(crate) fn has_caller(&self) -> bool {
        self.callers.anyone_waits()
    }

    /// Removes and returns all waiting clients.
    pub(crate) fn take_clients(&mut self) -> impl Iterator<Item = C> {
        let waits = self.waits.drain().map(|(_, client)| client);
        self.callers.drain().chain(waits).chain(self.idle_waiters.drain(..))
    }

    /// Closes the inbox, and returns the requests that no step has taken, with their clients.
    pub(crate) fn close(&mut self) -> Vec<(Message, C)> {
        for envelope in self.inbox.close() {
            self.take_in(envelope);
        }
        let mut requests = Vec::new();
        for input in self.core.take_inputs() {
            if let Input::Request { target, action, client } = input
                && let Some(reply) = client.token.and_then(|token| self.callers.remove(token))
            {
                let trace = client.trace.clone();
                let message = Message::new(MessageId::default(), target, action, Origin::Client(client));
                requests.push((message.in_trace(trace), reply));
            }
        }
        requests
    }

    /// Removes and returns the clients that wait until there is nothing to do, if no user code runs for the core. Called
    /// when there is no work.
    pub(crate) fn take_idle_waiters(&mut self) -> Vec<C> {
        if self.idle_waiters.is_empty() || self.core.occupied() > 0 {
            return Vec::new();
        }
        std::mem::take(&mut self.idle_waiters)
    }

    /// Returns `true` if a step would have work. Messages that were left to their rows count, because no other envelope
    /// may ever follow them.
    pub(crate) fn has_work(&self, now: Timestamp) -> bool {
        self.core.has_work(now) || self.inbox.has_spilled()
    }

    /// Receives up to `at_most` envelopes that were sent before the call.
    pub(crate) fn receive(&mut self, at_most: usize) {
        let mut envelopes = std::mem::take(&mut self.envelopes);
        self.inbox.take(&mut envelopes, at_most);
        for envelope in envelopes.drain(..) {
            self.take_in(envelope);
        }
        self.envelopes = envelopes;
    }

    /// Returns the patience of a request to stop, if one was received since the last call.
    pub(crate) fn take_stop(&mut self) -> Option<Duration> {
        self.stop.take()
    }

    fn take_in(&mut self, envelope: Envelope<C>) {
        match envelope {
            Envelope::Request {
                target,
                action,
                client,
                reply,
            } => {
                let token = Some(self.callers.add(reply));
                let client = ClientOrigin { token, ..client };
                self.core.accept(Input::Request { target, action, client });
            }
            Envelope::Operator { request, reply } => {
                let token = self.callers.add(reply);
                self.core.accept(request.into_input(token));
            }
            Envelope::Mail {
                from,
                first,
                messages,
                reply,
            } => {
                let token = self.callers.add(reply);
                self.core.accept(Input::Mail {
                    from,
                    first,
                    messages,
                    token,
                });
            }
            Envelope::Wait {
                instance,
                waiter,
                reply,
            } => {
                self.waits.insert(waiter.token, reply);
                self.core.accept(Input::Wait { instance, waiter });
            }
            Envelope::Forget { instance, token } => {
                // A wait that was settled in the meantime is already removed.
                if self.waits.remove(&token).is_some() {
                    self.core.accept(Input::Forget { instance, token });
                }
            }
            Envelope::Input(input) => self.core.accept(*input),
            Envelope::Idle { reply } => {
                self.idle_waiters.retain(|waiter| !waiter.is_gone());
                self.idle_waiters.push(reply);
            }
            Envelope::Wake => {}
            Envelope::Stop { patience } => {
                self.core.begin_no_more_activities();
                self.stop = Some(patience);
            }
        }
    }

    /// Returns `true` if enough clients have given up to make the search for them cheap per client.
    pub(crate) fn should_forget_callers(&self) -> bool {
        self.callers.is_worth_a_look(self.inbox.given_up())
    }

    /// Forgets the clients that have given up, as far as no message in memory depends on them. Returns their number.
    /// Between two steps only.
    pub(crate) fn forget_callers(&mut self) -> usize {
        self.inbox.forget_given_up();
        let forgotten = self.core.forget_callers(|token| self.callers.is_gone(token));
        for token in &forgotten {
            self.callers.remove(*token);
        }
        forgotten.len()
    }

    /// Returns the view for the next step. What was sent before the call has to be received before the step.
    pub(crate) fn view<'a, T>(&mut self, order: &'a CommitOrder<T>) -> View<'a> {
        if self.is_alone {
            return View {
                reader: ViewReader::Newest(order.store().as_ref()),
                seen: u64::MAX,
            };
        }
        let inbox = &self.inbox;
        let (seen, reader, spilled) = order.snapshot(|| inbox.take_spilled());
        if spilled {
            self.core.accept(Input::Spilled);
        }
        View {
            reader: ViewReader::Snapshot(reader),
            seen,
        }
    }

    /// Runs one step of the core. The clock is read after everything was received, so that no message is processed
    /// before the time at which it was sent, and the number is drawn then, so that the messages of the step have higher
    /// ids than those that they are derived from.
    ///
    /// The step takes at most `at_most` inputs. Only an executor that is [alone](Self::is_alone) may limit them: a message
    /// whose row the view shows has to be taken in before the row is read.
    ///
    /// # Errors
    /// Any error of the reader, or the [reason](CommitOrder::damaged_or_replaced) for what looks like damage.
    pub(crate) fn step<T>(
        &mut self,
        view: View<'_>,
        order: &CommitOrder<T>,
        now: Timestamp,
        at_most: usize,
    ) -> Result<CoreStep> {
        debug_assert!(self.is_alone || at_most == usize::MAX);
        let reader: &dyn Reader = match &view.reader {
            ViewReader::Newest(store) => *store,
            ViewReader::Snapshot(reader) => reader.as_ref(),
        };
        let number = order.draw_batch_number();
        let step = self.core.step(now, number, reader, view.seen, at_most);
        drop(view);
        step.map_err(|error| order.damaged_or_replaced(error))
    }

    /// Returns a step that records the unfinished work, if there is any. Only this core writes these rows, so the
    /// newest state of the store serves as the view.
    ///
    /// # Errors
    /// Any error of the reader.
    pub(crate) fn leave<T>(&mut self, order: &CommitOrder<T>, now: Timestamp) -> Result<Option<CoreStep>> {
        self.core.leave(now, order.draw_batch_number(), order.store().as_ref())
    }

    /// Writes the changes of a step, delivers its messages, and brings what it releases to the gate, each as `wrap`
    /// makes it.
    ///
    /// # Errors
    /// The error that poisoned the order, with what must not leave any more.
    pub(crate) fn commit<T>(
        &mut self,
        mut step: CoreStep,
        order: &CommitOrder<T>,
        room: &Backpressure,
        wrap: impl FnMut(Release<C>) -> T,
        deliver: impl Fn(Message, u64),
    ) -> std::result::Result<Committed<T>, (Error, Vec<T>)> {
        for token in step.stored_calls.drain(..) {
            self.callers.give_back_room(token);
        }
        let outputs = step.outputs.drain(..);
        let mut releases = Vec::with_capacity(outputs.len());
        releases.extend(outputs.filter_map(|output| self.release(output, room)).map(wrap));
        let committed = if step.batch.is_empty() && releases.is_empty() {
            Committed::Read(Gated::Open(releases))
        } else if step.batch.is_empty() {
            Committed::Read(order.hold(releases)?)
        } else {
            let deliveries = std::mem::take(&mut step.deliveries);
            let deliver = |commit| {
                for message in deliveries {
                    deliver(message, commit);
                }
            };
            order.commit(step.now, &mut step.batch, releases, deliver)?;
            Committed::Written
        };
        self.core.reuse(step);
        Ok(committed)
    }

    fn release(&mut self, output: Output, room: &Backpressure) -> Option<Release<C>> {
        match output {
            Output::Settle { token, settled } => {
                let client = self.take_client(token)?;
                let response = room.respond(settled);
                Some(Release::Reply { client, response })
            }
            Output::Effect(effect) => Some(Release::Effect(effect)),
        }
    }

    fn take_client(&mut self, token: Token) -> Option<C> {
        if token.is_wait() {
            self.waits.remove(&token)
        } else {
            self.callers.remove(token)
        }
    }
}

#[cfg(test)]
impl<C: Client> Driver<C> {
    pub(crate) fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    /// The clients that wait for something, with their tokens, in the order of these.
    pub(crate) fn clients(&self) -> Vec<(Token, &C)> {
        let waits = self.waits.iter().map(|(token, client)| (*token, client));
        let mut clients: Vec<_> = self.callers.iter().chain(waits).collect();
        clients.sort_by_key(|(token, _)| *token);
        clients
    }

    /// Puts another client in the place of one.
    pub(crate) fn replace_client(&mut self, token: Token, client: C) {
        if token.is_wait() {
            self.waits.insert(token, client);
        } else {
            self.callers.replace(token, client);
        }
    }
}
