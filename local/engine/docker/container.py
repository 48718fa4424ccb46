"""One container: a process, its session, its log and its exit."""

import contextlib
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_FOLLOW_SECONDS = 1.0
"""Poll interval of a followed log, in seconds; a task's end is noticed at once."""


class Container:
    """A process that stands for a container, with the part of the SDK's interface that MiniStack uses.

    The process leads its own session. When it ends, the rest of the session is killed, like a container's processes
    when the first one ends.
    """

    def __init__(
        self,
        *,
        name: str,
        image: str,
        labels: dict[str, str],
        argv: list[str],
        environment: dict[str, str],
        directory: Path,
        log_file: Path,
        forget: Callable[["Container"], None],
    ) -> None:
        self.id = secrets.token_hex(32)
        self.name = name
        self.image = image
        self.labels = labels
        self.directory = directory
        self.log_file = log_file
        self.attrs: dict = {"NetworkSettings": {"Networks": {}}, "State": {}}
        self._argv = argv
        self._environment = environment
        self._forget = forget
        self._process: subprocess.Popen | None = None
        self._log_start = 0
        self._exit_code: int | None = None
        self._exited = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._callbacks_lock = threading.Lock()

    def start(self) -> None:
        """Starts the process, and a thread that waits for its end: idle processes use no CPU time."""
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self._argv,
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=self._await_exit, daemon=True, name=f"container-{self.id[:12]}").start()

    @property
    def status(self) -> str:
        """`running` or `exited`."""
        return "exited" if self._exited.is_set() else "running"

    @property
    def pid(self) -> int | None:
        """Process id, which is also the session's; None before `start`."""
        return self._process.pid if self._process else None

    def reload(self) -> None:
        """Does nothing: `status` is always current."""

    def has_label(self, wanted: str) -> bool:
        """Whether the container has the label `key` or `key=value`."""
        key, separator, value = wanted.partition("=")
        return key in self.labels and (not separator or self.labels[key] == value)

    def wait(self, timeout: float | None = None) -> dict[str, int]:
        """Waits for the end; returns `{"StatusCode": code}`, with 128 + signal after a signal.

        Raises `TimeoutError` after `timeout` seconds.
        """
        if not self._exited.wait(timeout) or self._exit_code is None:
            raise TimeoutError(f"container {self.id[:12]} still runs")
        return {"StatusCode": self._exit_code}

    def stop(self, timeout: float = 10) -> None:
        """Sends SIGTERM to the process, and SIGKILL after `timeout` seconds."""
        if self._exited.is_set():
            return
        self.kill(signal.SIGTERM)
        if not self._exited.wait(timeout):
            self.kill(signal.SIGKILL)
            self._exited.wait()

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """Sends a signal to the process, unless it has ended."""
        if self._process:
            self._process.send_signal(signal_number)

    def remove(self, **_options) -> None:
        """Deletes a stopped container and its home, but not its log."""
        self.stop(timeout=0)
        self._forget(self)

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Calls `callback` on the container's thread when it ends, or now if it has ended."""
        with self._callbacks_lock:
            if not self._exited.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def logs(self, *, stream: bool = False, follow: bool = False, tail: int | None = None, **_options):
        """The output so far as bytes, its last `tail` lines, or with `stream` whole lines until the container ends."""
        if stream:
            return self._stream(follow)
        output = b"".join(self._stream(follow=False))
        return output if tail is None else b"".join(output.splitlines(keepends=True)[-tail:])

    def _stream(self, follow: bool) -> Iterator[bytes]:
        pending = b""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            while True:
                ended = self._exited.is_set() or not follow
                pending += log.read()
                whole, newline, pending = pending.rpartition(b"\n")
                if newline:
                    yield whole + newline
                if ended:
                    break
                self._exited.wait(_FOLLOW_SECONDS)
        if pending:
            yield pending

    def _await_exit(self) -> None:
        code = self._process.wait()
        _kill_session(self._process.pid)
        self._exit_code = 128 - code if code < 0 else code
        with self._callbacks_lock:
            self._exited.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


def _kill_session(session: int) -> None:
    """Kills the remaining processes of a session whose leader has ended."""
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            # Fields after the command's name, which may itself hold spaces and brackets: state, ppid, pgrp, session.
            fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                os.kill(int(entry.name), signal.SIGKILL)
