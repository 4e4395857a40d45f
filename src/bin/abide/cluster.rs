//! `abide cluster`

use std::path::PathBuf;

use abide::ErrorKind;
use abide::cluster::{ClusterStatus, Database, Moved, NodeStatus, ShardStatus};
use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde_json::json;

use crate::arguments::Secret;
use crate::confirm::confirm;
use crate::directory::runtime;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Listing, clean, note, spinner};
use crate::session::Session;
use crate::value::Value;

/// The commands of `abide cluster`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the hubs of a database with their nodes.
    Status(Status),
    /// Holds an entity from the next open of the hub on: its messages wait. Use it if an operation kills node after node.
    Hold(Hold),
    /// Ends the hold of an entity from the next open of the hub on.
    Release(Hold),
    /// Makes a node leave the hub to the others, until its process ends. It goes on forwarding requests.
    Drain(Drain),
    /// Lets a node that was drained run the hub again.
    Undrain(Drain),
    /// Lets a hub continue after its database has lost acknowledged data. All of its nodes replace their copies.
    AcceptLoss(AcceptLoss),
    /// Moves the hub of a directory into a database. No process may have it open.
    Import(Import),
    /// Moves a hub from a database into a directory. All of its nodes have to be shut down.
    Export(Move),
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The URL of the database, such as postgres://user:password@host/database. Fewer users can read an environment
    /// variable than a command line.
    #[arg(long, env = "ABIDE_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Secret,
}

impl Place {
    fn database(&self) -> Database {
        Database::at(self.database.reveal())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The name of a hub (default: all hubs).
    name: Option<String>,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct AcceptLoss {
    /// The name of the hub in the database.
    name: String,

    /// Skips the confirmation.
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Move {
    /// The name of the hub in the database.
    name: String,

    /// The directory of the hub.
    directory: PathBuf,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    hub: Move,

    /// The number of shards that the hub gets, which several nodes can share.
    #[arg(long, value_name = "N", default_value_t = 1)]
    shards: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// The name of the hub in the database.
    name: String,

    /// The id of the entity, such as @counter@visits.
    entity: String,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The name of the hub in the database.
    name: String,

    /// The name or the id of the node, as `abide cluster status` shows it.
    node: String,

    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(session: &mut Session, command: &Command) -> Result {
    match command {
        Command::Status(arguments) => status(session, arguments),
        Command::Hold(arguments) => {
            let Hold { name, entity, place } = arguments;
            let changed = runtime()?.block_on(place.database().hold(name, entity));
            held(session, entity, changed, ["is held", "was held already"])
        }
        Command::Release(arguments) => {
            let Hold { name, entity, place } = arguments;
            let changed = runtime()?.block_on(place.database().release(name, entity));
            held(session, entity, changed, ["is no longer held", "was not held"])
        }
        Command::Drain(arguments) => {
            let Drain { name, node, place } = arguments;
            let drained = runtime()?.block_on(place.database().drain(name, node));
            drained.map_err(|error| refused(&error))?;
            let line = format!("{} leaves the hub to the other nodes", clean(node));
            session.done(&line, &json!({ "node": node, "isDraining": true }))
        }
        Command::Undrain(arguments) => {
            let Drain { name, node, place } = arguments;
            let undrained = runtime()?.block_on(place.database().undrain(name, node));
            undrained.map_err(|error| refused(&error))?;
            let line = format!("{} may run the hub again", clean(node));
            session.done(&line, &json!({ "node": node, "isDraining": false }))
        }
        Command::AcceptLoss(arguments) => accept_loss(session, arguments),
        Command::Import(Import { hub: arguments, shards }) => {
            let waiting = spinner("importing");
            let database = arguments.place.database();
            let import = database.import(&arguments.directory, &arguments.name).shards(*shards);
            let moved = runtime()?.block_on(import.into_future());
            waiting.finish_and_clear();
            moved_to(session, &moved.map_err(|error| refused(&error))?)?;
            note(&format!(
                "run the hub with `Hub::cluster` and the name {}; {} can no longer be opened",
                clean(&arguments.name),
                clean(&arguments.directory.display().to_string())
            ));
            Ok(())
        }
        Command::Export(arguments) => {
            let waiting = spinner("exporting");
            let moved = runtime()?.block_on(arguments.place.database().export(&arguments.name, &arguments.directory));
            waiting.finish_and_clear();
            moved_to(session, &moved.map_err(|error| refused(&error))?)?;
            note(&format!(
                "run the hub with `Hub::builder` and {}; no node can run it now",
                clean(&arguments.directory.display().to_string())
            ));
            Ok(())
        }
    }
}

/// Prints what a change of a hold has done: `told` has the words for a change and for none.
fn held(session: &mut Session, entity: &str, changed: abide::Result<bool>, told: [&str; 2]) -> Result {
    let has_changed = changed.map_err(|error| refused(&error))?;
    let what = if has_changed { told[0] } else { told[1] };
    let line = format!("{} {what}, from the next open of the hub on", clean(entity));
    session.done(&line, &json!({ "entity": entity, "changed": has_changed }))
}

fn accept_loss(session: &mut Session, arguments: &AcceptLoss) -> Result {
    if !arguments.yes {
        let name = clean(&arguments.name);
        confirm(
            &format!(
                "Continue {name} without the data that the database has lost, and repeat activities with new keys?"
            ),
            "the hub continues without the data that the database has lost, and repeats activities with new keys",
        )?;
    }
    let accepted = runtime()?.block_on(arguments.place.database().accept_loss(&arguments.name));
    let incarnation = accepted.map_err(|error| refused(&error))?;
    let line = format!(
        "{} continues with what the database has, as incarnation {incarnation}",
        clean(&arguments.name)
    );
    session.done(&line, &json!({ "incarnation": incarnation }))
}

fn status(session: &mut Session, arguments: &Status) -> Result {
    let database = arguments.place.database();
    let hubs = runtime()?.block_on(async {
        match &arguments.name {
            Some(name) => database.hub(name).await.map(|hub| vec![hub]),
            None => database.hubs().await,
        }
    });
    let hubs = hubs.map_err(|error| refused(&error))?;
    let header = &[
        "HUB",
        "NODE",
        "ADDRESS",
        "STATE",
        "BUILD",
        "BEHIND",
        "EPOCH",
        "COMMITS",
        "RECORDS",
        "LOG BYTES",
    ];
    let mut listing = Listing::begin(&mut session.output, header);
    for hub in &hubs {
        let document: Value = json!(hub).into();
        listing.add(&document, |_| row(hub, &names(hub)))?;
    }
    listing.end(false, "the database has no hub")
}

/// Returns a line for each node of a hub.
fn names(hub: &ClusterStatus) -> [String; 5] {
    let lines =
        |each: &dyn Fn(&NodeStatus) -> String| -> String { hub.nodes.iter().map(each).collect::<Vec<_>>().join("\n") };
    [
        lines(&|node| clean(&node.name)),
        lines(&|node| clean(node.address.as_deref().unwrap_or_default())),
        lines(&|node| state(hub, node)),
        lines(&|node| clean(&node.build)),
        lines(&|node| node.behind.to_string()),
    ]
}

/// Returns what a node does.
fn state(hub: &ClusterStatus, node: &NodeStatus) -> String {
    let numbers: Vec<String> = node.shards.iter().map(ToString::to_string).collect();
    let shards = match hub.shards.len() {
        1 => "the hub".to_owned(),
        _ => numbers.join(", "),
    };
    match (node.shards.is_empty(), node.is_connected) {
        (false, true) => format!("runs {shards}"),
        (false, false) => format!("ran {shards}, and is gone"),
        (true, true) if node.is_draining => "drained".to_owned(),
        (true, true) => "waits".to_owned(),
        (true, false) => "gone".to_owned(),
    }
}

fn row(hub: &ClusterStatus, [nodes, addresses, states, builds, behind]: &[String; 5]) -> Vec<Cell> {
    let name = match hub.stage.as_str() {
        "open" => clean(&hub.name),
        stage => format!("{} ({})", clean(&hub.name), clean(stage)),
    };
    let sum = |of: fn(&ShardStatus) -> u64| Cell::new(hub.shards.iter().map(of).sum::<u64>());
    vec![
        Cell::new(name),
        Cell::new(nodes),
        Cell::new(addresses),
        Cell::new(states),
        Cell::new(builds),
        Cell::new(behind),
        sum(|shard| shard.epoch),
        sum(|shard| shard.commits),
        sum(|shard| shard.records),
        sum(|shard| shard.log_bytes),
    ]
}

fn moved_to(session: &mut Session, moved: &Moved) -> Result {
    let output = &mut session.output;
    if output.json() {
        return output.document(&json!(moved));
    }
    output.fields(&[
        ("hub", Some(moved.hub.clone())),
        ("rows", Some(format!("{}, all compared", moved.rows))),
        ("bytes", Some(moved.bytes.to_string())),
        ("commits", Some(moved.commits.to_string())),
    ])
}

/// Converts an error of the database or of a directory into a failure with its exit code.
fn refused(error: &abide::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::NotFound | ErrorKind::Format => Exit::NotFound,
        ErrorKind::AlreadyExists | ErrorKind::Locked | ErrorKind::Moved | ErrorKind::Copy => Exit::Conflict,
        ErrorKind::Io => Exit::Unreachable,
        ErrorKind::Configuration | ErrorKind::InvalidId => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("{:?}", error.kind()), error.to_string())
}
