//! `abide ui`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use abide::Hub;
use abide::http::HttpConfig;
use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use crate::directory::refused;
use crate::exit::{Exit, Failure, Result};
use crate::hub::Place;
use crate::output::note;
use crate::request::{BASE, Request};
use crate::session::Session;

/// Maximum duration of a request. Counting many records takes time.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The URL of a running hub, or the directory of a stopped hub or of a checkpoint (default: the hub given by
    /// --hub).
    #[arg(value_name = "URL|DIRECTORY")]
    hub: Option<Place>,

    /// The port on this machine at which the dashboard of a directory is served. 0 selects any free port.
    #[arg(long, default_value_t = 7072)]
    port: u16,

    /// Prints the address only, and opens no browser.
    #[arg(long)]
    no_open: bool,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    if let Some(place) = &arguments.hub {
        session.place = place.clone();
    }
    match session.place.clone() {
        Place::Url(url) => of_running(session, &url, arguments),
        Place::Directory(directory) => of_stopped(session, &directory, arguments),
    }
}

/// Opens the dashboard that a running hub serves.
fn of_running(session: &mut Session, url: &str, arguments: &Arguments) -> Result {
    let answer = session.hub()?.send(&Request::get(&["ui", "index.html"]))?;
    if answer.status != 200 {
        let text = format!("the hub at {url} serves no dashboard");
        return Err(Failure::new(Exit::NotFound, "NoDashboard", text)
            .advise("build its program with the feature `dashboard` of abide")
            .into());
    }
    let address = format!(
        "{}{BASE}/ui/",
        url.strip_suffix(BASE).unwrap_or(url).trim_end_matches('/')
    );
    show(session, &address, arguments)
}

/// Serves the dashboard of a stopped hub until the process is interrupted.
fn of_stopped(session: &mut Session, directory: &Path, arguments: &Arguments) -> Result {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(
            Exit::Failed,
            "Io",
            format!("the tokio runtime cannot be started: {error}"),
        )
    })?;
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), arguments.port);
    let config = HttpConfig::new().bind(address).request_timeout(PATIENCE);
    let serving = runtime.block_on(async {
        let client = Hub::inspect(directory).client().await?;
        abide::http::serve(client, config).await
    });
    let server = serving.map_err(|error| refused(directory, &error))?;
    show(session, &format!("{}/ui/", server.url()), arguments)?;
    note("press ctrl-c to stop");
    runtime.block_on(async {
        let _ = tokio::signal::ctrl_c().await;
        let _ = server.shutdown().await;
    });
    Ok(())
}

/// Prints the address, and opens it in the browser.
fn show(session: &mut Session, address: &str, arguments: &Arguments) -> Result {
    session.done(&format!("dashboard: {address}"), &json!({"url": address}))?;
    session.output.flush()?;
    if !arguments.no_open {
        open(address);
    }
    Ok(())
}

/// Opens an address with the program of the system. Without such a program, the printed address is enough.
fn open(address: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = Stdio::null;
    let _ = Command::new(program)
        .arg(address)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
}
