//! An HTTP request of an orchestration, with the polls that follow it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use crate::entity::CallError;
use crate::failure::{CallFailure, Failure};
use crate::http_client::error::HttpError;
use crate::http_client::exchange::http_exchange;
use crate::http_client::request::HttpRequest;
use crate::http_client::response::HttpResponse;
use crate::http_client::url::{resolve, same_origin};
use crate::orchestration::{ActivityCall, LocalBoxFuture, OrchestrationContext, Timer};
use crate::retry::RetryPolicy;

/// Delay before a poll, if the response specifies none.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// Maximum delay before a poll, whatever the response specifies.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Headers that are not sent with a poll. Some describe a body, which a poll does not have. The idempotency key
/// identifies the first request, for which a server would repeat its first response.
const OF_THE_FIRST: [&str; 6] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "idempotency-key",
    "transfer-encoding",
];

/// Headers that are not sent to any server but the first.
const SECRETS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

type Outcome = Result<HttpResponse, CallError<HttpError>>;

impl OrchestrationContext {
    /// Makes an HTTP request and returns the response, whatever its status:
    /// `ctx.call_http(HttpRequest::get(url)).await?`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::http_client::HttpRequest;
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn fetch(ctx: OrchestrationContext, url: String) -> Result<String, Failure> {
    ///     let request = HttpRequest::get(url)
    ///         .header("Accept", "text/plain")
    ///         .timeout(Duration::from_secs(3600));
    ///     let response = ctx.call_http(request).retry(RetryPolicy::new(3)).await?;
    ///     if !response.is_success() {
    ///         return Err(Failure::message(format!("the answer has the status {}", response.status)));
    ///     }
    ///     Ok(response.text()?.to_owned())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::in_memory().orchestration::<fetch>().open().await?;
    /// let run = hub.client().start::<fetch>("not a URL".into()).await?;
    /// match run.result().await {
    ///     Err(CallError::Returned(failure)) => assert_eq!(failure.error_type, "HttpError"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// While the response is 202 with a `Location`, the call waits and then polls that URL with `GET`. The delay is the
    /// `Retry-After` of the response, in seconds or as a date. It is one second without that header, and at most one
    /// day. The delay is a durable timer, so polling resumes after a restart. Each poll adds to the history. For a job
    /// that takes weeks, prefer [`poll_202(false)`](HttpRequest::poll_202) and
    /// [`continue_as_new`](Self::continue_as_new).
    ///
    /// A poll has the headers of the first request, except for those about its body and its `Idempotency-Key`. On
    /// another server, `Authorization`, `Cookie` and `Proxy-Authorization` are omitted as well.
    ///
    /// Each exchange is an activity named `abide-http`. Like every activity, it runs at least once. To let the server
    /// detect a repetition, the request carries the activity's idempotency key as `Idempotency-Key`, unless it has that
    /// header. Characters of the orchestration's id that are not visible ASCII are percent-encoded in the key.
    ///
    /// A response cannot exceed the hub's [limit for payloads](crate::HubBuilder::payload_limit). Redirects are not
    /// followed, but returned like other responses. A proxy is taken from environment variables such as `HTTPS_PROXY`.
    #[track_caller]
    pub fn call_http(&self, request: HttpRequest) -> HttpCall {
        // The timer of the whole call comes first, so that it covers the first exchange too.
        let timer = request.timeout.map(|timeout| self.create_timer(timeout));
        let plan = Plan {
            deadline: request
                .timeout
                .and_then(|timeout| self.current_utc_time().checked_add(timeout)),
            context: self.clone(),
            request,
            retry: None,
        };
        let first = HttpRequest {
            exchange_timeout: plan.exchange_timeout(),
            ..plan.request.clone()
        };
        HttpCall(State::Begun(Box::new(Begun {
            first: self.call_activity::<http_exchange>(first),
            plan,
            timer,
        })))
    }
}

/// An HTTP request, created by [`OrchestrationContext::call_http`].
///
/// The first exchange starts at the end of the turn, whether or not the call is awaited. Polls follow while it is
/// awaited. Dropping the call cancels it.
///
/// # Errors
/// Returns [`CallError::Returned`] with an [`HttpError`], or [`CallError::Runtime`] as described for [`ActivityCall`],
/// with [`TooLarge`](crate::ErrorKind::TooLarge) for a request over the limit of payloads.
#[must_use = "a dropped call is canceled; await it"]
pub struct HttpCall(State);

enum State {
    Begun(Box<Begun>),
    Running(LocalBoxFuture<Outcome>),
    /// Between the two other states, and after a panic.
    Taken,
}

struct Begun {
    plan: Plan,
    first: ActivityCall<http_exchange>,
    timer: Option<Timer>,
}

/// The plan for the call after its first exchange.
struct Plan {
    context: OrchestrationContext,
    request: HttpRequest,
    deadline: Option<SystemTime>,
    retry: Option<RetryPolicy>,
}

impl HttpCall {
    /// Sets the policy for retrying exchanges that [failed to connect](HttpError::ConnectionFailed) or
    /// [timed out](HttpError::TimedOut) (default: no retries).
    ///
    /// Polls are retried too, and each exchange has its own attempts. A response is not retried, whatever its status.
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        let State::Begun(begun) = self.0 else {
            panic!("the retry policy of an HTTP request must be set where the call is made, before an await");
        };
        let Begun { mut plan, first, timer } = *begun;
        plan.retry = Some(policy);
        let first = first.retry(policy);
        Self(State::Begun(Box::new(Begun { plan, first, timer })))
    }
}

impl Future for HttpCall {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut running = match std::mem::replace(&mut self.0, State::Taken) {
            State::Begun(begun) => Box::pin(begun.run()),
            State::Running(running) => running,
            State::Taken => panic!("an HTTP request was polled after completion"),
        };
        let outcome = running.as_mut().poll(cx);
        if outcome.is_pending() {
            self.0 = State::Running(running);
        }
        outcome
    }
}

impl Begun {
    /// Runs until the last response or the time limit.
    async fn run(self: Box<Self>) -> Outcome {
        let Self { plan, first, mut timer } = *self;
        let mut answer = pin!(plan.to_the_last_answer(first));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            match &mut timer {
                Some(timer) => Pin::new(timer).poll(cx).map(|()| Err(plan.timed_out())),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Plan {
    async fn to_the_last_answer(&self, first: ActivityCall<http_exchange>) -> Outcome {
        let mut url = self.request.url.clone();
        let mut answer = first.await.map_err(typed)?;
        while let Some(location) = self.next(&answer) {
            url = resolve(&url, location);
            let wait = wait(&answer, self.context.current_utc_time());
            self.context.create_timer(wait).await;
            let mut poll = self.context.call_activity::<http_exchange>(self.poll(&url));
            if let Some(policy) = self.retry {
                poll = poll.retry(policy);
            }
            answer = poll.await.map_err(typed)?;
        }
        Ok(answer)
    }

    /// Returns the URL to poll, if this response is not the last.
    fn next<'a>(&self, answer: &'a HttpResponse) -> Option<&'a str> {
        let polled = self.request.poll_202 && answer.status == 202;
        answer.header("Location").filter(|_| polled)
    }

    fn poll(&self, url: &str) -> HttpRequest {
        let at_home = same_origin(&self.request.url, url);
        let headers = self.request.headers.iter().filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !OF_THE_FIRST.contains(&name.as_str()) && (at_home || !SECRETS.contains(&name.as_str()))
        });
        HttpRequest {
            headers: headers.cloned().collect(),
            exchange_timeout: self.exchange_timeout(),
            ..HttpRequest::get(url)
        }
    }

    /// Returns the time limit of an exchange that begins now.
    fn exchange_timeout(&self) -> Duration {
        let left = self.deadline.map(|deadline| {
            let left = deadline.duration_since(self.context.current_utc_time());
            left.unwrap_or_default()
        });
        left.map_or(self.request.exchange_timeout, |left| {
            left.min(self.request.exchange_timeout)
        })
    }

    fn timed_out(&self) -> CallError<HttpError> {
        CallError::Returned(HttpError::TimedOut {
            url: self.request.url.clone(),
            after: self.request.timeout.unwrap_or_default(),
        })
    }
}

/// Returns the delay before the next poll, as specified by a response.
fn wait(answer: &HttpResponse, now: SystemTime) -> Duration {
    let Some(text) = answer.header("Retry-After").map(str::trim) else {
        return USUAL_WAIT;
    };
    let specified = match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => jiff::fmt::rfc2822::parse(text).ok().map(|date| {
            SystemTime::from(date.timestamp())
                .duration_since(now)
                .unwrap_or_default()
        }),
    };
    specified.unwrap_or(USUAL_WAIT).min(LONGEST_WAIT)
}

/// Converts an error of the activity to its type.
fn typed(error: CallError<Failure>) -> CallError<HttpError> {
    match error {
        CallError::Returned(failure) => CallError::from_failure(CallFailure::Returned(failure)),
        CallError::Runtime(error) => CallError::Runtime(error),
    }
}

impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Begun(begun) => write!(f, "HttpCall of `{}`, {:?}", begun.plan.request.url, begun.first),
            State::Running(_) => f.write_str("HttpCall, running"),
            State::Taken => f.write_str("HttpCall, finished"),
        }
    }
}
