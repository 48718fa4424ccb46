"""The life of an ECS task: start, stop, end, and its events.

MiniStack polls each running container and stops it at once with exit code 0. Here a thread waits for a container's
end, a stop is SIGTERM and then SIGKILL as on Fargate, and the exit code is the process's.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
"""

import contextvars
import json
import logging
import signal
import threading

from ministack.core.concurrency import resource_lock, spawn_background
from ministack.core.responses import request_scope
from ministack.services import ecs, eventbridge

from docker.container import Container
from docker.errors import NotFound
from engine.doorbell import Doorbell
from engine.executions import Timekeeper
from engine.faults import NEVER_STARTS, FaultBook
from engine.hooks import Hooks
from engine.switches import Switches

logger = logging.getLogger("engine.tasks")

USER_INITIATED = "UserInitiated"
SPOT_INTERRUPTION = "SpotInterruption"
SPOT_REASON = "Your Spot Task was interrupted."

_DEFAULT_STOP_SECONDS = 30
"""Fargate's seconds between SIGTERM and SIGKILL for a container definition without `stopTimeout`."""

_ENDING = "_ending_thread"
"""Task key: the thread that may bring a task to STOPPED although its desired status says so already."""


class Tasks:
    """Stops tasks for StopTask, Step Functions, Spot and tests."""

    def __init__(self, doorbell: Doorbell, timekeeper: Timekeeper, switches: Switches) -> None:
        self._doorbell = doorbell
        self._timekeeper = timekeeper
        self._switches = switches
        self._held: dict[str, list[dict]] = {}

    def end(self, task: dict, stop_code: str, reason: str, grace: float | None = None) -> None:
        """Stops a task without waiting; does nothing if it is already stopping.

        `grace` overrides the container's `stopTimeout`, in seconds.
        """
        arn = task["taskArn"]
        with resource_lock("ecs-task", arn):
            if not ecs._task_is_active(arn, task):
                return
            ecs._bump_task_version(task)
            task["desiredStatus"] = "STOPPED"
            task["stoppingAt"] = ecs._iso()
            task["stopCode"] = stop_code
            task["stoppedReason"] = reason
            containers = _containers(task)
        # An event reports the beginning of the shutdown, with an unchanged lastStatus.
        self._emit(task)
        graces = [_stop_seconds(task, container) if grace is None else grace for container in containers]
        spawn_background(self._finish, task, containers, graces, thread_name=f"stop-{arn[-8:]}")

    def send_signal(self, task: dict, number: signal.Signals, reason: str | None = None) -> None:
        """Sends a signal to a task's processes. `reason` is what the containers give for their end.

        Raises `LookupError` for a task that runs no process.
        """
        with resource_lock("ecs-task", task["taskArn"]):
            containers = _containers(task)
            for record in task["containers"] if reason else ():
                record["reason"] = reason
        if not containers:
            raise LookupError("the task has no running process")
        for container in containers:
            container.kill(number)

    def _finish(self, task: dict, containers: list[Container], graces: list[float]) -> None:
        for container, grace in zip(containers, graces, strict=True):
            container.stop(timeout=grace)
        with resource_lock("ecs-task", task["taskArn"]):
            _record_exits(task, containers)
            task[_ENDING] = threading.get_ident()
        ecs._mark_task_stopped(task["taskArn"], task, task["stoppedReason"], task["stopCode"])
        ecs._cleanup_task_resources(task, ecs._get_docker())

    def changed(self, task: dict) -> None:
        """Publishes that a task has changed its status."""
        self._emit(task)
        self._doorbell.ring(task["taskArn"])

    def _emit(self, task: dict) -> None:
        """Publishes a task's current state, in the order and number that the switches set."""
        entry, arn = _entry(task), task["taskArn"]
        entries = [entry]
        if task["lastStatus"] == "STOPPED":
            entries += reversed(self._held.pop(arn, []))
        elif self._switches.now.events_out_of_order:
            self._held.setdefault(arn, []).append(entry)
            return
        for one in entries * (2 if self._switches.now.events_twice else 1):
            late = self._switches.now.events_late
            if late:
                context = contextvars.copy_context()
                self._timekeeper.call_in(late, lambda one=one, context=context: context.run(_publish, one))
            else:
                _publish(one)


def _entry(task: dict) -> dict:
    """`ECS Task State Change` for a task as it is now.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
    """
    with resource_lock("ecs-task", task["taskArn"]):
        detail = ecs._sanitize(task)
    # Events have no tags.
    for name in ("tags", "healthStatus", "platformFamily"):
        detail.pop(name, None)
    detail.setdefault("attributes", [{"name": "ecs.cpu-architecture", "value": "x86_64"}])
    detail.setdefault("ephemeralStorage", {"sizeInGiB": 20})
    for container in detail["containers"]:
        for name in ("healthStatus", "memory", "networkBindings"):
            container.pop(name, None)
        if "exitCode" in container:
            container.setdefault("imageDigest", f"sha256:{'0' * 64}")
    detail["updatedAt"] = ecs._iso()
    return {
        "Source": "aws.ecs",
        "DetailType": "ECS Task State Change",
        "Detail": json.dumps(detail),
        "Resources": [task["taskArn"]],
    }


def _publish(entry: dict) -> None:
    try:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        # Events are best effort on AWS too: a failed publication must not fail the task.
        logger.exception("cannot publish the state of %s", entry["Resources"])


def install(hooks: Hooks, tasks: Tasks, faults: FaultBook, switches: Switches) -> None:
    """Declares the hooks on a task's life."""
    hooks.require(eventbridge, "_put_events")
    hooks.require(ecs, "_bump_task_version", "_cleanup_task_resources", "_iso", "_task_defs", "_tasks", "_get_docker")
    hooks.require(ecs, "_ImagePullError", "_maybe_mark_stopped", "_resolve_cluster_name", "_resolve_task")

    @hooks.around(ecs, "_task_is_active")
    def task_is_active(original, task_arn, task):
        """A stopping task is not active, but the thread that stops it may still update it."""
        if task.get(_ENDING) == threading.get_ident():
            return ecs._tasks.get(task_arn) is task and task.get("lastStatus") != "STOPPED"
        return original(task_arn, task)

    @hooks.around(ecs, "_mark_task_running")
    def mark_running(original, task_arn, task):
        running = original(task_arn, task)
        if running:
            tasks.changed(task)
        return running

    @hooks.around(ecs, "_mark_task_stopped")
    def mark_stopped(original, task_arn, task, reason, stop_code, exit_code=None):
        stopped = original(task_arn, task, reason, stop_code, exit_code)
        if stopped:
            if stop_code == "TaskFailedToStart":
                # As recorded: only the task has the reason, and an unfinished pull is not reported.
                task["pullStartedAt"] = task.get("pullStoppedAt") and task["pullStartedAt"]
            tasks.changed(task)
        return stopped

    @hooks.around(ecs, "_stop_task")
    def stop_task(_original, data):
        cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
        if cluster is None or cluster not in ecs._clusters:
            return ecs.error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
        task = ecs._resolve_task(data.get("task", ""), cluster)
        gone = switches.now.stopped_tasks_gone and task is not None and task["lastStatus"] == "STOPPED"
        if task is None or gone:
            return ecs.error_response_json(switches.now.gone_task_as, "The referenced task was not found.", 400)
        tasks.end(task, USER_INITIATED, data.get("reason") or "Task stopped by user")
        with resource_lock("ecs-task", task["taskArn"]):
            return ecs.json_response({"task": ecs._sanitize(task)})

    @hooks.around(ecs, "_watch_task_lifecycle")
    def watch(_original, task, docker_client, account_id, region):
        """Waits for the containers' ends instead of polling each ten times a second."""
        containers = _containers(task)

        def ended() -> None:
            try:
                with request_scope(account_id, region):
                    ecs._maybe_mark_stopped(task, docker_client)
            except Exception:
                logger.exception("cannot handle the end of %s", task["taskArn"])
            if task["lastStatus"] == "STOPPED":
                # The end of an essential container stops the task's other containers.
                for container in containers:
                    container.remove()

        for container in containers:
            container.on_exit(ended)

    @hooks.around(ecs, "_run_docker_container")
    def run_container(original, docker_client, cdef, run_kwargs, **options):
        """Pulls for every task, like Fargate, with this machine's architecture."""
        run_kwargs.pop("platform", None)
        options["refresh_image"], options["allow_cached"] = True, False
        return original(docker_client, cdef, run_kwargs, **options)

    @hooks.around(ecs, "_run_task_worker")
    def run_worker(original, task, td, overrides, docker_client, account_id, region):
        fault = faults.take("ecs", "RunTask", {NEVER_STARTS}, json.dumps([task["taskDefinitionArn"], overrides]))
        if fault is None:
            return original(task, td, overrides, docker_client, account_id, region)
        with request_scope(account_id, region):
            ecs._mark_task_stopped(task["taskArn"], task, fault.stopped_reason, fault.stop_code)


def _containers(task: dict) -> list[Container]:
    client = ecs._get_docker()
    found = []
    for container_id in list(task.get("_docker_ids") or []):
        try:
            found.append(client.containers.get(container_id))
        except NotFound:
            # It ended and was removed between the two lines above.
            continue
    return found


def _record_exits(task: dict, containers: list[Container]) -> None:
    by_name = {container.labels["com.amazonaws.ecs.container-name"]: container for container in containers}
    for record in task["containers"]:
        container = by_name.get(record["name"])
        if container:
            record["exitCode"] = container.wait()["StatusCode"]


def _stop_seconds(task: dict, container: Container) -> float:
    definition = ecs._task_defs.get(task["taskDefinitionArn"].rsplit("/", 1)[-1]) or {}
    name = container.labels["com.amazonaws.ecs.container-name"]
    for cdef in definition.get("containerDefinitions", []):
        if cdef["name"] == name and cdef.get("stopTimeout") is not None:
            return float(cdef["stopTimeout"])
    return _DEFAULT_STOP_SECONDS
