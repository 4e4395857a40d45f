//! The route that sends the changes of a hub as they become durable.

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use tokio::sync::OwnedSemaphorePermit;

use crate::client::{ChangeBatch, ChangeKind, Changes};
use crate::error::Result as HubResult;
use crate::http::documents::ErrorDocument;
use crate::http::error::Problem;
use crate::http::query::Query;
use crate::http::server::Stopping;
use crate::http::state::Api;

/// Time without changes after which a comment is sent, so that proxies keep the connection open.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The kinds that a client receives unless it asks for others.
const USUAL: [ChangeKind; 5] = [
    ChangeKind::Started,
    ChangeKind::Status,
    ChangeKind::Ended,
    ChangeKind::Stopped,
    ChangeKind::Purged,
];

/// Sends changes as they become durable
///
/// Server-sent events with the name of the kind of the change: `started`, `status`, `ended`, `stopped`, `purged`,
/// `turn` or `entity`. The first event is `hello`. The event `missed` means that changes are missing, because the
/// client was too slow or away for too long, or because the hub was opened again: read again what you show. The header
/// `Last-Event-ID` continues an earlier stream.
#[utoipa::path(
    get,
    path = "/events",
    tag = "hub",
    params(
        ("prefix" = Option<String>, Query, description = "Sends only changes of instances whose id has this prefix."),
        ("name" = Option<String>, Query, description = "Sends only changes of instances of the type with this stored name."),
        ("kinds" = Option<String>, Query, description = "Sends only changes of these kinds, separated by commas (default: all but `turn` and `entity`)."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has received.")
    ),
    responses(
        (status = 200, description = "The stream, which ends with the server.", body = String, content_type = "text/event-stream"),
        (status = 400, description = "A parameter is invalid.", body = ErrorDocument),
        (status = 503, description = "Too many clients receive changes.", body = ErrorDocument)
    )
)]
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    query: Query,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(room) = Arc::clone(&api.watchers).try_acquire_owned() else {
        return Err(Problem::overloaded(
            "too many clients receive changes; poll instead, or try again later",
        ));
    };
    let mut changes = api.client.changes();
    if let Some(prefix) = query.text("prefix") {
        changes = changes.prefix(prefix);
    }
    if let Some(name) = query.text("name") {
        changes = changes.name(name);
    }
    for kind in kinds(&query)? {
        changes = changes.kind(kind);
    }
    if let Some(last) = headers.get("last-event-id") {
        changes = changes.after(String::from_utf8_lossy(last.as_bytes()));
    }
    let changes = changes.watch()?;
    let stream = EventStream {
        // It has no id: a client that is cut off here has not received the gap that may follow.
        first: Some("event: hello\ndata: {}\n\n"),
        waiting: wait(changes),
        stopped: stopping.map(|Extension(stopping)| stopped(stopping)),
        _room: room,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::new(stream)).into_response())
}

fn kinds(query: &Query) -> Result<Vec<ChangeKind>, Problem> {
    let text = query.text("kinds").unwrap_or_default();
    let mut names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .peekable();
    if names.peek().is_none() {
        return Ok(USUAL.to_vec());
    }
    let known = |name: &str| {
        ChangeKind::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    };
    let kinds = names.map(|name| {
        known(name).ok_or_else(|| {
            let all = ChangeKind::ALL.map(ChangeKind::as_str).join("`, `");
            let name: String = name.chars().take(64).collect();
            Problem::bad_request(
                "InvalidQuery",
                format!(
                    "the parameter `kinds` contains `{}`; the kinds are `{all}`",
                    name.escape_debug()
                ),
            )
        })
    });
    kinds.collect()
}

/// The next batch of changes, or `None` after a while without any.
type Waiting = Pin<Box<dyn Future<Output = (Changes, Option<HubResult<ChangeBatch>>)> + Send>>;

fn wait(mut changes: Changes) -> Waiting {
    Box::pin(async move {
        let next = tokio::time::timeout(HEARTBEAT, changes.next()).await;
        (changes, next.ok())
    })
}

fn stopped(mut stopping: Stopping) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move { stopping.wait().await })
}

/// The body of the response. It ends when the hub closes or the server stops.
struct EventStream {
    first: Option<&'static str>,
    waiting: Waiting,
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _room: OwnedSemaphorePermit,
}

impl http_body::Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(first.as_bytes())))));
        }
        if let Some(stopped) = &mut self.stopped
            && stopped.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        let (changes, next) = ready!(self.waiting.as_mut().poll(cx));
        let text = match next {
            None => ": ping\n\n".to_owned(),
            Some(Ok(batch)) => text(&batch),
            // The hub is closed.
            Some(Err(_)) => return Poll::Ready(None),
        };
        self.waiting = wait(changes);
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}

fn text(batch: &ChangeBatch) -> String {
    let gap = batch.has_gap.then(|| ("missed", "{}".to_owned()));
    // JSON has no line breaks, so the data is one line.
    let changes = batch.changes.iter();
    let changes = changes.map(|change| (change.kind.as_str(), serde_json::to_string(change).unwrap_or_default()));
    let mut events = gap.into_iter().chain(changes).peekable();
    let mut text = String::new();
    while let Some((name, data)) = events.next() {
        // The last event has the position after all of them. A client that is cut off in between receives them again.
        if events.peek().is_none() {
            let _ = writeln!(text, "id: {}", batch.position);
        }
        let _ = write!(text, "event: {name}\ndata: {data}\n\n");
    }
    text
}
