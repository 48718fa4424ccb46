//! Whether a warm task takes the registration. Whatever fails, the job goes on within three seconds.

use std::collections::BTreeSet;
use std::time::Duration;

use decisions::{Answer, Bell, OnAnswer, on_answer};
use github_standin::NewJob;
use pool::Pool;
use protocol::{Adopted, JobId, Warm};
use runtime::settings::Settings;
use runtime::telemetry::Metrics;
use serde_json::{Value, json};
use token::warm::{LIMIT, Request, Stock};
use token::{Input, handle};
use tokio::time::Instant;

use crate::stage::{PARAMETER, RUNNER, Stage, payload};
use crate::stock::{
    CLAIM, Fails, InStock, LOOK, READ, RING, SHARE, STOP, TAG, TASK, TELL, Table, WITHDRAW, World,
};

/// One call of the slowest kind, on top of the limit.
const CALL: Duration = Duration::from_secs(1);

/// The AWS calls of a job on a warm task, from the start of its execution to its end, if the task
/// answers before the first look. `handlers/cleanup/tests/warm.rs` counts those of `cleanup`. The look
/// at its bell that shows the agent a ring is one of those that it makes anyway.
const CALLS: [(&str, &str); 12] = [
    ("token", "ssm:PutParameter"),
    ("token", CLAIM),
    ("token", TAG),
    ("token", RING),
    ("token", TELL),
    ("token", READ),
    ("agent", "dynamodb:UpdateItem bell"),
    ("agent", "ssm:GetParameter"),
    ("agent", "ssm:DeleteParameter"),
    ("cleanup", "dynamodb:UpdateItem wait"),
    ("cleanup", "states:SendTaskSuccess"),
    ("cleanup", "dynamodb:UpdateItem wait"),
];

/// Four slots, all of them ready; the task answers before the first look.
fn full() -> Table {
    Table {
        tickets: (0..4).map(InStock::ready).collect(),
        answers_at: Some(1),
        ..Table::default()
    }
}

fn input() -> Value {
    let mut input = payload(None);
    input["match"] = json!({
        "family": "f", "offered": ["linux"], "cpu": null, "memory": null, "architecture": null,
        "warm": { "slots": 4 }, "revision": 7
    });
    input["runTask"] = json!({
        "Cluster": "runners",
        "CapacityProviderStrategy": [{ "CapacityProvider": "FARGATE", "Weight": 1 }]
    });
    input
}

struct Ran {
    adopted: Option<Adopted>,
    waited: Duration,
    world: World,
}

impl Ran {
    fn count(&self, call: &str) -> usize {
        let calls = self.world.calls();
        calls.iter().filter(|made| **made == call).count()
    }
}

async fn run_with(table: Table, change: impl Fn(&mut Value)) -> Ran {
    let world = World::new(table);
    let mut input = input();
    change(&mut input);
    let input: Input = serde_json::from_value(input).unwrap();
    let request = Request::of(&input).unwrap();
    let metrics = Metrics::new(&"fr");
    let started = Instant::now();
    let adopted = world.stock().adopt(&request, &metrics).await;
    Ran {
        adopted,
        waited: started.elapsed(),
        world,
    }
}

async fn run(table: Table) -> Ran {
    run_with(table, |_| {}).await
}

#[tokio::test(start_paused = true)]
async fn a_job_takes_a_ready_task_with_five_calls() {
    let ran = run(full()).await;
    assert_eq!(ran.adopted.unwrap().task_arn, TASK);
    assert_eq!(ran.world.calls(), [CLAIM, TAG, RING, TELL, READ]);
    let table = ran.world.0.lock().unwrap();
    assert_eq!(table.tags["fargate-runners:runner"], RUNNER);
    assert_eq!(table.tags["fargate-runners:repository"], "octo/hello");
    let rung = table.rung.as_ref().unwrap();
    let said = |name: &str| rung[name].as_s().unwrap().as_str();
    assert_eq!(
        (
            said("what"),
            said("parameter"),
            said("runner"),
            said("execution")
        ),
        ("ring", PARAMETER, RUNNER, "hello-4242")
    );
    assert_eq!(
        table.told,
        Some(json!({ "family": "f", "repository": "octo/hello", "start": "warm" }))
    );
    assert_eq!(table.tickets.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_misses_its_slot_looks_for_another_ticket() {
    for slot in 0..4 {
        let ran = run(Table {
            tickets: vec![InStock::ready(slot)],
            answers_at: Some(1),
            ..Table::default()
        })
        .await;
        assert!(ran.adopted.is_some(), "slot {slot}");
        assert!(ran.count(LOOK) <= 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_gives_up_after_three_lost_races() {
    let ran = run(Table {
        ghosts: (0..4).map(InStock::ready).collect(),
        ..Table::default()
    })
    .await;
    assert_eq!(ran.adopted, None);
    assert_eq!((ran.count(CLAIM), ran.count(LOOK)), (4, 1));
    let told = ran.world.0.lock().unwrap().told.clone().unwrap();
    assert_eq!(told["start"], "cold");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_does_not_serve_the_job_is_left_alone() {
    let with = |change: fn(&mut InStock)| {
        let mut tickets: Vec<_> = (0..4).map(InStock::ready).collect();
        tickets.iter_mut().for_each(change);
        Table {
            tickets,
            answers_at: Some(1),
            ..Table::default()
        }
    };
    let older = || with(|ticket| ticket.revision = 6);
    let newer = || with(|ticket| ticket.revision = 8);
    let started = || with(|ticket| ticket.state = "started");
    let spot = || with(|ticket| ticket.spot = true);
    let on_spot = |input: &mut Value| {
        input["runTask"]["CapacityProviderStrategy"][0]["CapacityProvider"] = json!("FARGATE_SPOT");
    };
    assert!(run(newer()).await.adopted.is_some());
    assert!(run_with(spot(), on_spot).await.adopted.is_some());
    assert!(run_with(full(), on_spot).await.adopted.is_some());
    for table in [older(), started(), spot()] {
        let ran = run(table).await;
        assert_eq!(ran.adopted, None);
        // The tickets were seen, and only the first slot was tried.
        assert_eq!((ran.count(CLAIM), ran.count(LOOK)), (1, 1));
        assert_eq!(ran.world.0.lock().unwrap().tickets.len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repository_takes_no_more_than_its_share() {
    let limited = |input: &mut Value| input["match"]["warm"]["maxPerRepository"] = json!(1);
    let ran = run_with(full(), limited).await;
    assert!(ran.adopted.is_some());
    assert_eq!(ran.world.calls()[..2], [SHARE, CLAIM]);

    let used = Table {
        share_used: true,
        ..full()
    };
    let ran = run_with(used, limited).await;
    assert_eq!(ran.adopted, None);
    assert_eq!(ran.world.calls(), [SHARE, TELL]);
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_the_job_goes_on_in_time() {
    let limited = |input: &mut Value| input["match"]["warm"]["maxPerRepository"] = json!(1);
    for fails in [Fails::Refused, Fails::Undone, Fails::Done] {
        for call in [SHARE, CLAIM, LOOK, TAG, RING, READ, WITHDRAW, STOP, TELL] {
            let mut table = full();
            table.fails.insert(call, fails);
            // What is tested comes only after a miss, or if the task does not answer.
            if call == LOOK {
                table.ghosts = std::mem::take(&mut table.tickets);
            }
            if [WITHDRAW, STOP].contains(&call) {
                table.answers_at = None;
            }
            let ran = run_with(table, limited).await;
            let name = format!("{call} {fails:?}");
            assert!(ran.count(call) > 0, "{name} was not called");
            assert!(ran.waited <= LIMIT, "{name}: {:?}", ran.waited);
            let bell = ran.world.0.lock().unwrap().bell;
            if ran.adopted.is_none() {
                // No task is left that may take the registration of a job that starts its own.
                let harmless = matches!(bell, None | Some(Bell::Leave));
                assert!(harmless, "{name}: {bell:?}");
            }
            // The keeper does not matter. A ring that was carried out is on the bell. If reading it
            // fails, the withdrawal finds the task's answer. If that fails, nobody knows whether the
            // ring stands, and the task may take the registration yet.
            let warm = matches!(
                (call, fails),
                (TELL | READ | WITHDRAW, _) | (RING, Fails::Done)
            );
            assert_eq!(ran.adopted.is_some(), warm, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_answer_is_told_to_leave_and_stopped() {
    let ran = run(Table {
        answers_at: None,
        ..full()
    })
    .await;
    assert_eq!(ran.adopted, None);
    assert_eq!(ran.waited, LIMIT);
    assert_eq!(ran.world.0.lock().unwrap().bell, Some(Bell::Leave));
    assert_eq!((ran.count(WITHDRAW), ran.count(STOP)), (1, 1));
    assert!(ran.count(READ) <= 15, "{}", ran.count(READ));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_answers_at_the_last_moment_is_adopted() {
    let ran = run(Table {
        answers_at: None,
        answers_last: true,
        ..full()
    })
    .await;
    assert!(ran.adopted.is_some());
    assert_eq!(ran.count(STOP), 0);

    let late = run(Table {
        answers_at: Some(7),
        ..full()
    })
    .await;
    assert!(late.adopted.is_some());
    assert_eq!((late.count(READ), late.count(WITHDRAW)), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_told_to_leave_is_not_waited_for() {
    let ran = run(Table {
        bell: Some(Bell::Leave),
        ..full()
    })
    .await;
    assert_eq!(ran.adopted, None);
    assert_eq!(
        (ran.count(READ), ran.count(WITHDRAW), ran.count(STOP)),
        (1, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_whose_answer_is_lost_tells_itself_the_second_time() {
    let ran = run(Table {
        answers_at: None,
        fails_once: [(WITHDRAW, Fails::Done)].into(),
        ..full()
    })
    .await;
    assert_eq!(ran.adopted, None);
    // Whether it was done by the first call is not known, so `sweep` looks after the task.
    assert_eq!((ran.count(WITHDRAW), ran.count(STOP)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_without_a_keeper_takes_tasks_all_the_same() {
    let world = World::new(full());
    let stock = Stock {
        keeper: None,
        ..world.stock()
    };
    let input: Input = serde_json::from_value(input()).unwrap();
    let request = Request::of(&input).unwrap();
    let metrics = Metrics::new(&"fr");
    assert!(stock.adopt(&request, &metrics).await.is_some());
    assert!(!world.calls().contains(&TELL));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_answer_costs_a_second() {
    // Connections are taken and never answered.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings::from_pairs([
        ("TABLE", "table"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]);
    let aws = aws::sdk_config(&settings, 6).unwrap();
    let stock = Stock::from_settings(&settings, &aws).unwrap();
    let input: Input = serde_json::from_value(input()).unwrap();
    let request = Request::of(&input).unwrap();
    let started = Instant::now();
    let adopted = stock.adopt(&request, &Metrics::new(&"fr")).await;
    assert_eq!(adopted, None);
    assert!(started.elapsed() <= CALL, "{:?}", started.elapsed());
}

#[test]
fn without_a_table_there_is_no_stock() {
    let settings = Settings::from_pairs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("STOCK_FUNCTION", "keeper"),
    ]);
    let aws = aws::sdk_config(&settings, 1).unwrap();
    assert!(Pool::from_settings(&settings, &aws).is_none());
    assert!(Stock::from_settings(&settings, &aws).is_none());
}

#[test]
fn the_limit_is_the_one_that_was_decided_upon() {
    let answer = |waited| on_answer(Answer::Bell(Bell::Ring), waited);
    assert_eq!(answer(LIMIT), OnAnswer::Withdraw);
    let before = LIMIT.saturating_sub(Duration::from_millis(1));
    assert_eq!(answer(before), OnAnswer::LookAgain);
}

#[tokio::test]
async fn only_the_first_attempt_takes_a_warm_task_and_both_have_a_registration() {
    let mut stage = Stage::new().await;
    let world = World::new(full());
    stage.deps.stock = Some(world.stock());
    let job = stage
        .server
        .create_job(NewJob {
            repository: "octo/hello".into(),
            labels: vec!["linux".into(), "x64".into()],
            ..NewJob::default()
        })
        .unwrap();
    let mut order = input();
    order["order"]["job"]["installationId"] = json!(stage.installation());
    order["order"]["job"]["id"] = json!(job.id);
    let first = handle(&stage.deps, order.clone()).await.unwrap();
    assert_eq!(first.warm.unwrap().task_arn, TASK);
    let calls = world.calls();
    let mut made = vec!["ssm:PutParameter"; stage.puts().len()];
    made.extend(&calls);
    let listed = CALLS.iter().filter(|(who, _)| *who == "token");
    let listed: Vec<_> = listed.map(|(_, call)| *call).collect();
    assert_eq!(made, listed);

    order["runner"]["name"] = json!("fr-hello-4242-a2");
    order["attempt"] = json!({
        "number": 2, "faults": 0, "refusals": 0, "unpicked": 0, "capacityStep": 0, "subnetStep": 0
    });
    let second = handle(&stage.deps, order).await.unwrap();
    assert_eq!(second.warm, None);
    assert_eq!(world.calls(), calls);
    assert_eq!(stage.puts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn jobs_that_look_at_the_same_time_spread_over_the_stock() {
    let mut slots = BTreeSet::new();
    for id in 0..32_u64 {
        let world = World::new(full());
        let mut input: Input = serde_json::from_value(input()).unwrap();
        input.order.job.id = JobId(40_000_000_000 + id);
        input.matched.as_mut().unwrap().definition.warm = Some(Warm {
            slots: 4,
            spot: false,
            max_per_repository: None,
        });
        let request = Request::of(&input).unwrap();
        let adopted = world.stock().adopt(&request, &Metrics::new(&"fr")).await;
        assert!(adopted.is_some());
        let left: BTreeSet<_> = world
            .0
            .lock()
            .unwrap()
            .tickets
            .iter()
            .map(|t| t.slot)
            .collect();
        slots.extend((0..4).filter(|slot| !left.contains(slot)));
    }
    assert_eq!(slots.len(), 4);
}
