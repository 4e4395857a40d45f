//! What is known of the effects of requests, after others that canceled or replaced the same timer.

use super::clients::{Effect, Heard, Request, What};
use super::plan::End;
use super::world::World;
use crate::error::ErrorKind;

/// What is known of the effect of work that ends so, if its request has the `effect`.
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

/// What is known of a request's effect while attempts to cancel it may still be on their way.
pub(super) fn effect_so_far(world: &World, index: usize) -> Effect {
    match cancels(world, index).next() {
        Some(_) => Effect::Unknown,
        None => effect_at_last(world, index),
    }
}

/// What is known of a request's effect, after all attempts to cancel it.
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
        // A retry that comes after the canceling of an attempt is known by its request id and sets no timer.
        return Effect::None;
    }
    let all_too_late = cancels(world, index).all(|cancel| heard(cancel, false) && cancel.lost == 0);
    match request.effect() {
        Effect::Sure if all_too_late => Effect::Sure,
        Effect::None => Effect::None,
        _ => Effect::Unknown,
    }
}

/// What is known of one of several timers of one name. The last one replaces those before it that have not fired, so that
/// it alone is sure; and only if each was asked for once, because an attempt that comes later replaces it.
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

/// The requests for timers of this one's target and name, itself included, in the order of asking.
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
