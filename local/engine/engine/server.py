"""The engine process: a clean environment, MiniStack with the hooks, and the ready line."""

import asyncio
import fcntl
import importlib.metadata
import json
import logging
import os
import resource
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import IO

from engine.errors import Incompatible, PortTaken, StartError
from engine.settings import ACCOUNT, REGION, Settings

_MINISTACK = "1.5.33"

_READY_SECONDS = 30
"""Limit of a start in seconds; it takes about two."""

_TASK_GRACE_SECONDS = 2.0
"""Seconds between SIGTERM and SIGKILL for tasks when the engine stops."""

_FUNCTION_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "GATEWAY_PORT", "AWS_ENDPOINT_URL")
"""Variables that stay in the environment after MiniStack has started; every function inherits them."""


def run(settings: Settings) -> int:
    """Runs the engine until SIGTERM and returns the process's exit status.

    A failed start prints to stderr; everything later goes to the engine's log.
    """
    out, err = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w")
    try:
        _check_version()
        _prepare(settings)
        listener = _listen(settings.port)
        _redirect_output(settings.log_file)
        _set_environment(settings, listener.getsockname()[1])
        return asyncio.run(_serve(settings, listener, out))
    except StartError as error:
        print(f"engine: {error}", file=err, flush=True)
        return error.status
    except Exception as error:
        logging.getLogger("engine").exception("the engine failed")
        print(f"engine: {error!r}; see {settings.log_file}", file=err, flush=True)
        return 1


def _check_version() -> None:
    try:
        version = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version != _MINISTACK:
        found = f"ministack {version}" if version else "no ministack"
        raise Incompatible(
            f"{sys.executable} has {found}, but this launcher requires {_MINISTACK}; "
            "install it with: pip install -r local/engine/requirements.txt"
        )


def _prepare(settings: Settings) -> None:
    """Locks the state directory and removes what a killed engine left in it."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    lock = os.open(settings.state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # Held until the process ends.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StartError(
            f"another engine uses {settings.state_dir}; stop it, or use another directory with --state-dir"
        ) from error
    for directory in (settings.task_homes, settings.scratch):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
    settings.task_logs.mkdir(exist_ok=True)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
    except OSError as error:
        raise PortTaken(
            f"cannot use port {port} on 127.0.0.1 ({error.strerror}); "
            f"stop the process that uses it (ss -ltnp 'sport = :{port}') or use another --port, or 0 for a free one"
        ) from error
    return listener


def _redirect_output(log_file: Path) -> None:
    """Reserves stdout for the ready line; all other output goes to the log."""
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _set_environment(settings: Settings, port: int) -> None:
    """Clears the inherited environment, so that functions do not get its credentials and proxies."""
    path = os.environ.get("PATH", os.defpath)
    os.environ.clear()
    os.environ.update(
        {
            "PATH": path,
            "HOME": str(settings.scratch),
            "TMPDIR": str(settings.scratch),
            "LANG": "C.UTF-8",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "LOG_LEVEL": settings.log_level,
            # A failed event is retried after one and after two of these. On AWS it is a minute; MiniStack's second is
            # over before a busy machine answers.
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "3",
            # Listeners of unused services.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
    )


async def _serve(settings: Settings, listener: socket.socket, out: IO[str]) -> int:
    # Imported late: MiniStack reads the environment during its import.
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app

    from engine.assembly import assemble

    assembled = assemble(settings)
    _raise_file_limit()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    port = int(os.environ["GATEWAY_PORT"])
    serving = asyncio.create_task(serve(app.app, config, shutdown_trigger=stop.wait))
    announcing = asyncio.create_task(_announce(port, assembled.control_port, out))
    done, _ = await asyncio.wait({serving, announcing}, return_when=asyncio.FIRST_COMPLETED)
    if serving in done and not stop.is_set():
        raise StartError(f"MiniStack did not start; see {settings.log_file}") from serving.exception()
    await announcing
    await stop.wait()
    logging.getLogger("engine").info("stopping")
    await asyncio.to_thread(assembled.close, _TASK_GRACE_SECONDS)
    return 0


async def _announce(port: int, control_port: int | None, out: IO[str]) -> None:
    """Prints the ready line once MiniStack responds, and removes variables that functions should not see."""
    async with asyncio.timeout(_READY_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await reader.readline()
        writer.close()
    for name in set(os.environ) - set(_FUNCTION_ENVIRONMENT):
        del os.environ[name]
    ready = {
        "event": "ready",
        "port": port,
        "endpoint": f"http://127.0.0.1:{port}",
        "controlPort": control_port,
        # The process to signal is the guardian.
        "pid": os.getppid(),
    }
    print(json.dumps(ready), file=out, flush=True)
    out.close()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
