//! Step Functions.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::{DescribeExecutionError, DescribeExecutionOutput};
use aws_sdk_sfn::operation::get_execution_history::{
    GetExecutionHistoryError, GetExecutionHistoryOutput,
};
use aws_sdk_sfn::operation::list_executions::ListExecutionsOutput;
use aws_sdk_sfn::operation::send_task_failure::{SendTaskFailureError, SendTaskFailureOutput};
use aws_sdk_sfn::operation::send_task_success::{SendTaskSuccessError, SendTaskSuccessOutput};
use aws_sdk_sfn::operation::start_execution::{StartExecutionError, StartExecutionOutput};
use aws_sdk_sfn::operation::stop_execution::StopExecutionOutput;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::builders::HistoryEventBuilder;
use aws_sdk_sfn::types::error::{ExecutionAlreadyExists, ExecutionDoesNotExist, TaskTimedOut};
use aws_sdk_sfn::types::{
    ExecutionListItem, ExecutionStatus, HistoryEvent, HistoryEventType, StateEnteredEventDetails,
    TaskSubmittedEventDetails,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use protocol::RunnerName;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{Aws, Execution, State, Told};

fn name_in(arn: Option<&str>) -> String {
    arn.unwrap_or_default()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn instant(at: OffsetDateTime) -> DateTime {
    DateTime::from_secs(at.unix_timestamp())
}

fn unknown_execution() -> ExecutionDoesNotExist {
    let meta = aws_sdk_sfn::error::ErrorMetadata::builder().code("ExecutionDoesNotExist");
    ExecutionDoesNotExist::builder().meta(meta.build()).build()
}

fn entered_event(state: &str, input: &Value) -> HistoryEventBuilder {
    HistoryEvent::builder()
        .r#type(HistoryEventType::TaskStateEntered)
        .state_entered_event_details(
            StateEnteredEventDetails::builder()
                .name(state)
                .input(input.to_string())
                .build()
                .unwrap(),
        )
}

/// The runner that a state's input plans.
fn runner_in(input: &Value) -> Option<String> {
    let containers = &input["runTask"]["Overrides"]["ContainerOverrides"];
    let variables = containers[0]["Environment"].as_array()?;
    let named = variables
        .iter()
        .find(|variable| variable["Name"] == "AGENT_RUNNER")?;
    named["Value"].as_str().map(str::to_owned)
}

/// What RunTask answered for a runner, in the shape recorded on AWS.
fn submitted_events(state: &State, runner: &str) -> Vec<HistoryEventBuilder> {
    let tasks = state.submitted.iter().filter(|(of, _)| of == runner);
    let events = tasks.map(|(_, arn)| {
        let mut task = Aws::planned(runner, "")["runTask"].take();
        task["TaskArn"] = json!(arn);
        let output = json!({ "Failures": [], "Tasks": [task] });
        HistoryEvent::builder()
            .r#type(HistoryEventType::TaskSubmitted)
            .task_submitted_event_details(
                TaskSubmittedEventDetails::builder()
                    .resource_type("ecs")
                    .resource("runTask.sync")
                    .output(output.to_string())
                    .build()
                    .unwrap(),
            )
    });
    events.collect()
}

/// Tells a state that waits with this token; `false` if none does.
fn tell(aws: &Aws, token: &str, result: Told) -> bool {
    let mut state = aws.state();
    let waits = state.waiting.remove(token);
    if waits {
        state.told.push((token.to_owned(), result));
    }
    waits
}

fn too_late() -> TaskTimedOut {
    let meta = aws_sdk_sfn::error::ErrorMetadata::builder().code("TaskTimedOut");
    TaskTimedOut::builder().meta(meta.build()).build()
}

pub(crate) fn client(aws: &Aws) -> Client {
    let here = aws.clone();
    let describe = mock!(Client::describe_execution).then_compute_response(move |request| {
        let name = name_in(request.execution_arn());
        here.note("states:DescribeExecution", &name);
        match here.state().executions.get(&name) {
            Some(found) => MockResponse::Output(
                DescribeExecutionOutput::builder()
                    .execution_arn(request.execution_arn().unwrap_or_default())
                    .state_machine_arn("machine")
                    .status(ExecutionStatus::from(found.status.as_str()))
                    .set_error(found.error.clone())
                    .set_cause(found.cause.clone())
                    .input(&found.input)
                    .set_stop_date(found.ended.as_ref().map(|(at, _)| instant(*at)))
                    .set_output(
                        (found.status == "SUCCEEDED")
                            .then(|| found.ended.as_ref().map(|(_, output)| output.clone()))
                            .flatten(),
                    )
                    .start_date(instant(found.started_at))
                    .build()
                    .unwrap(),
            ),
            None => MockResponse::Error(DescribeExecutionError::ExecutionDoesNotExist(
                unknown_execution(),
            )),
        }
    });
    let here = aws.clone();
    let start = mock!(Client::start_execution).then_compute_response(move |request| {
        let name = request.name().unwrap_or_default().to_owned();
        here.note("states:StartExecution", &name);
        let mut state = here.state();
        if state.executions.contains_key(&name) {
            return MockResponse::Error(StartExecutionError::ExecutionAlreadyExists(
                ExecutionAlreadyExists::builder()
                    .meta(
                        aws_sdk_sfn::error::ErrorMetadata::builder()
                            .code("ExecutionAlreadyExists")
                            .build(),
                    )
                    .build(),
            ));
        }
        let execution = Execution {
            status: "RUNNING".to_owned(),
            error: None,
            cause: None,
            input: request.input().unwrap_or_default().to_owned(),
            entered: Vec::new(),
            started_at: OffsetDateTime::UNIX_EPOCH,
            ended: None,
        };
        state.executions.insert(name.clone(), execution);
        MockResponse::Output(
            StartExecutionOutput::builder()
                .execution_arn(name)
                .start_date(DateTime::from_secs(0))
                .build()
                .unwrap(),
        )
    });
    let here = aws.clone();
    let stop = mock!(Client::stop_execution).then_compute_output(move |request| {
        let name = name_in(request.execution_arn());
        here.note("states:StopExecution", &name);
        if let Some(found) = here.state().executions.get_mut(&name) {
            "ABORTED".clone_into(&mut found.status);
            found.error = request.error().map(str::to_owned);
        }
        StopExecutionOutput::builder()
            .stop_date(DateTime::from_secs(0))
            .build()
            .unwrap()
    });
    let here = aws.clone();
    let list = mock!(Client::list_executions).then_compute_output(move |request| {
        here.note(
            "states:ListExecutions",
            request.status_filter().map_or("", ExecutionStatus::as_str),
        );
        let state = here.state();
        let items = state
            .executions
            .iter()
            .filter(|(_, found)| {
                request
                    .status_filter()
                    .is_none_or(|filter| filter.as_str() == found.status)
            })
            .map(|(name, found)| {
                ExecutionListItem::builder()
                    .execution_arn(name)
                    .state_machine_arn("machine")
                    .name(name)
                    .status(ExecutionStatus::from(found.status.as_str()))
                    .start_date(instant(found.started_at))
                    .set_stop_date(found.ended.as_ref().map(|(at, _)| instant(*at)))
                    .build()
                    .unwrap()
            })
            .collect();
        ListExecutionsOutput::builder()
            .set_executions(Some(items))
            .build()
            .unwrap()
    });
    let here = aws.clone();
    let history = mock!(Client::get_execution_history).then_compute_response(move |request| {
        let name = name_in(request.execution_arn());
        here.note("states:GetExecutionHistory", &name);
        let state = here.state();
        let Some(execution) = state.executions.get(&name) else {
            return MockResponse::Error(GetExecutionHistoryError::ExecutionDoesNotExist(
                unknown_execution(),
            ));
        };
        let mut events = Vec::new();
        let mut told = Vec::new();
        for (entered, input) in &execution.entered {
            events.push(entered_event(entered, input));
            if let Some(runner) = runner_in(input).filter(|_| entered == "Runner") {
                events.extend(submitted_events(&state, &runner));
                told.push(runner);
            }
        }
        // A task that a test put there without saying how its execution came to it.
        for (runner, _) in &state.submitted {
            if runner
                .parse::<RunnerName>()
                .is_ok_and(|runner| runner.execution().to_string() == name)
                && !told.contains(runner)
            {
                events.push(entered_event("Runner", &Aws::planned(runner, "")));
                events.extend(submitted_events(&state, runner));
            }
        }
        let events = events.into_iter().rev().map(|event| {
            // Nobody reads an event's number.
            event
                .timestamp(DateTime::from_secs(0))
                .id(1)
                .build()
                .unwrap()
        });
        MockResponse::Output(
            GetExecutionHistoryOutput::builder()
                .set_events(Some(events.collect()))
                .build()
                .unwrap(),
        )
    });
    let here = aws.clone();
    let success = mock!(Client::send_task_success).then_compute_response(move |request| {
        let token = request.task_token().unwrap_or_default();
        here.note("states:SendTaskSuccess", token);
        let output = serde_json::from_str(request.output().unwrap_or_default()).unwrap();
        if tell(&here, token, Ok(output)) {
            MockResponse::Output(SendTaskSuccessOutput::builder().build())
        } else {
            MockResponse::Error(SendTaskSuccessError::TaskTimedOut(too_late()))
        }
    });
    let here = aws.clone();
    let failure = mock!(Client::send_task_failure).then_compute_response(move |request| {
        let token = request.task_token().unwrap_or_default();
        here.note("states:SendTaskFailure", token);
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let error = (text(request.error()), text(request.cause()));
        if tell(&here, token, Err(error)) {
            MockResponse::Output(SendTaskFailureOutput::builder().build())
        } else {
            MockResponse::Error(SendTaskFailureError::TaskTimedOut(too_late()))
        }
    });
    mock_client!(
        aws_sdk_sfn,
        RuleMode::MatchAny,
        [
            &describe, &start, &stop, &list, &history, &success, &failure
        ]
    )
}
