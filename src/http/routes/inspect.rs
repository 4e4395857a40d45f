//! Routes that look into one orchestration: its turns, its tree, and a replay of its history.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::client::{OrchestrationTree, ReplayOutcome, TurnState, Waiting};
use crate::http::documents::ErrorDocument;
use crate::http::error::Problem;
use crate::http::extract::Path;
use crate::http::response_budget;
use crate::http::routes::instances::missing;
use crate::http::state::Api;

/// Shows why an orchestration does not continue
///
/// Lists its open steps and what each of them waits for: an activity and its place in line, a timer, an event, the
/// queue or the lock of an entity, a sub-orchestration. The reasons of another orchestration that it waits for are part
/// of the document. If the code is registered, each step has its position in the source.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/waiting",
    tag = "orchestrations",
    params(("instanceId" = String, Path, description = "The id of the orchestration.")),
    responses(
        (status = 200, description = "The reasons.", body = Waiting),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn get_waiting(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let share = api.budget.take(response_budget::PAGE).await?;
    let waiting = api.client.untyped_orchestration(&id).waiting().await?;
    share.answer(&waiting.ok_or_else(|| missing(&id))?)
}

/// Shows the tree of an orchestration
///
/// The orchestrations that its newest execution has started, and theirs: at most 1,000, and at most 50 levels.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/tree",
    tag = "orchestrations",
    params(("instanceId" = String, Path, description = "The id of the orchestration.")),
    responses(
        (status = 200, description = "The tree.", body = OrchestrationTree),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn get_tree(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let share = api.budget.take(response_budget::PAGE).await?;
    let run = api.client.untyped_orchestration(&id);
    let tree = api.counted(async move { Ok(run.tree().await?) }).await?;
    share.answer(&tree.ok_or_else(|| missing(&id))?)
}

/// Shows how an orchestration stood after a turn
///
/// Lists the steps that were open after the turn. If the code is registered, the history is replayed up to the turn,
/// which shows the position of each step in the source and the custom status. The replay changes nothing.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/turns/{turn}",
    tag = "orchestrations",
    params(
        ("instanceId" = String, Path, description = "The id of the orchestration."),
        ("turn" = u32, Path, description = "The number of the turn, starting at 0.")
    ),
    responses(
        (status = 200, description = "The state after the turn.", body = TurnState),
        (status = 400, description = "The id or the number is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration or the turn does not exist.", body = ErrorDocument),
        (status = 503, description = "There is currently not enough memory for the response.", body = ErrorDocument)
    )
)]
pub(super) async fn get_turn(
    State(api): State<Arc<Api>>,
    Path((id, turn)): Path<(String, u32)>,
) -> Result<Response, Problem> {
    let share = api.budget.take(response_budget::PAGE).await?;
    share.answer(&api.client.untyped_orchestration(&id).at_turn(turn).await?)
}

/// Checks whether the registered code still fits a history
///
/// Replays the history of the newest execution with the code of this build and reports the first difference. It changes
/// nothing.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/replay",
    tag = "orchestrations",
    params(("instanceId" = String, Path, description = "The id of the orchestration.")),
    responses(
        (status = 200, description = "The result: `matches`, `stops` with a reason, or `noCode` for a stopped hub.", body = ReplayDocument),
        (status = 400, description = "The id is invalid.", body = ErrorDocument),
        (status = 404, description = "The orchestration does not exist.", body = ErrorDocument)
    )
)]
pub(super) async fn check_replay(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let replay = api.client.untyped_orchestration(&id).check_replay().await?;
    api.budget.answer(&ReplayDocument { replay })
}

/// The result of a replay.
#[derive(Serialize, ToSchema)]
struct ReplayDocument {
    replay: ReplayOutcome,
}
