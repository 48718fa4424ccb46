//! The keeper over AWS in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use aws_in_memory::{Aws, NoTask, WarmTask};
use decisions::{Bell, TicketState};
use pool::{Claim, Ticket};
use protocol::bell::{AGENT_BELL, AGENT_TABLE, AGENT_TICKET, AGENT_WARM_LIMIT_SECONDS};
use runtime::settings::Settings;
use serde_json::{Value, json};
use stock::{Answer, Config, Deps, Error, Former, MOST_STARTS, handle};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const STOPPED: &str = "Essential container in task exited";
const FAMILY: &str = "fargate-runners-ubuntu";
/// A Monday.
const NOW: OffsetDateTime = datetime!(2026-01-05 12:00 UTC);

fn settings(stock: &Value) -> Settings {
    Settings::from_pairs([
        ("DEPLOYMENT", "fr"),
        ("CLUSTER", "runners"),
        ("SUBNETS", "subnet-a,subnet-b"),
        ("SECURITY_GROUPS", "sg-1"),
        ("STOCK", &stock.to_string()),
    ])
}

/// The deployment with a stock of one family.
struct World {
    aws: Aws,
    deps: Deps,
    now: OffsetDateTime,
}

impl World {
    fn new(stock: Value) -> Self {
        let mut entry =
            json!({ "family": FAMILY, "size": 0, "maxAgeSeconds": 21600, "spot": false });
        for (name, value) in stock.as_object().unwrap() {
            entry[name] = value.clone();
        }
        let aws = Aws::new();
        Self {
            deps: Deps {
                config: Config::from_settings(&settings(&json!([entry]))).unwrap(),
                pool: aws.pool(),
                ecs: aws.ecs(),
                former: Former::default(),
            },
            aws,
            now: NOW,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Another deployment: other settings, and a new sandbox.
    fn deploy(&mut self, stock: &Value) {
        self.deps.config = Config::from_settings(&settings(stock)).unwrap();
        self.deps.former = Former::default();
    }

    async fn call(&self, event: Value) -> Result<Answer, Error> {
        handle(&self.deps, event, self.now).await
    }

    async fn tick(&self) -> Answer {
        self.call(tick()).await.unwrap()
    }

    async fn event(&self, task: &WarmTask) -> Answer {
        self.call(changed(task)).await.unwrap()
    }

    /// Has every task that starts come up, and tells the keeper.
    async fn come_up(&self) {
        for task in self.tasks() {
            if task.last_status == "PROVISIONING" {
                self.set_status(&task.arn, "RUNNING", "RUNNING");
                self.event(&self.task(&task.arn)).await;
            }
        }
    }

    fn tasks(&self) -> Vec<WarmTask> {
        self.aws.state().warm.clone()
    }

    fn task(&self, arn: &str) -> WarmTask {
        let tasks = self.tasks();
        tasks.into_iter().find(|task| task.arn == arn).unwrap()
    }

    fn set_status(&self, arn: &str, last: &str, desired: &str) {
        let mut state = self.aws.state();
        let task = state.warm.iter_mut().find(|task| task.arn == arn).unwrap();
        last.clone_into(&mut task.last_status);
        desired.clone_into(&mut task.desired_status);
    }

    async fn tickets(&self) -> Vec<Ticket> {
        let mut tickets = self.deps.pool.stock(FAMILY).await.unwrap().tickets;
        tickets.sort_by_key(|ticket| ticket.key.slot);
        tickets
    }

    async fn states(&self) -> Vec<TicketState> {
        let tickets = self.tickets().await;
        tickets.iter().map(|ticket| ticket.state).collect()
    }

    async fn bell_of(&self, ticket: &Ticket) -> Option<Bell> {
        let seen = self.deps.pool.bell(&ticket.id).await.unwrap();
        seen.map(|seen| seen.bell)
    }

    fn calls(&self, of: &str) -> usize {
        let calls = self.aws.calls();
        calls.iter().filter(|call| call.starts_with(of)).count()
    }
}

fn tick() -> Value {
    json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} })
}

fn demanded(start: &str) -> Value {
    json!({ "family": FAMILY, "repository": "octo/hello", "start": start })
}

/// ECS's event about a task as it is now.
fn changed(task: &WarmTask) -> Value {
    let told = |name: &str| json!({ "name": name, "value": task.told(name).unwrap() });
    json!({
        "source": "aws.ecs", "detail-type": "ECS Task State Change",
        "detail": {
            "taskArn": task.arn, "lastStatus": task.last_status,
            "desiredStatus": task.desired_status, "stoppedReason": STOPPED,
            "containers": [{ "name": "runner" }],
            "overrides": { "containerOverrides": [
                { "name": "runner", "environment": [told(AGENT_BELL), told(AGENT_TICKET)] },
            ] },
        },
    })
}

use TicketState::{Ready, Reserved, Started};

#[tokio::test]
async fn an_empty_stock_is_filled_and_becomes_ready() {
    let world = World::new(json!({ "size": 2 }));
    let answer = world.tick().await;
    let report = &answer.families[0];
    assert_eq!((report.wanted, report.starting, report.started), (2, 2, 2));
    assert_eq!(world.states().await, [Started, Started]);

    world.come_up().await;
    assert_eq!(world.states().await, [Ready, Ready]);
    let answer = world.tick().await;
    let report = &answer.families[0];
    assert_eq!((report.ready, report.starting, report.started), (2, 0, 0));
    assert_eq!(world.tasks().len(), 2);
}

#[tokio::test]
async fn a_task_is_told_its_ticket_and_runs_where_a_cold_one_would() {
    let world = World::new(json!({ "size": 1 }));
    world
        .aws
        .state()
        .revisions
        .insert(FAMILY.to_owned(), Some(7));
    world.tick().await;
    let (ticket, task) = (&world.tickets().await[0], &world.tasks()[0]);
    assert_eq!(ticket.revision, 7);
    assert_eq!(ticket.task_arn.as_ref(), Some(&task.arn));
    assert_eq!(task.client_token, ticket.id.as_str());
    for (name, value) in [
        (AGENT_BELL, ticket.id.as_str()),
        (AGENT_TICKET, "fargate-runners-ubuntu/00"),
        (AGENT_TABLE, "fargate-runners-stock"),
        (AGENT_WARM_LIMIT_SECONDS, "22500"),
        ("AGENT_IDLE_LIMIT_SECONDS", "300"),
    ] {
        assert_eq!(task.told(name), Some(value), "{name}");
    }
    assert_eq!(task.told("AGENT_PARAMETER"), None);
    let request = &task.request;
    assert_eq!(request.group(), Some("fargate-runners:fr:warm"));
    assert_eq!(request.task_definition(), Some("fargate-runners-ubuntu:7"));
    assert_eq!(request.cluster(), Some("runners"));
    assert_eq!(request.platform_version(), Some("LATEST"));
    assert!(request.tags().is_empty());
    assert_eq!(
        request.propagate_tags().unwrap().as_str(),
        "TASK_DEFINITION"
    );
    let capacity = request.capacity_provider_strategy();
    assert_eq!(capacity[0].capacity_provider(), "FARGATE");
    let network = request.network_configuration().unwrap();
    let network = network.awsvpc_configuration().unwrap();
    assert_eq!(network.subnets(), ["subnet-a", "subnet-b"]);
    assert_eq!(network.security_groups(), ["sg-1"]);
    assert_eq!(network.assign_public_ip().unwrap().as_str(), "DISABLED");
}

#[tokio::test]
async fn a_hundred_calls_at_the_same_time_start_what_is_wanted() {
    let world = World::new(json!({ "size": 7 }));
    // All read the empty stock before any of them fills a slot.
    let empty = world.aws.state().items.clone();
    world.aws.state().stale_items = Some(empty);
    for number in 0..100 {
        let event = if number % 2 == 0 {
            tick()
        } else {
            demanded("cold")
        };
        world.call(event).await.unwrap();
    }
    world.aws.state().stale_items = None;
    assert_eq!((world.tasks().len(), world.calls("ecs:RunTask")), (7, 7));
    assert_eq!(world.states().await, [Started; 7]);

    // The same with tasks that are no longer wanted: each is told to leave once.
    world.come_up().await;
    let full = world.aws.state().items.clone();
    world.aws.state().stale_items = Some(full);
    let revision = Some(2);
    world
        .aws
        .state()
        .revisions
        .insert(FAMILY.to_owned(), revision);
    for _ in 0..100 {
        world.tick().await;
    }
    world.aws.state().stale_items = None;
    assert_eq!(world.tasks().len(), 14);
    assert_eq!(world.states().await, [Started; 7]);
    assert_eq!(world.calls("dynamodb:PutItem bell#"), 7);
}

#[tokio::test]
async fn a_claimed_task_is_replaced_at_once_with_one_read() {
    let world = World::new(json!({ "size": 2 }));
    world.tick().await;
    world.come_up().await;
    let claimed = &world.tickets().await[0];
    let claim = Claim {
        revision: 1,
        spot: false,
    };
    let done = world.deps.pool.claim(&claimed.key, claim).await.unwrap();
    assert!(done.is_done());

    let before = (world.calls("dynamodb:Query"), world.calls("ecs:Describe"));
    world.call(demanded("warm")).await.unwrap();
    let after = (world.calls("dynamodb:Query"), world.calls("ecs:Describe"));
    assert_eq!(after, (before.0 + 1, before.1));
    assert_eq!(world.states().await, [Started, Ready]);
    assert_eq!(world.tasks().len(), 3);

    // The end of the claimed task is none of the keeper's business.
    let arn = claimed.task_arn.clone().unwrap();
    world.set_status(&arn, "STOPPED", "STOPPED");
    world.event(&world.task(&arn)).await;
    assert_eq!(world.states().await, [Started, Ready]);
    assert!(!world.tick().await.families[0].paused);
}

#[tokio::test]
async fn a_large_stock_is_filled_in_steps() {
    let mut world = World::new(json!({ "size": 100 }));
    for minute in 1..=6 {
        world.tick().await;
        assert_eq!(world.tasks().len(), (minute * MOST_STARTS).min(100));
        world.pass(Duration::minutes(1));
    }
}

#[tokio::test]
async fn a_ticket_whose_keeper_crashed_is_started_with_its_own_id() {
    let mut world = World::new(json!({ "size": 1 }));
    world.tick().await;
    let ticket = world.tickets().await.remove(0);
    // As after a crash between the two calls: the ticket is there, the task is not.
    assert!(
        world
            .deps
            .pool
            .retire(&ticket.key, &ticket.id)
            .await
            .unwrap()
            .is_done()
    );
    world.aws.state().warm.clear();
    let crashed = Ticket {
        state: Reserved,
        task_arn: None,
        ..ticket.clone()
    };
    let kept = world.now + Duration::days(1);
    assert!(
        world
            .deps
            .pool
            .reserve(&crashed, kept)
            .await
            .unwrap()
            .is_done()
    );

    world.pass(Duration::seconds(59));
    world.tick().await;
    assert_eq!(world.tasks().len(), 0);
    world.pass(Duration::seconds(1));
    world.tick().await;
    assert_eq!(world.tasks().len(), 1);
    assert_eq!(world.tasks()[0].client_token, ticket.id.as_str());
    assert_eq!(world.states().await, [Started]);
}

#[tokio::test]
async fn a_lost_answer_of_runtask_leads_to_the_same_task() {
    let mut world = World::new(json!({ "size": 2 }));
    world.aws.state().no_task.push_back(NoTask::LostAnswer);
    let error = world.call(tick()).await.unwrap_err().to_string();
    assert!(
        error.contains("ecs:RunTask on fargate-runners-ubuntu:1"),
        "{error}"
    );
    assert_eq!(world.states().await, [Reserved]);
    assert_eq!(world.tasks().len(), 1);

    world.pass(Duration::minutes(1));
    world.tick().await;
    assert_eq!(world.states().await, [Started, Started]);
    assert_eq!(world.tasks().len(), 2);
    let first = &world.tickets().await[0];
    assert_eq!(first.task_arn.as_ref(), Some(&world.tasks()[0].arn));
}

#[tokio::test]
async fn a_task_that_runs_before_its_start_is_noted_is_ready() {
    let world = World::new(json!({ "size": 1 }));
    world.aws.state().no_task.push_back(NoTask::LostAnswer);
    world.call(tick()).await.unwrap_err();
    world.come_up().await;
    assert_eq!(world.states().await, [Ready]);
    assert!(world.tickets().await[0].task_arn.is_some());
}

#[tokio::test]
async fn a_second_start_with_other_settings_finds_the_first_task() {
    let mut world = World::new(json!({ "size": 1 }));
    world.aws.state().no_task.push_back(NoTask::LostAnswer);
    world.call(tick()).await.unwrap_err();
    // The deployment's network changes between the two calls.
    let placement = &mut world.deps.config.placement;
    placement.subnets.push("subnet-c".to_owned());
    world.pass(Duration::minutes(1));
    let answer = world.tick().await;
    assert!(!answer.families[0].paused);
    assert_eq!(world.states().await, [Started]);
    assert_eq!(world.tasks().len(), 1);
}

#[tokio::test]
async fn a_refused_second_start_gives_a_task_up_that_may_have_been_started() {
    let mut world = World::new(json!({ "size": 1 }));
    world.aws.state().no_task.push_back(NoTask::LostAnswer);
    world.call(tick()).await.unwrap_err();
    let ticket = world.tickets().await.remove(0);
    let refusal = NoTask::Error("ClientException", "TaskDefinition is inactive");
    world.aws.state().no_task.push_back(refusal);
    world.pass(Duration::minutes(1));
    world.call(tick()).await.unwrap_err();
    assert_eq!(world.tickets().await, []);
    assert_eq!(world.bell_of(&ticket).await, Some(Bell::Leave));
}

#[tokio::test]
async fn a_new_revision_replaces_the_tasks_of_the_old_one() {
    let mut world = World::new(json!({ "size": 2 }));
    world.tick().await;
    world.come_up().await;
    let old = world.tickets().await;
    world
        .aws
        .state()
        .revisions
        .insert(FAMILY.to_owned(), Some(2));
    world.pass(Duration::minutes(1));
    let answer = world.tick().await;
    assert_eq!(
        (answer.families[0].retired, answer.families[0].started),
        (2, 2)
    );
    for ticket in &old {
        assert_eq!(world.bell_of(ticket).await, Some(Bell::Leave));
    }
    let new = world.tickets().await;
    assert!(new.iter().all(|ticket| ticket.revision == 2));
    assert_eq!(world.states().await, [Started, Started]);

    // A pass after a job starts the noted revision.
    assert_eq!(
        world.deps.pool.stock(FAMILY).await.unwrap().notes.revision,
        Some(2)
    );
}

#[tokio::test]
async fn a_family_without_an_active_revision_has_no_tasks() {
    let world = World::new(json!({ "size": 1 }));
    world.tick().await;
    world.aws.state().revisions.insert(FAMILY.to_owned(), None);
    world.tick().await;
    assert_eq!(world.tickets().await, []);
    assert_eq!(world.tasks().len(), 1);
}

#[tokio::test]
async fn an_old_task_is_replaced() {
    let mut world = World::new(json!({ "size": 1, "maxAgeSeconds": 3600 }));
    world.tick().await;
    world.come_up().await;
    let old = world.tickets().await.remove(0);
    world.pass(Duration::hours(1));
    world.tick().await;
    assert_eq!(world.tickets().await[0].id, old.id);
    world.pass(Duration::seconds(1));
    world.tick().await;
    assert_ne!(world.tickets().await[0].id, old.id);
    assert_eq!(world.bell_of(&old).await, Some(Bell::Leave));
}

#[tokio::test]
async fn hours_end_with_a_retirement() {
    let mut world = World::new(json!({
        "schedule": [{ "days": ["mon"], "from": "12:00", "to": "24:00", "size": 3 }],
    }));
    world.now = datetime!(2026-01-05 11:59:59 UTC);
    world.tick().await;
    assert_eq!(world.tickets().await, []);
    world.now = datetime!(2026-01-05 12:00 UTC);
    world.tick().await;
    world.come_up().await;
    assert_eq!(world.states().await, [Ready; 3]);
    world.now = datetime!(2026-01-05 23:59:59 UTC);
    // Older than six hours by now.
    world.tick().await;
    assert_eq!(world.tickets().await.len(), 3);
    world.now = datetime!(2026-01-06 00:00 UTC);
    let tickets = world.tickets().await;
    world.tick().await;
    assert_eq!(world.tickets().await, []);
    for ticket in &tickets {
        assert_eq!(world.bell_of(ticket).await, Some(Bell::Leave));
    }
}

#[tokio::test]
async fn a_job_keeps_tasks_for_a_while() {
    let mut world = World::new(json!({ "linger": { "size": 2, "minutes": 15 } }));
    world.tick().await;
    assert_eq!(world.tasks().len(), 0);
    world.call(demanded("cold")).await.unwrap();
    assert_eq!(world.tasks().len(), 2);
    world.come_up().await;
    world.pass(Duration::minutes(14));
    world.tick().await;
    assert_eq!(world.states().await, [Ready, Ready]);
    world.pass(Duration::minutes(1));
    world.tick().await;
    assert_eq!(world.tickets().await, []);
}

#[tokio::test]
async fn a_lost_event_of_a_task_that_runs_is_made_up_for_within_a_minute() {
    let mut world = World::new(json!({ "size": 1 }));
    world.tick().await;
    world.set_status(&world.tasks()[0].arn, "RUNNING", "RUNNING");
    world.pass(Duration::minutes(1));
    world.tick().await;
    assert_eq!(world.states().await, [Ready]);
}

#[tokio::test]
async fn a_lost_event_of_a_task_that_ended_is_made_up_for_within_a_minute() {
    let mut world = World::new(json!({ "size": 1 }));
    world.tick().await;
    world.come_up().await;
    world.pass(Duration::hours(1));
    world.set_status(&world.tasks()[0].arn, "STOPPED", "STOPPED");
    let answer = world.tick().await;
    assert_eq!(
        (answer.families[0].forgotten, answer.families[0].started),
        (1, 1)
    );
    assert_eq!(world.states().await, [Started]);

    // ECS forgets a task an hour after its end.
    world.come_up().await;
    world.aws.state().warm.clear();
    world.pass(Duration::hours(1));
    assert_eq!(world.tick().await.families[0].forgotten, 1);
    assert_eq!(world.tasks().len(), 1);
}

#[tokio::test]
async fn a_task_that_is_to_stop_is_taken_out_of_stock_before_it_does() {
    let mut world = World::new(json!({ "size": 1, "spot": true }));
    world.tick().await;
    world.come_up().await;
    let task = world.tasks().remove(0);
    let capacity = task.request.capacity_provider_strategy();
    assert_eq!(capacity[0].capacity_provider(), "FARGATE_SPOT");
    assert!(world.tickets().await[0].spot);
    world.pass(Duration::hours(1));
    world.set_status(&task.arn, "RUNNING", "STOPPED");
    world.event(&world.task(&task.arn)).await;
    let tickets = world.tickets().await;
    assert_eq!(world.states().await, [Started]);
    assert_ne!(tickets[0].id.as_str(), task.client_token);
}

#[tokio::test]
async fn a_shell_is_asked_for_only_where_the_stock_allows_one() {
    for (settings, asked) in [
        (json!({ "size": 1 }), None),
        (json!({ "size": 1, "shell": true }), Some(true)),
    ] {
        let world = World::new(settings);
        world.tick().await;
        let task = world.tasks().remove(0);
        assert_eq!(task.request.enable_execute_command(), asked);
    }
}

#[tokio::test]
async fn a_lack_of_capacity_pauses_longer_each_time() {
    const NO_ROOM: &str = "Capacity is unavailable at this time. Please try again later or in a different availability zone";
    let mut world = World::new(json!({ "size": 3 }));
    for (seconds, failure) in [
        (30, NoTask::Error("ClientException", NO_ROOM)),
        (60, NoTask::Failure(NO_ROOM)),
        (120, NoTask::Error("ThrottlingException", "Rate exceeded")),
    ] {
        world.aws.state().no_task.push_back(failure);
        let before = world.calls("ecs:RunTask");
        let answer = world.tick().await;
        assert!(answer.families[0].paused);
        assert_eq!(world.tickets().await, []);
        // One call, and none during the pause, whoever calls.
        world.pass(Duration::seconds(seconds - 1));
        world.tick().await;
        world.call(demanded("cold")).await.unwrap();
        assert_eq!(world.calls("ecs:RunTask"), before + 1);
        world.pass(Duration::seconds(1));
    }
    let answer = world.tick().await;
    assert!(!answer.families[0].paused);
    assert_eq!(world.states().await, [Started; 3]);
}

#[tokio::test]
async fn tasks_that_end_while_they_start_are_not_replaced_without_end() {
    let mut world = World::new(json!({ "size": 3 }));
    world.tick().await;
    for task in world.tasks() {
        world.set_status(&task.arn, "STOPPED", "STOPPED");
        world.event(&world.task(&task.arn)).await;
    }
    // All three count as one failure.
    assert_eq!(world.tickets().await, []);
    let notes = world.deps.pool.stock(FAMILY).await.unwrap().notes;
    assert_eq!(notes.pauses, 1);
    assert_eq!(notes.paused_until, Some(world.now + Duration::seconds(30)));
    world.pass(Duration::seconds(30));
    world.tick().await;
    assert_eq!(world.tasks().len(), 6);
}

/// An image without the processor of its runner. The words are of ECS ([issue]).
///
/// [issue]: https://github.com/aws/containers-roadmap/issues/1302
#[tokio::test]
async fn a_pool_whose_image_lacks_the_architecture_pauses_and_says_why() {
    const LACKS: &str = "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/arm64'";
    let reason = format!("ImageRefused; {LACKS}");
    let mut world = World::new(json!({ "size": 2 }));
    world.tick().await;
    for task in world.tasks() {
        world.set_status(&task.arn, "STOPPED", "STOPPED");
        let mut event = changed(&world.task(&task.arn));
        event["detail"]["stoppedReason"] = json!(LACKS);
        let answer = world.call(event).await.unwrap();
        assert_eq!(answer.families[0].paused_for.as_ref(), Some(&reason));
    }
    // The reason stays for as long as the pause does, and no call is made.
    let before = world.calls("ecs:RunTask");
    world.pass(Duration::seconds(29));
    let answer = world.tick().await;
    assert_eq!(answer.families[0].paused_for.as_ref(), Some(&reason));
    assert_eq!(world.calls("ecs:RunTask"), before);
    world.pass(Duration::seconds(1));
    let answer = world.tick().await;
    assert_eq!(answer.families[0].paused_for, None);
    assert_eq!(world.tasks().len(), 4);
}

#[tokio::test]
async fn a_lasting_refusal_is_reported_as_what_it_is() {
    let mut world = World::new(json!({ "size": 1 }));
    let denied = "User is not authorized to perform: iam:PassRole";
    let refusal = NoTask::Error("AccessDeniedException", denied);
    world.aws.state().no_task.push_back(refusal);
    let error = world.call(tick()).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete(_)));
    assert!(error.to_string().contains("iam:PassRole"), "{error}");
    world.pass(Duration::seconds(29));
    assert!(world.tick().await.families[0].paused);
}

#[tokio::test]
async fn a_job_of_a_family_without_a_stock_is_an_error_that_says_what_to_do() {
    let world = World::new(json!({ "size": 1 }));
    let mut event = demanded("cold");
    event["family"] = json!("other");
    let error = world.call(event).await.unwrap_err().to_string();
    assert!(error.contains("give its runner `warm`"), "{error}");
    assert_eq!(world.aws.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn an_event_of_a_family_whose_pool_was_removed_is_skipped() {
    let world = World::new(json!({ "size": 1 }));
    world.tick().await;
    let mut event = changed(&world.tasks()[0]);
    let variable = &mut event["detail"]["overrides"]["containerOverrides"][0]["environment"][1];
    variable["value"] = json!("other/00");
    assert_eq!(world.call(event).await.unwrap().families, []);
}

#[test]
fn a_wrong_setting_is_named_with_its_field() {
    let stock = json!([{ "family": FAMILY, "size": 101, "maxAgeSeconds": 21600, "spot": false }]);
    let error = Config::from_settings(&settings(&stock))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("environment variable STOCK is"),
        "{error}"
    );
    assert!(
        error.contains("STOCK[0].size is 101; write a whole number from 0 to 100"),
        "{error}"
    );
}

/// What `STOCK` says of another family.
fn other() -> Value {
    json!([{ "family": "fargate-runners-large", "size": 0, "maxAgeSeconds": 21600, "spot": false }])
}

#[tokio::test]
async fn the_stock_of_a_pool_that_was_removed_leaves_at_once_and_a_claimed_task_stays() {
    let mut world = World::new(json!({ "size": 3 }));
    world.tick().await;
    world.come_up().await;
    let tickets = world.tickets().await;
    let claim = Claim {
        revision: tickets[0].revision,
        spot: false,
    };
    let claimed = world.deps.pool.claim(&tickets[0].key, claim).await;
    assert!(claimed.unwrap().is_done());
    let ended = tickets[2].task_arn.as_ref().unwrap();
    world.set_status(ended, "STOPPED", "STOPPED");

    world.deploy(&other());
    let answer = world.tick().await;
    let report = answer.families.last().unwrap();
    assert_eq!(report.family, FAMILY);
    assert_eq!((report.retired, report.forgotten), (1, 1));
    assert_eq!(world.tickets().await, []);
    assert_eq!(world.bell_of(&tickets[0]).await, None);
    assert_eq!(world.bell_of(&tickets[1]).await, Some(Bell::Leave));
    assert_eq!(world.tasks().len(), 3, "nothing was started");
    let kept = ["fargate-runners-large"].map(str::to_owned);
    assert_eq!(world.deps.pool.families().await.unwrap(), kept);

    // Looked for once in each sandbox.
    let looks = world.calls("dynamodb:Query families");
    world.tick().await;
    assert_eq!(world.calls("dynamodb:Query families"), looks);
}

#[tokio::test]
async fn a_pool_that_comes_back_and_goes_again_leaves_again() {
    let mut world = World::new(json!({ "size": 1 }));
    let first = world.deps.config.clone();
    for _ in 0..2 {
        world.tick().await;
        world.come_up().await;
        assert_eq!(world.states().await, [Ready]);
        world.deploy(&other());
        world.tick().await;
        assert_eq!(world.tickets().await, []);
        world.deps.config = first.clone();
        world.deps.former = Former::default();
    }
}
