"""More of ECS: the revision that a family means, paging, and omitted fields."""

import json
import time

from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs

from engine.hooks import Hooks
from engine.switches import Switches

_FAMILIES_PER_PAGE = 100
_TASKS_PER_CALL = 100

_BORN = "_born"
"""Task key: when RunTask made it, by `time.monotonic`."""


def install(hooks: Hooks, switches: Switches) -> None:
    """Declares the hooks on ECS's responses."""
    hooks.require(ecs, "_task_defs", "_tags")

    @hooks.around(ecs, "_resolve_td_key")
    def resolve(original, ref):
        """A family means its newest *active* revision; MiniStack takes the newest, deregistered or not."""
        key = original(ref)
        if not ref or not key or ":" in ref.rsplit("/", 1)[-1]:
            return key
        family = key.rpartition(":")[0] or key
        active = [
            td["revision"] for td in ecs._task_defs.values() if td["family"] == family and td["status"] == "ACTIVE"
        ]
        return f"{family}:{max(active)}" if active else key

    @hooks.around(ecs, "_list_task_definition_families")
    def list_families(original, data):
        """Returns pages like AWS, so that tests find a caller that reads only the first."""
        status, headers, body = original(data)
        if status != 200:
            return status, headers, body
        families = json.loads(body)["families"]
        size = int(data.get("maxResults") or _FAMILIES_PER_PAGE)
        start = int(data.get("nextToken") or 0)
        answer = {"families": families[start : start + size]}
        if start + size < len(families):
            answer["nextToken"] = str(start + size)
        return ecs.json_response(answer)

    @hooks.around(ecs, "_describe_task_definition")
    def describe_definition(original, data):
        """Returns tags only with `include: [TAGS]`."""
        status, headers, body = original(data)
        if status != 200 or "TAGS" in (data.get("include") or ()):
            return status, headers, body
        answer = json.loads(body)
        answer["tags"] = []
        return ecs.json_response(answer)

    @hooks.around(ecs, "_describe_tasks")
    def describe_tasks(original, data):
        """Like `describe_definition`; at most a hundred tasks per call."""
        if len(data.get("tasks") or ()) > _TASKS_PER_CALL:
            text = f"Tasks cannot have more than {_TASKS_PER_CALL} elements."
            return ecs.error_response_json("InvalidParameterException", text, 400)
        status, headers, body = original(data)
        tagged = "TAGS" in (data.get("include") or ()) and not switches.now.tags_missing
        if status != 200 or (tagged and not switches.now.tasks_late):
            return status, headers, body
        answer = json.loads(body)
        late = [task["taskArn"] for task in answer["tasks"] if is_late(task["taskArn"])]
        answer["tasks"] = [task for task in answer["tasks"] if task["taskArn"] not in late]
        answer["failures"] += [{"arn": arn, "reason": "MISSING"} for arn in late]
        for task in answer["tasks"]:
            task["tags"] = task["tags"] if tagged else []
        return ecs.json_response(answer)

    @hooks.around(ecs, "_list_tasks")
    def list_tasks(original, data):
        status, headers, body = original(data)
        if status != 200 or not switches.now.tasks_late:
            return status, headers, body
        answer = json.loads(body)
        answer["taskArns"] = [arn for arn in answer["taskArns"] if not is_late(arn)]
        return ecs.json_response(answer)

    @hooks.around(ecs, "_run_task")
    def run_task(original, data):
        status, headers, body = original(data)
        for task in json.loads(body)["tasks"] if status == 200 else ():
            ecs._tasks[task["taskArn"]][_BORN] = time.monotonic()
        return status, headers, body

    def is_late(arn: str) -> bool:
        """Whether ECS does not show an existing task yet.

        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html (eventual consistency)
        """
        born = (ecs._tasks.get(arn) or {}).get(_BORN, 0.0)
        return time.monotonic() - born < switches.now.tasks_late

    @hooks.around(ecs, "_sanitize")
    def sanitize(original, record):
        """Removes an empty stop code: a running task has none, and an SDK would keep the empty text."""
        answer = original(record)
        if isinstance(answer, dict) and "taskArn" in answer:
            for name in ("stopCode", "stoppedReason", "startedBy", "platformVersion", "platformFamily"):
                if answer.get(name) == "":
                    del answer[name]
        return answer


def task_of(reference: str) -> dict | None:
    """The task of an id or ARN, in the default account and region."""
    task_id = reference.rsplit("/", 1)[-1]
    for (account, region, arn), task in ecs._tasks.all_items():
        if (account, region) == (get_account_id(), get_region()) and arn.rsplit("/", 1)[-1] == task_id:
            return task
    return None


def names_of(task: dict) -> list[str]:
    """What tests know a task by: the agent's variables in RunTask's overrides, its group and the values of its tags."""
    containers = (task.get("overrides") or {}).get("containerOverrides") or ()
    variables = [variable for container in containers for variable in container.get("environment") or ()]
    names = [variable.get("value") or "" for variable in variables if variable.get("name", "").startswith("AGENT_")]
    return [*names, task.get("group") or "", *tags_of(task).values()]


def tags_of(task: dict) -> dict[str, str]:
    """A task's current tags."""
    return {tag["key"]: tag.get("value", "") for tag in ecs._tags.get(task["taskArn"], [])}
