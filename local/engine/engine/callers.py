"""Knowing which function or task a call comes from.

MiniStack hands every function and task the same account credentials, so their calls could not be told apart. The
session token travels with every signed request and MiniStack doesn't look at it: ours says who was given it.
"""

import base64
import json
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from ministack.core import lambda_runtime
from ministack.core.responses import get_region
from ministack.services import ecs, imds, lambda_svc

from engine.faults import Caller
from engine.hooks import Hooks

_MARK = "local."


def caller_of(headers: dict[str, str]) -> Caller | None:
    """The caller that a request's credentials name; None for a person's or a tool's."""
    token = headers.get("x-amz-security-token", "")
    if not token.startswith(_MARK):
        return None
    try:
        return Caller(**json.loads(base64.urlsafe_b64decode(token[len(_MARK) :])))
    except (ValueError, TypeError):
        return None


def _token(caller: Caller) -> str:
    return _MARK + base64.urlsafe_b64encode(json.dumps(asdict(caller)).encode()).decode()


def role_name(arn: str | None) -> str | None:
    """The name of a role, which its ARN ends in after any path."""
    return arn.rsplit("/", 1)[-1] if arn else None


def install(hooks: Hooks) -> None:
    """Declares the hooks that name functions and tasks in their credentials."""
    hooks.require(imds, "_ecs_task_credentials_doc")
    tasks: dict[str, dict[str, Any]] = {}

    def function_credentials(original, config):
        caller = Caller("function", config.get("FunctionName", ""), role_name(config.get("Role")))
        return {**original(config), "AWS_SESSION_TOKEN": _token(caller)}

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
            "role": td.get("taskRoleArn"),
        }
        return token

    @hooks.around(imds, "handle_request")
    async def container_credentials(original, method, path, headers, body, query_params):
        """The task role's credentials, for the holder of the task's authorization token alone."""
        if not path.startswith("/v2/credentials/"):
            return await original(method, path, headers, body, query_params)
        content_type = {"Content-Type": "application/json"}
        holder = tasks.get(path.rstrip("/"))
        if holder is None or headers.get("authorization") != holder["authorization"]:
            return 401, content_type, b'{"code":"AccessDenied","message":"these credentials are another task\'s"}'
        if not holder["role"]:
            return 404, content_type, b'{"code":"NoRole","message":"the task definition names no task role"}'
        document = imds._ecs_task_credentials_doc()
        document["RoleArn"] = holder["role"]
        document["Token"] = _token(Caller("task", holder["task"], role_name(holder["role"])))
        return 200, content_type, json.dumps(document).encode()
