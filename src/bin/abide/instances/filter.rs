//! Filters for lists of orchestrations.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::request::Request;
use crate::times;
use crate::value::Value;

/// Conditions that must all hold.
#[derive(Clone, Debug, Args)]
pub(crate) struct Filter {
    /// Selects only orchestrations of the type with this stored name.
    #[arg(long)]
    name: Option<String>,

    /// Selects only orchestrations with this status; several values are alternatives.
    #[arg(long, value_delimiter = ',', ignore_case = true)]
    status: Vec<Status>,

    /// Selects only orchestrations whose id has this prefix.
    #[arg(long)]
    prefix: Option<String>,

    /// Selects only orchestrations started at or after this time: `2026-11-20T13:40:21Z`, or `2h` for two hours ago.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    created_from: Option<String>,

    /// Selects only orchestrations started at or before this time.
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    created_to: Option<String>,

    /// Selects only orchestrations with this tag; an orchestration must have all of several tags.
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Vec<String>,

    /// Selects only stopped orchestrations: they cannot proceed although they have not ended.
    #[arg(long)]
    stopped: bool,

    /// Selects only orchestrations that wait for an activity, an entity or an orchestration that is not registered with
    /// the hub.
    #[arg(long)]
    unregistered: bool,
}

/// The status of an orchestration.
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
    /// Returns the request for a page of matching orchestrations.
    pub(crate) fn request(&self, show_input: bool) -> Request {
        let request = self.tag.iter().fold(Request::get(&["instances"]), |request, tag| {
            request.query("tag", Some(tag))
        });
        request
            .query("name", self.name.as_deref())
            .query("runtimeStatus", statuses(&self.status))
            .query("instanceIdPrefix", self.prefix.as_deref())
            .flag("stopped", self.stopped)
            .query("unregistered", self.unregistered.then_some("true"))
            .query("createdTimeFrom", self.created_from.as_deref())
            .query("createdTimeTo", self.created_to.as_deref())
            .query("showInput", Some(show_input.to_string()))
    }

    /// Returns the filter of a batch.
    pub(super) fn document(&self) -> serde_json::Value {
        let tags = self.tag.iter().filter_map(|tag| tag.split_once('='));
        let statuses = self.status.iter().map(|status| format!("{status:?}"));
        json!({
            "name": self.name,
            "runtimeStatus": statuses.collect::<Vec<_>>(),
            "instanceIdPrefix": self.prefix,
            "createdTimeFrom": self.created_from,
            "createdTimeTo": self.created_to,
            "tags": tags.collect::<BTreeMap<_, _>>(),
            "stopped": self.stopped,
            "unregistered": self.unregistered,
        })
    }
}

/// Returns the names of the statuses, in the format of a query.
pub(crate) fn statuses(statuses: &[Status]) -> Option<String> {
    let names: Vec<String> = statuses.iter().map(|status| format!("{status:?}")).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// Returns `Stopped`, or the status in the document.
pub(crate) fn standing(document: &Value) -> &str {
    if document["stopped"].as_object().is_some() {
        "Stopped"
    } else {
        document["runtimeStatus"].as_str().unwrap_or_default()
    }
}
