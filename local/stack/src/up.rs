//! `cargo xtask local`: starts everything in order, shows the jobs, and stops everything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use github_standin::{Config, NewJob, OwnerType, Server};
use local_stack::{Deployment, Engine, EngineOptions, Observer, Plan, REGION, synthesize};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tooling::{Architecture, Checkout, Progress, StackOptions, seconds};

use crate::console::Console;
use crate::follow::{Report, Start, follow, heading};
use crate::state_file::StateFile;

const REPOSITORY: &str = "octo/hello";
/// Limit for what events do after a job's end, such as stopping a cancelled runner's task.
const SETTLE: Duration = Duration::from_secs(15);
/// Interval of the schedules, which the engine does not play. On AWS `stock` is called each minute, and
/// `sweep` every five: a webhook that this machine was too slow to answer waits for less here.
const SCHEDULE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(200);
/// Limit for the start of all warm tasks. Here they are processes, and start within seconds.
const STOCKED: Duration = Duration::from_mins(2);

/// Runs the stack; returns whether all jobs succeeded and nothing is left over.
pub(crate) async fn run(options: &StackOptions) -> anyhow::Result<bool> {
    let (progress, checkout) = (Progress::new(), Checkout::here());
    progress.say("Starting");
    // Ctrl-C at any moment: dropping the future drops everything that it started.
    let (engine, deployment) = tokio::select! {
        started = start(&progress, &checkout, options) => started?,
        signal = tokio::signal::ctrl_c() => { signal?; return Ok(false); }
    };
    let console = if options.once {
        None
    } else {
        let stack = &deployment.observer()?.prefix;
        let step = progress.step("Console");
        let console =
            Console::start(&checkout, engine.endpoint(), stack, options.console_port).await?;
        step.done(&console.url);
        Some(console)
    };
    let well = tokio::select! {
        shown = show(&progress, &checkout, &deployment, console.as_ref(), options) => shown,
        failed = schedules(&deployment, options) => Err(failed),
        signal = tokio::signal::ctrl_c() => signal.map(|()| !options.once).context("waiting for Ctrl-C"),
    };
    let step = progress.step("Stop everything");
    drop(console);
    deployment.github.stop().await;
    engine.stop().await?;
    step.done("");
    well
}

async fn start(
    progress: &Progress,
    checkout: &Checkout,
    options: &StackOptions,
) -> anyhow::Result<(Engine, Deployment)> {
    let mut plan = Plan::new("fargate-runners", "fr");
    if options.warm > 0 {
        plan = plan.with("warm", &options.warm.to_string());
    }
    let github = Server::start(Config::default())
        .await
        .context("starting the GitHub stand-in")?;
    let github = Arc::new(github);
    github.add_repository(REPOSITORY, OwnerType::Organization, true)?;

    let step = progress.step("cdk synth");
    let synthesis = tokio::task::spawn_blocking({
        let (checkout, plan, url) = (checkout.clone(), plan.clone(), github.url().to_owned());
        move || {
            synthesize(&checkout, &step, &plan, &url)?;
            step.done("");
            anyhow::Ok(())
        }
    });
    let step = progress.step("AWS engine");
    let engine = Engine::start(
        checkout,
        &EngineOptions {
            port: options.port,
            wait_scale: options.wait_scale,
            control: false,
            enforce_iam: false,
            directory: checkout.local().join("engine"),
        },
    )
    .await?;
    step.done(engine.endpoint());
    let step = progress.step("cdk bootstrap");
    let engine = blocking({
        let checkout = checkout.clone();
        move || {
            engine.bootstrap(&checkout, &step)?;
            step.done("");
            Ok(engine)
        }
    })
    .await?;
    synthesis.await??;
    let step = progress.step("cdk deploy");
    let (engine, deployment) = blocking({
        let checkout = checkout.clone();
        move || {
            let deployment = Deployment::deploy(&checkout, &step, &engine, &plan, github)?;
            step.done(deployment.output("WebhookUrl")?);
            Ok((engine, deployment))
        }
    })
    .await?;
    let step = progress.step("App's secrets in Parameter Store");
    deployment.write_secrets().await?;
    step.done(&deployment.secret_name("…"));
    if options.warm > 0 {
        let step = progress.step("Warm tasks");
        let took = stocked(&deployment.observer()?, options.warm).await?;
        step.done(&format!("{} ready in {}", options.warm, seconds(took)));
    }
    Ok((engine, deployment))
}

/// Calls `sweep`, and `stock` where there are warm tasks, as their schedules do. Returns only if it cannot
/// begin.
async fn schedules(deployment: &Deployment, options: &StackOptions) -> anyhow::Error {
    let observer = match deployment.observer() {
        Ok(observer) => observer,
        Err(error) => return error,
    };
    let scheduled: &[&str] = if options.warm > 0 {
        &["stock", "sweep"]
    } else {
        &["sweep"]
    };
    loop {
        tokio::time::sleep(SCHEDULE).await;
        for name in scheduled {
            let function = format!("{}-{name}", observer.prefix);
            let tick = json!({ "source": "aws.events" });
            // One that fails logs why; the next call tries again.
            let _ = observer.aws.invoke(&function, tick).await;
        }
    }
}

/// Calls the keeper as its schedule does every minute, and waits until the tasks are ready.
async fn stocked(observer: &Observer, wanted: u8) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let keeper = format!("{}-stock", observer.prefix);
    let tick = json!({ "source": "aws.events" });
    observer.aws.invoke(&keeper, tick).await?;
    let ready = async || {
        let stock = observer.stock().await?;
        let ready = stock.iter().filter(|ticket| ticket.state == "ready");
        Ok((ready.count() >= wanted.into()).then_some(()))
    };
    let found = observer.wait(STOCKED, ready).await?;
    found.with_context(|| {
        format!(
            "{wanted} warm tasks were not ready within {}",
            seconds(STOCKED)
        )
    })?;
    Ok(begun.elapsed())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("a preparation crashed")?
}

/// Queues and shows the jobs; then, without `--once`, shows all jobs that others queue.
async fn show(
    progress: &Progress,
    checkout: &Checkout,
    deployment: &Deployment,
    console: Option<&Console>,
    options: &StackOptions,
) -> anyhow::Result<bool> {
    let observer = deployment.observer()?;
    let _published = StateFile::publish(checkout, &observer)?;
    // Long enough to be watched.
    let work = if let Some(console) = console {
        console.watched(progress).await;
        "; sleep 5"
    } else {
        ""
    };
    let begun = Instant::now();
    progress.say("\nJobs");
    heading(progress);
    let mut followed = JoinSet::new();
    let mut known = BTreeSet::new();
    for number in 1..=options.jobs {
        let job = deployment.github.create_job(NewJob {
            repository: REPOSITORY.to_owned(),
            labels: labels(),
            run: format!("echo hello from job {number}{work}"),
            ..NewJob::default()
        })?;
        known.insert(job.id);
        let (observer, progress) = (observer.clone(), progress.clone());
        followed.spawn(async move { follow(&observer, &progress, &job).await });
    }
    let mut reports = Vec::new();
    while let Some(report) = followed.join_next().await {
        reports.push(report??);
    }
    let well = summary(&observer, &reports, begun.elapsed()).await?;
    if let Some(console) = console {
        urls(checkout, &observer, deployment, console)?;
        more(&observer, progress, known).await?;
    }
    Ok(well)
}

fn labels() -> Vec<String> {
    ["self-hosted", "linux", Architecture::here().label()]
        .map(str::to_owned)
        .to_vec()
}

async fn summary(observer: &Observer, reports: &[Report], took: Duration) -> anyhow::Result<bool> {
    let left = observer.settled(SETTLE).await?;
    let served = reports.iter().filter(|report| report.served()).count();
    println!("\nSummary");
    for report in reports {
        let Some((name, execution)) = &report.execution else {
            continue;
        };
        let runner = execution
            .output
            .as_ref()
            .and_then(|output| output["runner"].as_str());
        println!(
            "  {name}  {}, {}",
            execution.status.to_lowercase(),
            report.conclusion()
        );
        println!("    runner  {}", runner.unwrap_or("none"));
        if let Some(task) = &report.task {
            println!(
                "    task    {}\n    log     {}",
                task.arn,
                task.log.display()
            );
        }
        if reports.len() == 1 && !report.job.output.is_empty() {
            println!(
                "    output  {}",
                report.job.output.trim_end().replace('\n', "\n            ")
            );
        }
    }
    println!(
        "  {served} of {} jobs succeeded in {}",
        reports.len(),
        seconds(took)
    );
    for start in [Start::Warm, Start::Cold] {
        if let Some(line) = waits(reports, start) {
            println!("  {line}");
        }
    }
    if left.is_empty() {
        println!(
            "  left over: nothing (no parameter, no registered runner, no task, no execution)"
        );
    } else {
        println!("  left over:\n    {}", left.join("\n    "));
    }
    let succeeded = reports
        .iter()
        .all(|report| report.served() && report.conclusion() == "success");
    Ok(succeeded && left.is_empty())
}

/// How long the jobs of one kind of start waited.
fn waits(reports: &[Report], start: Start) -> Option<String> {
    let of_kind = reports.iter().filter(|report| report.start == Some(start));
    let mut waited: Vec<f64> = of_kind.filter_map(Report::waited).collect();
    waited.sort_by(f64::total_cmp);
    let (first, last) = (waited.first()?, waited.last()?);
    let median = waited[waited.len() / 2];
    Some(format!(
        "{start} starts: {}; from webhook to listener {median:.1} s ({first:.1} to {last:.1} s)",
        waited.len()
    ))
}

fn urls(
    checkout: &Checkout,
    observer: &Observer,
    deployment: &Deployment,
    console: &Console,
) -> anyhow::Result<()> {
    println!("\nThe stack runs until Ctrl-C.");
    println!("  console   {}  (the jobs, live)", console.url);
    println!(
        "  AWS       {}  (region {REGION}, any credentials)",
        observer.aws.endpoint()
    );
    println!("  webhook   {}", deployment.output("WebhookUrl")?);
    println!(
        "  GitHub    {0}  (its state: {0}/_standin/state)",
        observer.github
    );
    println!("  logs      {}", observer.tasks.display());
    println!(
        "\nQueue another job from a second terminal:\n  cargo xtask job --labels {} --run 'echo hello; sleep 5'",
        labels().join(",")
    );
    println!(
        "\nAsk why a job waits, or what became of it:\n  AWS_ENDPOINT_URL={} AWS_REGION={REGION} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \\\n    {} why JOB",
        observer.aws.endpoint(),
        checkout.program("fargate-runners").display()
    );
    Ok(())
}

/// Shows the jobs that others queue, for ever.
async fn more(
    observer: &Observer,
    progress: &Progress,
    mut known: BTreeSet<u64>,
) -> anyhow::Result<()> {
    loop {
        for job in observer.github().await?.jobs {
            if known.insert(job.id) {
                let (observer, progress) = (observer.clone(), progress.clone());
                tokio::spawn(async move { follow(&observer, &progress, &job).await });
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
