"""A parent process that lets nothing survive the engine.

Functions and tasks are processes of the engine, some with sessions of their own. The guardian adopts whatever loses
its parent (PR_SET_CHILD_SUBREAPER), so once the engine has ended, however it ended, all that is left of it are the
guardian's own children, and those it kills. It ends the engine when told to or when its own parent is gone.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

_TICK_SECONDS = 1.0
"""How often the guardian looks whether its parent still lives. The kernel's own notice (PR_SET_PDEATHSIG) is sent when
the parent's *thread* ends that started us, which is any time in a program with a thread pool."""

_STOP_SECONDS = 10.0
"""What the engine has for an orderly end."""


def guard(engine: Callable[[], int]) -> int:
    """Runs `engine` in a child process and returns its exit status when it and all it started are gone."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    parent = os.getppid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS | {signal.SIGCHLD})
    guardian = os.getpid()
    child = os.fork()
    if child == 0:
        _become_engine(engine, guardian)
    status = _watch(child, parent)
    _kill_the_rest()
    return status


def _become_engine(engine: Callable[[], int], guardian: int) -> None:
    status = 1
    try:
        # Ctrl-C in a terminal is for the guardian, which then ends the engine in order.
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS | {signal.SIGCHLD})
        if os.getppid() == guardian:
            status = engine()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Interpreter shutdown would wait for threads that wait for functions.
        os._exit(status)


def _watch(child: int, parent: int) -> int:
    told_at: float | None = None
    while True:
        received = signal.sigtimedwait(_STOP_SIGNALS | {signal.SIGCHLD}, _TICK_SECONDS)
        status = _reap(child)
        if status is not None:
            return status
        stopping = (received and received.si_signo in _STOP_SIGNALS) or os.getppid() != parent
        if stopping and told_at is None:
            told_at = time.monotonic()
            os.kill(child, signal.SIGTERM)
        if told_at is not None and time.monotonic() - told_at > _STOP_SECONDS:
            os.kill(child, signal.SIGKILL)


def _reap(child: int) -> int | None:
    """Collects ended children; the exit status of `child` when it was among them."""
    ended = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                ended = os.waitstatus_to_exitcode(status)
    return ended


def _kill_the_rest() -> None:
    """Kills all children, and those that they leave to us, until there are none."""
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
