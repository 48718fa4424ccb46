//! A part of a processor, as Lambda gives it by memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, bail};

/// Memory that comes with one whole processor ([source]), in MiB.
///
/// [source]: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
const WHOLE: u32 = 1_769;
/// How often the kernel hands out the share, in microseconds. Lambda's own period; the kernel's
/// default of 100 ms would let a short invocation run unhindered.
const PERIOD: u32 = 20_000;

/// A control group whose processes get a function's share of one processor.
pub(crate) struct Share {
    directory: PathBuf,
    unified: bool,
}

impl Share {
    /// The share of a function with so much memory. `name` tells groups of one run apart.
    pub(crate) fn of(memory: u32, name: &str) -> anyhow::Result<Self> {
        let quota = u64::from(PERIOD) * u64::from(memory) / u64::from(WHOLE);
        let id = format!("fargate-runners-bench-{}-{name}", std::process::id());
        // Version 1 has a hierarchy of its own for processors, version 2 one for everything.
        let first = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]
            .iter()
            .map(Path::new)
            .find(|path| path.join("cpu.cfs_quota_us").exists() || path.join("tasks").exists());
        let share = Self {
            unified: first.is_none(),
            directory: first.unwrap_or(Path::new("/sys/fs/cgroup")).join(id),
        };
        fs::create_dir(&share.directory)
            .with_context(|| format!("making the control group {}", share.directory.display()))?;
        if share.unified {
            share.write("cpu.max", &format!("{quota} {PERIOD}"))?;
        } else {
            share.write("cpu.cfs_period_us", &PERIOD.to_string())?;
            share.write("cpu.cfs_quota_us", &quota.to_string())?;
        }
        Ok(share)
    }

    fn write(&self, file: &str, value: &str) -> anyhow::Result<()> {
        let path = self.directory.join(file);
        fs::write(&path, value).with_context(|| format!("writing {value} to {}", path.display()))
    }

    /// Starts a program inside.
    pub(crate) fn spawn(&self, command: &mut Command) -> anyhow::Result<Child> {
        if self.unified {
            let child = command.spawn()?;
            // Its first microseconds are not held back; version 2 moves whole processes only.
            self.write("cgroup.procs", &child.id().to_string())?;
            return Ok(child);
        }
        // In version 1 a single thread can go inside, and what it starts is inside from the first.
        std::thread::scope(|scope| {
            let spawned = scope.spawn(|| {
                self.write("tasks", "0")?;
                Ok(command.spawn()?)
            });
            match spawned.join() {
                Ok(spawned) => spawned,
                Err(_) => bail!("the thread that starts a program crashed"),
            }
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // A group can be removed when its last process was waited for.
        if let Err(error) = fs::remove_dir(&self.directory) {
            eprintln!("{} is left: {error}", self.directory.display());
        }
    }
}
