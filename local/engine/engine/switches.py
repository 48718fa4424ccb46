"""Unproven behaviours of AWS, each of which a test can reverse.

The defaults are what AWS does as far as known; README.md has the evidence for each.
"""

import threading
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Values:
    """One setting of all switches. Their names at the control endpoint have dashes."""

    started_by_kept: bool = False
    """`runTask.sync` keeps a given `StartedBy`, instead of overwriting it with "AWS Step Functions"."""
    duplicate_tags_refused: bool = False
    """RunTask rejects a tag that is both given and propagated, instead of letting the request win."""
    throttled_as: str = "ECS.AmazonECSException"
    """A state machine's error for errors that the RunTask API does not declare: throttling, no capacity."""
    tasks_late: float = 0.0
    """Seconds after RunTask in which a task is not listed, and `MISSING` when described."""
    tags_missing: bool = False
    """DescribeTasks returns no tags even if they are requested."""
    events_late: float = 0.0
    """Delay of task events in seconds."""
    events_twice: bool = False
    """Each task event comes twice."""
    events_out_of_order: bool = False
    """A task's earlier events come after its STOPPED event, latest first."""
    stopped_tasks_gone: bool = False
    """StopTask does not find a stopped task. AWS finds it for at least an hour."""
    gone_task_as: str = "InvalidParameterException"
    """StopTask's error for a missing task."""


class Switches:
    """The current switches, read at each use: a change applies from the next call."""

    def __init__(self, values: Values) -> None:
        self._lock = threading.Lock()
        self._start = values
        self._values = values

    @property
    def now(self) -> Values:
        """The current setting."""
        with self._lock:
            return self._values

    def turn(self, order: Any) -> None:
        """Changes the switches that a JSON object names.

        Raises `ValueError` for an unknown name or a wrong type, without any change.
        """
        with self._lock:
            self._values = changed(self._values, order)

    def reset(self) -> None:
        """Restores the values of the start."""
        with self._lock:
            self._values = self._start

    def all(self) -> dict[str, Any]:
        """Every switch by its name at the control endpoint."""
        values = self.now
        return {_dashed(field.name): getattr(values, field.name) for field in fields(Values)}


def changed(values: Values, order: Any) -> Values:
    """`values` with what a JSON object names.

    Raises `ValueError`.
    """
    if not isinstance(order, dict):
        raise ValueError("switches must be a JSON object")
    known = {_dashed(field.name): field for field in fields(Values)}
    changes = {}
    for name, value in order.items():
        field = known.get(name)
        if field is None:
            raise ValueError(f"unknown switch {name}; there are {', '.join(sorted(known))}")
        wanted = type(field.default)
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise ValueError(f"`{name}` is a {_TYPES[wanted]}, as {field.default!r} is")
        if wanted is float and not 0 <= value < float("inf"):
            raise ValueError(f"`{name}` must be a number of seconds, 0 or more")
        changes[field.name] = value
    return replace(values, **changes)


_TYPES = {bool: "truth value", float: "number", str: "text"}


def _dashed(name: str) -> str:
    return name.replace("_", "-")
