"""Unproven behaviours of AWS, turned the other way at the control endpoint and at the start."""

import http.client
import json

from support import Engine, EngineTestCase, until


class SwitchTest(EngineTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.engine.control, "DELETE", "/switches")

    def turn(self, **switches):
        order = {name.replace("_", "-"): value for name, value in switches.items()}
        return self.engine.control("POST", "/switches", order)

    def run_sync(self, family: str, **request) -> dict:
        state = self.runner_state(family, "exit 0", request)
        return self.end(self.start(self.machine({"Run": state})))

    def test_switches_are_read_turned_and_reset(self):
        default = self.engine.control("GET", "/switches")
        self.assertEqual(default["tasks-late"], 0.0)
        turned = {**default, "tasks-late": 2.0, "events-twice": True}
        self.assertEqual(self.turn(tasks_late=2, events_twice=True), turned)
        self.engine.control("DELETE", "/switches")
        self.assertEqual(self.engine.control("GET", "/switches"), default)

    def test_an_order_that_makes_no_sense_changes_nothing(self):
        for order, reason in (
            ({"events-twice": True, "evnts": 1}, "evnts"),
            ({"tasks-late": "2"}, "tasks-late"),
            ({"events-twice": 1}, "events-twice"),
            ({"events-late": -1}, "events-late"),
            ([], "object"),
        ):
            with self.assertRaisesRegex(AssertionError, f"400: .*{reason}"):
                self.engine.control("POST", "/switches", order)
        self.assertFalse(self.engine.control("GET", "/switches")["events-twice"])

    def test_started_by_is_step_functions_own_unless_it_is_kept(self):
        self.define("starter")
        self.assertEqual(self.run_sync("starter", startedBy="me")["output"]["StartedBy"], "AWS Step Functions")
        self.turn(started_by_kept=True)
        self.assertEqual(self.run_sync("starter", startedBy="me")["output"]["StartedBy"], "me")
        self.assertEqual(self.run_sync("starter")["output"]["StartedBy"], "AWS Step Functions")

    def test_a_tag_both_given_and_propagated_is_refused_on_request(self):
        arn = self.define("doubled")
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "Team", "value": "a"}])
        request = {"propagateTags": "TASK_DEFINITION", "tags": [{"key": "team", "value": "b"}]}
        self.run_task("doubled", "exit 0", **request)
        self.turn(duplicate_tags_refused=True)
        refused = self.error_code(lambda: self.run_task("doubled", "exit 0", **request))
        self.assertEqual(refused, "InvalidParameterException")
        self.run_task("doubled", "exit 0", propagateTags="TASK_DEFINITION", tags=[{"key": "job", "value": "b"}])

    def test_a_tag_given_twice_is_always_refused(self):
        self.define("twice")
        tags = [{"key": "a", "value": "1"}, {"key": "A", "value": "2"}]
        refused = self.error_code(lambda: self.run_task("twice", "exit 0", tags=tags))
        self.assertEqual(refused, "InvalidParameterException")

    def test_throttling_has_another_name_on_request(self):
        self.define("throttled")
        fault = {"service": "ecs", "operation": "RunTask", "error": "ThrottlingException"}
        self.engine.control("POST", "/faults", fault)
        ended = self.run_sync("throttled")
        self.assertEqual(ended["error"], "ECS.AmazonECSException")
        code = "Service: AmazonECS; Status Code: 400; Error Code: ThrottlingException"
        self.assertRegex(ended["cause"], rf"^Rate exceeded \({code}; Request ID: .*; Proxy: null\)$")
        self.turn(throttled_as="ECS.ThrottlingException")
        self.engine.control("POST", "/faults", fault)
        self.assertEqual(self.run_sync("throttled")["error"], "ECS.ThrottlingException")

    def test_a_task_can_be_missing_at_first(self):
        self.define("late")
        self.turn(tasks_late=3600)
        arn = self.run_task("late", "sleep 30")["taskArn"]
        described = self.ecs.describe_tasks(cluster="c", tasks=[arn])
        self.assertEqual((described["tasks"], described["failures"]), ([], [{"arn": arn, "reason": "MISSING"}]))
        self.assertNotIn(arn, self.ecs.list_tasks(cluster="c", family="late")["taskArns"])
        self.turn(tasks_late=0)
        self.assertEqual(self.task(arn)["taskArn"], arn)
        self.ecs.stop_task(cluster="c", task=arn)

    def test_tags_can_be_missing(self):
        self.define("untagged")
        arn = self.run_task("untagged", "exit 0", tags=[{"key": "a", "value": "b"}])["taskArn"]
        tags = lambda: self.ecs.describe_tasks(cluster="c", tasks=[arn], include=["TAGS"])["tasks"][0]["tags"]
        self.assertEqual(tags(), [{"key": "a", "value": "b"}])
        self.turn(tags_missing=True)
        self.assertEqual(tags(), [])

    def test_the_stop_of_a_task_that_is_gone_is_spelled_either_way(self):
        self.define("gone")
        arn = self.run_task("gone", "exit 0")["taskArn"]
        self.task_is(arn, "STOPPED")
        stop = lambda: self.ecs.stop_task(cluster="c", task=arn)
        stop()
        self.turn(stopped_tasks_gone=True)
        self.assertEqual(self.error_code(stop), "InvalidParameterException")
        self.turn(gone_task_as="ClientException")
        self.assertEqual(self.error_code(stop), "ClientException")

    def events_of(self, family: str) -> list[str]:
        """The states that events told of a task, in their order."""
        url = self.sqs.create_queue(QueueName=family)["QueueUrl"]
        pattern = {"source": ["aws.ecs"], "detail": {"group": [f"family:{family}"]}}
        self.events.put_rule(Name=family, EventPattern=json.dumps(pattern))
        target = {"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:000000000000:{family}"}
        self.events.put_targets(Rule=family, Targets=[target])
        self.define(family)
        self.task_is(self.run_task(family, "exit 0")["taskArn"], "STOPPED")
        seen: list[str] = []

        def look() -> bool:
            for message in self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                seen.append(json.loads(message["Body"])["detail"]["lastStatus"])
            return {"RUNNING", "STOPPED"} <= set(seen) and len(seen) % 2 == 0

        until("the events", look)
        return seen

    def test_events_come_in_order_and_once(self):
        self.assertEqual(self.events_of("ordered"), ["RUNNING", "STOPPED"])

    def test_events_can_come_twice(self):
        self.turn(events_twice=True)
        self.assertEqual(sorted(self.events_of("repeated")), ["RUNNING", "RUNNING", "STOPPED", "STOPPED"])

    def test_events_can_come_out_of_order(self):
        self.turn(events_out_of_order=True)
        self.assertEqual(self.events_of("disordered"), ["STOPPED", "RUNNING"])

    def test_events_can_come_late(self):
        self.turn(events_late=0.5)
        self.assertEqual(self.events_of("delayed"), ["RUNNING", "STOPPED"])

    def test_a_function_url_answers_for_itself(self):
        file = self.engine.state_dir / "ran"
        self.function("door", f"with open({str(file)!r}, 'a') as f: f.write('x')\nreturn {{'statusCode': 200}}")
        url = self.functions.create_function_url_config(FunctionName="door", AuthType="NONE")["FunctionUrl"]
        host = url.split("/")[2]

        def post(text: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", self.engine.ready["port"], timeout=60)
            try:
                connection.request("POST", "/", text, {"Host": host})
                return connection.getresponse().status
            finally:
                connection.close()

        order = {"service": "lambda", "operation": "InvokeFunctionUrl", "match": "job-7"}
        for status in (429, 403):
            self.engine.control("POST", "/faults", {**order, "status": status})
            self.assertEqual((post("job-8"), file.read_text()), (200, "x"))
            self.assertEqual((post("job-7"), file.read_text()), (status, "x"))
            file.unlink()
        self.engine.control("POST", "/faults", {**order, "status": 408, "effect": "lost"})
        self.assertEqual((post("job-7"), file.read_text()), (408, "x"))


class StartTest(EngineTestCase):
    options = ("--switch", "tasks-late=0.25", "--switch", "events-twice", "--switch", 'gone-task-as="ClientException"')

    def test_switches_are_turned_at_the_start(self):
        switches = self.engine.control("GET", "/switches")
        turned = (switches["tasks-late"], switches["events-twice"], switches["gone-task-as"])
        self.assertEqual(turned, (0.25, True, "ClientException"))
        self.engine.control("POST", "/switches", {"events-twice": False})
        self.engine.control("DELETE", "/switches")
        self.assertTrue(self.engine.control("GET", "/switches")["events-twice"])

    def test_an_unknown_switch_is_refused_at_the_start(self):
        with self.assertRaisesRegex(AssertionError, "evnts"):
            Engine("--switch", "evnts=1")
