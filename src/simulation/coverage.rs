//! The situations that a run reached, for the test of the simulation itself, and the trace of a run, for debugging.

#[cfg(feature = "cluster")]
use crate::store::ShardMark;

/// A situation that a run reached. The simulation tests nothing in a situation that it never reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CoverageMark {
    CrashThatLosesCommits,
    CrashWithWaitingMessages,
    CrashWhileOperationsRun,
    Poison,
    MessageToAnotherCore,
    MessageLeftToItsRow,
    FullQueue,
    ReadAtTheGate,
    AsyncTimeout,
    AsyncPanic,
    Quarantine,
    HeldEntity,
    DeadLetterSentAgain,
    AnswerToARetry,
    MisusedRequestId,
    CancelInTime,
    CancelTooLate,
    CallForgotten,
    RestWithoutAnOpen,
    TimerReplaced,
    CallShared,
    PayloadAtItsLimit,
    DeadLetterDropped,
    RequestIdRefused,
    AnswerOverALimit,
    OrchestrationCompleted,
    OrchestrationFailed,
    OrchestrationTerminated,
    OrchestrationCanceled,
    OrchestrationStopped,
    OrchestrationSuspended,
    OrchestrationContinued,
    OrchestrationRewound,
    OrchestrationPurged,
    LockHeld,
    LockForced,
    LockInACrash,
    ActivityRetried,
    Span,
    ActivityInACrash,
    ActivityCanceled,
    ActivityThatWaited,
    EarlyEvent,
    EndTold,
    OrchestrationVersionGone,
    OrchestrationVersionChanged,
    OrchestrationRunByNewerCode,
    OrchestrationRefused,
    ActivityAnswerRefused,
    CrashInAMaterialization,
    CrashBetweenFlushAndTrim,
    CrashBetweenWriteAndSync,
    CrashThatKeepsAPart,
    CrashWhileASegmentIsRecycled,
    CrashInRecovery,
    CrashInRecoveryOfACrashInRecovery,
    SegmentRecycled,
    RowOfAFrozenFront,
    OldRowInASnapshot,
    StepBesideACommit,
    MailInACrash,
    MailLost,
    MailDoubled,
    MailOutOfOrder,
    ReplacedGoesOn,
    ReplacedSeesItsSuccessor,
    InputsLeft,
    /// Something happened to the shared log of a shard, or to its copies.
    #[cfg(feature = "cluster")]
    Shard(ShardMark),
}

impl CoverageMark {
    pub(super) const OF_ORCHESTRATIONS: [Self; 24] = [
        Self::OrchestrationCompleted,
        Self::OrchestrationFailed,
        Self::OrchestrationTerminated,
        Self::OrchestrationCanceled,
        Self::OrchestrationStopped,
        Self::OrchestrationSuspended,
        Self::OrchestrationContinued,
        Self::OrchestrationRewound,
        Self::OrchestrationPurged,
        Self::LockHeld,
        Self::LockForced,
        Self::LockInACrash,
        Self::ActivityRetried,
        Self::Span,
        Self::ActivityInACrash,
        Self::ActivityCanceled,
        Self::ActivityThatWaited,
        Self::EarlyEvent,
        Self::EndTold,
        Self::OrchestrationVersionGone,
        Self::OrchestrationVersionChanged,
        Self::OrchestrationRunByNewerCode,
        Self::OrchestrationRefused,
        Self::ActivityAnswerRefused,
    ];

    pub(super) const OF_ENTITIES: [Self; 26] = [
        Self::CrashThatLosesCommits,
        Self::CrashWithWaitingMessages,
        Self::CrashWhileOperationsRun,
        Self::Poison,
        Self::MessageToAnotherCore,
        Self::MessageLeftToItsRow,
        Self::FullQueue,
        Self::ReadAtTheGate,
        Self::AsyncTimeout,
        Self::AsyncPanic,
        Self::Quarantine,
        Self::HeldEntity,
        Self::DeadLetterSentAgain,
        Self::AnswerToARetry,
        Self::MisusedRequestId,
        Self::CancelInTime,
        Self::CancelTooLate,
        Self::CallForgotten,
        Self::RestWithoutAnOpen,
        Self::TimerReplaced,
        Self::CallShared,
        Self::PayloadAtItsLimit,
        Self::DeadLetterDropped,
        Self::RequestIdRefused,
        Self::AnswerOverALimit,
        Self::InputsLeft,
    ];

    pub(super) const OF_MAIL: [Self; 6] = [
        Self::MailInACrash,
        Self::MailLost,
        Self::MailDoubled,
        Self::MailOutOfOrder,
        Self::ReplacedGoesOn,
        Self::ReplacedSeesItsSuccessor,
    ];

    pub(super) const OF_STORE: [Self; 11] = [
        Self::CrashInAMaterialization,
        Self::CrashBetweenFlushAndTrim,
        Self::CrashBetweenWriteAndSync,
        Self::CrashThatKeepsAPart,
        Self::CrashWhileASegmentIsRecycled,
        Self::CrashInRecovery,
        Self::CrashInRecoveryOfACrashInRecovery,
        Self::SegmentRecycled,
        Self::RowOfAFrozenFront,
        Self::OldRowInASnapshot,
        Self::StepBesideACommit,
    ];
}

/// The trace of a run, printed to debug a failure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Story {
    pub(super) told: bool,
}

impl Story {
    pub(super) fn tell(&self, event: impl FnOnce() -> String) {
        if self.told {
            eprintln!("{}", event());
        }
    }
}
