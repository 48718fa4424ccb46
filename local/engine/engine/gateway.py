"""Every signed AWS request passes here: ordered faults are served, and each call is written down."""

import asyncio
import json
from typing import Any
from xml.sax.saxutils import escape

from ministack import app

from engine.callers import caller_of
from engine.faults import DELAY, ERROR, Call, CallLog, Fault, FaultBook
from engine.hooks import Hooks

_UNLOGGED = {"imds", "ecs-metadata"}
"""Endpoints inside a task, which are no AWS API."""

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


def install(hooks: Hooks, faults: FaultBook, calls: CallLog) -> None:
    """Declares the hook on requests."""
    hooks.require(app, "detect_service", "_routing_params", "_ct_event_name")

    @hooks.around(app, "_dispatch_service_request")
    async def dispatch(original, method, path, headers, body, query_params, request_id):
        parameters = app._routing_params(method, path, headers, body, query_params)
        service = app.detect_service(method, path, headers, parameters)
        if service in _UNLOGGED:
            return await original(method, path, headers, body, query_params, request_id)
        operation = app._ct_event_name(service, method, path, headers, parameters)
        text = path + " " + body.decode("utf-8", "replace")
        late = faults.take(service, operation, {DELAY}, text)
        if late:
            await asyncio.sleep(late.seconds)
        fault = faults.take(service, operation, {ERROR}, text)
        if fault:
            answer = _refusal(fault, headers, request_id)
        else:
            answer = await original(method, path, headers, body, query_params, request_id)
        status, _, answer_body = answer
        calls.add(
            Call(
                service=service,
                operation=operation,
                caller=caller_of(headers),
                resource=_resource(path, body),
                status=status,
                error=(fault.error if fault else _error_code(answer_body)) if status >= 400 else None,
                injected=fault is not None,
            )
        )
        return answer


def _refusal(fault: Fault, headers: dict[str, str], request_id: str) -> tuple:
    content_type = headers.get("content-type", "application/json")
    answer = {"x-amzn-requestid": request_id, "x-amzn-errortype": fault.error}
    if "form-urlencoded" in content_type:
        # The query protocol: CloudFormation, IAM, STS.
        side = "Sender" if fault.status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{side}</Type><Code>{escape(fault.error)}</Code>"
            f"<Message>{escape(fault.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return fault.status, {**answer, "Content-Type": "text/xml"}, text.encode()
    payload = {"__type": fault.error, "message": fault.message}
    return fault.status, {**answer, "Content-Type": content_type}, json.dumps(payload).encode()


def _resource(path: str, body: bytes) -> str | None:
    if "/functions/" in path:
        return path.partition("/functions/")[2].partition("/")[0]
    request = _json(body)
    for key in _RESOURCE_KEYS:
        if isinstance(request.get(key), str):
            return request[key]
    return None


def _error_code(body: Any) -> str | None:
    code = _json(body).get("__type")
    return code.rsplit("#", 1)[-1] if isinstance(code, str) else None


def _json(body: Any) -> dict:
    if not isinstance(body, bytes | str) or body[:1] not in (b"{", "{"):
        return {}
    try:
        return json.loads(body)
    except ValueError:
        return {}
