//! Why a job waits, or what became of it: a pure function of the evidence.
//!
//! GitHub decides what the job's status is, the execution what this system does about it. So a status
//! that is not *queued* comes first; then the execution's, then the webhook's, then the deliveries'.

use decisions::{Failure, GiveUp, GivenUp, JobStatus, NextAttempt, Outcome, OutcomeClass, Status};
use protocol::{Class, Fault, RunnerName, State};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::evidence::{
    Answer, Evidence, ExecutionSeen, Refused, RefusedKind, Seen, TaskSeen, told,
};
use super::history::{Course, Pause, StepFailure};
use super::reasons::{Reason, listed, reasons};

/// What became of a job, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Situation {
    /// GitHub completed it.
    Completed,
    /// GitHub cancelled it before a runner had it.
    Cancelled,
    /// A runner runs it.
    Running,
    /// GitHub holds it back, for an approval or its concurrency group.
    HeldBack,
    /// Its runner's task is being planned, registered or requested.
    Preparing,
    /// Its runner's task is coming up.
    Starting,
    /// Its runner listens; GitHub has not given it the job.
    Listening,
    /// Its execution pauses before the next attempt.
    Pausing,
    /// Its execution waits for GitHub's rate limit.
    RateLimited,
    /// An attempt has ended and is being cleaned up.
    CleaningUp,
    /// Its execution failed.
    GivenUp,
    /// Its execution was aborted by somebody.
    Aborted,
    /// Its execution ended well, and GitHub shows it queued.
    EndedEarly,
    /// Its execution ended well; GitHub was not asked.
    Ended,
    /// It waits in the overflow queue for Step Functions.
    Overflow,
    /// The deployment was paused when its webhook came.
    Paused,
    /// This deployment does not serve it.
    NotServed,
    /// It asks for GitHub's own runners.
    GitHubsRunners,
    /// The function took its webhook badly.
    WebhookFailed,
    /// A delivery of its webhook failed.
    DeliveryFailed,
    /// No webhook for it arrived.
    NoWebhook,
    /// Nothing shows that there is such a job.
    Unknown,
}

impl Situation {
    pub const ALL: [Self; 22] = [
        Self::Completed,
        Self::Cancelled,
        Self::Running,
        Self::HeldBack,
        Self::Preparing,
        Self::Starting,
        Self::Listening,
        Self::Pausing,
        Self::RateLimited,
        Self::CleaningUp,
        Self::GivenUp,
        Self::Aborted,
        Self::EndedEarly,
        Self::Ended,
        Self::Overflow,
        Self::Paused,
        Self::NotServed,
        Self::GitHubsRunners,
        Self::WebhookFailed,
        Self::DeliveryFailed,
        Self::NoWebhook,
        Self::Unknown,
    ];

    /// Whether the job needs nothing more from this system.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }
}

/// The answer to "why".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub situation: Situation,
    /// What is the case and why, one paragraph.
    pub summary: String,
    /// What happens next, and when.
    pub next: String,
    /// What to change, if a change helps.
    pub change: Option<String>,
    /// What held the job up or ended it, each of which the summary names.
    pub reasons: Vec<Reason>,
    /// The evidence, one fact a line.
    pub facts: Vec<Fact>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub what: &'static str,
    pub said: String,
}

/// The account of a situation, without the evidence.
struct Account {
    situation: Situation,
    summary: String,
    next: String,
    change: Option<String>,
}

impl Account {
    fn new(situation: Situation, summary: String, next: impl Into<String>) -> Self {
        Self {
            situation,
            summary,
            next: next.into(),
            change: None,
        }
    }

    fn but(self, change: impl Into<String>) -> Self {
        Self {
            change: Some(change.into()),
            ..self
        }
    }
}

/// Explains.
pub fn explain(evidence: &Evidence) -> Explanation {
    let Account {
        situation,
        summary,
        next,
        change,
    } = account(evidence);
    let reasons = reasons(evidence);
    let mut summary = sentence(&summary);
    if !reasons.is_empty() {
        summary = format!("{summary} On its way: {}", sentence(&listed(&reasons)));
    }
    Explanation {
        situation,
        summary,
        reasons,
        next: sentence(&next),
        change: change.as_deref().map(sentence),
        facts: super::facts::facts(evidence),
    }
}

/// One paragraph that ends like a sentence, whatever AWS or GitHub put into it.
fn sentence(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !line.ends_with(['.', '!', '?']) {
        line.push('.');
    }
    line
}

fn account(evidence: &Evidence) -> Account {
    if let Some(status) = evidence.github.found()
        && let Some(account) = by_github(evidence, status)
    {
        return account;
    }
    match evidence.newest() {
        Some(execution) => by_execution(evidence, execution),
        None => without_execution(evidence),
    }
}

/// The job is not in GitHub's queue.
fn by_github(evidence: &Evidence, status: &JobStatus) -> Option<Account> {
    let name = name_of(evidence);
    let ours = |runner: &str| {
        runner
            .parse::<RunnerName>()
            .ok()
            .filter(|runner| *runner.deployment() == evidence.deployment)
    };
    match status {
        JobStatus::Queued | JobStatus::Absent => None,
        JobStatus::Waiting => Some(
            Account::new(
                Situation::HeldBack,
                format!(
                    "{name} is held back by GitHub: it waits for an approval of its environment, or for its concurrency group. No runner could take it now"
                ),
                "GitHub queues it when it is approved or its group is free, and sends another webhook; a runner starts then",
            )
            .but("Approve the deployment on the run's page, or end the run that holds the concurrency group"),
        ),
        JobStatus::InProgress { runner, started_at } => {
            let since = since(evidence.at, *started_at);
            let runner_named = runner.as_deref().unwrap_or("a runner");
            let whose = match runner.as_deref().and_then(ours) {
                Some(runner) if runner.execution().job() == evidence.job.id => "its own runner".to_owned(),
                Some(runner) => format!(
                    "the runner that was started for job {}; GitHub gives jobs to any runner with the labels",
                    runner.execution().job()
                ),
                None => "a runner that is not of this deployment".to_owned(),
            };
            Some(Account::new(
                Situation::Running,
                format!("{name} is running{since} on {runner_named}, {whose}{}", waited(evidence, *started_at)),
                "The task ends with the job, and its execution succeeds then whatever the job's result is",
            ))
        }
        JobStatus::Completed {
            conclusion,
            runner: None,
            ..
        } => Some(Account::new(
            Situation::Cancelled,
            format!(
                "{name} has left GitHub's queue without a runner: {}",
                conclusion.as_deref().unwrap_or("it is completed")
            ),
            "Nothing: its runner, if one was started, is removed. Re-run the job at GitHub if it is still wanted",
        )),
        JobStatus::Completed {
            conclusion,
            runner: Some(runner),
            started_at,
            completed_at,
        } => {
            let took = match (started_at, completed_at) {
                (Some(from), Some(to)) => format!(" after {}", span(*to - *from)),
                _ => String::new(),
            };
            let whose = if ours(runner).is_some() {
                ""
            } else {
                ", which is not a runner of this deployment"
            };
            let conclusion = conclusion.as_deref().unwrap_or("completed");
            let account = Account::new(
                Situation::Completed,
                format!(
                    "{name} ran on {runner}{whose} and ended{took} with {conclusion}{}{}",
                    waited(evidence, *started_at),
                    lost(evidence),
                ),
                "Nothing: the job is over",
            );
            Some(match (conclusion, lost(evidence).is_empty()) {
                ("success" | "skipped" | "neutral", _) => account,
                (_, false) => account.but("See the log's last lines below; re-run the job at GitHub"),
                (_, true) => account.but("The runner did its work: read the job's own log at GitHub"),
            })
        }
    }
}

/// How a runner's task ended during the job, if it did.
fn lost(evidence: &Evidence) -> String {
    let outcome = evidence
        .newest()
        .and_then(|execution| execution.output.as_ref())
        .map(|output| output.outcome);
    match outcome {
        Some(Outcome::LostInJob) => ". Its task was stopped during the job",
        Some(Outcome::WorkerDied) => ". The runner's worker process died during the job",
        Some(Outcome::ExhaustedInJob) => {
            ". Its task ran out of memory: give the runner more, or choose labels of a larger one"
        }
        _ => "",
    }
    .to_owned()
}

fn by_execution(evidence: &Evidence, execution: &ExecutionSeen) -> Account {
    match execution.status {
        Status::Running => running(evidence, execution),
        Status::Failed | Status::TimedOut => failed(evidence, execution),
        Status::Aborted => aborted(evidence, execution),
        Status::Succeeded => succeeded(evidence, execution),
    }
}

fn running(evidence: &Evidence, execution: &ExecutionSeen) -> Account {
    let name = name_of(evidence);
    let Some(course) = evidence.course.found() else {
        return Account::new(
            Situation::Preparing,
            format!(
                "{name} is served by execution {}, whose history cannot be read",
                execution.name
            ),
            "It goes on by itself",
        );
    };
    let for_how_long = since(evidence.at, course.entered_at);
    let attempt = course.runner.as_ref().map_or(1, RunnerName::attempt);
    match course.known_state() {
        Some(State::Runner | State::WarmRunner) => with_task(evidence, course, attempt),
        Some(State::Wait | State::WaitForSlot) => paused(evidence, course),
        Some(State::WaitForGitHub) => {
            let end = pause_end(evidence.at, course);
            Account::new(
                Situation::RateLimited,
                format!(
                    "{name} waits because GitHub's rate limit is used up: this system has asked GitHub as often in this hour as it may"
                ),
                format!("It asks again {end}"),
            )
            .but("If this repeats, find the repository that starts the most jobs (alarm rate-limit); a second GitHub App has a limit of its own")
        }
        Some(State::Cleanup) => Account::new(
            Situation::CleaningUp,
            format!(
                "{name}'s attempt {attempt} has ended{}, and what is left of it is being removed{for_how_long}",
                failure(course)
            ),
            "Then GitHub is asked whether the job is still queued; if it is, the next attempt follows. An outage of GitHub or AWS is waited for, up to an hour",
        ),
        Some(state @ (State::Match | State::Launch | State::Token | State::Start)) => {
            let what = match state {
                State::Match => "chooses the task definition",
                State::Token => "registers the runner at GitHub",
                State::Launch | State::Start => "plans the runner's task",
                _ => "is at work",
            };
            Account::new(
                Situation::Preparing,
                format!("{name}'s execution {what}{for_how_long}{}", failure(course)),
                "That takes a second; a throttled or unavailable AWS or GitHub is asked again by itself",
            )
        }
        // Step Functions takes a moment to close it, and names no error until then.
        Some(State::Unmatched | State::Failed) => {
            let (error, cause) = course.failure.as_ref().map(given_up).unzip();
            let closing = ExecutionSeen {
                error,
                cause,
                ..execution.clone()
            };
            failed(evidence, &closing)
        }
        None => Account::new(
            Situation::Preparing,
            match &course.state {
                Some(state) => format!(
                    "{name}'s execution is in state {state}{for_how_long}, which this version does not know"
                ),
                None => format!("{name}'s execution has just started"),
            },
            "It goes on by itself",
        ),
    }
}

/// The error and the cause with which the execution is about to fail: `cleanup`'s verdict has both.
fn given_up(failure: &StepFailure) -> (String, String) {
    match serde_json::from_str::<GivenUp>(&failure.message) {
        Ok(GivenUp { error, cause }) => (error.name().to_owned(), cause),
        Err(_) => (failure.error.clone(), failure.message.clone()),
    }
}

/// The execution is in `Runner` or `WarmRunner`.
fn with_task(evidence: &Evidence, course: &Course, attempt: u32) -> Account {
    let name = name_of(evidence);
    let since_entered = since(evidence.at, course.entered_at);
    let nth = if attempt > 1 {
        format!(" (attempt {attempt})")
    } else {
        String::new()
    };
    let Some(task) = evidence.task.found() else {
        return Account::new(
            Situation::Starting,
            format!("{name}'s execution has asked ECS for the runner's task{nth}{since_entered}"),
            "If ECS has no capacity, the next attempt follows with another capacity provider and subnet",
        );
    };
    match task.status.as_str() {
        "RUNNING" => listening(evidence, task, &nth),
        "PROVISIONING" | "PENDING" | "ACTIVATING" => {
            let age = since(evidence.at, task.created_at);
            let account = Account::new(
                Situation::Starting,
                format!(
                    "{name}'s runner is starting{nth}: ECS has its task in {}{age}{}",
                    task.status,
                    on(task)
                ),
                "It pulls the image and connects to GitHub, mostly within a minute; the job starts then",
            );
            let old = task
                .created_at
                .is_some_and(|created| evidence.at - created > Duration::minutes(5));
            if old {
                account.but("Check the subnet's route to AWS and the registry, and the size of the image; ECS ends a task that does not start, and another subnet is tried")
            } else {
                account
            }
        }
        _ => {
            let reason = task.stopped_reason.as_deref().unwrap_or("no reason told");
            Account::new(
                Situation::CleaningUp,
                format!("{name}'s task{nth} has stopped: {reason}"),
                "Its end is judged within seconds; if the job is still queued, the next attempt follows",
            )
        }
    }
}

/// The task runs. Whether its runner has the job, only GitHub knows.
fn listening(evidence: &Evidence, task: &TaskSeen, nth: &str) -> Account {
    let name = name_of(evidence);
    let up = since(evidence.at, task.started_at);
    if evidence.github.found().is_none() {
        return Account::new(
            Situation::Running,
            format!(
                "{name}'s task{nth} is up{up}; it runs the job or waits for it. GitHub was not asked: {}",
                why_not(&evidence.github)
            ),
            "The execution ends with the task",
        );
    }
    let account = Account::new(
        Situation::Listening,
        format!(
            "{name} is still queued at GitHub although its runner{nth} is up{up}: the runner is connecting, or GitHub has not given it the job yet"
        ),
        "GitHub mostly assigns within seconds. A runner without a job ends after five minutes, and the next one follows",
    );
    let long = task
        .started_at
        .is_some_and(|started| evidence.at - started > Duration::minutes(2));
    if long {
        account.but("If other jobs are picked up meanwhile, check that the runner group is visible to this repository and workflow (organization settings, Actions, Runner groups); otherwise see githubstatus.com")
    } else {
        account
    }
}

fn paused(evidence: &Evidence, course: &Course) -> Account {
    let name = name_of(evidence);
    let end = pause_end(evidence.at, course);
    match course.pause() {
        Some(Pause::Retry(next)) => {
            let NextAttempt {
                outcome,
                detail,
                attempt,
                ..
            } = *next;
            let why = match outcome.class() {
                OutcomeClass::Capacity => "AWS had no capacity for its runner",
                OutcomeClass::External => {
                    "GitHub, AWS or a registry could not be reached or asked for patience"
                }
                OutcomeClass::Unpicked => "its last runner listened and GitHub gave it no job",
                OutcomeClass::Ran => {
                    "its last runner ran a job, and GitHub shows this one still queued"
                }
                OutcomeClass::Fault => "its last attempt failed",
                OutcomeClass::Permanent => "its last attempt failed for good",
            };
            let account = Account::new(
                Situation::Pausing,
                format!(
                    "{name} waits for attempt {} because {why} ({}: {detail})",
                    attempt.number,
                    outcome.name()
                ),
                format!(
                    "Attempt {} starts {end}, if the job is still queued then",
                    attempt.number
                ),
            );
            match attempt
                .advice()
                .or_else(|| change_for(outcome).map(str::to_owned))
            {
                Some(change) => account.but(change),
                None => account,
            }
        }
        Some(Pause::Deferred { .. }) => Account::new(
            Situation::Pausing,
            format!(
                "{name} waits for a check: another job's runner may take it, or a runner of its own was lost to another job"
            ),
            format!("A runner starts {end}, if the job is still queued then"),
        ),
        Some(Pause::Slot(slot)) => Account::new(
            Situation::Pausing,
            format!("{name} {}", slot.detail),
            format!("It looks again {end}; its place in line is kept"),
        )
        .but("Nothing, if so few are meant to run at once. Otherwise raise maxRunning of the deployment or the runner, or maxRunningPerRepository, and deploy"),
        _ => Account::new(
            Situation::Pausing,
            format!(
                "{name}'s execution pauses before its next attempt{}",
                failure(course)
            ),
            format!("It goes on {end}"),
        ),
    }
}

/// What helps against an outcome that is retried.
const fn change_for(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::NoCapacity => Some(
            "Nothing for a passing shortage. If it lasts, raise the quota Fargate On-Demand vCPU resource count, or add FARGATE to a runner that has only FARGATE_SPOT",
        ),
        Outcome::NoConnection => {
            Some("Check the subnet's route to GitHub and the security group's outbound rules")
        }
        Outcome::ImagePullFailed => Some("Check the subnet's route to the registry, if it lasts"),
        Outcome::ImageMissing => {
            Some("Push the image, or correct its name and tag in the task definition")
        }
        Outcome::OutOfMemory => Some("Give the runner more memory"),
        Outcome::TaskNeverStarted => {
            Some("Check the subnet's route to AWS, and the task's stopped reason")
        }
        Outcome::RegistrationUnavailable => {
            Some("Check the task role: it reads and deletes parameters on the runners' path")
        }
        _ => None,
    }
}

fn failed(evidence: &Evidence, execution: &ExecutionSeen) -> Account {
    let name = name_of(evidence);
    let error = execution
        .error
        .as_deref()
        .unwrap_or(match execution.status {
            Status::TimedOut => "timed out",
            _ => "without an error's name",
        });
    let cause = execution.cause.as_deref().unwrap_or("no cause was told");
    let when = since(evidence.at, execution.ended_at).replacen(" for ", " ", 1);
    let ago = if when.is_empty() {
        String::new()
    } else {
        format!("{when} ago")
    };
    let failure = Failure::from_name(error);
    let next = match failure {
        Failure::Named(GiveUp::BudgetSpent) => {
            "If the job is still queued, one more execution follows within five minutes, up to the third"
        }
        Failure::Named(GiveUp::NeverPickedUp) => {
            "It is restarted once a runner of this deployment has had a job, if it is still queued"
        }
        Failure::Named(GiveUp::Fault(fault)) if fault.class() == Class::Transient => {
            "It is restarted by itself while the job is queued"
        }
        Failure::LambdaService | Failure::Unknown => {
            "It is restarted by itself if the job is still queued"
        }
        Failure::Named(_) | Failure::Permissions => {
            "Nothing until that is changed: this error is not retried"
        }
    };
    let again = format!(
        "then `fargate-runners redeliver {}`, or re-run the job at GitHub",
        evidence.job.id
    );
    let account = Account::new(
        Situation::GivenUp,
        format!("{name} was given up{ago} with {error}: {cause}"),
        next,
    );
    match change_for_failure(failure) {
        Some(change) => account.but(format!("{change}; {again}")),
        None => account,
    }
}

/// What to change after a failure; the cause quotes the details.
const fn change_for_failure(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::Named(reason) => Some(match reason {
            GiveUp::Fault(fault) => match fault {
                Fault::Unmatched => {
                    "Change the job's runs-on, or add the labels to a runner (tag GH:labels)"
                }
                Fault::SizeRefused => {
                    "Ask for the size that the cause names, or raise the runner's limit (tags GH:max-cpu, GH:max-memory, GH:max-disk)"
                }
                Fault::ContainerMissing => "Name the task definition's container `runner`",
                Fault::SecretMissing | Fault::AppKeyInvalid => {
                    "Write the App's id and key anew (`fargate-runners setup --app-id ID --private-key FILE`)"
                }
                Fault::AppNotInstalled => "Install the App on the repository",
                Fault::GitHubRefused => {
                    "Grant the App the permission that the cause names, and allow self-hosted runners"
                }
                Fault::RunnerGroupMissing => {
                    "Create the runner group, or change runnerGroup to one that exists"
                }
                Fault::NotAdmitted => {
                    "Allow such repositories or forks in the deployment's configuration, if they shall be served"
                }
                Fault::BadConfiguration | Fault::BadInput | Fault::AwsRefused => {
                    "Correct the setting or permission that the cause names, and deploy"
                }
                Fault::Throttled
                | Fault::AwsUnavailable
                | Fault::GitHubRateLimited
                | Fault::GitHubUnavailable
                | Fault::Deferred
                | Fault::NoFreeSlot
                | Fault::JobNotQueued
                | Fault::StillQueued
                | Fault::GaveUp => return None,
            },
            GiveUp::NeverPickedUp => {
                "Check that the runner group is visible to the repository, and githubstatus.com"
            }
            GiveUp::BudgetSpent => "Mend what the cause quotes",
            GiveUp::QueueLimit => "Mend what the cause quotes: the job's day in the queue is over",
            GiveUp::JobCancelled => return None,
            GiveUp::RunnerTooOld => "Rebuild the image with a current actions/runner",
            GiveUp::ImageRefused => "Correct the image's name, architecture or permissions",
            GiveUp::Misconfigured => "Correct the image or the task's environment",
            GiveUp::TaskRefused => {
                "Correct the network, role or capacity provider that the cause names"
            }
            GiveUp::StepRefused => "Correct what the cause names, and deploy",
        }),
        Failure::Permissions => {
            Some("Give the state machine's role the permission that the cause names")
        }
        Failure::LambdaService | Failure::Unknown => None,
    }
}

fn aborted(evidence: &Evidence, execution: &ExecutionSeen) -> Account {
    let name = name_of(evidence);
    if execution.error.as_deref() == Some(GiveUp::JobCancelled.name()) {
        return Account::new(
            Situation::Cancelled,
            format!(
                "{name} left GitHub's queue while its execution waited for the next attempt, so the execution was stopped"
            ),
            "Nothing. Re-run the job at GitHub if it is still wanted",
        );
    }
    Account::new(
        Situation::Aborted,
        format!(
            "{name}'s execution {} was aborted by somebody",
            execution.name
        ),
        "Nothing: an abort is deliberate, so the job is not restarted",
    )
    .but(format!(
        "If the job shall run: `fargate-runners redeliver {}`, or re-run it at GitHub",
        evidence.job.id
    ))
}

fn succeeded(evidence: &Evidence, execution: &ExecutionSeen) -> Account {
    let name = name_of(evidence);
    let outcome = execution.output.as_ref().map(|output| {
        let served = output
            .served_by
            .as_deref()
            .map_or_else(String::new, |by| format!(", served by {by}"));
        let job = output.job.as_deref().unwrap_or("not asked");
        format!(
            " (outcome {}; the job was then: {job}{served})",
            output.outcome.name()
        )
    });
    let outcome = outcome.unwrap_or_default();
    match &evidence.github {
        Seen::Found(_) => Account::new(
            Situation::EndedEarly,
            format!(
                "{name} is queued at GitHub, but its execution {} has ended{outcome}. A job that was held back and queued again looks like this for a moment",
                execution.name
            ),
            "The five-minute sweep finds such jobs and starts another execution",
        )
        .but(format!(
            "If it is still so after five minutes: `fargate-runners redeliver {}`",
            evidence.job.id
        )),
        github => Account::new(
            Situation::Ended,
            format!(
                "{name}'s execution {} has ended{outcome}. GitHub was not asked: {}",
                execution.name,
                why_not(github)
            ),
            "Nothing, as far as this system knows",
        ),
    }
}

fn without_execution(evidence: &Evidence) -> Account {
    if let Some(account) = by_webhook(evidence) {
        return account;
    }
    if let Some(refused) = evidence.refused.found() {
        return refusal(evidence, refused);
    }
    if let Some(deliveries) = evidence.deliveries.found() {
        let name = name_of(evidence);
        let failed = deliveries
            .iter()
            .rev()
            .find(|one| !(200..300).contains(&one.status));
        if let Some(failed) = failed {
            return Account::new(
                Situation::DeliveryFailed,
                format!(
                    "no execution was started for {name}, and the webhook of a job that was queued then failed{}: GitHub was answered {}",
                    at(evidence.at, failed.at),
                    status_told(failed.status)
                ),
                "The next sweep asks GitHub to deliver it again, then after 10 and 30 minutes, one hour and four hours",
            )
            .but(match failed.status {
                423 => "The deployment is paused: `fargate-runners resume`".to_owned(),
                401 => "The webhook secret differs from the one in Parameter Store: `fargate-runners setup --rotate-webhook-secret`".to_owned(),
                _ => format!("To try at once: `fargate-runners redeliver {}`", evidence.job.id),
            });
        }
    }
    let name = name_of(evidence);
    if !evidence.knows_the_job() && evidence.github.is_nothing() {
        return unknown(evidence);
    }
    if evidence.github.found().is_some() {
        return Account::new(
            Situation::NoWebhook,
            format!("{name} is queued at GitHub, and no webhook for it has arrived here, so nothing was started"),
            "GitHub's webhooks are late now and then, by half an hour at worst; with reconcileCalls the sweep finds such jobs itself",
        )
        .but("Check that the App is subscribed to Workflow job and its webhook is active (App settings), and githubstatus.com; then re-run the job");
    }
    unknown(evidence)
}

fn unknown(evidence: &Evidence) -> Account {
    let looked = match &evidence.github {
        Seen::Nothing => "and GitHub shows no such job to the App".to_owned(),
        github => format!("and GitHub was not asked: {}", why_not(github)),
    };
    Account::new(
        Situation::Unknown,
        format!(
            "nothing is known of job {}: stack {} has no execution and no webhook of it, {looked}",
            evidence.job.id, evidence.stack
        ),
        "Nothing",
    )
    .but("Give the job's whole address, or choose another deployment with --stack, --region or --profile")
}

/// What `verify` answered last to a webhook that started nothing.
fn by_webhook(evidence: &Evidence) -> Option<Account> {
    let name = name_of(evidence);
    let last = evidence.webhooks.found()?.last()?;
    let when = at(evidence.at, last.at);
    Some(match &last.answer {
        Answer::Ignored(reason) => match evidence.refused.found() {
            Some(refused) => refusal(evidence, refused),
            None if reason.contains("no action depends") => return None,
            None => Account::new(
                Situation::NotServed,
                format!("{name} is not served here: when its webhook came{when}, {reason}"),
                "Nothing, until the job or the configuration changes",
            )
            .but(again(evidence, "If today's configuration serves it")),
        },
        Answer::Kept => Account::new(
            Situation::Overflow,
            format!(
                "{name} waits in the overflow queue{when}: Step Functions throttled, as in a burst of jobs"
            ),
            "The queue starts its execution within seconds of the burst's end",
        ),
        Answer::Paused => Account::new(
            Situation::Paused,
            format!("{name} stays queued at GitHub: its webhook came{when} while the deployment was paused"),
            "After the pause, the next sweep has GitHub deliver the webhook again",
        )
        .but("To take jobs again: `fargate-runners resume`".to_owned()),
        Answer::Error(error) => Account::new(
            Situation::WebhookFailed,
            format!("{name}'s webhook was not taken{when}: {error}"),
            "The next sweep asks GitHub to deliver it again, unless GitHub's signature was wrong",
        )
        .but(again(evidence, "Mend what the error says")),
        Answer::Started | Answer::Running | Answer::Enough => Account::new(
            Situation::Preparing,
            format!(
                "{name}'s webhook was taken{when} and an execution named, which Step Functions does not show"
            ),
            "Descriptions of new executions appear within a second; executions that ended are kept for 90 days",
        ),
        Answer::HandedOn | Answer::Other(_) => return None,
    })
}

fn refusal(evidence: &Evidence, refused: &Refused) -> Account {
    let name = name_of(evidence);
    let reason = &refused.reason;
    let account = |situation| {
        Account::new(
            situation,
            format!("{name} is not served by this deployment: {reason}"),
            "Nothing, until the job or the configuration changes",
        )
    };
    match refused.kind {
        RefusedKind::GitHubsRunners => Account::new(
            Situation::GitHubsRunners,
            format!("{name} asks for a runner of GitHub's own, not of this deployment: {reason}"),
            "GitHub runs it",
        ),
        RefusedKind::Labels => account(Situation::NotServed).but(again(
            evidence,
            "Add the missing label to the job's runs-on, or change requiredLabels",
        )),
        RefusedKind::Owner => {
            account(Situation::NotServed).but(again(evidence, "Add the owner to allowedOwners and deploy"))
        }
        RefusedKind::Repository => account(Situation::NotServed)
            .but(again(evidence, "Add the repository to allowedRepositories and deploy")),
        RefusedKind::Visibility => account(Situation::NotServed).but(again(
            evidence,
            "Make the repository private, or set allowPublicRepositories or allowInternalRepositories, after reading SECURITY.md",
        )),
        RefusedKind::NotInstalled => Account::new(
            Situation::NotServed,
            format!("{name} sends no webhook here: {reason}"),
            "Nothing, until the App is installed there",
        )
        .but(again(evidence, "Install the App on the repository")),
        RefusedKind::Fork => {
            account(Situation::NotServed).but(again(evidence, "Set allowForks, after reading SECURITY.md"))
        }
    }
}

fn again(evidence: &Evidence, first: &str) -> String {
    format!(
        "{first}; then `fargate-runners redeliver {}`, or re-run the job at GitHub",
        evidence.job.id
    )
}

/// The job in a sentence: its name where it is known.
fn name_of(evidence: &Evidence) -> String {
    let job = &evidence.job;
    match (&job.name, &job.repository) {
        (Some(name), Some(repository)) if !name.is_empty() => {
            format!("Job {} ({name}) of {repository}", job.id)
        }
        (_, Some(repository)) => format!("Job {} of {repository}", job.id),
        _ => format!("Job {}", job.id),
    }
}

fn failure(course: &Course) -> String {
    course.failure.as_ref().map_or_else(String::new, |failure| {
        let message: String = failure.message.chars().take(300).collect();
        format!(" ({}: {message})", failure.error)
    })
}

fn on(task: &TaskSeen) -> String {
    let capacity = task.capacity.as_ref();
    capacity.map_or_else(String::new, |capacity| format!(" on {capacity}"))
}

fn why_not<T>(seen: &Seen<T>) -> &str {
    match seen {
        Seen::Unknown(why) => why,
        Seen::Nothing => "it does not show the job to the App",
        Seen::Found(_) => "",
    }
}

fn status_told(status: u16) -> String {
    match status {
        0 => "nothing in time".to_owned(),
        status => status.to_string(),
    }
}

/// When a pause ends.
fn pause_end(now: OffsetDateTime, course: &Course) -> String {
    let end = course
        .pause()
        .zip(course.entered_at)
        .and_then(|(pause, entered)| {
            // GitHub asks for an hour at most, a back-off is shorter.
            entered.checked_add(Duration::seconds(i64::try_from(pause.seconds()).ok()?))
        });
    match end {
        Some(end) if end > now => format!("in {}", span(end - now)),
        Some(_) => "now".to_owned(),
        None => "by itself".to_owned(),
    }
}

/// ` for 5 min`, if the start is known.
fn since(now: OffsetDateTime, start: Option<OffsetDateTime>) -> String {
    start.map_or_else(String::new, |start| format!(" for {}", span(now - start)))
}

/// ` 5 min ago`.
fn at(now: OffsetDateTime, when: OffsetDateTime) -> String {
    format!(" {} ago", span(now - when))
}

/// How long the job was queued before a runner took it.
fn waited(evidence: &Evidence, started: Option<OffsetDateTime>) -> String {
    match (evidence.job.queued_at, started) {
        (Some(queued), Some(started)) if started >= queued => {
            format!(". It had waited {}", span(started - queued))
        }
        _ => String::new(),
    }
}

/// A duration in at most two units. Clocks differ, so a negative one counts as none.
pub fn span(duration: Duration) -> String {
    let seconds = duration.whole_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, lesser: &str| {
        if small == 0 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {small} {lesser}")
        }
    };
    match seconds {
        0..120 => format!("{seconds} s"),
        120..3_600 => format!("{minutes} min"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// GitHub's status, for a fact.
pub(super) fn github_told(status: &JobStatus) -> String {
    told(status)
}

#[cfg(test)]
mod tests;
