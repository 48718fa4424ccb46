//! Warm tasks: a job starts on a task that runs already, and every failure of the pool is a cold
//! start.
//!
//! Each test begins with a full stock: two tasks that wait, without a runner at GitHub.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use decisions::AgentExit;
use github_standin::{Job, JobStatus};
use local_stack::{Execution, Plan, Visit};
use protocol::State;
use reqwest::Method;
use serde_json::{Value, json};

use crate::happy::{aws_calls, latest_call};
use crate::harness::{Harness, LIMIT, Site, assert_succeeded, deployed, run, script};
use crate::recovery::{end_task, sweep};

/// Size of the stock.
const WANTED: usize = 2;
/// Jobs at once, and the size of the stock that they meet.
const CROWD: usize = 40;
const CROWD_STOCK: usize = 8;
/// Older than a ticket may get, in seconds: the default is six hours.
const TOO_OLD: u64 = 7 * 60 * 60;
/// A throttled table. Every SDK repeats such a call, so there are enough of them for all attempts.
const THROTTLED: &str = "ProvisionedThroughputExceededException";
const MANY: u32 = 1_000;

/// The states of a job on a warm task.
const WARM: [State; 6] = [
    State::Match,
    State::Launch,
    State::Token,
    State::Start,
    State::WarmRunner,
    State::Cleanup,
];
/// The states of a job in the same deployment whose task RunTask starts.
const COLD: [State; 6] = [
    State::Match,
    State::Launch,
    State::Token,
    State::Start,
    State::Runner,
    State::Cleanup,
];

/// A ticket of the stock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ticket {
    id: String,
    state: String,
    task: String,
    revision: u64,
}

/// The stock of a deployment.
struct Stock<'a> {
    harness: &'a Harness,
    site: &'a Site,
}

impl<'a> Stock<'a> {
    /// The stock of the deployment with warm tasks, full and without a memory of failed starts.
    async fn full(harness: &'a Harness) -> Self {
        let site = harness.warm().await;
        let stock = Self { harness, site };
        stock.is_full().await;
        stock
    }

    /// Waits until the stock is full, and returns its tickets.
    async fn is_full(&self) -> Vec<Ticket> {
        self.is_full_of(WANTED).await
    }

    async fn is_full_of(&self, wanted: usize) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        let full = self
            .site
            .observer
            .wait(LIMIT, async || {
                tickets = self.tickets().await;
                let ready = tickets.iter().filter(|ticket| ticket.state == "ready");
                if ready.count() == wanted {
                    return Ok(Some(()));
                }
                // Nothing is started for a while after a failed start; here many tasks fail.
                self.forget("keeper").await;
                self.tick().await;
                Ok(None)
            })
            .await
            .unwrap();
        assert!(full.is_some(), "{tickets:?}");
        tickets
    }

    /// Calls the keeper, as its schedule does every minute. It may fail: the next call tries again.
    async fn tick(&self) {
        let function = format!("{}-stock", self.site.observer.prefix);
        let _ = self.site.observer.aws.invoke(&function, json!({})).await;
    }

    fn table(&self) -> String {
        format!("{}-stock", self.site.observer.prefix)
    }

    /// All items of the table whose sort key begins so.
    async fn items(&self, sort_key: &str) -> Vec<Value> {
        let input = json!({ "TableName": self.table(), "ConsistentRead": true });
        let aws = &self.site.observer.aws;
        let found = aws.dynamodb("Scan", input).await.unwrap();
        let items = found["Items"].as_array().cloned().unwrap_or_default();
        let begins = |item: &Value| {
            let key = item["sk"]["S"].as_str().unwrap_or_default();
            key.starts_with(sort_key)
        };
        items.into_iter().filter(begins).collect()
    }

    async fn tickets(&self) -> Vec<Ticket> {
        let text = |value: &Value| value["S"].as_str().unwrap_or_default().to_owned();
        let tickets = self.items("slot#").await;
        let ticket = |item: &Value| Ticket {
            id: text(&item["id"]),
            state: text(&item["state"]),
            task: text(&item["taskArn"]),
            revision: item["revision"]["N"].as_str().unwrap().parse().unwrap(),
        };
        tickets.iter().map(ticket).collect()
    }

    /// Deletes the items whose sort key begins so.
    async fn forget(&self, sort_key: &str) {
        for item in self.items(sort_key).await {
            let key = json!({ "pk": item["pk"], "sk": item["sk"] });
            let input = json!({ "TableName": self.table(), "Key": key });
            let aws = &self.site.observer.aws;
            aws.dynamodb("DeleteItem", input).await.unwrap();
        }
    }

    /// Makes the tickets older than they may get.
    async fn ages(&self) {
        let aged = json!({ "match": "stock#", "seconds": TOO_OLD });
        self.harness.control(Method::POST, "/ages", aged).await;
    }

    /// What a task's bell says.
    async fn bell(&self, ticket: &Ticket) -> Option<String> {
        let key = json!({ "pk": { "S": format!("bell#{}", ticket.id) }, "sk": { "S": "bell" } });
        let input = json!({ "TableName": self.table(), "Key": key, "ConsistentRead": true });
        let aws = &self.site.observer.aws;
        let found = aws.dynamodb("GetItem", input).await.unwrap();
        found["Item"]["what"]["S"].as_str().map(str::to_owned)
    }

    /// The end of a task: its agent's exit.
    async fn exit(&self, task: &str) -> AgentExit {
        self.site.task_is_gone(task).await;
        // A task leaves the list as soon as its stop begins; its container ends later.
        let input = json!({ "cluster": self.site.observer.cluster, "tasks": [task] });
        let observer = &self.site.observer;
        let ended = observer.wait(LIMIT, async || {
            let found = observer.aws.ecs("DescribeTasks", input.clone()).await?;
            Ok(found["tasks"][0]["containers"][0]["exitCode"].as_i64())
        });
        let code = ended.await.unwrap();
        let code = code.and_then(|code| i32::try_from(code).ok());
        AgentExit::from_code(code.unwrap_or_else(|| panic!("{task} does not end"))).unwrap()
    }

    /// Sends a task's processes a signal: `pause` or `resume`.
    async fn signal(&self, tickets: &[Ticket], how: &str) {
        for ticket in tickets {
            end_task(self.harness, &ticket.task, how).await;
        }
    }

    async fn order(&self, fault: Value) {
        self.harness.control(Method::POST, "/faults", fault).await;
    }

    /// Withdraws all faults. The test has the engine to itself.
    async fn no_faults(&self) {
        self.harness
            .control(Method::DELETE, "/faults", json!({}))
            .await;
    }

    /// Waits until a fault has met so many calls.
    async fn is_met(&self, operation: &str, times: u64) {
        let met = self
            .site
            .observer
            .wait(LIMIT, async || {
                let path = "/faults";
                let faults = self.harness.control(Method::GET, path, json!({})).await;
                let hits = faults["faults"].as_array().into_iter().flatten();
                let hits = hits.filter(|fault| fault["operation"] == operation);
                let hits: u64 = hits.filter_map(|fault| fault["hits"].as_u64()).sum();
                Ok((hits >= times).then_some(()))
            })
            .await
            .unwrap();
        assert!(met.is_some(), "no call of {operation}");
    }

    /// Has Lambda throttle the state machine's calls of a function, which it repeats; the function.
    async fn holds(&self, function: &str) -> String {
        let function = format!("{}-{function}", self.site.observer.prefix);
        let fault = json!({
            "service": "lambda",
            "operation": "Invoke",
            "match": function,
            "error": "TooManyRequestsException",
            "times": MANY,
        });
        self.harness.control(Method::POST, "/faults", fault).await;
        function
    }

    /// Ends that.
    async fn lets_go(&self, function: &str) {
        let path = format!("/faults?match={function}");
        self.harness.control(Method::DELETE, &path, json!({})).await;
    }

    /// Waits until `verify` has noted that a job has ended.
    async fn is_noted(&self, job: &Job) {
        let of_job = format!("#{}", job.id);
        let noted = self
            .site
            .observer
            .wait(LIMIT, async || {
                let notes = self.items("note").await;
                let mut keys = notes.iter().filter_map(|item| item["pk"]["S"].as_str());
                Ok(keys.any(|key| key.ends_with(&of_job)).then_some(()))
            })
            .await
            .unwrap();
        assert!(noted.is_some(), "no note of job {}", job.id);
    }

    /// Runs a job to its end, and leaves nothing of it.
    async fn serves(&self, repository: &str) -> Execution {
        let (job, execution) = self.site.run(script(repository, "echo hello")).await;
        self.is_served(&job, &execution).await;
        execution
    }

    async fn is_served(&self, job: &Job, execution: &Execution) {
        assert_succeeded(execution);
        let job = self.site.job(job);
        assert_eq!(job.conclusion.as_deref(), Some("success"), "{job:?}");
        assert_eq!(job.output.trim(), "hello");
        self.site.nothing_left_of(&job).await;
    }
}

fn states(execution: &Execution) -> Vec<&str> {
    let visits = execution.visits.iter();
    visits.map(|visit| visit.state.as_str()).collect()
}

#[track_caller]
fn assert_states(execution: &Execution, expected: [State; 6]) {
    let expected = expected.map(State::as_str);
    assert_eq!(states(execution), expected, "{:#?}", execution.visits);
}

fn visit(execution: &Execution, state: State) -> Option<&Visit> {
    let mut visits = execution.visits.iter();
    visits.find(|visit| visit.state == state.as_str())
}

/// A job that ends when a file exists, so that a test decides when.
struct Held {
    _directory: tempfile::TempDir,
    end: PathBuf,
    script: String,
}

impl Held {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let end = directory.path().join("end");
        let script = format!(
            "for i in $(seq 1200); do test -e {} && {{ echo hello; exit; }}; sleep 0.1; done; exit 1",
            end.display()
        );
        Self {
            _directory: directory,
            end,
            script,
        }
    }

    fn release(&self) {
        fs::write(&self.end, "").unwrap();
    }
}

#[test]
fn a_job_takes_a_warm_task_in_six_states_with_one_call_at_github_and_the_stock_is_filled_again() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let github = &stock.site.deployment.github;
        // Fills the caches.
        stock.serves("octo/warm").await;
        let before = stock.is_full().await;
        assert!(github.runners().is_empty(), "a waiting task is registered");
        github.clear_requests();
        let since = latest_call(harness).await;

        let cleanup = stock.holds("cleanup").await;
        let job = stock.site.queue(script("octo/warm", "env; echo hello"));
        stock.is_noted(&job).await;
        stock.lets_go(&cleanup).await;
        let execution = stock.site.ended(&job).await;
        assert_states(&execution, WARM);
        assert_succeeded(&execution);
        let counts = github.request_counts();
        let calls: Vec<_> = counts
            .iter()
            .map(|(route, count)| format!("{count} {route}"))
            .collect();
        assert_eq!(
            calls,
            ["1 POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig"]
        );
        let summary = stock.site.job(&job).summary;
        for said in ["| Waited in the queue |", "s, a warm task |", "| Ran for |"] {
            assert!(summary.contains(said), "{summary}");
        }
        println!("{summary}");
        let output = stock.site.job(&job).output;
        assert!(output.contains("AWS_REGION="), "{output}");
        for ticket in &before {
            assert!(!output.contains(&ticket.id), "{output}");
        }
        assert!(!output.contains("AGENT_"), "{output}");

        let task = execution.adopted().expect("an adopted task");
        let ticket = before.iter().find(|ticket| ticket.task == task).unwrap();
        assert_eq!(stock.bell(ticket).await.as_deref(), Some("taken"));
        assert_eq!(stock.exit(&task).await, AgentExit::RanJob);
        let after = stock.is_full().await;
        let kept = |one: &&Ticket| before.contains(*one);
        assert_eq!(after.iter().filter(kept).count(), WANTED - 1, "{after:?}");
        stock.site.nothing_left_of(&job).await;
        assert!(github.runners().is_empty(), "{:?}", github.runners());
        is_granted(harness, since).await;
    });
}

/// A waiting task looks at its bell twice a second whether a job comes or not, and `token` looks until
/// the task has answered: one or several times. The keeper's calls are for the task that follows.
#[test]
fn a_warm_job_takes_these_calls_at_aws() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        // Fills the caches.
        stock.serves("octo/counted").await;
        stock.is_full().await;
        let deployment = &stock.site.deployment;
        assert!(deployment.github.wait_for_deliveries(LIMIT).await);
        let before = latest_call(harness).await;
        // A job that is over before the execution waits for it takes a call more.
        let held = Held::new();
        let job = stock.site.queue(script("octo/counted", &held.script));
        let task = adopted(&stock, &stock.site.name(&job)).await;
        held.release();
        let execution = stock.site.ended(&job).await;
        assert_states(&execution, WARM);
        stock.is_served(&job, &execution).await;
        stock.site.task_is_gone(&task).await;
        assert!(deployment.github.wait_for_deliveries(LIMIT).await);
        let calls = aws_calls(harness, stock.site, before, &task).await;
        let (looks, calls): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .filter(|call| !call.contains(" stock "))
            .partition(|call| call.ends_with("dynamodb:GetItem"));
        assert_eq!(
            looks.len(),
            3,
            "of the agent's and token's bell, and cleanup's note: {looks:?}"
        );
        assert_eq!(
            calls,
            [
                "1 agent dynamodb:UpdateItem",
                "1 agent ssm:DeleteParameter",
                "1 agent ssm:GetParameter",
                "2 cleanup dynamodb:UpdateItem",
                "1 cleanup states:SendTaskSuccess",
                "1 state machine dynamodb:PutItem",
                "4 state machine lambda:Invoke",
                "1 token dynamodb:DeleteItem",
                "1 token dynamodb:PutItem",
                "1 token ecs:TagResource",
                "1 token lambda:Invoke",
                "1 token ssm:PutParameter",
                "1 verify dynamodb:PutItem",
                "1 verify states:StartExecution",
            ]
        );
    });
}

/// Asserts that no caller of the deployment lacked a permission since a call.
async fn is_granted(harness: &Harness, since: u64) {
    let path = format!("/calls?since={since}");
    let calls = harness.control(Method::GET, &path, json!({})).await;
    let denied: Vec<_> = calls["calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["denied"].as_str().is_some_and(|lack| !lack.is_empty()))
        .collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

#[test]
fn more_jobs_than_warm_tasks_are_served_at_once_and_none_twice() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let queue = || stock.site.queue(script("octo/crowd", "echo hello"));
        let jobs: Vec<_> = (0..5).map(|_| queue()).collect();
        let mut tasks = BTreeSet::new();
        let mut warm = 0;
        for job in &jobs {
            let execution = stock.site.ended(job).await;
            assert_succeeded(&execution);
            assert_eq!(stock.site.job(job).conclusion.as_deref(), Some("success"));
            warm += execution
                .visits
                .iter()
                .filter(|visit| visit.state == State::WarmRunner.as_str())
                .count();
            let cold = execution.visits.iter().filter_map(Visit::task);
            tasks.extend(cold.chain(execution.adopted()));
        }
        assert!(warm >= WANTED, "{warm} of {}", jobs.len());
        assert!(tasks.len() >= jobs.len(), "a task served two jobs");
        stock.site.retire_surplus_of(harness, &jobs).await;
        stock.is_full().await;
    });
}

/// Nothing here is about time: `cargo xtask bench warm` prints that, with a hundred jobs.
#[test]
fn of_forty_jobs_at_once_each_runs_once_and_the_whole_stock_is_taken() {
    run(async |harness| {
        let plan = Plan::new("crowd", "cr").with("warm", &CROWD_STOCK.to_string());
        let site = &deployed(&harness.engine, plan).await;
        let stock = Stock { harness, site };
        let before = stock.is_full_of(CROWD_STOCK).await;
        let github = &site.deployment.github;
        assert!(github.runners().is_empty(), "a waiting task is registered");

        let runs = tempfile::tempdir().unwrap();
        let queue = |number| {
            let file = runs.path().join(format!("{number}"));
            site.queue(script(
                "octo/crowd",
                &format!("echo run >> {}", file.display()),
            ))
        };
        let jobs: Vec<_> = (0..CROWD).map(queue).collect();
        let over = github.wait_for(LIMIT, |seen| {
            let job = |job: &Job| seen.job(job.id).map(|job| job.status);
            let mut jobs = jobs.iter();
            jobs.all(|one| job(one) == Some(JobStatus::Completed))
        });
        over.await.unwrap();
        // Jobs get each other's runners, so some runners wait in vain.
        site.retire_surplus_of(harness, &jobs).await;
        let mut served = BTreeSet::new();
        let mut warm = BTreeSet::new();
        for job in &jobs {
            let execution = site.ended(job).await;
            assert_succeeded(&execution);
            assert_eq!(site.job(job).conclusion.as_deref(), Some("success"));
            if let Some(task) = execution.adopted() {
                assert!(warm.insert(task.clone()), "{task} was adopted twice");
            }
            served.extend(site.job(job).runner);
        }
        assert_eq!(served.len(), CROWD, "a runner served two jobs");
        for number in 0..CROWD {
            let text = fs::read_to_string(runs.path().join(format!("{number}"))).unwrap();
            assert_eq!(text, "run\n", "job {number}");
        }
        for ticket in &before {
            let bell = stock.bell(ticket).await.unwrap_or_default();
            let taken = warm.contains(&ticket.task);
            // A task that the busy machine kept from answering in time was told to leave.
            assert_eq!(bell, if taken { "taken" } else { "leave" }, "{ticket:?}");
        }
        assert!(warm.len() >= CROWD_STOCK / 2, "{} warm starts", warm.len());
        stock.is_full_of(CROWD_STOCK).await;
        assert!(github.runners().is_empty(), "{:?}", github.runners());
        // The engine has other tests.
        let keeper = format!("{}-stock", site.observer.prefix);
        let aws = &site.observer.aws;
        aws.set_variable(&keeper, "STOCK", "[]").await.unwrap();
        stock.tick().await;
    });
}

#[test]
fn a_job_of_another_size_starts_cold_and_leaves_the_ready_tasks_to_others() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let ready = |tickets: Vec<Ticket>| -> BTreeSet<String> {
            tickets.into_iter().map(|ticket| ticket.task).collect()
        };
        let before = ready(stock.tickets().await);
        // Half of the definition's size, and the definition's own.
        for (label, states) in [("cpu-1", COLD), ("cpu-2", WARM)] {
            let mut new = script("octo/resized", "true");
            new.labels.push(label.to_owned());
            let (_, execution) = stock.site.run(new).await;
            assert_succeeded(&execution);
            assert_states(&execution, states);
            if label == "cpu-1" {
                assert_eq!(ready(stock.tickets().await), before);
            }
        }
        stock.is_full().await;
    });
}

#[test]
fn a_ticket_is_claimed_or_retired_but_never_both() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        // Long enough for the other side to act meanwhile.
        let delay = |service: &str, operation: &str, seconds: u8| {
            json!({
                "service": service, "operation": operation, "effect": "delay",
                "seconds": seconds, "times": WANTED,
            })
        };

        // The keeper is first: the claim, which follows the registration, finds none of these tasks.
        // It may find one that the keeper has started instead.
        let before = stock.is_full().await;
        stock.order(delay("ssm", "PutParameter", 2)).await;
        let job = stock.site.queue(script("octo/retired", "echo hello"));
        stock.is_met("PutParameter", 1).await;
        stock.ages().await;
        stock.tick().await;
        let execution = stock.site.ended(&job).await;
        stock.is_served(&job, &execution).await;
        for ticket in &before {
            assert_eq!(stock.exit(&ticket.task).await, AgentExit::Released);
            assert_eq!(stock.bell(ticket).await.as_deref(), Some("leave"));
        }
        stock.no_faults().await;

        // The claim is first: the keeper, which has read the tickets, leaves that task alone. The claim waits
        // until the keeper reads them, and the keeper until the claim is over.
        let before = stock.is_full().await;
        let held = Held::new();
        stock.order(delay("ssm", "PutParameter", 1)).await;
        stock.order(delay("ecs", "DescribeTasks", 3)).await;
        let job = stock.site.queue(script("octo/claimed", &held.script));
        stock.is_met("PutParameter", 1).await;
        stock.ages().await;
        let retires = stock.tick();
        let claims = async {
            stock.is_met("DescribeTasks", 1).await;
            stock.site.reaches(&job, JobStatus::InProgress).await;
            held.release();
            let execution = stock.site.ended(&job).await;
            stock.is_served(&job, &execution).await;
            execution
        };
        let ((), execution) = tokio::join!(retires, claims);
        assert_states(&execution, WARM);
        stock.no_faults().await;
        let task = execution.adopted();
        for ticket in &before {
            let served = Some(&ticket.task) == task.as_ref();
            let expected = if served {
                (AgentExit::RanJob, "taken")
            } else {
                (AgentExit::Released, "leave")
            };
            let bell = stock.bell(ticket).await.unwrap_or_default();
            assert_eq!((stock.exit(&ticket.task).await, bell.as_str()), expected);
        }
        stock.is_full().await;
    });
}

#[test]
fn a_task_that_does_not_answer_in_time_leaves_and_the_job_starts_cold() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let tickets = stock.is_full().await;
        stock.signal(&tickets, "pause").await;
        let execution = stock.serves("octo/hanging").await;
        assert_states(&execution, COLD);
        stock.signal(&tickets, "resume").await;
        let mut rung = 0;
        for ticket in &tickets {
            if stock.bell(ticket).await.as_deref() == Some("leave") {
                rung += 1;
                stock.site.task_is_gone(&ticket.task).await;
            }
        }
        assert_eq!(rung, 1, "a job rings one task");
        stock.is_full().await;
    });
}

#[test]
fn an_answer_that_overtakes_the_withdrawal_counts() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let tickets = stock.is_full().await;
        stock.signal(&tickets, "pause").await;
        stock
            .order(json!({
                "service": "dynamodb", "operation": "UpdateItem", "effect": "delay",
                "seconds": 3, "match": "\"leave\"", "times": MANY,
            }))
            .await;
        let job = stock.site.queue(script("octo/overtaking", "echo hello"));
        stock.is_met("UpdateItem", 1).await;
        stock.signal(&tickets, "resume").await;
        let execution = stock.site.ended(&job).await;
        assert_states(&execution, WARM);
        stock.is_served(&job, &execution).await;
        stock.no_faults().await;
        stock.is_full().await;
    });
}

#[test]
fn an_adopted_task_that_ends_before_the_wait_begins_is_judged_by_its_end() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        // Only the state machine writes a token.
        stock
            .order(json!({
                "service": "dynamodb", "operation": "PutItem", "effect": "delay",
                "seconds": 10, "match": "\"token\"",
            }))
            .await;
        let job = stock.site.queue(script("octo/quick", "echo hello"));
        let ended = stock
            .site
            .observer
            .wait(LIMIT, async || {
                let waits = stock.items("arn:aws:ecs:").await;
                let ended = |item: &Value| item["ended"].is_object();
                Ok(waits.iter().any(ended).then_some(()))
            })
            .await
            .unwrap();
        assert!(ended.is_some(), "nobody wrote how the task ended");
        let execution = stock.site.ended(&job).await;
        assert_states(&execution, WARM);
        let (error, _) = visit(&execution, State::WarmRunner)
            .and_then(|visit| visit.failure.clone())
            .expect("the wait does not begin");
        assert_eq!(error, "DynamoDb.ConditionalCheckFailedException");
        stock.is_served(&job, &execution).await;
        stock.is_full().await;
    });
}

#[test]
fn a_table_that_refuses_any_step_costs_a_job_nothing() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        for (step, service, operation, matching, expected) in [
            ("claim", "dynamodb", "DeleteItem", ":ready", Some(COLD)),
            ("tags", "ecs", "TagResource", "", Some(COLD)),
            ("ring", "dynamodb", "PutItem", "\"ring\"", Some(COLD)),
            // Whether the task has taken the registration is read once the table answers again, or
            // found out by the wait.
            (
                "answer",
                "dynamodb",
                "GetItem",
                "\"ConsistentRead\":true",
                None,
            ),
            ("table", "dynamodb", "*", "", Some(COLD)),
        ] {
            stock.is_full().await;
            stock
                .order(json!({
                    "service": service, "operation": operation, "match": matching,
                    "times": MANY, "error": THROTTLED,
                }))
                .await;
            let job = stock.site.queue(script("octo/refused", "echo hello"));
            let execution = stock.site.ended(&job).await;
            stock.no_faults().await;
            let launches = states(&execution);
            let launches = launches.iter().filter(|state| **state == "Launch");
            assert_eq!(launches.count(), 1, "{step}: {:#?}", execution.visits);
            if let Some(expected) = expected {
                assert_states(&execution, expected);
            }
            stock.is_served(&job, &execution).await;
        }
        stock.is_full().await;
    });
}

#[test]
fn a_wait_that_cannot_be_written_leaves_the_running_job_alone() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let held = Held::new();
        stock
            .order(json!({
                "service": "dynamodb", "operation": "PutItem", "match": "\"token\"",
                "times": MANY, "error": THROTTLED,
            }))
            .await;
        let job = stock.site.queue(script("octo/unwritten", &held.script));
        stock.site.reaches(&job, JobStatus::InProgress).await;
        let execution = stock.site.ended(&job).await;
        assert_succeeded(&execution);
        let wait = visit(&execution, State::WarmRunner).expect("a wait");
        assert!(wait.tries > 1, "{wait:?}");
        let (error, _) = wait.failure.clone().expect("the table refuses the wait");
        assert_eq!(error, "DynamoDb.ProvisionedThroughputExceededException");
        assert_eq!(stock.site.job(&job).status, JobStatus::InProgress);
        held.release();
        stock.site.reaches(&job, JobStatus::Completed).await;
        stock.no_faults().await;
        stock.is_served(&job, &execution).await;
        stock.is_full().await;
    });
}

#[test]
fn a_job_whose_tasks_end_nobody_reported_is_ended_by_sweep() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let held = Held::new();
        let job = stock.site.queue(script("octo/unreported", &held.script));
        stock.site.reaches(&job, JobStatus::InProgress).await;
        let name = stock.site.name(&job);
        let task = adopted(&stock, &name).await;
        let rules = switch_rules(&stock, "DisableRule").await;
        held.release();
        stock.site.reaches(&job, JobStatus::Completed).await;
        stock.site.task_is_gone(&task).await;
        sweep(stock.site).await;
        let execution = stock.site.observer.execution(&name).await.unwrap();
        assert_eq!(
            execution.map(|execution| execution.status),
            Some("RUNNING".to_owned()),
            "the wait is young: the event may still come"
        );
        let aged = json!({ "match": task, "seconds": 360 });
        harness.control(Method::POST, "/ages", aged).await;
        sweep(stock.site).await;
        let execution = stock.site.ended(&job).await;
        assert_states(&execution, WARM);
        assert_eq!(switch_rules(&stock, "EnableRule").await, rules);
        stock.is_served(&job, &execution).await;
        stock.is_full().await;
    });
}

/// Switches the rules about stopped tasks; returns their number.
async fn switch_rules(stock: &Stock<'_>, operation: &str) -> usize {
    let (aws, prefix) = (&stock.site.observer.aws, &stock.site.observer.prefix);
    let rules = aws.events("ListRules", json!({})).await.unwrap();
    let stopped = rules["Rules"].as_array().into_iter().flatten();
    let stopped: Vec<_> = stopped
        .filter(|rule| {
            let pattern = rule["EventPattern"].as_str().unwrap_or_default();
            pattern.contains("STOPPED")
        })
        .filter_map(|rule| rule["Name"].as_str())
        .filter(|name| name.starts_with(prefix))
        .collect();
    for name in &stopped {
        aws.events(operation, json!({ "Name": name }))
            .await
            .unwrap();
    }
    assert!(!stopped.is_empty(), "{rules}");
    stopped.len()
}

#[test]
fn an_execution_that_is_stopped_while_it_waits_stops_its_adopted_task() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        for (repository, status) in [
            ("octo/aborted-warm", "ABORTED"),
            ("octo/timed-out-warm", "TIMED_OUT"),
        ] {
            stock.is_full().await;
            let job = stock.site.queue(script(repository, "sleep 600"));
            stock.site.reaches(&job, JobStatus::InProgress).await;
            let name = stock.site.name(&job);
            let task = adopted(&stock, &name).await;
            if status == "ABORTED" {
                let arn = stock.site.observer.execution_arn(&name);
                let input = json!({ "executionArn": arn });
                let aws = &stock.site.observer.aws;
                aws.states("StopExecution", input).await.unwrap();
            } else {
                let path = format!("/executions/{name}/time-out");
                harness.control(Method::POST, &path, json!({})).await;
            }
            let execution = stock.site.ended(&job).await;
            assert_eq!(execution.status, status);
            stock.site.task_is_gone(&task).await;
            stock.site.nothing_left_of(&job).await;
        }
        stock.is_full().await;
    });
}

/// The task that an execution waits for.
async fn adopted(stock: &Stock<'_>, name: &str) -> String {
    let found = stock
        .site
        .observer
        .wait(LIMIT, async || {
            let waits = stock.items("arn:aws:ecs:").await;
            let wait = waits.iter().find(|item| item["execution"]["S"] == name);
            Ok(wait.and_then(|item| item["sk"]["S"].as_str().map(str::to_owned)))
        })
        .await
        .unwrap();
    found.unwrap_or_else(|| panic!("{name} waits for no task"))
}

#[test]
fn a_new_revision_replaces_the_whole_stock() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let before = stock.is_full().await;
        let family = family(&before[0], stock.site).await;
        let revision = stock.site.observer.register_again(&family).await.unwrap();
        assert!(revision > before[0].revision);
        stock.tick().await;
        for ticket in &before {
            assert_eq!(stock.exit(&ticket.task).await, AgentExit::Released);
        }
        let after = stock.is_full().await;
        assert!(
            after.iter().all(|ticket| ticket.revision == revision),
            "{after:?}"
        );
        let execution = stock.serves("octo/new-revision").await;
        assert_states(&execution, WARM);
        stock.is_full().await;
    });
}

async fn family(ticket: &Ticket, site: &Site) -> String {
    let input = json!({ "cluster": site.observer.cluster, "tasks": [ticket.task] });
    let found = site.observer.aws.ecs("DescribeTasks", input).await.unwrap();
    let arn = found["tasks"][0]["taskDefinitionArn"].as_str().unwrap();
    let (_, definition) = arn.rsplit_once('/').unwrap();
    definition.rsplit_once(':').unwrap().0.to_owned()
}

#[test]
fn a_pool_that_is_removed_lets_its_tasks_go_and_the_one_with_a_job_finish() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let held = Held::new();
        let job = stock.site.queue(script("octo/former", &held.script));
        stock.site.reaches(&job, JobStatus::InProgress).await;
        let busy = adopted(&stock, &stock.site.name(&job)).await;
        let waiting = stock.is_full().await;

        // What a deployment without the pool of this runner, and with that of another, does.
        let keeper = format!("{}-stock", stock.site.observer.prefix);
        let aws = &stock.site.observer.aws;
        let before = aws.set_variable(&keeper, "STOCK", "[]").await.unwrap();
        stock.tick().await;
        for ticket in &waiting {
            assert_ne!(ticket.task, busy);
            assert_eq!(stock.exit(&ticket.task).await, AgentExit::Released);
        }
        assert_eq!(stock.tickets().await, []);
        assert_eq!(stock.items("keeper").await, Vec::<Value>::new());
        assert_eq!(stock.site.job(&job).status, JobStatus::InProgress);
        held.release();
        let execution = stock.site.ended(&job).await;
        assert_states(&execution, WARM);
        stock.is_served(&job, &execution).await;

        aws.set_variable(&keeper, "STOCK", &before).await.unwrap();
        stock.is_full().await;
    });
}

#[test]
fn a_warm_task_that_spot_takes_back_leaves_the_stock_or_its_execution() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let before = stock.is_full().await;
        for ticket in &before {
            end_task(harness, &ticket.task, "spot-interruption").await;
        }
        for ticket in &before {
            assert_eq!(stock.exit(&ticket.task).await, AgentExit::Stopped);
            assert_eq!(stock.bell(ticket).await, None, "it wrote nothing");
        }
        let after = stock.is_full().await;
        assert!(after.iter().all(|ticket| !before.contains(ticket)));

        let job = stock
            .site
            .queue(script("octo/interrupted-warm", "sleep 600"));
        stock.site.reaches(&job, JobStatus::InProgress).await;
        let task = adopted(&stock, &stock.site.name(&job)).await;
        end_task(harness, &task, "spot-interruption").await;
        let execution = stock.site.ended(&job).await;
        assert_succeeded(&execution);
        stock.site.task_is_gone(&task).await;
        stock.site.nothing_left_of(&job).await;
        stock.is_full().await;
    });
}

#[test]
fn a_job_that_is_cancelled_on_a_warm_task_ends_its_execution() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        let job = stock.site.queue(script("octo/cancelled-warm", "sleep 600"));
        stock.site.reaches(&job, JobStatus::InProgress).await;
        let task = adopted(&stock, &stock.site.name(&job)).await;
        stock.site.deployment.github.cancel_job(job.id).unwrap();
        let execution = stock.site.ended(&job).await;
        assert_states(&execution, WARM);
        assert_succeeded(&execution);
        stock.site.task_is_gone(&task).await;
        stock.site.nothing_left_of(&job).await;
        stock.is_full().await;
    });
}

#[test]
fn warm_tasks_serve_whatever_ecs_does_with_its_answers() {
    run(async |harness| {
        let stock = Stock::full(harness).await;
        for (switch, value) in [
            ("events-twice", json!(true)),
            ("events-out-of-order", json!(true)),
            ("events-late", json!(2)),
            ("tags-missing", json!(true)),
            ("tasks-late", json!(3)),
        ] {
            stock.is_full().await;
            let order = json!({ switch: value });
            harness.control(Method::POST, "/switches", order).await;
            let (job, execution) = stock.site.run(script("octo/switched", "echo hello")).await;
            assert_states(&execution, WARM);
            stock.is_served(&job, &execution).await;
            // Filled by the same rules.
            stock.is_full().await;
            harness
                .control(Method::DELETE, "/switches", json!({}))
                .await;
        }
    });
}
