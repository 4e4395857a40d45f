//! Which orchestrations a list is about.

use clap::{Args, ValueEnum};

use crate::request::Request;
use crate::times;
use crate::value::Value;

/// Conditions that all have to hold.
#[derive(Clone, Debug, Args)]
pub(crate) struct Filter {
    /// Only those of the type with this stored name.
    #[arg(long, conflicts_with = "stopped")]
    name: Option<String>,

    /// Only those with this status; several are alternatives.
    #[arg(long, value_delimiter = ',', ignore_case = true)]
    status: Vec<Status>,

    /// Only those whose ids begin with this.
    #[arg(long, conflicts_with = "stopped")]
    prefix: Option<String>,

    /// Only those that were started at this time or later: `2026-11-20T13:40:21Z`, or `2h` for two hours ago.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    created_from: Option<String>,

    /// Only those that were started at this time or before.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    created_to: Option<String>,

    /// Only those that cannot go on, though they have not ended.
    #[arg(long)]
    stopped: bool,

    /// Only those that wait for an activity, an entity or an orchestration that is not registered with the hub.
    #[arg(long, conflicts_with = "stopped")]
    unregistered: bool,
}

/// Where an orchestration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    Pending,
    Running,
    Completed,
    Failed,
    Terminated,
    Canceled,
    #[value(alias = "ContinuedAsNew")]
    ContinuedAsNew,
    Suspended,
}

impl Filter {
    /// The request for a page of those that match.
    pub(crate) fn request(&self, show_input: bool) -> Request {
        let route = if self.stopped { "stopped" } else { "instances" };
        Request::get(&[route])
            .query("name", self.name.as_deref())
            .query("runtimeStatus", statuses(&self.status))
            .query("instanceIdPrefix", self.prefix.as_deref())
            .query("unregistered", self.unregistered.then_some("true"))
            .query("createdTimeFrom", self.created_from.as_deref())
            .query("createdTimeTo", self.created_to.as_deref())
            .query("showInput", Some(show_input.to_string()))
    }
}

/// The names of statuses as a query has them.
pub(crate) fn statuses(statuses: &[Status]) -> Option<String> {
    let names: Vec<String> = statuses.iter().map(|status| format!("{status:?}")).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// `Stopped`, or the status that a document tells.
pub(crate) fn standing(document: &Value) -> &str {
    if document["stopped"].as_object().is_some() {
        "Stopped"
    } else {
        document["runtimeStatus"].as_str().unwrap_or_default()
    }
}
