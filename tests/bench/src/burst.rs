//! A burst of webhooks against an AWS that throttles, and a hundred cold `match` at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::aws::{Bucket, Queue};
use crate::rig::Rig;
use crate::sandbox::{Reply, Sandbox};
use crate::spread::milliseconds;
use crate::subject::Subject;

/// A throttle of StartExecution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throttle {
    pub(crate) bucket: u32,
    pub(crate) per_second: u32,
}

/// As AWS throttles in most regions, and so hard that most webhooks meet it.
pub(crate) const THROTTLES: [Throttle; 2] = [
    Throttle {
        bucket: 800,
        per_second: 150,
    },
    Throttle {
        bucket: 50,
        per_second: 20,
    },
];

/// What became of a burst.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) bucket: u32,
    pub(crate) per_second: u32,
    pub(crate) webhooks: u64,
    /// Answered with an execution started.
    pub(crate) started: u64,
    /// Answered as kept in the queue.
    pub(crate) kept: u64,
    /// Anything else.
    pub(crate) lost: u64,
    /// Executions there are after the queue was drained.
    pub(crate) executions: u64,
    pub(crate) start_calls: u64,
    pub(crate) throttled: u64,
    /// Sandboxes that served, each cold once.
    pub(crate) sandboxes: usize,
    /// From a webhook's arrival to its answer, cold starts included, in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) slowest: f64,
    /// From the last webhook until the queue was empty, in seconds.
    pub(crate) drained: f64,
}

/// Sandboxes as Lambda has them: an event goes to an idle one, or to a new one.
struct Pool {
    rig: Arc<Rig>,
    idle: Mutex<Vec<Sandbox>>,
    made: AtomicUsize,
}

impl Pool {
    fn new(rig: &Arc<Rig>) -> Arc<Self> {
        Arc::new(Self {
            rig: Arc::clone(rig),
            idle: Mutex::default(),
            made: AtomicUsize::default(),
        })
    }

    async fn invoke(&self, event: Value) -> anyhow::Result<Reply> {
        let idle = self.idle.lock().await.pop();
        let mut sandbox = if let Some(sandbox) = idle {
            sandbox
        } else {
            self.made.fetch_add(1, Ordering::Relaxed);
            let mut fresh = self.rig.sandbox(Subject::Verify, &[], None).await?;
            fresh.ready().await?;
            fresh
        };
        let (reply, _) = sandbox.invoke(event).await?;
        self.idle.lock().await.push(sandbox);
        Ok(reply)
    }
}

/// As many as `cdk/src/front-door.ts` allows.
const READERS: usize = 2;

enum Fate {
    Started,
    Kept,
    Lost,
}

/// Sends `webhooks` at `rate` a second, while the queue is read as Lambda does, until it is empty.
pub(crate) async fn webhooks(
    rig: &Arc<Rig>,
    throttle: Throttle,
    webhooks: u64,
    rate: u64,
) -> anyhow::Result<Figures> {
    let Throttle { bucket, per_second } = throttle;
    {
        let mut account = rig.aws.account();
        account.executions.clear();
        account.calls.clear();
        account.throttled.clear();
        account.queue = Queue::default();
        let bucket = Bucket::new(bucket, per_second);
        account.buckets.insert("states:StartExecution", bucket);
    }
    let pool = Pool::new(rig);
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (rig, pool) = (Arc::clone(rig), Arc::clone(&pool));
        readers.spawn(async move { read(&rig, &pool).await });
    }
    let mut sent = JoinSet::new();
    let begin = tokio::time::Instant::now();
    for job in 0..webhooks {
        tokio::time::sleep_until(begin + Duration::from_millis(1_000 * job / rate)).await;
        let pool = Arc::clone(&pool);
        sent.spawn(async move {
            let event = Subject::Verify.event(job);
            let since = Instant::now();
            let reply = pool.invoke(event).await?;
            anyhow::Ok((fate(&reply), since.elapsed()))
        });
    }
    let all_sent = Instant::now();
    let (mut started, mut kept, mut lost, mut times) = (0, 0, 0, Vec::new());
    while let Some(answered) = sent.join_next().await {
        let (fate, time) = answered??;
        match fate {
            Fate::Started => started += 1,
            Fate::Kept => kept += 1,
            Fate::Lost => lost += 1,
        }
        times.push(milliseconds(time));
    }
    times.sort_by(f64::total_cmp);
    let drained = is_empty(rig, all_sent, &mut readers).await?;
    readers.shutdown().await;
    let mut account = rig.aws.account();
    account.buckets.clear();
    let names: BTreeSet<_> = (0..webhooks).map(|job| format!("hello-{job}")).collect();
    let executions = account.executions.intersection(&names).count();
    ensure!(
        executions == account.executions.len(),
        "executions were started that nobody asked for"
    );
    let of = |calls: &std::collections::BTreeMap<String, u64>| {
        calls
            .get("states:StartExecution")
            .copied()
            .unwrap_or_default()
    };
    let at = |hundredth: usize| times[(times.len() * hundredth / 100).min(times.len() - 1)];
    Ok(Figures {
        bucket,
        per_second,
        webhooks,
        started,
        kept,
        lost,
        executions: executions.try_into()?,
        start_calls: of(&account.calls),
        throttled: of(&account.throttled),
        sandboxes: pool.made.load(Ordering::Relaxed),
        p50: at(50),
        p99: at(99),
        slowest: at(100),
        drained: drained.as_secs_f64(),
    })
}

fn fate(reply: &Reply) -> Fate {
    let Reply::Done(answer) = reply else {
        return Fate::Lost;
    };
    match answer["body"].as_str() {
        Some(body) if body.contains("\"started\"") => Fate::Started,
        Some(body) if body.contains("\"kept\"") => Fate::Kept,
        _ => Fate::Lost,
    }
}

/// Waits until the queue is empty; how long that took since the last webhook.
async fn is_empty(
    rig: &Rig,
    last: Instant,
    readers: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<Duration> {
    // Far beyond what the slower throttle allows.
    const LIMIT: Duration = Duration::from_mins(3);
    while !rig.aws.account().queue.is_empty() {
        if let Some(ended) = readers.try_join_next() {
            ended??;
        }
        ensure!(last.elapsed() < LIMIT, "the queue does not drain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(last.elapsed())
}

/// Hands the queue's messages to the function in batches, as one of Lambda's readers does. Ends only in
/// an error.
async fn read(rig: &Rig, pool: &Pool) -> anyhow::Result<()> {
    loop {
        let records = rig.aws.account().queue.receive();
        if records.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let reply = pool.invoke(json!({ "Records": records })).await?;
        let Reply::Done(answer) = reply else {
            bail!("a batch failed as a whole: {reply:?}");
        };
        let failures = answer["batchItemFailures"].as_array();
        let failed: BTreeSet<_> = failures
            .context("the answer is none to a batch")?
            .iter()
            .filter_map(|failure| failure["itemIdentifier"].as_str())
            .collect();
        let mut account = rig.aws.account();
        for record in &records {
            let id = record["messageId"].as_str().unwrap_or_default();
            if !failed.contains(id) {
                account.queue.delete(id);
            }
        }
    }
}

/// What a number of cold `match` sandboxes at once asked of ECS and SSM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ColdMatch {
    pub(crate) sandboxes: usize,
    pub(crate) describe_calls: u64,
    pub(crate) list_calls: u64,
    pub(crate) parameter_calls: u64,
    /// Until the last one had answered, in milliseconds.
    pub(crate) last: f64,
}

/// Starts that many at once, each with one job, under ECS's read throttle.
pub(crate) async fn cold_matches(rig: &Arc<Rig>, sandboxes: usize) -> anyhow::Result<ColdMatch> {
    rig.publish().await?;
    {
        let mut account = rig.aws.account();
        account.calls.clear();
        account
            .buckets
            .insert("ecs:DescribeTaskDefinition", Bucket::new(20, 20));
    }
    let since = Instant::now();
    let mut all = JoinSet::new();
    for job in 0..sandboxes {
        let rig = Arc::clone(rig);
        all.spawn(async move {
            let mut sandbox = rig.sandbox(Subject::Match, &[], None).await?;
            sandbox.ready().await?;
            rig.invoke(&mut sandbox, Subject::Match, u64::try_from(job)?)
                .await
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    let last = milliseconds(since.elapsed());
    let mut account = rig.aws.account();
    account.buckets.clear();
    let of = |call: &str| account.calls.get(call).copied().unwrap_or_default();
    Ok(ColdMatch {
        sandboxes,
        describe_calls: of("ecs:DescribeTaskDefinition"),
        list_calls: of("ecs:ListTaskDefinitionFamilies"),
        parameter_calls: of("ssm:GetParameter"),
        last,
    })
}

/// AWS calls of one `match` sandbox for so many jobs: the first fills its catalogue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Expiry {
    pub(crate) invocations: u64,
    pub(crate) calls_filling: u64,
    pub(crate) calls_expired: u64,
}

/// Serves jobs, and as many more when the catalogue has expired.
pub(crate) async fn expiry(rig: &Rig) -> anyhow::Result<Expiry> {
    const INVOCATIONS: u64 = 100;
    const TTL: Duration = Duration::from_secs(2);
    let ttl = TTL.as_secs().to_string();
    let more = [("CATALOGUE_TTL_SECONDS", ttl.as_str())];
    let mut sandbox = rig.sandbox(Subject::Match, &more, None).await?;
    sandbox.ready().await?;
    let mut expiry = Expiry {
        invocations: INVOCATIONS,
        ..Expiry::default()
    };
    for calls in [&mut expiry.calls_filling, &mut expiry.calls_expired] {
        // The first fills the catalogue; on the second turn the one before has expired.
        tokio::time::sleep(TTL).await;
        rig.aws.take_calls();
        for job in 0..INVOCATIONS {
            rig.invoke(&mut sandbox, Subject::Match, job).await?;
        }
        *calls = rig.aws.take_calls().values().sum();
    }
    Ok(expiry)
}
