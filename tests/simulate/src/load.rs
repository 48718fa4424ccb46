//! When jobs come, and how long they run.

use fastrand::Rng;

use crate::limit::{DAY, HOUR, SECOND, Time};

/// A job that is going to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) at: Time,
    pub(crate) repository: u16,
    /// Microseconds that it runs.
    pub(crate) work: Time,
}

/// Days of a month that begins on a Monday: 22 of them are working days.
pub(crate) const DAYS: u64 = 30;
const WORKING_DAYS: u32 = 22;
/// A day at the weekend has so much of a working day's jobs.
const WEEKEND: f64 = 0.1;

/// How the jobs of a working day are spread over its hours (UTC), in parts of the busiest hour: a
/// morning and an afternoon with a dip at noon, as in the traces of CI services, and nightly builds.
const HOURS: [f64; 24] = [
    0.10, 0.15, 0.20, 0.10, 0.05, 0.05, 0.10, 0.30, 0.65, 0.90, 1.00, 0.95, 0.70, 0.80, 0.95, 1.00,
    0.90, 0.70, 0.45, 0.30, 0.20, 0.15, 0.10, 0.10,
];

/// Repositories of a deployment, of which a few have most of the jobs: the n-th has one n-th of the
/// first one's.
pub(crate) const REPOSITORIES: u16 = 40;

/// Jobs of a run: mostly few. A run of [`STORM`] jobs is a matrix as large as GitHub allows.
const RUNS: [(u32, f64); 6] = [
    (1, 0.45),
    (2, 0.2),
    (4, 0.2),
    (8, 0.1),
    (16, 0.04),
    (32, 0.01),
];
/// The largest matrix ([limits]).
///
/// [limits]: https://docs.github.com/en/actions/reference/limits
pub(crate) const STORM: u32 = 256;
/// One run in so many jobs is a storm.
const JOBS_PER_STORM: u32 = 20_000;

/// The median of a job's time and its spread: half take less than three minutes, the average is five.
const MEDIAN: f64 = 180.0;
const SPREAD: f64 = 1.0;
const SHORTEST: Time = 5 * SECOND;
const LONGEST: Time = 2 * HOUR;

/// The jobs of a month, in order. Only working days have storms, in the afternoon.
pub(crate) fn month(jobs: u32, rng: &mut Rng) -> Vec<Arrival> {
    let storms = jobs / JOBS_PER_STORM;
    let ordinary = jobs - storms * STORM;
    let mean: f64 = RUNS
        .iter()
        .map(|(size, share)| f64::from(*size) * share)
        .sum();
    // So many runs in each part of the busiest hour.
    let day: f64 = HOURS.iter().sum();
    let weekend = f64::from(u32::try_from(DAYS).unwrap_or(0) - WORKING_DAYS) * WEEKEND;
    let days = f64::from(WORKING_DAYS) + weekend;
    let busiest = f64::from(ordinary) / mean / (days * day);
    let mut arrivals = Vec::new();
    for day in 0..DAYS {
        let share = if is_working(day) { 1.0 } else { WEEKEND };
        for (hour, part) in (0_u64..).zip(HOURS) {
            let from = day * DAY + hour * HOUR;
            let mut at = 0.0;
            loop {
                // Runs come independently of each other.
                at += exponential(rng) / (busiest * part * share);
                if at >= 1.0 {
                    break;
                }
                let run = run_size(rng);
                push(&mut arrivals, from + part_of(HOUR, at), run, rng);
            }
        }
    }
    let working: Vec<u64> = (0..DAYS).filter(|day| is_working(*day)).collect();
    for storm in 0..storms {
        let days = working.len();
        let index =
            usize::try_from(storm).unwrap_or(0) * days / usize::try_from(storms).unwrap_or(1);
        let at = working[index % days] * DAY + 13 * HOUR + part_of(4 * HOUR, rng.f64());
        push(&mut arrivals, at, STORM, rng);
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

/// A matrix at once, while nothing else runs.
pub(crate) fn storm(jobs: u32, at: Time, rng: &mut Rng) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    push(&mut arrivals, at, jobs, rng);
    arrivals
}

/// Jobs that all take as long, queued at once by one repository after the other.
pub(crate) fn at_once(jobs: u32, work: Time) -> Vec<Arrival> {
    let job = Arrival {
        at: 0,
        repository: 0,
        work,
    };
    vec![job; usize::try_from(jobs).unwrap_or(0)]
}

const fn is_working(day: u64) -> bool {
    day % 7 < 5
}

fn run_size(rng: &mut Rng) -> u32 {
    let mut draw = rng.f64();
    for (size, share) in RUNS {
        if draw < share {
            return size;
        }
        draw -= share;
    }
    1
}

/// Queues the jobs of a run: GitHub does so within a few seconds.
fn push(arrivals: &mut Vec<Arrival>, at: Time, jobs: u32, rng: &mut Rng) {
    let repository = repository(rng);
    for job in 0..jobs {
        arrivals.push(Arrival {
            at: at + u64::from(job) * 10_000,
            repository,
            work: work(rng),
        });
    }
}

fn repository(rng: &mut Rng) -> u16 {
    let all: f64 = (1..=REPOSITORIES).map(|rank| 1.0 / f64::from(rank)).sum();
    let mut draw = rng.f64() * all;
    for rank in 1..=REPOSITORIES {
        draw -= 1.0 / f64::from(rank);
        if draw < 0.0 {
            return rank - 1;
        }
    }
    0
}

fn work(rng: &mut Rng) -> Time {
    let seconds = MEDIAN * (SPREAD * normal(rng)).exp();
    micros(seconds).clamp(SHORTEST, LONGEST)
}

/// A draw from the exponential distribution with mean one.
pub(crate) fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

/// A draw from the normal distribution, by Box and Muller.
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let radius = (2.0 * exponential(rng)).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Seconds as microseconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn micros(seconds: f64) -> Time {
    (seconds * 1e6) as Time
}

/// A part of a span.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn part_of(span: Time, part: f64) -> Time {
    micros(span as f64 / 1e6 * part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::MINUTE;

    #[test]
    fn a_month_has_about_the_jobs_that_were_asked_for_and_most_on_working_days() {
        for jobs in [1_000, 100_000] {
            let month = month(jobs, &mut Rng::with_seed(1));
            let wanted = usize::try_from(jobs).unwrap();
            let tenth = wanted / 10;
            assert!(month.len().abs_diff(wanted) < tenth, "{}", month.len());
            assert!(month.is_sorted_by_key(|arrival| arrival.at));
            let weekend = month.iter().filter(|arrival| !is_working(arrival.at / DAY));
            assert!(weekend.count() < tenth);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_month() {
        let of = |seed| month(2_000, &mut Rng::with_seed(seed));
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn half_of_the_jobs_take_three_minutes_and_the_average_is_about_five() {
        let mut rng = Rng::with_seed(1);
        let mut all: Vec<Time> = (0..10_000).map(|_| work(&mut rng)).collect();
        all.sort_unstable();
        assert!((170 * SECOND..190 * SECOND).contains(&all[5_000]));
        let mean = all.iter().sum::<Time>() / 10_000;
        assert!((4 * MINUTE..6 * MINUTE).contains(&mean), "{mean}");
    }
}
