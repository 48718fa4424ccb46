//! What a simulated month amounted to.

use std::fmt;

use crate::limit::Time;
use crate::quotas::Limit;

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Of each job, milliseconds from its queueing until a runner had it.
    waits: Vec<u32>,
    /// Of each limit: refusals, microseconds that jobs waited for it, and when it refused first.
    limits: [(u64, Time, Option<Time>); Limit::ALL.len()],
    /// Executions that have not ended.
    pub(crate) open: u64,
    pub(crate) attempts: u64,
    pub(crate) transitions: u64,
    pub(crate) github_calls: u64,
    pub(crate) start_calls: u64,
    /// Jobs that went through the overflow queue.
    pub(crate) kept: u64,
    pub(crate) tasks: u64,
    pub(crate) most_tasks: u32,
    /// Jobs that started on a warm task.
    pub(crate) warm: u64,
    /// Jobs that Spot interrupted.
    pub(crate) interrupted: u64,
    /// Jobs that were given up at the end of their day.
    pub(crate) given_up: u64,
    /// Jobs that were queued when the simulation ended before its time: attempts in vain took all events.
    pub(crate) behind: u64,
}

impl Figures {
    pub(crate) fn waited(&mut self, time: Time) {
        self.waits
            .push(u32::try_from(time / 1_000).unwrap_or(u32::MAX));
    }

    pub(crate) fn refused(&mut self, limit: Limit, now: Time) {
        let (count, _, first) = &mut self.limits[limit.index()];
        *count += 1;
        first.get_or_insert(now);
    }

    /// A job waited because of a limit.
    pub(crate) fn lost(&mut self, limit: Limit, time: Time) {
        self.limits[limit.index()].1 += time;
    }

    /// No more is counted.
    pub(crate) fn over(&mut self) {
        self.waits.sort_unstable();
    }

    pub(crate) fn jobs(&self) -> usize {
        self.waits.len()
    }

    /// Seconds that so many in a hundred jobs waited at most.
    pub(crate) fn percentile(&self, hundredth: usize) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        let wait = self.waits.get(last * hundredth / 100);
        f64::from(wait.copied().unwrap_or_default()) / 1_000.0
    }

    pub(crate) fn refusals(&self, limit: Limit) -> u64 {
        self.limits[limit.index()].0
    }

    /// How many jobs had started so many seconds after they were queued, up to `last`.
    pub(crate) fn started_by(&self, last: f64) -> Vec<(f64, f64)> {
        let mut points = vec![(0.0, 0.0)];
        for (count, wait) in (1_u32..).zip(&self.waits) {
            points.push((f64::from(*wait) / 1_000.0, f64::from(count)));
        }
        points.retain(|(wait, _)| *wait <= last);
        points
    }

    /// Hours that jobs waited because of a limit.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn hours_lost(&self, limit: Limit) -> f64 {
        self.limits[limit.index()].1 as f64 / 3.6e9
    }

    /// The limit that refused something first.
    pub(crate) fn first(&self) -> Option<(Limit, Time)> {
        let met = Limit::ALL.iter().filter_map(|limit| {
            let (_, _, first) = self.limits[limit.index()];
            Some((*limit, first?))
        });
        met.min_by_key(|(_, first)| *first)
    }

    /// The limit that jobs waited longest for.
    pub(crate) fn worst(&self) -> Option<Limit> {
        let met = Limit::ALL
            .iter()
            .filter(|limit| self.limits[limit.index()].1 > 0);
        met.max_by_key(|limit| self.limits[limit.index()].1)
            .copied()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} jobs waited {:.1} s (p50), {:.1} s (p95), {:.1} s (p99); {} started warm, {} were given up, {} are behind; {} attempts, \
             {} tasks ({} at once), {} state transitions, {} GitHub calls, {} StartExecution calls, {} kept in the queue",
            self.jobs(),
            self.percentile(50),
            self.percentile(95),
            self.percentile(99),
            self.warm,
            self.given_up,
            self.behind,
            self.attempts,
            self.tasks,
            self.most_tasks,
            self.transitions,
            self.github_calls,
            self.start_calls,
            self.kept
        )
    }
}
