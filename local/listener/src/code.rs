//! The listener's exit codes
//! ([source](https://github.com/actions/runner/blob/main/src/Runner.Common/Constants.cs)).

/// It ended in order, or its runner was deleted.
pub(crate) const SUCCESS: i32 = 0;
/// A restart would not help.
pub(crate) const TERMINATED: i32 = 1;
/// A restart may help.
pub(crate) const RETRYABLE: i32 = 2;
/// It is being replaced by a newer version.
pub(crate) const UPDATING: i32 = 3;
/// The same, for an ephemeral runner.
pub(crate) const UPDATING_ONCE: i32 = 4;
/// Another listener has this runner's session.
pub(crate) const SESSION_CONFLICT: i32 = 5;
/// GitHub rejects this version.
pub(crate) const VERSION_DEPRECATED: i32 = 7;
/// Base of a worker's exit codes, plus its result; any other code is a crash
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Common/Util/TaskResultUtil.cs)).
pub(crate) const WORKER_RESULT: i32 = 100;
/// .NET's exit code after SIGTERM.
pub(crate) const SIGTERM: i32 = 128 + 15;
