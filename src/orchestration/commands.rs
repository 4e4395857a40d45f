//! What the code asks for in one turn.

use std::panic::Location;

use crate::orchestration::payload::Normalize;
use crate::orchestration::step::Emission;
use crate::store::records::history::Command;

/// One command with what a replay needs to compare it, and to say where it comes from.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) command: Command,
    /// Where the call stands in the user's code, if the command is one of a call.
    pub(super) place: Option<&'static Location<'static>>,
    pub(super) normalize: Option<Normalize>,
}

/// What the code asks for in one turn, in the order of emission.
#[derive(Debug, Default)]
pub(super) struct Commands {
    turn: u32,
    /// Nothing stands where a step was dropped in the turn that made it.
    list: Vec<Option<Emitted>>,
    /// How many are left, without cancels.
    asked: usize,
}

impl Commands {
    /// Begins the next turn.
    pub(super) fn begin_turn(&mut self) {
        self.turn += 1;
        self.list.clear();
        self.asked = 0;
    }

    /// How many commands there are that do not take something back.
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

    /// The command, if it is one of this turn.
    pub(super) fn get_mut(&mut self, emission: Emission) -> Option<&mut Command> {
        if emission.turn != self.turn {
            return None;
        }
        let emitted = self.list.get_mut(emission.index)?.as_mut()?;
        Some(&mut emitted.command)
    }

    /// Takes a command back that nobody has seen. False if it is one of an earlier turn.
    pub(super) fn remove(&mut self, emission: Emission) -> bool {
        if emission.turn != self.turn {
            return false;
        }
        if let Some(slot) = self.list.get_mut(emission.index)
            && slot.take().is_some()
        {
            self.asked -= 1;
        }
        // A loop that makes futures and drops them at once shall not fill the memory.
        while let Some(None) = self.list.last() {
            self.list.pop();
        }
        true
    }

    /// Takes the turn's commands. Where several steps are taken back in a row, they stand in the order of their numbers: the
    /// order in which a function drops its variables may change with any edit of it.
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
