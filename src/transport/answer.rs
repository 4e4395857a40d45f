//! One request on the side of the server.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};

use super::body::{self, ReadError};
use super::service::Service;
use super::turns::Turn;
use crate::panic::text;

/// The path of each request, which is the version of the protocol.
const VERSION: &str = "/1";

/// Answers one HTTP request. A failure is a status without a body.
pub(super) async fn answer(
    service: Arc<dyn Service>,
    turn: Option<Turn>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = match *request.method() {
        _ if request.uri().path() != VERSION => Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
        Method::POST => ask(&*service, turn, request.into_body()).await,
        // The first request of each connection. Its answer tells the client that it is admitted.
        Method::GET => Ok(Bytes::new()),
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(status) => (status, Bytes::new()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    Ok(response)
}

async fn ask(service: &dyn Service, turn: Option<Turn>, request: Incoming) -> Result<Bytes, StatusCode> {
    let request = body::read(request).await.map_err(|error| match error {
        ReadError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ReadError::Broken(_) => StatusCode::BAD_REQUEST,
    })?;
    // The call is inside of the future, because it may also panic.
    let answering = pin!(async move { service.answer(request).await });
    let mut answering = pin!(catch_panic(answering));
    if let Some(turn) = turn {
        turn.come().await;
        // It begins when it is polled.
        let begun = poll_fn(|context| Poll::Ready(answering.as_mut().poll(context))).await;
        drop(turn);
        if let Poll::Ready(answer) = begun {
            return answer.map_err(report);
        }
    }
    answering.await.map_err(report)
}

fn report(panic: Box<dyn Any + Send>) -> StatusCode {
    tracing::error!(panic = text(&*panic), "a request of another node panicked");
    StatusCode::INTERNAL_SERVER_ERROR
}

/// Returns the output of a future, or the value with which it panicked.
async fn catch_panic<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut poll = move |context: &mut Context<'_>| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => Poll::Pending,
    };
    // After a panic, the future is dropped and never polled again.
    poll_fn(|context| catch_unwind(AssertUnwindSafe(|| poll(context))).unwrap_or_else(|panic| Poll::Ready(Err(panic))))
        .await
}
