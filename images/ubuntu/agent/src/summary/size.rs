//! Which of Fargate's sizes a job would have fitted.

use decisions::cost::{Size, estimate};
use decisions::size::TaskSize;

/// Room above the peaks: a peak is a mean over seconds, and the next job is another one.
const ROOM: f64 = 1.25;
/// A minute: shorter jobs cost a minute anyway, and say little.
const LEAST_SAMPLES: u32 = 12;
/// A size that saves less is not clearly better.
const LEAST_SAVING: f64 = 0.2;

/// The cheapest size that had room for these peaks (vCPU, MiB), if it is clearly cheaper than `size`.
pub(super) fn smaller(size: Size, cpu: f64, memory: f64, samples: u32) -> Option<(u32, u32)> {
    if samples < LEAST_SAMPLES {
        return None;
    }
    let hourly = |units: u32, mebibytes: u32| {
        let other = Size {
            cpu: units.into(),
            memory: mebibytes.into(),
            ..size
        };
        estimate(other, 3_600.0)
    };
    let fitting = TaskSize::all()
        .filter(|size| {
            f64::from(size.cpu) >= cpu * ROOM * 1_024.0 && f64::from(size.memory) >= memory * ROOM
        })
        .map(|size| (size.cpu, size.memory));
    let (units, mebibytes) =
        fitting.min_by(|a, b| hourly(a.0, a.1).total_cmp(&hourly(b.0, b.1)))?;
    let saves = 1.0 - hourly(units, mebibytes) / estimate(size, 3_600.0);
    (saves >= LEAST_SAVING).then_some((units, mebibytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Size = Size {
        cpu: 2_048.0,
        memory: 4_096.0,
        arm: false,
        spot: false,
    };

    #[test]
    fn a_size_is_named_only_where_the_peaks_leave_no_doubt() {
        for (cpu, memory, samples, expected) in [
            // Half a vCPU is used, and 900 MiB: 1 vCPU with 2 GiB has room.
            (0.6, 900.0, 60, Some((1_024, 2_048))),
            (0.1, 200.0, 60, Some((256, 512))),
            // Not 1,536 MiB with a quarter of a vCPU.
            (0.1, 1_000.0, 60, Some((256, 2_048))),
            // More memory with less CPU.
            (0.6, 3_000.0, 60, Some((1_024, 4_096))),
            // Nearly all of it.
            (1.9, 900.0, 60, None),
            (0.9, 900.0, 60, None),
            // Too short to say.
            (0.1, 200.0, 11, None),
        ] {
            assert_eq!(
                smaller(TWO, cpu, memory, samples),
                expected,
                "{cpu} {memory}"
            );
        }
    }

    #[test]
    fn a_size_that_saves_little_is_not_named() {
        let size = Size {
            cpu: 1_024.0,
            memory: 3_072.0,
            ..TWO
        };
        assert_eq!(smaller(size, 0.7, 1_500.0, 60), None);
    }
}
