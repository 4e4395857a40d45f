//! The rejected names and their alternatives.

const CLOCK: &str = "reads the clock, which differs in a replay: use `ctx.current_utc_time()`, which is recorded";
const ID: &str = "creates a different id in every replay: use `ctx.new_guid()`, which creates the same ids again";
const RANDOM: &str = "is random and differs in a replay: use `ctx.random()`, which returns the same values again";
const TIMER: &str = "waits outside the history: use `ctx.create_timer(duration)`, which survives a restart";
const TIMEOUT: &str = "measures time outside the history: use `.timeout(duration)` on the step, or race it with `ctx.create_timer(duration)` in `futures::select_biased!`";
const TASK: &str = "runs code outside the history: call an activity with `ctx.call_activity`, or start a sub-orchestration; both start running at the call, and `futures::future::join_all` waits for several";
const CHANNEL: &str = "waits for something outside the history: wait for an event with `ctx.wait_for_external_event`, or lock entities with `ctx.lock_entities`";
const FILE: &str = "performs I/O, which every replay would repeat: do it in an activity";
const NETWORK: &str = "accesses the network, which every replay would repeat: do it in an activity";
const PROCESS: &str = "reaches outside the orchestration, which every replay would repeat: do it in an activity";
const ENVIRONMENT: &str = "reads the environment of this process, which may have changed in a replay: read it in an activity, or before the start and pass it in the input";
const THREAD: &str = "depends on the thread, which runs many orchestrations and differs in a replay: do work in an activity, and wait with `ctx.create_timer(duration)`";
const BLOCKING: &str = "blocks the thread, which runs many orchestrations: use `.await`";
const HASHER: &str =
    "creates a hasher that orders keys differently in every process: use a `BTreeMap` or a hasher with a fixed seed";
const JOIN: &str = "belongs to tokio, which does not run orchestrations: use `futures::join!` or `futures::try_join!`";
const PIN: &str = "belongs to tokio, which does not run orchestrations: use `std::pin::pin!`";
const RUNTIME: &str = "belongs to a runtime that does not run orchestrations, which are replayed from their histories: use the methods of `ctx`, combine them with `futures`, and perform I/O in an activity";

/// The advice for a `select!` that polls its branches in random order.
pub(super) const UNBIASED: &str = "polls its branches in random order, so another branch may win in a replay: use `futures::select_biased!`, `tokio::select!` with `biased;` before its branches, or `futures::future::select`";

/// Checks a path of several names. Returns the advice if it is rejected.
pub(super) fn judge(segments: &[String]) -> Option<&'static str> {
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    match &names[..] {
        [] | [_] => None,
        ["std" | "core", names @ ..] => of_std(names).or_else(|| of_any(names)),
        ["tokio", names @ ..] => Some(of_any(names).unwrap_or_else(|| of_tokio(names))),
        ["async_std" | "smol" | "async_io" | "futures_timer", names @ ..] => Some(of_any(names).unwrap_or(RUNTIME)),
        ["rand" | "fastrand" | "getrandom", ..] => Some(RANDOM),
        ["reqwest" | "ureq", ..] => Some(NETWORK),
        ["chrono" | "jiff" | "time" | "web_time" | "quanta", .., "now"] => Some(CLOCK),
        names => of_any(names),
    }
}

/// Checks a path of the standard library, without `std::`. The addresses in `std::net` are ordinary values.
fn of_std(names: &[&str]) -> Option<&'static str> {
    match names {
        ["time", .., "now"] => Some(CLOCK),
        ["thread", _, ..] => Some(THREAD),
        ["fs", _, ..] => Some(FILE),
        ["env", _, ..] => Some(ENVIRONMENT),
        ["process", _, ..] => Some(PROCESS),
        ["net", "TcpStream" | "TcpListener" | "UdpSocket" | "ToSocketAddrs", ..] => Some(NETWORK),
        ["os", "unix" | "windows", "net" | "fs" | "process", ..] => Some(PROCESS),
        ["random", ..] => Some(RANDOM),
        _ => None,
    }
}

fn of_tokio(names: &[&str]) -> &'static str {
    match names {
        ["time", "timeout" | "timeout_at", ..] => TIMEOUT,
        ["time", ..] => TIMER,
        ["spawn" | "task" | "task_local" | "runtime", ..] => TASK,
        ["sync", ..] => CHANNEL,
        ["fs" | "io" | "process" | "signal", ..] => FILE,
        ["net", ..] => NETWORK,
        ["join" | "try_join", ..] => JOIN,
        ["pin", ..] => PIN,
        _ => RUNTIME,
    }
}

/// Checks the end of a path, regardless of where it was imported from.
fn of_any(names: &[&str]) -> Option<&'static str> {
    match names {
        [
            ..,
            "SystemTime" | "Instant" | "Utc" | "Local" | "Zoned" | "Timestamp" | "UtcDateTime",
            "now",
        ]
        | [.., "OffsetDateTime", "now_utc" | "now_local"] => Some(CLOCK),
        [
            ..,
            "Uuid",
            "new_v1" | "new_v4" | "new_v6" | "new_v7" | "now_v1" | "now_v6" | "now_v7",
        ]
        | [.., "Ulid", "new" | "generate"] => Some(ID),
        [
            ..,
            "thread_rng" | "from_entropy" | "from_os_rng" | "from_rng" | "OsRng" | "ThreadRng",
        ]
        | [.., "OsRng" | "ThreadRng", _] => Some(RANDOM),
        [.., "RandomState", "new" | "default"] => Some(HASHER),
        [.., "time", "sleep" | "sleep_until" | "interval" | "interval_at"] => Some(TIMER),
        [.., "time", "timeout" | "timeout_at"] => Some(TIMEOUT),
        [
            ..,
            "task",
            "spawn" | "spawn_local" | "spawn_blocking" | "block_in_place",
        ] => Some(TASK),
        [
            ..,
            "thread",
            "sleep"
            | "spawn"
            | "scope"
            | "park"
            | "park_timeout"
            | "current"
            | "yield_now"
            | "available_parallelism"
            | "Builder",
        ]
        | [.., "thread", "Builder", _] => Some(THREAD),
        [
            ..,
            "env",
            "var" | "var_os" | "vars" | "vars_os" | "args" | "args_os" | "current_dir" | "current_exe" | "temp_dir",
        ] => Some(ENVIRONMENT),
        ["fs", _, ..]
        | [.., "File", "open" | "create" | "create_new"]
        | [.., "OpenOptions", "new"]
        | [.., "io", "stdin"] => Some(FILE),
        [.., "TcpStream", "connect" | "connect_timeout"]
        | [
            ..,
            "TcpListener" | "UdpSocket" | "UnixListener" | "UnixDatagram",
            "bind",
        ]
        | [.., "UnixStream", "connect"] => Some(NETWORK),
        [.., "process", "Command" | "exit" | "abort" | "id"] | [.., "process", "Command", _] => Some(PROCESS),
        [.., "executor" | "Handle" | "Runtime", "block_on"] => Some(BLOCKING),
        _ => None,
    }
}

/// Checks a single name that is called, as after a `use` outside the body.
pub(super) fn judge_call(name: &str) -> Option<&'static str> {
    match name {
        "thread_rng" | "random" => Some(RANDOM),
        "sleep" | "sleep_until" => Some(TIMER),
        "spawn_blocking" => Some(TASK),
        "block_on" => Some(BLOCKING),
        _ => None,
    }
}

/// Checks a method that is called without arguments.
pub(super) fn judge_method(name: &str) -> Option<&'static str> {
    match name {
        "elapsed" => Some(CLOCK),
        _ => None,
    }
}

/// Checks the name of a macro.
pub(super) fn judge_macro(segments: &[String]) -> Option<&'static str> {
    match segments.last().map(String::as_str) {
        Some("nanoid") => Some(ID),
        _ => None,
    }
}
