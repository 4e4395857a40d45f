//! What the guarantees say about a program.

use std::collections::{BTreeMap, VecDeque};

use super::command::{Command, Step};

#[derive(Debug, Default)]
pub(super) struct Model {
    cells: BTreeMap<u64, Vec<u64>>,
    /// The signals for the far future, by entity and name.
    timers: BTreeMap<(u64, u64), u64>,
    runs: BTreeMap<u64, Run>,
}

/// An orchestration.
#[derive(Clone, Debug)]
struct Run {
    /// The input of the current execution: its steps, and the values of earlier ones.
    input: (Vec<Step>, Vec<u64>),
    /// The steps that are left.
    left: VecDeque<Step>,
    /// The values that the orchestration returns.
    values: Vec<u64>,
    /// Events that wait to be read.
    events: VecDeque<u64>,
    state: State,
    is_suspended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Completed,
    Failed,
    Terminated,
}

impl Model {
    /// Carries out a command and returns the answer.
    pub(super) fn carry_out(&mut self, command: &Command) -> String {
        match command {
            Command::Push { cell, value } | Command::PushSlowly { cell, value } | Command::Repeat { cell, value } => {
                self.push(*cell, *value).to_string()
            }
            Command::Signal { cell, value } | Command::Soon { cell, value } => {
                self.push(*cell, *value);
                "done".to_owned()
            }
            Command::Forward { cell, to, value } => {
                self.push(*cell, *value);
                self.push(*to, *value);
                self.push(*to, *value + 1);
                "done".to_owned()
            }
            Command::Fail { .. } => "refused".to_owned(),
            Command::Panic { .. } => "Panicked".to_owned(),
            Command::Delete { cell } => {
                self.cells.remove(cell);
                "done".to_owned()
            }
            Command::Read { cell } => format!("{:?}", self.cells.get(cell)),
            Command::Schedule { cell, timer, value } => {
                self.timers.insert((*cell, *timer), *value);
                "done".to_owned()
            }
            Command::CancelSignal { cell, timer } => match self.timers.remove(&(*cell, *timer)) {
                Some(_) => "Canceled".to_owned(),
                None => "TooLate".to_owned(),
            },
            Command::Start { id, script } => self.start(*id, (script.clone(), Vec::new())),
            Command::RaiseEvent { id, value } => self.on_live(*id, |run| run.events.push_back(*value)),
            Command::Suspend { id } => self.on_live(*id, |run| run.is_suspended = true),
            Command::Resume { id } => self.on_live(*id, |run| run.is_suspended = false),
            Command::Terminate { id } => self.on_live(*id, |run| run.state = State::Terminated),
            Command::Restart { id } => match self.runs.get(id) {
                None => "NotFound".to_owned(),
                Some(run) if run.state == State::Waiting => "WrongState".to_owned(),
                Some(run) => {
                    let input = run.input.clone();
                    self.start(*id, input)
                }
            },
            Command::Purge { id } => match self.runs.get(id) {
                None => "NotFound".to_owned(),
                Some(run) if run.state == State::Waiting => "WrongState".to_owned(),
                Some(_) => {
                    self.runs.remove(id);
                    "done".to_owned()
                }
            },
            Command::Status { id } => self.runs.get(id).map_or_else(|| "none".to_owned(), Run::status),
            Command::Reopen => "done".to_owned(),
        }
    }

    fn push(&mut self, cell: u64, value: u64) -> u64 {
        let values = self.cells.entry(cell).or_default();
        values.push(value);
        values.len() as u64
    }

    /// Starts an orchestration, unless one with this id is live.
    fn start(&mut self, id: u64, input: (Vec<Step>, Vec<u64>)) -> String {
        if self.runs.get(&id).is_some_and(|run| run.state == State::Waiting) {
            return "AlreadyExists".to_owned();
        }
        let run = Run {
            left: input.0.iter().copied().collect(),
            values: input.1.clone(),
            input,
            events: VecDeque::new(),
            state: State::Waiting,
            is_suspended: false,
        };
        self.runs.insert(id, run);
        self.go_on(id);
        "done".to_owned()
    }

    /// Does something to an orchestration that has not ended.
    fn on_live(&mut self, id: u64, change: impl FnOnce(&mut Run)) -> String {
        match self.runs.get_mut(&id) {
            None => "NotFound".to_owned(),
            Some(run) if run.state != State::Waiting => "Ended".to_owned(),
            Some(run) => {
                change(run);
                self.go_on(id);
                "done".to_owned()
            }
        }
    }

    /// Runs an orchestration until it has to wait.
    fn go_on(&mut self, id: u64) {
        let Some(mut run) = self.runs.get(&id).cloned() else {
            return;
        };
        while run.state == State::Waiting && !run.is_suspended {
            let Some(step) = run.left.pop_front() else {
                run.state = State::Completed;
                break;
            };
            match step {
                Step::Push { cell, value } | Step::Child { cell, value } => run.values.push(self.push(cell, value)),
                Step::PushBoth { cells, value } => {
                    run.values.push(self.push(cells.0, value));
                    run.values.push(self.push(cells.1, value));
                }
                Step::SignalAndPush { cell, value } => {
                    self.push(cell, value);
                    run.values.push(self.push(cell, value + 1));
                }
                Step::Activities { value } => run.values.extend([value + 1, value + 2]),
                Step::Retry { value } => run.values.push(value + 1),
                Step::Sleep { .. } => {}
                Step::Wait => match run.events.pop_front() {
                    Some(value) => run.values.push(value),
                    None => {
                        run.left.push_front(Step::Wait);
                        break;
                    }
                },
                Step::TimeOut { .. } => run.values.push(7),
                Step::ContinueAsNew => run.input = (run.left.iter().copied().collect(), run.values.clone()),
                Step::Fail => run.state = State::Failed,
            }
        }
        self.runs.insert(id, run);
    }

    /// Returns everything that can be listed.
    pub(super) fn listing(&self) -> Vec<String> {
        let cells = self
            .cells
            .iter()
            .map(|(cell, values)| format!("cell {cell}: {values:?}"));
        let runs = self.runs.iter().map(|(id, run)| format!("run {id}: {}", run.status()));
        cells.chain(runs).collect()
    }
}

impl Run {
    fn status(&self) -> String {
        match self.state {
            State::Waiting if self.is_suspended => "Suspended".to_owned(),
            State::Waiting => "Running".to_owned(),
            State::Completed => format!("Completed {:?}", self.values),
            other => format!("{other:?}"),
        }
    }
}
