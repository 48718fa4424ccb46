//! Sizes of tasks on Fargate: which there are, and which one a job gets that asks for one.
//!
//! A job asks by labels ([`read`]); the rest of its labels choose the task definition. [`fit`] then
//! finds the cheapest size that is not smaller, within the definition's limits. RunTask overrides the
//! definition's size with it, so one definition serves every size.

mod ask;
mod refusal;

pub use ask::{Asked, Purchase, asks, is_for_a_run, read};
pub use refusal::SizeRefused;

use crate::cost;

/// CPU units (1,024 are one vCPU), and the memory in MiB that Fargate offers with them: first, last,
/// step ([documentation]). 32 vCPU need platform version 1.4.0, as all sizes from 8 vCPU on.
///
/// [documentation]: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
const OFFERED: [(u32, u32, u32, usize); 10] = [
    (256, 512, 1_024, 512),
    (256, 2_048, 2_048, 1),
    (512, 1_024, 4_096, 1_024),
    (1_024, 2_048, 8_192, 1_024),
    (2_048, 4_096, 16_384, 1_024),
    (4_096, 8_192, 30_720, 1_024),
    (8_192, 16_384, 61_440, 4_096),
    (16_384, 32_768, 122_880, 8_192),
    (32_768, 61_440, 122_880, 61_440),
    (32_768, 249_856, 249_856, 1),
];

/// The disk of a task that asks for none, in GiB; it costs nothing.
pub const FREE_DISK: u32 = 20;
/// The least disk that a task may ask for. ECS documents 20 now and 21 before; 21 serves both.
const LEAST_DISK: u32 = 21;
/// The most.
pub const MOST_DISK: u32 = 200;

/// The size of a task on Fargate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskSize {
    /// CPU units; 1,024 are one vCPU.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory: u32,
}

impl TaskSize {
    /// All sizes that Fargate offers, the smallest first.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        OFFERED.into_iter().flat_map(|(cpu, first, last, step)| {
            let memories = (first..=last).step_by(step);
            memories.map(move |memory| Self { cpu, memory })
        })
    }

    /// List price of an hour in US dollars. Which of two sizes is cheaper does not depend on the
    /// processor or on Spot.
    pub fn hourly(self, arm: bool) -> f64 {
        let size = cost::Size {
            cpu: self.cpu.into(),
            memory: self.memory.into(),
            arm,
            spot: false,
        };
        cost::estimate(size, 3_600.0)
    }

    /// Whether neither part is smaller than the other's.
    const fn holds(self, other: Self) -> bool {
        self.cpu >= other.cpu && self.memory >= other.memory
    }

    /// The cheapest size that is not smaller, and not larger than `most`.
    fn cheapest(least: Self, most: Self) -> Option<Self> {
        Self::all()
            .filter(|size| size.holds(least) && most.holds(*size))
            .min_by(|a, b| a.hourly(false).total_cmp(&b.hourly(false)))
    }

    /// The smallest size with this many CPU units.
    fn smallest_with(cpu: u32) -> Option<Self> {
        Self::all().find(|size| size.cpu == cpu)
    }
}

/// What a task has: of its definition, or at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    pub size: TaskSize,
    /// Disk in GiB.
    pub disk: u32,
}

/// What a definition's tasks may have at most; what is not set is the definition's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// CPU units.
    pub cpu: Option<u32>,
    /// Memory in MiB.
    pub memory: Option<u32>,
    /// Disk in GiB.
    pub disk: Option<u32>,
}

impl Limits {
    /// The most of a definition. Its own size is always allowed.
    fn of(self, own: Resources) -> Resources {
        let most = |limit: Option<u32>, own: u32| limit.unwrap_or(own).max(own);
        Resources {
            size: TaskSize {
                cpu: most(self.cpu, own.size.cpu),
                memory: most(self.memory, own.size.memory),
            },
            disk: most(self.disk, own.disk),
        }
    }
}

/// What the task of a job gets: the cheapest that is not smaller than what the job asks for. What it
/// does not name is at least the definition's `own`.
///
/// Memory is rounded up to what goes with the CPU, and the CPU to what goes with the memory. Memory far
/// below what comes with the named CPU is refused: it is more likely a mistake than a wish.
///
/// What the labels could not be [read](read) as is refused here too, with the nearest size that the
/// definition allows.
pub fn fit(
    own: Resources,
    limits: Limits,
    asked: Result<Asked, SizeRefused>,
) -> Result<Resources, SizeRefused> {
    let most = limits.of(own);
    let asked = asked.map_err(|refused| refused.within(own, most))?;
    let least = TaskSize {
        cpu: asked.cpu.unwrap_or(own.size.cpu),
        memory: asked.memory.unwrap_or(own.size.memory),
    };
    if let (Some(cpu), Some(memory)) = (asked.cpu, asked.memory)
        && let Some(smallest) = TaskSize::smallest_with(cpu)
        && memory < smallest.memory
        && most.size.holds(smallest)
    {
        return Err(SizeRefused::LittleMemory { least, smallest });
    }
    let size = if least == own.size {
        // Also one that Fargate does not offer: it is the definition's.
        own.size
    } else {
        TaskSize::cheapest(least, most.size).ok_or_else(|| SizeRefused::OverLimit {
            asked: least,
            most: most.size,
            nearest: nearest(least, most.size).unwrap_or(own.size),
        })?
    };
    let disk = match asked.disk {
        None => own.disk,
        Some(disk) if disk == own.disk => disk,
        Some(disk) if disk > most.disk => {
            return Err(SizeRefused::DiskOverLimit {
                asked: disk,
                most: most.disk,
            });
        }
        Some(disk) => disk.max(LEAST_DISK),
    };
    Ok(Resources { size, disk })
}

/// The largest size within `most` that is near to a refused one: what is asked for, cut to the limits.
fn nearest(asked: TaskSize, most: TaskSize) -> Option<TaskSize> {
    let cut = TaskSize {
        cpu: asked.cpu.min(most.cpu),
        memory: asked.memory.min(most.memory),
    };
    TaskSize::cheapest(cut, most).or_else(|| {
        TaskSize::all()
            .filter(|size| cut.holds(*size))
            .max_by(|a, b| a.hourly(false).total_cmp(&b.hourly(false)))
    })
}

#[cfg(test)]
mod tests;
