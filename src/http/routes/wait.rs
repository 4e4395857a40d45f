//! What follows a start: the links to look at the orchestration, or its end.

use axum::http::StatusCode;
use axum::response::Response;

use crate::client::InstanceHandle;
use crate::entity::CallError;
use crate::error::{Error, ErrorKind};
use crate::http::documents::StatusDocument;
use crate::http::error::Problem;
use crate::http::links::ManagementUrls;
use crate::http::query::Query;
use crate::http::state::Api;
use crate::store::records::instance::OrchestrationStatus;

/// The check-status answer. If the query has a `timeout` and the orchestration ends within it, the bare output if it
/// completed, or else how it stands.
pub(super) async fn answer(
    api: &Api,
    urls: &ManagementUrls,
    query: &Query,
    run: &InstanceHandle,
) -> Result<Response, Problem> {
    // The end is pushed, so nothing is polled; the interval is only checked.
    query.seconds("pollingInterval")?;
    let Some(timeout) = query.seconds("timeout")? else {
        return Ok(urls.check_status(run.id()));
    };
    match run.result_within(timeout.min(api.wait_limit)).await {
        Err(CallError::Runtime(error)) if !tells_an_end(&error) => {
            if error.kind() == ErrorKind::TimedOut {
                return Ok(urls.check_status(run.id()));
            }
            return Err(error.into());
        }
        _ => {}
    }
    let Some(info) = run.status().await? else {
        return Err(Problem::not_found(format!(
            "`{}` was purged while it was waited for",
            run.id()
        )));
    };
    match (info.status, info.output) {
        (OrchestrationStatus::Completed, Some(output)) => api.room.answer_text(StatusCode::OK, output.into_bytes()),
        (status, output) if status.is_terminal() => {
            let status = of_end(query, status)?;
            let document = serde_json::to_vec(&StatusDocument::from(crate::client::OrchestrationInfo {
                output,
                ..info
            }));
            let document = document.map_err(|reason| {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Serialization", reason.to_string())
            })?;
            api.room.answer_text(status, document)
        }
        // It was started again since it ended.
        _ => Ok(urls.check_status(run.id())),
    }
}

/// The code that goes with how an orchestration has ended.
pub(super) fn of_end(query: &Query, status: OrchestrationStatus) -> Result<StatusCode, Problem> {
    let fails = query.flag("returnInternalServerErrorOnFailure", false)?;
    Ok(if fails && status == OrchestrationStatus::Failed {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    })
}

/// Whether a wait that failed with this error was a wait for an end that came.
fn tells_an_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Terminated | ErrorKind::Serialization)
}
