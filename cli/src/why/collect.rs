//! Collects the evidence, within a bound: at most 15 calls at AWS and 4 at GitHub, retries of AWS's
//! SDK aside.

use admission::{About, Policy};
use decisions::JobStatus;
use futures_util::future;
use github::{Access, Deliveries, Delivery, Error as GitHubError, GitHub, ListedJob};
use protocol::{Job, Order, OwnerType, Repository, RunnerName};
use runtime::settings::Settings;
use time::{Duration, OffsetDateTime};

use super::evidence::{
    Answer, DeliverySeen, Evidence, ExecutionSeen, Host, Refused, RefusedKind, Seen,
};
use super::log::kind_of;
use super::reasons::lateness;
use super::setbacks::{self, Setback};
use crate::cloud::{Cloud, Past};
use crate::deployment::Deployment;
use crate::find::Found;
use crate::job::JobRef;

/// Calls at AWS for one explanation, the one that found the stack among them.
pub const AWS_CALLS: u32 = 15;
/// Requests at GitHub: the installation, a token, the job, the deliveries.
pub const GITHUB_CALLS: u32 = 4;

/// Calls for an execution's history, at most.
const FOR_A_PAST: u32 = 2;
/// Calls for the tasks, and for the log of the newest.
const FOR_THE_TASK: u32 = 2;
const NO_TASK: &str = "no task";

/// Lines of the task's log.
const LINES: i32 = 8;
/// Deliveries from so long before and after the job's creation may be the job's.
const BEFORE: Duration = Duration::minutes(1);
const AFTER: Duration = Duration::minutes(30);

/// Collects everything about a job.
pub async fn collect(
    cloud: &Cloud,
    deployment: &Deployment,
    github: &GitHub,
    asked: &JobRef,
    now: OffsetDateTime,
) -> Evidence {
    let mut evidence = Evidence::new(now, deployment.id.clone(), &deployment.stack, asked.id);
    let (settings, found) = future::join(
        cloud.settings(&deployment.verify),
        Found::look(cloud, deployment, asked, now),
    )
    .await;
    let order = found.order.clone();
    take(&mut evidence, found);
    let installation = order.as_ref().and_then(|order| order.job.installation_id);
    let repository = evidence.job.repository.clone();
    let ((past, task, said), at_github) = future::join(
        about_the_task(cloud, deployment, &evidence.executions),
        ask_github(cloud, github, repository.as_ref(), asked, installation),
    )
    .await;
    (evidence.course, evidence.setbacks) = past;
    (evidence.task, evidence.said) = (task, said);
    let listed = match at_github {
        AtGitHub::Found(listed) => {
            evidence.github = Seen::Found(listed.state.clone());
            Some(*listed)
        }
        AtGitHub::Nothing => {
            evidence.github = Seen::Nothing;
            None
        }
        AtGitHub::Unknown(why) => {
            evidence.github = Seen::Unknown(why);
            None
        }
        AtGitHub::NotInstalled(reason) => {
            evidence.github = Seen::unknown(reason.clone());
            if evidence.newest().is_none() {
                evidence.refused = Seen::Found(Refused {
                    kind: RefusedKind::NotInstalled,
                    reason,
                });
            }
            None
        }
    };
    if let Some(listed) = &listed {
        let job = &mut evidence.job;
        job.name.get_or_insert_with(|| listed.name.clone());
        job.labels.get_or_insert_with(|| listed.labels.clone());
        job.queued_at = job.queued_at.or(listed.created_at);
    }
    if evidence.newest().is_none() && evidence.refused.found().is_none() {
        evidence.refused = refused(&evidence, &settings, listed.as_ref());
        if evidence.webhooks.is_nothing()
            && evidence.refused.found().is_none()
            && let Some(created) = listed.as_ref().and_then(|job| job.created_at)
        {
            evidence.deliveries = deliveries(github, created).await;
        }
    } else if lateness(&evidence).is_some() && listed.is_some() {
        evidence.deliveries = failed_deliveries(github, &evidence).await;
    }
    if let Some(runner) = hosted_by(&evidence) {
        evidence.host = host(cloud, deployment, &runner).await;
    }
    evidence
}

/// The runner that ran the job, if it was started for another job and the job did not end well.
fn hosted_by(evidence: &Evidence) -> Option<RunnerName> {
    let JobStatus::Completed {
        conclusion,
        runner: Some(runner),
        ..
    } = evidence.github.found()?
    else {
        return None;
    };
    let runner: RunnerName = runner.parse().ok()?;
    let is_ours = *runner.deployment() == evidence.deployment;
    let is_its_own = runner.execution().job() == evidence.job.id;
    (conclusion.as_deref() != Some("success") && is_ours && !is_its_own).then_some(runner)
}

/// What became of another job's execution.
async fn host(cloud: &Cloud, deployment: &Deployment, runner: &RunnerName) -> Seen<Host> {
    let execution = match cloud.execution(runner.execution()).await {
        Seen::Found(execution) => execution,
        Seen::Nothing => return Seen::Nothing,
        Seen::Unknown(why) => return Seen::Unknown(why),
    };
    let setbacks = match cloud.past(runner.execution()).await {
        Seen::Found(past) => {
            let Past {
                mut setbacks,
                untold,
                ..
            } = past;
            let untold: Vec<_> = untold
                .into_iter()
                .filter(|one| one.runner == *runner)
                .collect();
            let arns: Vec<_> = untold.iter().map(|one| one.task.clone()).collect();
            if let Seen::Found(tasks) = cloud.tasks_of_job(&deployment.cluster, &arns).await {
                setbacks::complete(&mut setbacks, &untold, &tasks);
            }
            setbacks
        }
        _ => Vec::new(),
    };
    Seen::Found(Host {
        execution,
        setbacks,
    })
}

/// Takes what was found at AWS.
fn take(evidence: &mut Evidence, found: Found) {
    evidence.webhooks = match found.lines {
        Seen::Found(lines) => Seen::Found(lines.into_iter().map(|line| line.webhook).collect()),
        Seen::Nothing => Seen::Nothing,
        Seen::Unknown(why) => Seen::Unknown(why),
    };
    evidence.executions = found.executions;
    let job = &mut evidence.job;
    job.repository = found.repository;
    if let Some(Order { job: ordered, .. }) = found.order {
        job.name = Some(ordered.name);
        job.labels = Some(ordered.labels);
        job.queued_at = Some(ordered.queued_at);
    }
}

/// The newest execution's course and all executions' setbacks, its task and what that said.
async fn about_the_task(
    cloud: &Cloud,
    deployment: &Deployment,
    executions: &Seen<Vec<ExecutionSeen>>,
) -> (
    (Seen<super::Course>, Seen<Vec<Setback>>),
    Seen<super::TaskSeen>,
    Seen<Vec<String>>,
) {
    let nothing = || "there is no execution";
    let all = executions.found().map_or(&[][..], Vec::as_slice);
    let Some((newest, earlier)) = all.split_last() else {
        let past = (Seen::unknown(nothing()), Seen::unknown(nothing()));
        return (past, Seen::unknown(NO_TASK), Seen::unknown(NO_TASK));
    };
    let (course, latest, mut untold) = match cloud.past(&newest.name).await {
        Seen::Found(past) => (
            Seen::Found(past.course),
            Seen::Found(past.setbacks),
            past.untold,
        ),
        Seen::Nothing => (Seen::Nothing, Seen::Nothing, Vec::new()),
        Seen::Unknown(why) => (Seen::Unknown(why.clone()), Seen::Unknown(why), Vec::new()),
    };
    // An execution that ended well names its task in its output.
    let (course, arn) = if let Some(output) = &newest.output {
        (
            Seen::unknown("the execution has ended"),
            output.task.clone(),
        )
    } else {
        let arn = course.found().and_then(|course| course.task.clone());
        (course, arn)
    };
    let mut before = Vec::new();
    for execution in earlier {
        if cloud.calls.left() < FOR_A_PAST + FOR_THE_TASK {
            break;
        }
        if let Seen::Found(past) = cloud.past(&execution.name).await {
            before.extend(past.setbacks);
            untold.extend(past.untold);
        }
    }
    let others = untold.iter().map(|one| one.task.clone());
    let others = others.filter(|task| Some(task) != arn.as_ref());
    let arns: Vec<_> = arn.iter().cloned().chain(others).collect();
    let (tasks, said) = future::join(cloud.tasks_of_job(&deployment.cluster, &arns), async {
        match &arn {
            Some(arn) => cloud.last_lines(&deployment.task_logs, arn, LINES).await,
            None => Seen::unknown(NO_TASK),
        }
    })
    .await;
    let mut setbacks = match latest {
        Seen::Found(latest) => Seen::Found(before.into_iter().chain(latest).collect()),
        _ if !before.is_empty() => Seen::Found(before),
        latest => latest,
    };
    if let (Seen::Found(setbacks), Seen::Found(tasks)) = (&mut setbacks, &tasks) {
        setbacks::complete(setbacks, &untold, tasks);
    }
    let task = match (arn, tasks) {
        (None, _) => Seen::unknown(NO_TASK),
        (Some(arn), Seen::Found(tasks)) => {
            let its_own = tasks.into_iter().find(|task| task.arn == arn);
            its_own.map_or(Seen::Nothing, Seen::Found)
        }
        (Some(_), Seen::Nothing) => Seen::Nothing,
        (Some(_), Seen::Unknown(why)) => Seen::Unknown(why),
    };
    ((course, setbacks), task, said)
}

enum AtGitHub {
    Found(Box<ListedJob>),
    Nothing,
    NotInstalled(String),
    Unknown(String),
}

async fn ask_github(
    cloud: &Cloud,
    github: &GitHub,
    repository: Option<&Repository>,
    asked: &JobRef,
    installation: Option<u64>,
) -> AtGitHub {
    let Some(repository) = repository else {
        return AtGitHub::Unknown("the job's repository is not known; give its address".to_owned());
    };
    // The App's secrets are one call at Parameter Store.
    if !cloud.calls.take() {
        return AtGitHub::Unknown("the command's bound on calls is reached".to_owned());
    }
    github.allow(GITHUB_CALLS);
    let access = Access::jobs(repository);
    let looked = async {
        let installation = github.serving(repository, installation, &access).await?;
        installation.look_at_job(repository, asked.id).await
    };
    match looked.await {
        Ok(Some(listed)) => AtGitHub::Found(Box::new(listed)),
        Ok(None) => AtGitHub::Nothing,
        Err(error @ GitHubError::AppNotInstalled { .. }) => {
            AtGitHub::NotInstalled(error.to_string())
        }
        Err(GitHubError::Source(error)) => AtGitHub::Unknown(format!(
            "the App's secrets cannot be read with these credentials ({error})"
        )),
        Err(error) => AtGitHub::Unknown(error.to_string()),
    }
}

/// What today's policy says about a job without an execution.
fn refused(
    evidence: &Evidence,
    settings: &Seen<Settings>,
    listed: Option<&ListedJob>,
) -> Seen<Refused> {
    let said = evidence.webhooks.found().and_then(|webhooks| {
        let last = webhooks.last()?;
        match &last.answer {
            Answer::Ignored(reason) => Some((kind_of(reason)?, reason.clone())),
            _ => None,
        }
    });
    let by_policy = settings.found().and_then(|settings| {
        let policy = Policy::from_settings(settings).ok()?;
        let job = job_of(evidence, listed)?;
        let refusal = policy.admit(&job, &About::default()).err()?;
        let kind = if refusal.is_for_githubs_runners() {
            RefusedKind::GitHubsRunners
        } else {
            kind_of(&refusal.to_string())?
        };
        Some((kind, refusal.to_string()))
    });
    match by_policy.or(said) {
        Some((kind, reason)) => Seen::Found(Refused { kind, reason }),
        None if listed.is_none() => Seen::unknown("the job's labels are not known"),
        None => Seen::Nothing,
    }
}

/// The job as the policy judges it. Whether its repository is private is not known here; the answer to
/// its webhook tells.
fn job_of(evidence: &Evidence, listed: Option<&ListedJob>) -> Option<Job> {
    let listed = listed?;
    Some(Job {
        id: listed.id,
        run_id: listed.run_id,
        run_attempt: listed.run_attempt,
        name: listed.name.clone(),
        workflow: listed.workflow.clone(),
        repository: evidence.job.repository.clone()?,
        owner_type: OwnerType::Organization,
        private: true,
        labels: listed.labels.clone(),
        installation_id: None,
        queued_at: listed.created_at.unwrap_or(evidence.at),
        created_at: listed.created_at,
    })
}

/// The deliveries of `queued` events about when the job was created.
async fn deliveries(github: &GitHub, created: OffsetDateTime) -> Seen<Vec<DeliverySeen>> {
    let around = |at: OffsetDateTime| at >= created - BEFORE && at <= created + AFTER;
    seen(github.deliveries(None).await, |one| {
        around(one.delivered_at)
    })
}

/// The failed deliveries of the job's own webhooks, which `verify` logged when they arrived.
async fn failed_deliveries(github: &GitHub, evidence: &Evidence) -> Seen<Vec<DeliverySeen>> {
    let webhooks = evidence.webhooks.found();
    let of_the_job = |guid: &str| {
        let mut webhooks = webhooks.into_iter().flatten();
        webhooks.any(|webhook| webhook.delivery.as_deref() == Some(guid))
    };
    seen(github.failed_deliveries().await, |one| {
        of_the_job(&one.guid)
    })
}

/// The wanted ones of these deliveries that say that a job is queued, oldest first.
fn seen(
    page: Result<Deliveries, GitHubError>,
    wanted: impl Fn(&Delivery) -> bool,
) -> Seen<Vec<DeliverySeen>> {
    let page = match page {
        Ok(page) => page,
        Err(error) => return Seen::unknown(error.to_string()),
    };
    let mut found: Vec<_> = page
        .deliveries
        .into_iter()
        .filter(|one| one.event == "workflow_job" && one.action.as_deref() == Some("queued"))
        .filter(wanted)
        .map(|one| DeliverySeen {
            id: one.id,
            guid: one.guid,
            at: one.delivered_at,
            status: one.status_code,
        })
        .collect();
    found.sort_by_key(|one| one.at);
    if found.is_empty() {
        Seen::Nothing
    } else {
        Seen::Found(found)
    }
}
