//! Being the first process of a container.

use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals the agent lives by.
pub(crate) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    child: Stream,
}

impl Signals {
    /// From here on the signals are ours. Without a handler the first process of a container never
    /// sees SIGTERM: the kernel drops it.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// Somebody wants the task to end.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Returns when somebody wants the task to end; buries orphans until then.
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

/// Settles in. Neither step is needed for a job to run, so neither may fail the task.
pub(crate) fn settle() {
    // A job runs as the same user: it must not read the parameter's path in /proc/1/environ, nor
    // the registration in /proc/1/mem.
    let _ = prctl::set_dumpable(false);
    // Orphans come to us even where we are not the first process, so that nothing is different
    // there.
    let _ = prctl::set_child_subreaper(true);
}

/// Buries every child that has ended but `own`, whose end belongs to whoever awaits it.
pub(crate) fn reap(own: Option<Pid>) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, look) {
        match status.pid() {
            // While ours waits to be collected it may hide others: they are found the next time.
            Some(pid) if Some(pid) != own => {
                if waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Asks a process to end in order.
pub(crate) fn interrupt(pid: Pid) {
    // Gone already is as good.
    let _ = kill(pid, Signal::SIGINT);
}

/// Ends a process group. Says whether there was anybody left in it.
pub(crate) fn kill_group(leader: Pid) -> bool {
    !matches!(killpg(leader, Signal::SIGKILL), Err(Errno::ESRCH))
}
