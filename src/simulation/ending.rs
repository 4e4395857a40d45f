//! The end of a process of the hub: by a crash, or at rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builds::Build;
use super::check;
use super::coverage::CoverageMark;
use super::orchestration::Versions;
use super::plan::{Kind, NEVER_MS};
use super::process::Process;
use super::world::World;
use crate::id::ShardId;
use crate::schema::{self, Table};

impl World {
    /// Kills the process and opens the hub again. A prefix of the unsynced commits survives.
    pub(super) fn crash(&mut self) {
        let shard = self.shards.here.id;
        if !self.process.failed && self.random.chance(30) {
            self.finish();
        }
        if self.may_rest_in_this_process() && self.aside.chance(20) {
            self.rest_in_this_process();
        }
        self.focus(shard);
        let is_orderly = self.profile.orchestrations.is_some() && self.random.chance(20) && self.leave();
        let keep = match is_orderly {
            true => self.model.unsynced(),
            false => self.random.index(self.model.unsynced() + 1),
        };
        let build = match self.profile.bad_builds && self.random.chance(50) {
            true => self.bad_build(),
            false => Build::Good,
        };
        match self.random.chance(10) {
            // The wall clock was set back while the hub was closed.
            true => {
                self.clock_was_set_back = true;
                self.now.0 -= self.random.below(1_000);
            }
            false => self.now.0 += self.random.below(1_000),
        }
        let versions = self.profile.draw_versions(&mut self.later);
        self.reopen(keep, build, versions);
    }

    /// Ends the process and starts another one, which opens the hub. The first `keep` of the unsynced commits survive.
    /// A machine draws this number itself, unless `keep` is all of them.
    pub(super) fn reopen(&mut self, keep: usize, build: Build, versions: Versions) {
        let unsynced = self.model.unsynced();
        let stays = self.goes_on_as_replaced();
        let (model, keep) = match &mut self.host {
            Some(host) => host.restart(&self.model, keep == unsynced, stays),
            None => (Arc::new(self.model.crash(keep)), keep),
        };
        let replaced = std::mem::replace(&mut self.model, model);
        let lost = unsynced - keep;
        let last = self.process.written - lost as u64;
        self.hash.update(&last.to_le_bytes());
        self.story.tell(|| {
            format!(
                "{} crash: {lost} commits lost, {last} is the last, then {build:?} with {versions:?}",
                self.now.0
            )
        });
        let survey = self.survey();
        assert_eq!(survey.commit, last, "a crash loses a suffix of the commits");
        self.see(CoverageMark::CrashThatLosesCommits, lost > 0);
        self.see(CoverageMark::CrashWithWaitingMessages, !survey.messages.is_empty());
        self.see(CoverageMark::CrashWhileOperationsRun, !self.process.running.is_empty());
        self.see(CoverageMark::Quarantine, !survey.quarantined.is_empty());
        self.see(CoverageMark::HeldEntity, !self.process.held.is_empty());
        let (here, partitions) = (self.shards.here, self.profile.partitions);
        for request in &mut self.requests {
            if here.has(request.target.partition(partitions)) {
                request.lost += std::mem::take(&mut request.open);
            }
        }
        self.observations.forget_after(here.id, last);
        check::after_crash(self);
        self.check_after_crash();
        let store = self.store();
        let (random, aside) = (&mut self.random, &mut self.aside);
        let process = Process::open(store, build, versions, here, &self.profile, random, aside);
        let before = std::mem::replace(&mut self.process, process);
        if stays {
            self.keep_as_replaced(before, &replaced);
        }
        self.limits_met.insert(self.process.payload_bytes);
        self.reopen_mail();
    }

    /// Returns whether this process has the code for everything in the store.
    pub(super) fn process_has_all_code(&self) -> bool {
        self.processes()
            .all(|process| process.build == Build::Good && process.versions.run_all_of(self.profile.all_versions()))
    }

    /// Returns whether everything can end without another open, which would resume whatever this process has forgotten.
    fn may_rest_in_this_process(&self) -> bool {
        !self.any_has_failed() && self.process_has_all_code()
    }

    /// Lets time pass until no timer is left, in the process that set the timers. Whatever is due, ready or waiting
    /// proceeds.
    fn rest_in_this_process(&mut self) {
        for shard in self.shards.all() {
            self.focus(shard);
            self.model.withdraw_faults();
        }
        self.finish();
        while self.wake() {
            self.finish();
        }
        self.see(CoverageMark::RestWithoutAnOpen, true);
    }

    /// Brings everything to its end: in this process, or after an open with the good build.
    pub(super) fn rest(&mut self) {
        self.focus(ShardId(0));
        let keep = self.random.index(self.model.unsynced() + 1);
        let in_this_process = self.may_rest_in_this_process() && self.aside.chance(50);
        if !in_this_process {
            self.reopen(keep, Build::Good, self.profile.all_versions());
            for shard in self.shards.all().skip(1) {
                self.focus(shard);
                let keep = self.random.index(self.model.unsynced() + 1);
                self.reopen(keep, Build::Good, self.profile.all_versions());
            }
        }
        // Release all held entities. With the good build, no other entity is blocked.
        for kind in Kind::ALL {
            for number in 0..self.profile.keys {
                self.resume(kind.id(&self.profile.key(number)));
            }
        }
        if in_this_process {
            self.rest_in_this_process();
            self.reopen_at_rest();
        }
        self.settle_all();
        if self.profile.orchestrations.is_some() {
            self.end_orchestrations();
        }
    }

    /// Performs everything that time and operators bring about.
    pub(super) fn settle_all(&mut self) {
        self.finish();
        while self.redeliver_one() || self.wake() {
            self.finish();
        }
    }

    /// Reopens a hub at rest. That must change nothing in the store.
    pub(super) fn reopen_at_rest(&mut self) {
        if self.has_stopped_orchestrations() {
            // An open retries them.
            return;
        }
        let before = self.lasting_rows();
        // No entity is held, because nothing would release it.
        let bad_builds = std::mem::take(&mut self.profile.bad_builds);
        for shard in self.shards.all() {
            self.focus(shard);
            self.reopen(self.model.unsynced(), Build::Good, self.profile.all_versions());
        }
        self.profile.bad_builds = bad_builds;
        self.finish();
        let after = self.lasting_rows();
        if let Some(((_, key), _)) = before.iter().find(|(key, value)| after.get(*key) != Some(*value)) {
            panic!(
                "an open changed or removed the row {} of a hub at rest",
                key.escape_ascii()
            );
        }
        if let Some((_, key)) = after.keys().find(|key| !before.contains_key(*key)) {
            panic!("an open added the row {} of a hub at rest", key.escape_ascii());
        }
    }

    /// Returns all rows except those that expire, because an open removes expired rows immediately, and those of messages
    /// between shards, which have all arrived.
    fn lasting_rows(&self) -> BTreeMap<(ShardId, Vec<u8>), Vec<u8>> {
        let mut rows = self.rows_of_all_shards();
        rows.retain(|(_, key), _| {
            schema::partition_and_table(key).is_some_and(|(_, table)| {
                !matches!(
                    table,
                    Table::Partition
                        | Table::Mail
                        | Table::Request
                        | Table::RequestAge
                        | Table::DeadLetter
                        | Table::DeadLetterAge
                        | Table::EarlyEvent
                        | Table::EarlyPlace
                        | Table::EarlyExpiry
                        | Table::EarlyCount
                )
            })
        });
        rows
    }

    fn bad_build(&mut self) -> Build {
        if self.profile.orchestrations.is_some() && self.random.chance(50) {
            return *self.random.pick(&Build::BAD_FOR_ORCHESTRATIONS);
        }
        *self.random.pick(&Build::BAD)
    }

    /// Performs everything that requires neither time nor an operator.
    pub(super) fn finish(&mut self) {
        for _ in 0..10_000 {
            let mut busy = false;
            for shard in self.shards.all() {
                self.focus(shard);
                busy |= self.go_on();
                if self.process.failed {
                    return;
                }
            }
            busy |= self.deliver_all_mail();
            if !busy {
                return check::when_idle(self);
            }
        }
        panic!("the hub does not come to rest");
    }

    /// Performs everything that is possible without time. Returns whether there was anything.
    pub(super) fn go_on(&mut self) -> bool {
        let mut busy = false;
        for index in 0..self.process.cores.len() {
            busy |= self.process.cores[index].step.is_some();
            self.commit(index);
            let count = self.process.cores[index].inbox.len();
            self.accept_some(index, count);
            if self.process.cores[index].driver.has_work(self.now) {
                busy = true;
                self.step(index);
                self.commit(index);
            }
            busy |= count > 0;
        }
        self.sync();
        while !self.process.running.is_empty() {
            busy = true;
            self.poll(0);
        }
        while !self.process.jobs.is_empty() {
            busy = true;
            self.end_job(0);
        }
        while self.process.at_door.iter().any(|(_, door)| door.is_open()) {
            busy = true;
            self.open_a_door();
        }
        busy
    }

    /// Advances the clock to the next timer. Returns whether there is one.
    pub(super) fn wake(&mut self) -> bool {
        let next = self.survey().timers.into_iter().min();
        match next.filter(|due| due.0 < NEVER_MS) {
            Some(due) => {
                assert!(due > self.now, "a timer that is due does not fire");
                self.now = due;
                true
            }
            None => false,
        }
    }

    /// Lets all request ids expire.
    pub(super) fn forget_requests(&mut self) {
        self.now.0 += 3 * 24 * 60 * 60 * 1_000;
        self.finish();
    }
}
