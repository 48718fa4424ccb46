use super::*;
use serde_json::json;

fn task(stop_code: &str, reason: &str, exit: Option<i32>, container_reason: &str) -> Ended {
    let json = json!({
        "StopCode": stop_code, "StoppedReason": reason,
        "Containers": [{"Name": "runner", "ExitCode": exit, "Reason": container_reason}]
    });
    Ended::from_error(&StepError {
        error: "States.TaskFailed".into(),
        cause: json.to_string(),
    })
}

#[test]
fn every_way_a_task_ends_has_its_outcome() {
    let cases = [
        (
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(0),
            "",
            Outcome::RanJob,
        ),
        (
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(20),
            "",
            Outcome::NeverPickedUp,
        ),
        (
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(23),
            "",
            Outcome::RunnerTooOld,
        ),
        (
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(137),
            "OutOfMemoryError: Container killed due to memory usage",
            Outcome::OutOfMemory,
        ),
        (
            "SpotInterruption",
            "Your Spot Task was interrupted.",
            Some(26),
            "",
            Outcome::SpotInterruption,
        ),
        (
            "SpotInterruption",
            "Your Spot Task was interrupted.",
            Some(27),
            "",
            Outcome::LostInJob,
        ),
        (
            "SpotInterruption",
            "Your Spot Task was interrupted.",
            Some(0),
            "",
            Outcome::RanJob,
        ),
        (
            "UserInitiated",
            "Task stopped by fargate-runners",
            Some(26),
            "",
            Outcome::StoppedByUs,
        ),
        (
            "UserInitiated",
            "Task stopped by user",
            None,
            "",
            Outcome::StoppedByUs,
        ),
        (
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(33),
            "",
            Outcome::StoppedByUs,
        ),
        (
            "TaskFailedToStart",
            "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref x: not found",
            None,
            "",
            Outcome::ImageMissing,
        ),
        (
            "TaskFailedToStart",
            "CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp: i/o timeout",
            None,
            "",
            Outcome::ImagePullFailed,
        ),
        (
            "TaskFailedToStart",
            "ResourceInitializationError: failed to configure ENI",
            None,
            "",
            Outcome::TaskNeverStarted,
        ),
        (
            "TaskFailedToStart",
            "Capacity is unavailable at this time. Please try again later or in a different availability zone",
            None,
            "",
            Outcome::NoCapacity,
        ),
        (
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(139),
            "",
            Outcome::Unknown,
        ),
    ];
    for (stop_code, reason, exit, container_reason, outcome) in cases {
        assert_eq!(
            task(stop_code, reason, exit, container_reason).outcome,
            outcome,
            "{reason} {exit:?}"
        );
    }
}

#[test]
fn every_way_run_task_is_refused_has_its_outcome() {
    let cases = [
        (
            "ECS.AmazonECSException",
            "Capacity is unavailable at this time.",
            Outcome::NoCapacity,
        ),
        (
            "AmazonECS.Unknown",
            r#"{"Failures":[{"Reason":"RESOURCE:MEMORY"}],"Tasks":[]}"#,
            Outcome::NoCapacity,
        ),
        (
            "ECS.ThrottlingException",
            "Rate exceeded",
            Outcome::Throttled,
        ),
        (
            "ECS.InvalidParameterException",
            "The subnet ID 'subnet-1' does not exist",
            Outcome::TaskRefused,
        ),
        (
            "ECS.AccessDeniedException",
            "not authorized to perform: iam:PassRole",
            Outcome::TaskRefused,
        ),
        (
            "ECS.ClientException",
            "TaskDefinition is inactive",
            Outcome::TaskRefused,
        ),
        (
            "ECS.ClientException",
            "You've reached the limit on the number of tasks you can run concurrently",
            Outcome::NoCapacity,
        ),
        ("States.Timeout", "", Outcome::TimedOut),
        (
            "States.TaskFailed",
            "plain text that is no task",
            Outcome::Unknown,
        ),
    ];
    for (error, cause, outcome) in cases {
        let ended = Ended::from_error(&StepError {
            error: error.into(),
            cause: cause.into(),
        });
        assert_eq!(ended.outcome, outcome, "{error} {cause}");
    }
}

#[test]
fn a_step_fault_keeps_its_name_and_its_text() {
    let cause = r#"{"errorType":"AppNotInstalled","errorMessage":"install it at X"}"#;
    let ended = Ended::from_error(&StepError {
        error: "AppNotInstalled".into(),
        cause: cause.into(),
    });
    assert_eq!(
        (ended.outcome, ended.fault),
        (Outcome::StepRefused, Some(Fault::AppNotInstalled))
    );
    assert_eq!(ended.detail, "AppNotInstalled: install it at X");
}

#[test]
fn a_rate_limit_says_how_long() {
    let cause = r#"{"errorType":"GitHubRateLimited","errorMessage":"61"}"#;
    let ended = Ended::from_error(&StepError {
        error: "GitHubRateLimited".into(),
        cause: cause.into(),
    });
    assert_eq!(
        (ended.outcome, ended.retry_after),
        (Outcome::StepFailed, Some(61))
    );
}

/// AWS's responses, taken from histories recorded by `LocalStack` on 2024-02-23 and 2024-02-25
/// (`tests/aws/services/stepfunctions/v2/services/test_ecs_task_service.snapshot.json`).
mod recorded {
    use super::*;

    fn task(stop_code: &str, reason: &str, container: &serde_json::Value) -> serde_json::Value {
        json!({
            "Attachments": [{"Details": [{"Name": "subnetId", "Value": "subnet-1"}], "Id": "1", "Status": "DELETED", "Type": "eni"}],
            "Attributes": [{"Name": "ecs.cpu-architecture", "Value": "x86_64"}],
            "AvailabilityZone": "eu-central-1b", "ClusterArn": "arn", "Connectivity": "CONNECTED",
            "Containers": [container], "Cpu": "256", "DesiredStatus": "STOPPED", "EnableExecuteCommand": false,
            "EphemeralStorage": {"SizeInGiB": 20}, "Group": "family:x", "InferenceAccelerators": [],
            "LastStatus": "STOPPED", "LaunchType": "FARGATE", "Memory": "512",
            "Overrides": {"ContainerOverrides": [{"Command": [], "Environment": [], "EnvironmentFiles": [], "Name": "runner", "ResourceRequirements": []}], "InferenceAcceleratorOverrides": []},
            "PlatformVersion": "1.4.0", "StartedBy": "AWS Step Functions", "StopCode": stop_code,
            "StoppedReason": reason, "Tags": [], "TaskArn": "arn", "TaskDefinitionArn": "arn", "Version": 4
        })
    }

    #[test]
    fn a_task_that_ran_is_read_as_step_functions_gives_it() {
        let container = json!({"ContainerArn": "arn", "Cpu": "0", "ExitCode": 0, "GpuIds": [], "Image": "busybox", "LastStatus": "STOPPED", "ManagedAgents": [], "Name": "runner", "NetworkBindings": []});
        let task = task(
            "EssentialContainerExited",
            "Essential container in task exited",
            &container,
        );
        let task: EndedTask = serde_json::from_value(task).unwrap();
        assert_eq!(Ended::from_task(&task).outcome, Outcome::RanJob);
    }

    #[test]
    fn an_image_that_is_not_there_is_missing_and_may_be_pushed_yet() {
        let reason = "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref docker.io/library/no_such_image:latest: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";
        let container = json!({"ContainerArn": "arn", "Cpu": "0", "GpuIds": [], "Image": "no_such_image", "LastStatus": "STOPPED", "ManagedAgents": [], "Name": "runner", "NetworkBindings": []});
        let ended = Ended::from_error(&StepError {
            error: "States.TaskFailed".into(),
            cause: task("TaskFailedToStart", reason, &container).to_string(),
        });
        assert_eq!(
            (ended.outcome, ended.outcome.class()),
            (Outcome::ImageMissing, OutcomeClass::Fault)
        );
        assert!(ended.task.is_some());
    }

    /// Every task and error of the recorded histories, if the recordings are present beside the project.
    #[test]
    fn whole_histories_are_read_as_they_are() {
        let files =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recorded");
        let Ok(files) = std::fs::read_dir(files) else {
            return;
        };
        let mut tasks = 0;
        for file in files
            .flatten()
            .filter(|file| file.path().extension().is_some_and(|ext| ext == "json"))
        {
            let text = std::fs::read_to_string(file.path()).unwrap();
            walk(&serde_json::from_str(&text).unwrap(), &mut tasks);
        }
        assert!(tasks >= 2, "no recorded task was found");
    }

    fn walk(node: &serde_json::Value, tasks: &mut u32) {
        match node {
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, tasks)),
            serde_json::Value::Object(fields) => {
                if fields.contains_key("StopCode") {
                    let task: EndedTask = serde_json::from_value(node.clone()).unwrap();
                    let ended = Ended::from_error(&StepError {
                        error: "States.TaskFailed".into(),
                        cause: node.to_string(),
                    });
                    assert_eq!(ended.task, Some(task));
                    *tasks += 1;
                }
                if let Some(error) = fields.get("error").and_then(serde_json::Value::as_str) {
                    let cause = match fields.get("cause") {
                        Some(serde_json::Value::String(text)) => text.clone(),
                        Some(other) if !other.is_null() => other.to_string(),
                        _ => String::new(),
                    };
                    let ended = Ended::from_error(&StepError {
                        error: error.into(),
                        cause,
                    });
                    assert!(!ended.detail.is_empty());
                }
                fields.values().for_each(|value| walk(value, tasks));
            }
            _ => {}
        }
    }
}

#[test]
fn a_time_out_without_a_cause_is_read() {
    // TaskTimedOut of a Lambda, recorded by `LocalStack` on 2024-11-28, has no cause.
    for error in [
        json!({"Error": "States.Timeout"}),
        json!({"Error": "States.Timeout", "Cause": null}),
        json!({"Error": "States.Timeout", "Cause": ""}),
    ] {
        let error: StepError = serde_json::from_value(error).unwrap();
        assert_eq!(Ended::from_error(&error).outcome, Outcome::TimedOut);
    }
}

#[test]
fn a_lambdas_errors_are_read_as_step_functions_gives_them() {
    // Recorded by `LocalStack` on 2024-11-28 and 2025-11-25 (`test_task_service_lambda.snapshot.json`).
    for (error, cause, detail) in [
        (
            "Exception",
            r#"{"errorMessage":"Some exception was raised.","errorType":"Exception","requestId":"1","stackTrace":["  File"]}"#,
            "Exception: Some exception was raised.",
        ),
        (
            "CustomException",
            r#"{"errorMessage":"","errorType":"CustomException","requestId":"1","stackTrace":[]}"#,
            "CustomException: ",
        ),
        (
            "Lambda.ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:111111111111:function:x:$LATEST (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: 1; Proxy: null)",
            "Lambda.ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:111111111111:function:x:$LATEST (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: 1; Proxy: null)",
        ),
    ] {
        let error = StepError {
            error: error.into(),
            cause: cause.into(),
        };
        let ended = Ended::from_error(&error);
        assert_eq!(ended.outcome, Outcome::StepFailed);
        assert_eq!(ended.detail, detail);
    }
}

#[test]
fn an_event_of_a_stopped_task_is_read_as_eventbridge_sends_it() {
    // A task of 2024-11-13, in the README of a public handler of such events (found by its text),
    // shortened; and a Spot interruption's snippet in AWS's developer guide, which has no containers:
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html
    let stopped = json!({
        "attachments": [{"id": "1", "type": "eni", "status": "DELETED", "details": []}],
        "containers": [{"containerArn": "arn", "exitCode": 26, "lastStatus": "STOPPED", "name": "runner", "cpu": "0", "managedAgents": []}],
        "cpu": "512", "memory": "1024", "desiredStatus": "STOPPED", "lastStatus": "STOPPED", "launchType": "FARGATE",
        "overrides": {"containerOverrides": [{"name": "runner"}]},
        "pullStartedAt": "2024-11-13T20:56:01.615Z", "stoppedAt": "2024-11-13T21:23:11.984Z",
        "stoppedReason": "Task stopped by user", "stopCode": "UserInitiated", "taskArn": "arn", "version": 9
    });
    let task: EndedTask = serde_json::from_value(stopped).unwrap();
    assert_eq!(Ended::from_task(&task).outcome, Outcome::StoppedByUs);
    assert!(
        task.billed_seconds()
            .is_some_and(|seconds| (seconds - 1_630.369).abs() < 0.01)
    );
    let notice = json!({
        "clusterArn": "arn", "createdAt": "2016-12-06T16:41:05.702Z", "desiredStatus": "STOPPED",
        "lastStatus": "RUNNING", "stoppedReason": "Your Spot Task was interrupted.", "taskArn": "arn"
    });
    for code in ["SpotInterruption", "TerminationNotice", ""] {
        let mut notice = notice.clone();
        // Without a code at all: https://github.com/aws/containers-roadmap/issues/1565
        if !code.is_empty() {
            notice["stopCode"] = json!(code);
        }
        let task: EndedTask = serde_json::from_value(notice).unwrap();
        assert_eq!(
            Ended::from_task(&task).outcome,
            Outcome::SpotInterruption,
            "{code}"
        );
    }
}

#[test]
fn a_failed_warm_task_is_read_as_a_failed_cold_one() {
    let error = |error: &str| StepError {
        error: error.into(),
        cause: json!({"StopCode": "EssentialContainerExited",
            "Containers": [{"Name": "runner", "ExitCode": 20}]})
        .to_string(),
    };
    let warm = Ended::from_error(&error("TaskFailed"));
    assert_eq!(warm.outcome, Outcome::NeverPickedUp);
    assert_eq!(warm, Ended::from_error(&error("States.TaskFailed")));
}

#[test]
fn a_wait_for_a_warm_task_that_failed_spends_no_fault() {
    for error in [
        "DynamoDb.ConditionalCheckFailedException",
        "DynamoDB.ProvisionedThroughputExceededException",
        "DynamoDb.ResourceNotFoundException",
        "DynamoDb.DynamoDbException",
    ] {
        let ended = Ended::from_error(&StepError {
            error: error.into(),
            cause: "Service returned error code AccessDeniedException".into(),
        });
        assert_eq!(ended.class(), OutcomeClass::External, "{error}");
        assert_eq!(ended.outcome, Outcome::StepFailed, "{error}");
        assert!(ended.asks_github() && ended.leaves_a_runner(), "{error}");
    }
}
