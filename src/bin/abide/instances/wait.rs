//! `abide instances wait`

use std::time::{Duration, Instant};

use clap::Args;

use crate::exit::{Exit, Failure, Result};
use crate::hub::Hub;
use crate::output::{clean, note, payload, spinner};
use crate::request::Request;
use crate::session::Session;
use crate::times;
use crate::value::Value;

/// First pause between two polls. Each further pause is longer.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause between two polls.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The id of the orchestration.
    id: String,

    /// Maximum time to wait, such as `90s` or `2h` (default: no limit).
    #[arg(long, value_name = "DURATION", value_parser = times::duration)]
    timeout: Option<Duration>,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let hub = session.hub()?;
    until_it_ends(session, &hub, &arguments.id, arguments.timeout)
}

/// Polls until the orchestration ends, and prints its output. The orchestration continues even if the wait fails.
pub(crate) fn until_it_ends(session: &mut Session, hub: &Hub, id: &str, timeout: Option<Duration>) -> Result {
    let began = Instant::now();
    let request = Request::get(&["instances", id]).query("showInput", Some("false"));
    let progress = spinner("polls");
    let (mut pause, mut noted) = (FIRST_PAUSE, false);
    let document = loop {
        let answer = hub.ask(&request)?;
        progress.inc(1);
        let document = answer.json()?;
        // The status of the response shows whether the orchestration has ended.
        if answer.status == 200 {
            break document;
        }
        if matches!(hub, Hub::Directory(_)) {
            return Err(not_ended(id, &document).into());
        }
        if let Some(reason) = document["stopped"]["message"].as_str().filter(|_| !noted) {
            noted = true;
            let text = format!("{} is stopped until it is resumed: {}", clean(id), clean(reason));
            progress.suspend(|| note(&text));
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            progress.finish_and_clear();
            return Err(out_of_time(id, &document).into());
        }
        std::thread::sleep(left.map_or(pause, |left| left.min(pause)));
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    };
    progress.finish_and_clear();
    let status = document["runtimeStatus"].as_str().unwrap_or_default();
    if session.output.json() {
        session.output.document(&document)?;
    } else if status == "Completed" {
        session.output.line(payload(&document["output"]))?;
    }
    if status == "Completed" {
        return Ok(());
    }
    // Print the output before the reason.
    session.output.flush()?;
    let reason = match &document["output"] {
        Value::String(reason) => clean(reason),
        _ => String::new(),
    };
    let text = format!("{} is {status}: {reason}", clean(id));
    Err(Failure::new(Exit::Unsuccessful, status, text.trim_end_matches([':', ' '])).into())
}

fn out_of_time(id: &str, document: &Value) -> Failure {
    let status = document["runtimeStatus"].as_str().unwrap_or_default();
    Failure::new(
        Exit::TimedOut,
        "TimedOut",
        format!("{} has not ended; its status is {status}", clean(id)),
    )
    .advise(match document["stopped"]["message"].as_str() {
        Some(reason) => format!("it is stopped and will not end by itself: {}", clean(reason)),
        None => "it continues; run `abide instances wait` to wait again".to_owned(),
    })
}

fn not_ended(id: &str, document: &Value) -> Failure {
    let status = document["runtimeStatus"].as_str().unwrap_or_default();
    Failure::new(
        Exit::Conflict,
        "ReadOnly",
        format!("{} is {status}, and a stopped hub runs no orchestrations", clean(id)),
    )
    .advise("start the program that opens the hub, and pass its URL with --hub")
}
