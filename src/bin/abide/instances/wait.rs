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

/// The first pause between two looks. Each further one is longer.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The id of the orchestration.
    id: String,

    /// Waits so long at most, such as `90s` or `2h`; for ever if nothing is said.
    #[arg(long, value_name = "DURATION", value_parser = times::duration)]
    timeout: Option<Duration>,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let hub = session.hub()?;
    until_it_ends(session, &hub, &arguments.id, arguments.timeout)
}

/// Asks again and again until the orchestration has ended, and prints its output. The orchestration goes on whatever
/// becomes of the wait.
pub(crate) fn until_it_ends(session: &mut Session, hub: &Hub, id: &str, timeout: Option<Duration>) -> Result {
    let began = Instant::now();
    let request = Request::get(&["instances", id]).query("showInput", Some("false"));
    let progress = spinner("looks");
    let (mut pause, mut told) = (FIRST_PAUSE, false);
    let document = loop {
        let answer = hub.ask(&request)?;
        progress.inc(1);
        let document = answer.json()?;
        // Whether it has ended is told by the status of the answer.
        if answer.status == 200 {
            break document;
        }
        if matches!(hub, Hub::Directory(_)) {
            return Err(not_ended(id, &document).into());
        }
        if let Some(reason) = document["stopped"]["message"].as_str().filter(|_| !told) {
            told = true;
            let text = format!(
                "{} is stopped and goes on when it is resumed: {}",
                clean(id),
                clean(reason)
            );
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
    // What was printed comes before the reason.
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
        format!("{} has not ended: it is {status}", clean(id)),
    )
    .advise(match document["stopped"]["message"].as_str() {
        Some(reason) => format!("it is stopped and will not end by itself: {}", clean(reason)),
        None => "it goes on, and can be waited for again".to_owned(),
    })
}

fn not_ended(id: &str, document: &Value) -> Failure {
    let status = document["runtimeStatus"].as_str().unwrap_or_default();
    Failure::new(
        Exit::Conflict,
        "ReadOnly",
        format!("{} is {status}, and in a stopped hub nothing ends", clean(id)),
    )
    .advise("start the program that opens the hub, and give its URL with --hub")
}
