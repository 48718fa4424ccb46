//! Processes that a job leaves behind. The runner ends what carries its tracking id
//! ([source](https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs)).

use std::fs;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// The variable that a job's processes inherit.
pub(crate) const TRACKING: &str = "RUNNER_TRACKING_ID";

/// Sends a signal to a process group; one that is gone is as good.
pub(crate) fn signal_group(group: i32, signal: Signal) {
    let _ = killpg(Pid::from_raw(group), signal);
}

/// Ends every process whose environment says that it belongs to the job; how many there were.
pub(crate) fn end_all(tracking_id: &str) -> usize {
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
            // Only processes of the same user can be read, and only those could be ended.
            fs::read(format!("/proc/{id}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes())
            })
        })
        .filter(|id| kill(Pid::from_raw(*id), Signal::SIGKILL).is_ok())
        .count()
}
