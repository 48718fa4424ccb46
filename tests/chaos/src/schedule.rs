//! Schedules: a pure function from the seed and the number of jobs to what happens when.
//!
//! Times count from the start of the run. If the target of a fault depends on what exists by then,
//! the schedule only draws a number, which selects the target during the run.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::orders::FRONT_DOOR;

/// Label sets of the jobs. The first is a subset of the second, so a runner of the second may take
/// jobs of the first; the third is disjoint.
pub const LABELS: [&[&str]; 3] = [
    &["self-hosted", "linux"],
    &["self-hosted", "linux", "large"],
    &["self-hosted", "gpu"],
];
/// Repositories of each seed. Jobs of one are never assigned to runners of another.
pub const REPOSITORIES: [&str; 3] = ["one", "two", "three"];

/// Maximum number of jobs in a burst.
const BURST: usize = 12;
/// Maximum pause between bursts.
const PAUSE: Duration = Duration::from_secs(6);
/// Maximum duration of a job.
const LONGEST: Duration = Duration::from_secs(6);
/// Maximum time from a job to its cancellation.
const CANCELLED_WITHIN: Duration = Duration::from_secs(12);

/// The schedule of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub seed: u64,
    /// The jobs, in the order in which they are queued.
    pub jobs: Vec<PlannedJob>,
    /// The faults, ordered by time.
    pub faults: Vec<PlannedFault>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedJob {
    pub at: Duration,
    /// Index into [`REPOSITORIES`].
    pub repository: usize,
    /// Index into [`LABELS`].
    pub labels: usize,
    /// Duration of its script.
    pub takes: Duration,
    /// Time from `at` until it is cancelled.
    pub cancelled_after: Option<Duration>,
    /// What happens to its `queued` event.
    pub webhook: Option<Webhook>,
}

/// What happens to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// Its delivery fails, and GitHub records that.
    Lost,
    /// It arrives twice.
    Duplicated,
    /// It arrives this much later, after younger ones.
    Late(Duration),
    /// Lambda rejects it with this status before `verify` runs.
    Refused(u16),
}

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    pub at: Duration,
    pub kind: ChaosFault,
    /// Selects the target among the possible ones.
    pub whom: usize,
    /// Number of calls that it affects, if it affects calls.
    pub times: u32,
}

/// All kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChaosFault {
    /// AWS throttles calls.
    AwsThrottled,
    /// AWS returns an internal error.
    AwsFails,
    /// AWS carries out a call, and its response is lost.
    AwsAnswerLost,
    /// AWS takes seconds to respond.
    AwsSlow,
    /// A function crashes before it has any effect.
    FunctionCrashes,
    /// A function has its effect and then times out.
    FunctionTimesOut,
    /// Fargate has no capacity.
    NoCapacity,
    /// A task stops before it starts.
    TaskNeverStarts,
    /// GitHub answers 429.
    GitHubThrottles,
    /// GitHub's hourly rate limit is reached.
    GitHubRateLimits,
    /// GitHub answers 5xx.
    GitHubFails,
    /// GitHub carries out a call and answers 5xx.
    GitHubAnswerLost,
    /// GitHub takes seconds to respond.
    GitHubSlow,
    /// GitHub closes the connection.
    GitHubDisconnects,
    /// A webhook other than `queued` is lost.
    WebhookLost,
    /// A webhook other than `queued` arrives twice.
    WebhookDuplicated,
    /// A webhook other than `queued` is late.
    WebhookLate,
    /// A task is killed before its runner has a job.
    TaskKilledIdle,
    /// A task is killed during a job.
    TaskKilledBusy,
    /// Spot takes a task back.
    SpotInterruption,
    /// An operator aborts an execution.
    ExecutionAborted,
    /// An execution exceeds its timeout.
    ExecutionTimesOut,
    /// A listening runner's registration is consumed elsewhere.
    RunnerGhosted,
    /// GitHub answers 404 for an existing job.
    JobNotFound,
    /// GitHub answers 404 for everything in an existing repository.
    RepositoryNotFound,
    /// GitHub answers 404 to the deletion of an existing runner.
    RunnerNotFound,
    /// GitHub assigns no jobs for a while.
    AssigningStops,
    /// Listeners cannot create a session.
    ListenersRefused,
    /// EC2 throttles ECS's look-ups for RunTask.
    Ec2Throttles,
    /// RunTask finds no room, with another message than the one about capacity.
    NoRoom,
    /// Lambda rejects a webhook other than `queued` before `verify` runs.
    WebhookRefused,
    /// A runner learns of its job late, and GitHub allows its deletion until then.
    DeleteInGap,
    /// GitHub shows runners with a job as idle.
    BusyUnseen,
    /// GitHub deletes idle runners after seconds, and answers 404 about them afterwards.
    IdleDropped,
    /// Listeners hang after their job.
    ListenersHang,
    /// Task events are late.
    EventsLate,
    /// Task events arrive twice.
    EventsTwice,
    /// Task events arrive out of order.
    EventsOutOfOrder,
    /// The pool's table throttles calls.
    TableThrottles,
    /// The pool's table returns an internal error.
    TableFails,
    /// The pool's table carries out a write, and its response is lost.
    TableAnswerLost,
    /// The pool's table takes seconds to respond.
    TableSlow,
    /// The pool's table answers nobody for a while.
    TableDown,
    /// Claims of warm tasks are refused.
    ClaimsRefused,
    /// A claimed task's tag or bell is refused.
    RingsRefused,
    /// The keeper of the stock cannot be called.
    KeeperRefused,
    /// A task in stock is killed.
    WaitingTaskKilled,
    /// Spot takes a task in stock back.
    WaitingTaskInterrupted,
    /// A task in stock hangs for a while.
    WaitingTaskHangs,
    /// A task definition gets a new revision.
    NewRevision,
    /// Spot takes a task back during a job.
    JobInterrupted,
    /// The webhook that a runner has a job is lost.
    TakingLost,
    /// The webhook that a runner has a job is late.
    TakingLate,
}

impl ChaosFault {
    /// Those that need a pool of warm tasks.
    pub const OF_POOL: [Self; 12] = [
        Self::TableThrottles,
        Self::TableFails,
        Self::TableAnswerLost,
        Self::TableSlow,
        Self::TableDown,
        Self::ClaimsRefused,
        Self::RingsRefused,
        Self::KeeperRefused,
        Self::WaitingTaskKilled,
        Self::WaitingTaskInterrupted,
        Self::WaitingTaskHangs,
        Self::NewRevision,
    ];

    /// Those that only matter where interrupted jobs are run again.
    pub const OF_RERUNS: [Self; 3] = [Self::JobInterrupted, Self::TakingLost, Self::TakingLate];

    /// All others.
    pub const ALL: [Self; 38] = [
        Self::AwsThrottled,
        Self::AwsFails,
        Self::AwsAnswerLost,
        Self::AwsSlow,
        Self::FunctionCrashes,
        Self::FunctionTimesOut,
        Self::NoCapacity,
        Self::TaskNeverStarts,
        Self::GitHubThrottles,
        Self::GitHubRateLimits,
        Self::GitHubFails,
        Self::GitHubAnswerLost,
        Self::GitHubSlow,
        Self::GitHubDisconnects,
        Self::WebhookLost,
        Self::WebhookDuplicated,
        Self::WebhookLate,
        Self::TaskKilledIdle,
        Self::TaskKilledBusy,
        Self::SpotInterruption,
        Self::ExecutionAborted,
        Self::ExecutionTimesOut,
        Self::RunnerGhosted,
        Self::JobNotFound,
        Self::RepositoryNotFound,
        Self::RunnerNotFound,
        Self::AssigningStops,
        Self::ListenersRefused,
        Self::Ec2Throttles,
        Self::NoRoom,
        Self::WebhookRefused,
        Self::DeleteInGap,
        Self::BusyUnseen,
        Self::IdleDropped,
        Self::ListenersHang,
        Self::EventsLate,
        Self::EventsTwice,
        Self::EventsOutOfOrder,
    ];
}

impl fmt::Display for ChaosFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwsThrottled => "AWS throttles",
            Self::AwsFails => "AWS fails",
            Self::AwsAnswerLost => "AWS' answer lost",
            Self::AwsSlow => "AWS slow",
            Self::FunctionCrashes => "function crashes",
            Self::FunctionTimesOut => "function times out",
            Self::NoCapacity => "no capacity",
            Self::TaskNeverStarts => "task never starts",
            Self::GitHubThrottles => "GitHub throttles",
            Self::GitHubRateLimits => "GitHub rate limits",
            Self::GitHubFails => "GitHub fails",
            Self::GitHubAnswerLost => "GitHub's answer lost",
            Self::GitHubSlow => "GitHub slow",
            Self::GitHubDisconnects => "GitHub disconnects",
            Self::WebhookLost => "webhook lost",
            Self::WebhookDuplicated => "webhook duplicated",
            Self::WebhookLate => "webhook late",
            Self::TaskKilledIdle => "task killed idle",
            Self::TaskKilledBusy => "task killed in its job",
            Self::SpotInterruption => "Spot interruption",
            Self::ExecutionAborted => "execution aborted",
            Self::ExecutionTimesOut => "execution times out",
            Self::RunnerGhosted => "registration used up",
            Self::JobNotFound => "job not found",
            Self::RepositoryNotFound => "repository not found",
            Self::RunnerNotFound => "runner not found",
            Self::AssigningStops => "GitHub assigns nothing",
            Self::ListenersRefused => "listeners refused",
            Self::Ec2Throttles => "EC2 throttles ECS",
            Self::NoRoom => "no room",
            Self::WebhookRefused => "webhook refused",
            Self::DeleteInGap => "deletable in a gap",
            Self::BusyUnseen => "busy unseen",
            Self::IdleDropped => "idle dropped",
            Self::ListenersHang => "listeners hang",
            Self::EventsLate => "events late",
            Self::EventsTwice => "events twice",
            Self::EventsOutOfOrder => "events out of order",
            Self::TableThrottles => "table throttles",
            Self::TableFails => "table fails",
            Self::TableAnswerLost => "table's answer lost",
            Self::TableSlow => "table slow",
            Self::TableDown => "table down",
            Self::ClaimsRefused => "claims refused",
            Self::RingsRefused => "rings refused",
            Self::KeeperRefused => "keeper refused",
            Self::WaitingTaskKilled => "waiting task killed",
            Self::WaitingTaskInterrupted => "waiting task interrupted",
            Self::WaitingTaskHangs => "waiting task hangs",
            Self::NewRevision => "new revision",
            Self::JobInterrupted => "job interrupted",
            Self::TakingLost => "taking lost",
            Self::TakingLate => "taking late",
        })
    }
}

impl Schedule {
    /// The schedule of a seed for this many jobs. Each list of further kinds brings as many faults; the
    /// rest is the same.
    pub fn new(seed: u64, jobs: usize, further: &[&[ChaosFault]]) -> Self {
        let mut rng = Rng::with_seed(seed);
        let jobs = queue(&mut rng, jobs);
        let last = jobs.last().map_or(Duration::ZERO, |job| job.at);
        // One for every three jobs, and some for small runs.
        let count = jobs.len().div_ceil(3) + 2;
        let mut draw = |kinds: &[ChaosFault]| -> Vec<_> {
            (0..count)
                .map(|_| PlannedFault {
                    at: within(&mut rng, last + LONGEST),
                    kind: kinds[rng.usize(..kinds.len())],
                    whom: rng.usize(..1 << 16),
                    times: rng.u32(1..=3),
                })
                .collect()
        };
        let mut faults = draw(&ChaosFault::ALL);
        for kinds in further {
            faults.extend(draw(kinds));
        }
        faults.sort_by_key(|fault| fault.at);
        Self { seed, jobs, faults }
    }
}

/// Consecutive bursts of jobs.
fn queue(rng: &mut Rng, count: usize) -> Vec<PlannedJob> {
    let mut jobs: Vec<PlannedJob> = Vec::with_capacity(count);
    let mut at = Duration::ZERO;
    while jobs.len() < count {
        let burst = rng.usize(1..=BURST).min(count - jobs.len());
        for _ in 0..burst {
            jobs.push(PlannedJob {
                at,
                repository: rng.usize(..REPOSITORIES.len()),
                labels: rng.usize(..LABELS.len()),
                takes: within(rng, LONGEST),
                cancelled_after: one_in(rng, 8).then(|| within(rng, CANCELLED_WITHIN)),
                webhook: one_in(rng, 6).then(|| match rng.u8(..4) {
                    0 => Webhook::Lost,
                    1 => Webhook::Duplicated,
                    2 => Webhook::Refused(FRONT_DOOR[rng.usize(..FRONT_DOOR.len())]),
                    _ => Webhook::Late(within(rng, CANCELLED_WITHIN)),
                }),
            });
        }
        at += within(rng, PAUSE);
    }
    jobs
}

fn one_in(rng: &mut Rng, many: u32) -> bool {
    rng.u32(..many) == 0
}

fn within(rng: &mut Rng, limit: Duration) -> Duration {
    let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rng.u64(..=limit))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const FURTHER: &[&[ChaosFault]] = &[&ChaosFault::OF_POOL, &ChaosFault::OF_RERUNS];

    #[test]
    fn the_same_seed_makes_the_same_schedule() {
        assert_eq!(
            Schedule::new(7, 100, FURTHER),
            Schedule::new(7, 100, FURTHER)
        );
        assert_ne!(
            Schedule::new(7, 100, FURTHER),
            Schedule::new(8, 100, FURTHER)
        );
    }

    #[test]
    fn further_kinds_only_add_faults() {
        let without = Schedule::new(7, 100, &[]);
        let mut with = Schedule::new(7, 100, FURTHER);
        let all = with.faults.len();
        let further = FURTHER.concat();
        with.faults.retain(|fault| !further.contains(&fault.kind));
        assert_eq!(with, without);
        assert!(all > without.faults.len());
    }

    #[test]
    fn ten_seeds_hold_every_kind_of_fault() {
        let met: BTreeSet<_> = (1..=10)
            .flat_map(|seed| Schedule::new(seed, 100, FURTHER).faults)
            .map(|fault| fault.kind)
            .collect();
        let all = ChaosFault::ALL.into_iter().chain(FURTHER.concat());
        assert_eq!(met, all.collect());
    }

    #[test]
    fn there_are_as_many_jobs_as_asked_for_in_order_over_everything_there_is() {
        let schedule = Schedule::new(1, 100, &[]);
        assert_eq!(schedule.jobs.len(), 100);
        assert!(schedule.jobs.is_sorted_by_key(|job| job.at));
        assert!(schedule.faults.is_sorted_by_key(|fault| fault.at));
        let seen = |of: fn(&PlannedJob) -> usize| {
            let found: BTreeSet<_> = schedule.jobs.iter().map(of).collect();
            found.len()
        };
        assert_eq!(seen(|job| job.repository), REPOSITORIES.len());
        assert_eq!(seen(|job| job.labels), LABELS.len());
    }

    #[test]
    fn jobs_are_cancelled_and_announcements_lost_doubled_late_and_refused() {
        let jobs: Vec<_> = (1..=3)
            .flat_map(|seed| Schedule::new(seed, 100, &[]).jobs)
            .collect();
        assert!(jobs.iter().any(|job| job.cancelled_after.is_some()));
        let has =
            |wanted: fn(Webhook) -> bool| jobs.iter().filter_map(|job| job.webhook).any(wanted);
        assert!(has(|webhook| webhook == Webhook::Lost));
        assert!(has(|webhook| webhook == Webhook::Duplicated));
        assert!(has(|webhook| matches!(webhook, Webhook::Late(_))));
        assert!(has(|webhook| matches!(webhook, Webhook::Refused(_))));
    }

    #[test]
    fn several_jobs_come_at_once() {
        let jobs = Schedule::new(1, 100, &[]).jobs;
        assert!(jobs.windows(2).any(|pair| pair[0].at == pair[1].at));
    }
}
