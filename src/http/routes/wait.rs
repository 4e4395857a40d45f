//! What follows a start: the links to look at the orchestration, or its end.

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
use crate::store::records::instance::OrchestrationStatus;

/// How long a request waits for the end of what it starts, and how it wants to hear of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    timeout: Option<Duration>,
    failure: StatusCode,
}

impl Wait {
    /// What the query asks for. Read before anything is started, so that nothing is if it is wrong.
    pub(super) fn of(query: &Query, api: &Api) -> Result<Self, Problem> {
        // The end is pushed, so nothing is polled; the interval is only checked.
        query.seconds("pollingInterval")?;
        Ok(Self {
            timeout: query.seconds("timeout")?.map(|timeout| timeout.min(api.wait_limit)),
            failure: failure_code(query)?,
        })
    }

    /// The code that goes with how an orchestration has ended.
    fn code(self, status: OrchestrationStatus) -> StatusCode {
        if status == OrchestrationStatus::Failed {
            self.failure
        } else {
            StatusCode::OK
        }
    }
}

/// The code that goes with an orchestration that has failed.
pub(super) fn failure_code(query: &Query) -> Result<StatusCode, Problem> {
    Ok(if query.flag("returnInternalServerErrorOnFailure", false)? {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    })
}

/// The check-status answer. If the request waits and the orchestration ends meanwhile, the bare output if it completed, or
/// else how it stands.
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
        Err(CallError::Runtime(error)) if !tells_an_end(&error) => {
            if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Stopped) {
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
            let document = StatusDocument::from(OrchestrationInfo { output, ..info });
            let mut response = api.room.answer(&document)?;
            *response.status_mut() = wait.code(status);
            Ok(response)
        }
        // It was started again since it ended.
        _ => Ok(urls.check_status(run.id())),
    }
}

/// Whether a wait that failed with this error was a wait for an end that came.
fn tells_an_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Terminated | ErrorKind::Serialization)
}
