//! Names: of executions, of runners, of parameters. All are read back from AWS and GitHub, where
//! others name things as well.

use protocol::sanitize::tag_value;
use protocol::{DeploymentId, ExecutionName, JobId, ParameterPath, Repository, RunnerName};

/// Step Functions' limit is 80, GitHub's 64; ours for an execution leaves a runner's name its room.
const EXECUTION: usize = 52;
const RUNNER: usize = 64;

/// The first line is a name that somebody gave, the second a repository, the third a job's id.
pub fn names(data: &[u8]) {
    let Some((name, rest)) = crate::lines(data) else {
        return;
    };
    foreign(name);
    let (repository, id) = rest.split_once('\n').unwrap_or((rest, "1"));
    if let (Ok(repository), Ok(id)) = (repository.parse::<Repository>(), id.parse()) {
        assert_eq!(repository.to_string().parse(), Ok(repository.clone()));
        made(ExecutionName::first(&repository, JobId(id)), JobId(id));
    }
    let tag = tag_value(name);
    assert!((1..=256).contains(&tag.len()) && tag.is_ascii());
}

/// A name that is taken for ours prints back the same, so that it finds what it names.
fn foreign(text: &str) {
    if let Ok(deployment) = text.parse::<DeploymentId>() {
        assert_eq!(deployment.to_string(), text);
    }
    if let Ok(execution) = text.parse::<ExecutionName>() {
        assert_eq!(execution.to_string(), text);
        made(execution.clone(), execution.job());
    }
    if let Ok(runner) = text.parse::<RunnerName>() {
        assert_eq!(runner.to_string(), text);
        fits(&runner);
        made(runner.execution().clone(), runner.execution().job());
    }
    if let Ok(path) = text.parse::<ParameterPath>() {
        assert_eq!(path.to_string(), text);
        fits(path.runner());
    }
}

/// What follows from an execution's name reads back, to the last restart and attempt.
fn made(first: ExecutionName, job: JobId) {
    let mut name = first;
    loop {
        let text = name.to_string();
        assert!(text.len() <= EXECUTION, "{text}");
        assert_eq!(text.parse(), Ok(name.clone()));
        assert_eq!(name.job(), job);
        for attempt in [1, 2, 9_999, u32::MAX] {
            let deployment = "fr123".parse().unwrap();
            fits(&RunnerName::new(deployment, name.clone(), attempt));
        }
        match name.next() {
            Ok(next) => name = next,
            Err(_) => return,
        }
    }
}

/// GitHub and ECS (`startedBy`) both take this alphabet.
fn fits(runner: &RunnerName) {
    let text = runner.to_string();
    assert!(text.len() <= RUNNER, "{text}");
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    assert!(text.chars().all(safe), "{text}");
    assert_eq!(text.parse().as_ref(), Ok(runner));
}
