//! `cargo xtask job`: queues one job on the running stack.

use clap::Args;
use github_standin::NewJob;
use tooling::{Checkout, Progress};

use crate::follow::{follow, heading};
use crate::state_file::StateFile;

/// The job to queue.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Labels of `runs-on`, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    labels: Vec<String>,
    /// Shell script to run
    #[arg(long, default_value = "echo hello")]
    run: String,
    /// Repository of the job
    #[arg(long, default_value = "octo/hello")]
    repository: String,
}

/// Queues the job and shows it; returns whether it succeeded.
pub(crate) async fn run(options: &Options) -> anyhow::Result<bool> {
    let observer = StateFile::find(&Checkout::here())?;
    let progress = Progress::new();
    let new = NewJob {
        repository: options.repository.clone(),
        labels: options.labels.clone(),
        run: options.run.clone(),
        ..NewJob::default()
    };
    let job = observer.create_job(&new).await?;
    heading(&progress);
    let report = follow(&observer, &progress, &job).await?;
    if let Some(task) = &report.task {
        println!("\ntask    {}\nlog     {}", task.arn, task.log.display());
    }
    println!("job     {}", report.conclusion());
    if !report.job.output.is_empty() {
        println!("output\n{}", report.job.output.trim_end());
    }
    Ok(report.conclusion() == "success")
}
