"""Behaviours of AWS that nobody has proven, each of which a test can turn the other way.

What is on by default is what AWS does as far as is known; README.md says of each what is known.
"""

import threading
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Values:
    """One setting of all switches. Their names at the control endpoint have dashes."""

    started_by_kept: bool = False
    """`runTask.sync` keeps the `StartedBy` that it is given, instead of writing "AWS Step Functions" there."""
    duplicate_tags_refused: bool = False
    """RunTask refuses a tag that is both given and propagated, instead of letting the request win."""
    throttled_as: str = "ECS.AmazonECSException"
    """The error as which a state machine meets what RunTask's model doesn't name: throttling, no capacity."""
    tasks_late: float = 0.0
    """For so many seconds after RunTask a task is not listed, and `MISSING` where it is described."""
    tags_missing: bool = False
    """DescribeTasks shows no tags even where they are asked for."""
    events_late: float = 0.0
    """Task events come so many seconds late."""
    events_twice: bool = False
    """Each task event comes twice."""
    events_out_of_order: bool = False
    """A task's earlier events come after the event of its end, the latest first."""
    stopped_tasks_gone: bool = False
    """StopTask doesn't know a task that has stopped. AWS remembers one for an hour at least."""
    gone_task_as: str = "InvalidParameterException"
    """The error with which StopTask answers for a task that it doesn't know."""


class Switches:
    """The switches as they are now. They are read at each use, so a change holds from the next call on."""

    def __init__(self, values: Values) -> None:
        self._lock = threading.Lock()
        self._start = values
        self._values = values

    @property
    def now(self) -> Values:
        """The present setting."""
        with self._lock:
            return self._values

    def turn(self, order: Any) -> None:
        """Changes the switches that a JSON object names.

        Raises `ValueError` naming what is unknown or of the wrong type, having changed nothing.
        """
        with self._lock:
            self._values = changed(self._values, order)

    def reset(self) -> None:
        """Back to how the engine was started."""
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
        raise ValueError("switches are a JSON object")
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
            raise ValueError(f"`{name}` is a number of seconds from 0 up")
        changes[field.name] = value
    return replace(values, **changes)


_TYPES = {bool: "truth value", float: "number", str: "text"}


def _dashed(name: str) -> str:
    return name.replace("_", "-")
