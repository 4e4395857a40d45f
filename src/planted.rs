//! Faults that `abide-torture` plants, to show that each of its campaigns finds what it is meant to find.
//!
//! Without the feature `planted`, no fault exists and each check is a constant.

/// A fault in the code at which [`is`] asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Without RocksDB or a cluster, some of these places do not exist.
#[cfg_attr(not(feature = "cluster"), allow(dead_code))]
pub(crate) enum Fault {
    /// Every other sync acknowledges without having synced.
    AcknowledgeBeforeSync,
    /// The log is written, but never synced.
    SkipSync,
    /// The newest acknowledged commit is not recorded outside the log.
    SkipAcknowledged,
    /// A message to another executor is delivered without having a row.
    DropInboxRow,
    /// Of two waiting messages, the later one is processed first.
    ReorderMessages,
    /// One in four timers is not stored.
    ForgetTimer,
    /// Four batches have the same number, so their messages have the same ids.
    ReuseBatch,
    /// A read answers before what it shows is durable.
    UnconfirmedRead,
    /// The log takes a failed write for a successful one.
    IgnoreFailedWrite,
    /// An open hub follows the jumps of the wall clock.
    FollowWallClock,
    /// A panic of an operation reaches the executor.
    LetPanicsThrough,
    /// The log takes a half-done write for a complete one.
    IgnoreShortWrite,
    /// Rows stay in memory, however many there are.
    UnlimitedFront,
    /// The process exits while tables are written.
    ExitDuringWrites,
    /// A directory of another format is opened.
    OpenAnyFormat,
    /// A node that another one has replaced still appends to the shared log.
    AppendUnfenced,
    /// A node answers reads without having checked that it still runs the hub.
    SkipConfirm,
    /// A node repeats a request without an id although it may have taken effect.
    RepeatUnconfirmed,
}

/// Returns `true` if the variable `ABIDE_PLANTED` names this fault.
#[cfg(feature = "planted")]
pub(crate) fn is(fault: Fault) -> bool {
    static PLANTED: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("ABIDE_PLANTED").ok());
    PLANTED.as_ref().is_some_and(|planted| *planted == format!("{fault:?}"))
}

/// Returns `false`: no fault is planted.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_fault: Fault) -> bool {
    false
}
