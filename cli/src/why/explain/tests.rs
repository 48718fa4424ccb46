use std::collections::BTreeSet;

use decisions::{Attempt, ExecutionOutput, SlotAwaited};
use proptest::prelude::*;
use proptest::sample::select;
use protocol::{JobId, LabelSet};
use time::macros::datetime;

use super::super::evidence::{DeliverySeen, WebhookSeen};
use super::super::setbacks::Setback;
use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

fn ago(minutes: i64) -> OffsetDateTime {
    NOW - Duration::minutes(minutes)
}

/// A queued job of octo/hello, about which nothing else is known.
fn job() -> Evidence {
    let mut evidence = Evidence::new(NOW, "fr".parse().unwrap(), "fargate-runners", JobId(7));
    evidence.job.repository = Some("octo/hello".parse().unwrap());
    evidence.job.name = Some("build".to_owned());
    evidence.job.labels = Some(LabelSet::parse("self-hosted linux"));
    evidence.job.queued_at = Some(ago(10));
    evidence.github = Seen::Found(JobStatus::Queued);
    evidence.webhooks = Seen::Nothing;
    evidence.executions = Seen::Nothing;
    evidence.refused = Seen::Nothing;
    evidence.deliveries = Seen::Nothing;
    evidence
}

fn execution(status: Status) -> ExecutionSeen {
    ExecutionSeen {
        name: "hello-7".parse().unwrap(),
        status,
        started_at: Some(ago(10)),
        ended_at: (status != Status::Running).then(|| ago(3)),
        error: None,
        cause: None,
        output: None,
        input: String::new(),
    }
}

fn served_by(execution: ExecutionSeen) -> Evidence {
    Evidence {
        executions: Seen::Found(vec![execution]),
        ..job()
    }
}

fn in_state(state: &str, failure: Option<(&str, &str)>) -> Evidence {
    Evidence {
        course: Seen::Found(Course {
            state: Some(state.to_owned()),
            entered_at: Some(ago(1)),
            runner: Some("fr-hello-7-a2".parse().unwrap()),
            task: Some("arn:task/1".to_owned()),
            slot: (state == "WaitForSlot").then(|| SlotAwaited {
                detail: "waits for a slot of octo/hello: at most 2 at once, place 3 of 9 in line"
                    .to_owned(),
                place: Some(3),
                wait_seconds: 75,
            }),
            failure: failure.map(|(error, message)| StepFailure {
                error: error.to_owned(),
                message: message.to_owned(),
            }),
        }),
        ..served_by(execution(Status::Running))
    }
}

fn with_task_in(status: &str, minutes: i64) -> Evidence {
    Evidence {
        task: Seen::Found(TaskSeen {
            arn: "arn:task/1".to_owned(),
            status: status.to_owned(),
            created_at: Some(ago(minutes)),
            started_at: (status == "RUNNING").then(|| ago(minutes)),
            stopped_at: None,
            capacity: Some("FARGATE_SPOT".to_owned()),
            stop_code: None,
            stopped_reason: (status == "STOPPED").then(|| "Spot interruption".to_owned()),
            exit_code: None,
            reason: None,
        }),
        ..in_state("Runner", None)
    }
}

fn at_github(status: JobStatus) -> Evidence {
    Evidence {
        github: Seen::Found(status),
        ..job()
    }
}

fn completed(conclusion: &str, runner: Option<&str>) -> JobStatus {
    JobStatus::Completed {
        conclusion: Some(conclusion.to_owned()),
        runner: runner.map(str::to_owned),
        started_at: Some(ago(9)),
        completed_at: Some(ago(2)),
    }
}

fn retry(outcome: Outcome, unpicked: u32) -> String {
    serde_json::to_string(&NextAttempt {
        outcome,
        detail: "its detail".to_owned(),
        wait_seconds: 90,
        attempt: Attempt {
            number: 3,
            unpicked,
            ..Attempt::first()
        },
    })
    .unwrap()
}

fn failed_with(error: &str) -> Evidence {
    served_by(ExecutionSeen {
        error: Some(error.to_owned()),
        cause: Some("the cause".to_owned()),
        ..execution(Status::Failed)
    })
}

fn answered(answer: Answer) -> Evidence {
    Evidence {
        webhooks: Seen::Found(vec![WebhookSeen {
            at: ago(10),
            delivery: Some("guid".to_owned()),
            status: 202,
            answer,
        }]),
        ..job()
    }
}

fn not_admitted(kind: RefusedKind) -> Evidence {
    Evidence {
        refused: Seen::Found(Refused {
            kind,
            reason: "the reason".to_owned(),
        }),
        ..job()
    }
}

fn delivered(status: u16) -> Evidence {
    Evidence {
        deliveries: Seen::Found(vec![DeliverySeen {
            id: 1,
            guid: "guid".to_owned(),
            at: ago(10),
            status,
        }]),
        ..job()
    }
}

fn ended(outcome: Outcome) -> ExecutionSeen {
    ExecutionSeen {
        output: Some(ExecutionOutput {
            outcome,
            detail: "its detail".to_owned(),
            job: None,
            served_by: None,
            runner: None,
            task: None,
            log: None,
        }),
        ..execution(Status::Succeeded)
    }
}

/// Evidence, its situation, and what the summary, the next step and the change say.
type Row = (
    Evidence,
    Situation,
    &'static str,
    &'static str,
    &'static str,
);

fn table() -> Vec<Row> {
    use Situation as S;
    let unasked = |evidence: Evidence| Evidence {
        github: Seen::unknown("no secrets"),
        ..evidence
    };
    let running = |runner: &str| {
        at_github(JobStatus::InProgress {
            runner: Some(runner.to_owned()),
            started_at: Some(ago(4)),
        })
    };
    let exhausted = Evidence {
        executions: Seen::Found(vec![ended(Outcome::ExhaustedInJob)]),
        ..at_github(completed("failure", Some("fr-hello-7")))
    };
    let mut rows = vec![
        // GitHub's status comes first.
        (
            at_github(completed("success", Some("fr-hello-7"))),
            S::Completed,
            "ended after 7 min with success. It had waited 60 s",
            "the job is over",
            "",
        ),
        (
            at_github(completed("failure", Some("fr-hello-7"))),
            S::Completed,
            "with failure",
            "over",
            "the job's own log",
        ),
        (
            at_github(completed("success", Some("bigbox"))),
            S::Completed,
            "not a runner of this deployment",
            "",
            "",
        ),
        (exhausted, S::Completed, "ran out of memory", "", "re-run"),
        (
            at_github(completed("cancelled", None)),
            S::Cancelled,
            "without a runner: cancelled",
            "",
            "",
        ),
        (
            running("fr-hello-7"),
            S::Running,
            "running for 4 min on fr-hello-7, its own runner",
            "",
            "",
        ),
        (
            running("fr-hello-8"),
            S::Running,
            "started for job 8",
            "",
            "",
        ),
        (
            running("bigbox"),
            S::Running,
            "not of this deployment",
            "",
            "",
        ),
        (
            at_github(JobStatus::Waiting),
            S::HeldBack,
            "approval",
            "queues it",
            "Approve",
        ),
        // Then the execution.
        (
            in_state("Match", None),
            S::Preparing,
            "chooses the task definition for 60 s",
            "",
            "",
        ),
        (
            in_state("Token", Some(("GitHubUnavailable", "503"))),
            S::Preparing,
            "registers the runner at GitHub for 60 s (GitHubUnavailable: 503)",
            "",
            "",
        ),
        (
            in_state("Dreaming", None),
            S::Preparing,
            "state Dreaming",
            "",
            "",
        ),
        (
            in_state("Runner", None),
            S::Starting,
            "asked ECS",
            "capacity provider",
            "",
        ),
        (
            with_task_in("PENDING", 1),
            S::Starting,
            "in PENDING for 60 s on FARGATE_SPOT",
            "within a minute",
            "",
        ),
        (
            with_task_in("PROVISIONING", 9),
            S::Starting,
            "in PROVISIONING for 9 min",
            "",
            "subnet",
        ),
        (
            with_task_in("RUNNING", 1),
            S::Listening,
            "up for 60 s",
            "five minutes",
            "",
        ),
        (
            with_task_in("RUNNING", 4),
            S::Listening,
            "still queued",
            "",
            "runner group",
        ),
        (
            unasked(with_task_in("RUNNING", 4)),
            S::Running,
            "GitHub was not asked: no secrets",
            "",
            "",
        ),
        (
            with_task_in("STOPPED", 4),
            S::CleaningUp,
            "Spot interruption",
            "judged",
            "",
        ),
        (
            in_state("Cleanup", Some(("States.TaskFailed", "x"))),
            S::CleaningUp,
            "attempt 2 has ended (States.TaskFailed: x)",
            "",
            "",
        ),
        (
            in_state("WaitForGitHub", Some(("GitHubRateLimited", "600"))),
            S::RateLimited,
            "rate limit",
            "in 9 min",
            "rate-limit",
        ),
        (
            in_state("Wait", Some(("Deferred", "75"))),
            S::Pausing,
            "another job's runner",
            "in 15 s",
            "",
        ),
        (
            in_state("WaitForSlot", None),
            S::Pausing,
            "waits for a slot of octo/hello: at most 2 at once, place 3 of 9 in line",
            "looks again in 15 s",
            "maxRunning",
        ),
        (
            in_state("Wait", None),
            S::Pausing,
            "pauses",
            "by itself",
            "",
        ),
        // It fails, and Step Functions has not closed it yet.
        (
            in_state("Unmatched", Some(("Unmatched", "no offer"))),
            S::GivenUp,
            "with Unmatched: no offer",
            "",
            "runs-on",
        ),
        (
            in_state(
                "Failed",
                Some((
                    "GaveUp",
                    r#"{"error":"ImageRefused","cause":"no such image"}"#,
                )),
            ),
            S::GivenUp,
            "with ImageRefused: no such image",
            "not retried",
            "image",
        ),
        // Then the webhook.
        (
            answered(Answer::Kept),
            S::Overflow,
            "overflow queue 10 min ago",
            "within seconds",
            "",
        ),
        (
            answered(Answer::Paused),
            S::Paused,
            "while the deployment was paused",
            "deliver the webhook again",
            "fargate-runners resume",
        ),
        (
            answered(Answer::Ignored("another reason".to_owned())),
            S::NotServed,
            "another reason",
            "",
            "redeliver 7",
        ),
        (
            answered(Answer::Error("cannot start".to_owned())),
            S::WebhookFailed,
            "cannot start",
            "next sweep",
            "Mend",
        ),
        (
            answered(Answer::Started),
            S::Preparing,
            "Step Functions does not show",
            "",
            "",
        ),
        // Then the policy and GitHub's deliveries.
        (
            not_admitted(RefusedKind::Labels),
            S::NotServed,
            "the reason",
            "",
            "runs-on",
        ),
        (
            not_admitted(RefusedKind::GitHubsRunners),
            S::GitHubsRunners,
            "GitHub's own",
            "GitHub runs it",
            "",
        ),
        (
            not_admitted(RefusedKind::Owner),
            S::NotServed,
            "",
            "",
            "allowedOwners",
        ),
        (
            not_admitted(RefusedKind::Repository),
            S::NotServed,
            "",
            "",
            "allowedRepositories",
        ),
        (
            not_admitted(RefusedKind::Visibility),
            S::NotServed,
            "",
            "",
            "allowPublicRepositories",
        ),
        (
            not_admitted(RefusedKind::Fork),
            S::NotServed,
            "",
            "",
            "allowForks",
        ),
        (
            not_admitted(RefusedKind::NotInstalled),
            S::NotServed,
            "sends no webhook",
            "",
            "Install the App",
        ),
        (
            delivered(502),
            S::DeliveryFailed,
            "GitHub was answered 502",
            "next sweep",
            "redeliver 7",
        ),
        (
            delivered(0),
            S::DeliveryFailed,
            "answered nothing in time",
            "",
            "",
        ),
        (delivered(401), S::DeliveryFailed, "401", "", "secret"),
        (
            delivered(200),
            S::NoWebhook,
            "no webhook for it has arrived",
            "half an hour",
            "subscribed",
        ),
        (job(), S::NoWebhook, "no webhook for it has arrived", "", ""),
        (
            Evidence {
                github: Seen::Nothing,
                ..job()
            },
            S::Unknown,
            "GitHub shows no such job",
            "",
            "whole address",
        ),
        (unasked(job()), S::Unknown, "not asked: no secrets", "", ""),
        // The end of an execution.
        (
            served_by(ended(Outcome::NotNeeded)),
            S::EndedEarly,
            "has ended (outcome NotNeeded",
            "five-minute sweep",
            "redeliver 7",
        ),
        (
            unasked(served_by(ended(Outcome::RanJob))),
            S::Ended,
            "outcome RanJob",
            "",
            "",
        ),
        (
            served_by(execution(Status::Aborted)),
            S::Aborted,
            "aborted",
            "not restarted",
            "redeliver 7",
        ),
        (
            served_by(ExecutionSeen {
                error: Some("JobCancelled".to_owned()),
                ..execution(Status::Aborted)
            }),
            S::Cancelled,
            "left GitHub's queue",
            "",
            "",
        ),
        (
            served_by(execution(Status::TimedOut)),
            S::GivenUp,
            "timed out",
            "restarted",
            "",
        ),
        (
            failed_with("Unmatched"),
            S::GivenUp,
            "given up 3 min ago with Unmatched: the cause",
            "not retried",
            "runs-on",
        ),
        (
            failed_with("BudgetSpent"),
            S::GivenUp,
            "BudgetSpent",
            "one more execution",
            "cause",
        ),
        (
            failed_with("GitHubUnavailable"),
            S::GivenUp,
            "",
            "restarted by itself",
            "",
        ),
        (
            failed_with("Lambda.ServiceException"),
            S::GivenUp,
            "",
            "restarted by itself",
            "",
        ),
    ];
    for (outcome, unpicked, said, change) in [
        (Outcome::NoCapacity, 0, "AWS had no capacity", "vCPU"),
        (
            Outcome::NoConnection,
            0,
            "could not be reached",
            "route to GitHub",
        ),
        (
            Outcome::ImageMissing,
            0,
            "its last attempt failed (ImageMissing: its detail)",
            "Push",
        ),
        (Outcome::NeverPickedUp, 1, "gave it no job", ""),
        (Outcome::NeverPickedUp, 4, "gave it no job", "runner group"),
        (Outcome::RanJob, 0, "ran a job", ""),
    ] {
        let evidence = in_state("Wait", Some(("StillQueued", &retry(outcome, unpicked))));
        rows.push((
            evidence,
            S::Pausing,
            said,
            "Attempt 3 starts in 30 s",
            change,
        ));
    }
    rows
}

#[test]
fn every_situation_is_told_with_its_reason_the_next_step_and_the_change() {
    for (evidence, situation, summary, next, change) in table() {
        let told = explain(&evidence);
        let shown = format!("{told:#?}\n{:#?}", evidence.course);
        assert_eq!(told.situation, situation, "{shown}");
        assert!(told.summary.contains(summary), "{summary:?} not in {shown}");
        assert!(told.next.contains(next), "{next:?} not in {shown}");
        let said = told.change.clone().unwrap_or_default();
        assert!(said.contains(change), "{change:?} not in {shown}");
        if change.is_empty() && told.situation == Situation::Pausing {
            assert_eq!(told.change, None, "{shown}");
        }
    }
}

#[test]
fn the_table_has_every_situation() {
    let told: BTreeSet<_> = table().iter().map(|row| row.1).collect();
    let all = BTreeSet::from(Situation::ALL);
    assert_eq!(told, all);
}

#[test]
fn every_reason_for_giving_up_says_what_to_change_or_that_it_goes_on() {
    let faults = Fault::ALL.iter().map(|fault| GiveUp::Fault(*fault));
    for reason in GiveUp::ALL.iter().copied().chain(faults) {
        let told = explain(&failed_with(reason.name()));
        let goes_on = told.next.contains("restarted");
        let verdict = matches!(reason, GiveUp::Fault(fault) if fault.class() == Class::Verdict);
        let cancelled = reason == GiveUp::JobCancelled;
        let explained = told.change.is_some() || goes_on || cancelled;
        assert!(
            explained || (verdict && reason != GiveUp::Fault(Fault::Unmatched)),
            "{reason}: {told:#?}"
        );
    }
}

#[test]
fn spans_are_read_at_a_glance() {
    for (seconds, text) in [
        (-5, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (3_600, "1 h"),
        (7_500, "2 h 5 min"),
        (93_600, "1 d 2 h"),
    ] {
        assert_eq!(span(Duration::seconds(seconds)), text);
    }
}

/// Any evidence, however contradictory: the sources are read one after the other.
fn any_evidence() -> impl Strategy<Value = Evidence> {
    let texts = select(vec![
        "",
        "Unmatched",
        "BudgetSpent",
        "x\ny",
        "StillQueued",
        "{\"a\":1}",
    ]);
    let statuses = select(vec![
        Seen::Found(JobStatus::Queued),
        Seen::Found(JobStatus::Waiting),
        Seen::Found(JobStatus::IN_PROGRESS),
        Seen::Found(JobStatus::COMPLETED),
        Seen::Found(completed("failure", Some("fr-hello-7"))),
        Seen::Found(JobStatus::Absent),
        Seen::Nothing,
        Seen::unknown("no secrets"),
    ]);
    let states = select(vec![
        "",
        "Wait",
        "WaitForGitHub",
        "Runner",
        "Cleanup",
        "Token",
        "Failed",
    ]);
    let executions = prop::option::of(select(vec![
        Status::Running,
        Status::Succeeded,
        Status::Failed,
        Status::TimedOut,
        Status::Aborted,
    ]));
    let tasks = prop::option::of(select(vec!["PENDING", "RUNNING", "STOPPED", "x"]));
    let answers = prop::option::of(select(vec![
        Answer::Started,
        Answer::Kept,
        Answer::Paused,
        Answer::HandedOn,
        Answer::Ignored("no action depends on it".to_owned()),
        Answer::Error("e".to_owned()),
    ]));
    (
        statuses,
        states,
        executions,
        tasks,
        answers,
        texts.clone(),
        texts,
        -9_i64..9_000,
    )
        .prop_map(
            |(github, state, status, task, answer, error, message, minutes)| {
                let mut evidence = task.map_or_else(job, |task| with_task_in(task, minutes));
                if let Some(answer) = answer {
                    evidence.webhooks = answered(answer).webhooks;
                }
                evidence.executions = status.map_or(Seen::Nothing, |status| {
                    Seen::Found(vec![ExecutionSeen {
                        error: Some(error.to_owned()),
                        cause: Some(message.to_owned()),
                        ..execution(status)
                    }])
                });
                evidence.course = in_state(state, Some((error, message))).course;
                evidence.github = github;
                evidence
            },
        )
}

proptest! {
    #[test]
    fn whatever_is_found_is_explained_in_whole_sentences(evidence in any_evidence()) {
        let told = explain(&evidence);
        for text in [&told.summary, &told.next].into_iter().chain(&told.change) {
            prop_assert!(text.ends_with('.') && !text.contains('\n') && text.len() > 3, "{told:#?}");
        }
        prop_assert!(told.summary.contains('7'), "it names the job: {told:#?}");
        prop_assert!(!told.facts.is_empty());
    }

    #[test]
    fn github_has_the_last_word(evidence in any_evidence()) {
        let situation = explain(&evidence).situation;
        if let Some(status) = evidence.github.found() {
            let over = matches!(status, JobStatus::Completed { .. });
            let stopped = situation == Situation::Cancelled && evidence.newest().is_some();
            prop_assert!(situation.is_over() == over || stopped, "{status:?}: {situation:?}");
            if *status == JobStatus::Queued {
                prop_assert_ne!(situation, Situation::Running);
            }
        }
    }

    #[test]
    fn without_an_execution_none_is_blamed(evidence in any_evidence()) {
        use Situation as S;
        let situation = explain(&evidence).situation;
        if evidence.newest().is_none() {
            prop_assert!(
                !matches!(situation, S::GivenUp | S::Pausing | S::Starting | S::Listening | S::EndedEarly),
                "{situation:?}"
            );
        }
    }
}

fn setback(minutes: i64, runner: &str, outcome: Outcome, had_task: bool) -> Setback {
    Setback {
        began: ago(minutes),
        at: ago(minutes),
        execution: "hello-7".parse().unwrap(),
        runner: Some(runner.parse().unwrap()),
        state: "Runner".to_owned(),
        failure: StepFailure {
            error: "ECS.AmazonECSException".to_owned(),
            message: "told".to_owned(),
        },
        outcome,
        stop_code: None,
        exit_code: None,
        had_task,
    }
}

#[test]
fn what_held_a_job_up_is_named_also_after_it_ran() {
    let evidence = Evidence {
        github: Seen::Found(completed("success", Some("fr-hello-7-a3"))),
        setbacks: Seen::Found(vec![
            setback(20, "fr-hello-7", Outcome::NoCapacity, false),
            setback(15, "fr-hello-7", Outcome::NoCapacity, false),
            setback(12, "fr-hello-7-a2", Outcome::TaskNeverStarted, true),
            // A runner had the job by then.
            setback(3, "fr-hello-7-a3", Outcome::StepFailed, false),
        ]),
        ..served_by(execution(Status::Succeeded))
    };
    let told = explain(&evidence);
    assert_eq!(told.situation, Situation::Completed);
    assert_eq!(told.reasons.len(), 3, "{told:#?}");
    assert!(
        told.summary.ends_with(
            "On its way: attempt 1: ECS refused its task with NoCapacity (ECS.AmazonECSException) (2 times); attempt 2: its task ended with TaskNeverStarted."
        ),
        "{told:#?}"
    );
}

#[test]
fn an_execution_that_somebody_ended_is_named() {
    for (status, words) in [
        (Status::Aborted, "execution hello-7 was aborted by somebody"),
        (
            Status::TimedOut,
            "execution hello-7 exceeded its time limit",
        ),
        (Status::Failed, "execution hello-7 failed"),
    ] {
        let told = explain(&Evidence {
            github: Seen::Found(completed("failure", Some("fr-hello-7"))),
            ..served_by(execution(status))
        });
        assert!(told.summary.contains(words), "{told:#?}");
    }
    let cancelled = ExecutionSeen {
        error: Some(GiveUp::JobCancelled.name().to_owned()),
        ..execution(Status::Aborted)
    };
    assert_eq!(explain(&served_by(cancelled)).reasons, []);
}

#[test]
fn a_cold_runner_that_waited_for_github_is_told_from_a_warm_one() {
    let status = JobStatus::Completed {
        conclusion: Some("success".to_owned()),
        runner: Some("fr-hello-7-a2".to_owned()),
        started_at: Some(ago(3)),
        completed_at: Some(ago(2)),
    };
    for (up_for, reasons) in [(8, 1), (11, 0)] {
        let evidence = Evidence {
            github: Seen::Found(status.clone()),
            // Its execution began ten minutes ago.
            ..with_task_in("RUNNING", up_for)
        };
        let told = explain(&evidence);
        assert_eq!(told.reasons.len(), reasons, "{told:#?}");
    }
}
