//! `abide schedules`

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde_json::json;

use crate::exit::Result;
use crate::input;
use crate::output::{Listing, cell_of, clean, moment, payload};
use crate::pages::{self, Limit};
use crate::request::Request;
use crate::session::Session;
use crate::value::Value;

/// The commands for schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists schedules.
    List(List),
    /// Shows a schedule: its orchestration, its recurrence and its state.
    Show(Id),
    /// Pauses a schedule. Runs that become due during the pause are skipped.
    Pause(Id),
    /// Resumes a paused schedule. Its next run is the first one from now on.
    Resume(Id),
    /// Creates a schedule, or changes its plan.
    Set(Set),
    /// Starts a run now, in addition to those of the plan.
    Trigger(Id),
    /// Deletes a schedule. The orchestrations that it started continue.
    Delete(Id),
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The id of the schedule.
    id: String,

    /// The stored name of the orchestration to start.
    orchestration: String,

    /// The times of the runs in UTC, as a cron pattern such as `0 3 * * *`.
    #[arg(long, required_unless_present = "every", conflicts_with = "every")]
    cron: Option<String>,

    /// The number of seconds between two runs.
    #[arg(long, value_name = "SECONDS")]
    every: Option<f64>,

    #[arg(long, help = input::HELP, allow_hyphen_values = true)]
    input: Option<String>,

    /// The version to start (default: the newest version that is registered at each run).
    // `--version` prints the version of the program.
    #[arg(long)]
    of_version: Option<String>,

    /// A tag of each run; several are possible.
    #[arg(long, value_name = "NAME=VALUE", value_parser = tag)]
    tag: Vec<(String, String)>,

    /// The earliest time of the first run: `2026-11-20T13:40:21Z`.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// The end: no run at or after this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, Args)]
pub(crate) struct Id {
    /// The id of the schedule.
    id: String,
}

pub(crate) fn run(session: &mut Session, command: &Command) -> Result {
    match command {
        Command::List(list) => self::list(session, list),
        Command::Show(Id { id }) => show(session, id),
        Command::Pause(Id { id }) => act(session, &Request::post(&["schedules", id, "pause"]), id, "paused"),
        Command::Resume(Id { id }) => act(session, &Request::post(&["schedules", id, "resume"]), id, "resumed"),
        Command::Set(set) => self::set(session, set),
        Command::Trigger(Id { id }) => trigger(session, id),
        Command::Delete(Id { id }) => act(session, &Request::delete(&["schedules", id]), id, "deleted"),
    }
}

fn list(session: &mut Session, list: &List) -> Result {
    let hub = session.hub()?;
    let header = &["ID", "ORCHESTRATION", "RECURRENCE", "NEXT RUN", "LAST RUN", "RUNS"];
    let mut listing = Listing::begin(&mut session.output, header);
    let more = pages::each(
        &hub,
        list.limit,
        || Request::get(&["schedules"]),
        |document| {
            listing.add(document, |document| {
                vec![
                    cell_of(&document["id"]),
                    cell_of(&document["orchestration"]),
                    Cell::new(recurrence(document)),
                    Cell::new(next_run(document)),
                    Cell::new(moment(&document["lastRun"])),
                    cell_of(&document["runs"]),
                ]
            })
        },
    )?;
    listing.end(more, "there are no schedules")
}

fn set(session: &mut Session, set: &Set) -> Result {
    let input = input::read(set.input.as_deref())?;
    let plan = json!({
        "orchestration": set.orchestration,
        "version": set.of_version,
        "cron": set.cron,
        "everySeconds": set.every,
        "from": set.from,
        "until": set.until,
        "tags": set.tag.iter().cloned().collect::<BTreeMap<_, _>>(),
    });
    let mut body = plan.to_string().into_bytes();
    if !input.is_empty() {
        // The input keeps all digits of its numbers.
        body.pop();
        body = [&body, br#","input":"#.as_slice(), &input, b"}"].concat();
    }
    let request = Request::put(&["schedules", &set.id]).body(body);
    let document = session.hub()?.ask(&request)?.json()?;
    session.done(&format!("the schedule {} is set", clean(&set.id)), &document)
}

fn trigger(session: &mut Session, id: &str) -> Result {
    let document = session
        .hub()?
        .ask(&Request::post(&["schedules", id, "trigger"]))?
        .json()?;
    let run = clean(document["id"].as_str().unwrap_or_default());
    session.done(&run, &document)
}

fn tag(text: &str) -> std::result::Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = parts.ok_or("a tag is written as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn act(session: &mut Session, request: &Request, id: &str, done: &str) -> Result {
    let document = json!({"id": id, "done": done});
    session.act(request, &format!("the schedule {} is {done}", clean(id)), document)
}

fn show(session: &mut Session, id: &str) -> Result {
    let document = session.hub()?.ask(&Request::get(&["schedules", id]))?.json()?;
    if session.output.json() {
        return session.output.document(&document);
    }
    let text = |name: &str| document[name].as_str().map(clean);
    let time = |name: &str| document[name].as_str().map(|_| moment(&document[name]));
    let catch_up = match (&document["catchUp"], &document["catchUpAtMost"]) {
        (Value::String(policy), Value::Null) => clean(policy),
        (policy, at_most) => format!("{}, at most {at_most}", clean(policy.as_str().unwrap_or_default())),
    };
    session.output.fields(&[
        ("id", text("id")),
        ("orchestration", text("orchestration")),
        ("version", text("version")),
        ("input", Some(payload(&document["input"]))),
        ("tags", document["tags"].as_object().map(|_| payload(&document["tags"]))),
        ("recurrence", Some(recurrence(&document))),
        ("from", time("from")),
        ("until", time("until")),
        ("catch-up", Some(catch_up)),
        ("created", time("createdTime")),
        ("next run", Some(next_run(&document))),
        ("last run", time("lastRun")),
        ("last instance", text("lastInstanceId")),
        ("runs", Some(document["runs"].to_string())),
    ])
}

/// Formats the recurrence: the cron pattern or the period.
fn recurrence(document: &Value) -> String {
    match &document["everySeconds"] {
        Value::Null => clean(document["cron"].as_str().unwrap_or_default()),
        seconds => format!("every {} s", payload(seconds).trim_end_matches(".0")),
    }
}

fn next_run(document: &Value) -> String {
    match (&document["nextRun"], &document["paused"]) {
        (_, Value::Bool(true)) => "paused".to_owned(),
        (Value::String(_), _) => moment(&document["nextRun"]),
        _ => "none".to_owned(),
    }
}
