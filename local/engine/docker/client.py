"""`DockerClient`: starts, finds and lists containers."""

import os
import shutil
import threading
from pathlib import Path

from docker.container import Container
from docker.errors import APIError, ImageNotFound, NotFound

TASK_LABEL = "com.amazonaws.ecs.task-arn"

MISSING_IMAGE = "missing/"
"""An image whose name contains this cannot be pulled; all others can."""

_LINK_FROM_BYTES = 64 * 1024
"""Template files from this size are hard-linked into a task's home: copying a runner for 50 tasks fills the disk."""


class DockerClient:
    """Runs containers as local processes of one agent.

    `agent` is run for every container, whatever its image's entrypoint is. `homes` receives a directory per
    container, filled from `runner_home`; `logs` receives `<task id>.log`.
    """

    def __init__(self, *, agent: Path, runner_home: Path | None, homes: Path, logs: Path, path: str) -> None:
        self._agent = agent
        self._runner_home = runner_home
        self._homes = homes
        self._logs = logs
        self._path = path
        self._lock = threading.Lock()
        self._containers: dict[str, Container] = {}
        self._closed = False
        self.containers = _Containers(self)
        self.images = _Images()

    def run(self, image: str, *, environment: dict[str, str], labels: dict[str, str], name: str) -> Container:
        """Starts the agent as container `name` and returns at once."""
        if TASK_LABEL not in labels:
            raise APIError(f"{image}: only containers of ECS tasks can run here")
        task_id = labels[TASK_LABEL].rsplit("/", 1)[-1]
        container_name = labels.get("com.amazonaws.ecs.container-name", "container")
        root = self._homes / task_id / container_name
        home = root / "home"
        (root / "tmp").mkdir(parents=True)
        if self._runner_home is None:
            home.mkdir()
        else:
            shutil.copytree(self._runner_home, home, symlinks=True, copy_function=_copy_or_link)
        container = Container(
            name=name,
            image=image,
            labels=labels,
            argv=[str(self._agent)],
            environment=self._environment(environment, home, root / "tmp"),
            directory=home,
            log_file=self._logs / f"{task_id}.log",
            forget=self._forget,
        )
        with self._lock:
            if self._closed:
                raise APIError("the engine is shutting down")
            container.start()
            self._containers[container.id] = container
        return container

    def get(self, container_id: str) -> Container:
        """The container of that id, running or exited; `NotFound` once it was removed."""
        with self._lock:
            container = self._containers.get(container_id)
        if container is None:
            raise NotFound(f"no such container: {container_id}")
        return container

    def list(self) -> list[Container]:
        """Every container that is not removed."""
        with self._lock:
            return list(self._containers.values())

    def close(self, grace: float) -> None:
        """Stops every container at once: SIGTERM, and SIGKILL after `grace` seconds. No container starts afterwards."""
        with self._lock:
            self._closed = True
            containers = list(self._containers.values())
        stops = [threading.Thread(target=container.stop, kwargs={"timeout": grace}) for container in containers]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    def _forget(self, container: Container) -> None:
        with self._lock:
            self._containers.pop(container.id, None)
        root = container.directory.parent
        shutil.rmtree(root, ignore_errors=True)
        try:
            root.parent.rmdir()
        except OSError:
            # The task's other containers still exist.
            return

    def _environment(self, environment: dict[str, str], home: Path, tmp: Path) -> dict[str, str]:
        # The engine addresses itself as a container's host, which is this machine.
        own = {key: value.replace("host.docker.internal", "127.0.0.1") for key, value in environment.items()}
        return {
            "PATH": self._path,
            "HOME": str(home),
            "TMPDIR": str(tmp),
            **own,
            "AGENT_RUNNER_HOME": str(home),
        }


class _Containers:
    """`client.containers` of the SDK."""

    def __init__(self, client: DockerClient) -> None:
        self._client = client

    def run(self, image: str, **options) -> Container:
        """`containers.run(detach=True)`. Ports, mounts, command and network have no effect."""
        return self._client.run(
            image,
            environment=options.get("environment") or {},
            labels=options.get("labels") or {},
            name=options.get("name") or "",
        )

    def get(self, container_id: str) -> Container:
        """`containers.get`."""
        return self._client.get(container_id)

    def list(self, *, filters: dict | None = None, **_options) -> list[Container]:
        """`containers.list`, by labels: `{"label": ["key", "key=value"]}`."""
        wanted = (filters or {}).get("label") or []
        wanted = [wanted] if isinstance(wanted, str) else wanted
        return [container for container in self._client.list() if all(container.has_label(label) for label in wanted)]


class _Images:
    """`client.images`: every image exists, except those named as missing."""

    def get(self, name: str) -> "_Image":
        """`images.get`."""
        return self.pull(name)

    def pull(self, name: str, **_options) -> "_Image":
        """`images.pull`; raises `ImageNotFound` for a missing image."""
        if MISSING_IMAGE in name:
            raise ImageNotFound(
                f"pull image manifest has been retried 1 time(s): failed to resolve ref {name}: {name}: not found"
            )
        return _Image()


class _Image:
    """A pulled image; its name and contents are ignored."""

    def tag(self, _repository: str, **_options) -> bool:
        """`image.tag`."""
        return True


def _copy_or_link(source: str, target: str) -> str:
    if os.stat(source).st_size >= _LINK_FROM_BYTES:
        try:
            os.link(source, target)
            return target
        except OSError:
            # On another file system, copy it.
            pass
    return shutil.copy2(source, target)
