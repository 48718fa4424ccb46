//! Tests the core scenario with each assumption of `docs/assumptions.md` switched to its opposite.
//!
//! The scenario is four jobs at once: one simply runs, the first task of one never starts, one is
//! cancelled while its runner idles, and Spot takes the task of one back. With every switch the
//! first two succeed, the third is cancelled, the fourth ends, and nothing is left.

use std::time::Duration;

use github_standin::{
    DeletionNotice, DeliveryFault, DeliveryFaultKind, Fault, FaultKind, Job, JobStatus, NewJob,
    RequestRecord, Settings, Snapshot,
};
use reqwest::Method;
use serde_json::json;
use time::OffsetDateTime;

use crate::faults::{RUNNER_TRIES, order};
use crate::harness::{Harness, LIMIT, Site, run, script, untaken};
use crate::recovery::end_task;

/// All switches, by their names in the ledger.
const SWITCHES: &[&str] = &[
    "assigning-off",
    "busy-unseen",
    "connections-die",
    "created-a-day-ago",
    "delete-404",
    "delete-in-gap",
    "deletion-not-found",
    "duplicate-tags-refused",
    "events-late",
    "events-lost",
    "events-out-of-order",
    "events-twice",
    "fresh-token-refused",
    "front-door-refuses",
    "hidden-is-403",
    "idle-dropped",
    "jitconfig-unsteady",
    "jobs-404",
    "no-room-spellings",
    "repeated-jwt-refused",
    "started-by-kept",
    "stop-of-gone-task",
    "tags-missing",
    "tasks-late",
    "throttled-by-ec2",
    "throttling-by-own-name",
    "webhooks-late",
    "webhooks-out-of-order",
];

/// How long GitHub assigns no jobs, with that switch.
const PAUSE: Duration = Duration::from_secs(5);

/// Time from a job's assignment until its runner learns of it, in milliseconds: long enough for a
/// sweep.
const GAP: u64 = 10_000;

/// Matches calls that stop a task of this deployment: its cluster's name.
const STOPS: &str = "fargate-runners";

struct Core {
    served: Job,
    relaunched: Job,
    cancelled: Job,
    killed: Job,
}

impl Core {
    fn all(&self) -> [&Job; 4] {
        [
            &self.served,
            &self.relaunched,
            &self.cancelled,
            &self.killed,
        ]
    }
}

/// Changes a job as the switch requires.
fn aged(new: NewJob, switch: &str) -> NewJob {
    let ago = match switch {
        "created-a-day-ago" => time::Duration::hours(25),
        "webhooks-late" => time::Duration::minutes(30),
        _ => return new,
    };
    NewJob {
        created_at: Some(OffsetDateTime::now_utc() - ago),
        ..new
    }
}

fn status(status: u16) -> FaultKind {
    FaultKind::Status {
        status,
        message: None,
        retry_after: None,
    }
}

/// Makes ECS reject RunTask this many times with each of the messages.
async fn refuse_tasks(
    harness: &Harness,
    repository: &str,
    error: &str,
    messages: &[&str],
    times: u32,
) {
    for message in messages {
        let fault = json!({
            "service": "ecs", "operation": "RunTask", "match": repository,
            "error": error, "message": message, "times": times,
        });
        order(harness, fault).await;
    }
}

/// Enables or disables the EventBridge rules that invoke `cleanup`.
async fn rules(site: &Site, operation: &str) {
    let aws = &site.observer.aws;
    let rules = aws.events("ListRules", json!({})).await.unwrap();
    let names = rules["Rules"].as_array().unwrap().iter();
    let of_events = names.filter(|rule| rule["EventPattern"].is_string());
    for name in of_events.filter_map(|rule| rule["Name"].as_str()) {
        aws.events(operation, json!({ "Name": name }))
            .await
            .unwrap();
    }
}

async fn engine(harness: &Harness, switch: &str, value: serde_json::Value) {
    harness
        .control(Method::POST, "/switches", json!({ switch: value }))
        .await;
}

/// Turns a switch on.
async fn flip(harness: &Harness, site: &Site, switch: &str) {
    let github = &site.deployment.github;
    let served = format!("octo/{switch}-served");
    let change = |change: fn(&mut Settings)| github.change_settings(change);
    let answer = |kind, method: &str, path: &str, times| {
        github.fault(Fault::new(kind).on(method, path).times(times));
    };
    let deliver = |kind, action: &str, times| {
        github.delivery_fault(DeliveryFault::new(kind).on(action).times(times));
    };
    let delay = |milliseconds| DeliveryFaultKind::Delay { milliseconds };
    match switch {
        "assigning-off" => change(|settings| settings.assigning = false),
        "busy-unseen" => change(|settings| settings.busy_unseen = true),
        "connections-die" => answer(FaultKind::Disconnect, "POST", "generate-jitconfig", 2),
        // [`aged`] does it.
        "created-a-day-ago" => {}
        "delete-404" => answer(status(404), "DELETE", "/actions/runners/", 2),
        "delete-in-gap" => change(|settings| settings.assignment_gap_ms = GAP),
        "deletion-not-found" => {
            change(|settings| settings.deletion_notice = DeletionNotice::NotFound);
        }
        "events-lost" => rules(site, "DisableRule").await,
        "fresh-token-refused" => answer(status(401), "POST", "generate-jitconfig", 1),
        "front-door-refuses" => {
            for refused in [403, 429, 408] {
                deliver(DeliveryFaultKind::Fail { status: refused }, "queued", 1);
            }
        }
        "hidden-is-403" => answer(status(403), "GET", "/actions/jobs/", 2),
        "idle-dropped" => change(|settings| settings.idle_limit_ms = Some(3_000)),
        "jitconfig-unsteady" => {
            answer(status(404), "POST", "generate-jitconfig", 1);
            answer(status(503), "POST", "generate-jitconfig", 1);
        }
        "jobs-404" => answer(status(404), "GET", "/actions/jobs/", 6),
        "no-room-spellings" => {
            let limit = "You've reached the limit on the number of tasks you can run concurrently";
            refuse_tasks(harness, &served, "ClientException", &[limit], 1).await;
            let full = [
                "Capacity is unavailable at this time. Please try again later or in a different availability zone",
                "You've reached the limit on the number of vCPUs you can run concurrently",
            ];
            refuse_tasks(
                harness,
                &served,
                "ECS.AmazonECSException",
                &full,
                RUNNER_TRIES,
            )
            .await;
        }
        "repeated-jwt-refused" => change(|settings| settings.refuse_repeated_jwt = true),
        "stop-of-gone-task" => {
            let fault = json!({
                "service": "ecs", "operation": "StopTask", "effect": "lost", "times": 2,
                "match": STOPS,
                "error": "InvalidParameterException",
                "message": "The referenced task was not found.",
            });
            order(harness, fault).await;
        }
        "throttled-by-ec2" => {
            let messages = [
                "Error retrieving security group information for [sg-1]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)",
                "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
            ];
            refuse_tasks(
                harness,
                &served,
                "InvalidParameterException",
                &messages,
                RUNNER_TRIES,
            )
            .await;
        }
        "throttling-by-own-name" => {
            let name = "ECS.ThrottlingException";
            refuse_tasks(harness, &served, name, &["Rate exceeded"], RUNNER_TRIES).await;
        }
        "webhooks-late" => deliver(delay(2_000), "queued", 4),
        "webhooks-out-of-order" => deliver(delay(1_500), "in_progress", 8),
        // The engine's own switches; delays are in seconds.
        "events-late" | "tasks-late" => engine(harness, switch, json!(4)).await,
        "duplicate-tags-refused"
        | "events-out-of-order"
        | "events-twice"
        | "started-by-kept"
        | "tags-missing" => engine(harness, switch, json!(true)).await,
        _ => panic!("{switch} flips nothing"),
    }
}

/// Turns all switches off.
async fn flip_back(harness: &Harness, site: &Site) {
    let github = &site.deployment.github;
    github.clear_faults();
    github.change_settings(|settings| *settings = Settings::default());
    // Only this test's faults: tests of other deployments order faults too.
    for of in ["served", "relaunched"] {
        for switch in SWITCHES {
            let path = format!("/faults?match=octo/{switch}-{of}");
            harness.control(Method::DELETE, &path, json!(null)).await;
        }
    }
    let stops = format!("/faults?match={STOPS}");
    for path in [stops.as_str(), "/switches"] {
        harness.control(Method::DELETE, path, json!(null)).await;
    }
    rules(site, "EnableRule").await;
}

/// Runs the scenario with one switch.
async fn play(harness: &Harness, switch: &str) {
    assert!(SWITCHES.contains(&switch), "{switch} is not listed");
    let site = &harness.repository;
    let github = &site.deployment.github;
    // A failed test leaves its switch on.
    flip_back(harness, site).await;
    let relaunched = format!("octo/{switch}-relaunched");
    let never_starts = json!({
        "service": "ecs", "operation": "RunTask", "effect": "never-starts", "match": relaunched,
    });
    order(harness, never_starts).await;
    flip(harness, site, switch).await;
    let queue = |new| site.queue(aged(new, switch));
    // Long enough for a sweep, if the switch is about one.
    let served = match switch {
        "busy-unseen" => "sleep 10",
        _ => "true",
    };
    let core = Core {
        served: queue(script(&format!("octo/{switch}-served"), served)),
        relaunched: queue(script(&relaunched, "true")),
        cancelled: queue(untaken(&format!("octo/{switch}-cancelled"))),
        killed: queue(script(&format!("octo/{switch}-killed"), "sleep 600")),
    };
    let story = async {
        if switch == "assigning-off" {
            // Not a wait for a condition: the test is that nothing is assigned for this long.
            tokio::time::sleep(PAUSE).await;
            github.change_settings(|settings| settings.assigning = true);
        }
        let retire = async {
            match switch {
                "busy-unseen" => retire_with_a_job(harness, site, &core.served, 422).await,
                "delete-in-gap" => retire_with_a_job(harness, site, &core.served, 204).await,
                _ => {}
            }
        };
        let cancel = async {
            // Waits for its execution at least; its runner may have been deleted already.
            site.registered_or_later(&core.cancelled).await;
            github.cancel_job(core.cancelled.id).unwrap();
        };
        let kill = async {
            site.reaches(&core.killed, JobStatus::InProgress).await;
            let task = site.task_of(&core.killed).await;
            end_task(harness, &task, "spot-interruption").await;
        };
        futures_util::future::join3(retire, cancel, kill).await;
        for job in core.all() {
            site.reaches(job, JobStatus::Completed).await;
        }
        site.retire_surplus().await;
    };
    let sweeps = async {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            sweep_leniently(site).await;
        }
    };
    tokio::select! {
        () = story => {}
        () = sweeps => {}
    }
    for (job, conclusion) in [
        (&core.served, "success"),
        (&core.relaunched, "success"),
        (&core.cancelled, "cancelled"),
    ] {
        let job = site.job(job);
        assert_eq!(
            job.conclusion.as_deref(),
            Some(conclusion),
            "{switch}: {}",
            job.repository
        );
        assert!(job.started <= 1, "{switch}: {} ran twice", job.repository);
    }
    let left = site.observer.settled(LIMIT).await.unwrap();
    assert_eq!(left, Vec::<String>::new(), "{switch}");
    flip_back(harness, site).await;
}

/// Makes a runner with a job seem to idle for too long, and waits until a sweep has requested its
/// deletion and got this answer.
async fn retire_with_a_job(harness: &Harness, site: &Site, job: &Job, answer: u16) {
    let github = &site.deployment.github;
    let runner_of = |seen: &Snapshot| {
        let job = seen.job(job.id)?;
        // With the gap, the job has been assigned but not started.
        if answer == 204 {
            job.leased_to
        } else {
            job.runner_id
        }
    };
    let seen = github
        .wait_for(LIMIT, |seen| runner_of(seen).is_some())
        .await;
    let runner = runner_of(&seen.unwrap()).unwrap();
    let name = job.repository.trim_start_matches("octo/");
    let old = json!({ "match": name, "seconds": 600 });
    harness.control(Method::POST, "/ages", old).await;
    let path = format!("/actions/runners/{runner}");
    let asked = site.observer.wait(LIMIT, async || {
        let requests = github.requests();
        let deletes = |call: &&RequestRecord| call.method == "DELETE" && call.path.ends_with(&path);
        let found = requests.iter().find(deletes).map(|call| call.status);
        Ok(found)
    });
    assert_eq!(
        asked.await.unwrap(),
        Some(answer),
        "DELETE of {runner}, of {name}"
    );
}

/// Sweeps, and ignores failed duties while GitHub or AWS reject calls; the next sweep repeats them.
async fn sweep_leniently(site: &Site) {
    let function = format!("{}-sweep", site.observer.prefix);
    let _ = site.observer.aws.invoke(&function, json!({})).await;
}

/// Defines one test per switch, so that a failure names it.
macro_rules! switches {
    ($($name:ident: $switch:literal,)+) => {
        $(#[test]
        fn $name() {
            run(async |harness| play(harness, $switch).await);
        })+

        #[test]
        fn every_switch_has_a_test() {
            assert_eq!([$($switch),+], *SWITCHES);
        }
    };
}

switches! {
    a_github_that_assigns_nothing_for_a_while_loses_no_job: "assigning-off",
    runners_whose_job_is_not_shown_lose_no_job: "busy-unseen",
    connections_that_die_lose_no_job: "connections-die",
    jobs_that_were_made_a_day_ago_are_not_lost: "created-a-day-ago",
    runners_that_github_does_not_know_lose_no_job: "delete-404",
    runners_deleted_between_assignment_and_start_lose_no_job: "delete-in-gap",
    listeners_that_are_not_found_lose_no_job: "deletion-not-found",
    tag_keys_that_come_twice_and_are_refused_lose_no_job: "duplicate-tags-refused",
    events_that_are_late_lose_no_job: "events-late",
    events_that_are_lost_lose_no_job: "events-lost",
    events_out_of_order_lose_no_job: "events-out-of-order",
    events_that_come_twice_lose_no_job: "events-twice",
    fresh_tokens_that_are_refused_lose_no_job: "fresh-token-refused",
    a_front_door_that_refuses_loses_no_job: "front-door-refuses",
    jobs_that_are_forbidden_for_a_moment_are_not_lost: "hidden-is-403",
    idle_runners_that_github_drops_lose_no_job: "idle-dropped",
    unsteady_registrations_lose_no_job: "jitconfig-unsteady",
    jobs_that_are_not_found_for_a_while_are_not_lost: "jobs-404",
    every_spelling_of_no_room_loses_no_job: "no-room-spellings",
    repeated_tokens_that_are_refused_lose_no_job: "repeated-jwt-refused",
    tasks_that_keep_who_started_them_lose_no_job: "started-by-kept",
    stops_of_tasks_that_are_gone_lose_no_job: "stop-of-gone-task",
    tasks_without_tags_lose_no_job: "tags-missing",
    tasks_that_are_shown_late_lose_no_job: "tasks-late",
    ecs_that_ec2_throttles_loses_no_job: "throttled-by-ec2",
    throttling_under_its_own_name_loses_no_job: "throttling-by-own-name",
    webhooks_that_are_late_lose_no_job: "webhooks-late",
    webhooks_out_of_order_lose_no_job: "webhooks-out-of-order",
}
