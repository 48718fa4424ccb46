"""What Step Functions calls itself: `ecs:runTask`, with and without `.sync`, `lambda:invoke`, and `aws-sdk` services.

https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
"""

import contextvars
import email.utils
import functools
import json
import time
from collections.abc import Callable
from typing import Any

from botocore.validate import ParamValidator
from ministack import app
from ministack.core.responses import _service_model, get_region, new_uuid
from ministack.services import ecs
from ministack.services import stepfunctions as sfn

from engine import permissions
from engine.callers import role_name
from engine.doorbell import Doorbell
from engine.executions import PAYLOAD_LIMIT, Interrupted, current, running, too_large
from engine.faults import DELAY, ERROR, LOST, Call, Caller, CallLog, FaultBook
from engine.gateway import resource_of
from engine.grants import Grants
from engine.history import started_by
from engine.hooks import Hooks
from engine.switches import Switches
from engine.tasks import USER_INITIATED, Tasks

_RUN_TASK = "arn:aws:states:::ecs:runTask"

_MODELLED = {
    "AccessDeniedException",
    "BlockedException",
    "ClientException",
    "ClusterNotFoundException",
    "ConflictException",
    "InvalidParameterException",
    "PlatformTaskDefinitionIncompatibilityException",
    "PlatformUnknownException",
    "ServerException",
    "UnsupportedFeatureException",
}
"""The exceptions that the API declares for RunTask: only these keep their names in a state machine. All else is the
service's general exception with the code in its cause, as in public reports of `Rate exceeded`.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html#API_RunTask_Errors
https://github.com/AllenInstitute/neuron_morphology/issues/151
https://github.com/cdklabs/construct-hub/issues/708
"""

_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)
"""When the state's TimeoutSeconds are over, by `time.monotonic`; None without any."""


def install(
    hooks: Hooks,
    tasks: Tasks,
    faults: FaultBook,
    calls: CallLog,
    grants: Grants,
    doorbell: Doorbell,
    switches: Switches,
    enforce: bool,
) -> None:
    """Declares the hooks on service integrations; with `enforce`, what the machine's role doesn't allow is refused."""
    hooks.require(ecs, "_run_task", "_tasks")
    hooks.require(sfn, "_pascal_to_camel", "_ExecutionError", "_SERVICE_DISPATCH", "_iso_to_epoch_ms")
    hooks.require(sfn, "_sdk_json_params", "_sdk_json_result", "_AWS_SDK_ERROR_PREFIX")
    hooks.require(app, "SERVICE_HANDLERS", "call_service_handler_sync")

    def call(service: str, operation: str, resource: str | None, request: dict, do: Callable[[], tuple]) -> tuple:
        """Makes a call in the state machine's name: refused if ordered or not allowed, and written down."""
        caller = _caller()
        denied = permissions.denied(grants, caller, service, operation, request)
        text = json.dumps(request)
        late = faults.take(service, operation, {DELAY}, text)
        if late:
            # Whatever becomes of the execution meanwhile: a call that is under way is made.
            time.sleep(late.seconds)
        # A function runs by itself, so `lambda` loses its answers below.
        fault = faults.take(service, operation, {ERROR} if service == "lambda" else {ERROR, LOST}, text)
        if fault and fault.effect == LOST:
            do()
        if fault:
            answer = ecs.error_response_json(fault.error, fault.message, fault.status)
        elif enforce and denied:
            answer = ecs.error_response_json("AccessDeniedException", permissions.message(caller, denied), 403)
        else:
            answer = do()
        status, _, body = answer
        error = json.loads(body)["__type"].rsplit("#", 1)[-1] if status >= 400 else None
        calls.add(Call(service, operation, caller, resource, status, error, fault is not None, denied))
        return answer

    @hooks.around(sfn, "_invoke_resource")
    def invoke(original, resource, input_data):
        result = original(resource, input_data)
        if resource.endswith("states:::lambda:invoke"):
            if len(json.dumps(result, ensure_ascii=False).encode()) > PAYLOAD_LIMIT:
                raise too_large("lambda")
            result = {"ExecutedVersion": "$LATEST", **result, **_sdk_metadata()}
        if resource.endswith("states:::sqs:sendMessage"):
            result = {**result, **_sdk_metadata()}
        return result

    @hooks.around(sfn, "_dispatch_aws_sdk_json")
    def call_sdk(original, service_info, service_name, action, input_data):
        """Calls a service as any caller does: with its role, in the call log, and with faults."""
        service, operation = service_info.get("service_key", service_name), action[:1].upper() + action[1:]
        model = _service_model(service)
        if model is None or operation not in model.operation_names:
            return original(service_info, service_name, action, input_data)
        request = sfn._sdk_json_params(service_info, service, operation, input_data)
        headers = {
            "x-amz-target": f"{service_info['target_prefix']}.{operation}",
            "content-type": "application/x-amz-json-1.0",
            "authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{get_region()}/{service}/aws4_request",
        }

        def do() -> tuple:
            handler = app.SERVICE_HANDLERS[service]
            return app.call_service_handler_sync(handler, "POST", "/", headers, json.dumps(request), {})

        status, _, body = call(service, operation, resource_of("", request), request, do)
        result = json.loads(body or "{}")
        if status >= 400:
            declared = {shape.name for shape in model.operation_model(operation).error_shapes}
            raise _sdk_refusal(service_name, declared, result, status)
        return sfn._sdk_json_result(service, operation, result)

    @hooks.around(sfn, "_invoke_resource_with_timeout")
    def invoke_with_timeout(original, resource, input_data, timeout):
        """A task started by `.sync` is stopped when its state times out, so its wait has to know the time."""
        if not resource.startswith(_RUN_TASK):
            try:
                return original(resource, input_data, timeout)
            except sfn._ExecutionError as error:
                # A time-out has no cause.
                raise sfn._ExecutionError(error.error, "") if error.error == "States.Timeout" else error from None
        token = _deadline.set(time.monotonic() + timeout)
        try:
            return sfn._invoke_resource(resource, input_data)
        finally:
            _deadline.reset(token)

    @hooks.around(sfn, "_invoke_ecs_run_task")
    def run_task(_original, resource, input_data):
        sync = resource.endswith(".sync")
        request = sfn._pascal_to_camel(input_data)
        _check(request)
        if sync:
            request["startedBy"] = started_by(request.get("startedBy"), switches)
        status, _, body = call("ecs", "RunTask", request.get("taskDefinition"), request, lambda: ecs._run_task(request))
        result = json.loads(body)
        if status >= 400:
            code = result["__type"].rsplit("#", 1)[-1]
            name = f"ECS.{code}" if code in _MODELLED else switches.now.throttled_as
            raise sfn._ExecutionError(name, _sdk_message("AmazonECS", result, status))
        if result["failures"]:
            raise sfn._ExecutionError("AmazonECS.Unknown", json.dumps(pascal(result)))
        if not sync:
            return _answer(result)
        execution = current.get()
        if execution is not None:
            details = {"resource": resource, "output": json.dumps(_answer(result))}
            sfn._add_event(execution, "TaskSubmitted", {"taskSubmittedEventDetails": details})
        return _outcome(wait(ecs._tasks[result["tasks"][0]["taskArn"]]))

    def wait(task: dict) -> dict:
        """Waits for a task's end; ends it when the state or its execution ends before."""
        execution, deadline = current.get(), _deadline.get()
        bells = [task["taskArn"]] + ([execution["executionArn"]] if execution else [])
        with doorbell.listen(*bells) as bell:
            while task["lastStatus"] != "STOPPED":
                if execution is not None and not running(execution):
                    stop(task, execution, "aborted" if execution["status"] == "ABORTED" else "timed out")
                    raise Interrupted
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    stop(task, execution, "timed out")
                    raise sfn._ExecutionError("States.Timeout", "")
                bell.wait(left)
                bell.clear()
        return task

    def stop(task: dict, execution: dict | None, what: str) -> None:
        arn = execution["executionArn"] if execution else "unknown"
        reason = f"The Task state in AWS Step Functions execution [{arn}] which was managing this resource was {what}"
        request = {"cluster": task["clusterArn"], "task": task["taskArn"], "reason": reason}

        def end() -> tuple:
            tasks.end(task, USER_INITIATED, reason)
            return ecs.json_response({})

        call("ecs", "StopTask", task["taskArn"], request, end)

    @hooks.around(sfn, "_call_lambda")
    def call_lambda(original, func_ref, event):
        # The function's own answer stays out of `call`: an error of the function is no error of the call.
        request = {"FunctionName": func_ref, "Payload": event}
        status, _, body = call("lambda", "Invoke", func_ref, request, lambda: ecs.json_response({}))
        if status >= 400:
            raise _lambda_refusal(json.loads(body), status)
        lost = faults.take("lambda", "Invoke", {LOST}, json.dumps(request))
        try:
            result = original(func_ref, event)
        except sfn._ExecutionError as error:
            if error.error == "Lambda.Unknown" and '"TooManyRequestsException"' in error.cause:
                raise sfn._ExecutionError("Lambda.TooManyRequestsException", error.cause) from error
            raise
        if lost:
            raise _lambda_refusal({"__type": lost.error, "message": lost.message}, lost.status)
        return result


def _sdk_refusal(service_name: str, declared: set[str], refusal: dict, status: int) -> Exception:
    """A service's error as the Java SDK inside Step Functions names and words it: one that the API does not declare is
    the service's general exception.

    As recorded (LocalStack's `test_aws_sdk.py`, 2023-07-27, and `test_aws_sdk_task_service.py`, 2025-11-06).
    """
    service = sfn._AWS_SDK_ERROR_PREFIX.get(service_name, service_name.capitalize())
    code = refusal["__type"].rsplit("#", 1)[-1]
    name = code if code in declared else f"{service}Exception"
    text = refusal.get("message") or refusal.get("Message") or ""
    return sfn._ExecutionError(
        f"{service}.{name.removesuffix('Exception')}Exception",
        f"{text} (Service: {service}, Status Code: {status}, Request ID: {new_uuid()}) (SDK Attempt Count: 1)",
    )


def _lambda_refusal(refusal: dict, status: int) -> Exception:
    code = refusal["__type"]
    if "." in code:
        # An error of the runtime (`Runtime.ExitError`), not of Lambda's API.
        cause = {"errorType": code, "errorMessage": refusal["message"]}
        return sfn._ExecutionError(code, json.dumps(cause))
    name = "AWSLambdaException" if code == "AccessDeniedException" else code
    return sfn._ExecutionError(f"Lambda.{name}", _sdk_message("AWSLambda", refusal, status))


def _caller() -> Caller | None:
    execution = current.get()
    if execution is None:
        return None
    machine = sfn._state_machines.get(execution["stateMachineArn"]) or {}
    return Caller("state-machine", machine.get("name", ""), role_name(machine.get("roleArn")))


def _check(request: Any) -> None:
    """Holds a request that an expression made against the API's model: MiniStack ignores what it doesn't know."""
    report = ParamValidator().validate(request, _run_task_shape())
    if report.has_errors():
        raise sfn._ExecutionError(
            "States.Runtime", f"The Arguments of ecs:runTask are not a RunTask request: {report.generate_report()}"
        )


@functools.cache
def _run_task_shape():
    return _service_model("ecs").operation_model("RunTask").input_shape


def _sdk_message(service: str, refusal: dict, status: int) -> str:
    """A service's message as the SDK inside Step Functions words it."""
    code = refusal["__type"].rsplit("#", 1)[-1]
    detail = f"(Service: {service}; Status Code: {status}; Error Code: {code}; Request ID: {new_uuid()}; Proxy: null)"
    return f"{refusal.get('message', '')} {detail}"


def _outcome(task: dict) -> dict:
    """The task in Step Functions' spelling.

    Raises `States.TaskFailed` with it when an essential container failed or never ran.
    """
    result = _shown(pascal(ecs._sanitize(task)))
    result["Tags"] = []
    essential = task.get("_container_essentials") or []
    codes = [
        container.get("exitCode")
        for index, container in enumerate(task["containers"])
        if index >= len(essential) or essential[index]
    ]
    if any(code != 0 for code in codes):
        raise sfn._ExecutionError("States.TaskFailed", json.dumps(result))
    return result


def _sdk_metadata() -> dict:
    """What the SDK inside Step Functions adds to an answer."""
    request, date = new_uuid(), email.utils.formatdate(usegmt=True)
    headers = {"Content-Length": "0", "Content-Type": "application/x-amz-json-1.1", "Date": date}
    headers["x-amzn-RequestId"] = request
    # A date is the one header that it keeps as text among all.
    every = {name: value if name == "Date" else [value] for name, value in headers.items()}
    http = {"AllHttpHeaders": every, "HttpHeaders": headers, "HttpStatusCode": 200}
    return {"SdkHttpMetadata": http, "SdkResponseMetadata": {"RequestId": request}}


def _answer(result: dict) -> dict:
    """RunTask's answer in Step Functions' spelling."""
    answer = pascal(result)
    return {**answer, "Tasks": [_shown(task) for task in answer["Tasks"]], **_sdk_metadata()}


def _shown(task: dict) -> dict:
    """A task with the fields that AWS shows at that point of its life, as recorded."""
    ended = task["LastStatus"] == "STOPPED"
    for name in ("HealthStatus", *(("PlatformFamily",) if ended else ("Connectivity", "ConnectivityAt"))):
        task.pop(name, None)
    task.setdefault("Attributes", [{"Name": "ecs.cpu-architecture", "Value": "x86_64"}])
    task.setdefault("EphemeralStorage", {"SizeInGiB": 20})
    task.setdefault("InferenceAccelerators", [])
    for container in task["Containers"]:
        for name in ("HealthStatus", "Memory"):
            container.pop(name, None)
        container |= {"GpuIds": [], "ManagedAgents": []}
        if ended:
            container.setdefault("RuntimeId", task["TaskArn"].rsplit("/", 1)[-1])
        if "ExitCode" in container:
            container.setdefault("ImageDigest", f"sha256:{'0' * 64}")
    overrides = {"InferenceAcceleratorOverrides": [], **(task.get("Overrides") or {})}
    given = {override["Name"]: override for override in overrides.get("ContainerOverrides") or ()}
    empty = {"Command": [], "Environment": [], "EnvironmentFiles": [], "ResourceRequirements": []}
    names = [container["Name"] for container in task["Containers"]]
    overrides["ContainerOverrides"] = [{**empty, "Name": name, **given.get(name, {})} for name in names]
    task["Overrides"] = overrides
    return task


def pascal(value: Any, name: str = "") -> Any:
    """A JSON value of the ECS API as Step Functions spells it: PascalCase keys, times in milliseconds."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [pascal(item) for item in value]
    if name.endswith("At") and isinstance(value, str):
        return sfn._iso_to_epoch_ms(value)
    return value
