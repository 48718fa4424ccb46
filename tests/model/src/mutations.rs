//! Mutations: the model without one of its rules.

/// A rule that the model omits, so that the check must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// Rule 1: an execution ends with its runner, without asking GitHub.
    EndsWithoutAsking,
    /// Rule 2a: a job whose runner was assigned another is not checked.
    NoDisplacedCheck,
    /// Rule 2b: an execution that failed for a transient reason is not restarted.
    NoRestart,
    /// Rule 2b: a displaced job is checked although an operator aborted its execution.
    ChecksTheAborted,
    /// Rule 2b: the restart limit also counts checks of a displaced job.
    CountsEveryExecution,
    /// Rule 2b: `sweep` assumes that no failed execution's event was lost.
    TrustsTheEvents,
    /// Rule 2c: `sweep` does not ask GitHub about any job.
    NoSweepOfWaiting,
    /// Rule 3: a task is stopped whatever GitHub answered to its runner's deletion.
    StopsWhateverTheAnswer,
    /// Rule 3: a runner missing from a list counts as deleted.
    TrustsTheListing,
    /// Rule 7: a `queued` event that meets a closed execution starts nothing.
    ClosedStaysClosed,
    /// Rule 7: a `queued` event during a running execution is left to that execution, which may
    /// have asked GitHub before.
    TrustsWhatRuns,
    /// Rule 2: `sweep` does not look for jobs without a webhook.
    NoReconciling,
    /// Rule 2: `sweep` starts an execution for a job without a webhook although an operator aborted
    /// it.
    ReconcilesTheAborted,
    /// Rule 2b: an execution that ended because of an outage counts toward the restart limit.
    CountsOutages,
    /// Rule 2b: a job that no runner picked up is not restarted although runners have had jobs
    /// since.
    NeverPickedUpForGood,
    /// Rule 3: a single answer that a runner is unknown counts.
    TrustsOneAnswer,
    /// Rule 5: a listener that GitHub does not know, and whose agent hangs, is left.
    LeavesGhosts,
    /// Rule 5: a task that hangs after its job is left.
    LeavesTheHung,
    /// Rule 7: an execution that counts an earlier stay in the queue also serves the present one.
    IgnoresANewStay,
    /// Rule 14: a 404 means that the job is gone.
    Trusts404,
    /// Rule 14: a repeated 404 means that the job is gone, although its run is shown.
    TrustsARepeated404,
    /// Rule 15: transient causes are bounded by count.
    CountsWhatPasses,
    /// Rule 15: transient causes are unbounded.
    OutlivesTheDay,
    /// Rule 1: `verify` notes already that a runner began a job.
    NotesTheStart,
    /// Rule 1: a note that a job ended on its own runner is enough, however that runner ended.
    BelievesTheNoteAlone,
    /// Rule 1: a note that a job ended on another runner is enough.
    BelievesAnothersNote,
    /// Rule 1: a job without a note counts as queued.
    LaunchesWithoutANote,
    /// Rule 11: the event of a task's end cleans up after its execution instead of its runner.
    CleansByExecution,
}
