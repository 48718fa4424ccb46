"""States that wait for a task token, and the calls that end them: SendTaskSuccess, SendTaskFailure.

MiniStack gives a state one token for all its attempts, drops the integration's own answer, waits on after the execution
was stopped, and takes a second answer for the first one. Here as on AWS: a token per attempt, `TaskSubmitted` with the
answer, and one answer per token.
https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.services import stepfunctions as sfn

from engine.doorbell import Doorbell
from engine.executions import PAYLOAD_LIMIT, Interrupted, current, running
from engine.hooks import Hooks

_SUFFIX = ".waitForTaskToken"

_MARK = "AAAAKgAAAAIA"
"""How a token begins; a token without it is invalid."""

_TOKEN_BYTES = 480
"""Random bytes of a token, so that it is about as long as one of AWS."""

_LIMITS = {"output": PAYLOAD_LIMIT, "error": 256, "cause": 32768}
"""Bytes of an answer's fields.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html
"""


@dataclass
class _Success:
    """An attempt ended well, with this JSON value."""

    output: Any


@dataclass
class _Failure:
    """An attempt failed; either text may be missing."""

    error: str | None
    cause: str | None


@dataclass
class _Callback:
    """An attempt that waits."""

    execution: dict
    outcome: _Success | _Failure | None = None


class Callbacks:
    """The attempts that wait, by their tokens."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self._lock = threading.Lock()
        self._open: dict[str, _Callback] = {}

    def issue(self, execution: dict) -> str:
        """A new attempt's token."""
        identity = json.dumps([execution["stateMachineArn"], execution["executionArn"]]).encode()
        filler = secrets.token_bytes(max(0, _TOKEN_BYTES - len(identity)))
        token = _MARK + base64.b64encode(identity + b"\n" + filler).decode()
        with self._lock:
            self._open[token] = _Callback(execution)
        return token

    def close(self, token: str) -> None:
        """Ends an attempt: its token is used up."""
        with self._lock:
            self._open.pop(token, None)

    def answer(self, token: str, outcome: _Success | _Failure | None) -> bool:
        """Answers for an attempt; None is a sign of life. Returns whether it still waited."""
        with self._lock:
            callback = self._open.get(token)
            if callback is None or callback.outcome is not None or not running(callback.execution):
                return False
            callback.outcome = outcome
        self._doorbell.ring(token)
        return True

    def wait(self, token: str, deadline: float | None) -> Any:
        """Waits for the answer, at most until `deadline` by `time.monotonic`.

        Raises the failure's error, `States.Timeout`, or `Interrupted` if the execution ends.
        """
        with self._lock:
            callback = self._open[token]
        with self._doorbell.listen(token, callback.execution["executionArn"]) as bell:
            while callback.outcome is None:
                if not running(callback.execution):
                    raise Interrupted
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0 and self._gives_up(token, callback):
                    raise sfn._ExecutionError("States.Timeout", "")
                bell.wait(left)
                bell.clear()
        if isinstance(callback.outcome, _Failure):
            raise sfn._ExecutionError(callback.outcome.error, callback.outcome.cause)
        return callback.outcome.output

    def _gives_up(self, token: str, callback: _Callback) -> bool:
        """Ends an attempt unless it has its answer: an answer that was accepted counts."""
        with self._lock:
            if callback.outcome is None:
                self._open.pop(token, None)
            return callback.outcome is None


def machine_of(token: Any) -> str | None:
    """The state machine whose execution waits, or waited, with that token; None for anything else."""
    if not isinstance(token, str) or not token.startswith(_MARK):
        return None
    try:
        identity, _, _ = base64.b64decode(token[len(_MARK) :], validate=True).partition(b"\n")
        machine, _execution = json.loads(identity)
    except ValueError:
        return None
    return machine


def install(hooks: Hooks, callbacks: Callbacks) -> None:
    """Declares the hooks on task tokens."""
    hooks.require(sfn, "_ExecutionError", "_add_event", "_invoke_resource", "_invoke_resource_with_timeout")
    hooks.require(sfn, "_task_tokens")
    _waiting(hooks, callbacks)
    _answering(hooks, callbacks)


def _waiting(hooks: Hooks, callbacks: Callbacks) -> None:
    def arguments(original, state_def, raw_input, ctx=None):
        execution = current.get()
        if execution and state_def.get("Resource", "").endswith(_SUFFIX):
            # The arguments are evaluated once per attempt.
            ctx["Task"] = {"Token": callbacks.issue(execution)}
        return original(state_def, raw_input, ctx)

    hooks.around(sfn, "_apply_jsonata_arguments")(arguments)
    hooks.around(sfn, "_apply_parameters")(arguments)

    @hooks.around(sfn, "_invoke_with_callback")
    def invoke(_original, resource, input_data, token, state_def):
        service, seconds = resource.removesuffix(_SUFFIX), state_def.get("TimeoutSeconds")
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            if seconds is None:
                answer = sfn._invoke_resource(service, input_data)
            else:
                answer = sfn._invoke_resource_with_timeout(service, input_data, seconds)
            details = {"resource": resource, "output": json.dumps(answer)}
            sfn._add_event(current.get(), "TaskSubmitted", {"taskSubmittedEventDetails": details})
            return callbacks.wait(token, deadline)
        finally:
            callbacks.close(token)


def _answering(hooks: Hooks, callbacks: Callbacks) -> None:
    def answered(original, data: dict, outcome: Callable[[], _Success | _Failure | None]) -> tuple:
        token = data.get("taskToken")
        if token in sfn._task_tokens:
            # An activity's.
            return original(data)
        for field, limit in _LIMITS.items():
            if len((data.get(field) or "").encode()) > limit:
                text = f"1 validation error detected: Value at '{field}' failed to satisfy constraint: "
                text += f"Member must have length less than or equal to {limit}"
                return sfn.error_response_json("ValidationException", text, 400)
        if machine_of(token) is None:
            return sfn.error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
        try:
            answer = outcome()
        except ValueError:
            return sfn.error_response_json("InvalidOutput", "Invalid Output: 'Invalid JSON'", 400)
        if not callbacks.answer(token, answer):
            text = "Task Timed Out: 'Provided task does not exist anymore'"
            return sfn.error_response_json("TaskTimedOut", text, 400)
        return sfn.json_response({})

    @hooks.around(sfn, "_send_task_success")
    def success(original, data):
        return answered(original, data, lambda: _Success(json.loads(data.get("output") or "")))

    @hooks.around(sfn, "_send_task_failure")
    def failure(original, data):
        return answered(original, data, lambda: _Failure(data.get("error"), data.get("cause")))

    @hooks.around(sfn, "_send_task_heartbeat")
    def heartbeat(original, data):
        return answered(original, data, lambda: None)
