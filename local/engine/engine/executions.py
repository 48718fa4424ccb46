"""Step Functions executions as on AWS: start, stop, timeout and retry.

MiniStack interprets a state machine in a thread per execution, which cannot be interrupted. Here each sleep and each
wait for a task also waits for its execution's end, and then leaves the interpreter with `Interrupted`.
"""

import contextvars
import heapq
import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ministack.core.responses import get_account_id, get_region, now_iso
from ministack.services import stepfunctions as sfn

from engine.doorbell import Doorbell
from engine.hooks import Hooks

logger = logging.getLogger("engine.executions")

PAYLOAD_LIMIT = 256 * 1024
"""Bytes of a state's input or output. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""

_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
"""https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html"""

_TERMINAL_ERRORS = {"States.Runtime"}
"""Errors that `States.ALL` and `States.TaskFailed` do not match.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html names `States.DataLimitExceeded` too,
but `States.ALL` caught that of a task's result where it was recorded (LocalStack's `test_states_errors.py`, 2024-03-21).
"""

_GIVEN = "givenInput"
"""Key of an execution's input as it was given, where it was changed."""

_MARGIN = 0.05
"""Seconds beyond an order's start: a wait that ends a moment too early would be followed by another."""

current: contextvars.ContextVar[dict | None] = contextvars.ContextVar("execution", default=None)
"""The execution that this thread interprets."""


class Interrupted(SystemExit):
    """The execution ended while a state was running.

    A SystemExit, because the interpreter takes every Exception for a failure of the state, and because a thread of a
    Parallel state that ends with one ends quietly.
    """


def running(execution: dict) -> bool:
    """Whether an execution is running."""
    return execution["status"] == "RUNNING"


class Timekeeper:
    """Calls functions at set times, from one thread that sleeps in between."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def start(self) -> None:
        """Starts the thread."""
        threading.Thread(target=self._run, daemon=True, name="timekeeper").start()

    def call_in(self, seconds: float, function: Callable[[], None]) -> None:
        """Calls `function` once, `seconds` from now."""
        with self._changed:
            self._count += 1
            heapq.heappush(self._due, (time.monotonic() + seconds, self._count, function))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due)
                delay = self._due[0][0] - time.monotonic()
                if delay > 0:
                    self._changed.wait(delay)
                    continue
                _, _, function = heapq.heappop(self._due)
            try:
                function()
            except Exception:
                logger.exception("cannot apply a timeout")


class Executions:
    """Ends executions that exceed their timeout."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell

    def time_out(self, name: str) -> int:
        """Times out the running executions of that name; returns how many."""
        ended = [each for _, each in sfn._executions.all_items() if each["name"] == name and running(each)]
        for execution in ended:
            self.end(execution)
        return len(ended)

    def end(self, execution: dict) -> None:
        """Times out an execution, unless it has ended."""
        if not running(execution):
            return
        execution["status"] = "TIMED_OUT"
        execution["stopDate"] = now_iso()
        sfn._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
        sfn._emit_execution_status_event(execution)
        self._doorbell.ring(execution["executionArn"])


def install(
    hooks: Hooks, executions: Executions, doorbell: Doorbell, timekeeper: Timekeeper, wait_scale: float
) -> None:
    """Declares the hooks on executions."""
    hooks.require(sfn, "_executions", "_ExecutionError", "_state_query_language", "_apply_jsonata_output")
    hooks.require(sfn, "_jsonata_state_field", "_resolve_state_machine_arn", "_state_machines")
    _starting(hooks, wait_scale)
    _ending(hooks, executions, doorbell, timekeeper)
    _sleeping(hooks, doorbell, wait_scale)
    _states(hooks)


def _starting(hooks: Hooks, wait_scale: float) -> None:
    @hooks.around(sfn, "_start_execution")
    def start(original, data):
        name = data.get("name")
        if name is not None and not _NAME.fullmatch(name):
            return sfn.error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
        try:
            json.loads(data.get("input", "{}"))
        except ValueError:
            return sfn.error_response_json("InvalidExecutionInput", "Invalid State Machine Execution Input", 400)
        known = name and _known_execution(data, name)
        # Idempotent while it runs with the same input; a closed execution keeps its name.
        given = data.get("input", "{}")
        if known and running(known) and known.get(_GIVEN, known["input"]) == given:
            return sfn.json_response({"executionArn": known["executionArn"], "startDate": known["startDate"]})
        sooner = _sooner(given, wait_scale)
        answer = original({**data, "input": sooner} if sooner != given else data)
        started = name and _known_execution(data, name)
        if started and sooner != given and started["input"] == sooner:
            started[_GIVEN] = given
        return answer


def _sooner(given: str, wait_scale: float) -> str:
    """Scales an order's start time as the Wait states that wait for it."""
    start = _not_before(given)
    left = start - time.time() if start is not None else 0
    if left <= 0 or wait_scale == 1:
        return given
    order = json.loads(given)
    order["notBefore"] = datetime.fromtimestamp(time.time() + left * wait_scale, UTC).isoformat()
    return json.dumps(order)


def _not_before(given: str) -> float | None:
    """When an order may start, in seconds since 1970."""
    try:
        return datetime.fromisoformat(json.loads(given)["notBefore"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def _known_execution(data: dict, name: str) -> dict | None:
    machine = sfn._resolve_state_machine_arn(data.get("stateMachineArn", "").partition("#")[0])
    if machine is None:
        return None
    machine_name = sfn._state_machines[machine]["name"]
    return sfn._executions.get(f"arn:aws:states:{get_region()}:{get_account_id()}:execution:{machine_name}:{name}")


def _ending(hooks: Hooks, executions: Executions, doorbell: Doorbell, timekeeper: Timekeeper) -> None:
    @hooks.around(sfn, "_run_execution")
    def run(original, arn):
        execution = sfn._executions[arn]
        current.set(execution)
        seconds = _definition(execution).get("TimeoutSeconds")
        if seconds is not None:
            context = contextvars.copy_context()
            timekeeper.call_in(seconds, lambda: context.run(executions.end, execution))
        try:
            original(arn)
        except Interrupted:
            logger.info("%s ended as %s", arn, execution["status"])

    @hooks.around(sfn, "_stop_execution")
    def stop(original, data):
        answer = original(data)
        doorbell.ring(data.get("executionArn", ""))
        return answer

    @hooks.around(sfn, "_fail_execution")
    def fail(original, execution, error, cause):
        """Ignores a state that fails after its execution was stopped."""
        if running(execution):
            original(execution, error, cause)

    @hooks.around(sfn, "_add_event")
    def add_event(original, execution, event_type, details=None):
        """Ignores events after the execution's end, where its history ends."""
        if running(execution) or event_type.startswith("Execution"):
            return original(execution, event_type, details)
        return {}


def _definition(execution: dict) -> dict:
    machine = sfn._state_machines.get(execution["stateMachineArn"])
    try:
        return json.loads(machine["definition"]) if machine else {}
    except ValueError:
        # The interpreter detects and reports this itself.
        return {}


def _sleeping(hooks: Hooks, doorbell: Doorbell, wait_scale: float) -> None:
    @hooks.around(sfn, "_scaled_sleep")
    def sleep(_original, seconds):
        execution = current.get()
        start = _not_before(execution["input"]) if execution is not None else None
        # `launch` compares the order's start with its own clock: a shorter wait would be one of many.
        left = start - time.time() if start is not None else 0
        pause(left + _MARGIN if left > 0 else seconds * wait_scale)

    def pause(seconds):
        execution = current.get()
        if execution is None:
            time.sleep(max(0.0, seconds))
            return
        deadline = time.monotonic() + seconds
        with doorbell.listen(execution["executionArn"]) as bell:
            while running(execution):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                bell.wait(left)
                bell.clear()
        raise Interrupted

    @hooks.around(sfn, "_find_matching_retrier")
    def find_retrier(original, retriers, error, retry_counts):
        """Sleeps the retrier's delay instead of the interpreter, which knows neither limit nor jitter."""
        execution = current.get()
        if execution is not None and not running(execution):
            raise Interrupted
        retrier, index = original(retriers, error, retry_counts)
        if retrier is None:
            return None, index
        pause(retry_delay(retrier, retry_counts.get(index, 0)) * wait_scale)
        return {**retrier, "IntervalSeconds": 0}, index

    @hooks.around(sfn, "_error_matches")
    def error_matches(original, error_equals, error):
        return error in error_equals if error in _TERMINAL_ERRORS else original(error_equals, error)


def retry_delay(retrier: dict, attempt: int) -> float:
    """Seconds before retry number `attempt`, counted from 0.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-retrying-after-an-error
    """
    delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** attempt
    if "MaxDelaySeconds" in retrier:
        delay = min(delay, retrier["MaxDelaySeconds"])
    return random.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay


def _states(hooks: Hooks) -> None:
    @hooks.around(sfn, "_apply_output_path")
    def output_path(original, state_def, data, ctx=None):
        """Evaluates a Succeed state's `Output`; the interpreter does so for the other states."""
        if state_def.get("Type") == "Succeed" and sfn._state_query_language(state_def, ctx) == "JSONata":
            return sfn._apply_jsonata_output(state_def, data, ctx, default=data)
        return original(state_def, data, ctx)

    @hooks.around(sfn, "_execute_task")
    def execute_task(original, state_def, raw_input, execution, ctx):
        if isinstance(state_def.get("TimeoutSeconds"), str):
            seconds = sfn._jsonata_state_field(state_def, "TimeoutSeconds", "number", raw_input, ctx)
            state_def = {**state_def, "TimeoutSeconds": seconds}
        output, following = original(state_def, raw_input, execution, ctx)
        if len(json.dumps(output, ensure_ascii=False).encode()) > PAYLOAD_LIMIT:
            # The output after the state's Catch is too large: the execution fails.
            raise too_large(ctx["State"]["Name"])
        return output, following


def too_large(name: str) -> Exception:
    """The error for a result or an output beyond the limit."""
    return sfn._ExecutionError(
        "States.DataLimitExceeded",
        f"The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service limit.",
    )
