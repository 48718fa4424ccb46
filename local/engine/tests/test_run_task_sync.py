"""`ecs:runTask.sync` in a state machine."""

import json

from support import EngineTestCase, until


class SyncTest(EngineTestCase):
    def run_to_end(self, state: dict, **more) -> dict:
        return self.end(self.start(self.machine({"Run": state}, **more)))

    def running_task(self, family: str) -> str:
        def look():
            arns = self.ecs.list_tasks(cluster="c", family=family)["taskArns"]
            return arns[0] if arns and self.task(arns[0])["lastStatus"] == "RUNNING" else None

        return until(f"a running task of {family}", look)

    def test_the_result_is_one_task_in_pascal_case(self):
        self.define("good")
        output = self.run_to_end(self.runner_state("good", "exit 0"))["output"]
        self.assertEqual((output["LastStatus"], output["StartedBy"]), ("STOPPED", "AWS Step Functions"))
        self.assertEqual(output["Containers"][0]["ExitCode"], 0)
        self.assertEqual(output["Overrides"]["ContainerOverrides"][0]["Environment"][0]["Name"], "SCRIPT")
        self.assertIsInstance(output["StoppedAt"], int)

    def test_a_failed_container_is_a_failed_task_with_the_task_as_cause(self):
        self.define("bad")
        ended = self.run_to_end(self.runner_state("bad", "exit 9"))
        self.assertEqual((ended["status"], ended["error"]), ("FAILED", "States.TaskFailed"))
        cause = json.loads(ended["cause"])
        self.assertEqual((cause["StopCode"], cause["Containers"][0]["ExitCode"]), ("EssentialContainerExited", 9))

    def test_a_task_that_never_started_is_a_failed_task(self):
        self.define("pull", image="missing/x")
        ended = self.run_to_end(self.runner_state("pull", "exit 0"))
        self.assertEqual(ended["error"], "States.TaskFailed")
        self.assertEqual(json.loads(ended["cause"])["StopCode"], "TaskFailedToStart")

    def test_a_refusal_carries_the_exception_name(self):
        self.define("refused")
        ended = self.run_to_end(self.runner_state("refused", "exit 0", {"networkConfiguration": {}}))
        self.assertEqual(ended["error"], "ECS.InvalidParameterException")
        ended = self.run_to_end(self.runner_state("nonesuch", "exit 0"))
        self.assertEqual(ended["error"], "ECS.ClientException")

    def test_a_request_with_an_unknown_field_is_refused(self):
        self.define("typo")
        ended = self.run_to_end(self.runner_state("typo", "exit 0", {"lunchType": "FARGATE"}))
        self.assertEqual(ended["error"], "States.Runtime")
        self.assertIn("lunchType", ended["cause"])

    def test_failures_and_no_capacity_have_their_own_errors(self):
        self.define("faults")
        for order, error in (
            ({"effect": "failures", "reason": "RESOURCE:ENI"}, "AmazonECS.Unknown"),
            ({"effect": "capacity"}, "ECS.AmazonECSException"),
            ({"error": "ThrottlingException"}, "ECS.AmazonECSException"),
            ({"error": "ServerException", "status": 500}, "ECS.ServerException"),
            ({"effect": "never-starts", "stopped_reason": "ResourceInitializationError: x"}, "States.TaskFailed"),
        ):
            self.engine.control("POST", "/faults", {"service": "ecs", "operation": "RunTask", **order})
            ended = self.run_to_end(self.runner_state("faults", "exit 0"))
            self.assertEqual(ended["error"], error)
        self.assertEqual(json.loads(ended["cause"])["StoppedReason"], "ResourceInitializationError: x")
        self.assertEqual(self.run_to_end(self.runner_state("faults", "exit 0"))["status"], "SUCCEEDED")

    def test_stopping_the_execution_stops_the_task(self):
        self.define("aborted")
        state = self.runner_state("aborted", "exec sleep 1000", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Run"}])
        execution = self.start(self.machine({"Run": state}))
        arn = self.running_task("aborted")
        self.stepfunctions.stop_execution(executionArn=execution, error="Mine", cause="because")
        task = self.task_is(arn, "STOPPED")
        self.assertEqual((task["stopCode"], task["containers"][0]["exitCode"]), ("UserInitiated", 143))
        self.assertIn(f"execution [{execution}] which was managing this resource was aborted", task["stoppedReason"])
        self.assertEqual(self.end(execution)["status"], "ABORTED")
        history = self.stepfunctions.get_execution_history(executionArn=execution, reverseOrder=True)["events"]
        self.assertEqual(history[0]["type"], "ExecutionAborted")

    def test_a_state_that_times_out_stops_its_task(self):
        self.define("slow")
        state = self.runner_state(
            "slow",
            "exec sleep 1000",
            TimeoutSeconds="{% 0 + 1 %}",
            Catch=[{"ErrorEquals": ["States.Timeout"], "Output": "{% $states.errorOutput.Error %}", "Next": "Done"}],
        )
        execution = self.start(self.machine({"Run": state, "Done": {"Type": "Succeed"}}))
        arn = until("the task", lambda: self.ecs.list_tasks(cluster="c", family="slow")["taskArns"])[0]
        self.assertEqual(self.end(execution)["output"], "States.Timeout")
        self.assertEqual(self.task_is(arn, "STOPPED")["stopCode"], "UserInitiated")

    def test_an_execution_that_times_out_stops_its_task(self):
        self.define("late")
        execution = self.start(self.machine({"Run": self.runner_state("late", "exec sleep 1000")}, TimeoutSeconds=2))
        arn = self.running_task("late")
        self.assertEqual(self.end(execution)["status"], "TIMED_OUT")
        self.assertEqual(self.task_is(arn, "STOPPED")["stopCode"], "UserInitiated")

    def test_a_spot_interruption_and_a_killed_process_look_like_what_they_are(self):
        self.define("spot")
        strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        for action, body, code, exit_code in (
            ("spot-interruption", {}, "SpotInterruption", 143),
            ("kill", {"reason": "OutOfMemoryError: Container killed due to memory usage"}, None, 137),
        ):
            request = self.run_task_request("spot", "exec sleep 1000", capacityProviderStrategy=strategy)
            state = self.runner_state("spot", "")
            state["Arguments"] = "{% $states.input.request %}"
            execution = self.start(self.machine({"Run": state}), request=_pascal(request))
            arn = self.running_task("spot")
            self.engine.control("POST", f"/tasks/{arn.rsplit('/', 1)[-1]}/{action}", body)
            ended = self.end(execution)
            self.assertEqual(ended["error"], "States.TaskFailed")
            cause = json.loads(ended["cause"])
            self.assertEqual(cause["StopCode"], code or "EssentialContainerExited")
            self.assertEqual(cause["CapacityProviderName"], "FARGATE_SPOT")
            self.assertEqual(cause["Containers"][0]["ExitCode"], exit_code)
            self.assertEqual(cause["Containers"][0].get("Reason"), body.get("reason"))


def _pascal(value):
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: _pascal(item) for key, item in value.items()}
    return [_pascal(item) for item in value] if isinstance(value, list) else value
