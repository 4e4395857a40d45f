//! The commands of programs.

use abide::prelude::*;

/// Number of entities, orchestrations and timers that commands name.
const NAMES: u64 = 4;

#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Calls an operation.
    Push {
        cell: u64,
        value: u64,
    },
    /// Signals an operation, and waits until it has run.
    Signal {
        cell: u64,
        value: u64,
    },
    /// Calls an `async` operation.
    PushSlowly {
        cell: u64,
        value: u64,
    },
    /// Calls an operation that changes its state and then fails.
    Fail {
        cell: u64,
        value: u64,
    },
    /// Calls an operation that changes its state and then panics.
    Panic {
        cell: u64,
        value: u64,
    },
    /// Has an entity send two messages to another one.
    Forward {
        cell: u64,
        to: u64,
        value: u64,
    },
    Delete {
        cell: u64,
    },
    Read {
        cell: u64,
    },
    /// Repeats a call under the same request id.
    Repeat {
        cell: u64,
        value: u64,
    },
    /// Schedules a signal for the far future, under a name.
    Schedule {
        cell: u64,
        timer: u64,
        value: u64,
    },
    CancelSignal {
        cell: u64,
        timer: u64,
    },
    /// Schedules a signal for soon, and waits until it has fired.
    Soon {
        cell: u64,
        value: u64,
    },
    Start {
        id: u64,
        script: Vec<Step>,
    },
    RaiseEvent {
        id: u64,
        value: u64,
    },
    Suspend {
        id: u64,
    },
    Resume {
        id: u64,
    },
    Terminate {
        id: u64,
    },
    Restart {
        id: u64,
    },
    Purge {
        id: u64,
    },
    Status {
        id: u64,
    },
    /// Closes the hub and opens it again.
    Reopen,
}

/// A step of an orchestration.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// Calls an entity.
    Push {
        cell: u64,
        value: u64,
    },
    /// Locks two entities, and calls both.
    PushBoth {
        cells: (u64, u64),
        value: u64,
    },
    /// Signals an entity, and calls it.
    SignalAndPush {
        cell: u64,
        value: u64,
    },
    /// Calls two activities at the same time.
    Activities {
        value: u64,
    },
    /// Calls an activity that fails twice.
    Retry {
        value: u64,
    },
    /// Calls a sub-orchestration, which calls an entity.
    Child {
        cell: u64,
        value: u64,
    },
    /// Sleeps for some milliseconds.
    Sleep {
        millis: u64,
    },
    /// Waits for an event.
    Wait,
    /// Waits for an event that does not come, with a timeout.
    TimeOut {
        millis: u64,
    },
    /// Continues as a new execution with the steps that are left.
    ContinueAsNew,
    Fail,
}

impl Command {
    pub(super) fn draw(random: &mut fastrand::Rng) -> Self {
        let (cell, id, value) = (random.u64(..NAMES), random.u64(..NAMES), random.u64(..1_000));
        let (to, timer) = (random.u64(..NAMES), random.u64(..2));
        match random.u32(..40) {
            0..3 => Self::Push { cell, value },
            3..5 => Self::Signal { cell, value },
            5 => Self::PushSlowly { cell, value },
            6 => Self::Fail { cell, value },
            7 => Self::Panic { cell, value },
            8..10 => Self::Forward { cell, to, value },
            10 => Self::Delete { cell },
            11 => Self::Read { cell },
            12 => Self::Repeat { cell, value },
            13..15 => Self::Schedule { cell, timer, value },
            15 => Self::CancelSignal { cell, timer },
            16 => Self::Soon { cell, value },
            17..23 => Self::Start {
                id,
                script: (0..random.usize(1..7)).map(|_| Step::draw(random)).collect(),
            },
            23..28 => Self::RaiseEvent { id, value },
            28..30 => Self::Suspend { id },
            30..33 => Self::Resume { id },
            33 => Self::Terminate { id },
            34 => Self::Restart { id },
            35 => Self::Purge { id },
            36 => Self::Status { id },
            37 => Self::Reopen,
            _ => Self::Push { cell: 0, value },
        }
    }
}

impl Step {
    fn draw(random: &mut fastrand::Rng) -> Self {
        let (cell, value, millis) = (random.u64(..NAMES), random.u64(..1_000), random.u64(..4));
        match random.u32(..14) {
            0..2 => Self::Push { cell, value },
            2 => Self::PushBoth {
                cells: (cell, (cell + 1 + random.u64(..NAMES - 1)) % NAMES),
                value,
            },
            3 => Self::SignalAndPush { cell, value },
            4 => Self::Activities { value },
            5 => Self::Retry { value },
            6 => Self::Child { cell, value },
            7 => Self::Sleep { millis },
            8..12 => Self::Wait,
            12 => Self::TimeOut { millis },
            _ if random.bool() => Self::ContinueAsNew,
            _ => Self::Fail,
        }
    }
}
