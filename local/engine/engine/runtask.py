"""RunTask as on Fargate: rejected requests, and a task's overridden fields.

MiniStack accepts requests that AWS rejects (no network configuration, an unknown cluster, an inactive revision), so a
broken request would be found only after a deployment.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""

import json
import re
import threading

from ministack.core.concurrency import resource_lock
from ministack.services import ecs

from engine.faults import CAPACITY, FAILURES, Fault, FaultBook
from engine.hooks import Hooks
from engine.switches import Switches

CAPACITY_MESSAGE = "Capacity is unavailable at this time. Please try again later or in a different availability zone"

_CONFLICT = "The provided clientToken is already in use with a different RunTask request."
_OVERRIDES_LIMIT = 8192
_STARTED_BY = re.compile(r"[A-Za-z0-9_/-]{0,128}")
_TAG_KEY = re.compile(r"[\w\s.:/=+\-@]{1,128}")
_TAG_VALUE = re.compile(r"[\w\s.:/=+\-@]{0,256}")
_TAG_LIMIT = 50
_CLIENT_TOKEN = re.compile(r"[!-~]{1,64}")
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html"""

_GIB = 1024
_FARGATE_MEMORY = {
    256: {512, 1 * _GIB, 2 * _GIB},
    512: set(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1024: set(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2048: set(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4096: set(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8192: set(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16384: set(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
    32768: {60 * _GIB, 120 * _GIB, 244 * _GIB},
}
"""MiB that Fargate allows for each number of CPU units.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
"""


class _Refused(Exception):
    """RunTask returns this code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def install(hooks: Hooks, faults: FaultBook, switches: Switches) -> None:
    """Declares the hooks on RunTask."""
    hooks.require(ecs, "_clusters", "_tags", "_task_defs", "_resolve_cluster_name", "_resolve_td_key", "_launch_choice")
    hooks.require(ecs, "_sanitize", "_tasks")
    lock, requests = threading.Lock(), {}

    @hooks.around(ecs, "_run_task")
    def run_task(original, data):
        """Starts the tasks of a client token once per cluster, however often they are requested."""
        token = data.get("clientToken")
        if token is None:
            return start(original, data)
        if not _CLIENT_TOKEN.fullmatch(token):
            text = "The client token must have 1 to 64 ASCII characters in the range of 33-126."
            return ecs.error_response_json("InvalidParameterException", text, 400)
        key = (ecs._resolve_cluster_name(data.get("cluster", "default")), token)
        request = {name: value for name, value in data.items() if name != "clientToken"}
        with lock:
            known, arns = requests.get(key, (None, []))
            if known is None:
                answer = start(original, data)
                started = json.loads(answer[2])["tasks"] if answer[0] == 200 else []
                if started:
                    requests[key] = (request, [task["taskArn"] for task in started])
                return answer
        if known == request:
            tasks = [ecs._sanitize(ecs._tasks[arn]) for arn in arns if arn in ecs._tasks]
            return ecs.json_response({"tasks": tasks, "failures": []})
        status, headers, body = ecs.error_response_json("ConflictException", _CONFLICT, 400)
        return status, headers, json.dumps({**json.loads(body), "resourceIds": arns}).encode()

    def start(original, data):
        fault = faults.take("ecs", "RunTask", {FAILURES, CAPACITY}, json.dumps(data))
        if fault:
            return _answer(fault)
        try:
            _check(data)
            if switches.now.duplicate_tags_refused:
                _check_propagated(data)
        except _Refused as refusal:
            return ecs.error_response_json(refusal.code, refusal.message, 400)
        status, headers, body = original(_complete(data))
        if status == 200:
            answer = json.loads(body)
            for task in answer["tasks"]:
                _show_overrides(task)
            return ecs.json_response(answer)
        return status, headers, body

    @hooks.around(ecs, "_tag_resource")
    def tag_resource(original, data):
        """Holds tags to ECS's rules, like those of RunTask."""
        arn = data.get("resourceArn", "")
        try:
            _check_tags([*ecs._tags.get(arn, []), *(data.get("tags") or ())], data.get("tags") or [])
        except _Refused as refusal:
            return ecs.error_response_json(refusal.code, refusal.message, 400)
        return original(data)

    @hooks.around(ecs, "_run_task_worker")
    def run_worker(original, task, *rest):
        """Corrects the task's record before any event about it."""
        with resource_lock("ecs-task", task["taskArn"]):
            _show_overrides(task)
        return original(task, *rest)


def _answer(fault: Fault) -> tuple:
    if fault.effect == CAPACITY:
        # The API does not declare this error, so Step Functions reports the service's general exception.
        return ecs.error_response_json("AmazonECSException", CAPACITY_MESSAGE, 400)
    return ecs.json_response({"tasks": [], "failures": [{"reason": fault.reason}]})


def _definition(data: dict) -> dict:
    return ecs._task_defs.get(ecs._resolve_td_key(data.get("taskDefinition", ""))) or {}


def _complete(data: dict) -> dict:
    """Adds what AWS adds to the request: the group, and the propagated and managed tags."""
    definition = _definition(data)
    tags = {tag["key"]: tag for tag in data.get("tags") or ()}
    if data.get("propagateTags") == "TASK_DEFINITION":
        tags = {tag["key"]: tag for tag in ecs._tags.get(definition["taskDefinitionArn"], [])} | tags
    if data.get("enableECSManagedTags"):
        cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
        tags["aws:ecs:clusterName"] = {"key": "aws:ecs:clusterName", "value": cluster}
    return {**data, "group": data.get("group") or f"family:{definition['family']}", "tags": list(tags.values())}


def _show_overrides(task: dict) -> None:
    """Applies RunTask's overrides of the task's size."""
    overrides = task.get("overrides") or {}
    for name in ("cpu", "memory", "ephemeralStorage"):
        if overrides.get(name):
            task[name] = overrides[name]
    if task.get("launchType") == "FARGATE":
        # A Fargate task has no container instance.
        task.pop("containerInstanceArn", None)


def _check(data: dict) -> None:
    cluster = ecs._clusters.get(ecs._resolve_cluster_name(data.get("cluster", "default")))
    if not cluster or cluster.get("status") != "ACTIVE":
        raise _Refused("ClusterNotFoundException", "Cluster not found.")
    definition = _definition(data)
    if not definition:
        raise _Refused("ClientException", "TaskDefinition not found.")
    if definition["status"] != "ACTIVE":
        raise _Refused("ClientException", "TaskDefinition is inactive")
    _check_network(data, definition)
    _check_capacity(data, cluster, definition)
    _check_overrides(data.get("overrides") or {}, definition)
    _check_marks(data)


def _check_network(data: dict, definition: dict) -> None:
    if definition.get("networkMode") != "awsvpc":
        if data.get("networkConfiguration"):
            raise _Refused(
                "InvalidParameterException",
                "Network Configuration is not valid for the given networkMode of this task definition.",
            )
        return
    network = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if not network:
        raise _Refused(
            "InvalidParameterException",
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        )
    if not network.get("subnets"):
        raise _Refused("InvalidParameterException", "subnets can not be empty.")


def _check_capacity(data: dict, cluster: dict, definition: dict) -> None:
    launch_type, strategy, refusal = ecs._launch_choice(data, cluster)
    if refusal:
        # MiniStack returns the same error itself.
        return
    providers = {item.get("capacityProvider") for item in strategy or ()}
    if unknown := providers - set(cluster.get("capacityProviders") or ()):
        raise _Refused(
            "InvalidParameterException",
            "The specified capacity provider strategy cannot contain a capacity provider that is not associated "
            f"with the cluster: {', '.join(sorted(map(str, unknown)))}. "
            "Associate the capacity provider with the cluster and try again.",
        )
    fargate = launch_type == "FARGATE" or providers & {"FARGATE", "FARGATE_SPOT"}
    if not fargate:
        return
    if "FARGATE" not in (definition.get("requiresCompatibilities") or definition.get("compatibilities") or ()):
        raise _Refused("InvalidParameterException", "Task definition does not support launch_type FARGATE.")
    overrides = data.get("overrides") or {}
    cpu = _units(overrides.get("cpu") or definition.get("cpu"), "vCPU")
    memory = _units(overrides.get("memory") or definition.get("memory"), "GB")
    if memory not in _FARGATE_MEMORY.get(cpu, ()):
        raise _Refused("ClientException", "No Fargate configuration exists for given values.")
    storage = (overrides.get("ephemeralStorage") or {}).get("sizeInGiB")
    if storage is not None and not 21 <= storage <= 200:
        raise _Refused("InvalidParameterException", "EphemeralStorage size must be between 21 and 200 GiB.")


def _units(value: str | None, unit: str) -> int | None:
    """`1024`, `1 vCPU` or `2 GB` as a number of CPU units or MiB."""
    text = str(value or "").strip()
    scale = 1
    if text.lower().endswith(unit.lower()):
        text, scale = text[: -len(unit)].strip(), _GIB
    try:
        return int(float(text) * scale)
    except ValueError:
        return None


def _check_overrides(overrides: dict, definition: dict) -> None:
    names = {container["name"] for container in definition["containerDefinitions"]}
    for override in overrides.get("containerOverrides") or ():
        if override.get("name") not in names:
            raise _Refused(
                "InvalidParameterException",
                f"Override for container named {override.get('name')} is not a container in the TaskDefinition.",
            )
    if len(json.dumps(overrides, separators=(",", ":"))) > _OVERRIDES_LIMIT:
        raise _Refused("InvalidParameterException", f"Container Overrides length must be at most {_OVERRIDES_LIMIT}")


def _check_marks(data: dict) -> None:
    if not _STARTED_BY.fullmatch(data.get("startedBy") or "") and data["startedBy"] != "AWS Step Functions":
        raise _Refused("InvalidParameterException", "startedBy contains invalid characters or is too long.")
    tags = data.get("tags") or []
    _check_doubled([tag.get("key") or "" for tag in tags])
    _check_tags(tags, tags)


def _check_tags(all_tags: list[dict], new: list[dict]) -> None:
    if len({tag.get("key") for tag in all_tags}) > _TAG_LIMIT:
        raise _Refused("InvalidParameterException", f"Tags can not have more than {_TAG_LIMIT} elements.")
    for tag in new:
        if not _TAG_KEY.fullmatch(tag.get("key") or "") or tag["key"].lower().startswith("aws:"):
            raise _Refused("InvalidParameterException", f"Tag key {tag.get('key')!r} is not allowed.")
        if not _TAG_VALUE.fullmatch(tag.get("value") or ""):
            raise _Refused("InvalidParameterException", f"Value of tag {tag['key']!r} is not allowed.")


def _check_propagated(data: dict) -> None:
    if data.get("propagateTags") == "TASK_DEFINITION":
        propagated = ecs._tags.get(_definition(data)["taskDefinitionArn"], [])
        _check_doubled([tag["key"] for tag in (*propagated, *(data.get("tags") or ()))])


def _check_doubled(keys: list[str]) -> None:
    if len({key.lower() for key in keys}) < len(keys):
        raise _Refused("InvalidParameterException", "Duplicate tag keys found.")
