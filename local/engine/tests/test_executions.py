"""Executions of Step Functions."""

import json
import sys
import time
import unittest
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support import EngineTestCase, until

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.executions import retry_delay


class StartTest(EngineTestCase):
    def test_a_name_and_input_that_run_already_answer_with_the_same_execution(self):
        machine = self.machine({"Wait": {"Type": "Wait", "Seconds": 1000, "End": True}})
        first = self.stepfunctions.start_execution(stateMachineArn=machine, name="job", input='{"a":1}')
        again = self.stepfunctions.start_execution(stateMachineArn=machine, name="job", input='{"a":1}')
        self.assertEqual((again["executionArn"], again["startDate"]), (first["executionArn"], first["startDate"]))

        def start(state_input):
            return lambda: self.stepfunctions.start_execution(stateMachineArn=machine, name="job", input=state_input)

        self.assertEqual(self.error_code(start('{"a":2}')), "ExecutionAlreadyExists")
        self.stepfunctions.stop_execution(executionArn=first["executionArn"])
        self.assertEqual(self.error_code(start('{"a":1}')), "ExecutionAlreadyExists")

    def test_a_name_or_input_that_aws_refuses_is_refused(self):
        machine = self.machine({"Done": {"Type": "Succeed"}})
        start = self.stepfunctions.start_execution
        self.assertEqual(self.error_code(lambda: start(stateMachineArn=machine, name="a b")), "InvalidName")
        self.assertEqual(self.error_code(lambda: start(stateMachineArn=machine, input="{")), "InvalidExecutionInput")

    def test_the_history_names_the_states_entered_newest_first_if_asked(self):
        machine = self.machine({"First": {"Type": "Pass", "Next": "Second"}, "Second": {"Type": "Succeed"}})
        execution = self.start(machine)
        self.end(execution)
        events = self.stepfunctions.get_execution_history(executionArn=execution, reverseOrder=True)["events"]
        entered = [event["stateEnteredEventDetails"]["name"] for event in events if "Entered" in event["type"]]
        self.assertEqual(entered, ["Second", "First"])
        self.assertEqual(events[0]["type"], "ExecutionSucceeded")

    def test_executions_are_listed_by_status(self):
        machine = self.machine({"Wait": {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "End": True}})
        waiting, over = self.start(machine, seconds=1000), self.start(machine, seconds=0)
        self.end(over)
        for status, execution in (("RUNNING", waiting), ("SUCCEEDED", over)):
            found = self.stepfunctions.list_executions(stateMachineArn=machine, statusFilter=status)["executions"]
            self.assertEqual([item["executionArn"] for item in found], [execution])


class EndTest(EngineTestCase):
    def test_stopping_an_execution_ends_its_wait(self):
        machine = self.machine({"Wait": {"Type": "Wait", "Seconds": 1000, "Next": "No"}, "No": {"Type": "Succeed"}})
        execution = self.start(machine)
        self.stepfunctions.stop_execution(executionArn=execution, error="E", cause="C")
        ended = self.end(execution)
        self.assertEqual((ended["status"], ended["error"], ended["cause"]), ("ABORTED", "E", "C"))

    def test_the_machine_own_timeout_ends_an_execution(self):
        machine = self.machine({"Wait": {"Type": "Wait", "Seconds": 1000, "End": True}}, TimeoutSeconds=1)
        execution = self.start(machine)
        self.assertEqual(self.end(execution)["status"], "TIMED_OUT")
        history = self.stepfunctions.get_execution_history(executionArn=execution)["events"]
        self.assertEqual(history[-1]["type"], "ExecutionTimedOut")

    def test_each_bad_end_is_told_with_name_and_input(self):
        queue = self.sqs.create_queue(QueueName="ends")["QueueUrl"]
        wait = {"Type": "Wait", "Seconds": 1000, "End": True}
        machines = {
            "ABORTED": self.machine({"Wait": wait}),
            "TIMED_OUT": self.machine({"Wait": wait}, TimeoutSeconds=1),
            "FAILED": self.machine({"Fail": {"Type": "Fail", "Error": "E", "Cause": "C"}}),
        }
        pattern = {"source": ["aws.states"], "detail": {"status": list(machines)}}
        self.events.put_rule(Name="ends", EventPattern=json.dumps(pattern))
        arn = "arn:aws:sqs:us-east-1:000000000000:ends"
        self.events.put_targets(Rule="ends", Targets=[{"Id": "q", "Arn": arn}])
        for status, machine in machines.items():
            execution = self.start(machine, name=status, of=status)
            if status == "ABORTED":
                self.stepfunctions.stop_execution(executionArn=execution)
        received = {}

        def look() -> bool:
            for message in self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                detail = json.loads(message["Body"])["detail"]
                received[detail["status"]] = detail
            return set(received) == set(machines)

        until("the three events", look)
        for status, detail in received.items():
            self.assertEqual((detail["name"], json.loads(detail["input"])), (status, {"of": status}))
            self.assertEqual(detail["stateMachineArn"], machines[status])


class StateTest(EngineTestCase):
    options = ("--wait-scale", "0.01")

    def output(self, states: dict, **state_input):
        ended = self.end(self.start(self.machine(states), **state_input))
        self.assertEqual(ended["status"], "SUCCEEDED", ended)
        return ended["output"]

    def failing(self, name: str, times: int, error: str = "Passing") -> tuple[str, Path]:
        """A function that fails so many times, and the file to which it writes the times of its calls."""
        calls = self.engine.state_dir / name
        body = (
            f"import time\nwith open({str(calls)!r}, 'a+') as f:\n    f.write(f'{{time.time()}}\\n')\n    f.seek(0)\n"
            "    n = len(f.readlines())\n"
            f"if n <= {times}:\n    raise type({error!r}, (Exception,), {{}})('no ' + str(n))\n"
            "return {'calls': n}"
        )
        return self.function(name, body), calls

    def invoke(self, function: str, **more) -> dict:
        arguments = {"FunctionName": function, "Payload": "{% $states.input %}"}
        state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, **more}
        return state if "Next" in state else {**state, "End": True}

    def test_a_succeed_state_has_an_output(self):
        self.assertEqual(
            self.output({"S": {"Type": "Succeed", "Output": {"a": "{% $states.input.b %}"}}}, b=1), {"a": 1}
        )

    def test_a_fail_state_evaluates_its_error_and_cause(self):
        fail = {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'since ' & $states.input.c %}"}
        ended = self.end(self.start(self.machine({"F": fail}), e="Mine", c="ever"))
        self.assertEqual((ended["error"], ended["cause"]), ("Mine", "since ever"))

    def test_the_context_names_the_execution(self):
        execution = "{% $states.context.Execution.[Name, Id, StartTime] %}"
        machine = self.machine({"S": {"Type": "Succeed", "Output": execution}})
        arn = self.start(machine, name="me")
        name, identity, started = self.end(arn)["output"]
        self.assertEqual((name, identity), ("me", arn))
        self.assertRegex(started, r"^\d{4}-\d\d-\d\dT[\d:.]+Z$")

    def test_an_undefined_result_fails_the_query_and_can_be_caught(self):
        bad = {"Type": "Pass", "Output": "{% $states.input.nothing %}", "End": True}
        self.assertEqual(self.end(self.start(self.machine({"P": bad})))["error"], "States.QueryEvaluationError")
        task = self.invoke(self.function("unused", "return 1"), Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Ok"}])
        task["Arguments"]["Payload"] = "{% $states.input.nothing %}"
        self.assertEqual(self.output({"T": task, "Ok": {"Type": "Succeed"}})["Error"], "States.QueryEvaluationError")

    def test_a_function_error_arrives_as_its_type_with_the_payload_as_cause_and_can_be_assigned(self):
        function, _ = self.failing("typed", 99, "Unmatched")
        catch = {
            "ErrorEquals": ["Unmatched"],
            "Assign": {"error": "{% $states.errorOutput %}"},
            "Output": "{% $states.errorOutput.Error %}",
            "Next": "Done",
        }
        done = {"Type": "Succeed", "Output": {"said": "{% $states.input %}", "error": "{% $error %}"}}
        output = self.output({"T": self.invoke(function, Catch=[catch]), "Done": done})
        self.assertEqual((output["said"], output["error"]["Error"]), ("Unmatched", "Unmatched"))
        cause = json.loads(output["error"]["Cause"])
        self.assertEqual((cause["errorType"], cause["errorMessage"]), ("Unmatched", "no 1"))

    def test_a_published_version_is_invoked_by_its_arn(self):
        function = self.function("versioned", "return context['Lambda-Runtime-Invoked-Function-Arn']")
        version = self.functions.publish_version(FunctionName="versioned")["FunctionArn"]
        self.assertEqual(version, function + ":1")
        self.assertEqual(self.output({"T": self.invoke(version, Output="{% $states.result.Payload %}")}), version)

    def test_retries_wait_no_longer_than_their_limit(self):
        function, calls = self.failing("limited", 2)
        retry = {"ErrorEquals": ["Passing"], "IntervalSeconds": 1000, "MaxDelaySeconds": 20, "MaxAttempts": 5}
        self.assertEqual(self.output({"T": self.invoke(function, Retry=[retry])})["Payload"], {"calls": 3})
        first, second, third = map(float, calls.read_text().split())
        # 1000 s, scaled by a hundredth, would be ten; the limit makes it a fifth of a second.
        self.assertGreaterEqual(second - first, 0.2)
        self.assertLess(third - first, 10)

    def test_retries_end_at_their_number_and_terminal_errors_are_not_caught(self):
        function, calls = self.failing("hopeless", 99)
        retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2, "JitterStrategy": "FULL"}
        self.assertEqual(
            self.end(self.start(self.machine({"T": self.invoke(function, Retry=[retry])})))["error"], "Passing"
        )
        self.assertEqual(len(calls.read_text().split()), 3)
        huge = self.function("huge", "return 'x' * 300_000")
        catching = self.invoke(huge, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Ok"}])
        ended = self.end(self.start(self.machine({"T": catching, "Ok": {"Type": "Succeed"}})))
        self.assertEqual(ended["status"], "SUCCEEDED")
        ended = self.end(self.start(self.machine({"T": self.invoke(huge)})))
        self.assertEqual(ended["error"], "States.DataLimitExceeded")
        catching["Output"] = "{% $pad('', 300000, 'x') %}"
        small = self.function("small", "return 1")
        catching["Arguments"] = self.invoke(small)["Arguments"]
        ended = self.end(self.start(self.machine({"T": catching, "Ok": {"Type": "Succeed"}})))
        self.assertEqual(ended["error"], "States.DataLimitExceeded")

    def test_an_order_for_later_is_waited_for_once_and_its_time_is_scaled_too(self):
        # As `launch`: it compares the order's start with the clock, and says how long to wait.
        body = (
            "from datetime import datetime, timezone\n"
            "left = (datetime.fromisoformat(event['notBefore']) - datetime.now(timezone.utc)).total_seconds()\n"
            "if left > 0:\n    raise type('Deferred', (Exception,), {})(str(int(left) + 1))\nreturn event"
        )
        deferred = self.function("deferred", body)
        seconds = "{% $number($parse($states.errorOutput.Cause).errorMessage) %}"
        catch = {"ErrorEquals": ["Deferred"], "Assign": {"seconds": seconds}, "Output": "{% $states.input %}"}
        states = {
            "Launch": {**self.invoke(deferred, Next="Done"), "Catch": [{**catch, "Next": "Wait"}]},
            "Wait": {"Type": "Wait", "Seconds": "{% $seconds %}", "Next": "Launch"},
            "Done": {"Type": "Succeed"},
        }
        later = (datetime.now(UTC) + timedelta(seconds=200)).isoformat()
        machine = self.machine(states)
        started = time.monotonic()
        arn = self.start(machine, notBefore=later)
        self.assertEqual(self.end(arn)["status"], "SUCCEEDED")
        self.assertGreaterEqual(time.monotonic() - started, 1.9)
        history = self.stepfunctions.get_execution_history(executionArn=arn)["events"]
        entered = [event["type"] for event in history]
        self.assertEqual(entered.count("WaitStateEntered"), 1)

    def test_the_wait_scale_does_not_shorten_a_task(self):
        self.define("long")
        # Thousands of polls at this scale, were the task polled for.
        state = self.runner_state("long", "sleep 3; exit 0")
        started = time.monotonic()
        self.assertEqual(self.end(self.start(self.machine({"T": state})))["status"], "SUCCEEDED")
        self.assertGreaterEqual(time.monotonic() - started, 3)


class RetryDelayTest(unittest.TestCase):
    def test_a_delay_grows_by_its_rate_up_to_its_limit(self):
        retrier = {"IntervalSeconds": 5, "BackoffRate": 3, "MaxDelaySeconds": 40}
        self.assertEqual([retry_delay(retrier, attempt) for attempt in range(4)], [5, 15, 40, 40])

    def test_the_defaults_are_one_second_doubling(self):
        self.assertEqual([retry_delay({}, attempt) for attempt in range(3)], [1, 2, 4])

    def test_full_jitter_spreads_a_delay_from_nothing_to_all_of_it(self):
        delays = [retry_delay({"IntervalSeconds": 100, "JitterStrategy": "FULL"}, 0) for _ in range(200)]
        self.assertTrue(all(0 <= delay <= 100 for delay in delays))
        self.assertGreater(max(delays) - min(delays), 30)
