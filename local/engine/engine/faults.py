"""Faults that a test sets, and the log of calls. Both are empty by default."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

_CALLS_KEPT = 100_000
"""Maximum number of logged calls; older ones are dropped. A test with a thousand jobs makes about 20,000."""

_MET_KEPT = 100
"""Affected calls that a fault keeps; one without a limit could meet thousands."""

_TEXT_KEPT = 16 * 1024
"""Characters kept of their requests, which name whom they are about long before."""

ERROR = "error"
"""Rejects the call with an AWS error code."""

LOST = "lost"
"""Carries out the call and replaces its response by an error, to test retries."""

FAILURES = "failures"
"""RunTask returns 200 with no task and a `failures` list."""

NEVER_STARTS = "never-starts"
"""RunTask accepts the task, which then stops before its container starts."""

CAPACITY = "capacity"
"""Rejects RunTask because Fargate has no capacity."""

DELAY = "delay"
"""Delays the response."""

EFFECTS = {ERROR, LOST, FAILURES, NEVER_STARTS, CAPACITY, DELAY}
RUN_TASK_EFFECTS = {FAILURES, NEVER_STARTS, CAPACITY}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Fault:
    """A fault for the next `times` calls of an operation."""

    service: str
    """The endpoint prefix: `states`, `ecs`, `ssm`, `lambda`, `sqs`, ..."""
    operation: str
    """`StartExecution`, `RunTask`, ...; `*` for every operation of the service."""
    effect: str = ERROR
    times: int = 1
    match: str = ""
    """Applies to calls whose request contains this text; empty means all."""
    error: str = "ThrottlingException"
    status: int = 400
    message: str = "Rate exceeded"
    reason: str = "RESOURCE:ENI"
    """`reason` of the failures list."""
    stopped_reason: str = "ResourceInitializationError: failed to configure ENI: failed to setup regular eni"
    stop_code: str = "TaskFailedToStart"
    seconds: float = 0.0
    """Seconds of delay for the effect `delay`."""
    lasts: float = 0.0
    """Seconds after which the fault is over, whatever is left of its times; 0 means never."""
    hits: int = 0
    """Number of affected calls."""
    met: list[dict] = field(default_factory=list)
    """The first of these calls: `at`, and the start of the request as `text`."""
    ordered_at: float = field(default_factory=time.monotonic)

    @classmethod
    def parse(cls, order: Any) -> "Fault":
        """Parses a fault.

        Raises `ValueError` naming the field that is missing, unknown or wrong.
        """
        if not isinstance(order, dict):
            raise ValueError("a fault must be a JSON object")
        known = set(cls.__dataclass_fields__) - {"hits", "met", "ordered_at"}
        if unknown := set(order) - known:
            raise ValueError(f"unknown field {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        for name in ("service", "operation"):
            if not isinstance(order.get(name), str) or not order[name]:
                raise ValueError(f"`{name}` is required")
        fault = cls(**order)
        if fault.effect not in EFFECTS:
            raise ValueError(f"`effect` must be one of {', '.join(sorted(EFFECTS))}")
        if fault.effect in RUN_TASK_EFFECTS and (fault.service, fault.operation) != ("ecs", "RunTask"):
            raise ValueError(f"effect `{fault.effect}` is only for ecs RunTask")
        if not isinstance(fault.times, int) or fault.times < 1:
            raise ValueError("`times` must be a positive number")
        if not isinstance(fault.lasts, int | float) or fault.lasts < 0:
            raise ValueError("`lasts` must be a number of seconds")
        return fault

    def meets(self, service: str, operation: str, effects: Iterable[str], text: str) -> bool:
        """Whether the fault is for that call and has some of its times left."""
        return (
            self.hits < self.times
            and not self._is_over()
            and self.service == service
            and self.operation in (operation, "*")
            and self.effect in effects
            and self.match in text
        )

    def _is_over(self) -> bool:
        return self.lasts > 0 and time.monotonic() - self.ordered_at >= self.lasts


class FaultBook:
    """The faults ordered and not yet withdrawn, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Orders a fault."""
        with self._lock:
            self._faults.append(fault)

    def clear(self, match: str = "") -> None:
        """Withdraws those that are for requests with exactly this text; all when it is empty."""
        with self._lock:
            self._faults = [fault for fault in self._faults if match and fault.match != match]

    def all(self) -> list[dict]:
        """Every fault with its hits."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, service: str, operation: str, effects: Iterable[str], text: str = "") -> Fault | None:
        """The first fault that meets the call, counted as a hit; None when the call is to go through."""
        with self._lock:
            for fault in self._faults:
                if fault.meets(service, operation, effects, text):
                    fault.hits += 1
                    if len(fault.met) < _MET_KEPT:
                        fault.met.append({"at": _now(), "text": text[:_TEXT_KEPT]})
                    return fault
        return None


@dataclass(frozen=True)
class Caller:
    """Who made a call."""

    kind: str
    """`function`, `task`, `state-machine` or `role`."""
    name: str
    """Function name, task id, state machine name or role session."""
    role: str | None = None
    """Name of the role whose policies would be asked."""


@dataclass
class Call:
    """One AWS API call."""

    service: str
    operation: str
    caller: Caller | None
    resource: str | None
    """The name or ARN that the request names first; None where there is none."""
    status: int
    error: str | None
    """The AWS error code of a refused call."""
    injected: bool
    """Whether the refusal was ordered."""
    denied: str | None
    """What the caller's role doesn't allow of it, empty when it allows all; None when that can't be told."""
    number: int = 0
    at: str = field(default_factory=_now)


class CallLog:
    """The latest calls, numbered from 1."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._calls: deque[Call] = deque(maxlen=_CALLS_KEPT)

    def add(self, call: Call) -> None:
        """Records a call."""
        with self._lock:
            call.number = next(self._numbers)
            self._calls.append(call)

    def clear(self) -> None:
        """Forgets them; numbering goes on."""
        with self._lock:
            self._calls.clear()

    def find(self, *, since: int = 0, **wanted: str) -> list[dict]:
        """Calls numbered above `since` whose fields equal `wanted`; `caller` is compared with the caller's name."""
        with self._lock:
            calls = [call for call in self._calls if call.number > since]
        return [asdict(call) for call in calls if all(_field(call, name) == value for name, value in wanted.items())]


def _field(call: Call, name: str) -> str | None:
    if name == "caller":
        return call.caller.name if call.caller else None
    return getattr(call, name)
