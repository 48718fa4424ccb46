//! Addresses of AWS's and GitHub's pages. Pure.

use protocol::{ExecutionName, Job};

use crate::cloud::stream_of;

/// Where the pages of a deployment are.
#[derive(Clone, Debug)]
pub struct Links {
    /// The console of the region's partition; `None` for an engine that has no pages.
    pub aws: Option<String>,
    pub region: String,
    /// Start of the executions' ARNs.
    pub machine: String,
    pub cluster: String,
    pub task_logs: String,
    /// GitHub's pages, without a trailing slash.
    pub github: String,
}

/// The console's host of a region ([hosts]).
///
/// [hosts]: https://docs.aws.amazon.com/general/latest/gr/mgmt-console.html
pub fn console_of(region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "console.amazonaws.cn"
    } else if region.starts_with("us-gov-") {
        "console.amazonaws-us-gov.com"
    } else {
        "console.aws.amazon.com"
    };
    format!("https://{region}.{domain}")
}

impl Links {
    pub fn execution(&self, name: &ExecutionName) -> Option<String> {
        let executions = self.machine.replacen(":stateMachine:", ":execution:", 1);
        let (aws, region) = (self.aws.as_ref()?, &self.region);
        Some(format!(
            "{aws}/states/home?region={region}#/v2/executions/details/{executions}:{name}"
        ))
    }

    pub fn machine(&self) -> Option<String> {
        let (aws, region, machine) = (self.aws.as_ref()?, &self.region, &self.machine);
        Some(format!(
            "{aws}/states/home?region={region}#/statemachines/view/{machine}"
        ))
    }

    pub fn tasks(&self) -> Option<String> {
        let (aws, region, cluster) = (self.aws.as_ref()?, &self.region, &self.cluster);
        Some(format!(
            "{aws}/ecs/v2/clusters/{cluster}/tasks?region={region}"
        ))
    }

    pub fn task(&self, arn: &str) -> Option<String> {
        let (aws, region, cluster) = (self.aws.as_ref()?, &self.region, &self.cluster);
        let id = arn.rsplit('/').next().unwrap_or(arn);
        Some(format!(
            "{aws}/ecs/v2/clusters/{cluster}/tasks/{id}?region={region}"
        ))
    }

    pub fn log(&self, task: &str) -> Option<String> {
        let (aws, region) = (self.aws.as_ref()?, &self.region);
        // The page's own encoding: percent signs become dollar signs, and slashes are encoded twice.
        let encoded = |text: &str| text.replace('/', "$252F");
        let (group, stream) = (encoded(&self.task_logs), encoded(&stream_of(task)));
        Some(format!(
            "{aws}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}/log-events/{stream}"
        ))
    }

    pub fn job(&self, job: &Job) -> String {
        format!(
            "{}/{}/actions/runs/{}/job/{}",
            self.github, job.repository, job.run_id, job.id
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(region: &str) -> Links {
        Links {
            aws: Some(console_of(region)),
            region: region.to_owned(),
            machine: "arn:aws:states:eu-west-1:1:stateMachine:runners".to_owned(),
            cluster: "runners".to_owned(),
            task_logs: "/ecs/runners".to_owned(),
            github: "https://github.com".to_owned(),
        }
    }

    #[test]
    fn pages_are_those_of_the_partition() {
        for (region, host) in [
            ("eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
            ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
            (
                "us-gov-west-1",
                "https://us-gov-west-1.console.amazonaws-us-gov.com/",
            ),
        ] {
            let task = links(region)
                .task("arn:aws:ecs:r:1:task/runners/0123")
                .unwrap();
            assert!(task.starts_with(host), "{task}");
            assert!(
                task.contains("/clusters/runners/tasks/0123?region="),
                "{task}"
            );
        }
    }

    #[test]
    fn an_execution_and_a_log_are_found_by_name() {
        let links = links("eu-west-1");
        let execution = links.execution(&"hello-7-r2".parse().unwrap()).unwrap();
        assert!(
            execution.ends_with(
                "#/v2/executions/details/arn:aws:states:eu-west-1:1:execution:runners:hello-7-r2"
            ),
            "{execution}"
        );
        let log = links.log("arn:aws:ecs:r:1:task/runners/0123").unwrap();
        assert!(
            log.ends_with("log-group/$252Fecs$252Frunners/log-events/runner$252Frunner$252F0123"),
            "{log}"
        );
        let nowhere = Links { aws: None, ..links };
        assert_eq!(nowhere.task("arn"), None);
    }
}
