"""The control endpoint, with which tests set faults and read the call log. README.md documents its API."""

import json
import logging
import signal
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ministack.core.responses import request_scope
from ministack.services import ecs

from engine.ages import age
from engine.ecs import tags_of, task_of
from engine.errors import PortTaken
from engine.executions import Executions
from engine.faults import CallLog, Fault, FaultBook
from engine.settings import ACCOUNT, REGION, Settings
from engine.switches import Switches
from engine.tasks import SPOT_INTERRUPTION, SPOT_REASON, Tasks

logger = logging.getLogger("engine.control")

_BODY_LIMIT = 64 * 1024


class _Problem(Exception):
    """An error response with this status and message."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The operations, one method each."""

    def __init__(
        self,
        settings: Settings,
        faults: FaultBook,
        calls: CallLog,
        tasks: Tasks,
        executions: Executions,
        switches: Switches,
    ) -> None:
        self._settings = settings
        self._faults = faults
        self._calls = calls
        self._tasks = tasks
        self._executions = executions
        self._switches = switches

    def handle(self, method: str, path: list[str], query: dict[str, str], body: Any) -> Any:
        """Handles a request and returns a JSON value; raises `_Problem` for an invalid one."""
        match method, path:
            case "GET", ["faults"]:
                return {"faults": self._faults.all()}
            case "POST", ["faults"]:
                return self._order(body)
            case "DELETE", ["faults"]:
                self._faults.clear(query.get("match", ""))
                return {}
            case "GET", ["switches"]:
                return self._switches.all()
            case "POST", ["switches"]:
                return self._turn(body)
            case "DELETE", ["switches"]:
                self._switches.reset()
                return {}
            case "GET", ["calls"]:
                return self._find_calls(query)
            case "DELETE", ["calls"]:
                self._calls.clear()
                return {}
            case "POST", ["ages"]:
                return _age(body)
            case "POST", ["executions", name, "time-out"]:
                return {"timedOut": self._executions.time_out(name)}
            case "GET", ["tasks"]:
                return {"tasks": [self._describe(task) for task in _all_tasks()]}
            case "POST", ["tasks", task_id, "spot-interruption"]:
                self._tasks.end(_task(task_id), SPOT_INTERRUPTION, SPOT_REASON, _number(body, "grace"))
                return {}
            case "POST", ["tasks", task_id, "kill"]:
                return self._kill(_task(task_id), body)
            case "POST", ["tasks", task_id, "pause"]:
                return self._signal(_task(task_id), signal.SIGSTOP)
            case "POST", ["tasks", task_id, "resume"]:
                return self._signal(_task(task_id), signal.SIGCONT)
        raise _Problem(HTTPStatus.NOT_FOUND, f"unknown request {method} /{'/'.join(path)}; see local/engine/README.md")

    def _order(self, body: Any) -> dict:
        try:
            self._faults.add(Fault.parse(body))
        except (ValueError, TypeError) as error:
            raise _Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        return {}

    def _turn(self, body: Any) -> dict:
        try:
            self._switches.turn(body)
        except ValueError as error:
            raise _Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
        return self._switches.all()

    def _find_calls(self, query: dict[str, str]) -> dict:
        known = {"service", "operation", "caller", "resource", "error", "since"}
        if unknown := set(query) - known:
            raise _Problem(HTTPStatus.BAD_REQUEST, f"unknown parameters: {', '.join(sorted(unknown))}")
        since = query.pop("since", "0")
        if not since.isdigit():
            raise _Problem(HTTPStatus.BAD_REQUEST, "`since` must be the number of a call")
        return {"calls": self._calls.find(since=int(since), **query)}

    def _kill(self, task: dict, body: Any) -> dict:
        return self._signal(task, signal.SIGKILL, body.get("reason") if isinstance(body, dict) else None)

    def _signal(self, task: dict, number: signal.Signals, reason: str | None = None) -> dict:
        try:
            self._tasks.send_signal(task, number, reason)
        except LookupError as error:
            raise _Problem(HTTPStatus.CONFLICT, str(error)) from error
        return {}

    def _describe(self, task: dict) -> dict:
        task_id = task["taskArn"].rsplit("/", 1)[-1]
        return {
            "id": task_id,
            "arn": task["taskArn"],
            "lastStatus": task["lastStatus"],
            "desiredStatus": task["desiredStatus"],
            "stopCode": task.get("stopCode") or None,
            "group": task.get("group") or None,
            "tags": tags_of(task),
            "log": str(self._settings.task_logs / f"{task_id}.log"),
        }


def serve(control: Control, port: int) -> int:
    """Serves the endpoint on 127.0.0.1 in its own thread, and returns its port.

    Raises `PortTaken`.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            split = urlsplit(self.path)
            path = [part for part in split.path.split("/") if part]
            try:
                with request_scope(ACCOUNT, REGION):
                    answer = control.handle(self.command, path, dict(parse_qsl(split.query)), self._body())
                status = HTTPStatus.OK
            except _Problem as problem:
                answer, status = {"error": str(problem)}, problem.status
            except Exception as error:
                logger.exception("control request failed: %s %s", self.command, self.path)
                answer, status = {"error": str(error)}, HTTPStatus.INTERNAL_SERVER_ERROR
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def _body(self) -> Any:
            length = int(self.headers.get("Content-Length") or 0)
            if length > _BODY_LIMIT:
                self.close_connection = True
                raise _Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body exceeds {_BODY_LIMIT} bytes")
            raw = self.rfile.read(length)
            try:
                return json.loads(raw) if raw else None
            except ValueError as error:
                raise _Problem(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, format: str, *arguments: Any) -> None:
            logger.debug(format, *arguments)

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise PortTaken(
            f"the control endpoint cannot use port {port} on 127.0.0.1 ({error.strerror}); "
            "choose another port with --control-port, or 0 for a free one"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True, name="control").start()
    return server.server_address[1]


def _age(body: Any) -> dict:
    match = body.get("match") if isinstance(body, dict) else None
    seconds = _number(body, "seconds")
    if not isinstance(match, str) or not match or seconds is None:
        raise _Problem(HTTPStatus.BAD_REQUEST, "`match` (text) and `seconds` (number) are required")
    but = body.get("but", "")
    if not isinstance(but, str):
        raise _Problem(HTTPStatus.BAD_REQUEST, "`but` must be a text")
    return {"aged": age(match, seconds, but)}


def _all_tasks() -> list[dict]:
    return [task for _, task in ecs._tasks.all_items()]


def _task(task_id: str) -> dict:
    task = task_of(task_id)
    if task is None:
        raise _Problem(HTTPStatus.NOT_FOUND, f"no task {task_id}")
    return task


def _number(body: Any, name: str) -> float | None:
    value = body.get(name) if isinstance(body, dict) else None
    if value is not None and not isinstance(value, int | float):
        raise _Problem(HTTPStatus.BAD_REQUEST, f"`{name}` must be a number of seconds")
    return value
