use std::collections::BTreeSet;

use super::*;
use crate::schedule::timing::{CatchUpPolicy, Recurrence};
use crate::simulation::random::Random;

fn plan(recurrence: Recurrence) -> Plan {
    Plan {
        catch_up: CatchUpPolicy::RunAll { at_most: MAX_CATCH_UP },
        ..Plan::new("report", recurrence, "null".to_owned())
    }
}

fn every(millis: u64) -> Plan {
    plan(Recurrence::Every(Duration::from_millis(millis)))
}

fn times(runs: &[Run]) -> Vec<u64> {
    runs.iter().map(|run| run.time.0).collect()
}

/// A course with the timer that wakes it, and the runs that have begun.
struct World {
    course: Course,
    now: Timestamp,
    begun: Vec<(u64, String)>,
}

impl World {
    fn new(plan: Plan, now: u64) -> Self {
        let now = Timestamp(now);
        Self {
            course: Course::create(plan, false, now).unwrap(),
            now,
            begun: Vec::new(),
        }
    }

    fn did(&mut self, runs: Result<Vec<Run>>) {
        let runs = runs.unwrap();
        assert!(runs.len() <= RUNS_AT_ONCE);
        assert!(runs.iter().all(|run| run.time <= self.now), "a run began early");
        self.begun
            .extend(runs.into_iter().map(|run| (run.time.0, run.plan.input)));
    }

    /// Fires the timer until nothing more is due.
    fn fire(&mut self) {
        while self.course.wakes().is_some_and(|time| time <= self.now) {
            let runs = self.course.advance(self.now);
            self.did(runs);
        }
    }
}

/// Every time of a schedule's grid runs once if it passed while the grid was in effect, under the plan of that time.
/// Random updates with the same and other plans, pauses, and early and late timers are compared with the grids
/// themselves.
#[test]
fn each_run_begins_once_whatever_is_given_when() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let start = 1_700_000_000_000 + random.below(1_000);
        let mut period = 10 + random.below(40);
        let named = |period: u64, input: u64| Plan {
            input: input.to_string(),
            ..every(period)
        };
        let mut input = 0;
        let mut world = World::new(named(period, input), start);
        let (mut expected, mut since) = (BTreeSet::new(), Some(start));
        // The times while a plan was in effect, both ends included.
        let mut holds = |since: Option<u64>, until: u64, period: u64, input: u64| {
            let Some(since) = since else { return };
            for time in (since..=until).filter(|time| (time - start).is_multiple_of(period)) {
                if !expected.iter().any(|(known, _): &(u64, String)| *known == time) {
                    expected.insert((time, input.to_string()));
                }
            }
        };
        for _ in 0..40 {
            // Often zero, so that several things happen in one millisecond.
            world.now.0 += [0, 0, 1, random.below(30), random.below(200)][random.below(5) as usize];
            let now = world.now;
            match random.below(6) {
                0 | 1 => world.fire(),
                // A timer of an earlier plan.
                2 => {
                    let runs = world.course.advance(now);
                    world.did(runs);
                }
                3 => {
                    let same = world.course.plan.clone().unwrap();
                    let runs = world.course.update(same, now);
                    world.did(runs);
                }
                4 => {
                    holds(since, now.0, period, input);
                    (period, input) = (10 + random.below(40), input + 1);
                    since = since.map(|_| now.0);
                    let runs = world.course.update(named(period, input), now);
                    world.did(runs);
                }
                _ => {
                    if since.is_none() {
                        since = Some(now.0);
                    } else if random.below(2) == 0 {
                        holds(since.take(), now.0, period, input);
                    }
                    let runs = world.course.set_paused(since.is_none(), now);
                    world.did(runs);
                }
            }
        }
        let now = world.now;
        if since.is_none() {
            since = Some(now.0);
            let runs = world.course.set_paused(false, now);
            world.did(runs);
        }
        holds(since, now.0, period, input);
        world.fire();
        let begun: BTreeSet<_> = world.begun.iter().cloned().collect();
        assert_eq!(begun.len(), world.begun.len(), "seed {seed}: a run began twice");
        assert_eq!(begun, expected, "seed {seed}");
        assert_eq!(world.course.runs, world.begun.len() as u64);
    }
}

/// With a policy that skips late runs, no run begins twice either, and the newest due run always begins.
#[test]
fn the_newest_run_that_is_due_begins_once() {
    for policy in [
        CatchUpPolicy::RunOnce,
        CatchUpPolicy::Skip,
        CatchUpPolicy::RunAll { at_most: 2 },
    ] {
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let start = 1_700_000_000_000;
            let period = 1 + random.below(20);
            let plan = Plan {
                catch_up: policy,
                ..every(period)
            };
            let mut world = World::new(plan.clone(), start);
            for _ in 0..40 {
                world.now.0 += [0, 1, random.below(50)][random.below(3) as usize];
                let now = world.now;
                let runs = match random.below(3) {
                    0 => world.course.advance(now),
                    1 => world.course.update(plan.clone(), now),
                    _ => world.course.set_paused(false, now),
                };
                world.did(runs);
                let newest = now.0 - (now.0 - start) % period;
                assert_eq!(
                    world.course.last.map(|last| last.0),
                    Some(newest),
                    "{policy:?}, seed {seed}"
                );
            }
            let begun: BTreeSet<_> = world.begun.iter().collect();
            assert_eq!(begun.len(), world.begun.len(), "{policy:?}, seed {seed}");
        }
    }
}

/// A cron pattern runs once even if it is updated and resumed in the very second of its run, or just after it.
#[test]
fn a_cron_pattern_runs_once_in_its_second() {
    let plan = plan(Recurrence::cron("*/5 * * * * *"));
    let due = 1_700_000_000_000;
    for delay in [0, 1, 3, 999, 1_000, 4_999] {
        let mut world = World::new(plan.clone(), due - 2_000);
        assert_eq!(world.course.wakes(), Some(Timestamp(due)));
        world.now.0 = due + delay;
        for _ in 0..3 {
            let runs = world.course.update(plan.clone(), world.now);
            world.did(runs);
            let runs = world.course.set_paused(false, world.now);
            world.did(runs);
        }
        assert_eq!(world.begun, [(due, "null".to_owned())], "{delay} ms late");
        assert_eq!(world.course.wakes(), Some(Timestamp(due + 5_000)));
    }
}

/// If more runs are due than may begin at once, they begin in order under their own plan, whatever changes in the
/// meantime. Runs that a pause interrupts begin after it.
#[test]
fn what_is_due_begins_by_its_own_plan() {
    let mut world = World::new(every(10), 1_000);
    world.now.0 = 1_200;
    let runs = world.course.update(every(1_000), world.now).unwrap();
    assert_eq!(times(&runs), [1_000, 1_010, 1_020, 1_030, 1_040, 1_050, 1_060, 1_070]);
    assert_eq!(world.course.wakes(), Some(Timestamp(1_080)));
    let runs = world.course.set_paused(true, world.now).unwrap();
    assert_eq!(times(&runs).first(), Some(&1_080));
    assert_eq!(world.course.wakes(), None);
    assert!(world.course.advance(world.now).unwrap().is_empty(), "it is paused");
    world.now.0 = 2_500;
    world.course.set_paused(false, world.now).unwrap();
    world.fire();
    let begun: Vec<u64> = world.begun.iter().map(|(time, _)| *time).collect();
    assert_eq!(begun, [1_160, 1_170, 1_180, 1_190, 1_200]);
    assert_eq!(world.course.wakes(), Some(Timestamp(3_000)));
}

/// A clock that is set back a little between two opens gives no time to two runs. After the clock was years ahead, the
/// schedule runs by the right time again, even if it was created during that time.
#[test]
fn a_clock_that_is_set_back_neither_repeats_nor_ends_a_schedule() {
    let (start, year) = (1_700_000_000_000, 365 * 86_400_000);
    let mut world = World::new(every(1_000), start);
    world.now.0 = start + 5_500;
    world.fire();
    assert_eq!(world.course.runs, 6);
    // Four of the runs that have begun are in the future again.
    world.now.0 = start + 1_500;
    assert!(!world.course.is_astray(world.now));
    let runs = world.course.update(every(1_000), world.now).unwrap();
    assert!(runs.is_empty());
    assert_eq!(world.course.wakes(), Some(Timestamp(start + 6_000)));

    world.now.0 = start + 10 * year + 250;
    let plan = Plan {
        catch_up: CatchUpPolicy::RunOnce,
        ..every(1_000)
    };
    let runs = world.course.update(plan, world.now).unwrap();
    world.did(Ok(runs));
    world.fire();
    assert!(world.course.wakes().unwrap().0 > start + 10 * year);
    let mut created_ahead = World::new(every(1_000), start + 10 * year);
    for world in [&mut world, &mut created_ahead] {
        world.begun.clear();
        world.now.0 = start + 7_300;
        assert!(world.course.is_astray(world.now));
        world.fire();
        let runs = world.course.advance(world.now);
        world.did(runs);
        assert_eq!(world.course.wakes(), Some(Timestamp(start + 8_000)));
        assert!(!world.course.is_astray(world.now));
        for time in [start + 8_000, start + 9_000] {
            world.now.0 = time;
            world.fire();
        }
        assert_eq!(
            world.begun.iter().map(|(time, _)| *time).collect::<Vec<_>>(),
            [start + 8_000, start + 9_000]
        );
    }
}

/// A plan that no client's builder accepts is refused by the schedule itself as well.
#[test]
fn a_plan_that_cannot_be_kept_is_refused() {
    let good = every(1_000);
    let policy = |at_most| CatchUpPolicy::RunAll { at_most };
    for (plan, reason) in [
        (every(0), "every 0 ms"),
        (plan(Recurrence::cron("61 * * * *")), "the cron pattern `61 * * * *`"),
        (
            Plan {
                catch_up: policy(4_000_000_000),
                ..good.clone()
            },
            "but is 4000000000",
        ),
        (
            Plan {
                catch_up: policy(0),
                ..good.clone()
            },
            "but is 0",
        ),
        (
            Plan {
                input: "{".to_owned(),
                ..good.clone()
            },
            "is not valid JSON",
        ),
        (
            Plan {
                orchestration: String::new(),
                ..good.clone()
            },
            "name of an orchestration",
        ),
        (
            Plan {
                tags: vec![("a\nb".to_owned(), String::new())],
                ..good.clone()
            },
            "name of a tag",
        ),
    ] {
        let now = Timestamp(1_000);
        let error = Course::create(plan.clone(), false, now).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        let mut course = Course::create(good.clone(), false, now).unwrap();
        let error = course.update(plan, now).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(course.plan, Some(good.clone()));
    }
}
