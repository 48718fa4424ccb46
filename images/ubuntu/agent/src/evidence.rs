//! Collects evidence about a runner that goes silent or dies: samples of memory and processes, and
//! a last one at the end.
//!
//! The listener does not report a killed worker: it treats the exit code as a failed job
//! ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/JobDispatcher.cs)). So
//! the worker's end is read from the listener's diagnostics, and memory from the container's
//! cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Process name of a job's worker.
const WORKER: &str = "Runner.Worker";
/// First of the six exit codes that are a job's result; any other code is a crash
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Common/Util/TaskResultUtil.cs)).
const RESULTS: std::ops::RangeInclusive<i32> = 100..=105;
/// .NET's exit code for a process that SIGKILL ended.
const KILLED: i32 = 128 + 9;

/// Memory of the container's cgroup, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// In use, including what the kernel can reclaim.
    pub current: Option<u64>,
    /// Cached files in it, which the kernel reclaims before it kills a process.
    pub files: Option<u64>,
    /// Peak use.
    pub peak: Option<u64>,
    /// The cgroup's limit, or the machine's memory if that is less.
    pub limit: Option<u64>,
    /// Processes of this cgroup that an out-of-memory killer has ended ([cgroup
    /// v2](https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files)).
    pub oom_kills: Option<u64>,
}

impl Memory {
    /// Whether memory that cannot be reclaimed nearly reaches the limit. Cached files fill any free
    /// memory, so they do not count.
    fn is_full(&self) -> bool {
        let (Some(current), Some(limit)) = (self.current, self.limit) else {
            return false;
        };
        let held = current.saturating_sub(self.files.unwrap_or_default());
        held >= limit / 10 * 9
    }

    /// Reads what is available; missing values fail no job.
    fn read(accounts: &Accounts) -> Self {
        let number = |name: &str| parsed(&accounts.directory.join(name));
        let key = |name: &str, key: &str| {
            let text = fs::read_to_string(accounts.directory.join(name)).ok()?;
            value(&text, key)
        };
        let memory = if accounts.second {
            Self {
                current: number("memory.current"),
                files: key("memory.stat", "file "),
                peak: number("memory.peak"),
                limit: number("memory.max"),
                oom_kills: key("memory.events", "oom_kill "),
            }
        } else {
            Self {
                current: number("memory.usage_in_bytes"),
                files: key("memory.stat", "total_cache "),
                peak: number("memory.max_usage_in_bytes"),
                // Includes the limits of parent cgroups, such as the task's.
                limit: key("memory.stat", "hierarchical_memory_limit "),
                oom_kills: key("memory.oom_control", "oom_kill "),
            }
        };
        Self {
            limit: memory.limit.into_iter().chain(accounts.machine).min(),
            ..memory
        }
    }
}

/// Location of the memory accounting.
#[derive(Clone, Debug)]
struct Accounts {
    directory: PathBuf,
    second: bool,
    machine: Option<u64>,
}

impl Accounts {
    /// A container sees its own cgroup at the root or at a path below it, depending on the engine.
    fn find(root: &Path) -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let path = |controller: &str| {
            own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                controllers
                    .split(',')
                    .any(|name| name == controller)
                    .then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let (first, second) = (
            path("memory").unwrap_or_default(),
            path("").unwrap_or_default(),
        );
        let candidates = [
            (root.join(second), true),
            (root.to_owned(), true),
            (root.join("memory").join(first), false),
            (root.join("memory"), false),
        ];
        let (directory, second) = candidates
            .into_iter()
            .find(|(directory, second)| {
                let file = if *second {
                    "memory.current"
                } else {
                    "memory.usage_in_bytes"
                };
                directory.join(file).exists()
            })
            .unwrap_or_else(|| (root.to_owned(), true));
        let machine = fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| value(&text, "MemTotal:"))
            .map(|kibibytes| kibibytes * 1024);
        Self {
            directory,
            second,
            machine,
        }
    }
}

/// A file with a single number; `max` means no limit.
fn parsed(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number of a key, in a file of `key number` lines.
fn value(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// A process in `/proc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    pub pid: i32,
    /// `R` (running), `S` (sleeping), `D` (waiting for a disk), `T` (stopped), `Z` (zombie).
    pub state: String,
    /// Resident memory, in KiB.
    pub kibibytes: Option<u64>,
    pub threads: Option<u64>,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    parent: Option<u64>,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Self::parse(pid, &text)
    }

    fn parse(pid: i32, text: &str) -> Option<Self> {
        let word = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))?
                .split_whitespace()
                .next()
        };
        Some(Self {
            pid,
            state: word("State:")?.to_owned(),
            kibibytes: value(text, "VmRSS:"),
            threads: value(text, "Threads:"),
            name: word("Name:")?.to_owned(),
            parent: value(text, "PPid:"),
        })
    }

    fn is_alive(&self) -> bool {
        !matches!(self.state.as_str(), "Z" | "X")
    }

    fn is_worker_of(&self, listener: i32) -> bool {
        self.name == WORKER && self.is_alive() && self.parent == u64::try_from(listener).ok()
    }
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    pub memory: Memory,
    pub listener: Option<Process>,
    /// The job's worker process.
    pub worker: Option<Process>,
}

/// Samples one runner, across all starts of its listener.
#[derive(Debug)]
pub struct Evidence {
    accounts: Accounts,
    oom_kills_before: u64,
    was_full: bool,
    worker: Option<i32>,
}

impl Evidence {
    /// Records the state before the listener starts.
    pub fn begin(root: &Path) -> Self {
        let accounts = Accounts::find(root);
        let before = Memory::read(&accounts).oom_kills.unwrap_or_default();
        Self {
            accounts,
            oom_kills_before: before,
            was_full: false,
            worker: None,
        }
    }

    /// Samples memory, the listener and its worker.
    pub fn look(&mut self, listener: i32) -> Sample {
        let memory = Memory::read(&self.accounts);
        self.was_full |= memory.is_full();
        let worker = self.worker(listener);
        self.worker = worker.as_ref().map(|worker| worker.pid);
        Sample {
            memory,
            listener: Process::read(listener),
            worker,
        }
    }

    /// The worker of the last sample, or the first one found: a listener has one at a time.
    fn worker(&self, listener: i32) -> Option<Process> {
        let known = self.worker.and_then(Process::read);
        known
            .filter(|process| process.is_worker_of(listener))
            .or_else(|| {
                fs::read_dir("/proc")
                    .ok()?
                    .flatten()
                    .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                    // Reads the name first: the status costs more, and only one process is needed.
                    .filter(|pid| is_named(*pid, WORKER))
                    .filter_map(Process::read)
                    .find(|process| process.is_worker_of(listener))
            })
    }

    /// Whether memory ran out: the kernel killed a process for lack of memory, or the worker was
    /// killed while memory was full.
    pub fn is_exhausted(&self, memory: &Memory, worker_code: Option<i32>) -> bool {
        memory
            .oom_kills
            .is_some_and(|kills| kills > self.oom_kills_before)
            || self.was_full && worker_code == Some(KILLED)
    }
}

fn is_named(pid: i32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name)
}

/// The last worker's exit code, from the listener's diagnostics.
pub fn worker_code(diagnostics: &str) -> Option<i32> {
    diagnostics.lines().rev().find_map(|line| {
        // A line's source precedes any text that a job could have written.
        let (head, text) = line.split_once("] ")?;
        if !head.starts_with('[') || !head.ends_with(" JobDispatcher") {
            return None;
        }
        let (_, code) = text
            .strip_prefix("Worker finished for job ")?
            .rsplit_once(". Code: ")?;
        code.trim().parse().ok()
    })
}

/// Whether this exit code means that a worker did not end by itself.
pub fn is_a_death(worker_code: i32) -> bool {
    !RESULTS.contains(&worker_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn memory(root: &tempfile::TempDir) -> Memory {
        let accounts = Accounts {
            machine: Some(8_000 * MIB),
            ..Accounts::find(root.path())
        };
        Memory::read(&accounts)
    }

    #[test]
    fn memory_is_read_off_either_kind_of_cgroup() {
        let second = files(&[
            ("memory.current", "104857600\n"),
            ("memory.peak", "209715200\n"),
            ("memory.max", "1073741824\n"),
            (
                "memory.stat",
                "anon 1\nfile 52428800\nfile_mapped 7\nkernel 3\n",
            ),
            (
                "memory.events",
                "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n",
            ),
        ]);
        let first = files(&[
            ("memory/memory.usage_in_bytes", "104857600\n"),
            ("memory/memory.max_usage_in_bytes", "209715200\n"),
            (
                "memory/memory.stat",
                "cache 1\nhierarchical_memory_limit 1073741824\ntotal_cache 52428800\n",
            ),
            (
                "memory/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            ),
        ]);
        for root in [second, first] {
            assert_eq!(
                memory(&root),
                Memory {
                    current: Some(100 * MIB),
                    files: Some(50 * MIB),
                    peak: Some(200 * MIB),
                    limit: Some(1024 * MIB),
                    oom_kills: Some(1),
                }
            );
        }
    }

    #[test]
    fn a_cgroup_without_a_limit_has_the_machines() {
        let unlimited = files(&[("memory.current", "1\n"), ("memory.max", "max\n")]);
        assert_eq!(memory(&unlimited).limit, Some(8_000 * MIB));
        let first = files(&[
            ("memory/memory.usage_in_bytes", "1\n"),
            (
                "memory/memory.stat",
                "hierarchical_memory_limit 9223372036854771712\n",
            ),
        ]);
        assert_eq!(memory(&first).limit, Some(8_000 * MIB));
    }

    #[test]
    fn without_a_cgroup_nothing_is_claimed() {
        let root = tempfile::tempdir().unwrap();
        let evidence = Evidence::begin(root.path());
        let memory = memory(&root);
        assert_eq!((memory.current, memory.oom_kills), (None, None));
        assert!(!evidence.is_exhausted(&memory, Some(KILLED)));
    }

    #[test]
    fn memory_ran_out_if_the_kernel_ended_somebody_since_the_start() {
        let root = files(&[("memory.current", "1\n"), ("memory.events", "oom_kill 3\n")]);
        let evidence = Evidence::begin(root.path());
        let mut memory = memory(&root);
        assert!(!evidence.is_exhausted(&memory, None), "that was before");
        memory.oom_kills = Some(4);
        assert!(evidence.is_exhausted(&memory, None));
    }

    #[test]
    fn memory_ran_out_if_it_was_full_without_files_and_the_worker_was_killed() {
        for (files_cached, full) in [("0", true), ("600", false)] {
            let stat = format!("file {files_cached}\n");
            let root = files(&[
                ("memory.current", "950\n"),
                ("memory.max", "1000\n"),
                ("memory.stat", &stat),
            ]);
            let mut evidence = Evidence::begin(root.path());
            let sample = evidence.look(0);
            assert_eq!(evidence.is_exhausted(&sample.memory, Some(KILLED)), full);
            assert!(!evidence.is_exhausted(&sample.memory, Some(102)));
            assert!(!evidence.is_exhausted(&sample.memory, None));
        }
    }

    #[test]
    fn a_process_is_read_off_its_status() {
        let status = "Name:\tRunner.Worker\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t42\nPPid:\t7\nVmRSS:\t  81234 kB\nThreads:\t21\n";
        let process = Process::parse(42, status).unwrap();
        assert_eq!(
            (process.state.as_str(), process.kibibytes, process.threads),
            ("S", Some(81_234), Some(21))
        );
        assert!(process.is_worker_of(7) && !process.is_worker_of(8));
        let ended = Process::parse(42, &status.replace("S (sleeping)", "Z (zombie)")).unwrap();
        assert!(!ended.is_worker_of(7), "it has ended and is not buried yet");
    }

    #[test]
    fn a_workers_exit_code_is_read_off_the_listeners_own_lines_only() {
        let line =
            |source: &str, text: &str| format!("[2026-03-01 10:00:09Z INFO {source}] {text}\n");
        let job = "Worker finished for job 6b9a3c1e-0000-4000-8000-000000000001. Code: ";
        let log = [
            line("JobDispatcher", &format!("{job}102")),
            line("JobDispatcher", &format!("{job}137")),
            line("Terminal", &format!("WRITE LINE: Running job: ] {job}100")),
            line("Terminal", &format!("{job}100")),
            line("JobDispatcher", "Stop renew job request for job x."),
        ]
        .concat();
        assert_eq!(worker_code(&log), Some(137));
        assert_eq!(worker_code("Worker finished for job x. Code: 137"), None);
        assert_eq!(worker_code(""), None);
    }

    #[test]
    fn only_codes_that_are_no_result_are_a_death() {
        assert!((100..=105).all(|code| !is_a_death(code)));
        for code in [0, 1, 99, 106, 134, 137, 139] {
            assert!(is_a_death(code), "{code}");
        }
    }
}
