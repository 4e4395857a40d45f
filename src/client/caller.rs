//! The client as a caller of entities.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::client::draw::draw_id;
use crate::client::handle::Client;
use crate::client::reply::{accepted, into_error, unexpected};
use crate::client::signal::{Cancel, Cancellation, ScheduledSignal, Signal};
use crate::client::submit::{Sending, Submission};
use crate::entity::caller::When;
use crate::entity::caller::sealed::{Due, Prepared, Sealed};
use crate::entity::{CallFailure, Caller, CanCall, ClientCaller};
use crate::error::Result;
use crate::id::EntityId;
use crate::model::{self, Action, StateRecord};
use crate::runtime::Response;
use crate::schema;
use crate::views::view::View;

/// A call in progress.
#[derive(Debug)]
pub struct Calling(Sending);

impl Future for Calling {
    type Output = Result<Vec<u8>, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(Response::Answer(answer)) => Ok(answer),
            Ok(other) => Err(unexpected(&other).into()),
            Err(failure) => Err(failure),
        })
    }
}

/// A read of a state in progress.
pub(crate) type ReadingState = Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>>> + Send>>;

impl Sealed for Client {}

impl CanCall for Client {}

impl Caller for Client {
    type Signaled = Signal;
    type Scheduled = ScheduledSignal;
    type Canceled = Cancel;
    type Answer = Calling;

    #[inline]
    fn share(&self) -> Self {
        Client::share(self)
    }

    #[inline]
    fn call(self, request: Prepared) -> Calling {
        let submission = request.0.map(Submission::call);
        Calling(Sending::new(submission, self.into_hub()))
    }

    #[inline]
    fn signal(self, request: Prepared) -> Signal {
        let submission = request.0.map(Submission::signal);
        Signal(Sending::new(submission, self.into_hub()))
    }

    fn schedule(self, request: Prepared, due: Due, timer: Option<String>) -> ScheduledSignal {
        ScheduledSignal(Box::pin(async move {
            let request = request.0?;
            let due = match due.0 {
                When::At(time) => time,
                When::After(duration) => self.runtime()?.clock.now().after(duration),
            };
            let timer = timer.unwrap_or_else(|| draw_id("schedule", request.request_id.as_deref()));
            let submission = Submission {
                action: Action::Schedule {
                    timer: timer.clone(),
                    due,
                    operation: request.operation,
                    arguments: request.arguments,
                },
                target: request.target.into_instance(),
                call: false,
                request_id: request.request_id,
                refuse_when_full: request.refuse_when_full,
                trace: None,
            };
            accepted(submission.run(self.hub()).await).map(|()| timer)
        }))
    }

    fn cancel(self, target: Result<EntityId>, timer: String) -> Cancel {
        Cancel(Box::pin(async move {
            let submission = Submission {
                target: target?.into_instance(),
                action: Action::Cancel { timer },
                call: true,
                request_id: None,
                refuse_when_full: false,
                trace: None,
            };
            match submission.run(self.hub()).await.map_err(into_error)? {
                Response::Answer(answer) if answer == b"true" => Ok(Cancellation::Canceled),
                _ => Ok(Cancellation::TooLate),
            }
        }))
    }
}

impl ClientCaller for Client {
    type State = ReadingState;

    fn read_state(self, target: Result<EntityId>) -> ReadingState {
        Box::pin(async move {
            let target = target?;
            let client = self.of(target.instance())?;
            client.read_newest(|view| read_state(view, &target)).await
        })
    }
}

/// Reads the newest written state. The caller may release it only when everything written is durable.
fn read_state(view: View<'_>, target: &EntityId) -> Result<Option<Vec<u8>>> {
    let partition = target.instance().partition(view.partitions);
    let row = view.reader.get(&schema::state::key(partition, target.instance()))?;
    let Some(row) = row else { return Ok(None) };
    let record: StateRecord<'_> = model::decode(&row, "state")?;
    Ok(Some(record.state.to_vec()))
}
