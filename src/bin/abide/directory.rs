//! Access to the directory of a stopped hub. The management API runs within this process, read-only.

use std::path::Path;
use std::time::Duration;

use abide::http::HttpConfig;
use abide::{Error, ErrorKind, Hub};
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::exit::{Exit, Failure, Result};
use crate::request::{Answer, CONTINUATION, Request, UNREADABLE};

/// Maximum duration of a request. No other client uses the directory, and counting many records takes time.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// A stopped hub.
pub(crate) struct Directory {
    router: Router,
    runtime: Runtime,
}

impl Directory {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let runtime = runtime()?;
        let opened = runtime.block_on(async {
            let client = Hub::inspect(directory).client().await?;
            abide::http::router(client, &HttpConfig::new().without_token().request_timeout(PATIENCE))
        });
        Ok(Self {
            router: opened.map_err(|error| refused(directory, &error))?,
            runtime,
        })
    }

    pub(crate) fn send(&self, request: &Request) -> std::result::Result<Answer, Failure> {
        let mut head = axum::http::Request::builder()
            .method(request.method)
            .uri(request.target())
            .header("host", "localhost");
        for (name, value) in &request.headers {
            head = head.header(*name, value);
        }
        if !request.body.is_empty() {
            head = head.header("content-type", "application/json");
        }
        let request = head
            .body(Body::from(request.body.clone()))
            .map_err(|error| Failure::usage(format!("the request is invalid: {error}")))?;
        let router = self.router.clone();
        self.runtime.block_on(async move {
            let answer = match router.oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            let (head, body) = answer.into_parts();
            let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
            let body = body
                .collect()
                .await
                .map_err(|error| Failure::new(Exit::Failed, "Io", format!("the response is incomplete: {error}")))?;
            Ok(Answer {
                status: head.status.as_u16(),
                continuation: header(CONTINUATION).map(str::to_owned),
                unreadable: header(UNREADABLE).and_then(|count| count.parse().ok()).unwrap_or(0),
                body: body.to_bytes().into(),
            })
        })
    }
}

/// Creates the runtime that reads a directory.
pub(crate) fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| {
        Failure::new(
            Exit::Failed,
            "Io",
            format!("the tokio runtime cannot be started: {error}"),
        )
    })?)
}

/// Converts an error of opening a directory into a failure with advice.
pub(crate) fn refused(directory: &Path, error: &Error) -> Failure {
    let code = format!("{:?}", error.kind());
    match error.kind() {
        ErrorKind::Locked => Failure::new(Exit::Unreachable, code, error.to_string()).advise(
            "use the URL at which that process serves the hub, such as --hub http://127.0.0.1:7071, or the directory of a \
             checkpoint made with `hub.checkpoint(..)`",
        ),
        ErrorKind::Format | ErrorKind::Io if !directory.join("FORMAT").exists() => {
            let failure = Failure::new(Exit::NotFound, "NoHub", format!("no hub in {}", directory.display()));
            if looks_like_an_address(directory) {
                failure.advise(format!("for a running hub, use http://{}", directory.display()))
            } else {
                failure.advise("`abide hubs DIRECTORY` finds the hubs below a directory")
            }
        }
        ErrorKind::Corrupted => Failure::new(Exit::Failed, code, error.to_string())
            .advise(format!("run `abide check {}` for details", directory.display())),
        _ => Failure::new(Exit::Failed, code, error.to_string()),
    }
}

/// Returns `true` if the directory looks like a URL without its scheme.
fn looks_like_an_address(directory: &Path) -> bool {
    let text = directory.to_string_lossy();
    let host = text.split('/').next().unwrap_or_default();
    host == "localhost"
        || host
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
