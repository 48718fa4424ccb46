"""A real engine for the tests, with the clients to talk to it."""

import io
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import botocore.config
import botocore.session

HERE = Path(__file__).resolve().parent
LAUNCHER = HERE.parent / "launch.py"

PATIENCE = 60.0
"""Seconds after which something that should have happened counts as not happening; nothing waits for it otherwise."""

BOOTSTRAP = """
import json, os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
def post(what, value):
    urllib.request.urlopen(urllib.request.Request(api + what, data=json.dumps(value).encode())).read()
while True:
    with urllib.request.urlopen(api + "next") as request:
        event, context = json.load(request), dict(request.headers)
    identity = context["Lambda-Runtime-Aws-Request-Id"]
    try:
        result = handler(event, context)
    except Exception as error:
        post(identity + "/error", {"errorType": type(error).__name__, "errorMessage": str(error)})
    else:
        post(identity + "/response", result)
"""
"""The rest of a function's bootstrap: the loop of the Lambda Runtime API."""

T = TypeVar("T")


def until(what: str, look: Callable[[], T | None]) -> T:
    """Looks again and again until `look` returns something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"in vain waited for: {what}")


class Engine:
    """The launcher as a child process."""

    def __init__(self, *options: str, port: int = 0, environment: dict[str, str] | None = None) -> None:
        self.state_dir = Path(tempfile.mkdtemp(prefix="engine-test-"))
        template = self.state_dir / "template"
        (template / "bin").mkdir(parents=True)
        (template / "bin" / "Runner.Listener").write_text("#!/bin/sh\n")
        command = [sys.executable, str(LAUNCHER), "--port", str(port), "--state-dir", str(self.state_dir / "state")]
        command += ["--agent", str(HERE / "agent.sh"), "--runner-home", str(template), "--control-port", "0"]
        self.process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment or os.environ.copy(),
        )
        try:
            self.ready = json.loads(self._first_line())
        except BaseException:
            self.stop()
            raise
        self.control_url = f"http://127.0.0.1:{self.ready['controlPort']}"

    def _first_line(self) -> str:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.process.stdout.readline()), daemon=True).start()
        line = lines.get(timeout=PATIENCE)
        if not line:
            raise AssertionError(f"the engine did not start: {self.process.stderr.read()}")
        return line

    def stop(self) -> int:
        """Ends the engine, and deletes what it wrote."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self.process.stderr.close()
            shutil.rmtree(self.state_dir, ignore_errors=True)
        return self.process.returncode

    def client(self, service: str, key: str = "test", secret: str = "test", token: str | None = None) -> Any:
        """A botocore client of the engine, without retries."""
        return botocore.session.get_session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.ready["endpoint"],
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=botocore.config.Config(retries={"max_attempts": 0}),
        )

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the control endpoint; an error's answer is raised as an AssertionError."""
        request = urllib.request.Request(
            self.control_url + path, method=method, data=None if body is None else json.dumps(body).encode()
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{error.code}: {json.load(error)['error']}") from None

    def task_log(self, arn: str) -> str:
        """What a task printed."""
        return (self.state_dir / "state" / "logs" / f"{arn.rsplit('/', 1)[-1]}.log").read_text()


class EngineTestCase(unittest.TestCase):
    """Tests that share one engine per class."""

    options: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls) -> None:
        # What a developer's shell may hold, and no function or task should ever see.
        shell = {"AWS_PROFILE": "mine", "HTTPS_PROXY": "http://127.0.0.1:9", "GITHUB_TOKEN": "t", "LOG_LEVEL": "ERROR"}
        cls.engine = Engine(*cls.options, environment={**os.environ, **shell})
        cls.addClassCleanup(cls.engine.stop)
        for service in ("ecs", "stepfunctions", "ssm", "events", "lambda", "sqs", "iam", "cloudformation", "dynamodb"):
            setattr(cls, service.replace("lambda", "functions"), cls.engine.client(service))
        cls.ecs.create_cluster(clusterName="c", capacityProviders=["FARGATE", "FARGATE_SPOT"])
        cls.machines = 0

    def setUp(self) -> None:
        self.addCleanup(self.engine.control, "DELETE", "/faults")

    # Tasks

    def define(self, family: str, image: str = "runner:latest", role: str | None = None, **container: Any) -> str:
        """Registers a Fargate task definition with a container `runner` and returns its ARN."""
        return self.ecs.register_task_definition(
            family=family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            **({"taskRoleArn": role} if role else {}),
            containerDefinitions=[{"name": "runner", "image": image, "essential": True, **container}],
        )["taskDefinition"]["taskDefinitionArn"]

    def run_task_request(self, family: str, script: str, **more: Any) -> dict:
        """A RunTask request for the SDK."""
        request = {
            "cluster": "c",
            "taskDefinition": family,
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
            "overrides": {
                "containerOverrides": [{"name": "runner", "environment": [{"name": "SCRIPT", "value": script}]}]
            },
        }
        if "capacityProviderStrategy" not in more:
            request["launchType"] = "FARGATE"
        return {**request, **more}

    def run_task(self, family: str, script: str, **more: Any) -> dict:
        """Runs a task and returns it."""
        return self.ecs.run_task(**self.run_task_request(family, script, **more))["tasks"][0]

    def task(self, arn: str) -> dict:
        """A task as DescribeTasks has it."""
        return self.ecs.describe_tasks(cluster="c", tasks=[arn])["tasks"][0]

    def task_is(self, arn: str, status: str) -> dict:
        """Waits until a task has a status."""

        def look() -> dict | None:
            task = self.task(arn)
            return task if task["lastStatus"] == status else None

        return until(f"{arn} {status}", look)

    # State machines

    def machine(self, states: dict, role: str = "arn:aws:iam::000000000000:role/machine", **more: Any) -> str:
        """Creates a JSONata state machine that starts at `states`' first and returns its ARN."""
        type(self).machines += 1
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **more}
        return self.stepfunctions.create_state_machine(
            name=f"m{self.machines}",
            definition=json.dumps(definition),
            roleArn=role,
        )["stateMachineArn"]

    def start(self, machine: str, name: str | None = None, **state_input: Any) -> str:
        """Starts an execution and returns its ARN."""
        options = {"name": name} if name else {}
        return self.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(state_input), **options)[
            "executionArn"
        ]

    def end(self, execution: str) -> dict:
        """Waits for an execution's end and returns its description, `output` parsed."""

        def look() -> dict | None:
            description = self.stepfunctions.describe_execution(executionArn=execution)
            return None if description["status"] == "RUNNING" else description

        description = until(f"the end of {execution}", look)
        if description["status"] == "SUCCEEDED":
            description["output"] = json.loads(description["output"])
        return description

    def runner_state(self, family: str, script: str, request: dict | None = None, **more: Any) -> dict:
        """A state that runs a task to its end."""
        arguments = _pascal({**self.run_task_request(family, script), **(request or {})})
        state = {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Arguments": arguments, **more}
        return state if "Next" in state else {**state, "End": True}

    # Tables

    def table(self, name: str, *keys: str) -> str:
        """Creates an on-demand table with a partition key and, of two keys, a sort key; returns its name."""
        kinds = zip(keys, ("HASH", "RANGE"), strict=False)
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in kinds],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    # Roles

    def role(self, name: str, *statements: dict) -> str:
        trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "any"}}]}
        role = self.iam.create_role(RoleName=name, Path="/ours/", AssumeRolePolicyDocument=json.dumps(trust))
        policy = {"Statement": [{"Effect": "Allow", **statement} for statement in statements]}
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        return role["Role"]["Arn"]

    # Functions

    def function(self, name: str, body: str, **more: Any) -> str:
        """Creates a function whose `handler(event, context)` has that body and returns its ARN."""
        source = f"#!{sys.executable}\ndef handler(event, context):\n"
        source += "".join(f"    {line}\n" for line in body.splitlines()) + BOOTSTRAP
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("bootstrap", source)
        return self.functions.create_function(
            **{
                "FunctionName": name,
                "Runtime": "provided.al2023",
                "Role": "arn:aws:iam::000000000000:role/function-role",
                "Handler": "bootstrap",
                "Code": {"ZipFile": archive.getvalue()},
                **more,
            }
        )["FunctionArn"]

    def error_code(self, call: Callable[[], Any]) -> str:
        """The AWS error code that a call is refused with."""
        with self.assertRaises(botocore.exceptions.ClientError) as raised:
            call()
        return raised.exception.response["Error"]["Code"]


def _pascal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: _pascal(item) for key, item in value.items()}
    return [_pascal(item) for item in value] if isinstance(value, list) else value
