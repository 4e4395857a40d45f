//! Routes that start orchestrations.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::error::{Error, ErrorKind};
use crate::http::documents::{CheckStatus, ErrorDocument, StartHeaders, StartRefused, WaitArguments};
use crate::http::error::Problem;
use crate::http::extract::{IdempotencyKey, Path};
use crate::http::links::ManagementUrls;
use crate::http::names;
use crate::http::payload::Payload;
use crate::http::query::Query;
use crate::http::routes::wait::{self, Wait};
use crate::http::state::Api;
use crate::http::trace::Trace;

/// Extractors of a start, in addition to the path and the body.
type Head = (State<Arc<Api>>, ManagementUrls, Query, Trace, IdempotencyKey);

/// Starts an orchestration
///
/// The input is JSON, whatever the content type is; an empty body is `null`. The orchestration gets a random id.
#[utoipa::path(
    post,
    path = "/orchestrators/{name}",
    tag = "orchestrations",
    params(
        ("name" = String, Path, description = "The name of the orchestration's type. Case-insensitive unless several names differ only in case."),
        ("version" = Option<String>, Query, description = "The version to start (default: the newest)."),
        WaitArguments,
        StartHeaders
    ),
    request_body(content = Option<serde_json::Value>, description = "The input."),
    responses(
        (status = 202, description = "The orchestration was started.", body = CheckStatus, headers(
            ("Location" = String, description = "URL to query the status."),
            ("Retry-After" = u32, description = "Seconds to wait before the first query.")
        )),
        (status = 200, description = "With `timeout`: the output, or the status document if the orchestration failed or was terminated.", body = serde_json::Value),
        (status = 500, description = "With `returnInternalServerErrorOnFailure`: the orchestration failed.", body = serde_json::Value),
        StartRefused
    )
)]
pub(super) async fn start(head: Head, Path(name): Path<String>, payload: Payload) -> Result<Response, Problem> {
    begin(head, name, None, payload).await
}

/// Starts an orchestration with an id
///
/// Works like the start without an id.
#[utoipa::path(
    post,
    path = "/orchestrators/{name}/{instanceId}",
    tag = "orchestrations",
    params(
        ("name" = String, Path, description = "The name of the orchestration's type. Case-insensitive unless several names differ only in case."),
        ("instanceId" = String, Path, description = "The id of the new orchestration."),
        ("version" = Option<String>, Query, description = "The version to start (default: the newest)."),
        ("reuse" = Option<String>, Query, description = "Policy if the id is in use (default: `error`). `error`, `ignore` and `terminate` apply if the orchestration has not ended; `rejectDuplicate` rejects the start even if it has ended."),
        WaitArguments,
        StartHeaders
    ),
    request_body(content = Option<serde_json::Value>, description = "The input."),
    responses(
        (status = 202, description = "The orchestration was started.", body = CheckStatus, headers(
            ("Location" = String, description = "URL to query the status."),
            ("Retry-After" = u32, description = "Seconds to wait before the first query.")
        )),
        (status = 200, description = "With `timeout`: the output, or the status document if the orchestration failed or was terminated.", body = serde_json::Value),
        (status = 409, description = "An orchestration with this id has not ended, or it has ended and `reuse` is `rejectDuplicate`.", body = ErrorDocument),
        (status = 500, description = "With `returnInternalServerErrorOnFailure`: the orchestration failed.", body = serde_json::Value),
        StartRefused
    )
)]
pub(super) async fn start_with_id(
    head: Head,
    Path((name, id)): Path<(String, String)>,
    payload: Payload,
) -> Result<Response, Problem> {
    begin(head, name, Some(id), payload).await
}

async fn begin(
    (State(api), urls, query, trace, IdempotencyKey(key)): Head,
    name: String,
    id: Option<String>,
    payload: Payload,
) -> Result<Response, Problem> {
    let wait = Wait::of(&query, &api)?;
    let reuse = query.reuse("reuse")?;
    let name = names::orchestration(&api, &name)?;
    let mut refused = None;
    for input in payload.inputs()? {
        let mut start = api
            .client
            .start_by_name_with_json(name.as_str(), input)
            .trace(trace.0.clone())
            .refuse_when_full();
        if let Some(id) = &id {
            start = start.instance_id(id).reuse(reuse);
        }
        if let Some(version) = query.text("version") {
            start = start.version(version);
        }
        if let Some(key) = &key {
            start = start.request_id(key);
        }
        match start.await {
            Ok(run) => return wait::answer(&api, &urls, wait, &run).await,
            // Nothing was stored. Another interpretation of the input may fit.
            Err(error) if error.kind() == ErrorKind::InvalidArguments => refused = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    let none = || Error::new(ErrorKind::InvalidArguments, "there is no input");
    Err(refused.unwrap_or_else(none).into())
}
