//! `abide export`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use crate::exit::{Exit, Failure, Result};
use crate::instances::Filter;
use crate::output::{note, spinner};
use crate::pages::{self, Limit};
use crate::request::Request;
use crate::session::Session;

/// Each line is the output of `instances show --json`, with the events of `instances history --json` as `history`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,

    /// Maximum number of orchestrations (default: all).
    #[arg(long)]
    limit: Option<u64>,

    /// Adds the histories in the form that `abide::testing::assert_replays` replays, as `recorded`.
    #[arg(long)]
    recorded: bool,

    /// Writes to this file, which must not exist yet (default: standard output).
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let hub = session.hub()?;
    let mut file = arguments.output.as_ref().map(create).transpose()?;
    // Lines and a progress bar on the same terminal would overwrite each other.
    let is_seen = file.is_none() && session.output.is_terminal();
    let progress = if is_seen {
        ProgressBar::hidden()
    } else {
        spinner("orchestrations")
    };
    let limit = arguments.limit.map_or(Limit::NONE, Limit::of);
    let mut gone = 0_u64;
    let parts: &[&str] = match arguments.recorded {
        true => &["history", "recorded"],
        false => &["history"],
    };
    let exported = pages::each(
        &hub,
        limit,
        || arguments.filter.request(true),
        |document| {
            let id = document["instanceId"].as_str().unwrap_or_default();
            let mut line = document.clone();
            for part in parts {
                let answer = hub.send(&Request::get(&["instances", id, part]))?;
                // The orchestration was purged after the page was read.
                if answer.status == 404 {
                    gone += 1;
                    return Ok(());
                }
                if !answer.is_good() {
                    return Err(answer.into_failure(true).into());
                }
                line.set(part, answer.json()?);
            }
            match &mut file {
                Some(file) => writeln!(file, "{line}")?,
                None => session.output.json_line(&line)?,
            }
            progress.inc(1);
            Ok(())
        },
    );
    let count = progress.position();
    progress.finish_and_clear();
    let more = exported?;
    if more {
        session.output.flush()?;
        note("there are more; raise or omit --limit to export them");
    }
    if gone > 0 {
        note(&format!(
            "{gone} orchestrations were purged during the export and are omitted"
        ));
    }
    if let (Some(mut file), Some(path)) = (file, &arguments.output) {
        file.flush()?;
        let path = path.display().to_string();
        let done = format!("{count} orchestrations are exported to {path}");
        return session.done(&done, &json!({"file": path, "instances": count}));
    }
    Ok(())
}

/// Creates the file, accessible only by its owner because the exported data may be secret.
fn create(path: &PathBuf) -> Result<BufWriter<File>> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error| {
        let text = format!("{} cannot be created: {error}", path.display());
        Failure::new(Exit::Failed, "Io", text)
    })?;
    Ok(BufWriter::new(file))
}
