//! The known effects of requests, with regard to other requests that canceled or replaced the same timer.

use super::clients::{Effect, Heard, Request, What};
use super::plan::End;
use super::world::World;
use crate::error::ErrorKind;

/// Returns the known effect of work with this `end`, whose request has the `effect`.
pub(super) fn effect_of(world: &World, end: End, request: &Request, effect: Effect) -> Effect {
    let was_answered = request.heard.iter().any(|heard| matches!(heard, Heard::Done(_)));
    let was_refused = request.heard.contains(&Heard::Failed(ErrorKind::TooLarge));
    match (effect, world.is_done(end)) {
        (_, Some(false)) => Effect::None,
        (effect, Some(true)) => effect,
        (Effect::Sure, None) if was_answered => Effect::Sure,
        (_, None) if was_refused => Effect::None,
        (Effect::None, None) => Effect::None,
        (_, None) => Effect::Unknown,
    }
}

/// Returns the known effect of a request while attempts to cancel it may still be in flight.
pub(super) fn effect_so_far(world: &World, index: usize) -> Effect {
    match cancels(world, index).next() {
        Some(_) => Effect::Unknown,
        None => effect_at_last(world, index),
    }
}

/// Returns the known effect of a request after all attempts to cancel it.
pub(super) fn effect_at_last(world: &World, index: usize) -> Effect {
    let request = &world.requests[index];
    if matches!(request.what, What::Work(_)) {
        return request.effect();
    }
    let timers = same_timer(world, index);
    if timers.len() > 1 {
        return effect_among(world, &timers, index);
    }
    let heard = |cancel: &Request, answer| cancel.heard.contains(&Heard::Canceled(answer));
    if cancels(world, index).any(|cancel| heard(cancel, true)) {
        // The hub recognizes a retry by its request id. After the cancellation of an attempt, a retry sets no timer.
        return Effect::None;
    }
    let all_too_late = cancels(world, index).all(|cancel| heard(cancel, false) && cancel.lost == 0);
    match request.effect() {
        Effect::Sure if all_too_late => Effect::Sure,
        Effect::None => Effect::None,
        _ => Effect::Unknown,
    }
}

/// Returns the known effect of one of several timers with the same name. The last one replaces earlier ones that have
/// not fired, so only the last one is sure. Each must have been requested once, because a later attempt replaces the
/// timer.
fn effect_among(world: &World, timers: &[usize], index: usize) -> Effect {
    let request = &world.requests[index];
    let is_last = timers.last() == Some(&index);
    let each_once = timers.iter().all(|timer| world.requests[*timer].attempts == 1);
    let none_canceled = timers.iter().all(|timer| cancels(world, *timer).next().is_none());
    match request.effect() {
        Effect::Sure if is_last && each_once && none_canceled => Effect::Sure,
        Effect::None => Effect::None,
        _ => Effect::Unknown,
    }
}

/// Returns the requests for timers with the same target and name, itself included, in the order of requests.
fn same_timer(world: &World, index: usize) -> Vec<usize> {
    let name = |request: &Request| request.timer().map(|(target, timer, _)| (target, timer));
    let wanted = name(&world.requests[index]);
    let requests = world.requests.iter().enumerate();
    let same = requests.filter(|(_, request)| name(request) == wanted);
    same.map(|(index, _)| index).collect()
}

fn cancels(world: &World, index: usize) -> impl Iterator<Item = &Request> {
    world
        .requests
        .iter()
        .filter(move |request| request.what == What::Cancel(index))
}
