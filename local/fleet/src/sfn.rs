//! Step Functions.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::{DescribeExecutionError, DescribeExecutionOutput};
use aws_sdk_sfn::operation::get_execution_history::GetExecutionHistoryOutput;
use aws_sdk_sfn::operation::list_executions::ListExecutionsOutput;
use aws_sdk_sfn::operation::start_execution::{StartExecutionError, StartExecutionOutput};
use aws_sdk_sfn::operation::stop_execution::StopExecutionOutput;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::error::{ExecutionAlreadyExists, ExecutionDoesNotExist};
use aws_sdk_sfn::types::{
    ExecutionListItem, ExecutionStatus, HistoryEvent, HistoryEventType, StateEnteredEventDetails,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use time::OffsetDateTime;

use crate::{Aws, Execution};

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
                ExecutionDoesNotExist::builder()
                    .meta(
                        aws_sdk_sfn::error::ErrorMetadata::builder()
                            .code("ExecutionDoesNotExist")
                            .build(),
                    )
                    .build(),
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
    let history = mock!(Client::get_execution_history).then_compute_output(move |request| {
        let name = name_in(request.execution_arn());
        here.note("states:GetExecutionHistory", &name);
        let state = here.state();
        let entered = state
            .executions
            .get(&name)
            .map(|found| found.entered.as_slice())
            .unwrap_or_default();
        let events = entered
            .iter()
            .rev()
            .enumerate()
            .map(|(index, (state, input))| {
                HistoryEvent::builder()
                    .timestamp(DateTime::from_secs(0))
                    .r#type(HistoryEventType::TaskStateEntered)
                    .id(i64::try_from(entered.len() - index).unwrap())
                    .state_entered_event_details(
                        StateEnteredEventDetails::builder()
                            .name(state)
                            .input(input.to_string())
                            .build()
                            .unwrap(),
                    )
                    .build()
                    .unwrap()
            });
        GetExecutionHistoryOutput::builder()
            .set_events(Some(events.collect()))
            .build()
            .unwrap()
    });
    mock_client!(
        aws_sdk_sfn,
        RuleMode::MatchAny,
        [&describe, &start, &stop, &list, &history]
    )
}
