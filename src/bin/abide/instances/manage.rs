//! Commands that manage one orchestration.

use clap::Args;
use serde_json::json;

use crate::exit::Result;
use crate::input;
use crate::output::clean;
use crate::request::Request;
use crate::session::Session;

/// Arguments of the commands that take a reason.
#[derive(Debug, Args)]
pub(crate) struct Because {
    /// The id of the orchestration.
    id: String,

    /// The reason, which is stored with the orchestration.
    #[arg(long)]
    reason: Option<String>,
}

pub(crate) fn because(session: &mut Session, verb: &str, done: &str, arguments: &Because) -> Result {
    let id = &arguments.id;
    let request = Request::post(&["instances", id, verb]).query("reason", arguments.reason.as_deref());
    let document = json!({"instanceId": id, "done": done});
    session.act(&request, &format!("{} is {done}", clean(id)), document)
}

#[derive(Debug, Args)]
pub(crate) struct RaiseEvent {
    /// The id of the orchestration.
    id: String,

    /// The name of the event (case-insensitive).
    event: String,

    #[arg(help = input::HELP, allow_hyphen_values = true)]
    payload: Option<String>,

    /// Makes retries idempotent: requests with the same key raise the event once.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub(crate) fn raise_event(session: &mut Session, arguments: &RaiseEvent) -> Result {
    let RaiseEvent { id, event, .. } = arguments;
    let request = Request::post(&["instances", id, "raiseEvent", event])
        .idempotency_key(arguments.idempotency_key.as_ref())
        .body(input::read(arguments.payload.as_deref())?);
    let document = json!({"instanceId": id, "event": event, "done": "raised"});
    session.act(
        &request,
        &format!("{} is raised for {}", clean(event), clean(id)),
        document,
    )
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The id of the orchestration.
    id: String,
}

pub(crate) fn replay(session: &mut Session, arguments: &Replay) -> Result {
    let request = Request::get(&["instances", &arguments.id, "replay"]);
    let document = session.hub()?.ask(&request)?.json()?;
    let replay = &document["replay"];
    let text = |name: &str| clean(replay[name].as_str().unwrap_or_default());
    let told = match replay["result"].as_str() {
        Some("matches") => "the registered code fits the history".to_owned(),
        Some("noCode") => "the directory of a stopped hub has no code; ask the running hub".to_owned(),
        _ => format!("the orchestration would stop ({}): {}", text("kind"), text("message")),
    };
    session.done(&told, &document)
}

#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// The id of the orchestration.
    id: String,

    /// Keeps the id and discards the history so far; the orchestration must have ended.
    #[arg(long)]
    same_id: bool,

    #[arg(long, help = input::HELP, allow_hyphen_values = true)]
    input: Option<String>,
}

pub(crate) fn restart(session: &mut Session, arguments: &Restart) -> Result {
    let keeps = (!arguments.same_id).to_string();
    let mut request =
        Request::post(&["instances", &arguments.id, "restart"]).query("restartWithNewInstanceId", Some(keeps));
    if arguments.input.is_some() {
        // The input keeps all digits of its numbers.
        let input = input::read(arguments.input.as_deref())?;
        request = request.body([br#"{"input":"#, input.as_slice(), b"}"].concat());
    }
    let document = session.hub()?.ask(&request)?.json()?;
    let id = document["id"].as_str().unwrap_or(&arguments.id);
    session.done(&clean(id), &document)
}
