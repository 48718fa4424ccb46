"""The control endpoint: faults and the call log."""

import json
import sys
import time
from pathlib import Path

from support import EngineTestCase, until


class FaultTest(EngineTestCase):
    def order(self, **fault):
        self.engine.control("POST", "/faults", fault)

    def test_the_next_calls_fail_as_ordered_and_then_no_more(self):
        self.order(service="ssm", operation="PutParameter", error="ThrottlingException", times=2)
        put = lambda: self.ssm.put_parameter(Name="/f/a", Value="v", Type="String")
        self.assertEqual([self.error_code(put), self.error_code(put)], ["ThrottlingException"] * 2)
        put()
        faults = self.engine.control("GET", "/faults")["faults"]
        self.assertEqual([(fault["hits"], fault["times"]) for fault in faults], [(2, 2)])
        self.assertEqual(["/f/a" in met["text"] for met in faults[0]["met"]], [True, True])

    def test_a_fault_meets_only_the_requests_that_it_names(self):
        self.order(service="ssm", operation="*", match="/f/bad", error="InternalServerError", status=500)
        self.assertEqual(self.error_code(lambda: self.ssm.get_parameter(Name="/f/good")), "ParameterNotFound")
        self.assertEqual(self.error_code(lambda: self.ssm.get_parameter(Name="/f/bad")), "InternalServerError")

    def test_each_protocol_gets_its_error_in_its_own_form(self):
        self.order(service="states", operation="StartExecution", error="ThrottlingException")
        machine = self.machine({"S": {"Type": "Succeed"}})
        start = lambda: self.stepfunctions.start_execution(stateMachineArn=machine)
        self.assertEqual(self.error_code(start), "ThrottlingException")
        self.order(service="cloudformation", operation="DescribeStacks", error="Throttling")
        self.assertEqual(self.error_code(self.cloudformation.describe_stacks), "Throttling")
        self.order(service="lambda", operation="Invoke", error="TooManyRequestsException", status=429)
        invoke = lambda: self.functions.invoke(FunctionName="any")
        self.assertEqual(self.error_code(invoke), "TooManyRequestsException")

    def test_a_function_called_by_a_state_machine_can_be_throttled(self):
        function = self.function("throttled", "return 1")
        self.order(service="lambda", operation="Invoke", error="TooManyRequestsException", match='"job": 2')
        task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
        task["Arguments"] = {"FunctionName": function, "Payload": "{% $states.input %}"}
        machine = self.machine({"T": task})
        self.assertEqual(self.end(self.start(machine, job=1))["status"], "SUCCEEDED")
        self.assertEqual(self.end(self.start(machine, job=2))["error"], "Lambda.TooManyRequestsException")

    def test_a_lost_answer_leaves_the_call_carried_out(self):
        self.order(service="ssm", operation="PutParameter", effect="lost", error="InternalServerError", status=500)
        put = lambda: self.ssm.put_parameter(Name="/f/lost", Value="v", Type="String")
        self.assertEqual(
            [self.error_code(put), self.error_code(put)], ["InternalServerError", "ParameterAlreadyExists"]
        )
        file = self.engine.state_dir / "lost"
        function = self.function("lost", f"with open({str(file)!r}, 'a') as f: f.write('x')")
        self.order(service="lambda", operation="Invoke", effect="lost", error="Runtime.ExitError", message="gone")
        retry = {"ErrorEquals": ["Runtime.ExitError"], "IntervalSeconds": 1}
        task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Retry": [retry], "End": True}
        task["Arguments"] = {"FunctionName": function, "Payload": {}}
        self.assertEqual(self.end(self.start(self.machine({"T": task})))["status"], "SUCCEEDED")
        self.assertEqual(file.read_text(), "xx")

    def test_a_late_answer_is_late(self):
        self.order(service="ssm", operation="GetParameter", effect="delay", seconds=0.3)
        started = time.monotonic()
        self.assertEqual(self.error_code(lambda: self.ssm.get_parameter(Name="/f/late")), "ParameterNotFound")
        self.assertGreaterEqual(time.monotonic() - started, 0.3)

    def test_a_fault_can_be_over_before_its_times_are(self):
        self.order(service="ssm", operation="GetParameter", error="InternalServerError", times=100_000, lasts=0.5)
        read = lambda: self.error_code(lambda: self.ssm.get_parameter(Name="/f/none"))
        self.assertEqual(read(), "InternalServerError")
        until("the end of the fault", lambda: read() == "ParameterNotFound")

    def test_faults_are_withdrawn_by_what_they_match(self):
        for match in ("/f/one", "/f/two"):
            self.order(service="ssm", operation="GetParameter", match=match, error="InternalServerError", times=9)
        self.engine.control("DELETE", "/faults?match=/f/one")
        read = lambda name: self.error_code(lambda: self.ssm.get_parameter(Name=name))
        self.assertEqual((read("/f/one"), read("/f/two")), ("ParameterNotFound", "InternalServerError"))

    def test_a_late_call_of_a_machine_is_made_after_its_execution_ended(self):
        file = self.engine.state_dir / "late"
        function = self.function("late", f"open({str(file)!r}, 'w').close()")
        self.order(service="lambda", operation="Invoke", effect="delay", seconds=1, match="late")
        task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
        task["Arguments"] = {"FunctionName": function, "Payload": {}}
        arn = self.start(self.machine({"T": task}))
        events = lambda: self.stepfunctions.get_execution_history(executionArn=arn)["events"]
        until("the task's state", lambda: any(event["type"] == "TaskScheduled" for event in events()))
        self.stepfunctions.stop_execution(executionArn=arn)
        self.assertEqual(self.end(arn)["status"], "ABORTED")
        until("the function", file.exists)

    def test_parameters_tasks_and_executions_can_be_made_older(self):
        name = "/f/aged-7/x"
        self.ssm.put_parameter(Name=name, Value="v", Type="String")
        self.ssm.put_parameter(Name="/f/young", Value="v", Type="String")
        arn = self.start(self.machine({"Wait": {"Type": "Wait", "Seconds": 1000, "End": True}}), name="aged-7")
        started = lambda: self.stepfunctions.describe_execution(executionArn=arn)["startDate"]
        written = lambda name: self.ssm.get_parameter(Name=name)["Parameter"]["LastModifiedDate"]
        before = written(name), written("/f/young"), started()
        self.assertEqual(self.engine.control("POST", "/ages", {"match": "aged-7", "seconds": 900}), {"aged": 2})
        after = written(name), written("/f/young"), started()
        seconds = [round((one - other).total_seconds()) for one, other in zip(before, after)]
        self.assertEqual(seconds, [900, 0, 900])
        order = {"match": "aged-7", "but": "/aged-7/", "seconds": 900}
        self.assertEqual(self.engine.control("POST", "/ages", order), {"aged": 1})

    def test_the_time_of_an_execution_can_be_over(self):
        arn = self.start(self.machine({"Wait": {"Type": "Wait", "Seconds": 1000, "End": True}}), name="late-7")
        self.assertEqual(self.engine.control("POST", "/executions/late-7/time-out"), {"timedOut": 1})
        self.assertEqual(self.end(arn)["status"], "TIMED_OUT")
        self.assertEqual(self.engine.control("POST", "/executions/late-7/time-out"), {"timedOut": 0})

    def test_an_order_that_makes_no_sense_is_refused_with_the_reason(self):
        for order, reason in (
            ({"service": "ssm"}, "operation"),
            ({"service": "ssm", "operation": "x", "effect": "explode"}, "effect"),
            ({"service": "ssm", "operation": "x", "tiems": 1}, "tiems"),
            ({"service": "ssm", "operation": "x", "effect": "failures"}, "RunTask"),
            ({"service": "ssm", "operation": "x", "times": 0}, "times"),
            ({"service": "ssm", "operation": "x", "lasts": -1}, "lasts"),
        ):
            with self.assertRaisesRegex(AssertionError, f"400: .*{reason}"):
                self.order(**order)
        with self.assertRaisesRegex(AssertionError, "404"):
            self.engine.control("POST", "/tasks/nothing/kill", {})

    def test_tasks_are_listed_with_their_logs(self):
        self.define("listed")
        arn = self.run_task("listed", "echo hello", group="some:group")["taskArn"]
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "runner", "value": "r"}])
        self.task_is(arn, "STOPPED")
        tasks = {task["arn"]: task for task in self.engine.control("GET", "/tasks")["tasks"]}
        self.assertEqual((tasks[arn]["lastStatus"], tasks[arn]["id"]), ("STOPPED", arn.rsplit("/", 1)[-1]))
        self.assertEqual((tasks[arn]["group"], tasks[arn]["tags"]), ("some:group", {"runner": "r"}))
        with open(tasks[arn]["log"]) as log:
            self.assertEqual(log.read(), "hello\n")


    def test_a_task_can_be_paused_and_resumed(self):
        self.define("paused")
        arn = self.run_task("paused", "while :; do echo x; sleep 0.05; done")["taskArn"]
        # A process may write before the engine has noted which one it is.
        self.task_is(arn, "RUNNING")
        length = lambda: len(self.engine.task_log(arn))
        until("its output", length)
        identity = arn.rsplit("/", 1)[-1]
        self.engine.control("POST", f"/tasks/{identity}/pause")
        pids = [path.parent for path in Path("/proc").glob("[0-9]*/stat") if identity in _environment(path.parent)]
        state = lambda: {path.joinpath("stat").read_text().rpartition(")")[2].split()[0] for path in pids}
        until("the pause", lambda: "T" in state())
        before = length()
        self.engine.control("POST", f"/tasks/{identity}/resume")
        until("more output", lambda: length() > before)
        self.ecs.stop_task(cluster="c", task=arn)

    def test_tasks_are_made_older_by_their_variables_and_tags(self):
        self.define("old")
        request = self.run_task_request("old", "sleep 60")
        variables = request["overrides"]["containerOverrides"][0]["environment"]
        variables.append({"name": "AGENT_BELL", "value": "bell-of-old"})
        arn = self.ecs.run_task(**request)["tasks"][0]["taskArn"]
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "runner", "value": "runner-of-old"}])
        created = lambda: self.task(arn)["createdAt"]
        for match in ("bell-of-old", "runner-of-old"):
            before = created()
            self.assertEqual(self.engine.control("POST", "/ages", {"match": match, "seconds": 600}), {"aged": 1})
            self.assertEqual(round((before - created()).total_seconds()), 600)
        self.ecs.stop_task(cluster="c", task=arn)


def _environment(process: Path) -> str:
    try:
        return process.joinpath("environ").read_text(errors="replace")
    except OSError:
        return ""


class CallLogTest(EngineTestCase):
    # The standard library signs no requests; botocore, which is beside it, does.
    CALL = (
        "import botocore.session as b\n"
        "try: b.get_session().create_client('ssm', region_name='us-east-1').get_parameter(Name='/log/{}')\n"
        "except Exception as error: print(error)\n"
    )

    def calls(self, **query) -> list[dict]:
        parameters = "&".join(f"{key}={value}" for key, value in query.items())
        return self.engine.control("GET", f"/calls?{parameters}")["calls"]

    def test_a_call_names_the_function_task_or_state_machine_that_made_it(self):
        function = self.function("caller", self.CALL.format("function"), Timeout=60)
        self.define("caller", role="arn:aws:iam::000000000000:role/task-role")
        call = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Run"}
        call["Arguments"] = {"FunctionName": function, "Payload": {}}
        script = f'{sys.executable} -c "{self.CALL.format("task")}"'
        machine = self.machine({"Call": call, "Run": self.runner_state("caller", script)})
        output = self.end(self.start(machine))["output"]
        found = {item["resource"]: item for item in self.calls(service="ssm", operation="GetParameter")}
        task_id = output["TaskArn"].rsplit("/", 1)[-1]
        self.assertEqual(
            found["/log/function"]["caller"], {"kind": "function", "name": "caller", "role": "function-role"}
        )
        self.assertEqual(found["/log/task"]["caller"], {"kind": "task", "name": task_id, "role": "task-role"})
        self.assertEqual(found["/log/task"]["error"], "ParameterNotFound")
        name = machine.rsplit(":", 1)[-1]
        self.assertEqual([item["operation"] for item in self.calls(caller=name)], ["Invoke", "RunTask"])
        self.assertEqual(self.calls(caller=name)[0]["caller"]["role"], "machine")

    def test_calls_are_numbered_so_that_a_test_reads_only_its_own(self):
        self.ecs.list_clusters()
        last = self.calls()[-1]["number"]
        self.ecs.list_clusters()
        later = self.calls(since=last)
        self.assertEqual([(item["service"], item["operation"]) for item in later], [("ecs", "ListClusters")])
        self.assertIsNone(later[0]["caller"])
        with self.assertRaisesRegex(AssertionError, "400"):
            self.calls(colour="red")


class PermissionTest(EngineTestCase):
    """Without enforcement: everything goes through, and the log says what should not have."""

    def denials(self, caller: str) -> dict[str, str | None]:
        calls = self.engine.control("GET", f"/calls?caller={caller}")["calls"]
        return {f"{call['operation']} {call['resource']}": call["denied"] for call in calls}

    def reader(self, name: str, role: str):
        """Reads a parameter from a function under a role: its value, or the error's code."""
        body = (
            "import botocore.session as b\nclient = b.get_session().create_client('ssm', region_name='us-east-1')\n"
            "try: return client.get_parameter(Name=event['name'])['Parameter']['Value']\n"
            "except Exception as error: return error.response['Error']['Code']"
        )
        self.function(name, body, Role=role, Timeout=60)

        def read(parameter: str) -> str:
            payload = json.dumps({"name": parameter}).encode()
            return json.load(self.functions.invoke(FunctionName=name, Payload=payload)["Payload"])

        for parameter in ("/open/a", "/shut/a"):
            self.ssm.put_parameter(Name=parameter, Value="v", Type="String", Overwrite=True)
        return read

    def open_parameters(self) -> dict:
        return {"Action": "ssm:GetParameter", "Resource": "arn:aws:ssm:us-east-1:000000000000:parameter/open/*"}

    def test_the_log_says_what_a_role_does_not_allow(self):
        read = self.reader("log-reader", self.role("log-reader-role", self.open_parameters()))
        self.assertEqual((read("/open/a"), read("/shut/a")), ("v", "v"))
        denied = "ssm:GetParameter on arn:aws:ssm:us-east-1:000000000000:parameter/shut/a"
        self.assertEqual(self.denials("log-reader"), {"GetParameter /open/a": "", "GetParameter /shut/a": denied})

    def test_run_task_needs_the_roles_passed_and_the_tags_allowed(self):
        cluster = "arn:aws:ecs:us-east-1:000000000000:cluster/c"
        run = {
            "Action": "ecs:RunTask",
            "Resource": "arn:aws:ecs:us-east-1:000000000000:task-definition/passing:*",
            "Condition": {"ArnEquals": {"ecs:cluster": cluster}},
        }
        task_role = self.role("passed-role", self.open_parameters())
        passing = {
            "Action": "iam:PassRole",
            "Resource": "arn:aws:iam::000000000000:role/ours/*",
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        }
        tagging = {
            "Action": "ecs:TagResource",
            "Resource": "arn:aws:ecs:us-east-1:000000000000:task/c/*",
            "Condition": {"StringEquals": {"ecs:CreateAction": "RunTask"}},
        }
        self.define("passing", role=task_role)
        request = {"tags": [{"key": "k", "value": "v"}]}
        for statements, denied in (
            ([run, passing, tagging], ""),
            ([run, tagging], f"iam:PassRole on {task_role}"),
            ([run, passing], "ecs:TagResource on arn:aws:ecs:us-east-1:000000000000:task/c/*"),
        ):
            role = self.role(f"machine-{len(denied)}", *statements)
            machine = self.machine({"R": self.runner_state("passing", "exit 0", request)}, role=role)
            self.assertEqual(self.end(self.start(machine))["status"], "SUCCEEDED")
            self.assertEqual(self.denials(machine.rsplit(":", 1)[-1]), {"RunTask passing": denied})

    def test_run_task_knows_the_tags_of_the_task_definition(self):
        run = {
            "Action": "ecs:RunTask",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/some:deployment": "ours"}},
        }
        for name, tags, denied in (
            ("ours", [{"key": "some:deployment", "value": "ours"}], False),
            ("theirs", [{"key": "some:deployment", "value": "theirs"}], True),
            ("untagged", [], True),
        ):
            family = f"tagged-{name}"
            self.define(family)
            arn = self.ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]["taskDefinitionArn"]
            if tags:
                self.ecs.tag_resource(resourceArn=arn, tags=tags)
            machine = self.machine({"R": self.runner_state(family, "exit 0")}, role=self.role(f"role-{family}", run))
            self.end(self.start(machine))
            said = self.denials(machine.rsplit(":", 1)[-1])[f"RunTask {family}"]
            self.assertEqual(bool(said), denied, said)


class EnforcementTest(PermissionTest):
    """With enforcement, the same is refused."""

    options = ("--enforce-iam",)

    def test_the_log_says_what_a_role_does_not_allow(self):
        read = self.reader("log-reader", self.role("log-reader-role", self.open_parameters()))
        self.assertEqual((read("/open/a"), read("/shut/a")), ("v", "AccessDeniedException"))

    def test_run_task_needs_the_roles_passed_and_the_tags_allowed(self):
        self.define("refused")
        function = self.function("forbidden", "return 1")
        role = self.role("nothing-role", self.open_parameters())
        machine = self.machine({"R": self.runner_state("refused", "exit 0")}, role=role)
        ended = self.end(self.start(machine))
        self.assertEqual(ended["error"], "ECS.AccessDeniedException")
        self.assertIn("is not authorized to perform: ecs:RunTask on resource: ", ended["cause"])
        call = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
        call["Arguments"] = {"FunctionName": function, "Payload": {}}
        ended = self.end(self.start(self.machine({"C": call}, role=role)))
        self.assertEqual(ended["error"], "Lambda.AWSLambdaException")

    def test_a_task_may_do_what_its_role_allows_and_no_more(self):
        self.ssm.put_parameter(Name="/open/task", Value="v", Type="String")
        self.define("enforced", role=self.role("task-role", self.open_parameters()))
        code = (
            "import botocore.session as b\n"
            "client = b.get_session().create_client('ssm', region_name='us-east-1')\n"
            "print(client.get_parameter(Name='/open/task')['Parameter']['Value'])\n"
            "try: client.describe_parameters()\n"
            "except Exception as error: print(error.response['Error']['Code'])\n"
        )
        arn = self.run_task("enforced", f'{sys.executable} -c "{code}"')["taskArn"]
        self.task_is(arn, "STOPPED")
        self.assertEqual(self.engine.task_log(arn).splitlines(), ["v", "AccessDeniedException"])

    def test_a_denial_holds_against_a_role_that_may_do_everything(self):
        for name in ("/denied/key", "/else/a"):
            self.ssm.put_parameter(Name=name, Value="v", Type="String")
        everything = {"Action": "ssm:*", "Resource": "*"}
        parameters = "arn:aws:ssm:us-east-1:000000000000:parameter/denied"
        denial = {"Effect": "Deny", "Action": "ssm:*", "Resource": [parameters, f"{parameters}/*"]}
        self.define("denying", role=self.role("broad-role", everything, denial))
        code = (
            "import botocore.session as b\n"
            "client = b.get_session().create_client('ssm', region_name='us-east-1')\n"
            "print(client.get_parameter(Name='/else/a')['Parameter']['Value'])\n"
            "for call, request in ((client.get_parameter, {'Name': '/denied/key'}),"
            " (client.get_parameters, {'Names': ['/denied/key']}),"
            " (client.get_parameters_by_path, {'Path': '/denied'})):\n"
            "  try: print(call(**request))\n"
            "  except Exception as error: print(error.response['Error']['Code'])\n"
        )
        arn = self.run_task("denying", f'{sys.executable} -c "{code}"')["taskArn"]
        self.task_is(arn, "STOPPED")
        self.assertEqual(self.engine.task_log(arn).splitlines(), ["v"] + ["AccessDeniedException"] * 3)
