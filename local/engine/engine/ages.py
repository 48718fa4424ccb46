"""Backdates resources so that tests need not wait for age-based rules."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ministack.services import dynamodb, ecs, ssm
from ministack.services import stepfunctions as sfn

from engine.ecs import names_of
from engine.hooks import Hooks

_TIMES = ("LastModifiedDate", "createdAt", "startedAt", "startDate", "stopDate")

_TIME = range(1_000_000_000, 10_000_000_000)
"""An item's numbers in this range are times, in seconds. GitHub's ids are larger."""


def install(hooks: Hooks) -> None:
    """Declares the hooks on MiniStack's stores."""
    hooks.require(ssm, "_parameters")
    hooks.require(ecs, "_tasks")
    hooks.require(sfn, "_executions")
    hooks.require(dynamodb, "_tables")


def age(match: str, seconds: float, but: str = "") -> int:
    """Backdates what has a name that contains `match`, and none that contains `but`; returns how many."""

    def meant(names: list[str]) -> bool:
        return any(match in name for name in names) and not (but and any(but in name for name in names))

    found = [thing for names, thing in _things() if meant(names)]
    for thing in found:
        for field in _TIMES:
            if thing.get(field):
                thing[field] = _earlier(thing[field], seconds)
    items = [item for item in _items() if meant(_texts(item))]
    for item in items:
        for value in item.values():
            if "N" in value and int(float(value["N"])) in _TIME:
                value["N"] = str(int(float(value["N"]) - seconds))
    return len(found) + len(items)


def _things() -> Iterator[tuple[list[str], dict]]:
    yield from (([parameter["Name"]], parameter) for _, parameter in ssm._parameters.all_items())
    yield from ((names_of(task), task) for _, task in ecs._tasks.all_items())
    yield from (([execution["name"]], execution) for _, execution in sfn._executions.all_items())


def _items() -> Iterator[dict]:
    for _, table in dynamodb._tables.all_items():
        for below in list(table["items"].values()):
            yield from list(below.values())


def _texts(item: dict) -> list[str]:
    return [value["S"] for value in item.values() if "S" in value]


def _earlier(at: Any, seconds: float) -> Any:
    if not isinstance(at, str):
        return at - seconds
    earlier = datetime.fromisoformat(at) - timedelta(seconds=seconds)
    return earlier.isoformat(timespec="milliseconds").replace("+00:00", "Z")
