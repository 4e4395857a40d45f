//! The check whether what clients have observed is possible if operations take effect one at a time.

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Records what clients observe, from any number of threads and tasks, for [`check`](Self::check).
///
/// `O` describes an operation together with its answer.
///
/// ```
/// use abide::prelude::*;
/// use abide::testing::Recorder;
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Counter {
///     total: i64,
/// }
///
/// #[operations]
/// impl Counter {
///     pub fn add(&mut self, n: i64) -> i64 {
///         self.total += n;
///         self.total
///     }
/// }
///
/// /// An addition, and the answer if it is known.
/// #[derive(Debug)]
/// struct Add(i64, Option<i64>);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// let (counter, recorder) = (hub.client().entity::<Counter>("visits"), Recorder::new());
/// let add = async |n| {
///     let began = recorder.begin();
///     // Without an answer, nobody knows whether the operation has happened.
///     match counter.add(n).await {
///         Ok(total) => recorder.end(began, Add(n, Some(total))),
///         Err(_) => recorder.give_up(began, Add(n, None)),
///     }
/// };
/// tokio::join!(add(1), add(2), add(3));
///
/// let checked = recorder.check(0, |total, Add(n, answer)| {
///     *total += n;
///     answer.is_none_or(|answer| answer == *total)
/// });
/// assert!(checked.is_ok());
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Debug)]
pub struct Recorder<O>(Mutex<Record<O>>);

#[derive(Debug)]
struct Record<O> {
    /// The number of the next event.
    next: u64,
    operations: Vec<Observed<O>>,
}

/// The begin of an operation. Returned by [`Recorder::begin`].
#[derive(Clone, Copy, Debug)]
#[must_use = "an operation is recorded when it ends"]
pub struct Began(u64);

/// An operation that a client has observed.
#[derive(Debug)]
struct Observed<O> {
    operation: O,
    began: u64,
    /// `None` if its client has received no answer.
    ended: Option<u64>,
}

impl<O> Recorder<O> {
    /// Creates an empty record.
    pub fn new() -> Self {
        Self(Mutex::new(Record {
            next: 0,
            operations: Vec::new(),
        }))
    }

    /// Notes that an operation begins now. Call it before the request is sent.
    pub fn begin(&self) -> Began {
        Began(self.record().draw())
    }

    /// Records an operation whose answer has arrived now.
    pub fn end(&self, began: Began, operation: O) {
        let mut record = self.record();
        let ended = Some(record.draw());
        record.operations.push(Observed {
            operation,
            began: began.0,
            ended,
        });
    }

    /// Records an operation without an answer. It may have taken effect at any time since it began, may still do so, or
    /// may never do so.
    pub fn give_up(&self, began: Began, operation: O) {
        self.record().operations.push(Observed {
            operation,
            began: began.0,
            ended: None,
        });
    }

    fn record(&self) -> MutexGuard<'_, Record<O>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O> Default for Recorder<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O> Record<O> {
    fn draw(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

impl<O: Debug> Recorder<O> {
    /// Checks whether the record is linearizable: whether the operations can be put into an order in which each takes
    /// effect between its begin and its end, and in which all answers are right.
    ///
    /// `apply` applies an operation to a state, and returns `false` if its answer is not possible there. `initial` is the
    /// state before the first operation.
    ///
    /// The search is exponential in the number of operations that overlap. Record each entity on its own: a record is
    /// linearizable if the record of each entity is.
    ///
    /// # Errors
    /// Returns the longest part of an order that was found, and the operations that fit nowhere behind it.
    pub fn check<S: Clone + Eq + Hash>(
        &self,
        initial: S,
        apply: impl Fn(&mut S, &O) -> bool,
    ) -> Result<(), NotLinearizable> {
        let record = self.record();
        let search = Search {
            operations: &record.operations,
            apply,
        };
        search.run(initial)
    }
}

/// A record that is not linearizable. Returned by [`Recorder::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotLinearizable {
    /// The longest order that was found, as `Debug` shows its operations.
    pub order: Vec<String>,
    /// The operations that would have to come next, none of which is possible there.
    pub impossible: Vec<String>,
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the record is not linearizable; after {} operations:",
            self.order.len()
        )?;
        let shown = self.order.len().saturating_sub(20);
        for operation in &self.order[shown..] {
            writeln!(f, "  {operation}")?;
        }
        writeln!(f, "none of these is possible:")?;
        for operation in &self.impossible {
            writeln!(f, "  {operation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotLinearizable {}

/// The search for an order. It tries the operations that may come next one after the other, and remembers which sets of
/// operations have led to which state. Source: G. Lowe, "Testing for linearizability", 2017.
struct Search<'a, O, F> {
    operations: &'a [Observed<O>],
    apply: F,
}

impl<O: Debug, F> Search<'_, O, F> {
    fn run<S: Clone + Eq + Hash>(&self, initial: S) -> Result<(), NotLinearizable>
    where
        F: Fn(&mut S, &O) -> bool,
    {
        let mut placed = Placed::none(self.operations.len());
        let mut seen: HashSet<(Placed, S)> = HashSet::new();
        // Each entry is a state with the operations to try next, and the operation that has led to it.
        let mut path = vec![(initial, self.candidates(&placed), None::<usize>)];
        let mut best: (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        while let Some((state, next, _)) = path.last_mut() {
            if self.is_complete(&placed) {
                return Ok(());
            }
            let Some(index) = next.pop() else {
                let (_, _, led) = path.pop().expect("the path has a last entry");
                if let Some(index) = led {
                    placed.remove(index);
                }
                continue;
            };
            let mut after = state.clone();
            if !(self.apply)(&mut after, &self.operations[index].operation) {
                continue;
            }
            // An operation without an answer that changes nothing may as well never have happened.
            if self.operations[index].ended.is_none() && after == *state {
                continue;
            }
            placed.insert(index);
            if !seen.insert((placed.clone(), after.clone())) {
                placed.remove(index);
                continue;
            }
            let candidates = self.candidates(&placed);
            path.push((after, candidates.clone(), Some(index)));
            if path.len() - 1 > best.0.len() {
                best = (path.iter().filter_map(|(.., led)| *led).collect(), candidates);
            }
        }
        if best.0.is_empty() {
            best.1 = self.candidates(&placed);
        }
        let shown = |indices: Vec<usize>| {
            let operations = indices.into_iter().map(|index| &self.operations[index].operation);
            operations.map(|operation| format!("{operation:?}")).collect()
        };
        Err(NotLinearizable {
            order: shown(best.0),
            impossible: shown(best.1),
        })
    }

    /// Returns the operations that may come next: those that began before any other of the rest has ended.
    fn candidates(&self, placed: &Placed) -> Vec<usize> {
        let rest = || {
            self.operations
                .iter()
                .enumerate()
                .filter(|(index, _)| !placed.contains(*index))
        };
        let first_end = rest()
            .filter_map(|(_, observed)| observed.ended)
            .min()
            .unwrap_or(u64::MAX);
        let next = rest().filter(|(_, observed)| observed.began < first_end);
        let mut next: Vec<usize> = next.map(|(index, _)| index).collect();
        // The last one is tried first.
        next.sort_by_key(|index| std::cmp::Reverse(self.operations[*index].ended.unwrap_or(u64::MAX)));
        next
    }

    /// Returns `true` if all operations with an answer are placed. The others may never have happened.
    fn is_complete(&self, placed: &Placed) -> bool {
        let answered = self
            .operations
            .iter()
            .enumerate()
            .filter(|(_, observed)| observed.ended.is_some());
        answered.map(|(index, _)| index).all(|index| placed.contains(index))
    }
}

/// A set of operations.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Placed(Vec<u64>);

impl Placed {
    fn none(operations: usize) -> Self {
        Self(vec![0; operations.div_ceil(64)])
    }

    fn contains(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn remove(&mut self, index: usize) {
        self.0[index / 64] &= !(1 << (index % 64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation on a register.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Register {
        Write(u8),
        Read(u8),
    }
    use Register::{Read, Write};

    fn step(state: &mut u8, operation: &Register) -> bool {
        match *operation {
            Write(value) => {
                *state = value;
                true
            }
            Read(value) => value == *state,
        }
    }

    /// Records operations with their times. Without an end, the answer is unknown.
    fn recorded(operations: &[(Register, u64, Option<u64>)]) -> Recorder<Register> {
        let operations = operations.iter().map(|&(operation, began, ended)| Observed {
            operation,
            began,
            ended,
        });
        Recorder(Mutex::new(Record {
            next: 0,
            operations: operations.collect(),
        }))
    }

    fn is_linearizable(operations: &[(Register, u64, Option<u64>)]) -> bool {
        recorded(operations).check(0, step).is_ok()
    }

    /// Answers that some order explains are accepted, and others are not: a value that was overwritten before the read
    /// began, a value that was never written, and two reads that see two writes in the wrong order.
    #[test]
    fn an_order_explains_the_answers_or_not() {
        assert!(is_linearizable(&[]));
        assert!(is_linearizable(&[(Write(1), 0, Some(3)), (Read(0), 1, Some(2))]));
        assert!(is_linearizable(&[(Write(1), 0, Some(3)), (Read(1), 1, Some(2))]));
        assert!(!is_linearizable(&[(Write(1), 0, Some(1)), (Read(0), 2, Some(3))]));
        assert!(!is_linearizable(&[(Write(1), 0, Some(3)), (Read(2), 1, Some(2))]));
        let overlapping = [(Write(1), 0, Some(9)), (Write(2), 1, Some(8))];
        let reads = [(Read(1), 2, Some(3)), (Read(2), 4, Some(5)), (Read(1), 6, Some(7))];
        assert!(is_linearizable(&[&overlapping[..], &reads[..2]].concat()));
        assert!(!is_linearizable(&[&overlapping[..], &reads[..]].concat()));
    }

    /// An operation without an answer may have happened at any time since its begin, or never.
    #[test]
    fn an_unknown_operation_may_have_happened() {
        let lost = (Write(1), 2, None);
        assert!(is_linearizable(&[lost, (Read(0), 3, Some(4)), (Read(0), 9, Some(10))]));
        assert!(is_linearizable(&[lost, (Read(0), 3, Some(4)), (Read(1), 9, Some(10))]));
        assert!(!is_linearizable(&[lost, (Read(1), 3, Some(4)), (Read(0), 9, Some(10))]));
        assert!(!is_linearizable(&[lost, (Read(1), 0, Some(1))]), "not before its begin");
    }

    /// The error names the operations that fit nowhere, and those before them.
    #[test]
    fn an_impossible_answer_is_named() {
        let recorder = recorded(&[(Write(1), 0, Some(1)), (Read(1), 2, Some(3)), (Read(0), 4, Some(5))]);
        let error = recorder.check(0, step).unwrap_err();
        assert_eq!(error.order, ["Write(1)", "Read(1)"]);
        assert_eq!(error.impossible, ["Read(0)"]);
        assert!(
            error.to_string().contains("none of these is possible:\n  Read(0)"),
            "{error}"
        );
        let error = recorded(&[(Read(7), 0, Some(1))]).check(0, step).unwrap_err();
        assert_eq!((error.order.len(), error.impossible.len()), (0, 1));
    }

    /// The search agrees with a trial of all orders, on small random records.
    #[test]
    fn the_search_agrees_with_a_trial_of_all_orders() {
        fn some_order(operations: &[(Register, u64, Option<u64>)], state: u8) -> bool {
            let Some(first_end) = operations.iter().filter_map(|(.., ended)| *ended).min() else {
                return true;
            };
            (0..operations.len()).any(|index| {
                let (operation, began, _) = operations[index];
                let mut after = state;
                let mut rest = operations.to_vec();
                rest.remove(index);
                began < first_end && step(&mut after, &operation) && some_order(&rest, after)
            })
        }
        let mut random = fastrand::Rng::with_seed(1);
        let mut accepted = 0;
        for _ in 0..3_000 {
            let operations: Vec<_> = (0..random.usize(1..7))
                .map(|_| {
                    let value = random.u8(0..3);
                    let operation = if random.bool() { Write(value) } else { Read(value) };
                    let began = random.u64(0..20);
                    let ended = (random.u8(0..5) > 0).then(|| began + random.u64(1..10));
                    (operation, began, ended)
                })
                .collect();
            let expected = some_order(&operations, 0);
            accepted += usize::from(expected);
            assert_eq!(is_linearizable(&operations), expected, "{operations:?}");
        }
        assert!(
            (300..2_700).contains(&accepted),
            "{accepted} of the records are linearizable"
        );
    }
}
