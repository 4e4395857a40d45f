//! A request of an orchestration, with the polls that follow it.

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

/// How long to wait before a poll, if the answer does not say.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// The longest wait before a poll, whatever the answer says.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What is not sent with a poll: what describes a body, which a poll has none of, and a key that made the first request
/// one of its kind, under which a server would give its answer again.
const OF_THE_FIRST: [&str; 6] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "idempotency-key",
    "transfer-encoding",
];

/// What is not sent to another server than the first.
const SECRETS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

type Outcome = Result<HttpResponse, CallError<HttpError>>;

impl OrchestrationContext {
    /// Makes an HTTP request, and answers with whatever status comes back: `ctx.call_http(HttpRequest::get(url)).await?`.
    ///
    /// While the answer is 202 with a `Location`, it waits as long as `Retry-After` says, in seconds or until a date, and
    /// asks there with `GET`. It waits a second if nothing is said, and a day at most. The wait is a durable timer, so that
    /// the polling goes on after a restart. Each poll adds to the history: a job that is polled for weeks is better asked
    /// for with [`poll_202(false)`](HttpRequest::poll_202) and [`continue_as_new`](Self::continue_as_new). A poll has the
    /// headers of the first request, without those about its body and its `Idempotency-Key`, and, on another server, without
    /// `Authorization`, `Cookie` and `Proxy-Authorization`.
    ///
    /// Each exchange is an activity of the name `abide-http`, and as every activity it is made at least once. So that the
    /// other side can make that once, it sends the activity's idempotency key as `Idempotency-Key`, unless the request has
    /// one. What is not visible ASCII in the orchestration's id is percent-encoded in it. An answer takes no more than the
    /// hub's [limit for payloads](crate::HubBuilder::payload_limit). Redirects are not followed; they are answers as others
    /// are. A proxy is taken from the environment, as `HTTPS_PROXY` and its like name it.
    #[track_caller]
    pub fn call_http(&self, request: HttpRequest) -> HttpCall {
        // The limit of the whole comes first, so that it covers the first exchange too.
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

/// An HTTP request, made by [`OrchestrationContext::call_http`]. The first exchange runs whether the call is awaited or not,
/// from the end of the turn on; polls follow while it is awaited. Dropping it cancels it.
///
/// # Errors
/// [`CallError::Returned`] with an [`HttpError`]. [`CallError::Runtime`] as [`ActivityCall`] has it, with
/// [`TooLarge`](crate::ErrorKind::TooLarge) for a request over the limit of payloads.
#[must_use = "a call that is dropped is cancelled: await it"]
pub struct HttpCall(State);

enum State {
    Begun(Box<Begun>),
    Running(LocalBoxFuture<Outcome>),
    /// Between the two, and after a panic.
    Taken,
}

struct Begun {
    plan: Plan,
    first: ActivityCall<http_exchange>,
    timer: Option<Timer>,
}

/// How the call goes on after its first exchange.
struct Plan {
    context: OrchestrationContext,
    request: HttpRequest,
    deadline: Option<SystemTime>,
    retry: Option<RetryPolicy>,
}

impl HttpCall {
    /// Repeats exchanges that [failed to connect](HttpError::ConnectionFailed) or [took too long](HttpError::TimedOut), the
    /// polls too, each with attempts of its own. Without it they are not repeated. An answer of whatever status is not.
    ///
    /// # Panics
    /// After an await: options are set where the call is made.
    #[track_caller]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        let State::Begun(begun) = self.0 else {
            panic!("the retry policy of an HTTP request is set where the call is made, before it is awaited");
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
            State::Taken => panic!("an HTTP request was polled after it had finished"),
        };
        let outcome = running.as_mut().poll(cx);
        if outcome.is_pending() {
            self.0 = State::Running(running);
        }
        outcome
    }
}

impl Begun {
    /// Runs to the last answer, or until the time is over.
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

    /// Where to ask for something newer than this answer, if it is not the last.
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

    /// How long an exchange that begins now may take.
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

/// How long an answer says that the next poll should wait.
fn wait(answer: &HttpResponse, now: SystemTime) -> Duration {
    let Some(text) = answer.header("Retry-After").map(str::trim) else {
        return USUAL_WAIT;
    };
    let said = match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => jiff::fmt::rfc2822::parse(text).ok().map(|date| {
            SystemTime::from(date.timestamp())
                .duration_since(now)
                .unwrap_or_default()
        }),
    };
    said.unwrap_or(USUAL_WAIT).min(LONGEST_WAIT)
}

/// Gives an error of the activity its type.
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
