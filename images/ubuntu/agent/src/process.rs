//! Duties of a container's first process.

use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals that the agent handles.
pub(crate) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    child: Stream,
}

impl Signals {
    /// Installs the handlers. Without one, the kernel does not deliver SIGTERM to a container's
    /// first process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// The task should end.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Returns when the task should end; reaps orphans until then.
    pub(crate) async fn stop_while_reaping(&mut self, own: Option<Pid>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.child.recv() => reap(own),
            }
        }
    }
}

/// Prepares the process. A job can run without either step, so a failure is ignored.
pub(crate) fn settle() {
    // A job runs as the same user: it must not read the parameter's path in /proc/1/environ, nor
    // the registration in /proc/1/mem.
    let _ = prctl::set_dumpable(false);
    // Adopts orphans even if it is not the first process, so that it behaves the same there.
    let _ = prctl::set_child_subreaper(true);
}

/// Reaps every ended child except `own`, which its own caller awaits.
pub(crate) fn reap(own: Option<Pid>) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, look) {
        match status.pid() {
            // An uncollected `own` may hide others; the next call finds them.
            Some(pid) if Some(pid) != own => {
                if waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Asks a process to end.
pub(crate) fn interrupt(pid: Pid) {
    // Already gone is fine.
    let _ = kill(pid, Signal::SIGINT);
}

/// Kills a process group. Returns whether it had any process left.
pub(crate) fn kill_group(leader: Pid) -> bool {
    !matches!(killpg(leader, Signal::SIGKILL), Err(Errno::ESRCH))
}
