//! A program on a real hub.

use std::path::{Path, PathBuf};
use std::time::Duration;

use abide::prelude::*;

use super::command::{Command, Step};

#[derive(Entity, Default, Clone, Debug, Serialize, Deserialize)]
struct Cell {
    values: Vec<u64>,
}

#[operations]
impl Cell {
    pub fn push(&mut self, value: u64) -> u64 {
        self.values.push(value);
        self.values.len() as u64
    }

    pub async fn push_slowly(&mut self, value: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(value % 3)).await;
        self.push(value)
    }

    pub fn fail(&mut self, ctx: &mut EntityContext, value: u64) -> Result<(), Failure> {
        ctx.entity::<Cell>(ctx.key()).push(value).signal();
        self.values.push(value);
        Err(Failure::message("refused"))
    }

    pub fn panic(&mut self, value: u64) {
        self.values.push(value);
        std::panic::resume_unwind(Box::new("on purpose"));
    }

    pub fn forward(&mut self, ctx: &mut EntityContext, to: u64, value: u64) {
        self.values.push(value);
        ctx.entity::<Cell>(to).push(value).signal();
        ctx.entity::<Cell>(to).push(value + 1).signal();
    }
}

#[activity]
async fn add(numbers: (u64, u64)) -> u64 {
    tokio::time::sleep(Duration::from_millis(numbers.0 % 3)).await;
    numbers.0 + numbers.1
}

/// Fails twice.
#[activity(retry(max_attempts = 3, first_interval = "1ms"))]
async fn add_at_last(ctx: ActivityContext, value: u64) -> Result<u64, Failure> {
    match ctx.attempt() {
        3 => Ok(value + 1),
        attempt => Err(Failure::message(format!("attempt {attempt}"))),
    }
}

#[orchestration]
async fn child(ctx: OrchestrationContext, push: (u64, u64)) -> Result<u64, Failure> {
    Ok(ctx.entity::<Cell>(push.0).push(push.1).await?)
}

/// The input of an orchestration: the steps, and the values of earlier executions.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Script {
    steps: Vec<Step>,
    values: Vec<u64>,
}

#[orchestration]
async fn script(ctx: OrchestrationContext, input: Script) -> Result<Vec<u64>, Failure> {
    let mut values = input.values;
    for (index, step) in input.steps.iter().enumerate() {
        match *step {
            Step::Push { cell, value } => values.push(ctx.entity::<Cell>(cell).push(value).await?),
            Step::PushBoth { cells, value } => {
                let (one, two) = (ctx.entity::<Cell>(cells.0), ctx.entity::<Cell>(cells.1));
                let _lock = ctx.lock_entities((&one, &two)).await?;
                values.push(one.push(value).await?);
                values.push(two.push(value).await?);
            }
            Step::SignalAndPush { cell, value } => {
                let cell = ctx.entity::<Cell>(cell);
                cell.push(value).signal();
                values.push(cell.push(value + 1).await?);
            }
            Step::Activities { value } => {
                let (one, two) = (
                    ctx.call_activity::<add>((value, 1)),
                    ctx.call_activity::<add>((value, 2)),
                );
                values.push(one.await?);
                values.push(two.await?);
            }
            Step::Retry { value } => values.push(ctx.call_activity::<add_at_last>(value).await?),
            Step::Child { cell, value } => values.push(ctx.call_sub_orchestration::<child>((cell, value)).await?),
            Step::Sleep { millis } => ctx.create_timer(Duration::from_millis(millis)).await,
            Step::Wait => {
                ctx.set_custom_status("waiting");
                values.push(ctx.wait_for_external_event::<u64>("go").await?);
                ctx.set_custom_status("going on");
            }
            Step::TimeOut { millis } => {
                let never = ctx.wait_for_external_event::<u64>("never");
                values.push(never.timeout_or(Duration::from_millis(millis), 7).await?);
            }
            Step::ContinueAsNew => {
                let steps = input.steps[index + 1..].to_vec();
                ctx.continue_as_new(Script { steps, values }).await
            }
            Step::Fail => return Err(Failure::message("on purpose")),
        }
    }
    Ok(values)
}

/// A hub in a directory, and the settings with which it is opened.
pub(super) struct RealHub {
    directory: PathBuf,
    executors: usize,
    hub: Option<Hub>,
    requests: u64,
}

impl RealHub {
    pub(super) async fn open(place: &Path, random: &mut fastrand::Rng) -> Self {
        let mut real = Self {
            directory: place.join("hub"),
            executors: random.usize(1..4),
            hub: None,
            requests: 0,
        };
        real.reopen().await;
        real
    }

    async fn reopen(&mut self) {
        self.close().await;
        let builder = Hub::builder(&self.directory)
            .entity::<Cell>()
            .activity::<add>()
            .activity::<add_at_last>()
            .orchestration::<script>()
            .orchestration::<child>()
            .executors(self.executors)
            .partitions(8)
            .wal_limit(128 << 10);
        self.hub = Some(builder.open().await.expect("the hub opens"));
    }

    pub(super) async fn close(&mut self) {
        if let Some(hub) = self.hub.take() {
            hub.shutdown().await.expect("the hub closes");
        }
    }

    fn hub(&self) -> &Hub {
        self.hub.as_ref().expect("the hub is open")
    }

    /// Carries out a command, waits until all of its consequences are there, and returns the answer.
    pub(super) async fn carry_out(&mut self, command: &Command) -> String {
        if let Command::Reopen = command {
            self.reopen().await;
            return "done".to_owned();
        }
        self.requests += 1;
        let answer = match self.ask(command).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::OperationFailed => "refused".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        match self.settle().await {
            Ok(()) => answer,
            Err(error) => error.to_string(),
        }
    }

    async fn ask(&self, command: &Command) -> abide::Result<String> {
        let client = self.hub().client();
        let cell = |cell: &u64| client.entity::<Cell>(*cell);
        let run = |id: &u64| client.orchestration::<script>(format!("run-{id}"));
        let answer = match command {
            Command::Push { cell: key, value } => cell(key).push(*value).await?.to_string(),
            Command::PushSlowly { cell: key, value } => cell(key).push_slowly(*value).await?.to_string(),
            Command::Repeat { cell: key, value } => {
                let id = format!("request-{}", self.requests);
                let first = cell(key).push(*value).request_id(&id).await?;
                let second = cell(key).push(*value).request_id(&id).await?;
                if first == second {
                    first.to_string()
                } else {
                    format!("first {first}, then {second}")
                }
            }
            Command::Signal { cell: key, value } => {
                cell(key).push(*value).signal().await?;
                "done".to_owned()
            }
            Command::Fail { cell: key, value } => {
                cell(key).fail(*value).await?;
                "done".to_owned()
            }
            Command::Panic { cell: key, value } => {
                cell(key).panic(*value).await?;
                "done".to_owned()
            }
            Command::Forward { cell: key, to, value } => {
                cell(key).forward(*to, *value).await?;
                "done".to_owned()
            }
            Command::Delete { cell: key } => {
                cell(key).delete().await?;
                "done".to_owned()
            }
            Command::Read { cell: key } => {
                let state = cell(key).state().await?;
                format!("{:?}", state.map(|state| state.values))
            }
            Command::Schedule {
                cell: key,
                timer,
                value,
            } => {
                let later = cell(key).push(*value).timer_id(format!("timer-{timer}"));
                later.signal_after(Duration::from_secs(3_600)).await?;
                "done".to_owned()
            }
            Command::CancelSignal { cell: key, timer } => {
                format!("{:?}", cell(key).cancel_signal(format!("timer-{timer}")).await?)
            }
            Command::Soon { cell: key, value } => {
                let before = cell(key).state().await?.unwrap_or_default().values.len();
                cell(key)
                    .push(*value)
                    .signal_after(Duration::from_millis(value % 4))
                    .await?;
                while cell(key).state().await?.unwrap_or_default().values.len() <= before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                "done".to_owned()
            }
            Command::Start { id, script: steps } => {
                let input = Script {
                    steps: steps.clone(),
                    values: Vec::new(),
                };
                client.start::<script>(input).instance_id(format!("run-{id}")).await?;
                "done".to_owned()
            }
            Command::RaiseEvent { id, value } => {
                run(id).raise_event("go", value).await?;
                "done".to_owned()
            }
            Command::Suspend { id } => {
                run(id).suspend("a test").await?;
                "done".to_owned()
            }
            Command::Resume { id } => {
                run(id).resume("a test").await?;
                "done".to_owned()
            }
            Command::Terminate { id } => {
                run(id).terminate("a test").await?;
                "done".to_owned()
            }
            Command::Restart { id } => {
                run(id).restart().await?;
                "done".to_owned()
            }
            Command::Purge { id } => {
                run(id).purge().with_children().await?;
                "done".to_owned()
            }
            Command::Status { id } => self.status(*id).await?.unwrap_or_else(|| "none".to_owned()),
            Command::Reopen => unreachable!("the caller opens the hub again"),
        };
        Ok(answer)
    }

    /// Describes every orchestration, for a command that does not end.
    pub(super) async fn state(&self) -> String {
        let page = self
            .hub()
            .client()
            .orchestrations()
            .fetch_output()
            .page_size(1_000)
            .page()
            .await;
        let lines = page.map(|page| {
            let items = page.items.iter();
            let line = |info: &abide::client::OrchestrationInfo| {
                format!("{} {:?} {:?}", info.id, info.status, info.custom_status)
            };
            items.map(line).collect::<Vec<_>>().join(", ")
        });
        lines.unwrap_or_else(|error| error.to_string())
    }

    /// Waits until every orchestration has ended or waits for an event, and the hub is idle.
    async fn settle(&self) -> abide::Result<()> {
        loop {
            self.hub().idle().await?;
            let client = self.hub().client();
            let page = client.orchestrations().fetch_output().page_size(1_000).page().await?;
            let moves = page.items.iter().any(|info| match info.status {
                OrchestrationStatus::Pending => true,
                OrchestrationStatus::Running => info.custom_status.as_deref() != Some("\"waiting\""),
                _ => false,
            });
            if !moves {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn status(&self, id: u64) -> abide::Result<Option<String>> {
        let run = self.hub().client().orchestration::<script>(format!("run-{id}"));
        let Some(info) = run.status().await? else {
            return Ok(None);
        };
        Ok(Some(match info.status {
            OrchestrationStatus::Completed => format!("Completed {:?}", run.result().await?),
            other => format!("{other:?}"),
        }))
    }

    /// Returns everything that can be listed.
    pub(super) async fn listing(&self) -> Vec<String> {
        let client = self.hub().client();
        let mut lines = Vec::new();
        let cells = client.entities().page_size(1_000).page().await.expect("a list");
        for info in cells.items {
            let key = info.id.key().to_owned();
            let state = client.entity::<Cell>(&key).state().await.expect("a state");
            lines.push(format!("cell {key}: {:?}", state.unwrap_or_default().values));
        }
        let runs = client
            .orchestrations()
            .name("script")
            .page_size(1_000)
            .page()
            .await
            .expect("a list");
        for info in runs.items {
            let id = info
                .id
                .strip_prefix("run-")
                .and_then(|id| id.parse().ok())
                .expect("the id of a run");
            let status = self.status(id).await.expect("a status").unwrap_or_default();
            lines.push(format!("run {id}: {status}"));
        }
        lines.sort();
        lines
    }
}
