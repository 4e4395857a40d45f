//! `abide entities`

use abide::EntityId;
use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde_json::json;

use crate::exit::Result;
use crate::input;
use crate::output::{Listing, brief, clean, moment};
use crate::pages::{self, Limit};
use crate::request::Request;
use crate::session::Session;
use crate::times;
use crate::value::Value;

/// The commands for entities.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists entities.
    List(List),
    /// Prints the state of an entity.
    Show(One),
    /// Prints everything about an entity: its state and kept changes, its lock, its waiting messages and its scheduled
    /// signals.
    Details(One),
    /// Signals an operation, without waiting for a result.
    Signal(Operation),
    /// Calls an operation and prints its result.
    Call(Operation),
    /// Signals an entity to delete its state.
    Delete(One),
    /// Deletes the kept changes of an entity's state. The state itself stays as it is.
    DeleteChanges(One),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Lists only entities of the type with this name.
    name: Option<String>,

    /// Also shows the states.
    #[arg(long)]
    states: bool,

    /// Lists only entities whose state was written at or after this time: `2026-11-20T13:40:21Z`, or `2h` for two hours
    /// ago.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    changed_from: Option<String>,

    /// Lists only entities whose state was written at or before this time.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    changed_to: Option<String>,

    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The id of the entity, `@name@key`.
    entity: EntityId,
}

#[derive(Debug, Args)]
pub(crate) struct Operation {
    /// The id of the entity, `@name@key`.
    entity: EntityId,

    /// The name of the operation.
    operation: String,

    #[arg(help = input::HELP, allow_hyphen_values = true)]
    #[arg(
        long_help = "JSON text, `-` to read it from standard input, or `@FILE` to read it from a file.\n\n\
                       An operation with one parameter takes its value. An operation with several parameters takes an \
                       object with their names. An operation without parameters takes no input."
    )]
    input: Option<String>,

    /// Makes retries idempotent: requests with the same key take effect once.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub(crate) fn run(session: &mut Session, command: Command) -> Result {
    match command {
        Command::List(list) => self::list(session, &list),
        Command::Show(One { entity }) => show(session, &entity),
        Command::Details(One { entity }) => details(session, &entity),
        Command::Signal(operation) => signal(session, &operation),
        Command::Call(operation) => call(session, &operation),
        Command::Delete(One { entity }) => {
            let request = Request::of_entity("DELETE", "entities", &entity);
            let document = json!({"entityId": entity.to_string(), "done": "signaled"});
            session.act(
                &request,
                &format!("delete is signaled to {}", clean(&entity.to_string())),
                document,
            )
        }
        Command::DeleteChanges(One { entity }) => {
            let request = Request::of_entity("DELETE", "entities", &entity).then("changes");
            let document = json!({"entityId": entity.to_string(), "done": "deleted"});
            session.act(
                &request,
                &format!("the kept changes of {} are deleted", clean(&entity.to_string())),
                document,
            )
        }
    }
}

fn list(session: &mut Session, list: &List) -> Result {
    let hub = session.hub()?;
    let mut listing = Listing::begin(
        &mut session.output,
        if list.states {
            &["ID", "CHANGED", "STATE"]
        } else {
            &["ID", "CHANGED"]
        },
    );
    let request = || {
        let mut path = vec!["entities"];
        path.extend(list.name.as_deref());
        Request::get(&path)
            .query("lastOperationTimeFrom", list.changed_from.as_deref())
            .query("lastOperationTimeTo", list.changed_to.as_deref())
            .flag("fetchState", list.states)
    };
    let more = pages::each(&hub, list.limit, request, |document| {
        listing.add(document, |document| {
            let mut row = vec![
                Cell::new(id_of(&document["entityId"])),
                Cell::new(moment(&document["lastOperationTime"])),
            ];
            if list.states {
                row.push(Cell::new(brief(&document["state"])));
            }
            row
        })
    })?;
    listing.end(more, "no entities match")
}

fn show(session: &mut Session, entity: &EntityId) -> Result {
    let request = Request::of_entity("GET", "entities", entity);
    let state = session.hub()?.ask(&request)?.json()?;
    session.output.document(&state)
}

fn details(session: &mut Session, entity: &EntityId) -> Result {
    let request = Request::of_entity("GET", "entities", entity).then("details");
    let details = session.hub()?.ask(&request)?.json()?;
    session.output.document(&details)
}

fn signal(session: &mut Session, operation: &Operation) -> Result {
    let request = operation.request()?;
    let Operation { entity, operation, .. } = operation;
    let entity = entity.to_string();
    let document = json!({"entityId": entity, "operation": operation, "done": "signaled"});
    session.act(
        &request,
        &format!("{} is signaled to {}", clean(operation), clean(&entity)),
        document,
    )
}

fn call(session: &mut Session, operation: &Operation) -> Result {
    let request = operation.request()?.flag("wait", true);
    let answer = session.hub()?.ask(&request)?.json()?;
    session.output.document(&answer)
}

impl Operation {
    fn request(&self) -> Result<Request> {
        let request = Request::of_entity("POST", "entities", &self.entity)
            .query("op", Some(&self.operation))
            .idempotency_key(self.idempotency_key.as_ref());
        Ok(request.body(input::read(self.input.as_deref())?))
    }
}

/// Returns the id of an entity in a document, `@name@key`.
pub(crate) fn id_of(document: &Value) -> String {
    let part = |name: &str| document[name].as_str().unwrap_or_default();
    clean(&format!("@{}@{}", part("name"), part("key")))
}
