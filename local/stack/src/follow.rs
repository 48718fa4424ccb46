//! Shows a job's progress.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use github_standin::{Job, JobStatus};
use local_stack::{Execution, Observer, Task, Visit};
use protocol::State;
use tokio::time::Instant;
use tooling::{Progress, Step};

const LOOK: Duration = Duration::from_millis(100);
/// Limit for the start of the execution: a webhook is answered within a second, and one that was not is
/// delivered again by one of the next sweeps, which are a minute apart here.
const START: Duration = Duration::from_secs(150);
/// Limit for the start of a failed execution's successor, which an event triggers.
const SUCCESSOR: Duration = Duration::from_secs(3);
/// Width of an outcome. A longer one is wrapped below its row.
const OUTCOME: usize = 100;
/// The status of a webhook for a job that is not ours.
const IGNORED: u16 = 202;

/// A followed job.
#[derive(Debug)]
pub(crate) struct Report {
    /// The job at GitHub.
    pub(crate) job: Job,
    /// Name and history of the last execution.
    pub(crate) execution: Option<(String, Execution)>,
    /// The task of the last runner.
    pub(crate) task: Option<Task>,
    /// How the last runner started; `None` if none did.
    pub(crate) start: Option<Start>,
}

/// How a runner started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Start {
    /// A task that was ready took the job.
    Warm,
    /// A task was started for it.
    Cold,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        })
    }
}

impl Report {
    /// Whether the execution succeeded; the job's own result is GitHub's.
    pub(crate) fn served(&self) -> bool {
        let succeeded = self
            .execution
            .as_ref()
            .is_some_and(|(_, execution)| execution.status == "SUCCEEDED");
        succeeded && self.job.status == JobStatus::Completed
    }

    /// Seconds from the job being queued, which sends its webhook, to a listener taking it.
    pub(crate) fn waited(&self) -> Option<f64> {
        let taken = self.job.started_at?;
        Some((taken - self.job.created_at).as_seconds_f64())
    }

    /// The job's status at GitHub.
    pub(crate) fn conclusion(&self) -> &str {
        self.job
            .conclusion
            .as_deref()
            .unwrap_or(self.job.status.as_str())
    }
}

/// How an execution's last runner started; `None` if none did.
fn start_of(execution: &Execution) -> Option<Start> {
    let mut visits = execution.visits.iter().rev();
    visits.find_map(|visit| match visit.state.parse() {
        Ok(State::WarmRunner) => Some(Start::Warm),
        Ok(State::Runner) => Some(Start::Cold),
        _ => None,
    })
}

/// The head of the table that [`follow`] fills.
pub(crate) fn heading(progress: &Progress) {
    progress.say(&row(
        "execution",
        "state",
        "attempt",
        "start",
        "took",
        "outcome",
    ));
}

/// Shows a job's progress, state by state, until its last execution has ended.
pub(crate) async fn follow(
    observer: &Observer,
    progress: &Progress,
    job: &Job,
) -> anyhow::Result<Report> {
    let mut name = observer.execution_name(job)?;
    let step = progress.step(format!("{name}: {}", job.labels.join(" ")));
    let mut shown = 0;
    let mut task = None;
    // A successor that finds its job running starts none.
    let mut start = None;
    let mut last = None;
    let mut patience = Instant::now() + START;
    loop {
        if let Some(execution) = observer.execution(&name.to_string()).await? {
            shown = show(progress, &step, &name.to_string(), &execution, shown);
            task = execution.visits.iter().rev().find_map(Visit::task).or(task);
            start = start_of(&execution).or(start);
            let over = execution.is_over();
            if last.is_none() || !over {
                patience = Instant::now() + SUCCESSOR;
            }
            last = Some((name.to_string(), execution));
            if over {
                let next = name.next().context("the next execution's name")?;
                if observer.execution(&next.to_string()).await?.is_some() {
                    (name, shown, last) = (next, 0, None);
                    continue;
                }
            }
        }
        let now = observer.job(job.id).await?;
        let over = last
            .as_ref()
            .is_some_and(|(_, execution)| execution.is_over());
        let done = over && now.status == JobStatus::Completed;
        // A job of GitHub's own runners: nothing will ever start for it here.
        let ignored = last.is_none() && is_ignored(observer, job).await?;
        if done || ignored || (Instant::now() >= patience && (over || last.is_none())) {
            let report = Report {
                job: now,
                execution: last,
                task: task.map(|arn| observer.task(&arn)),
                start,
            };
            close(observer, step, &report).await?;
            return Ok(report);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the job's webhook was answered as that of somebody else's job.
async fn is_ignored(observer: &Observer, job: &Job) -> anyhow::Result<bool> {
    let deliveries = observer.github().await?.deliveries;
    let mut told = deliveries
        .iter()
        .filter(|delivery| delivery.job == Some(job.id) && delivery.status_code != 0)
        .peekable();
    Ok(told.peek().is_some() && told.all(|delivery| delivery.status_code == IGNORED))
}

/// A text in lines of at most `width` characters, where its words allow that.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Prints the states that ended since, and notes the current one.
fn show(
    progress: &Progress,
    step: &Step,
    name: &str,
    execution: &Execution,
    shown: usize,
) -> usize {
    let left = execution
        .visits
        .iter()
        .filter(|visit| visit.left.is_some())
        .count();
    for visit in &execution.visits[shown.min(left)..left] {
        let took = visit.left.unwrap_or(visit.entered) - visit.entered;
        let tries = if visit.tries > 1 {
            format!(" ({} tries)", visit.tries)
        } else {
            String::new()
        };
        let outcome = format!("{}{tries}", visit.outcome());
        let lines = wrapped(&outcome, OUTCOME);
        let (first, rest) = match lines.as_slice() {
            [] => (String::new(), &lines[..]),
            // All of a long text below the row, where it has room.
            [_, _, ..] => (
                outcome.split(':').next().unwrap_or_default().to_owned(),
                &lines[..],
            ),
            [only] => (only.clone(), &lines[1..]),
        };
        progress.say(&row(
            name,
            &visit.state,
            &visit.attempt.to_string(),
            &format!("{:.2} s", visit.entered - execution.began),
            &format!("{took:.2} s"),
            &first,
        ));
        for line in rest {
            progress.say(&format!("      {line}"));
        }
    }
    if let Some(visit) = execution.visits.get(left) {
        step.note(&format!("{}, attempt {}", visit.state, visit.attempt));
    }
    left
}

async fn close(observer: &Observer, step: Step, report: &Report) -> anyhow::Result<()> {
    let Some((_, execution)) = &report.execution else {
        let mut answers = Vec::new();
        for delivery in observer.github().await?.deliveries {
            if delivery.job == Some(report.job.id) {
                let response = observer.delivery(delivery.id).await?.response;
                let answer = format!("{} {}", delivery.status_code, response.trim());
                answers.push(answer.trim_end().to_owned());
            }
        }
        let answers = answers.join(", ");
        if report.job.status == JobStatus::Completed {
            // The stand-in also plays GitHub's own runners.
            step.done(&format!(
                "{}, without a runner of ours; its webhooks got {answers}",
                report.conclusion()
            ));
        } else {
            step.failed(&format!(
                "no execution started; its webhooks got {answers}. The job stays queued; cancel it: \
                 cargo xtask job --cancel {}",
                report.job.id
            ));
        }
        return Ok(());
    };
    if report.served() {
        let start = report.start.map_or_else(String::new, |start| {
            let waited = report.waited().unwrap_or_default();
            format!("; {start} start, {waited:.1} s from webhook to listener")
        });
        step.done(&format!("{}{start}", report.conclusion()));
    } else {
        let error = execution.error.as_deref().unwrap_or(&execution.status);
        step.failed(&format!(
            "{error}: {}",
            execution.cause.as_deref().unwrap_or_default()
        ));
    }
    Ok(())
}

fn row(
    execution: &str,
    state: &str,
    attempt: &str,
    start: &str,
    took: &str,
    outcome: &str,
) -> String {
    format!("  {execution:<24} {state:<10} {attempt:<7} {start:>9} {took:>9}   {outcome}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_wrapped_and_nothing_of_it_is_cut() {
        let cause = "Unmatched: no runner offers gpu; the nearest is fargate-runners-ubuntu-x64";
        let lines = wrapped(cause, 30);
        assert!(
            lines.iter().all(|line| line.chars().count() <= 30),
            "{lines:?}"
        );
        assert_eq!(lines.join(" "), cause);
        // A word that is longer than a line stays whole: it may be an ARN to copy.
        assert_eq!(
            wrapped("an arn:aws:ecs:task", 10),
            ["an", "arn:aws:ecs:task"]
        );
        assert!(wrapped(" \n ", 10).is_empty());
    }

    fn execution(states: &[State]) -> Execution {
        let visits = states.iter().map(|state| Visit {
            state: state.to_string(),
            ..Visit::default()
        });
        Execution {
            visits: visits.collect(),
            ..Execution::default()
        }
    }

    #[test]
    fn the_last_runner_says_how_a_job_started_and_without_one_nothing_does() {
        use State::{Cleanup, Launch, Runner, Token, WarmRunner};
        let retried = execution(&[Token, WarmRunner, Cleanup, Launch, Token, Runner, Cleanup]);
        assert_eq!(start_of(&retried), Some(Start::Cold));
        assert_eq!(
            start_of(&execution(&[Token, WarmRunner])),
            Some(Start::Warm)
        );
        assert_eq!(start_of(&execution(&[Token, Cleanup])), None);
    }
}
