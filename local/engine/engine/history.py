"""An execution's history in the shape that Step Functions gives it.

MiniStack names an integration by its whole ARN, tells neither what a task was called with nor that it was started, and
numbers events without saying what each follows. Shapes as recorded on AWS by LocalStack's authors (Apache-2.0):
https://github.com/localstack/localstack/tree/main/tests/aws/services/stepfunctions/v2
"""

import contextvars
import json
from typing import Any

from ministack.core.responses import get_region
from ministack.services import stepfunctions as sfn

from engine.hooks import Hooks
from engine.switches import Switches

STARTED_BY = "AWS Step Functions"

_INTEGRATION = "arn:aws:states:::"

_WAITING = (".sync", ".waitForTaskToken")
"""Integrations that call a service and then wait. If the call fails, the event is `TaskSubmitFailed`, as in
https://github.com/ASFHyP3/hyp3/pull/805 (`submitJob.sync`).
"""

_arguments: contextvars.ContextVar[Any] = contextvars.ContextVar("arguments", default=None)
"""What the state that runs calls its integration with."""

_limits: contextvars.ContextVar[dict] = contextvars.ContextVar("limits")
"""The time limits of the state that runs, as events name them."""


def install(hooks: Hooks, switches: Switches) -> None:
    """Declares the hooks on histories."""
    hooks.require(sfn, "_executions")

    @hooks.around(sfn, "_run_execution")
    def run(original, arn):
        first = sfn._executions[arn]["events"][0]
        first["previousEventId"] = 0
        first["executionStartedEventDetails"]["inputDetails"] = {"truncated": False}
        original(arn)

    @hooks.around(sfn, "_apply_jsonata_arguments")
    def jsonata_arguments(original, *arguments, **options):
        return _remember(original(*arguments, **options))

    @hooks.around(sfn, "_apply_parameters")
    def parameters(original, *arguments, **options):
        return _remember(original(*arguments, **options))

    @hooks.around(sfn, "_execute_task")
    def execute_task(original, state_def, raw_input, execution, ctx):
        fields = {"TimeoutSeconds": "timeoutInSeconds", "HeartbeatSeconds": "heartbeatInSeconds"}
        limits = {name: state_def[field] for field, name in fields.items() if field in state_def}
        token = _limits.set(limits)
        try:
            return original(state_def, raw_input, execution, ctx)
        finally:
            _limits.reset(token)

    @hooks.around(sfn, "_add_event")
    def add_event(original, execution, event_type, details=None):
        # The first state follows nothing, not the start: so it is on AWS.
        previous = len(execution["events"])
        last = execution["events"][-1]["type"] if previous else ""
        event_type, details = _complete(event_type, details or {}, last, switches)
        event = original(execution, event_type, details)
        if event:
            event["previousEventId"] = 0 if previous == 1 else previous
        if event_type == "TaskScheduled" and (named := _named(details["taskScheduledEventDetails"])):
            sfn._add_event(execution, "TaskStarted", {"taskStartedEventDetails": named})
        return event


def _remember(arguments: Any) -> Any:
    _arguments.set(arguments)
    return arguments


def _named(details: dict) -> dict:
    """The two fields that name an integration; empty for a function or activity that is called directly."""
    return {name: details[name] for name in ("resource", "resourceType") if "resourceType" in details}


def started_by(given: str | None, switches: Switches) -> str:
    """What `runTask.sync` writes into a request's `StartedBy`."""
    return given if given and switches.now.started_by_kept else STARTED_BY


def _complete(event_type: str, details: dict, last: str, switches: Switches) -> tuple[str, dict]:
    completed = {name: _complete_details(event_type, dict(value), switches) for name, value in details.items()}
    if event_type != "TaskFailed":
        return event_type, completed
    failure = completed["taskFailedEventDetails"]
    if failure.get("error") == "States.Timeout":
        return "TaskTimedOut", {"taskTimedOutEventDetails": failure}
    if last == "TaskStarted" and failure["resource"].endswith(_WAITING):
        # The call itself failed, so there is nothing to wait for.
        return "TaskSubmitFailed", {"taskSubmitFailedEventDetails": failure}
    return event_type, completed


def _complete_details(event_type: str, details: dict, switches: Switches) -> dict:
    for field in ("input", "output"):
        if field in details:
            details[f"{field}Details"] = {"truncated": False}
    for field in ("error", "cause"):
        if not details.get(field):
            # What has no text has no field.
            details.pop(field, None)
    resource = details.get("resource") or ""
    if resource.startswith(_INTEGRATION):
        details["resourceType"], _, details["resource"] = resource[len(_INTEGRATION) :].rpartition(":")
    if event_type == "TaskScheduled" and resource.startswith(_INTEGRATION):
        submitted = _submitted(resource, switches)
        details |= {"region": get_region(), "parameters": json.dumps(submitted), **_limits.get({})}
    return details


def _submitted(resource: str, switches: Switches) -> Any:
    arguments = _arguments.get()
    if resource.endswith("ecs:runTask.sync") and isinstance(arguments, dict):
        return {**arguments, "StartedBy": started_by(arguments.get("StartedBy"), switches)}
    return arguments
