//! Accounts for a run: the end of each job, and everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use github_standin::{Job, JobStatus};
use protocol::RunnerName;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The facts at the end of a run.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub jobs: Vec<JobFacts>,
    /// Runners whose task the run stopped.
    pub ended_runners: BTreeSet<String>,
    /// Executions that the run closed.
    pub closed_executions: BTreeSet<String>,
    /// Leftovers, one line each.
    pub left: Vec<String>,
    /// Ids of the runners that GitHub deleted on request.
    pub deleted: BTreeSet<u64>,
    /// Tasks that functions stopped.
    pub stops: Vec<Stop>,
    /// Calls for which their callers lack a permission.
    pub denied: BTreeSet<String>,
    /// Number of tasks that executions started.
    pub started: usize,
    /// Number of tasks that the keeper started.
    pub stocked: usize,
    /// The executions that waited for each warm task.
    pub adopted: BTreeMap<String, Vec<String>>,
    /// Whether everything settled in time.
    pub settled: bool,
}

/// A job's facts.
#[derive(Clone, Debug)]
pub struct JobFacts {
    /// Its name in the schedule.
    pub name: String,
    /// Its first execution's name.
    pub execution: String,
    /// How often its script started.
    pub runs: usize,
    /// How many attempts GitHub made of its run.
    pub attempts: usize,
    /// Whether the schedule cancelled it.
    pub cancelled: bool,
    /// Whether an aborted execution left it in the queue, so that the run cancelled it at the end.
    pub abandoned: bool,
    /// GitHub's description.
    pub job: Job,
}

/// A task that a function stopped.
#[derive(Clone, Debug)]
pub struct Stop {
    pub runner: String,
    pub at: String,
}

/// A job's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It ran once, to its end.
    Run,
    Cancelled,
    /// The run stopped its runner's task or closed its execution.
    Killed,
    /// Its execution was aborted, which left it in the queue.
    Abandoned,
    /// It failed, but not because of the run's faults.
    Failed,
    /// It never ran.
    Lost,
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its description, in one line.
    pub what: String,
    /// The first execution of the affected job.
    pub execution: Option<String>,
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Number of jobs by end.
    pub ends: BTreeMap<End, usize>,
    pub repeated: usize,
    /// Runners with a job that functions deleted or stopped.
    pub robbed: usize,
    /// Runners in excess of those that ran a job or were ended by the run.
    pub surplus: usize,
    pub problems: Vec<Problem>,
}

impl Account {
    /// Computes the result.
    pub fn of(facts: &Facts) -> Self {
        let mut account = Self::default();
        for one in &facts.jobs {
            account.count(one, facts);
        }
        let jobs = || facts.jobs.iter().map(|one| &one.job);
        for job in jobs() {
            // GitHub refuses to delete a runner with a job, and a deleted runner cannot start one.
            if job.runner_id.is_some_and(|id| facts.deleted.contains(&id)) {
                account.rob(job, "was deleted at GitHub");
            }
        }
        for stop in &facts.stops {
            for job in jobs().filter(|job| job.runner.as_ref() == Some(&stop.runner)) {
                if ran_at(job, &stop.at) {
                    account.rob(job, "was stopped in its task");
                }
            }
        }
        for line in &facts.left {
            account.add(format!("left over: {line}"), None);
        }
        for line in &facts.denied {
            account.add(format!("not granted: {line}"), None);
        }
        for (task, executions) in &facts.adopted {
            if executions.len() > 1 {
                account.add(format!("{task} served {}", executions.join(" and ")), None);
            }
        }
        if !facts.settled {
            account.add("it did not settle".to_owned(), None);
        }
        let used: BTreeSet<_> = jobs()
            .filter_map(|job| job.runner.as_ref())
            .chain(&facts.ended_runners)
            .collect();
        let started = facts.started + facts.adopted.len();
        account.surplus = started.saturating_sub(used.len());
        account
    }

    /// Whether there are no problems.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// Number of jobs with this end.
    pub fn ended(&self, end: End) -> usize {
        self.ends.get(&end).copied().unwrap_or(0)
    }

    fn count(&mut self, one: &JobFacts, facts: &Facts) {
        let end = end(one, facts);
        *self.ends.entry(end).or_default() += 1;
        let job = || Some(one.execution.clone());
        match end {
            End::Lost => self.add(format!("{} was lost", one.name), job()),
            End::Failed => self.add(
                format!("{} failed without a fault of the run", one.name),
                job(),
            ),
            End::Run if one.runs == 0 => {
                self.add(format!("{} is a success and never ran", one.name), job());
            }
            _ => {}
        }
        if one.runs > one.attempts || one.job.started > 1 {
            self.repeated += 1;
            self.add(format!("{} ran more than once", one.name), job());
        }
    }

    fn rob(&mut self, job: &Job, how: &str) {
        self.robbed += 1;
        let runner = job.runner.as_deref().unwrap_or_default();
        let what = format!("{runner} {how} while it ran {} ({})", job.name, job.id);
        self.add(what, None);
    }

    fn add(&mut self, what: String, execution: Option<String>) {
        self.problems.push(Problem { what, execution });
    }
}

/// A job's end.
pub fn end(one: &JobFacts, facts: &Facts) -> End {
    let job = &one.job;
    if one.abandoned {
        return End::Abandoned;
    }
    let runner = job.runner.as_deref();
    let killed = runner.is_some_and(|runner| {
        let name: Option<RunnerName> = runner.parse().ok();
        let execution = name.map(|name| name.execution().to_string());
        facts.ended_runners.contains(runner)
            || execution.is_some_and(|name| facts.closed_executions.contains(&name))
    });
    match (job.status, job.conclusion.as_deref()) {
        (JobStatus::Completed, Some("success")) => End::Run,
        (JobStatus::Completed, Some("cancelled")) if one.cancelled => End::Cancelled,
        (JobStatus::Completed, _) if killed => End::Killed,
        (JobStatus::Completed, _) => End::Failed,
        _ => End::Lost,
    }
}

/// Whether a job was running at a time. GitHub's timestamps have whole seconds.
fn ran_at(job: &Job, at: &str) -> bool {
    let Ok(at) = OffsetDateTime::parse(at, &Rfc3339) else {
        return false;
    };
    let begun = job.started_at.is_some_and(|begun| begun <= at);
    begun && job.completed_at.is_none_or(|ended| at < ended)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(status: &str, conclusion: Option<&str>, runner: Option<&str>) -> JobFacts {
        let job = json!({
            "id": 7, "run_id": 8, "run_attempt": 1, "name": "job-000", "workflow": "CI",
            "repository": "octo/seed1-one", "labels": [], "run": "", "env": {}, "via": "app",
            "status": status, "conclusion": conclusion, "runner_id": runner.map(|_| 9),
            "runner": runner, "runner_group_id": null, "runner_group": null, "leased_to": null,
            "output": "", "started": u8::from(runner.is_some()),
            "created_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:02Z",
            "completed_at": "2026-01-01T00:00:08Z",
        });
        JobFacts {
            name: "job-000".to_owned(),
            execution: "seed1-one-7".to_owned(),
            runs: usize::from(runner.is_some()),
            attempts: 1,
            cancelled: false,
            abandoned: false,
            job: serde_json::from_value(job).unwrap(),
        }
    }

    fn facts(one: JobFacts) -> Facts {
        Facts {
            jobs: vec![one],
            started: 1,
            settled: true,
            ..Facts::default()
        }
    }

    fn served() -> JobFacts {
        job("completed", Some("success"), Some("ch-seed1-one-7"))
    }

    #[test]
    fn a_job_that_ran_once_is_well() {
        let account = Account::of(&facts(served()));
        assert!(account.is_well(), "{:?}", account.problems);
        assert_eq!(account.ended(End::Run), 1);
        assert_eq!(account.surplus, 0);
    }

    #[test]
    fn a_job_in_the_queue_is_lost_unless_its_execution_was_aborted() {
        let mut one = job("queued", None, None);
        assert_eq!(end(&one, &facts(one.clone())), End::Lost);
        one.abandoned = true;
        assert_eq!(end(&one, &facts(one.clone())), End::Abandoned);
    }

    #[test]
    fn a_failure_needs_somebody_who_brought_it_about() {
        let one = job("completed", Some("failure"), Some("ch-seed1-one-7-a2"));
        let mut facts = facts(one.clone());
        assert_eq!(end(&one, &facts), End::Failed);
        assert!(!Account::of(&facts).is_well());
        facts.ended_runners.insert("ch-seed1-one-7-a2".to_owned());
        assert_eq!(end(&one, &facts), End::Killed);
        facts.ended_runners.clear();
        // Closing an execution also ends the runners of all its attempts.
        facts.closed_executions.insert("seed1-one-7".to_owned());
        assert_eq!(end(&one, &facts), End::Killed);
    }

    #[test]
    fn a_job_that_ran_twice_is_found_by_what_its_script_wrote() {
        let mut one = served();
        one.runs = 2;
        assert_eq!(Account::of(&facts(one)).repeated, 1);
    }

    #[test]
    fn a_runner_that_we_ended_in_its_job_is_found() {
        let mut stopped = facts(served());
        let stop = |at: &str| Stop {
            runner: "ch-seed1-one-7".to_owned(),
            at: at.to_owned(),
        };
        stopped.stops = vec![
            stop("2026-01-01T00:00:01+00:00"),
            stop("2026-01-01T00:00:09+00:00"),
        ];
        assert_eq!(Account::of(&stopped).robbed, 0);
        stopped.stops.push(stop("2026-01-01T00:00:05.250+00:00"));
        assert_eq!(Account::of(&stopped).robbed, 1);
        let mut deleted = facts(served());
        deleted.deleted.insert(9);
        assert_eq!(Account::of(&deleted).robbed, 1);
    }

    #[test]
    fn a_warm_task_that_serves_two_executions_is_found() {
        let mut facts = facts(served());
        let executions = vec!["seed1-one-7".to_owned()];
        facts.adopted.insert("arn".to_owned(), executions);
        assert!(Account::of(&facts).is_well());
        let executions = facts.adopted.get_mut("arn").unwrap();
        executions.push("seed1-one-8".to_owned());
        let account = Account::of(&facts);
        assert_eq!(
            account.problems[0].what,
            "arn served seed1-one-7 and seed1-one-8"
        );
    }

    #[test]
    fn whatever_is_left_is_a_problem() {
        let mut left = facts(served());
        left.left.push("task arn".to_owned());
        assert!(!Account::of(&left).is_well());
    }
}
