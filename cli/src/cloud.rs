//! The calls at AWS, each counted. What a call finds is a [`Seen`]: a command reports what it could not
//! look at and goes on.

use aws::ErrorKind;
use aws::executions::Executions;
use aws::executions::history::HistoryEvent;
use aws_sdk_cloudwatchlogs::types::OutputLogEvent;
use aws_sdk_ecs::types::Task;
use protocol::{ExecutionName, JobId};
use runtime::settings::Settings;
use time::{Duration, OffsetDateTime};

use crate::connection::{Calls, Connection};
use crate::deployment::Deployment;
use crate::why::setbacks::{self, Untold};
use crate::why::{Course, ExecutionSeen, Line, Reader, Seen, Setback, TaskSeen};

/// How far back the log of `verify` is searched: as long as GitHub lists deliveries.
const LOG_WINDOW: Duration = Duration::days(3);
/// Pages of that log: a page can be empty although more follow.
const LOG_PAGES: usize = 3;
/// Executions of one job that are described, and the newest: a job has three, unless outages restart it.
const EXECUTIONS: usize = 4;
/// Pages of a history; an attempt writes a dozen events, or a hundred with all retries.
const HISTORY_PAGES: usize = 2;
/// Tasks that one call describes.
const TASKS: usize = 100;
/// What awslogs puts before the task's id.
const STREAM: &str = "runner/runner";

/// What an execution's history tells.
#[derive(Clone, Debug)]
pub struct Past {
    /// Where it is.
    pub course: Course,
    /// What went wrong on its way.
    pub setbacks: Vec<Setback>,
    /// Its tasks whose end it does not tell.
    pub untold: Vec<Untold>,
}

/// A deployment's AWS.
#[derive(Clone, Debug)]
pub struct Cloud {
    pub executions: Executions,
    pub ecs: aws_sdk_ecs::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub calls: Calls,
}

impl Cloud {
    pub fn new(connection: &Connection, deployment: &Deployment, calls: Calls) -> Self {
        let config = &connection.config;
        Self {
            executions: Executions::new(config, deployment.machine.clone()),
            ecs: aws_sdk_ecs::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
            lambda: aws_sdk_lambda::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            calls,
        }
    }

    /// The settings of a function.
    pub async fn settings(&self, function: &str) -> Seen<Settings> {
        if !self.calls.take() {
            return spent();
        }
        let found = self
            .lambda
            .get_function_configuration()
            .function_name(function)
            .send()
            .await
            .map_err(|error| aws::Error::new("lambda:GetFunctionConfiguration", function, &error));
        seen(found.map(|found| {
            let variables = found
                .environment
                .and_then(|environment| environment.variables);
            Some(Settings::from_pairs(variables.unwrap_or_default()))
        }))
    }

    /// What `verify` logged about a job's webhooks, oldest first.
    pub async fn webhooks(
        &self,
        function: &str,
        job: JobId,
        now: OffsetDateTime,
    ) -> Seen<Vec<Line>> {
        let since = (now - LOG_WINDOW).unix_timestamp() * 1_000;
        let (mut found, mut token) = (Vec::new(), None);
        for _ in 0..LOG_PAGES {
            if !self.calls.take() {
                return spent();
            }
            let group = format!("/aws/lambda/{function}");
            let page = self
                .logs
                .filter_log_events()
                .log_group_name(&group)
                .filter_pattern(format!("{{ $.span.job_id = {job} }}"))
                .start_time(since)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| aws::Error::new("logs:FilterLogEvents", group, &error));
            let page = match page {
                Ok(page) => page,
                Err(error) if error.kind() == ErrorKind::NotFound => return Seen::Nothing,
                Err(error) => return Seen::unknown(error.to_string()),
            };
            for event in page.events() {
                let at = instant(event.timestamp());
                let line = event.message().zip(at);
                let line = line.and_then(|(text, at)| Line::read(text, at));
                found.extend(line.filter(|line| line.job == job));
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        match (found.is_empty(), token) {
            (false, _) => Seen::Found(found),
            (true, None) => Seen::Nothing,
            (true, Some(_)) => Seen::unknown(
                "the log of the last three days is long, and only a part was searched",
            ),
        }
    }

    /// The executions of a job from one on, oldest first: the first few, and the newest if there are more.
    pub async fn executions_from(&self, first: &ExecutionName) -> Seen<Vec<ExecutionSeen>> {
        let mut found = Vec::new();
        let mut name = first.clone();
        loop {
            if !self.calls.take() {
                break;
            }
            match self.executions.describe(&name).await {
                Ok(Some(described)) => found.push(ExecutionSeen::new(name.clone(), described)),
                Ok(None) => break,
                Err(error) => return Seen::unknown(error.to_string()),
            }
            let next = match found.len() {
                0..EXECUTIONS => name.next().ok(),
                EXECUTIONS => self.newest_after(&name).await,
                _ => None,
            };
            match next {
                Some(next) => name = next,
                None => break,
            }
        }
        if found.is_empty() {
            Seen::Nothing
        } else {
            Seen::Found(found)
        }
    }

    /// The newest of a job's executions that were restarted more often than this one. It started lately
    /// wherever it matters, so the newest thousand have it.
    async fn newest_after(&self, name: &ExecutionName) -> Option<ExecutionName> {
        if !self.calls.take() {
            return None;
        }
        let names = self.executions.named_after(name.job()).await.ok();
        let newest = names.and_then(|names| names.into_iter().next_back());
        newest
            .filter(|newest| newest.restart() > name.restart())
            .or_else(|| name.next().ok())
    }

    /// The first of a job's executions, found by the job's id alone.
    pub async fn first_execution(&self, job: JobId) -> Seen<ExecutionName> {
        if !self.calls.take() {
            return spent();
        }
        let named = self.executions.named_after(job).await;
        seen(named.map(|names| names.into_iter().next()))
    }

    /// Where an execution is.
    pub async fn course(&self, name: &ExecutionName) -> Seen<Course> {
        let (mut reader, mut token) = (Reader::default(), None);
        for _ in 0..HISTORY_PAGES {
            if !self.calls.take() {
                break;
            }
            match self.executions.history(name, token).await {
                Ok((events, next)) => {
                    reader.take(&events);
                    token = next;
                }
                Err(error) => return Seen::unknown(error.to_string()),
            }
            if token.is_none() || reader.is_done() {
                break;
            }
        }
        Seen::Found(reader.course())
    }

    /// An execution of that name.
    pub async fn execution(&self, name: &ExecutionName) -> Seen<ExecutionSeen> {
        if !self.calls.take() {
            return spent();
        }
        let found = self.executions.describe(name).await;
        seen(found.map(|found| found.map(|found| ExecutionSeen::new(name.clone(), found))))
    }

    /// Where an execution is, and what went wrong on its way.
    pub async fn past(&self, name: &ExecutionName) -> Seen<Past> {
        let events = match self.events(name).await {
            Ok((events, _)) => events,
            Err(error) => return Seen::unknown(error.to_string()),
        };
        if events.is_empty() {
            return spent();
        }
        let mut reader = Reader::default();
        reader.take(&events);
        let (setbacks, untold) = setbacks::read(name, &events);
        Seen::Found(Past {
            course: reader.course(),
            setbacks,
            untold,
        })
    }

    /// An execution's newest events, and whether there are older ones; none if no call is left.
    pub async fn events(
        &self,
        name: &ExecutionName,
    ) -> Result<(Vec<HistoryEvent>, bool), aws::Error> {
        let (mut events, mut token) = (Vec::new(), None);
        for _ in 0..HISTORY_PAGES {
            if !self.calls.take() {
                break;
            }
            let (page, next) = self.executions.history(name, token).await?;
            events.extend(page);
            token = next;
            if token.is_none() {
                break;
            }
        }
        Ok((events, token.is_some()))
    }

    /// These tasks, as far as ECS still knows them, in one call.
    pub async fn tasks_of_job(&self, cluster: &str, arns: &[String]) -> Seen<Vec<TaskSeen>> {
        if arns.is_empty() {
            return Seen::Nothing;
        }
        if !self.calls.take() {
            return spent();
        }
        let some = &arns[..arns.len().min(TASKS)];
        let found = self.tasks(cluster, some).await;
        seen(found.map(|found| Some(found).filter(|found| !found.is_empty())))
    }

    /// Several tasks; those that ECS has forgotten are left out.
    pub async fn tasks(&self, cluster: &str, arns: &[String]) -> Result<Vec<TaskSeen>, aws::Error> {
        let mut found = Vec::new();
        for some in arns.chunks(TASKS) {
            let answer = self
                .ecs
                .describe_tasks()
                .cluster(cluster)
                .set_tasks(Some(some.to_vec()))
                .send()
                .await
                .map_err(|error| aws::Error::new("ecs:DescribeTasks", cluster, &error))?;
            let tasks = answer.tasks().iter();
            found.extend(tasks.filter_map(|task| Some(task_seen(task.task_arn()?, task))));
        }
        Ok(found)
    }

    /// The cluster's running and pending tasks; `None` if there is no such cluster.
    pub async fn cluster_tasks(&self, cluster: &str) -> Result<Option<(i32, i32)>, aws::Error> {
        let answer = self
            .ecs
            .describe_clusters()
            .clusters(cluster)
            .send()
            .await
            .map_err(|error| aws::Error::new("ecs:DescribeClusters", cluster, &error))?;
        let found = answer.clusters().first();
        Ok(found.map(|found| (found.running_tasks_count(), found.pending_tasks_count())))
    }

    /// A page of a function's log lines that match a pattern, oldest first, each with its time in
    /// milliseconds, and the token of the next page. A function that was never called has no log.
    pub async fn metric_lines(
        &self,
        function: &str,
        pattern: &str,
        since: OffsetDateTime,
        token: Option<String>,
    ) -> Result<(Vec<(i64, String)>, Option<String>), aws::Error> {
        let group = format!("/aws/lambda/{function}");
        let page = self
            .logs
            .filter_log_events()
            .log_group_name(&group)
            .filter_pattern(pattern)
            .start_time(since.unix_timestamp() * 1_000)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| aws::Error::new("logs:FilterLogEvents", group, &error));
        match page {
            Ok(page) => {
                let lines = page.events.into_iter().flatten();
                let lines = lines.filter_map(|line| Some((line.timestamp?, line.message?)));
                Ok((lines.collect(), page.next_token))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok((Vec::new(), None)),
            Err(error) => Err(error),
        }
    }

    /// A page of a task's log, oldest line first, and the token of the next page.
    pub async fn log(
        &self,
        group: &str,
        arn: &str,
        token: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), aws::Error> {
        let page = self
            .logs
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(stream_of(arn))
            .start_from_head(true)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| aws::Error::new("logs:GetLogEvents", stream_of(arn), &error))?;
        let lines = page.events().iter().filter_map(OutputLogEvent::message);
        let lines = lines.map(|line| line.trim_end().to_owned()).collect();
        Ok((lines, page.next_forward_token))
    }

    /// The last lines of a task's log.
    pub async fn last_lines(&self, group: &str, arn: &str, lines: i32) -> Seen<Vec<String>> {
        if !self.calls.take() {
            return spent();
        }
        let found = self
            .logs
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(stream_of(arn))
            .limit(lines)
            .send()
            .await
            .map_err(|error| aws::Error::new("logs:GetLogEvents", arn, &error));
        seen(found.map(|found| {
            let lines = found.events().iter().filter_map(OutputLogEvent::message);
            let lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
            Some(lines).filter(|lines| !lines.is_empty())
        }))
    }
}

/// The log stream of a task.
pub fn stream_of(arn: &str) -> String {
    format!("{STREAM}/{}", arn.rsplit('/').next().unwrap_or(arn))
}

fn task_seen(arn: &str, task: &Task) -> TaskSeen {
    let at = |at: Option<&aws_sdk_ecs::primitives::DateTime>| {
        OffsetDateTime::from_unix_timestamp(at?.secs()).ok()
    };
    let container = task
        .containers()
        .iter()
        .find(|container| container.name() == Some(protocol::CONTAINER));
    TaskSeen {
        arn: arn.to_owned(),
        status: task.last_status().unwrap_or("RUNNING").to_owned(),
        created_at: at(task.created_at()),
        started_at: at(task.started_at()),
        stopped_at: at(task.stopped_at()),
        capacity: task.capacity_provider_name().map(str::to_owned),
        stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: task.stopped_reason().map(str::to_owned),
        exit_code: container.and_then(aws_sdk_ecs::types::Container::exit_code),
        reason: container.and_then(|container| container.reason().map(str::to_owned)),
    }
}

fn instant(milliseconds: Option<i64>) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds?) * 1_000_000).ok()
}

fn spent<T>() -> Seen<T> {
    Seen::unknown("the command's bound on calls is reached")
}

fn seen<T>(result: Result<Option<T>, aws::Error>) -> Seen<T> {
    match result {
        Ok(Some(found)) => Seen::Found(found),
        Ok(None) => Seen::Nothing,
        Err(error) if error.kind() == ErrorKind::NotFound => Seen::Nothing,
        Err(error) => Seen::unknown(error.to_string()),
    }
}
