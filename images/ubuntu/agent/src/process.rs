//! Duties of a container's first process.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt as _;

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

/// Denies this process and everything that it starts more rights than it has: no program's
/// set-user-ID bit or file capability counts any more. For good; a failure leaves it as it was.
///
/// <https://docs.kernel.org/userspace-api/no_new_privs.html>
pub(crate) fn forbid_new_privileges() {
    let _ = prctl::set_no_new_privs();
}

/// Whether the image is made for jobs that become root: a `sudo` on the path that could.
pub(crate) fn has_sudo(path: Option<&OsStr>) -> bool {
    const SET_USER_ID: u32 = 0o4000;
    env::split_paths(path.unwrap_or_default()).any(|directory| {
        directory
            .join("sudo")
            .metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & SET_USER_ID != 0)
    })
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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn an_image_has_sudo_if_one_on_the_path_could_make_a_job_root() {
        let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let path = env::join_paths([first.path(), second.path()]).unwrap();
        assert!(!has_sudo(None));
        assert!(!has_sudo(Some(&path)));
        let sudo = second.path().join("sudo");
        fs::write(&sudo, "").unwrap();
        fs::set_permissions(&sudo, Permissions::from_mode(0o755)).unwrap();
        assert!(!has_sudo(Some(&path)), "a wrapper gives no rights");
        fs::set_permissions(&sudo, Permissions::from_mode(0o4755)).unwrap();
        assert!(has_sudo(Some(&path)));
    }
}
