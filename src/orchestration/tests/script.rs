//! Programs that are drawn from a seed: an orchestration that runs the program in its input.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, join_all, select};
use futures::stream::FuturesUnordered;

use super::stage::{Account, Double, Stubborn, orchestration};
use crate::prelude::*;
use crate::{OrchestrationContext, orchestration::LocalBoxFuture};

/// An action whose value is a number.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(super) enum Node {
    Activity(i64),
    Stubborn(i64),
    Timer(u64),
    Event(u8),
    EventOrTimer(u8, u64),
    Call(u8),
    Signal(u8),
    Child(i64),
    Start,
    Chance,
    Time,
    Status,
    /// Created and dropped at once.
    Drop(Box<Node>),
    /// All concurrently.
    Join(Vec<Node>),
    /// All concurrently, in the order in which they end.
    Unordered(Vec<Node>),
    /// One after the other.
    Series(Vec<Node>),
    /// The first of two; the other is dropped.
    Race(Box<Node>, Box<Node>),
    /// Locks some entities and calls them, with another action inside.
    Section(Vec<u8>, Box<Node>),
    /// Called before the action, and awaited after it.
    Hot(i64, Box<Node>),
}

orchestration!(Script(ctx, node: Node) -> i64, Failure {
    let value = perform(ctx.clone(), node).await;
    match value % 7 {
        0 => ctx.continue_as_new(Node::Timer(1)).await,
        1 => Err(Failure::message(format!("odd {value}"))),
        _ => Ok(value),
    }
});

fn number<E>(result: Result<i64, E>) -> i64 {
    result.unwrap_or(-1)
}

/// Combines numbers so that their order counts.
fn mix(numbers: impl IntoIterator<Item = i64>) -> i64 {
    numbers
        .into_iter()
        .fold(17, |all, number| (all * 31 + number).rem_euclid(1_000_003))
}

fn perform(ctx: OrchestrationContext, node: Node) -> LocalBoxFuture<i64> {
    // Hot steps are created here, before the first poll.
    match node {
        Node::Activity(n) => {
            let call = ctx.call_activity::<Double>(n);
            Box::pin(async move { number(call.await) })
        }
        Node::Stubborn(n) => {
            let call = ctx.call_activity::<Stubborn>(n);
            Box::pin(async move { number(call.await) })
        }
        Node::Timer(seconds) => {
            let timer = ctx.create_timer(Duration::from_secs(seconds));
            Box::pin(async move {
                timer.await;
                3
            })
        }
        Node::Event(name) => {
            let wait = ctx.wait_for_external_event::<i64>(name.to_string());
            Box::pin(async move { number(wait.await) })
        }
        Node::EventOrTimer(name, seconds) => {
            let wait = ctx.wait_for_external_event::<i64>(name.to_string());
            let wait = wait.timeout_or(Duration::from_secs(seconds), 5);
            Box::pin(async move { number(wait.await) })
        }
        Node::Call(key) => Box::pin(async move { number(ctx.entity::<Account>(key).deposit(1).await) }),
        Node::Signal(key) => {
            // Inside a section, a signal to a locked entity would fail the orchestration.
            ctx.entity::<Account>(u32::from(key) + 1_000).deposit(1).signal();
            Box::pin(async { 7 })
        }
        Node::Child(n) => {
            let child = ctx
                .call_sub_orchestration::<Script>(Node::Activity(n))
                .retry(RetryPolicy::new(2));
            Box::pin(async move { number(child.await) })
        }
        Node::Start => {
            ctx.start_orchestration::<Script>(Node::Start);
            Box::pin(async { 11 })
        }
        Node::Chance => {
            Box::pin(async move { ctx.random().range(..1_000) as i64 + ctx.new_guid().as_u128() as i64 % 9 })
        }
        Node::Time => Box::pin(async move {
            let time = ctx.current_utc_time().duration_since(std::time::UNIX_EPOCH);
            time.map_or(0, |time| time.as_secs() as i64)
        }),
        Node::Status => {
            ctx.set_custom_status("here");
            Box::pin(async { 13 })
        }
        Node::Drop(node) => {
            drop(perform(ctx, *node));
            Box::pin(async { 19 })
        }
        Node::Join(nodes) => {
            let all: Vec<_> = nodes.into_iter().map(|node| perform(ctx.clone(), node)).collect();
            Box::pin(async move { mix(join_all(all).await) })
        }
        Node::Unordered(nodes) => {
            let all: FuturesUnordered<_> = nodes.into_iter().map(|node| perform(ctx.clone(), node)).collect();
            Box::pin(async move { mix(all.collect::<Vec<_>>().await) })
        }
        Node::Series(nodes) => Box::pin(async move {
            let mut numbers = Vec::new();
            for node in nodes {
                numbers.push(perform(ctx.clone(), node).await);
            }
            mix(numbers)
        }),
        Node::Race(first, second) => {
            let (first, second) = (perform(ctx.clone(), *first), perform(ctx, *second));
            Box::pin(async move {
                match select(first, second).await {
                    Either::Left((number, _)) => mix([1, number]),
                    Either::Right((number, _)) => mix([2, number]),
                }
            })
        }
        Node::Section(keys, inside) => Box::pin(async move {
            let accounts: Vec<_> = keys.iter().map(|key| ctx.entity::<Account>(key)).collect();
            let Ok(_guard) = ctx.lock_entities(&accounts).await else {
                return 23;
            };
            let calls = join_all(accounts.iter().map(|account| account.deposit(2))).await;
            let inside = perform(ctx.clone(), *inside).await;
            mix(calls.into_iter().map(number).chain([inside]))
        }),
        Node::Hot(n, node) => {
            let call = ctx.call_activity::<Double>(n);
            let node = perform(ctx, *node);
            Box::pin(async move { mix([node.await, number(call.await)]) })
        }
    }
}

/// A stream of numbers that its seed determines: SplitMix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn nodes(&mut self, depth: usize) -> Vec<Node> {
        (0..1 + self.below(4)).map(|_| self.node(depth)).collect()
    }

    /// Draws a program.
    pub(super) fn node(&mut self, depth: usize) -> Node {
        let small = self.below(3) as u8;
        let seconds = 1 + self.below(20) as u64;
        let kinds = if depth == 0 { 12 } else { 19 };
        match self.below(kinds) {
            0 => Node::Activity(seconds as i64),
            1 => Node::Stubborn(seconds as i64),
            2 => Node::Timer(seconds),
            3 => Node::Event(small),
            4 => Node::EventOrTimer(small, seconds),
            5 => Node::Call(small),
            6 => Node::Signal(small),
            7 => Node::Child(seconds as i64),
            8 => Node::Start,
            9 => Node::Chance,
            10 => Node::Time,
            11 => Node::Status,
            12 => Node::Drop(Box::new(self.node(depth - 1))),
            13 => Node::Join(self.nodes(depth - 1)),
            14 => Node::Unordered(self.nodes(depth - 1)),
            15 => Node::Series(self.nodes(depth - 1)),
            16 => Node::Race(Box::new(self.node(depth - 1)), Box::new(self.node(depth - 1))),
            17 => Node::Section(vec![small, self.below(3) as u8], Box::new(self.node(depth - 1))),
            _ => Node::Hot(seconds as i64, Box::new(self.node(depth - 1))),
        }
    }
}
