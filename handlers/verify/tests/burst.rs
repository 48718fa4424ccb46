//! A burst of webhooks against a StartExecution that throttles, with the queue and its readers, in
//! virtual time: what is asserted of times holds on any machine.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws::SdkConfig;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use runtime::settings::Settings;
use serde_json::{Value, json};
use support::{MACHINE, NOW, QUEUE, SECRET, request, workflow_job};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use verify::event::Message;
use verify::{Answer, Config, Deps, Event, handle};

/// How long calls take from a function in the same region.
const STEP_FUNCTIONS: Duration = Duration::from_millis(40);
const OTHERS: Duration = Duration::from_millis(15);
/// How long a new sandbox takes before its first event.
const INIT: Duration = Duration::from_millis(150);
/// As in `cdk/src/front-door.ts`.
const READERS: usize = 2;
const BATCH: usize = 10;
const RECEIVES: u32 = 150;
const VISIBILITY: Duration = Duration::from_secs(54);

/// What a service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Throttles,
    Fails,
    IsSilent,
}

/// A time during which a service is in trouble, in seconds from the start.
type Times = (Trouble, Range<u64>);

struct Kept {
    body: String,
    visible: Instant,
    receives: u32,
    handle: String,
}

/// An account.
struct Account {
    begun: Instant,
    /// The token bucket of StartExecution: size, tokens a second, tokens, and when they were counted.
    bucket: (f64, f64, f64, Instant),
    step_functions: Option<Times>,
    sqs: Option<Times>,
    /// Of the parameter that is there while the deployment is paused.
    pause: Option<Times>,
    executions: BTreeSet<String>,
    started: Instant,
    starts: usize,
    refused: usize,
    queue: BTreeMap<usize, Kept>,
    sent: usize,
    dead: usize,
}

#[derive(Clone)]
struct Cloud(Arc<Mutex<Account>>);

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cloud")
    }
}

fn reply(status: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()))
}

fn error(status: u16, code: &str) -> HttpResponse {
    reply(status, &json!({ "__type": code, "message": "no" }))
}

fn is_pause(body: &Value) -> bool {
    let name = body["Name"].as_str();
    name.is_some_and(|name| name.ends_with("/paused"))
}

impl HttpConnector for Cloud {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let cloud = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap().to_owned();
            let (service, operation) = target.split_once('.').unwrap();
            let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let (took, trouble) = match service {
                "AWSStepFunctions" => (
                    STEP_FUNCTIONS,
                    cloud.account().trouble(|a| &a.step_functions),
                ),
                "AmazonSQS" => (OTHERS, cloud.account().trouble(|a| &a.sqs)),
                _ if is_pause(&body) => (OTHERS, cloud.account().trouble(|a| &a.pause)),
                _ => (OTHERS, None),
            };
            sleep(took / 2).await;
            let answer = match trouble {
                Some(Trouble::Throttles) => error(400, "ThrottlingException"),
                Some(Trouble::Fails) => error(503, "ServiceUnavailable"),
                Some(Trouble::IsSilent) => std::future::pending().await,
                None => cloud.account().answer(operation, &body),
            };
            if operation == "StartExecution" {
                let mut account = cloud.account();
                account.starts += 1;
                account.refused += usize::from(!answer.status().is_success());
            }
            sleep(took / 2).await;
            Ok(answer)
        })
    }
}

impl Account {
    fn trouble(&self, of: impl Fn(&Self) -> &Option<Times>) -> Option<Trouble> {
        let (trouble, times) = of(self).as_ref()?;
        times
            .contains(&self.begun.elapsed().as_secs())
            .then_some(*trouble)
    }

    fn grants(&mut self) -> bool {
        let (size, per_second, tokens, at) = &mut self.bucket;
        *tokens = (*tokens + at.elapsed().as_secs_f64() * *per_second).min(*size);
        *at = Instant::now();
        let granted = *tokens >= 1.0;
        *tokens -= f64::from(u8::from(granted));
        granted
    }

    fn answer(&mut self, operation: &str, body: &Value) -> HttpResponse {
        match operation {
            // The deployment is not paused.
            "GetParameter" if is_pause(body) => error(400, "ParameterNotFound"),
            "GetParameter" => reply(200, &json!({ "Parameter": { "Value": SECRET } })),
            "StartExecution" if !self.grants() => error(400, "ThrottlingException"),
            "StartExecution" => {
                let name = body["name"].as_str().unwrap();
                if !self.executions.insert(name.to_owned()) {
                    return error(400, "ExecutionAlreadyExists");
                }
                self.started = Instant::now();
                reply(200, &json!({ "executionArn": name, "startDate": 0.0 }))
            }
            "SendMessage" => {
                self.sent += 1;
                self.queue.insert(
                    self.sent,
                    Kept {
                        body: body["MessageBody"].as_str().unwrap().to_owned(),
                        visible: Instant::now(),
                        receives: 0,
                        handle: String::new(),
                    },
                );
                reply(200, &json!({ "MessageId": self.sent.to_string() }))
            }
            "ChangeMessageVisibilityBatch" => {
                for entry in body["Entries"].as_array().unwrap() {
                    let handle = entry["ReceiptHandle"].as_str().unwrap();
                    let mut kept = self.queue.values_mut();
                    let kept = kept.find(|kept| kept.handle == handle).unwrap();
                    let seconds = entry["VisibilityTimeout"].as_u64().unwrap();
                    kept.visible = Instant::now() + Duration::from_secs(seconds);
                }
                reply(200, &json!({ "Successful": [], "Failed": [] }))
            }
            other => panic!("{other} is not called here"),
        }
    }

    /// A batch, as SQS delivers it.
    fn receive(&mut self) -> Vec<Message> {
        let now = Instant::now();
        let visible = self.queue.iter().filter(|(_, kept)| kept.visible <= now);
        let ids: Vec<_> = visible.map(|(id, _)| *id).take(BATCH).collect();
        let mut batch = Vec::new();
        for id in ids {
            let kept = self.queue.get_mut(&id).unwrap();
            if kept.receives == RECEIVES {
                self.queue.remove(&id);
                self.dead += 1;
                continue;
            }
            kept.receives += 1;
            kept.visible = now + VISIBILITY;
            kept.handle = format!("{id}-{}", kept.receives);
            let record = json!({
                "messageId": id.to_string(), "body": kept.body, "receiptHandle": kept.handle,
                "attributes": { "ApproximateReceiveCount": kept.receives.to_string() },
            });
            batch.push(serde_json::from_value(record).unwrap());
        }
        batch
    }
}

/// Sandboxes as Lambda has them: an event goes to an idle one, or to a new one.
struct Lambda {
    config: Config,
    aws: SdkConfig,
    begun: Instant,
    idle: Mutex<Vec<Deps>>,
    made: AtomicUsize,
}

impl Lambda {
    async fn invoke(&self, event: Event) -> Answer {
        let idle = self.idle.lock().unwrap().pop();
        let deps = if let Some(deps) = idle {
            deps
        } else {
            self.made.fetch_add(1, Ordering::Relaxed);
            sleep(INIT).await;
            Deps::new(self.config.clone(), &self.aws)
        };
        let now = NOW + self.begun.elapsed();
        let answer = Box::pin(handle(&deps, event, now)).await;
        self.idle.lock().unwrap().push(deps);
        answer
    }
}

/// What became of a burst.
#[derive(Debug)]
struct Figures {
    /// Jobs answered with a 2xx that have no execution in the end, or more than one message left.
    lost: usize,
    /// Answers other than 2xx; GitHub is asked to repeat them.
    refused: usize,
    /// StartExecution calls.
    calls: usize,
    sandboxes: usize,
    /// Of the answers, in milliseconds.
    p50: u128,
    p99: u128,
    slowest: u128,
    /// From the last webhook until the last execution started.
    drained: Duration,
    dead: usize,
}

impl Cloud {
    fn new(size: u32, per_second: u32) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Account {
            begun: now,
            bucket: (size.into(), per_second.into(), size.into(), now),
            step_functions: None,
            sqs: None,
            pause: None,
            executions: BTreeSet::new(),
            started: now,
            starts: 0,
            refused: 0,
            queue: BTreeMap::new(),
            sent: 0,
            dead: 0,
        })))
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap()
    }

    /// Sends `webhooks` at `rate` a second while Lambda reads the queue, until that is empty.
    async fn burst(&self, webhooks: u64, rate: u64) -> Figures {
        let variables = [
            ("DEPLOYMENT", "fr"),
            ("PREFIX", "fargate-runners"),
            ("STATE_MACHINE_ARN", MACHINE),
            ("CLEANUP_FUNCTION", "cleanup"),
            ("ALLOWED_OWNERS", "*"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            QUEUE,
        ];
        let settings = Settings::from_pairs(variables);
        let connector = SharedHttpConnector::new(self.clone());
        let aws = aws::sdk_config(&settings, 3).unwrap().to_builder();
        let lambda = Arc::new(Lambda {
            config: Config::from_settings(&settings).unwrap(),
            aws: aws
                .http_client(http_client_fn(move |_, _| connector.clone()))
                .build(),
            begun: Instant::now(),
            idle: Mutex::default(),
            made: AtomicUsize::default(),
        });
        let mut readers = JoinSet::new();
        for _ in 0..READERS {
            let (cloud, lambda) = (self.clone(), Arc::clone(&lambda));
            readers.spawn(async move { cloud.read(&lambda).await });
        }
        let mut sent = JoinSet::new();
        for job in 0..webhooks {
            sleep_until(lambda.begun + Duration::from_millis(1_000 * job / rate)).await;
            let lambda = Arc::clone(&lambda);
            sent.spawn(async move {
                let payload = workflow_job("queued", job, None).to_string();
                let event = Event::Http(request("workflow_job", payload.as_bytes()));
                let since = Instant::now();
                let Answer::Http(response) = lambda.invoke(event).await else {
                    panic!("a request was answered as messages");
                };
                (job, response.status_code, since.elapsed().as_millis())
            });
        }
        let all_sent = Instant::now();
        let mut answered = sent.join_all().await;
        while !self.account().queue.is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
        readers.shutdown().await;
        answered.sort_by_key(|(_, _, time)| *time);
        let account = self.account();
        let taken = |status: u16| (200..300).contains(&status);
        let started = |job: u64| account.executions.contains(&format!("hello-{job}"));
        let lost = answered
            .iter()
            .filter(|(job, status, _)| taken(*status) && !started(*job));
        let at = |hundredth: usize| answered[(answered.len() - 1) * hundredth / 100].2;
        Figures {
            lost: lost.count(),
            refused: answered
                .iter()
                .filter(|(_, status, _)| !taken(*status))
                .count(),
            calls: account.starts,
            sandboxes: lambda.made.load(Ordering::Relaxed),
            p50: at(50),
            p99: at(99),
            slowest: at(100),
            drained: account.started.saturating_duration_since(all_sent),
            dead: account.dead,
        }
    }

    /// Reads the queue as one of Lambda's readers does.
    async fn read(&self, lambda: &Lambda) {
        loop {
            let batch = self.account().receive();
            if batch.is_empty() {
                sleep(Duration::from_millis(50)).await;
                continue;
            }
            let ids: BTreeSet<_> = batch.iter().map(|one| one.message_id.clone()).collect();
            let Answer::Batch(answer) = lambda.invoke(Event::Queue(batch)).await else {
                panic!("messages were answered as a request");
            };
            let failed: BTreeSet<_> = answer
                .batch_item_failures
                .into_iter()
                .map(|failure| failure.item_identifier)
                .collect();
            for id in ids.difference(&failed) {
                self.account().queue.remove(&id.parse().unwrap());
            }
            sleep(OTHERS).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_webhooks_are_answered_at_once_and_started_as_fast_as_step_functions_grants() {
    let cloud = Cloud::new(50, 20);
    let figures = cloud.burst(1_000, 100).await;
    // For docs/performance.md.
    println!("{figures:?}");
    assert_eq!((figures.lost, figures.refused, figures.dead), (0, 0, 0));
    assert!(figures.p50 <= 50 && figures.p99 <= 500, "{figures:?}");
    assert!(figures.sandboxes <= 60, "{figures:?}");
    assert!(figures.calls <= 2_500, "{figures:?}");
    // 50 at once, then 20 a second: 47.5 s, of which the webhooks took ten.
    let least = Duration::from_millis(37_500);
    assert!(figures.drained <= least.mul_f64(1.1), "{figures:?}");
}

#[tokio::test(start_paused = true)]
async fn the_readers_keep_up_with_what_aws_grants_by_default() {
    let cloud = Cloud::new(800, 150);
    // Most of the bucket was used up before.
    cloud.account().bucket.2 = 100.0;
    let figures = cloud.burst(2_000, 400).await;
    assert_eq!((figures.lost, figures.refused, figures.dead), (0, 0, 0));
    assert!(figures.calls <= 2 * 2_000, "{figures:?}");
    let least = Duration::from_millis((2_000 - 100) * 1_000 / 150 - 5_000);
    // The last messages may be some that a reader put off: for up to four seconds at their third
    // receive. Which ones those are is chance.
    let put_off = Duration::from_secs(4);
    assert!(
        figures.drained <= least.mul_f64(1.1) + put_off,
        "{figures:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_of_step_functions_each_job_is_kept_within_two_seconds_and_started_later()
{
    for trouble in [Trouble::IsSilent, Trouble::Fails] {
        let cloud = Cloud::new(800, 150);
        cloud.account().step_functions = Some((trouble, 0..60));
        let figures = cloud.burst(500, 50).await;
        assert_eq!((figures.lost, figures.refused, figures.dead), (0, 0, 0));
        assert!(figures.slowest <= 2_000, "{figures:?}");
        assert!(figures.calls <= 2 * 500, "{figures:?}");
        assert!(figures.drained <= Duration::from_mins(3), "{figures:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_whether_it_is_paused_a_sandbox_waits_once() {
    let cloud = Cloud::new(800, 150);
    cloud.account().pause = Some((Trouble::IsSilent, 0..60));
    let figures = cloud.burst(1_000, 100).await;
    assert_eq!((figures.lost, figures.refused, figures.dead), (0, 0, 0));
    assert!(figures.p50 <= 100, "{figures:?}");
    assert!(figures.slowest <= 2_000, "{figures:?}");
}

#[tokio::test(start_paused = true)]
async fn what_neither_step_functions_nor_the_queue_takes_for_a_minute_is_not_answered_with_a_2xx() {
    for start in [Trouble::Throttles, Trouble::Fails, Trouble::IsSilent] {
        for queue in [Trouble::Throttles, Trouble::Fails, Trouble::IsSilent] {
            let cloud = Cloud::new(50, 20);
            {
                let mut account = cloud.account();
                account.step_functions = Some((start, 0..60));
                account.sqs = Some((queue, 5..60));
            }
            // Two of three minutes are after the trouble.
            let figures = cloud.burst(360, 2).await;
            assert_eq!((figures.lost, figures.dead), (0, 0));
            // Those of the 55 seconds in which nothing works, two a second, less what waits for
            // their end.
            assert!((90..=110).contains(&figures.refused), "{figures:?}");
            assert!(figures.slowest <= 9_000, "{figures:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_queue_does_not_take_is_started_if_that_works() {
    let cloud = Cloud::new(20, 20);
    cloud.account().sqs = Some((Trouble::Throttles, 0..60));
    let figures = cloud.burst(200, 40).await;
    assert_eq!((figures.lost, figures.dead), (0, 0));
    // Twenty at once, and twenty a second while webhooks come and wait: most of those granted are used.
    assert!(figures.refused <= 20, "{figures:?}");
}
