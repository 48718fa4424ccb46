//! Translates faults: into an order for the engine or GitHub, or an action on a task, execution or
//! runner.

use std::time::Duration;

use github_standin::{
    DeletionNotice, DeliveryFault, DeliveryFaultKind, Fault, FaultKind, ListenerFault, Settings,
};
use serde_json::{Value, json};

use crate::schedule::{ChaosFault, PlannedFault};
use crate::site::PREFIX;

/// How to cause a fault.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// An order for the engine.
    Engine(Value),
    /// An order for GitHub's API.
    GitHub(Fault),
    /// An order for GitHub's webhooks.
    Webhook(DeliveryFault),
    /// A single action, on something that exists by then.
    Deed(Deed),
    /// A condition for everything, for this long.
    Spell(Spell, Duration),
}

/// A single action on a task, an execution or a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Kills the task of a runner without a job.
    KillIdle,
    /// Kills the task of a runner with a job.
    KillBusy,
    /// Interrupts a task as Spot does.
    Interrupt,
    /// Interrupts the task of a runner with a job as Spot does.
    InterruptBusy,
    /// Aborts an execution.
    Abort,
    /// Times an execution out.
    TimeOut,
    /// Consumes a listening runner's registration.
    Ghost,
    /// Kills a task in stock.
    KillWaiting,
    /// Interrupts a task in stock as Spot does.
    InterruptWaiting,
    /// Stops the processes of a task in stock, and lets them go on after this time.
    Hang(Duration),
    /// Registers a runner's task definition once more.
    Upgrade,
}

/// A temporary condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spell {
    /// GitHub assigns no jobs.
    AssigningStops,
    /// A runner learns of its job [`GAP`] after the assignment, and GitHub allows its deletion
    /// until then.
    DeleteInGap,
    /// GitHub shows runners with a job as idle.
    BusyUnseen,
    /// GitHub deletes runners that idle for [`DROPPED_AFTER`], and answers 404 about them
    /// afterwards.
    IdleDropped,
    /// Listeners that connect hang after their job.
    ListenersHang,
    /// Task events are [`LATE`] seconds late.
    EventsLate,
    /// Task events arrive twice.
    EventsTwice,
    /// A task's earlier events arrive after the event of its end.
    EventsOutOfOrder,
}

/// How to start and end a condition.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Changes GitHub's settings.
    GitHub(fn(&mut Settings, bool)),
    /// Changes the engine's switches.
    Engine(Value),
}

impl Spell {
    /// How to start or end it.
    pub fn turn(self, on: bool) -> Turn {
        let switch = |name: &str, value: Value| Turn::Engine(json!({ name: value }));
        match self {
            Self::AssigningStops => Turn::GitHub(|settings, on| settings.assigning = !on),
            Self::DeleteInGap => {
                Turn::GitHub(|settings, on| settings.assignment_gap_ms = if on { GAP } else { 0 })
            }
            Self::BusyUnseen => Turn::GitHub(|settings, on| settings.busy_unseen = on),
            Self::IdleDropped => Turn::GitHub(|settings, on| {
                settings.idle_limit_ms = on.then_some(DROPPED_AFTER);
                settings.deletion_notice = if on {
                    DeletionNotice::NotFound
                } else {
                    DeletionNotice::Revoked
                };
            }),
            Self::ListenersHang => Turn::GitHub(|settings, on| {
                settings.listener = if on {
                    ListenerFault::HangsAfterJob
                } else {
                    ListenerFault::None
                };
            }),
            Self::EventsLate => switch("events-late", json!(if on { LATE } else { 0 })),
            Self::EventsTwice => switch("events-twice", json!(on)),
            Self::EventsOutOfOrder => switch("events-out-of-order", json!(on)),
        }
    }
}

/// Duration of a condition, which is repeated up to three times.
const SPELL: Duration = Duration::from_secs(4);
/// Time from a job's assignment until its runner learns of it, in milliseconds. Long enough for a
/// sweep.
const GAP: u64 = 5_000;
/// An idle runner is deleted after this many milliseconds.
const DROPPED_AFTER: u64 = 3_000;

/// A call of the deployment: service, operation, and a part of its request. The part excludes calls
/// of the run itself, which must not meet these faults.
type Call = (&'static str, &'static str, &'static str);

/// Calls that may be rejected.
const CALLS: [Call; 12] = [
    ("states", "StartExecution", ""),
    ("states", "DescribeExecution", ""),
    ("states", "GetExecutionHistory", "reverseOrder"),
    ("states", "ListExecutions", "maxResults"),
    ("ecs", "RunTask", ""),
    ("ecs", "StopTask", ""),
    ("ecs", "ListTasks", "desiredStatus"),
    ("ecs", "DescribeTasks", "include"),
    ("ssm", "PutParameter", "/runners/"),
    ("ssm", "GetParameter", "/runners/"),
    ("ssm", "DeleteParameter", "/runners/"),
    ("lambda", "Invoke", "functions/chaos-cleanup"),
];
/// Modifying calls of functions and agents, whose response may be lost.
const CHANGES: [Call; 5] = [
    ("states", "StartExecution", ""),
    ("ecs", "StopTask", ""),
    ("ssm", "PutParameter", "/runners/"),
    ("ssm", "DeleteParameter", "/runners/"),
    ("lambda", "Invoke", "functions/chaos-cleanup"),
];
/// Modifying calls about warm tasks: of `token`, the keeper, the agents, the state machine, `cleanup` and
/// `sweep`.
const POOL_WRITES: [Call; 10] = [
    CLAIM,
    RING,
    ("dynamodb", "PutItem", "slot#"),
    ("dynamodb", "PutItem", r#""leave""#),
    ("dynamodb", "PutItem", r#""token""#),
    ("dynamodb", "UpdateItem", ":taken"),
    ("dynamodb", "UpdateItem", ":leave"),
    ("dynamodb", "UpdateItem", ":task"),
    ("dynamodb", "UpdateItem", "slot#"),
    ("dynamodb", "DeleteItem", ":id"),
];
const CLAIM: Call = ("dynamodb", "DeleteItem", ":ready");
const RING: Call = ("dynamodb", "PutItem", r#""ring""#);
/// The other calls of the table.
const POOL_READS: [Call; 2] = [
    ("dynamodb", "GetItem", "ConsistentRead"),
    ("dynamodb", "Query", ":pk"),
];
/// What tells an execution of its warm task's end.
const TOLD: [Call; 2] = [
    ("states", "SendTaskSuccess", ""),
    ("states", "SendTaskFailure", ""),
];
/// Each call for the table that has a key; the run itself only scans.
const TABLE: Call = ("dynamodb", "*", r#"pk""#);
/// `token`'s call of the keeper. The run calls it as its schedule does.
const KEEPER: Call = ("lambda", "Invoke", r#"chaos-stock/invocations {"family"#);
/// More calls than there are while a table is down.
const EVERY_CALL: u32 = 1_000_000;
/// Claims or rings that are refused in a row, times the number of the fault. More of them would leave no warm starts.
const REFUSED: u32 = 2;
/// How DynamoDB throttles a table on demand ([errors]).
///
/// [errors]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
const THROTTLES: [&str; 2] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
];

/// The functions that the state machine calls.
const FUNCTIONS: [&str; 4] = ["match", "launch", "token", "cleanup"];
/// Routes of GitHub's API: method, and a part of the path.
const ROUTES: [(&str, &str); 6] = [
    ("POST", "generate-jitconfig"),
    ("GET", "/actions/jobs/"),
    ("GET", "/actions/runners"),
    ("DELETE", "/actions/runners/"),
    ("POST", "/access_tokens"),
    ("GET", "/hook/deliveries"),
];
/// The modifying ones of these.
const CHANGING_ROUTES: [(&str, &str); 2] = [
    ("POST", "generate-jitconfig"),
    ("DELETE", "/actions/runners/"),
];
/// Actions of webhooks other than `queued`.
const ACTIONS: [&str; 2] = ["in_progress", "completed"];
/// Statuses that Lambda returns instead of `verify`
/// ([errors](https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors)).
pub const FRONT_DOOR: [u16; 3] = [403, 408, 429];
/// RunTask's messages if EC2 throttles ECS's own look-ups (`AllenInstitute/neuron_morphology` #155,
/// dagster #33439).
const EC2_THROTTLES: [&str; 2] = [
    "Error retrieving security group information for [sg-1]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)",
    "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
];
/// RunTask's messages if there is no room ([service quotas], [capacity]).
///
/// [service quotas]: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
/// [capacity]: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
const NO_ROOM: [(&str, &str); 2] = [
    (
        "ClientException",
        "You've reached the limit on the number of tasks you can run concurrently",
    ),
    (
        "AmazonECSException",
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
    ),
];
/// Delay in seconds.
const LATE: u64 = 4;
/// The same for a webhook about a runner's job: most jobs, and their runners, have ended by then.
const TOLD_LATE: u64 = 8;

/// Translates a planned fault.
pub fn order(fault: &PlannedFault) -> Order {
    let PlannedFault {
        kind, whom, times, ..
    } = *fault;
    match kind {
        ChaosFault::AwsThrottled => {
            let call = one_of(&CALLS, whom);
            let error = match call.0 {
                "lambda" => "TooManyRequestsException",
                _ => "ThrottlingException",
            };
            refusal(call, json!({ "error": error, "status": 400 }), times)
        }
        ChaosFault::AwsFails => {
            let call = one_of(&CALLS, whom);
            let error = match call.0 {
                "ecs" => "ServerException",
                "lambda" => "ServiceException",
                _ => "InternalServerError",
            };
            refusal(call, json!({ "error": error, "status": 500 }), times)
        }
        ChaosFault::AwsAnswerLost => {
            let lost = json!({ "effect": "lost", "error": "InternalServerError", "status": 500 });
            refusal(one_of(&CHANGES, whom), lost, times)
        }
        ChaosFault::AwsSlow => {
            let late = json!({ "effect": "delay", "seconds": LATE });
            refusal(one_of(&CALLS, whom), late, times)
        }
        ChaosFault::FunctionCrashes => {
            invocation(whom, json!({ "error": "Runtime.ExitError" }), times)
        }
        ChaosFault::FunctionTimesOut => {
            let lost = json!({ "effect": "lost", "error": "Sandbox.Timedout" });
            invocation(whom, lost, times)
        }
        ChaosFault::NoCapacity => run_task("capacity", times),
        ChaosFault::TaskNeverStarts => run_task("never-starts", times),
        ChaosFault::GitHubThrottles => {
            let refused = FaultKind::Status {
                status: 429,
                message: None,
                retry_after: Some(LATE),
            };
            github(Fault::new(refused), &ROUTES, whom, times)
        }
        ChaosFault::GitHubRateLimits => {
            let limited = FaultKind::RateLimited { reset_seconds: 20 };
            github(Fault::new(limited), &ROUTES, whom, times)
        }
        ChaosFault::GitHubFails => github(Fault::new(bad_gateway()), &ROUTES, whom, times),
        ChaosFault::GitHubAnswerLost => github(
            Fault::new(bad_gateway()).after(),
            &CHANGING_ROUTES,
            whom,
            times,
        ),
        ChaosFault::GitHubSlow => {
            let milliseconds = LATE * 1_000;
            github(
                Fault::new(FaultKind::Slow { milliseconds }),
                &ROUTES,
                whom,
                times,
            )
        }
        ChaosFault::GitHubDisconnects => {
            github(Fault::new(FaultKind::Disconnect), &ROUTES, whom, times)
        }
        ChaosFault::WebhookLost => webhook(DeliveryFaultKind::Fail { status: 502 }, whom, times),
        ChaosFault::WebhookDuplicated => {
            webhook(DeliveryFaultKind::Duplicate { copies: 1 }, whom, times)
        }
        ChaosFault::WebhookLate => {
            let milliseconds = LATE * 1_000;
            webhook(DeliveryFaultKind::Delay { milliseconds }, whom, times)
        }
        ChaosFault::WebhookRefused => {
            // The other half of the number selects the webhook.
            let status = one_of(&FRONT_DOOR, whom / ACTIONS.len());
            webhook(DeliveryFaultKind::Fail { status }, whom, times)
        }
        ChaosFault::TaskKilledIdle => Order::Deed(Deed::KillIdle),
        ChaosFault::TaskKilledBusy => Order::Deed(Deed::KillBusy),
        ChaosFault::SpotInterruption => Order::Deed(Deed::Interrupt),
        ChaosFault::JobInterrupted => Order::Deed(Deed::InterruptBusy),
        ChaosFault::TakingLost => {
            let fault = DeliveryFault::new(DeliveryFaultKind::Fail { status: 500 });
            Order::Webhook(fault.on(ACTIONS[0]).times(times))
        }
        ChaosFault::TakingLate => {
            let milliseconds = TOLD_LATE * 1_000;
            let fault = DeliveryFault::new(DeliveryFaultKind::Delay { milliseconds });
            Order::Webhook(fault.on(ACTIONS[0]).times(times))
        }
        ChaosFault::ExecutionAborted => Order::Deed(Deed::Abort),
        ChaosFault::ExecutionTimesOut => Order::Deed(Deed::TimeOut),
        ChaosFault::RunnerGhosted => Order::Deed(Deed::Ghost),
        ChaosFault::JobNotFound => {
            let fault = Fault::new(not_found()).on("GET", "/actions/jobs/");
            Order::GitHub(fault.times(3 * times))
        }
        ChaosFault::RepositoryNotFound => {
            let fault = Fault::new(not_found()).on("GET", "/repos/");
            Order::GitHub(fault.times(4 * times))
        }
        ChaosFault::RunnerNotFound => {
            let fault = Fault::new(not_found()).on("DELETE", "/actions/runners/");
            Order::GitHub(fault.times(times))
        }
        ChaosFault::AssigningStops => Order::Spell(Spell::AssigningStops, SPELL * times),
        ChaosFault::DeleteInGap => Order::Spell(Spell::DeleteInGap, SPELL * times),
        ChaosFault::BusyUnseen => Order::Spell(Spell::BusyUnseen, SPELL * times),
        ChaosFault::IdleDropped => Order::Spell(Spell::IdleDropped, SPELL * times),
        ChaosFault::ListenersHang => Order::Spell(Spell::ListenersHang, SPELL * times),
        ChaosFault::EventsLate => Order::Spell(Spell::EventsLate, SPELL * times),
        ChaosFault::EventsTwice => Order::Spell(Spell::EventsTwice, SPELL * times),
        ChaosFault::EventsOutOfOrder => Order::Spell(Spell::EventsOutOfOrder, SPELL * times),
        ChaosFault::ListenersRefused => {
            let fault = Fault::new(status(503)).on("POST", "/_runner/sessions");
            Order::GitHub(fault.times(times))
        }
        ChaosFault::Ec2Throttles => {
            let message = one_of(&EC2_THROTTLES, whom);
            refused_task("InvalidParameterException", message, times)
        }
        ChaosFault::TableThrottles => {
            let throttled = json!({ "error": one_of(&THROTTLES, whom), "status": 400 });
            refusal(
                one_of(&pool_calls(), whom / THROTTLES.len()),
                throttled,
                times,
            )
        }
        ChaosFault::TableFails => refusal(one_of(&pool_calls(), whom), fails(), times),
        ChaosFault::TableAnswerLost => {
            let lost = json!({ "effect": "lost", "error": "InternalServerError", "status": 500 });
            refusal(
                one_of(&[&POOL_WRITES[..], &TOLD].concat(), whom),
                lost,
                times,
            )
        }
        ChaosFault::TableSlow => {
            let late = json!({ "effect": "delay", "seconds": LATE });
            refusal(one_of(&pool_calls(), whom), late, times)
        }
        ChaosFault::TableDown => {
            let mut down = fails();
            down["lasts"] = json!((SPELL * times).as_secs());
            refusal(TABLE, down, EVERY_CALL)
        }
        ChaosFault::ClaimsRefused => refusal(CLAIM, fails(), REFUSED * times),
        ChaosFault::RingsRefused => {
            let call = one_of(&[RING, ("ecs", "TagResource", "")], whom);
            refusal(call, json!({ "status": 400 }), REFUSED * times)
        }
        ChaosFault::KeeperRefused => {
            let refused = json!({ "error": "TooManyRequestsException", "status": 429 });
            refusal(KEEPER, refused, REFUSED * times)
        }
        ChaosFault::WaitingTaskKilled => Order::Deed(Deed::KillWaiting),
        ChaosFault::WaitingTaskInterrupted => Order::Deed(Deed::InterruptWaiting),
        ChaosFault::WaitingTaskHangs => Order::Deed(Deed::Hang(SPELL * times)),
        ChaosFault::NewRevision => Order::Deed(Deed::Upgrade),
        ChaosFault::NoRoom => {
            let (error, message) = one_of(&NO_ROOM, whom);
            refused_task(error, message, times)
        }
    }
}

fn fails() -> Value {
    json!({ "error": "InternalServerError", "status": 500 })
}

/// Every call of the table that may be rejected.
fn pool_calls() -> Vec<Call> {
    [&POOL_WRITES[..], &POOL_READS].concat()
}

fn one_of<T: Copy>(items: &[T], whom: usize) -> T {
    items[whom % items.len()]
}

fn refusal((service, operation, text): Call, mut effect: Value, times: u32) -> Order {
    effect["service"] = json!(service);
    effect["operation"] = json!(operation);
    effect["match"] = json!(text);
    effect["times"] = json!(times);
    Order::Engine(effect)
}

/// An invocation by the state machine, which calls published versions.
fn invocation(whom: usize, mut effect: Value, times: u32) -> Order {
    let function = one_of(&FUNCTIONS, whom);
    effect["service"] = json!("lambda");
    effect["operation"] = json!("Invoke");
    effect["match"] = json!(format!(":function:{PREFIX}-{function}:"));
    effect["times"] = json!(times);
    Order::Engine(effect)
}

fn run_task(effect: &str, times: u32) -> Order {
    refusal(("ecs", "RunTask", ""), json!({ "effect": effect }), times)
}

fn github(fault: Fault, routes: &[(&str, &str)], whom: usize, times: u32) -> Order {
    let (method, path) = one_of(routes, whom);
    Order::GitHub(fault.on(method, path).times(times))
}

fn bad_gateway() -> FaultKind {
    status(502)
}

fn not_found() -> FaultKind {
    status(404)
}

fn status(status: u16) -> FaultKind {
    FaultKind::Status {
        status,
        message: None,
        retry_after: None,
    }
}

fn refused_task(error: &str, message: &str, times: u32) -> Order {
    let effect = json!({ "error": error, "message": message, "status": 400 });
    refusal(("ecs", "RunTask", ""), effect, times)
}

fn webhook(kind: DeliveryFaultKind, whom: usize, times: u32) -> Order {
    let action = one_of(&ACTIONS, whom);
    Order::Webhook(DeliveryFault::new(kind).on(action).times(times))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of(kind: ChaosFault, whom: usize) -> Order {
        order(&PlannedFault {
            at: Duration::ZERO,
            kind,
            whom,
            times: 2,
        })
    }

    #[test]
    fn no_fault_meets_the_run_itself() {
        let further = [&ChaosFault::OF_POOL[..], &ChaosFault::OF_RERUNS].concat();
        for kind in ChaosFault::ALL.into_iter().chain(further) {
            for whom in 0..CALLS.len() * pool_calls().len() {
                let Order::Engine(order) = of(kind, whom) else {
                    continue;
                };
                let text = order["match"].as_str().unwrap();
                let ours = [
                    ("ListTasks", r#"{"cluster":"chaos"}"#),
                    ("DescribeTasks", r#"{"cluster":"chaos","tasks":[]}"#),
                    (
                        "ListExecutions",
                        r#"{"stateMachineArn":"","statusFilter":"RUNNING"}"#,
                    ),
                    (
                        "GetParametersByPath",
                        r#"{"Path":"/chaos/runners","Recursive":true}"#,
                    ),
                    ("Invoke", "/2015-03-31/functions/chaos-sweep/invocations {}"),
                    ("Invoke", "/2015-03-31/functions/chaos-stock/invocations {}"),
                    ("Scan", r#"{"TableName":"chaos-stock"}"#),
                    (
                        "DescribeTaskDefinition",
                        r#"{"taskDefinition":"chaos-small","include":["TAGS"]}"#,
                    ),
                    ("RegisterTaskDefinition", r#"{"family":"chaos-small"}"#),
                ];
                for (operation, request) in ours {
                    let meant = order["operation"] == operation || order["operation"] == "*";
                    let met = meant && request.contains(text);
                    assert!(!met, "{order} meets {request}");
                }
            }
        }
    }

    #[test]
    fn an_announcement_is_never_met_by_a_fault_that_is_not_its_own() {
        for kind in [
            ChaosFault::WebhookLost,
            ChaosFault::WebhookRefused,
            ChaosFault::TakingLost,
            ChaosFault::TakingLate,
        ] {
            for whom in 0..ACTIONS.len() {
                let Order::Webhook(fault) = of(kind, whom) else {
                    panic!("it is a webhook's");
                };
                assert_ne!(fault.action.as_deref(), Some("queued"));
            }
        }
    }

    #[test]
    fn the_front_door_refuses_each_webhook_in_each_way() {
        let seen: BTreeSet<String> = (0..ACTIONS.len() * FRONT_DOOR.len())
            .map(|whom| format!("{:?}", of(ChaosFault::WebhookRefused, whom)))
            .collect();
        assert_eq!(seen.len(), ACTIONS.len() * FRONT_DOOR.len());
    }

    #[test]
    fn after_a_spell_everything_is_as_before() {
        let mut spells = BTreeSet::new();
        for kind in ChaosFault::ALL {
            let Order::Spell(spell, length) = of(kind, 0) else {
                continue;
            };
            assert!(spells.insert(spell), "{kind} is another kind's spell, too");
            assert!(length <= 3 * SPELL);
            match (spell.turn(true), spell.turn(false)) {
                (Turn::GitHub(on), Turn::GitHub(off)) => {
                    let mut settings = Settings::default();
                    on(&mut settings, true);
                    assert_ne!(settings, Settings::default(), "{spell:?} changes nothing");
                    off(&mut settings, false);
                    assert_eq!(settings, Settings::default(), "{spell:?}");
                }
                (Turn::Engine(on), Turn::Engine(off)) => assert_ne!(on, off),
                other => panic!("{spell:?} is turned off elsewhere: {other:?}"),
            }
        }
        assert_eq!(spells.len(), 8);
    }
}
