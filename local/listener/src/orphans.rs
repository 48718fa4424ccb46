//! Finds a job's processes by their inherited tracking id, and kills those that the job leaves
//! behind
//! ([source](https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs)). They
//! are in the listener's process group, as in the real runner: a signal to the group reaches them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The inherited variable.
pub(crate) const TRACKING: &str = "RUNNER_TRACKING_ID";

/// Sends a signal to every process with the job's tracking id; returns their number.
pub(crate) fn signal_all(tracking_id: &str, signal: Signal) -> usize {
    let mark = format!("{TRACKING}={tracking_id}");
    let own = std::process::id();
    let Ok(processes) = fs::read_dir("/proc") else {
        return 0;
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|id| u32::try_from(*id) != Ok(own))
        .filter(|id| {
            // Only processes of the same user can be read and signalled.
            fs::read(format!("/proc/{id}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes())
            })
        })
        .filter(|id| kill(Pid::from_raw(*id), signal).is_ok())
        .count()
}
