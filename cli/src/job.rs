//! What a user names a job by.

use std::str::FromStr;

use protocol::{ExecutionName, JobId, Repository, RunnerName};

/// A job, as far as the argument tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRef {
    pub id: JobId,
    /// From a URL.
    pub repository: Option<Repository>,
    /// The run, from a URL.
    pub run_id: Option<u64>,
    /// From an execution's or a runner's name.
    pub execution: Option<ExecutionName>,
}

/// An argument that names no job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error(
        "{0:?} is the address of a run, which has several jobs: open the job and copy its address (it ends in /job/NUMBER)"
    )]
    Run(String),
    #[error(
        "{0:?} names no job: give its address at GitHub (https://github.com/OWNER/NAME/actions/runs/RUN/job/ID), its id, or its execution's or runner's name"
    )]
    Unknown(String),
}

impl FromStr for JobRef {
    type Err = JobError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some((_, rest)) = text.split_once("://") {
            return address(text, rest);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::of(JobId(id)));
        }
        // An execution's ARN ends in its name.
        let name = text.rsplit(':').next().unwrap_or(text);
        if let Ok(execution) = name.parse::<ExecutionName>() {
            return Ok(Self::named(&execution));
        }
        match name.parse::<RunnerName>() {
            Ok(runner) => Ok(Self::named(runner.execution())),
            Err(_) => Err(JobError::Unknown(text.to_owned())),
        }
    }
}

impl JobRef {
    fn of(id: JobId) -> Self {
        Self {
            id,
            repository: None,
            run_id: None,
            execution: None,
        }
    }

    fn named(execution: &ExecutionName) -> Self {
        Self {
            execution: Some(execution.clone()),
            ..Self::of(execution.job())
        }
    }

    /// The job's first execution, if the argument tells its name. A runner's first name reads like an
    /// execution's (`fr-hello-7`), so what does not exist is looked for by the job's id.
    pub fn first_execution(&self) -> Option<ExecutionName> {
        if let Some(repository) = &self.repository {
            return Some(ExecutionName::first(repository, self.id));
        }
        let named = self.execution.as_ref()?.to_string();
        let base = match named.rsplit_once("-r") {
            Some((base, _)) if self.execution.as_ref().is_some_and(|e| e.restart() > 1) => base,
            _ => &named,
        };
        base.parse().ok()
    }
}

/// `HOST/OWNER/NAME/actions/runs/RUN/job/ID`, or below `/repos/` of the API. Whatever host it is: the
/// deployment has one GitHub.
fn address(text: &str, rest: &str) -> Result<JobRef, JobError> {
    let unknown = || JobError::Unknown(text.to_owned());
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let mut parts: Vec<_> = path
        .split('/')
        .skip(1)
        .filter(|part| !part.is_empty())
        .collect();
    if let Some(at) = parts.iter().position(|part| *part == "repos") {
        parts.drain(..=at);
    }
    let [owner, name, "actions", after @ ..] = &parts[..] else {
        return Err(unknown());
    };
    let (run, id) = match after {
        ["runs", run, "job" | "jobs", id] | ["runs", run, "attempts", _, "job" | "jobs", id] => {
            (Some(run.parse().map_err(|_| unknown())?), id)
        }
        ["jobs", id] => (None, id),
        ["runs", ..] => return Err(JobError::Run(text.to_owned())),
        _ => return Err(unknown()),
    };
    Ok(JobRef {
        repository: Some(format!("{owner}/{name}").parse().map_err(|_| unknown())?),
        run_id: run,
        ..JobRef::of(JobId(id.parse().map_err(|_| unknown())?))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_job_is_named_by_its_address_its_id_or_what_is_named_after_it() {
        for (text, first) in [
            (
                "https://github.com/octo/hello/actions/runs/99/job/4242",
                Some("hello-4242"),
            ),
            (
                "https://github.com/octo/hello/actions/runs/99/job/4242?pr=3#step:2:1",
                Some("hello-4242"),
            ),
            (
                "http://127.0.0.1:8080/octo/hello/actions/runs/99/attempts/2/job/4242",
                Some("hello-4242"),
            ),
            (
                "https://ghes.example.com/api/v3/repos/octo/hello/actions/jobs/4242",
                Some("hello-4242"),
            ),
            (" 4242 ", None),
            ("hello-4242", Some("hello-4242")),
            ("hello-4242-r3", Some("hello-4242")),
            ("fr-hello-4242-r2-a3", Some("hello-4242")),
            (
                "arn:aws:states:eu-west-1:1:execution:m:hello-4242",
                Some("hello-4242"),
            ),
        ] {
            let job: JobRef = text.parse().unwrap();
            assert_eq!(job.id, JobId(4242), "{text}");
            let name = job.first_execution().map(|name| name.to_string());
            assert_eq!(name.as_deref(), first, "{text}");
        }
    }

    #[test]
    fn other_text_is_told_what_to_give() {
        let told = |text: &str| text.parse::<JobRef>().unwrap_err();
        let run = "https://github.com/octo/hello/actions/runs/99";
        assert_eq!(told(run), JobError::Run(run.to_owned()));
        for text in ["", "hello", "https://github.com/octo/hello", "-1", "1.5"] {
            assert_eq!(told(text), JobError::Unknown(text.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = text.parse::<JobRef>();
        }

        #[test]
        fn what_a_job_is_served_under_leads_back_to_it(
            name in "[A-Za-z0-9._-]{1,60}", id in any::<u64>(), run in any::<u64>(),
        ) {
            prop_assume!(name != "." && name != "..");
            let repository: Repository = format!("octo/{name}").parse().unwrap();
            let first = ExecutionName::first(&repository, JobId(id));
            let url = format!("https://github.com/{repository}/actions/runs/{run}/job/{id}");
            for text in [url, first.to_string(), first.next().unwrap().to_string()] {
                let job: JobRef = text.parse().unwrap();
                prop_assert_eq!(job.first_execution(), Some(first.clone()));
            }
        }
    }
}
