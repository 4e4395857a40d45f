//! The check whether a receiver has processed the messages of each sender once and in order.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Records the messages that each sender has sent to one receiver, from any number of threads and tasks, and
/// [checks](Self::check) them against the messages that the receiver has processed.
///
/// `S` names a sender. `M` is a message, such as a number that the sender counts up: the messages of one sender differ.
///
/// ```
/// use abide::prelude::*;
/// use abide::testing::SenderOrder;
///
/// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// struct Journal {
///     lines: Vec<(String, u32)>,
/// }
///
/// #[operations]
/// impl Journal {
///     pub fn note(&mut self, sender: String, n: u32) {
///         self.lines.push((sender, n));
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Journal>().open().await?;
/// let (journal, order) = (hub.client().entity::<Journal>("main"), SenderOrder::new());
/// let send = async |sender: &str| {
///     for n in 0..10 {
///         match journal.note(sender.to_owned(), n).signal().await {
///             Ok(_) => order.sent(sender.to_owned(), n),
///             // Without an acknowledgment, nobody knows whether the message arrives.
///             Err(_) => order.unacknowledged(sender.to_owned(), n),
///         }
///     }
/// };
/// tokio::join!(send("alice"), send("bob"));
///
/// hub.idle().await?;
/// let received = journal.state().await?.unwrap_or_default().lines;
/// assert!(order.check(received).is_ok());
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Debug)]
pub struct SenderOrder<S, M>(Mutex<HashMap<S, Vec<Sent<M>>>>);

#[derive(Debug)]
struct Sent<M> {
    message: M,
    /// True if it has to arrive.
    acknowledged: bool,
}

impl<S: Eq + Hash, M> SenderOrder<S, M> {
    /// Creates an empty record.
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    /// Records the next message of a sender, which was acknowledged.
    pub fn sent(&self, sender: S, message: M) {
        self.push(sender, message, true);
    }

    /// Records the next message of a sender, which was not acknowledged. It arrives at its place in the order, or not at
    /// all.
    pub fn unacknowledged(&self, sender: S, message: M) {
        self.push(sender, message, false);
    }

    fn push(&self, sender: S, message: M, acknowledged: bool) {
        let sent = Sent { message, acknowledged };
        self.record().entry(sender).or_default().push(sent);
    }

    fn record(&self) -> MutexGuard<'_, HashMap<S, Vec<Sent<M>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Eq + Hash, M> Default for SenderOrder<S, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Eq + Hash + Debug, M: Eq + Hash + Debug> SenderOrder<S, M> {
    /// Checks the messages that the receiver has processed, in its order and with their senders.
    ///
    /// # Errors
    /// Returns the first message of a sender that was lost, doubled, overtaken or never sent.
    pub fn check(&self, received: impl IntoIterator<Item = (S, M)>) -> Result<(), WrongOrder> {
        let mut by_sender: HashMap<S, Vec<M>> = HashMap::new();
        for (sender, message) in received {
            by_sender.entry(sender).or_default().push(message);
        }
        let record = self.record();
        let unknown = by_sender.iter().find(|(sender, _)| !record.contains_key(sender));
        if let Some((sender, received)) = unknown {
            return Err(WrongOrder::new(
                sender,
                OrderFault::NeverSent,
                None::<&M>,
                received.first(),
            ));
        }
        for (sender, sent) in record.iter() {
            let received = by_sender.get(sender).map(Vec::as_slice).unwrap_or_default();
            check_sender(sent, received)
                .map_err(|(fault, expected, found)| WrongOrder::new(sender, fault, expected, found))?;
        }
        Ok(())
    }
}

/// A fault, the message that had to come next, and the message that came.
type Wrong<'a, M> = (OrderFault, Option<&'a M>, Option<&'a M>);

/// Checks the messages of one sender.
fn check_sender<'a, M: Eq + Hash>(sent: &'a [Sent<M>], received: &'a [M]) -> Result<(), Wrong<'a, M>> {
    let places: HashMap<&M, usize> = sent.iter().zip(0..).map(|(sent, at)| (&sent.message, at)).collect();
    let must = |from: usize, to: usize| {
        sent[from..to]
            .iter()
            .find(|sent| sent.acknowledged)
            .map(|sent| &sent.message)
    };
    let mut processed: HashSet<&M> = HashSet::new();
    let mut next = 0;
    for (index, message) in received.iter().enumerate() {
        let expected = must(next, sent.len());
        let Some(&place) = places.get(message) else {
            return Err((OrderFault::NeverSent, expected, Some(message)));
        };
        if !processed.insert(message) {
            return Err((OrderFault::Doubled, expected, Some(message)));
        }
        if place < next {
            return Err((OrderFault::Overtaken, Some(message), received.get(index - 1)));
        }
        if let Some(skipped) = must(next, place) {
            let fault = if received[index..].contains(skipped) {
                OrderFault::Overtaken
            } else {
                OrderFault::Lost
            };
            return Err((fault, Some(skipped), Some(message)));
        }
        next = place + 1;
    }
    match must(next, sent.len()) {
        Some(lost) => Err((OrderFault::Lost, Some(lost), None)),
        None => Ok(()),
    }
}

/// A message that a receiver has not processed once and in order. Returned by [`SenderOrder::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongOrder {
    /// The sender, as `Debug` shows it.
    pub sender: String,
    /// The kind of the fault.
    pub fault: OrderFault,
    /// The message that the receiver had to process next, if any.
    pub expected: Option<String>,
    /// The message that it has processed instead, if any.
    pub found: Option<String>,
}

/// The kind of a [`WrongOrder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderFault {
    /// The expected message was never processed.
    Lost,
    /// The found message was processed for the second time.
    Doubled,
    /// The found message was processed before the expected one, which was sent first.
    Overtaken,
    /// The found message was never sent.
    NeverSent,
}

impl WrongOrder {
    fn new<S: Debug, M: Debug>(sender: &S, fault: OrderFault, expected: Option<&M>, found: Option<&M>) -> Self {
        let text = |message: Option<&M>| message.map(|message| format!("{message:?}"));
        Self {
            sender: format!("{sender:?}"),
            fault,
            expected: text(expected),
            found: text(found),
        }
    }
}

impl fmt::Display for WrongOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |message: &Option<String>| message.clone().unwrap_or_else(|| "no message".to_owned());
        let (sender, expected, found) = (&self.sender, shown(&self.expected), shown(&self.found));
        match self.fault {
            OrderFault::Lost => write!(f, "message {expected} of {sender} was lost"),
            OrderFault::Doubled => write!(f, "message {found} of {sender} was processed twice"),
            OrderFault::Overtaken => write!(f, "message {expected} of {sender} was overtaken by a later one"),
            OrderFault::NeverSent => write!(f, "message {found} of {sender} was processed, but never sent"),
        }?;
        write!(f, "; expected {expected}, found {found}")
    }
}

impl std::error::Error for WrongOrder {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the messages 1 to 4 of `a`, of which 2 was not acknowledged, and 1 of `b`.
    fn check(received: &[(&'static str, u32)]) -> Result<(), String> {
        let order = SenderOrder::new();
        order.sent("a", 1);
        order.sent("b", 1);
        order.unacknowledged("a", 2);
        order.sent("a", 3);
        order.sent("a", 4);
        order.check(received.iter().copied()).map_err(|wrong| wrong.to_string())
    }

    /// The messages of one sender are processed once and in order. Those of different senders have no order, and a
    /// message that was not acknowledged may be missing.
    #[test]
    fn the_order_of_each_sender_is_checked() {
        assert_eq!(check(&[("a", 1), ("a", 2), ("b", 1), ("a", 3), ("a", 4)]), Ok(()));
        assert_eq!(check(&[("b", 1), ("a", 1), ("a", 3), ("a", 4)]), Ok(()));
    }

    /// Each fault names the sender, the message that had to come and the one that came.
    #[test]
    fn a_fault_names_the_sender_and_both_messages() {
        let faults: [(&[(&str, u32)], &str); 8] = [
            (
                &[("b", 1), ("a", 1), ("a", 4)],
                "message 3 of \"a\" was lost; expected 3, found 4",
            ),
            (
                &[("b", 1), ("a", 1), ("a", 3)],
                "message 4 of \"a\" was lost; expected 4, found no message",
            ),
            (
                &[("a", 1), ("a", 3), ("a", 4)],
                "message 1 of \"b\" was lost; expected 1, found no message",
            ),
            (
                &[("b", 1), ("a", 1), ("a", 1)],
                "message 1 of \"a\" was processed twice; expected 3, found 1",
            ),
            (
                &[("b", 1), ("a", 1), ("a", 4), ("a", 3)],
                "message 3 of \"a\" was overtaken by a later one; expected 3, found 4",
            ),
            (
                &[("b", 1), ("a", 1), ("a", 3), ("a", 2), ("a", 4)],
                "message 2 of \"a\" was overtaken by a later one; expected 2, found 3",
            ),
            (
                &[("b", 1), ("a", 1), ("a", 9)],
                "message 9 of \"a\" was processed, but never sent; expected 3, found 9",
            ),
            (
                &[("c", 5)],
                "message 5 of \"c\" was processed, but never sent; expected no message, found 5",
            ),
        ];
        for (received, expected) in faults {
            assert_eq!(check(received), Err(expected.to_owned()), "{received:?}");
        }
    }
}
