"""Backdates resources so that tests need not wait for age-based rules."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ministack.services import ecs, ssm
from ministack.services import stepfunctions as sfn

from engine.ecs import runner_of
from engine.hooks import Hooks

_TIMES = ("LastModifiedDate", "createdAt", "startedAt", "startDate", "stopDate")


def install(hooks: Hooks) -> None:
    """Declares the hooks on MiniStack's stores."""
    hooks.require(ssm, "_parameters")
    hooks.require(ecs, "_tasks")
    hooks.require(sfn, "_executions")


def age(match: str, seconds: float) -> int:
    """Backdates parameters and executions by name, tasks by their runner's name (contains `match`); returns how many."""
    found = [thing for name, thing in _things() if match in name]
    for thing in found:
        for field in _TIMES:
            if thing.get(field):
                thing[field] = _earlier(thing[field], seconds)
    return len(found)


def _things() -> Iterator[tuple[str, dict]]:
    yield from ((parameter["Name"], parameter) for _, parameter in ssm._parameters.all_items())
    yield from ((runner_of(task) or "", task) for _, task in ecs._tasks.all_items())
    yield from ((execution["name"], execution) for _, execution in sfn._executions.all_items())


def _earlier(at: Any, seconds: float) -> Any:
    if not isinstance(at, str):
        return at - seconds
    earlier = datetime.fromisoformat(at) - timedelta(seconds=seconds)
    return earlier.isoformat(timespec="milliseconds").replace("+00:00", "Z")
