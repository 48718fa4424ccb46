//! Why a size is refused, and which one would be valid.

use super::{FREE_DISK, MOST_DISK, Resources, TaskSize};

/// A job asks for a size that its runner cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeRefused {
    /// Fargate has no task with so many vCPUs.
    #[error(
        "`{label}` is no size of Fargate; the nearest is cpu-{}. There are {}",
        vcpus(*.nearest),
        all_cpus()
    )]
    Cpu { label: String, nearest: u32 },
    /// Fargate has no task with so much memory.
    #[error(
        "`{label}` is no size of Fargate; the nearest is ram-{}. Write GiB from ram-{} to ram-{}",
        gibibytes(*.nearest),
        gibibytes(least_memory()),
        gibibytes(most_memory())
    )]
    Memory { label: String, nearest: u32 },
    /// Fargate has no task with so much disk.
    #[error(
        "`{label}` is no size of Fargate; the nearest is disk-{nearest}. Write whole GiB from \
         disk-{FREE_DISK} to disk-{MOST_DISK}"
    )]
    Disk { label: String, nearest: u32 },
    /// Two labels ask for different sizes of one thing.
    #[error("the job asks for `{first}` and for `{second}`, which contradict each other; keep one")]
    Contradiction { first: String, second: String },
    /// A label `fargate=…` does not begin with its run.
    #[error(
        "`{label}` names no run. Write `fargate=${{{{ github.run_id }}}}/cpu=4`: only with its own \
         run's id does a label keep GitHub from giving the runner to another run"
    )]
    NoRun { label: String },
    /// A label `fargate=…` names another run.
    #[error(
        "`{label}` does not name this job's run, {run}. Write `fargate=${{{{ github.run_id }}}}/cpu=4`: \
         only with its own run's id does a label keep GitHub from giving the runner to another run"
    )]
    OtherRun { label: String, run: u64 },
    /// A label `fargate=…` has a part that is no size.
    #[error(
        "`{label}` has the part `{part}`. After the run there may be cpu=, ram= and disk=, each with a \
         number, spot or on-demand, and labels, separated by slashes"
    )]
    Part { label: String, part: String },
    /// The named CPU comes with more memory.
    #[error(
        "ram-{} is less than Fargate gives cpu-{}; the nearest valid size is {}",
        gibibytes(.least.memory),
        vcpus(.least.cpu),
        labels(*.smallest)
    )]
    LittleMemory { least: TaskSize, smallest: TaskSize },
    /// The size is above the task definition's limits, or becomes so when it is rounded up.
    #[error(
        "{} is more than it allows, which is {} (tags `GH:max-cpu` and `GH:max-memory`, else its own \
         size); the nearest valid size is {}",
        labels(*.asked),
        labels(*.most),
        labels(*.nearest)
    )]
    OverLimit {
        asked: TaskSize,
        most: TaskSize,
        nearest: TaskSize,
    },
    /// The disk is above the task definition's limit.
    #[error(
        "disk-{asked} is more than it allows (tag `GH:max-disk`, else its own disk); the nearest valid \
         size is disk-{most}"
    )]
    DiskOverLimit { asked: u32, most: u32 },
    /// Fargate has another size that is near, but the task definition does not allow that either.
    #[error(
        "{refused}. It does not allow that one, but {nearest} (tags `GH:max-cpu`, `GH:max-memory` and \
         `GH:max-disk`, else its own size)"
    )]
    NoneAllowed { refused: Box<Self>, nearest: String },
    /// The task definition has other containers, which need more.
    #[error(
        "{} is less than its containers reserve; the nearest valid size is {}",
        labels(*.given),
        labels(*.nearest)
    )]
    LittleForContainers { given: TaskSize, nearest: TaskSize },
    /// The task definition does not run on Fargate.
    #[error(
        "`{labels}` cannot be given: it runs on instances (capacity {capacity}), where a task has the \
         size of its task definition and the instance's disk and purchase option. Leave {labels} out, \
         or ask for a runner on Fargate"
    )]
    OnInstances { labels: String, capacity: String },
}

impl SizeRefused {
    /// The same for a task definition of this size that allows tasks up to `most`: the nearest size is one
    /// that it allows.
    #[must_use]
    pub(super) fn within(self, own: Resources, most: Resources) -> Self {
        let allows = |cpu: u32, memory: u32| {
            let least = TaskSize { cpu, memory };
            TaskSize::cheapest(least, most.size).is_some()
        };
        let nearest = match &self {
            Self::Cpu { nearest, .. } if !allows(*nearest, own.size.memory) => {
                let cpus = TaskSize::all().map(|size| size.cpu);
                let allowed = cpus.filter(|cpu| allows(*cpu, own.size.memory));
                allowed.max().map(|cpu| format!("cpu-{}", vcpus(cpu)))
            }
            Self::Memory { nearest, .. } if !allows(own.size.cpu, *nearest) => {
                let memories = TaskSize::all().map(|size| size.memory);
                let allowed = memories.filter(|memory| allows(own.size.cpu, *memory));
                let most = allowed.max();
                most.map(|memory| format!("ram-{}", gibibytes(memory)))
            }
            Self::Disk { nearest, .. } if *nearest > most.disk => {
                Some(format!("disk-{}", most.disk))
            }
            _ => None,
        };
        match nearest {
            Some(nearest) => Self::NoneAllowed {
                refused: Box::new(self),
                nearest,
            },
            None => self,
        }
    }
}

/// The longest part of a label that an error repeats.
const QUOTED: usize = 60;

/// A label as an error quotes it.
pub(super) fn quoted(label: &str) -> String {
    if label.chars().count() <= QUOTED {
        return label.to_owned();
    }
    let start: String = label.chars().take(QUOTED).collect();
    format!("{start}…")
}

/// `4`, `0.25`.
pub(super) fn vcpus(units: u32) -> String {
    (f64::from(units) / 1_024.0).to_string()
}

/// `16`, `0.5`.
pub(super) fn gibibytes(mebibytes: u32) -> String {
    (f64::from(mebibytes) / 1_024.0).to_string()
}

/// `cpu-4 ram-16`.
fn labels(size: TaskSize) -> String {
    format!("cpu-{} ram-{}", vcpus(size.cpu), gibibytes(size.memory))
}

fn all_cpus() -> String {
    let mut cpus: Vec<_> = TaskSize::all().map(|size| size.cpu).collect();
    cpus.dedup();
    let names: Vec<_> = cpus
        .into_iter()
        .map(|cpu| format!("cpu-{}", vcpus(cpu)))
        .collect();
    names.join(", ")
}

fn least_memory() -> u32 {
    TaskSize::all()
        .map(|size| size.memory)
        .min()
        .unwrap_or_default()
}

fn most_memory() -> u32 {
    TaskSize::all()
        .map(|size| size.memory)
        .max()
        .unwrap_or_default()
}
