//! The commands that the code issues in one turn.

use std::panic::Location;

use crate::model::history::Command;
use crate::orchestration::payload::Normalize;
use crate::orchestration::step::Emission;

/// A command with the data that a replay needs to compare it and to report its origin.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) command: Command,
    /// The position of the call in the user's code, if the command belongs to a call.
    pub(super) place: Option<&'static Location<'static>>,
    pub(super) normalize: Option<Normalize>,
}

/// The commands that the code issues in one turn, in the order of emission.
#[derive(Debug, Default)]
pub(super) struct Commands {
    turn: u32,
    /// An entry is `None` if its step was dropped in the turn that created it.
    list: Vec<Option<Emitted>>,
    /// Number of remaining commands, without cancellations.
    asked: usize,
}

impl Commands {
    /// Begins the next turn.
    pub(super) fn begin_turn(&mut self) {
        self.turn += 1;
        self.list.clear();
        self.asked = 0;
    }

    /// Returns the number of commands, without cancellations.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    pub(super) fn push(&mut self, emitted: Emitted) -> Emission {
        if !matches!(emitted.command, Command::Cancel { .. }) {
            self.asked += 1;
        }
        self.list.push(Some(emitted));
        Emission {
            turn: self.turn,
            index: self.list.len() - 1,
        }
    }

    /// Returns the command, if it belongs to this turn.
    pub(super) fn get_mut(&mut self, emission: Emission) -> Option<&mut Command> {
        if emission.turn != self.turn {
            return None;
        }
        let emitted = self.list.get_mut(emission.index)?.as_mut()?;
        Some(&mut emitted.command)
    }

    /// Removes a command of this turn, which has not been recorded. Returns `false` if it belongs to an earlier turn.
    pub(super) fn remove(&mut self, emission: Emission) -> bool {
        if emission.turn != self.turn {
            return false;
        }
        if let Some(slot) = self.list.get_mut(emission.index)
            && slot.take().is_some()
        {
            self.asked -= 1;
        }
        // A loop that creates futures and drops them at once must not exhaust the memory.
        while let Some(None) = self.list.last() {
            self.list.pop();
        }
        true
    }

    /// Takes the commands of the turn. Successive cancellations are sorted by the numbers of their steps, because the
    /// order in which a function drops its variables may change with any edit.
    pub(super) fn take(&mut self) -> Vec<Emitted> {
        let mut list: Vec<Emitted> = std::mem::take(&mut self.list).into_iter().flatten().collect();
        let canceled = |emitted: &Emitted| match emitted.command {
            Command::Cancel { sequence, .. } => Some(sequence),
            _ => None,
        };
        for run in list.chunk_by_mut(|a, b| canceled(a).is_some() && canceled(b).is_some()) {
            run.sort_by_key(canceled);
        }
        list
    }
}
