//! Successive lives of a hub, under clocks that are right or wrong.

use super::*;

const DAY: u64 = 24 * HOUR;
const HOUR: u64 = 60 * MINUTE;
const MINUTE: u64 = 60_000;
/// A day in this century.
const TODAY: u64 = 20_000 * DAY;
/// Lead of a wrong clock.
const AHEAD: u64 = 3_650 * DAY;

/// A hub that is opened repeatedly.
#[derive(Default)]
struct Lives {
    last: ClockRecord,
}

impl Lives {
    /// Simulates a life that begins at `opened` and makes its last commit `long` milliseconds later.
    fn live(&mut self, opened: u64, long: u64) -> Aging {
        let aging = Aging::new(Timestamp(opened), self.last);
        self.last = aging.record(Timestamp(opened + long));
        aging
    }
}

/// A clock that is far ahead of the stored time makes nothing old for an hour. A clock that is behind, or ahead by less
/// than a day, is trusted.
#[test]
fn a_clock_in_doubt_makes_nothing_old_for_a_while() {
    let aging = |opened: u64, last: u64| {
        let mut lives = Lives::default();
        lives.live(last, 0);
        lives.live(opened, 0)
    };
    for (opened, last) in [(100 * DAY, 0), (100 * DAY, 99 * DAY), (100 * DAY, 100 * DAY), (1, 2)] {
        assert!(!aging(opened, last).is_held(Timestamp(opened)));
        assert_eq!(aging(opened, last).at(Timestamp(opened + 5)), Timestamp(opened + 5));
    }
    let held = aging(100 * DAY, 98 * DAY);
    assert_eq!(held.at(Timestamp(100 * DAY + 5)), Timestamp(98 * DAY + 5));
    assert!(held.is_held(Timestamp(100 * DAY + HOUR - 1)) && !held.is_held(Timestamp(100 * DAY + HOUR)));
    assert_eq!(held.at(Timestamp(100 * DAY + HOUR)), Timestamp(100 * DAY + HOUR));
}

/// A clock that is wrong twice is in doubt twice, because the stored time follows the correct clock in between.
#[test]
fn each_turn_of_the_clock_is_noticed() {
    let mut lives = Lives::default();
    let mut now = TODAY;
    for _ in 0..3 {
        assert!(!lives.live(now, HOUR).is_held(Timestamp(now)), "the clock is right");
        now += 2 * HOUR;
        let wrong = lives.live(now + AHEAD, 2 * HOUR);
        assert!(wrong.is_held(Timestamp(now + AHEAD)), "the clock is wrong");
        assert!(!wrong.is_held(Timestamp(now + AHEAD + HOUR)), "the doubt has ended");
        now += 3 * HOUR;
    }
}

/// The doubt lasts until the hub has been open for a total of one hour, regardless of the number of opens.
#[test]
fn a_restart_neither_ends_a_doubt_nor_renews_it() {
    let mut lives = Lives::default();
    lives.live(TODAY, 0);
    let mut now = TODAY + AHEAD;
    for life in 0..6 {
        let aging = lives.live(now, 10 * MINUTE);
        let aged = TODAY + life * 10 * MINUTE;
        assert!(aging.is_held(Timestamp(now)), "life {life}");
        assert_eq!(
            aging.at(Timestamp(now)),
            Timestamp(aged),
            "only the time in which the hub was open counts"
        );
        assert_eq!(aging.is_held(Timestamp(now + 10 * MINUTE)), life < 5, "life {life}");
        // The hub is closed for days in between, like one that is rarely used.
        now += 10 * MINUTE + 2 * DAY;
    }
    // If the clock is corrected and becomes wrong again, a new doubt of the same duration begins.
    lives.live(TODAY + DAY, 0);
    assert!(lives.live(now, 0).is_held(Timestamp(now + HOUR - 1)));
}

/// The age of data written under a clock that was ahead begins with the correction of the clock, in that life and in
/// all later ones.
#[test]
fn what_is_still_to_come_was_written_before_the_clock_was_set() {
    let mut lives = Lives::default();
    lives.live(TODAY, HOUR);
    lives.live(TODAY + AHEAD, 2 * HOUR);
    let (since, week) = (Timestamp(TODAY + AHEAD + HOUR), Duration::from_secs(7 * 24 * 60 * 60));
    let set_at = TODAY + 4 * HOUR;
    for day in 0..10 {
        let now = Timestamp(set_at + day * DAY);
        let aging = lives.live(now.0, HOUR);
        assert!(!aging.is_held(now));
        assert_eq!(aging.written(since, now), Timestamp(set_at));
        assert_eq!(aging.has_age(week, since, now), day >= 7);
        let found = aging.times_of_age(week, now).iter().any(|times| times.contains(&since));
        assert_eq!(found, day >= 7);
        // A time slightly in the future, after a step of a time service, is not affected.
        let near = now.after(Duration::from_secs(3_600));
        assert_eq!(aging.written(near, now), near);
    }
}

/// A clock that becomes wrong after a correction makes nothing old, whether its lead is larger or smaller than the
/// first time.
#[test]
fn a_clock_in_doubt_keeps_what_another_wrong_clock_has_dated() {
    for ahead in [AHEAD / 2, AHEAD, 2 * AHEAD] {
        let mut lives = Lives::default();
        lives.live(TODAY, HOUR);
        lives.live(TODAY + AHEAD, 2 * HOUR);
        let since = Timestamp(TODAY + AHEAD + HOUR);
        lives.live(TODAY + 4 * HOUR, HOUR);
        let opened = TODAY + 5 * HOUR + ahead;
        let aging = lives.live(opened, HOUR);
        let day = Duration::from_millis(DAY);
        for minute in 0..60 {
            let now = Timestamp(opened + minute * MINUTE);
            assert!(aging.is_held(now));
            assert!(!aging.has_age(day, since, now), "{ahead} ms ahead, in minute {minute}");
            let found = aging.times_of_age(day, now).iter().any(|times| times.contains(&since));
            assert!(!found, "{ahead} ms ahead, in minute {minute}");
        }
    }
}

/// A clock that is far behind for one life makes nothing old, neither in that life nor at the next open, although all
/// stored times seem to be in the future during that life.
#[test]
fn a_clock_that_was_behind_makes_nothing_old() {
    let mut lives = Lives::default();
    lives.live(TODAY, HOUR);
    let since = Timestamp(TODAY + HOUR);
    let day = Duration::from_secs(24 * 60 * 60);
    let epoch = lives.live(5 * DAY, 2 * HOUR);
    assert!(!epoch.has_age(day, since, Timestamp(5 * DAY + 2 * HOUR)));
    let right = lives.live(TODAY + 4 * HOUR, 2 * HOUR);
    for after in [0, 2 * HOUR] {
        let now = Timestamp(TODAY + 4 * HOUR + after);
        assert!(!right.has_age(day, since, now));
        assert_eq!(right.is_held(now), after == 0);
    }
}

/// A life under a clock that is far behind does not make data old that was dated by an earlier clock that was ahead.
/// When the clock is right again, the time of its first correction counts.
#[test]
fn a_clock_that_was_behind_makes_nothing_old_that_one_ahead_has_dated() {
    let week = Duration::from_millis(7 * DAY);
    for behind in [0, 5 * DAY, TODAY - 400 * DAY] {
        let mut lives = Lives::default();
        lives.live(TODAY, HOUR);
        lives.live(TODAY + AHEAD, 2 * HOUR);
        let since = Timestamp(TODAY + AHEAD + HOUR);
        let set_right = TODAY + 4 * HOUR;
        lives.live(set_right, HOUR);
        let wrong = lives.live(behind + HOUR, 2 * HOUR);
        assert!(!wrong.has_age(week, since, Timestamp(behind + 3 * HOUR)));
        for day in 1..10 {
            let opened = set_right + day * DAY;
            let aging = lives.live(opened, 2 * HOUR);
            let now = Timestamp(opened + HOUR);
            assert!(!aging.is_held(now));
            assert_eq!(aging.written(since, now), Timestamp(set_right));
            assert_eq!(aging.has_age(week, since, now), day >= 7);
            let found = aging.times_of_age(week, now).iter().any(|times| times.contains(&since));
            assert_eq!(found, day >= 7);
        }
    }
}

/// After two clocks that were ahead, the second by less, the correct clock decides.
#[test]
fn a_clock_that_is_set_back_twice_keeps_nothing_for_years() {
    let mut lives = Lives::default();
    lives.live(TODAY, HOUR);
    lives.live(TODAY + 2 * AHEAD, HOUR);
    let since = Timestamp(TODAY + 2 * AHEAD);
    lives.live(TODAY + AHEAD, HOUR);
    let set_right = TODAY + 3 * HOUR;
    lives.live(set_right, HOUR);
    let aging = lives.live(set_right + 7 * DAY, HOUR);
    let now = Timestamp(set_right + 7 * DAY + HOUR);
    assert_eq!(aging.written(since, now), Timestamp(set_right));
    assert!(aging.has_age(Duration::from_millis(7 * DAY), since, now));
}

/// Data that a life in doubt writes itself ages by its own clock.
#[test]
fn what_a_life_writes_itself_has_its_age() {
    let mut lives = Lives::default();
    lives.live(TODAY, 0);
    let opened = TODAY + AHEAD;
    let aging = lives.live(opened, 0);
    let minute = Duration::from_secs(60);
    let now = Timestamp(opened + 2 * MINUTE);
    assert!(aging.has_age(minute, Timestamp(opened), now));
    assert!(!aging.has_age(minute, Timestamp(opened + MINUTE + 1), now));
    assert!(!aging.has_age(3 * minute, Timestamp(TODAY), now));
    assert!(
        aging.has_age(2 * minute, Timestamp(TODAY), now),
        "the hub was open for this long"
    );
}
