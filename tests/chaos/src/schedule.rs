//! What happens when: a pure function of the seed and the number of jobs.
//!
//! Moments are counted from the start of the run. Whom a fault meets is left open where it depends
//! on what is there then: the schedule only draws a number, and the run chooses by it.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::orders::FRONT_DOOR;

/// Label sets of the jobs. The first is a part of the second, so a runner of the second takes jobs of
/// the first; the third stands apart.
pub const LABELS: [&[&str]; 3] = [
    &["self-hosted", "linux"],
    &["self-hosted", "linux", "large"],
    &["self-hosted", "gpu"],
];
/// Repositories of each seed; jobs of one are never given to runners of another.
pub const REPOSITORIES: [&str; 3] = ["one", "two", "three"];

/// Jobs that come at once, at most.
const BURST: usize = 12;
/// Bursts follow each other within this.
const PAUSE: Duration = Duration::from_secs(6);
/// The longest job.
const LONGEST: Duration = Duration::from_secs(6);
/// A cancellation comes this long after its job at most.
const CANCELLED_WITHIN: Duration = Duration::from_secs(12);

/// What is done in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Where it comes from.
    pub seed: u64,
    /// The jobs, in the order in which they are queued.
    pub jobs: Vec<PlannedJob>,
    /// The faults, in the order in which they come.
    pub faults: Vec<PlannedFault>,
}

/// A job to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedJob {
    /// When.
    pub at: Duration,
    /// Which of [`REPOSITORIES`].
    pub repository: usize,
    /// Which of [`LABELS`].
    pub labels: usize,
    /// How long its script takes.
    pub takes: Duration,
    /// How long after `at` somebody cancels it.
    pub cancelled_after: Option<Duration>,
    /// What becomes of the webhook that announces it.
    pub webhook: Option<Webhook>,
}

/// What becomes of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// It is lost, and GitHub notes that.
    Lost,
    /// It comes twice.
    Duplicated,
    /// It comes so much later, after others that were sent after it.
    Late(Duration),
    /// Lambda's front door answers it with this status, before `verify` runs.
    Refused(u16),
}

/// A fault and its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// When.
    pub at: Duration,
    /// What.
    pub kind: ChaosFault,
    /// Chooses among those that it could meet.
    pub whom: usize,
    /// How many calls it meets, where it meets calls.
    pub times: u32,
}

/// Every kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChaosFault {
    /// AWS refuses calls: too many.
    AwsThrottled,
    /// AWS answers with its own error.
    AwsFails,
    /// AWS does what is asked for, and its answer is lost.
    AwsAnswerLost,
    /// AWS takes seconds to answer.
    AwsSlow,
    /// A function ends before it did anything.
    FunctionCrashes,
    /// A function does its work and doesn't live to say so.
    FunctionTimesOut,
    /// Fargate has no capacity.
    NoCapacity,
    /// A task stops before it starts.
    TaskNeverStarts,
    /// GitHub answers 429.
    GitHubThrottles,
    /// The hour's calls at GitHub are used up.
    GitHubRateLimits,
    /// GitHub answers 5xx.
    GitHubFails,
    /// GitHub does what is asked for and answers 5xx.
    GitHubAnswerLost,
    /// GitHub takes seconds to answer.
    GitHubSlow,
    /// GitHub cuts the connection.
    GitHubDisconnects,
    /// A webhook that is no announcement is lost.
    WebhookLost,
    /// A webhook that is no announcement comes twice.
    WebhookDuplicated,
    /// A webhook that is no announcement comes late.
    WebhookLate,
    /// A task is killed before it has a job.
    TaskKilledIdle,
    /// A task is killed in its job.
    TaskKilledBusy,
    /// Spot takes a task back.
    SpotInterruption,
    /// A person aborts an execution.
    ExecutionAborted,
    /// An execution outlives its time.
    ExecutionTimesOut,
    /// A runner's registration is used up behind its back.
    RunnerGhosted,
    /// GitHub answers 404 about a job that it has.
    JobNotFound,
    /// GitHub answers 404 about everything of a repository that it has.
    RepositoryNotFound,
    /// GitHub answers 404 to the deletion of a runner that it has.
    RunnerNotFound,
    /// GitHub assigns nothing for a while.
    AssigningStops,
    /// Listeners can't open a session.
    ListenersRefused,
    /// EC2 throttles what ECS looks up for RunTask.
    Ec2Throttles,
    /// RunTask finds no room, in other words than capacity.
    NoRoom,
    /// Lambda's front door refuses a webhook that is no announcement, before `verify` runs.
    WebhookRefused,
    /// A runner hears of its job late, and GitHub deletes it until then.
    DeleteInGap,
    /// GitHub shows runners with a job as idle.
    BusyUnseen,
    /// GitHub drops idle runners after seconds, and does not find them afterwards.
    IdleDropped,
    /// Listeners hang after their job.
    ListenersHang,
    /// Events of tasks come late.
    EventsLate,
    /// Events of tasks come twice.
    EventsTwice,
    /// Events of tasks come in another order.
    EventsOutOfOrder,
}

impl ChaosFault {
    /// All of them.
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
        })
    }
}

impl Schedule {
    /// The schedule of a seed, for so many jobs.
    pub fn new(seed: u64, jobs: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let jobs = queue(&mut rng, jobs);
        let last = jobs.last().map_or(Duration::ZERO, |job| job.at);
        // One for each third job, and each small run has some.
        let count = jobs.len().div_ceil(3) + 2;
        let mut faults: Vec<_> = (0..count)
            .map(|_| PlannedFault {
                at: within(&mut rng, last + LONGEST),
                kind: ChaosFault::ALL[rng.usize(..ChaosFault::ALL.len())],
                whom: rng.usize(..1 << 16),
                times: rng.u32(1..=3),
            })
            .collect();
        faults.sort_by_key(|fault| fault.at);
        Self { seed, jobs, faults }
    }
}

/// Bursts of jobs, one after the other.
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

    #[test]
    fn the_same_seed_makes_the_same_schedule() {
        assert_eq!(Schedule::new(7, 100), Schedule::new(7, 100));
        assert_ne!(Schedule::new(7, 100), Schedule::new(8, 100));
    }

    #[test]
    fn ten_seeds_hold_every_kind_of_fault() {
        let met: BTreeSet<_> = (1..=10)
            .flat_map(|seed| Schedule::new(seed, 100).faults)
            .map(|fault| fault.kind)
            .collect();
        assert_eq!(met, BTreeSet::from(ChaosFault::ALL));
    }

    #[test]
    fn there_are_as_many_jobs_as_asked_for_in_order_over_everything_there_is() {
        let schedule = Schedule::new(1, 100);
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
            .flat_map(|seed| Schedule::new(seed, 100).jobs)
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
        let jobs = Schedule::new(1, 100).jobs;
        assert!(jobs.windows(2).any(|pair| pair[0].at == pair[1].at));
    }
}
