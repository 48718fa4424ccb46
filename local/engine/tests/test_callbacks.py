"""States that wait for a task token stored in a table, and the calls that end them."""

import json
from typing import Any

from support import EngineTestCase, until

PUT = "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken"

MISSING = "TaskTimedOut"
"""The error for a token that was used or is too late.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
"""


class CallbackTest(EngineTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.table(cls, "waits", "pk", "sk")

    def waiting(self, name: str, role: str | None = None, **more: Any) -> str:
        """Starts an execution that stores its token under its name, unless it has ended already."""
        item = {"pk": {"S": "wait"}, "sk": {"S": name}, "token": {"S": "{% $states.context.Task.Token %}"}}
        arguments = {"TableName": "waits", "Item": item, "ConditionExpression": "attribute_not_exists(ended)"}
        catch = {"ErrorEquals": ["States.ALL"], "Next": "Caught", "Output": "{% $states.errorOutput %}"}
        state = {"Type": "Task", "Resource": PUT, "Arguments": arguments, "Catch": [catch], "End": True, **more}
        role = {"role": role} if role else {}
        machine = self.machine({"Wait": state, "Caught": {"Type": "Succeed"}}, **role)
        return self.start(machine, name=name)

    def stored(self, name: str) -> dict:
        key = {"pk": {"S": "wait"}, "sk": {"S": name}}
        return self.dynamodb.get_item(TableName="waits", Key=key, ConsistentRead=True).get("Item", {})

    def token(self, name: str) -> str:
        return until(f"the token of {name}", lambda: self.stored(name).get("token"))["S"]

    def end_of(self, execution: str) -> Any:
        ended = self.end(execution)
        self.assertEqual(ended["status"], "SUCCEEDED", ended)
        return ended["output"]

    def history_of(self, execution: str) -> list[str]:
        found = self.stepfunctions.get_execution_history(executionArn=execution)["events"]
        return [event["type"] for event in found]

    def success(self, token: str, output: str = "{}") -> None:
        self.stepfunctions.send_task_success(taskToken=token, output=output)

    def test_an_answer_ends_the_wait_with_its_output(self):
        execution = self.waiting("answered")
        self.success(self.token("answered"), json.dumps({"TaskArn": "t", "Containers": [{"ExitCode": 0}]}))
        self.assertEqual(self.end_of(execution), {"TaskArn": "t", "Containers": [{"ExitCode": 0}]})
        self.assertEqual(
            self.history_of(execution)[:6],
            ["ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"],
        )

    def test_a_failure_has_the_given_error_and_cause(self):
        execution = self.waiting("failed")
        cause = json.dumps({"TaskArn": "t", "StopCode": "EssentialContainerExited"})
        self.stepfunctions.send_task_failure(taskToken=self.token("failed"), error="TaskFailed", cause=cause)
        self.assertEqual(self.end_of(execution), {"Error": "TaskFailed", "Cause": cause})
        self.assertIn("TaskFailed", self.history_of(execution))

    def test_a_failed_condition_has_the_services_error_and_nobody_waits(self):
        self.dynamodb.put_item(
            TableName="waits", Item={"pk": {"S": "wait"}, "sk": {"S": "late"}, "ended": {"S": "{}"}}
        )
        execution = self.waiting("late")
        caught = self.end_of(execution)
        self.assertEqual(caught["Error"], "DynamoDb.ConditionalCheckFailedException")
        service = "Service: DynamoDb, Status Code: 400, Request ID: .*"
        self.assertRegex(caught["Cause"], rf"^The conditional request failed \({service}\) \(SDK Attempt Count: 1\)$")
        self.assertIn("TaskSubmitFailed", self.history_of(execution))
        self.assertNotIn("TaskSubmitted", self.history_of(execution))
        self.assertNotIn("token", self.stored("late"))

    def test_a_wait_times_out_and_its_token_with_it(self):
        execution = self.waiting("impatient", TimeoutSeconds="{% 1 %}")
        token = self.token("impatient")
        self.assertEqual(self.end_of(execution)["Error"], "States.Timeout")
        self.assertIn("TaskTimedOut", self.history_of(execution))
        self.assertEqual(self.error_code(lambda: self.success(token)), MISSING)

    def test_a_stopped_execution_ends_at_once_and_its_token_with_it(self):
        execution = self.waiting("stopped")
        token = self.token("stopped")
        self.stepfunctions.stop_execution(executionArn=execution)
        self.assertEqual(self.end(execution)["status"], "ABORTED")
        self.assertEqual(self.error_code(lambda: self.success(token)), MISSING)
        self.assertEqual(self.history_of(execution)[-1], "ExecutionAborted")

    def test_an_execution_that_times_out_ends_its_wait(self):
        execution = self.waiting("overdue")
        token = self.token("overdue")
        self.engine.control("POST", "/executions/overdue/time-out")
        self.assertEqual(self.end(execution)["status"], "TIMED_OUT")
        self.assertEqual(self.error_code(lambda: self.success(token)), MISSING)

    def test_a_token_is_answered_once(self):
        execution = self.waiting("once")
        token = self.token("once")
        self.stepfunctions.send_task_heartbeat(taskToken=token)
        self.success(token, '"first"')
        self.assertEqual(self.error_code(lambda: self.success(token, '"second"')), MISSING)
        failure = lambda: self.stepfunctions.send_task_failure(taskToken=token, error="E")
        self.assertEqual(self.error_code(failure), MISSING)
        self.assertEqual(self.error_code(lambda: self.stepfunctions.send_task_heartbeat(taskToken=token)), MISSING)
        self.assertEqual(self.end_of(execution), "first")

    def test_an_invalid_answer_changes_nothing(self):
        execution = self.waiting("invalid")
        token = self.token("invalid")
        self.assertEqual(self.error_code(lambda: self.success("made up")), "InvalidToken")
        self.assertEqual(self.error_code(lambda: self.success(token[:-8])), MISSING)
        self.assertEqual(self.error_code(lambda: self.success(token, "{")), "InvalidOutput")
        long = lambda: self.stepfunctions.send_task_failure(taskToken=token, cause="x" * 32769)
        self.assertEqual(self.error_code(long), "ValidationException")
        self.success(token)
        self.end_of(execution)

    def test_each_attempt_has_its_own_token(self):
        retry = {"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}
        execution = self.waiting("again", Retry=[retry])
        first = self.token("again")
        self.assertGreater(len(first), 500)
        self.stepfunctions.send_task_failure(taskToken=first, error="Again")
        second = until("another token", lambda: (token := self.token("again")) != first and token)
        self.assertEqual(self.error_code(lambda: self.success(first)), MISSING)
        self.success(second)
        self.end_of(execution)

    def test_twenty_executions_wait_at_once(self):
        names = [f"many-{number}" for number in range(20)]
        executions = [self.waiting(name) for name in names]
        for name in names:
            self.success(self.token(name), json.dumps(name))
        self.assertEqual([self.end_of(execution) for execution in executions], names)

    # Faults

    def order(self, **fault: Any) -> None:
        self.engine.control("POST", "/faults", {"service": "dynamodb", "operation": "PutItem", **fault})

    def test_a_throttled_call_of_a_machine_is_retried_under_its_name(self):
        self.order(match="throttled-wait", times=2)
        throttled = ["DynamoDb.ThrottlingException", "DynamoDb.ProvisionedThroughputExceededException"]
        execution = self.waiting("throttled-wait", Retry=[{"ErrorEquals": throttled, "IntervalSeconds": 1}])
        self.success(self.token("throttled-wait"))
        self.end_of(execution)
        self.assertEqual(self.history_of(execution).count("TaskSubmitFailed"), 2)

    def test_an_undeclared_error_is_the_services_general_exception(self):
        self.order(match="odd-wait", error="SomethingElse", status=500, message="odd")
        caught = self.end_of(self.waiting("odd-wait"))
        self.assertEqual(caught["Error"], "DynamoDb.DynamoDbException")
        self.order(match="broken-wait", error="InternalServerError", status=500)
        caught = self.end_of(self.waiting("broken-wait"))
        self.assertEqual(caught["Error"], "DynamoDb.InternalServerErrorException")

    def test_a_lost_answer_leaves_the_token_stored_and_useless(self):
        self.order(match="lost-wait", effect="lost", error="InternalServerError", status=500)
        caught = self.end_of(self.waiting("lost-wait"))
        self.assertEqual(caught["Error"], "DynamoDb.InternalServerErrorException")
        self.assertEqual(self.error_code(lambda: self.success(self.token("lost-wait"))), MISSING)

    def test_a_late_put_is_made_although_its_execution_was_stopped(self):
        self.order(match="delayed-wait", effect="delay", seconds=1)
        execution = self.waiting("delayed-wait")
        until("the put", lambda: "TaskStarted" in self.history_of(execution))
        self.assertEqual(self.stored("delayed-wait"), {})
        self.stepfunctions.stop_execution(executionArn=execution)
        self.assertEqual(self.end(execution)["status"], "ABORTED")
        self.assertEqual(self.error_code(lambda: self.success(self.token("delayed-wait"))), MISSING)

    def test_a_table_that_is_gone_has_its_own_error(self):
        arguments = {"TableName": "gone", "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}}
        execution = self.waiting("no-table", Arguments=arguments)
        self.assertEqual(self.end_of(execution)["Error"], "DynamoDb.ResourceNotFoundException")

    def test_calls_of_a_machine_are_logged(self):
        execution = self.waiting("logged")
        self.success(self.token("logged"))
        self.end_of(execution)
        machine = execution.split(":")[-2]
        calls = self.engine.control("GET", f"/calls?caller={machine}")["calls"]
        self.assertEqual([(call["operation"], call["resource"]) for call in calls], [("PutItem", "waits")])
