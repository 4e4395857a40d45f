//! `abide check`

use std::path::{Path, PathBuf};

use abide::{
    Hub,
    admin::{CheckProblem, CheckReport},
};
use clap::Args;

use crate::directory::{refused, runtime};
use crate::exit::{Exit, Failure, Result};
use crate::hub::Place;
use crate::output::{bar, clean, note};
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory to check (default: the directory given by --hub).
    directory: Option<PathBuf>,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let directory = match (&arguments.directory, &session.place) {
        (Some(directory), _) => directory.clone(),
        (None, Place::Directory(directory)) => directory.clone(),
        (None, Place::Url(url)) => {
            return Err(Failure::usage(format!("`check` needs a directory, and {url} is a URL"))
                .advise("name the directory: `abide check DIRECTORY`; for a running hub, that of a checkpoint")
                .into());
        }
    };
    let report = check(&directory)?;
    let output = &mut session.output;
    if output.json() {
        let document = serde_json::to_value(&report)
            .map_err(|error| Failure::new(Exit::Failed, "Io", format!("the report cannot be written: {error}")))?;
        output.document(&document)?;
    } else {
        let records = report
            .tables
            .iter()
            .map(|table| (table.table, Some(table.records.to_string())));
        let records: Vec<_> = records.collect();
        output.fields(&[
            ("hub", (!report.hub.is_empty()).then(|| report.hub.clone())),
            ("incarnation", Some(report.incarnation.to_string())),
            ("copy", report.copy.then(|| "yes, not restored".to_owned())),
            ("partitions", Some(report.partitions.to_string())),
            ("last commit", Some(report.last_commit.to_string())),
            ("records", Some(report.records.to_string())),
        ])?;
        output.fields(&records)?;
        if report.is_good() {
            let good = output.style().good("everything can be read");
            output.line(good)?;
        }
        output.flush()?;
        report.problems.iter().for_each(print_problem);
    }
    if report.is_good() {
        return Ok(());
    }
    output.flush()?;
    let text = format!("{} problems in {}", report.problem_count, directory.display());
    Err(Failure::new(Exit::Problems, "Problems", text)
        .advise("keep a copy of the damaged directory; an earlier checkpoint can replace it")
        .into())
}

fn check(directory: &Path) -> Result<CheckReport> {
    let progress = bar(0, "partitions");
    let shown = progress.clone();
    let checked = runtime()?.block_on(Hub::inspect(directory).check_with(move |done, of| {
        shown.set_length(of.into());
        shown.set_position(done.into());
    }));
    progress.finish_and_clear();
    Ok(checked.map_err(|error| refused(directory, &error))?)
}

fn print_problem(problem: &CheckProblem) {
    let key = problem.key.as_ref().map(|key| format!(" (key {key})"));
    note(&format!("{}{}", clean(&problem.to_string()), key.unwrap_or_default()));
}
