//! Mutations: the model without one of the pool's rules.

/// A rule that the model omits, so that the check must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// A ticket is put although its slot is taken.
    ReplacesATicket,
    /// A claim counts although its ticket was gone.
    ClaimsWhatIsGone,
    /// A retirement counts although its ticket was gone.
    RetiresWhatIsGone,
    /// The keeper stops a task whose ticket it has not deleted.
    StopsWhatItSees,
    /// A claim takes an older revision.
    ClaimsOlderRevisions,
    /// A claim takes a task of another size or role than its own.
    ClaimsOtherSizes,
    /// Every attempt claims.
    ClaimsAgain,
    /// A start that was not answered is not repeated.
    LeavesHalfStarted,
    /// A start that is repeated has a client token of its own.
    StartsWithANewToken,
    /// The keeper does not look at a stock whose pool was removed.
    LeavesFormerStock,
    /// A ticket outlives its task.
    KeepsDeadTickets,
    /// A task is tagged after it was rung.
    RingsFirst,
    /// The ring replaces any bell.
    RingsOverABell,
    /// `leave` of the keeper or `sweep` replaces any bell.
    LeavesOverABell,
    /// A withdrawal replaces any bell.
    WithdrawsAnAnswer,
    /// A withdrawal needs a ring: if there is none, the task counts as adopted.
    WithdrawsOnlyARing,
    /// An undecided withdrawal counts as done.
    GoesColdUndecided,
    /// The agent takes the registration without having answered.
    TakesUnanswered,
    /// The agent answers by deleting its bell.
    AnswersByDeleting,
    /// The agent does not recognize its own answer.
    ForgetsItsAnswer,
    /// The wait is written although the task's end is noted.
    WaitsForTheEnded,
    /// The end of a task that nobody waits for is not noted.
    NoTombstone,
    /// `sweep` trusts that who is noted as ended was told.
    TrustsTheNote,
    /// `sweep` does not look at waits.
    TrustsTheEvents,
    /// `sweep` leaves who waits for an ended task without a wait in the table.
    LeavesTheStranded,
    /// `sweep` leaves tasks without a ticket.
    LeavesOrphans,
    /// `sweep` leaves tasks with a tag, though nobody rang them.
    LeavesTagged,
    /// `sweep` does not stop a task that hangs.
    LeavesMute,
    /// `sweep` stops tasks with a tag as well.
    StopsTagged,
    /// `Cleanup` stops the task after a failed wait, before it asks GitHub.
    StopsAfterAFailedWait,
    /// The end of a task removes what its tag names, although that execution runs.
    CleansByTag,
    /// The adopted task survives an abort.
    OutlivesAnAbort,
    /// The adopted task survives the time limit.
    OutlivesATimeOut,
}
