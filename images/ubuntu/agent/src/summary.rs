//! The job's summary: what the agent, as the runner's job-completed hook, adds to the page of the run.
//!
//! ```text
//! agent, before the listener   writes the hook's script and `facts.json`            (hook)
//! agent, during the job        samples CPU and memory into `usage.json`             (usage)
//! runner, after the job        runs the script, which runs `agent summary DIRECTORY`
//! ```
//!
//! The job can read and change these files, as everything of its user; they hold nothing secret. A hook
//! that fails would fail the job ([source]), so it answers within seconds, and its exit code is 0.
//!
//! [source]: https://github.com/actions/runner/blob/main/src/Runner.Worker/JobExtension.cs

mod facts;
mod hook;
mod metadata;
mod size;
mod text;
mod usage;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

pub(crate) use facts::{Facts, seconds};
pub(crate) use hook::{Hook, VARIABLE};
pub(crate) use usage::Sampler;

use metadata::Metadata;
use usage::Usage;

/// After this the hook gives up, whatever it waits for.
const LIMIT: Duration = Duration::from_secs(5);
/// The runner's file for a step's summary
/// ([documentation](https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary)).
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// `agent summary DIRECTORY`: appends what is known of the job to its summary. Whatever is missing is
/// left out; nothing is worth a failed job.
pub async fn write(directory: &Path) {
    // Also if something blocks this thread: the process ends well.
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        std::process::exit(0);
    });
    let Some(file) = std::env::var_os(STEP_SUMMARY) else {
        return;
    };
    let Some(facts) = Facts::read(directory) else {
        return;
    };
    let metadata = Metadata::of_this_task();
    let task = match &metadata {
        Some(metadata) => metadata.task().await,
        None => None,
    };
    let usage = Usage::read(directory);
    let Some(summary) = text::summary(&facts, task.as_ref(), usage.as_ref(), SystemTime::now())
    else {
        return;
    };
    if let Ok(mut file) = OpenOptions::new().append(true).open(file) {
        // Nobody reads an error of a hook.
        let _ = file.write_all(summary.as_bytes());
    }
}
