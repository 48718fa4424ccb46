"""Every signed AWS request passes here: ordered faults are served, and each call is written down."""

import asyncio
import json
from typing import Any
from xml.sax.saxutils import escape

from ministack import app

from engine import permissions
from engine.callers import caller_of
from engine.faults import DELAY, ERROR, LOST, Call, CallLog, FaultBook
from engine.grants import Grants
from engine.hooks import Hooks

_UNLOGGED = {"imds", "ecs-metadata"}
"""Endpoints inside a task, which are no AWS API."""

_FUNCTION_URL = "InvokeFunctionUrl"
"""The action that IAM knows a request to a function's URL by."""

_RESOURCE_KEYS = (
    "name",
    "Name",
    "executionArn",
    "stateMachineArn",
    "task",
    "taskDefinition",
    "FunctionName",
    "QueueUrl",
    "resourceArn",
    "ResourceId",
    "TableName",
    "Rule",
    "familyPrefix",
    "cluster",
)


def install(hooks: Hooks, faults: FaultBook, calls: CallLog, grants: Grants, enforce: bool) -> None:
    """Declares the hook on requests; with `enforce`, what a role doesn't allow is refused."""
    hooks.require(app, "_parse_lambda_url", "detect_service", "_routing_params", "_ct_event_name")

    @hooks.around(app, "_handle_lambda_url_request")
    async def front_door(original, host, path, method, headers, body, query_params, source_ip=None):
        """A function URL answers for itself before the function runs, or though it has run."""
        if app._parse_lambda_url(host, path) is None:
            return None
        text = path + " " + body.decode("utf-8", "replace")
        late = faults.take("lambda", _FUNCTION_URL, {DELAY}, text)
        if late:
            await asyncio.sleep(late.seconds)
        fault = faults.take("lambda", _FUNCTION_URL, {ERROR, LOST}, text)
        answer = None
        if fault is None or fault.effect == LOST:
            answer = await original(host, path, method, headers, body, query_params, source_ip=source_ip)
        if fault:
            answer = _front_door_answer(fault.status)
        error = fault.error if fault else None
        calls.add(Call("lambda", _FUNCTION_URL, None, host, answer[0], error, fault is not None, None))
        return answer

    @hooks.around(app, "_dispatch_service_request")
    async def dispatch(original, method, path, headers, body, query_params, request_id):
        parameters = app._routing_params(method, path, headers, body, query_params)
        service = app.detect_service(method, path, headers, parameters)
        if service in _UNLOGGED:
            return await original(method, path, headers, body, query_params, request_id)
        operation = app._ct_event_name(service, method, path, headers, parameters)
        request, caller = _json(body), caller_of(headers)
        denied = permissions.denied(grants, caller, service, operation, request, path)
        text = path + " " + body.decode("utf-8", "replace")
        late = faults.take(service, operation, {DELAY}, text)
        if late:
            await asyncio.sleep(late.seconds)
        fault = faults.take(service, operation, {ERROR, LOST}, text)
        if fault:
            if fault.effect == LOST:
                await original(method, path, headers, body, query_params, request_id)
            answer = _refusal(fault.error, fault.message, fault.status, headers, request_id)
        elif enforce and denied:
            status = 403 if service == "lambda" else 400
            message = permissions.message(caller, denied)
            answer = _refusal("AccessDeniedException", message, status, headers, request_id)
        else:
            answer = await original(method, path, headers, body, query_params, request_id)
        status, answer_headers, answer_body = answer
        calls.add(
            Call(
                service=service,
                operation=operation,
                caller=caller,
                resource=resource_of(path, request),
                status=status,
                error=_error_code(answer_headers, answer_body) if status >= 400 else None,
                injected=fault is not None,
                denied=denied,
            )
        )
        return answer


def _front_door_answer(status: int) -> tuple:
    """Lambda's own answer at a function's URL.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html (403),
    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors (429 and 5xx)
    """
    kind, body = {
        403: ("AccessDeniedException", {"Message": "Forbidden"}),
        429: (
            "TooManyRequestsException",
            {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."},
        ),
    }.get(status, ("ServiceException", {"Message": None}))
    headers = {"Content-Type": "application/json", "x-amzn-errortype": kind}
    return status, headers, json.dumps(body).encode()


def _refusal(code: str, message: str, status: int, headers: dict[str, str], request_id: str) -> tuple:
    content_type = headers.get("content-type", "application/json")
    answer = {"x-amzn-requestid": request_id, "x-amzn-errortype": code}
    if "form-urlencoded" in content_type:
        # The query protocol: CloudFormation, IAM, STS.
        side = "Sender" if status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{side}</Type><Code>{escape(code)}</Code>"
            f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return status, {**answer, "Content-Type": "text/xml"}, text.encode()
    payload = {"__type": code, "message": message}
    return status, {**answer, "Content-Type": content_type}, json.dumps(payload).encode()


def resource_of(path: str, request: dict) -> str | None:
    """What a request names first, by its path or its body."""
    if "/functions/" in path:
        return path.partition("/functions/")[2].partition("/")[0]
    for key in _RESOURCE_KEYS:
        if isinstance(request.get(key), str):
            return request[key]
    return None


def _error_code(headers: dict[str, str], body: Any) -> str | None:
    code = _json(body).get("__type") or headers.get("x-amzn-errortype")
    return code.rsplit("#", 1)[-1] if isinstance(code, str) else None


def _json(body: Any) -> dict:
    if not isinstance(body, bytes | str) or body[:1] not in (b"{", "{"):
        return {}
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
