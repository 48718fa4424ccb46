"""Assembles the engine: declares every hook, checks that MiniStack has all of them, and applies them."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from ministack import app
from ministack.core import lambda_runtime

import docker
from engine import (
    ages,
    callbacks,
    callers,
    cloudformation,
    control,
    ecs,
    eventbridge,
    executions,
    gateway,
    history,
    integrations,
    layers,
    permissions,
    runtask,
    ssm,
    tasks,
)
from engine.doorbell import Doorbell
from engine.faults import CallLog, FaultBook
from engine.grants import Grants
from engine.hooks import Hooks
from engine.settings import Settings
from engine.switches import Switches


@dataclass(frozen=True)
class Assembled:
    """The assembled engine."""

    control_port: int | None
    """Port of the control endpoint; None without one."""
    close: Callable[[float], None]
    """Stops tasks, with a grace in seconds, and functions."""


def assemble(settings: Settings) -> Assembled:
    """Installs everything.

    Raises `Incompatible` if MiniStack lacks a hooked function, `PortTaken` for the control endpoint's port.
    """
    client = docker.DockerClient(
        agent=settings.agent,
        runner_home=settings.runner_home,
        homes=settings.task_homes,
        logs=settings.task_logs,
        path=os.environ["PATH"],
    )
    docker.configure(client)
    doorbell, timekeeper = Doorbell(), executions.Timekeeper()
    faults, calls, grants = FaultBook(), CallLog(), Grants(settings.grants_file)
    switches = Switches(settings.switches)
    ending = tasks.Tasks(doorbell, timekeeper, switches)
    timing = executions.Executions(doorbell)

    hooks = Hooks()
    hooks.require(lambda_runtime, "reset")

    @hooks.around(app, "_docker_socket_present")
    def docker_socket_present(_original):
        """Ignores a Docker daemon of this machine."""
        return False

    ages.install(hooks)
    gateway.install(hooks, faults, calls, grants, settings.enforce_iam)
    permissions.install(hooks)
    callers.install(hooks)
    layers.install(hooks)
    ssm.install(hooks)
    eventbridge.install(hooks)
    cloudformation.install(hooks)
    ecs.install(hooks, switches)
    runtask.install(hooks, faults, switches)
    tasks.install(hooks, ending, faults, switches)
    executions.install(hooks, timing, doorbell, timekeeper, settings.wait_scale)
    history.install(hooks, switches)
    integrations.install(hooks, ending, faults, calls, grants, doorbell, switches, settings.enforce_iam)
    callbacks.install(hooks, callbacks.Callbacks(doorbell))
    hooks.install()

    timekeeper.start()
    control_port = None
    if settings.control_port is not None:
        control_port = control.serve(
            control.Control(settings, faults, calls, ending, timing, switches), settings.control_port
        )

    def close(grace: float) -> None:
        client.close(grace)
        lambda_runtime.reset()

    return Assembled(control_port, close)
