"""Histories of the engine beside those that AWS gave in the same situation, key by key.

`recorded.json` holds the shape of each history: its events' types, what each follows, every field's name, and the
values of the few fields that are part of the interface; all other values are `_`. They were recorded on AWS by
LocalStack's authors (Apache-2.0); each case names its test and its date.
"""

import json
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import EngineTestCase, until

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())

KEPT = {"resource", "resourceType", "error", "Error", "truncated", "StartedBy", "LastStatus", "StopCode"}
KEPT |= {"HttpStatusCode", "StatusCode", "lastStatus"}

INVOKED = {"FunctionName": "any", "Payload": None}

REQUEST = {
    "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}},
    "platformVersion": "1.4.0",
}

DIFFERENT = {
    # The recorded requests overrode nothing.
    "+ TaskScheduled.taskScheduledEventDetails.parameters.Overrides",
    "+ event.detail.overrides.containerOverrides[].environment",
    # The runtime's own.
    "- TaskFailed.taskFailedEventDetails.cause.requestId",
    "- TaskFailed.taskFailedEventDetails.cause.stackTrace",
}
"""Paths at which the engine is known to be different; README.md says why ("What remains different")."""


class RecordedTest(EngineTestCase):
    def history(self, states: dict, **state_input: Any) -> list[dict]:
        arn = self.start(self.machine(states), **state_input)
        self.end(arn)
        # On the wire: an SDK drops what it doesn't know.
        request = urllib.request.Request(
            self.engine.ready["endpoint"],
            data=json.dumps({"executionArn": arn, "maxResults": 1000}).encode(),
            headers={
                "X-Amz-Target": "AWSStepFunctions.GetExecutionHistory",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/states/aws4_request",
            },
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["events"]

    def compare(self, case: str, events: list[dict]) -> None:
        recorded = RECORDED[case]["events"]
        self.assertEqual([event["type"] for event in events], [event["type"] for event in recorded])
        differences = set()
        # What follows the task is the recorded machine's own affair.
        end = next((at for at, event in enumerate(recorded) if event["type"] == "PassStateEntered"), len(recorded))
        for event, expected in zip(events[:end], recorded[:end], strict=True):
            self.assertEqual(event["previousEventId"], expected["previousEventId"], event["type"])
            told = {name: value for name, value in event.items() if name in expected or name.endswith("Details")}
            differences |= _differences(event["type"], shape(told), expected)
        self.assertEqual(differences - DIFFERENT, set())

    def test_a_task_that_ends_well(self):
        self.define("well")
        state = self.runner_state("well", "exit 0", REQUEST)
        self.compare("runTask.sync ends well", self.history({"ecstask": state}))

    def test_a_task_whose_image_can_not_be_pulled(self):
        self.define("unpulled", image="missing/x")
        state = self.runner_state("unpulled", "exit 0", REQUEST)
        self.compare("runTask.sync cannot pull its image", self.history({"ecstask": state}))

    def test_a_task_that_nobody_waits_for(self):
        self.define("unawaited")
        state = {**self.runner_state("unawaited", "exit 0", REQUEST), "Resource": "arn:aws:states:::ecs:runTask"}
        self.compare("runTask ends well", self.history({"ecstask": state}))

    def test_the_event_of_a_stopped_task(self):
        url = self.sqs.create_queue(QueueName="recorded")["QueueUrl"]
        pattern = {"source": ["aws.ecs"], "detail": {"lastStatus": ["STOPPED"], "group": ["family:evented"]}}
        self.events.put_rule(Name="recorded", EventPattern=json.dumps(pattern))
        target = {"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:recorded"}
        self.events.put_targets(Rule="recorded", Targets=[target])
        self.define("evented")
        self.run_task("evented", "exit 0", startedBy="me", platformVersion="1.4.0")
        receive = lambda: self.sqs.receive_message(QueueUrl=url).get("Messages")
        event = json.loads(until("the event", receive)[0]["Body"])
        recorded = RECORDED["an event of a stopped Fargate task"]["event"]
        self.assertEqual(_differences("event", shape(event), recorded) - DIFFERENT, set())

    def invoke(self, function: str, **more: Any) -> dict:
        state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", **more}
        state["Arguments"] = {"FunctionName": function, "Payload": None}
        return state if "Next" in state else {**state, "End": True}

    def test_a_function_that_answers(self):
        self.function("answers", "return {}")
        last = {"Type": "Pass", "End": True}
        states = {"Start": self.invoke("answers", Next="EndWithFinal"), "EndWithFinal": last}
        self.compare("a function answers", self.history(states, **INVOKED))

    def queue_waits(self, queue: str, context: bool = False, **more: Any) -> tuple[dict, dict]:
        """A state that sends its token to a queue, and its input."""
        url = self.sqs.create_queue(QueueName=queue)["QueueUrl"]
        body = {"TaskToken": "{% $states.context.Task.Token %}"}
        body |= {"Context": "{% $states.input %}"} if context else {"Message": "{% $states.input.Message %}"}
        state = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", **more}
        state["Arguments"] = {"QueueUrl": "{% $states.input.QueueUrl %}", "MessageBody": body}
        state_input = {"QueueUrl": url, "Message": "test_message_txt"}
        return (state if "Next" in state else {**state, "End": True}), state_input

    def answer(self, url: str, send: Callable[[str], Any]) -> None:
        """Answers for the next token in a queue, from a thread."""

        def work() -> None:
            receive = lambda: self.sqs.receive_message(QueueUrl=url).get("Messages")
            send(json.loads(until("a token", receive)[0]["Body"])["TaskToken"])

        threading.Thread(target=work, daemon=True).start()

    def test_a_token_that_is_answered(self):
        state, state_input = self.queue_waits("answered")
        output = json.dumps("test_message_txt")
        self.answer(
            state_input["QueueUrl"],
            lambda token: self.stepfunctions.send_task_success(taskToken=token, output=output),
        )
        self.compare("a token is answered", self.history({"Wait": state}, **state_input))

    def test_a_token_that_is_answered_with_a_failure(self):
        state, state_input = self.queue_waits("failing")
        failure = {"error": "Failure error", "cause": "Failure cause"}
        self.answer(
            state_input["QueueUrl"],
            lambda token: self.stepfunctions.send_task_failure(taskToken=token, **failure),
        )
        self.compare("a token is answered with a failure", self.history({"Wait": state}, **state_input))

    def test_a_failure_without_a_name_is_caught(self):
        merged = "{% $merge([$states.input, {'states_all_error': $states.errorOutput}]) %}"
        catch = {"ErrorEquals": ["States.ALL"], "Next": "Caught", "Output": merged}
        state, state_input = self.queue_waits("nameless", context=True, Catch=[catch], Next="Caught")
        self.answer(
            state_input["QueueUrl"],
            lambda token: self.stepfunctions.send_task_failure(taskToken=token),
        )
        states = {"Wait": state, "Caught": {"Type": "Pass", "End": True}}
        case = "a token is answered with a failure without a name and is caught"
        self.compare(case, self.history(states, **state_input))

    def test_a_token_that_is_not_answered_in_time(self):
        state, state_input = self.queue_waits("unanswered", TimeoutSeconds=1)
        self.compare("a token is not answered in time", self.history({"Wait": state}, **state_input))

    def sdk(self, resource: str, arguments: dict, **more: Any) -> dict:
        state = {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:{resource}", "Arguments": arguments, **more}
        return state if "Next" in state else {**state, "End": True}

    def put(self, **more: Any) -> dict:
        given = {name: f"{{% $states.input.{name} %}}" for name in ("TableName", "Item")}
        return self.sdk("dynamodb:putItem", given, **more)

    def test_an_item_is_put_updated_and_read(self):
        given = {
            "TableName": self.table("put", "id"),
            "Item": {"data": {"S": "HelloWorld"}, "id": {"S": "id1"}},
            "Key": {"id": {"S": "id1"}},
            "UpdateExpression": "set S=:r",
            "ExpressionAttributeValues": {":r": {"S": "HelloWorldUpdated"}},
        }
        kept = lambda name: f"{{% $merge([$states.input, {{'{name}': $states.result}}]) %}}"
        arguments = lambda *names: {name: f"{{% $states.input.{name} %}}" for name in ("TableName", "Key", *names)}
        updated = {**arguments("UpdateExpression", "ExpressionAttributeValues"), "ReturnValues": "UPDATED_NEW"}
        states = {
            "PutItem": self.put(Next="UpdateItem", Output=kept("putItemOutput")),
            "UpdateItem": self.sdk("dynamodb:updateItem", updated, Next="GetItem", Output=kept("updateItemOutput")),
            "GetItem": self.sdk("dynamodb:getItem", arguments(), Output=kept("getItemOutput")),
        }
        self.compare("items are put, updated and read", self.history(states, **given))

    def test_an_item_is_put_into_no_table(self):
        given = {"TableName": "nowhere", "Item": {"data": {"S": "HelloWorld"}, "id": {"S": "id1"}}}
        self.compare("an item is put into no table", self.history({"PutItem": self.put()}, **given))

    def test_an_item_is_put_without_an_item(self):
        given = {"TableName": self.table("empty", "id"), "Key": None, "Item": None}
        self.compare("an item is put without an item", self.history({"PutItem": self.put()}, **given))

    def test_a_token_that_never_was(self):
        arguments = {"Output": "ParameterOutput", "TaskToken": "{% $states.input.TaskToken %}"}
        states = {"Send": self.sdk("sfn:sendTaskSuccess", arguments)}
        self.compare("a token that never was is answered", self.history(states, TaskToken="NoSuchTaskToken"))

    def caught(self, error: str, state: str) -> dict:
        return {"Catch": [{"ErrorEquals": [error], "Next": state}], "Next": state}

    def test_a_function_that_throws(self):
        self.function("throws", "raise Exception('x')")
        last = {"Type": "Pass", "End": True}
        caught = self.caught("States.TaskFailed", "Handler")
        self.compare(
            "a function throws and is caught",
            self.history({"Start": self.invoke("throws", **caught), "Handler": last}, **INVOKED),
        )

    def test_a_function_that_is_not_there(self):
        self.compare("a function is not there", self.history({"Start": self.invoke("nonesuch")}, **INVOKED))

    def test_a_function_that_takes_too_long(self):
        self.function("slow", "import time; time.sleep(3)")
        last = {"Type": "Pass", "End": True}
        caught = self.caught("States.Timeout", "Handler")
        states = {"Start": self.invoke("slow", TimeoutSeconds=1, **caught), "Handler": last}
        self.compare("a function takes too long and is caught", self.history(states, **INVOKED))


def shape(value: Any, name: str = "") -> Any:
    """A value's shape as `recorded.json` has it; text that holds JSON has the shape of that."""
    if isinstance(value, str) and name in {"input", "output", "parameters", "cause"}:
        try:
            value = json.loads(value)
        except ValueError:
            pass
    if name in {"HttpHeaders", "AllHttpHeaders"}:
        # Each service's connection has its own.
        return "_"
    if isinstance(value, dict):
        return {key: shape(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return value if name in KEPT else "_"


def _differences(path: str, ours: Any, recorded: Any) -> set[str]:
    if isinstance(ours, dict) and isinstance(recorded, dict):
        found = {f"+ {path}.{key}" for key in set(ours) - set(recorded)}
        found |= {f"- {path}.{key}" for key in set(recorded) - set(ours)}
        for key in set(ours) & set(recorded) - {"previousEventId", "type"}:
            found |= _differences(f"{path}.{key}", ours[key], recorded[key])
        return found
    if isinstance(ours, list) and isinstance(recorded, list):
        return _differences(f"{path}[]", ours[0], recorded[0]) if ours and recorded else set()
    return set() if ours == recorded else {f"! {path}: {ours!r} for {recorded!r}"}
