//! Responses to a start: the links to query the orchestration, or its result.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use crate::client::{OrchestrationHandle, OrchestrationInfo};
use crate::entity::CallError;
use crate::error::{Error, ErrorKind};
use crate::http::documents::StatusDocument;
use crate::http::error::Problem;
use crate::http::links::ManagementUrls;
use crate::http::query::Query;
use crate::http::state::Api;
use crate::model::orchestration::OrchestrationStatus;

/// Maximum time that a request waits for the end of its orchestration, and the status code for a failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    timeout: Option<Duration>,
    failure: StatusCode,
}

impl Wait {
    /// Parses the query. Called before the start, so that an invalid query starts nothing.
    pub(super) fn of(query: &Query, api: &Api) -> Result<Self, Problem> {
        // The end is pushed and not polled, so the interval is only validated.
        query.seconds("pollingInterval")?;
        Ok(Self {
            timeout: query.seconds("timeout")?.map(|timeout| timeout.min(api.wait_limit)),
            failure: failure_code(query)?,
        })
    }

    /// Returns the status code for an orchestration that ended with this status.
    fn code(self, status: OrchestrationStatus) -> StatusCode {
        if status == OrchestrationStatus::Failed {
            self.failure
        } else {
            StatusCode::OK
        }
    }
}

/// Returns the status code for a failed orchestration.
pub(super) fn failure_code(query: &Query) -> Result<StatusCode, Problem> {
    Ok(if query.flag("returnInternalServerErrorOnFailure", false)? {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    })
}

/// Returns the response to a start: the links to the orchestration, or its result if the request waits and the
/// orchestration ends in time. The result is the bare output if the orchestration completed, or else its status
/// document.
pub(super) async fn answer(
    api: &Api,
    urls: &ManagementUrls,
    wait: Wait,
    run: &OrchestrationHandle,
) -> Result<Response, Problem> {
    let Some(timeout) = wait.timeout else {
        return Ok(urls.check_status(run.id()));
    };
    match run.result_within(timeout).await {
        Err(CallError::Runtime(error)) if !means_an_end(&error) => {
            if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Stopped) {
                return Ok(urls.check_status(run.id()));
            }
            return Err(error.into());
        }
        _ => {}
    }
    let Some(info) = run.status().await? else {
        return Err(Problem::not_found(format!(
            "orchestration `{}` was purged during the wait",
            run.id()
        )));
    };
    match (info.status, info.output) {
        (OrchestrationStatus::Completed, Some(output)) => api.budget.answer_text(StatusCode::OK, output.into_bytes()),
        (status, output) if status.is_terminal() => {
            let document = StatusDocument::from(OrchestrationInfo { output, ..info });
            let mut response = api.budget.answer(&document)?;
            *response.status_mut() = wait.code(status);
            Ok(response)
        }
        // The orchestration was restarted after it ended.
        _ => Ok(urls.check_status(run.id())),
    }
}

/// Returns `true` if this error of a wait means that the orchestration has ended.
fn means_an_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Terminated | ErrorKind::Serialization)
}
