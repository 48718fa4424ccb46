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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error(
        "it is the address of a run, which has several jobs: open the job and copy its address (it ends in /job/NUMBER)"
    )]
    Run,
    #[error(
        "it names no job: give its address at GitHub (https://github.com/OWNER/NAME/actions/runs/RUN/job/ID), its id, or its execution's or runner's name"
    )]
    Unknown,
}

impl FromStr for JobRef {
    type Err = JobError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        // An execution's ARN ends in its name, also in the address of its page in the AWS console.
        if let Some((_, after)) = text.split_once(":execution:") {
            let end = after.find(['?', '#', '/']).unwrap_or(after.len());
            let name = after[..end].rsplit(':').next().unwrap_or_default();
            let execution: ExecutionName = name.parse().map_err(|_| JobError::Unknown)?;
            return Ok(Self::named(&execution));
        }
        let path = text.split_once("://").map_or(text, |(_, rest)| rest);
        if path.contains('/') {
            return address(path);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::of(JobId(id)));
        }
        if let Ok(execution) = text.parse::<ExecutionName>() {
            return Ok(Self::named(&execution));
        }
        match text.parse::<RunnerName>() {
            Ok(runner) => Ok(Self::named(runner.execution())),
            Err(_) => Err(JobError::Unknown),
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
/// deployment has one GitHub. A job is also a check run with the same id ([API]), which pages of checks and
/// of pull requests name.
///
/// [API]: https://docs.github.com/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
fn address(text: &str) -> Result<JobRef, JobError> {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let query = text.split_once('?').map(|(_, query)| query);
    let query = query.and_then(|query| query.split('#').next());
    let parts: Vec<_> = path
        .split('/')
        .skip(1)
        .filter(|part| !part.is_empty())
        .collect();
    // An owner or a repository may have the API's words for a name, so a page's form goes first.
    let of_api = match &parts[..] {
        ["repos", rest @ ..] | ["api", "v3", "repos", rest @ ..] => rest,
        _ => &[],
    };
    let page = below_repository(&parts, query);
    match below_repository(of_api, query) {
        Ok(job) if page.is_err() => Ok(job),
        Err(JobError::Run) if page == Err(JobError::Unknown) => Err(JobError::Run),
        _ => page,
    }
}

/// The job of `OWNER/NAME/…`.
fn below_repository(parts: &[&str], query: Option<&str>) -> Result<JobRef, JobError> {
    let checked = || {
        let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
        let mut ids = pairs.filter(|(name, _)| *name == "check_run_id");
        ids.next().map(|(_, id)| id)
    };
    let [owner, name, after @ ..] = parts else {
        return Err(JobError::Unknown);
    };
    let (run, id) = match after {
        ["actions", "runs", run, "job" | "jobs", id]
        | ["actions", "runs", run, "attempts", _, "job" | "jobs", id] => {
            (Some(run.parse().map_err(|_| JobError::Unknown)?), *id)
        }
        ["actions", "jobs", id] | ["runs" | "check-runs", id] => (None, *id),
        ["actions", "runs", _, ..] => return Err(JobError::Run),
        ["pull", _, "checks"] => (None, checked().ok_or(JobError::Unknown)?),
        _ => return Err(JobError::Unknown),
    };
    let repository = format!("{owner}/{name}");
    Ok(JobRef {
        repository: Some(repository.parse().map_err(|_| JobError::Unknown)?),
        run_id: run,
        ..JobRef::of(JobId(id.parse().map_err(|_| JobError::Unknown)?))
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
            (
                "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:1:execution:m:hello-4242-r2",
                Some("hello-4242"),
            ),
            (
                "github.com/octo/hello/actions/runs/99/job/4242/",
                Some("hello-4242"),
            ),
            (
                "https://github.com/octo/repos/actions/runs/99/job/4242",
                Some("repos-4242"),
            ),
            (
                "https://github.com/repos/hello/actions/runs/99/job/4242",
                Some("hello-4242"),
            ),
            (
                "https://api.github.com/repos/octo/actions/actions/jobs/4242",
                Some("actions-4242"),
            ),
            (
                "https://github.com/octo/hello/runs/4242?check_suite_focus=true",
                Some("hello-4242"),
            ),
            (
                "https://github.com/octo/hello/pull/3/checks?a=b&check_run_id=4242#x",
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
        for run in [
            "https://github.com/octo/hello/actions/runs/99",
            "https://github.com/octo/hello/actions/runs/99/attempts/2?pr=1",
            "https://api.github.com/repos/octo/hello/actions/runs/99",
        ] {
            assert_eq!(told(run), JobError::Run, "{run}");
        }
        for text in [
            "",
            "hello",
            "https://github.com/octo/hello",
            "https://github.com/octo/hello/actions/runs/99/job/some",
            "https://github.com/octo/hello/pull/3/checks",
            "arn:aws:states:eu-west-1:1:execution:m:hello",
            "-1",
            "1.5",
        ] {
            assert_eq!(told(text), JobError::Unknown, "{text}");
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
