//! Rules taken out, one at a time.

/// A rule that the model leaves out. What is left is what the rule is for: the check must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// Rule 1: an execution ends when its runner has ended, without asking GitHub.
    EndsWithoutAsking,
    /// Rule 2a: nobody checks on a job whose runner was given another.
    NoDisplacedCheck,
    /// Rule 2b: an execution that failed for a passing reason stays failed.
    NoRestart,
    /// Rule 2b: a displaced job is checked though a person aborted its execution.
    ChecksTheAborted,
    /// Rule 2b: the bound on restarts counts checks of a displaced job as well.
    CountsEveryExecution,
    /// Rule 2b: `sweep` trusts that every failed execution's event was heard.
    TrustsTheEvents,
    /// Rule 2c: `sweep` asks GitHub about no job.
    NoSweepOfWaiting,
    /// Rule 3: a task is stopped whatever GitHub answered to the deletion of its runner.
    StopsWhateverTheAnswer,
    /// Rule 3: a runner missing from a listing counts as let go.
    TrustsTheListing,
    /// Rule 7: a `queued` event that meets a closed execution starts nothing.
    ClosedStaysClosed,
    /// Rule 7: a `queued` event that meets a running execution is left to that, though it may have
    /// asked GitHub before.
    TrustsWhatRuns,
    /// Rule 2: `sweep` does not look for jobs that no webhook told of.
    NoReconciling,
    /// Rule 2: `sweep` starts a job that no webhook told of though a person aborted it.
    ReconcilesTheAborted,
    /// Rule 2b: an outage that ends an execution spends one of its job's restarts.
    CountsOutages,
    /// Rule 2b: what nobody picked up stays failed though runners have had jobs since.
    NeverPickedUpForGood,
    /// Rule 3: one answer that a runner is unknown is enough.
    TrustsOneAnswer,
    /// Rule 5: a listener that GitHub does not know, and whose agent does nothing, is left.
    LeavesGhosts,
    /// Rule 5: a task that hangs after its job is left.
    LeavesTheHung,
    /// Rule 7: an execution that counts an earlier stay in the queue is left to serve the present one.
    IgnoresANewStay,
    /// Rule 14: a job is gone when GitHub answers 404 for it.
    Trusts404,
    /// Rule 14: a job is gone when that answer repeats, though its run is shown.
    TrustsARepeated404,
    /// Rule 15: what passes is bounded by count.
    CountsWhatPasses,
    /// Rule 15: what passes is not bounded.
    OutlivesTheDay,
    /// Rule 11: the event of a task's end cleans up after its execution, not after its runner.
    CleansByExecution,
}
