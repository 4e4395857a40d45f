//! `abide instances batch`

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::confirm::confirm;
use crate::exit::{Exit, Failure, Result};
use crate::hub::Hub;
use crate::input;
use crate::instances::filter::Filter;
use crate::interrupt::Interrupt;
use crate::output::{clean, note, spinner};
use crate::request::Request;
use crate::session::Session;
use crate::value::Value;

/// Time between two looks at the progress.
const PACE: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The action.
    action: Action,

    #[command(flatten)]
    filter: Filter,

    /// Selects only orchestrations that failed with an error of this type.
    #[arg(long)]
    error_type: Option<String>,

    /// Selects only orchestrations that failed with this variant of an error.
    #[arg(long)]
    error_variant: Option<String>,

    /// The reason, which is stored with each orchestration.
    #[arg(long)]
    reason: Option<String>,

    /// The name of the event to raise.
    #[arg(long, required_if_eq("action", "raise-event"))]
    event: Option<String>,

    #[arg(long, help = input::HELP, requires = "event", allow_hyphen_values = true)]
    payload: Option<String>,

    /// Skips the confirmation.
    #[arg(long, short)]
    yes: bool,
}

/// The action of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    Terminate,
    Suspend,
    Resume,
    Rewind,
    Restart,
    Purge,
    RaiseEvent,
}

impl Action {
    /// Returns the name that the API uses.
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Rewind => "rewind",
            Self::Restart => "restart",
            Self::Purge => "purge",
            Self::RaiseEvent => "raiseEvent",
        }
    }
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let mut filter = arguments.filter.document();
    filter["errorType"] = json!(arguments.error_type);
    filter["errorVariant"] = json!(arguments.error_variant);
    let mut request = json!({
        "action": arguments.action.name(),
        "reason": arguments.reason,
        "event": arguments.event,
        "filter": filter,
    });
    if arguments.payload.is_some() {
        let payload = input::read(arguments.payload.as_deref())?;
        request["payload"] = serde_json::from_slice(&payload)
            .map_err(|error| Failure::usage(format!("the payload is not JSON: {error}")))?;
    }
    let hub = session.hub()?;
    if !arguments.yes {
        confirm(
            &format!("Apply `{}` to every matching orchestration?", arguments.action.name()),
            "this applies to every matching orchestration",
        )?;
    }
    let body = request.to_string().into_bytes();
    let document = run_batch(&hub, body)?;
    if session.output.json() {
        session.output.document(&document)?;
    } else {
        let report = format!(
            "{} matched: {} done, {} skipped, {} failed",
            document["matched"], document["succeeded"], document["skipped"], document["failed"]
        );
        session.output.line(report)?;
        for error in document["errors"].as_array().into_iter().flatten() {
            let text = |name: &str| clean(error[name].as_str().unwrap_or_default());
            session
                .output
                .line(format!("{}: {}", text("instanceId"), text("message")))?;
        }
    }
    let failed = document["failed"].as_u64().is_some_and(|failed| failed > 0);
    match document["state"].as_str() {
        Some("completed") if !failed => Ok(()),
        state => {
            let why = document["message"].as_str().map(clean);
            let text = why.unwrap_or_else(|| match state {
                Some("canceled") => "the batch was canceled".to_owned(),
                _ => "not all of the batch succeeded".to_owned(),
            });
            Err(Failure::new(Exit::Failed, "BatchFailed", text).into())
        }
    }
}

/// Begins a batch and waits for its end. Ctrl-C cancels it. Returns its last document.
fn run_batch(hub: &Hub, request: Vec<u8>) -> Result<Value> {
    let interrupt = Interrupt::listen()?;
    let mut document = hub.ask(&Request::post(&["batches"]).body(request))?.json()?;
    let id = document["id"].as_str().unwrap_or_default().to_owned();
    note(&format!("batch {}; press ctrl-c to cancel it", clean(&id)));
    let progress = spinner("orchestrations");
    while document["state"].as_str() == Some("running") {
        progress.set_position(document["matched"].as_u64().unwrap_or(0));
        if interrupt.within(PACE) {
            hub.ask(&Request::delete(&["batches", &id]))?;
            note("the batch is canceled after its current group; press ctrl-c again to not wait for that");
        }
        document = hub.ask(&Request::get(&["batches", &id]))?.json()?;
    }
    progress.finish_and_clear();
    Ok(document)
}
