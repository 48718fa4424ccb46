"""Knowing which function or task a call comes from.

Without IAM enforcement MiniStack hands every function and task the same account credentials, so the call log could
not tell them apart. The session token travels with every signed request and is looked at only under enforcement:
ours says who was given it. Under enforcement the tokens are MiniStack's own, and its sessions say the same.
"""

import base64
import json
import secrets
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from ministack import app
from ministack.core import lambda_runtime
from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs, imds, lambda_svc, sts

from engine.faults import Caller
from engine.hooks import Hooks

_MARK = "local."


def caller_of(headers: dict[str, str]) -> Caller | None:
    """The caller that a request's credentials name; None for a person's or a tool's."""
    token = headers.get("x-amz-security-token", "")
    if token.startswith(_MARK):
        try:
            return Caller(**json.loads(base64.urlsafe_b64decode(token[len(_MARK) :])))
        except (ValueError, TypeError):
            return None
    session = sts._sessions.get(_access_key(headers))
    if not session:
        return None
    # arn:aws:sts::<account>:assumed-role/<role>/<session>
    parts = str(session.get("Arn", "")).rsplit(":", 1)[-1].split("/")
    return Caller("role", parts[-1], parts[-2]) if len(parts) >= 3 else None


def _access_key(headers: dict[str, str]) -> str:
    authorization = headers.get("authorization", "")
    return authorization.partition("Credential=")[2].partition("/")[0]


def token_of(caller: Caller) -> str:
    """A session token that names its holder."""
    return _MARK + base64.urlsafe_b64encode(json.dumps(asdict(caller)).encode()).decode()


def install(hooks: Hooks) -> None:
    """Declares the hooks that name functions and tasks in their credentials."""
    tasks: dict[str, dict[str, Any]] = {}
    hooks.require(imds, "_ecs_task_credentials_doc")
    hooks.require(sts, "_sessions", "register_session")

    def function_credentials(original, config):
        credentials = original(config)
        if not app.AUTH:
            role = config.get("Role", "").rsplit("/", 1)[-1] or None
            credentials["AWS_SESSION_TOKEN"] = token_of(Caller("function", config.get("FunctionName", ""), role))
        return credentials

    # lambda_svc imported the name, so it holds a reference of its own.
    hooks.around(lambda_runtime, "execution_credentials")(function_credentials)
    hooks.around(lambda_svc, "execution_credentials")(function_credentials)

    @hooks.around(ecs, "_register_metadata")
    def register_metadata(original, task_arn, cluster_arn, td, cdef, launch_type, env, *rest):
        """Remembers whose credentials the endpoint's path stands for, and adds what Fargate sets besides."""
        token = original(task_arn, cluster_arn, td, cdef, launch_type, env, *rest)
        env["AWS_REGION"] = env["AWS_DEFAULT_REGION"] = get_region()
        env["AWS_EXECUTION_ENV"] = "AWS_ECS_FARGATE"
        tasks[urlsplit(env["AWS_CONTAINER_CREDENTIALS_FULL_URI"]).path] = {
            "authorization": env["AWS_CONTAINER_AUTHORIZATION_TOKEN"],
            "task": task_arn.rsplit("/", 1)[-1],
            "role": td.get("taskRoleArn") or "",
        }
        return token

    @hooks.around(imds, "handle_request")
    async def container_credentials(original, method, path, headers, body, query_params):
        """The task role's credentials, for the holder of the task's authorization token alone."""
        if not path.startswith("/v2/credentials/"):
            return await original(method, path, headers, body, query_params)
        holder = tasks.get(path.rstrip("/"))
        if holder is None or headers.get("authorization") != holder["authorization"]:
            return 401, {"Content-Type": "application/json"}, b'{"code":"AccessDenied","message":"not this task"}'
        document = _task_credentials(holder)
        return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


def _task_credentials(holder: dict[str, Any]) -> dict[str, str]:
    document = imds._ecs_task_credentials_doc()
    role = holder["role"].rsplit("/", 1)[-1]
    document["RoleArn"] = holder["role"]
    if app.AUTH:
        document["AccessKeyId"] = "ASIA" + secrets.token_hex(8).upper()
        sts.register_session(
            document["AccessKeyId"],
            {
                "Arn": f"arn:aws:sts::{get_account_id()}:assumed-role/{role}/{holder['task']}",
                "UserId": f"{role}:{holder['task']}",
                "SecretAccessKey": document["SecretAccessKey"],
                "SessionToken": document["Token"],
            },
        )
    else:
        document["Token"] = token_of(Caller("task", holder["task"], role or None))
    return document
