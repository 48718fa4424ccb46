//! `cargo xtask job`: one more job on the stack that is running.

use clap::Args;
use github_standin::NewJob;
use tooling::{Checkout, Progress};

use crate::follow::{follow, heading};
use crate::state_file::StateFile;

/// What the job is.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What its `runs-on` asks for, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    labels: Vec<String>,
    /// The shell script that it runs
    #[arg(long, default_value = "echo hello")]
    run: String,
    /// Its repository
    #[arg(long, default_value = "octo/hello")]
    repository: String,
}

/// Queues the job and shows it; true if GitHub calls it a success.
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
