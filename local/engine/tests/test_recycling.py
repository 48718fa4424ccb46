"""The machine that replaces EC2 instances, against instances in memory: the engine has none.

In this process, because only its calls of AWS are replaced; the interpreter is the engine's.
"""

import json
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from ministack.services import stepfunctions as sfn
from support import until

DEFINITION = Path(__file__).resolve().parents[3] / "statemachine" / "recycle.asl.json"
PROVIDER = "ec2-fargate-runners-docker"
GROUP_MINIMUM = "AutoScaling.AutoScalingException"
"""https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html: what a service does not model."""


class Instances:
    """What ECS and Auto Scaling know, and the calls that were made."""

    def __init__(self) -> None:
        self.known: dict[str, dict] = {}
        self.calls: list[tuple] = []
        self.desired, self.minimum = 0, 0
        self.refused: list[str] = []

    def add(self, arn: str, status: str, tasks: int, provider: str | None = PROVIDER) -> str:
        self.known[arn] = {
            "ContainerInstanceArn": arn,
            "Ec2InstanceId": f"i-{arn}",
            "Status": status,
            "RunningTasksCount": tasks // 2,
            "PendingTasksCount": tasks - tasks // 2,
            **({"CapacityProviderName": provider} if provider else {}),
        }
        self.desired += 1
        return arn

    def call(self, resource: str, request: dict) -> dict:
        operation = resource.rsplit(":", 1)[-1]
        if operation in self.refused:
            self.refused.remove(operation)
            raise sfn._ExecutionError("Ecs.EcsException", "Rate exceeded")
        return getattr(self, operation)(request)

    def listContainerInstances(self, request: dict) -> dict:
        return {"ContainerInstanceArns": [a for a, i in self.known.items() if i["Status"] == request["Status"]]}

    def describeContainerInstances(self, request: dict) -> dict:
        asked = request["ContainerInstances"]
        if not asked:
            raise sfn._ExecutionError("Ecs.InvalidParameterException", "Container instances can not be empty.")
        missing = [{"Arn": arn, "Reason": "MISSING"} for arn in asked if arn not in self.known]
        return {"ContainerInstances": [self.known[arn] for arn in asked if arn in self.known], "Failures": missing}

    def updateContainerInstancesState(self, request: dict) -> dict:
        for arn in request["ContainerInstances"]:
            self.known[arn]["Status"] = request["Status"]
            self.calls.append(("drain", arn))
        return {"ContainerInstances": [], "Failures": []}

    def terminateInstanceInAutoScalingGroup(self, request: dict) -> dict:
        smaller = request["ShouldDecrementDesiredCapacity"]
        if smaller and self.desired <= self.minimum:
            raise sfn._ExecutionError(GROUP_MINIMUM, "Terminating instance without replacement will violate min size")
        arn = request["InstanceId"].removeprefix("i-")
        del self.known[arn]
        self.desired -= smaller
        self.calls.append(("terminate" if smaller else "replace", arn))
        return {"Activity": {}}


class RecyclingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.world = Instances()
        for patch in (
            mock.patch.object(sfn, "_invoke_aws_sdk_integration", self.world.call),
            mock.patch.object(sfn, "_scaled_sleep", lambda seconds: None),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        text = DEFINITION.read_text().replace("${Cluster}", "fargate-runners").replace("${CapacityProvider}", PROVIDER)
        created = {"name": self.id().rsplit(".", 1)[-1][:80], "definition": text, "roleArn": "arn:aws:iam::0:role/r"}
        self.machine = json.loads(sfn._create_state_machine(created)[2])["stateMachineArn"]

    def run_machine(self, event: dict) -> str:
        """Runs it to its end and returns how it ended."""
        started = json.loads(sfn._start_execution({"stateMachineArn": self.machine, "input": json.dumps(event)})[2])

        def look() -> Any:
            found = json.loads(sfn._describe_execution({"executionArn": started["executionArn"]})[2])
            return None if found["status"] == "RUNNING" else found

        found = until("the execution's end", look)
        self.problem = found.get("cause")
        return found["status"]

    def task(self, status: str, instance: str) -> None:
        detail = {"lastStatus": status, "containerInstanceArn": instance, "taskArn": "t", "launchType": "EC2"}
        ended = self.run_machine({"detail-type": "ECS Task State Change", "source": "aws.ecs", "detail": detail})
        self.assertEqual(ended, "SUCCEEDED", self.problem)

    def hour(self) -> None:
        ended = self.run_machine({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}})
        self.assertEqual(ended, "SUCCEEDED", self.problem)

    def test_an_instance_is_drained_when_its_task_is_placed_and_terminated_after_it(self):
        one = self.world.add("a", "ACTIVE", 1)
        self.task("PENDING", one)
        self.task("RUNNING", one)
        self.assertEqual(self.world.calls, [("drain", "a")])
        self.world.known[one].update(RunningTasksCount=0, PendingTasksCount=0)
        self.task("STOPPED", one)
        self.assertEqual(self.world.calls, [("drain", "a"), ("terminate", "a")])
        self.assertEqual(self.world.desired, 0)

    def test_an_instance_whose_task_ended_before_it_was_drained_is_drained_and_terminated(self):
        self.task("STOPPED", self.world.add("a", "ACTIVE", 0))
        self.assertEqual(self.world.calls, [("drain", "a"), ("terminate", "a")])

    def test_events_that_come_twice_late_or_about_an_instance_that_is_gone_do_no_harm(self):
        one = self.world.add("a", "DRAINING", 0)
        self.task("STOPPED", one)
        for status in ("STOPPED", "RUNNING", "PENDING"):
            self.task(status, one)
        self.assertEqual(self.world.calls, [("terminate", "a")])

    def test_an_instance_that_still_has_a_task_is_not_terminated(self):
        one = self.world.add("a", "DRAINING", 2)
        self.task("STOPPED", one)
        self.assertEqual(self.world.calls, [])
        other = self.world.add("b", "ACTIVE", 1)
        self.task("STOPPED", other)
        self.assertEqual(self.world.calls, [("drain", "b")])

    def test_instances_of_another_capacity_are_left_alone(self):
        self.task("PENDING", self.world.add("a", "ACTIVE", 1, "ec2-fargate-runners-shared"))
        self.task("STOPPED", self.world.add("b", "DRAINING", 0, None))
        self.hour()
        self.assertEqual(self.world.calls, [])

    def test_a_group_at_its_minimum_replaces_the_instance(self):
        self.world.minimum = 1
        self.task("STOPPED", self.world.add("a", "DRAINING", 0))
        self.assertEqual((self.world.calls, self.world.desired), ([("replace", "a")], 1))

    def test_each_hour_ends_what_a_lost_event_left_and_nothing_else(self):
        self.world.add("used", "DRAINING", 0)
        self.world.add("busy", "DRAINING", 1)
        self.world.add("fresh", "ACTIVE", 0)
        self.world.add("also-used", "DRAINING", 0)
        self.hour()
        self.assertEqual(sorted(self.world.calls), [("terminate", "also-used"), ("terminate", "used")])

    def test_an_hour_without_drained_instances_asks_nothing(self):
        self.world.add("fresh", "ACTIVE", 0)
        self.hour()
        self.assertEqual(self.world.calls, [])

    def test_throttled_calls_are_made_again_and_an_execution_that_gives_up_fails(self):
        one = self.world.add("a", "ACTIVE", 1)
        self.world.refused = ["describeContainerInstances"] * 3 + ["updateContainerInstancesState"] * 4
        self.task("RUNNING", one)
        self.assertEqual(self.world.calls, [("drain", "a")])
        self.world.known[one].update(RunningTasksCount=0, PendingTasksCount=0)
        self.world.refused = ["terminateInstanceInAutoScalingGroup"] * 20
        event = {"detail": {"lastStatus": "STOPPED", "containerInstanceArn": one}}
        self.assertEqual(self.run_machine(event), "FAILED")
        self.world.refused = []
        self.hour()
        self.assertEqual(self.world.calls, [("drain", "a"), ("terminate", "a")])


if __name__ == "__main__":
    unittest.main()
