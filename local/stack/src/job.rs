//! `cargo xtask job`: queues one job on the running stack, or cancels one.

use anyhow::Context;
use clap::Args;
use github_standin::{Job, NewJob};
use local_stack::Observer;
use tooling::{Checkout, Progress};

use crate::follow::{Report, follow, heading};
use crate::state_file::StateFile;

/// The job to queue or to cancel.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Labels of `runs-on`, separated by commas
    #[arg(long, value_delimiter = ',', required_unless_present = "cancel")]
    labels: Vec<String>,
    /// Shell script to run
    #[arg(long, default_value = "echo hello")]
    run: String,
    /// Repository of the job
    #[arg(long, default_value = "octo/hello")]
    repository: String,
    /// Cancel the job with this id, as a user does at GitHub
    #[arg(long, value_name = "JOB", conflicts_with = "labels")]
    cancel: Option<u64>,
}

/// Queues the job and shows it; returns whether it succeeded.
pub(crate) async fn run(options: &Options) -> anyhow::Result<bool> {
    let observer = StateFile::find(&Checkout::here())?;
    if let Some(id) = options.cancel {
        let job = observer.cancel_job(id).await?;
        println!(
            "job     {id} {}",
            job.conclusion.as_deref().unwrap_or("cancelling")
        );
        return Ok(true);
    }
    let progress = Progress::new();
    let new = NewJob {
        repository: options.repository.clone(),
        labels: options.labels.clone(),
        run: options.run.clone(),
        ..NewJob::default()
    };
    let job = observer.create_job(&new).await?;
    heading(&progress);
    let report = tokio::select! {
        report = follow(&observer, &progress, &job) => report?,
        signal = tokio::signal::ctrl_c() => {
            signal.context("waiting for Ctrl-C")?;
            drop(progress);
            return left(&observer, &job).await;
        }
    };
    show(&report);
    Ok(report.conclusion() == "success")
}

/// Says what becomes of a job that is not watched any more. It has not succeeded.
async fn left(observer: &Observer, job: &Job) -> anyhow::Result<bool> {
    let id = job.id;
    let status = observer.job(id).await?.status;
    eprintln!(
        "\nJob {id} goes on ({}): only watching it has ended.\nCancel it: cargo xtask job --cancel {id}",
        status.as_str()
    );
    Ok(false)
}

fn show(report: &Report) {
    if let Some(task) = &report.task {
        println!("\ntask    {}\nlog     {}", task.arn, task.log.display());
    }
    println!("job     {} {}", report.job.id, report.conclusion());
    if !report.job.output.is_empty() {
        println!("output\n{}", report.job.output.trim_end());
    }
}
