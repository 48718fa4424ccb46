//! The task's metadata and figures, from ECS.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// Address of the container's metadata
/// ([documentation](https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html)).
const VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";
/// The endpoint is on the same host.
const LIMIT: Duration = Duration::from_secs(2);

/// The endpoint.
#[derive(Debug)]
pub(super) struct Metadata {
    http: Connector,
    container: String,
}

/// The task, as the endpoint describes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Task {
    /// Missing where the task has no limits of its own, as on EC2.
    #[serde(default)]
    pub(super) limits: Option<Limits>,
    #[serde(default)]
    pub(super) launch_type: String,
    #[serde(default)]
    pub(super) pull_started_at: Option<String>,
}

/// The task's size.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Limits {
    /// vCPUs.
    #[serde(rename = "CPU")]
    pub(super) cpu: f64,
    /// MiB.
    #[serde(rename = "Memory")]
    pub(super) memory: f64,
}

/// The container's figures, as Docker counts them
/// ([documentation](https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container/operation/ContainerStats)).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Stats {
    #[serde(default)]
    cpu_stats: CpuStats,
    #[serde(default)]
    memory_stats: MemoryStats,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct CpuStats {
    #[serde(default)]
    cpu_usage: CpuUsage,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct CpuUsage {
    #[serde(default)]
    total_usage: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct MemoryStats {
    #[serde(default)]
    usage: u64,
    #[serde(default)]
    stats: MemoryDetails,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct MemoryDetails {
    /// Of cgroup v1, with its children.
    total_inactive_file: Option<u64>,
    /// Of cgroup v2.
    inactive_file: Option<u64>,
}

impl Stats {
    /// CPU time since the container's start, in nanoseconds.
    pub(super) fn cpu_nanoseconds(&self) -> u64 {
        self.cpu_stats.cpu_usage.total_usage
    }

    /// Memory in use in bytes, without cached files that the kernel can drop, as `docker stats` has it.
    pub(super) fn memory_bytes(&self) -> u64 {
        let MemoryStats { usage, stats } = &self.memory_stats;
        let cached = stats.total_inactive_file.or(stats.inactive_file);
        usage.saturating_sub(cached.unwrap_or_default())
    }
}

impl Metadata {
    /// The endpoint of the task that this process belongs to.
    pub(super) fn of_this_task() -> Option<Self> {
        Some(Self::at(&std::env::var(VARIABLE).ok()?))
    }

    pub(super) fn at(container: &str) -> Self {
        Self {
            http: Connector::builder().build_http(),
            container: container.trim_end_matches('/').to_owned(),
        }
    }

    pub(super) async fn task(&self) -> Option<Task> {
        self.get("/task").await
    }

    pub(super) async fn stats(&self) -> Option<Stats> {
        self.get("/stats").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let request = HttpRequest::get(format!("{}{path}", self.container)).ok()?;
        let answer = async {
            let answer = self.http.call(request).await.ok()?;
            if !answer.status().is_success() {
                return None;
            }
            let body = ByteStream::new(answer.into_body()).collect().await.ok()?;
            serde_json::from_slice(&body.into_bytes()).ok()
        };
        timeout(LIMIT, answer).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From AWS's example of a Fargate task's answers, shortened.
    #[test]
    fn aws_examples_are_read() {
        let task: Task = serde_json::from_str(
            r#"{ "Cluster": "arn:aws:ecs:us-west-2:111122223333:cluster/default", "DesiredStatus": "RUNNING",
                 "Limits": { "CPU": 0.25, "Memory": 512 }, "PullStartedAt": "2023-07-21T15:45:33.532811081Z",
                 "PullStoppedAt": "2023-07-21T15:45:38.541068435Z", "LaunchType": "FARGATE" }"#,
        )
        .unwrap();
        assert_eq!(task.launch_type, "FARGATE");
        assert!((task.limits.unwrap().cpu - 0.25).abs() < f64::EPSILON);
        let stats: Stats = serde_json::from_str(
            r#"{ "read": "2020-10-02T00:55:13.410254284Z",
                 "cpu_stats": { "cpu_usage": { "total_usage": 360968065, "percpu_usage": [182359190, 178608875] },
                                "system_cpu_usage": 9393210000000, "online_cpus": 2 },
                 "memory_stats": { "usage": 8380416, "max_usage": 12000000,
                                   "stats": { "cache": 1000000, "total_inactive_file": 380416 } } }"#,
        )
        .unwrap();
        assert_eq!(stats.cpu_nanoseconds(), 360_968_065);
        assert_eq!(stats.memory_bytes(), 8_000_000);
        // A container that has just started has none yet.
        assert_eq!(
            serde_json::from_str::<Stats>("{}").unwrap().memory_bytes(),
            0
        );
    }

    #[tokio::test]
    async fn the_endpoint_is_asked_and_one_that_is_not_there_answers_nothing() {
        use std::io::{BufRead as _, BufReader, Write as _};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v4/abc", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut first = String::new();
                BufReader::new(&stream).read_line(&mut first).unwrap();
                let body = if first.starts_with("GET /v4/abc/task ") {
                    r#"{"LaunchType":"FARGATE"}"#
                } else {
                    "no JSON"
                };
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        let metadata = Metadata::at(&address);
        assert_eq!(metadata.task().await.unwrap().launch_type, "FARGATE");
        assert_eq!(metadata.stats().await, None);
        server.join().unwrap();
        assert_eq!(metadata.task().await, None);
    }
}
