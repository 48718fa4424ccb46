"""Identifies the function or task that made a call.

MiniStack gives every function and task the same credentials, which would make their calls indistinguishable. Every
signed request carries the session token, which MiniStack ignores: here it names the caller.
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
    """The caller that a request's credentials name; None for other credentials."""
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
    """The name of a role: the last part of its ARN."""
    return arn.rsplit("/", 1)[-1] if arn else None


def install(hooks: Hooks) -> None:
    """Declares the hooks that put the caller's name into credentials."""
    hooks.require(imds, "_ecs_task_credentials_doc")
    tasks: dict[str, dict[str, Any]] = {}

    def function_credentials(original, config):
        caller = Caller("function", config.get("FunctionName", ""), role_name(config.get("Role")))
        return {**original(config), "AWS_SESSION_TOKEN": _token(caller)}

    # lambda_svc imported the name, so it has its own reference.
    hooks.around(lambda_runtime, "execution_credentials")(function_credentials)
    hooks.around(lambda_svc, "execution_credentials")(function_credentials)

    @hooks.around(ecs, "_register_metadata")
    def register_metadata(original, task_arn, cluster_arn, td, cdef, launch_type, env, *rest):
        """Records the owner of each credentials path, and adds the other variables that Fargate sets."""
        token = original(task_arn, cluster_arn, td, cdef, launch_type, env, *rest)
        overrides = (ecs._tasks.get(task_arn) or {}).get("overrides") or {}
        env["AWS_REGION"] = env["AWS_DEFAULT_REGION"] = get_region()
        env["AWS_EXECUTION_ENV"] = "AWS_ECS_FARGATE"
        tasks[urlsplit(env["AWS_CONTAINER_CREDENTIALS_FULL_URI"]).path] = {
            "authorization": env["AWS_CONTAINER_AUTHORIZATION_TOKEN"],
            "task": task_arn.rsplit("/", 1)[-1],
            "role": overrides.get("taskRoleArn") or td.get("taskRoleArn"),
        }
        return token

    @hooks.around(imds, "handle_request")
    async def container_credentials(original, method, path, headers, body, query_params):
        """Returns the task role's credentials, only for the task's own authorization token."""
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
