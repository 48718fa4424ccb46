//! What a process has used, by the operating system's accounting.

use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The CPU time of a process since it was made, in user and system, of all its threads, also of
/// those that have ended. In nanoseconds, where `/proc/PID/stat` counts ticks of ten milliseconds.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?))
        .with_context(|| format!("the CPU clock of process {pid}"))?;
    let time = clock_gettime(clock).with_context(|| format!("the CPU time of process {pid}"))?;
    Ok(time.into())
}

/// The same, once the process has come to rest: what it does after it answered counts as well.
pub(crate) async fn cpu_at_rest(pid: u32) -> anyhow::Result<Duration> {
    const LOOKS: usize = 20_000;
    let mut last = cpu(pid)?;
    let mut still = 0;
    for _ in 0..LOOKS {
        tokio::time::sleep(Duration::from_micros(200)).await;
        let now = cpu(pid)?;
        still = if now == last { still + 1 } else { 0 };
        if still == 5 {
            return Ok(now);
        }
        last = now;
    }
    bail!("process {pid} does not come to rest")
}

/// The most memory that a process ever had in RAM, in bytes.
pub(crate) fn peak_memory(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .map(|kib: u64| kib * 1024)
        .with_context(|| format!("{path} names no VmHWM"))
}
