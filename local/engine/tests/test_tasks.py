"""ECS tasks as local processes."""

import json
import sys

from support import EngineTestCase, until


class TaskTest(EngineTestCase):
    def test_a_container_runs_the_agent_in_a_clean_environment_and_a_fresh_home(self):
        self.define("plain", environment=[{"name": "GIVEN", "value": "by the definition"}])
        arn = self.run_task("plain", "env; pwd; ls bin")["taskArn"]
        task = self.task_is(arn, "STOPPED")
        self.assertEqual(task["containers"][0]["exitCode"], 0)
        log = self.engine.task_log(arn)
        environment = dict(line.split("=", 1) for line in log.splitlines() if "=" in line)
        self.assertEqual(environment["GIVEN"], "by the definition")
        self.assertEqual(environment["AWS_ENDPOINT_URL"], self.engine.ready["endpoint"])
        self.assertIn(environment["AGENT_RUNNER_HOME"], log.splitlines())
        self.assertIn("Runner.Listener", log)
        self.assertNotIn("host.docker.internal", log)
        known = {"PATH", "HOME", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_", "GIVEN", "SCRIPT", "AGENT_RUNNER_HOME"}
        self.assertEqual([name for name in set(environment) - known if not name.startswith(("AWS_", "ECS_"))], [])

    def test_the_exit_code_is_the_process_own(self):
        self.define("exits")
        task = self.task_is(self.run_task("exits", "exit 7")["taskArn"], "STOPPED")
        self.assertEqual(task["containers"][0]["exitCode"], 7)
        self.assertEqual(task["stopCode"], "EssentialContainerExited")

    def test_stop_task_lets_the_process_end_in_order(self):
        self.define("orderly")
        arn = self.run_task("orderly", "trap 'exit 42' TERM; echo up; while :; do sleep 0.05; done")["taskArn"]
        self.task_is(arn, "RUNNING")
        until("the trap", lambda: "up" in self.engine.task_log(arn))
        stopping = self.ecs.stop_task(cluster="c", task=arn, reason="by hand")["task"]
        self.assertEqual((stopping["lastStatus"], stopping["desiredStatus"]), ("RUNNING", "STOPPED"))
        self.assertEqual(self.ecs.list_tasks(cluster="c", family="orderly")["taskArns"], [])
        task = self.task_is(arn, "STOPPED")
        self.assertEqual(task["containers"][0]["exitCode"], 42)
        self.assertEqual((task["stopCode"], task["stoppedReason"]), ("UserInitiated", "by hand"))

    def test_a_process_that_ignores_sigterm_is_killed_after_the_stop_timeout(self):
        self.define("stubborn", stopTimeout=1)
        arn = self.run_task("stubborn", "trap '' TERM; echo up; while :; do sleep 0.05; done")["taskArn"]
        self.task_is(arn, "RUNNING")
        until("the trap", lambda: "up" in self.engine.task_log(arn))
        self.ecs.stop_task(cluster="c", task=arn)
        task = self.task_is(arn, "STOPPED")
        self.assertEqual(task["containers"][0]["exitCode"], 137)

    def test_nothing_of_a_task_survives_its_first_process(self):
        self.define("family")
        arn = self.run_task("family", "sleep 1000 & echo child=$!; exit 0")["taskArn"]
        self.task_is(arn, "STOPPED")
        child = self.engine.task_log(arn).strip().removeprefix("child=")
        until("the child's end", lambda: not _alive(child))
        homes = self.engine.state_dir / "state" / "tasks"
        until("the home's end", lambda: not (homes / arn.rsplit("/", 1)[-1]).exists())

    def test_an_image_that_cannot_be_pulled_stops_the_task_before_it_starts(self):
        self.define("no-image", image="missing/runner:1")
        task = self.task_is(self.run_task("no-image", "exit 0")["taskArn"], "STOPPED")
        self.assertEqual(task["stopCode"], "TaskFailedToStart")
        self.assertTrue(task["stoppedReason"].startswith("CannotPullContainerError: "), task["stoppedReason"])
        self.assertNotIn("exitCode", task["containers"][0])

    def test_a_task_shows_its_overridden_size(self):
        self.define("sized")
        request = self.run_task_request("sized", "exit 0")
        request["overrides"] |= {"cpu": "1024", "memory": "4096", "ephemeralStorage": {"sizeInGiB": 50}}
        started = self.ecs.run_task(**request)["tasks"][0]
        for task in (started, self.task_is(started["taskArn"], "STOPPED")):
            self.assertEqual((task["cpu"], task["memory"]), ("1024", "4096"))
            self.assertEqual(task["ephemeralStorage"], {"sizeInGiB": 50})
            self.assertNotIn("containerInstanceArn", task)

    def test_task_state_changes_reach_event_rules(self):
        queue = self.sqs.create_queue(QueueName="task-events")["QueueUrl"]
        pattern = {"source": ["aws.ecs"], "detail": {"group": ["family:eventful"]}}
        self.events.put_rule(Name="tasks", EventPattern=json.dumps(pattern))
        self.events.put_targets(
            Rule="tasks", Targets=[{"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:task-events"}]
        )
        self.define("eventful")
        arn = self.run_task("eventful", "exit 3", startedBy="me", tags=[{"key": "a", "value": "b"}])["taskArn"]
        received = {}

        def look() -> bool:
            for message in self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                event = json.loads(message["Body"])
                received[event["detail"]["lastStatus"]] = event
            return "STOPPED" in received and "RUNNING" in received

        until("both events", look)
        event = received["STOPPED"]
        detail = event["detail"]
        self.assertEqual(event["detail-type"], "ECS Task State Change")
        self.assertEqual((event["resources"], detail["taskArn"]), ([arn], arn))
        self.assertEqual(detail["clusterArn"], "arn:aws:ecs:us-east-1:000000000000:cluster/c")
        self.assertEqual((detail["stopCode"], detail["containers"][0]["exitCode"]), ("EssentialContainerExited", 3))
        self.assertEqual((detail["startedBy"], detail["launchType"]), ("me", "FARGATE"))
        self.assertEqual(detail["overrides"]["containerOverrides"][0]["name"], "runner")
        self.assertLessEqual({"createdAt", "startedAt", "stoppedAt", "taskDefinitionArn", "version"}, set(detail))
        self.assertNotIn("stopCode", received["RUNNING"]["detail"])

    def test_output_is_forwarded_to_the_log_stream_that_ecs_would_name(self):
        options = {"awslogs-group": "/tasks", "awslogs-stream-prefix": "p", "awslogs-create-group": "true"}
        self.define("logging", logConfiguration={"logDriver": "awslogs", "options": options})
        arn = self.run_task("logging", "echo one; printf 'two\nlast'")["taskArn"]
        self.task_is(arn, "STOPPED")
        stream = f"p/runner/{arn.rsplit('/', 1)[-1]}"
        logs = self.engine.client("logs")

        def look() -> bool:
            streams = logs.describe_log_streams(logGroupName="/tasks")["logStreams"]
            if not any(item["logStreamName"] == stream for item in streams):
                return False
            events = logs.get_log_events(logGroupName="/tasks", logStreamName=stream)["events"]
            return [event["message"] for event in events] == ["one", "two", "last"]

        until("the lines", look)

    def test_tags_of_the_task_definition_are_propagated_and_shown_on_request(self):
        arn = self.define("tagged")
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "definition"}, {"key": "b", "value": "2"}])
        request = {"tags": [{"key": "a", "value": "request"}], "propagateTags": "TASK_DEFINITION"}
        task = self.run_task("tagged", "exit 0", **request, enableECSManagedTags=True)["taskArn"]
        self.assertEqual(self.task(task)["tags"], [])
        shown = self.ecs.describe_tasks(cluster="c", tasks=[task], include=["TAGS"])["tasks"][0]["tags"]
        values = {tag["key"]: tag["value"] for tag in shown}
        self.assertEqual(values, {"a": "request", "b": "2", "aws:ecs:clusterName": "c"})

    def shown_tags(self, arn: str) -> dict[str, str]:
        shown = self.ecs.describe_tasks(cluster="c", tasks=[arn], include=["TAGS"])["tasks"][0]["tags"]
        return {tag["key"]: tag["value"] for tag in shown}

    def test_tags_of_a_running_task_can_be_added(self):
        self.define("adopted")
        arn = self.run_task("adopted", "sleep 60", tags=[{"key": "a", "value": "1"}])["taskArn"]
        tags = [{"key": "a", "value": "2"}, {"key": "runner", "value": "r"}]
        self.ecs.tag_resource(resourceArn=arn, tags=tags)
        self.assertEqual(self.shown_tags(arn), {"a": "2", "runner": "r"})
        for bad in ([{"key": "k", "value": "a;b"}], [{"key": str(n), "value": ""} for n in range(49)]):
            refused = self.error_code(lambda bad=bad: self.ecs.tag_resource(resourceArn=arn, tags=bad))
            self.assertEqual(refused, "InvalidParameterException")
        self.assertEqual(self.shown_tags(arn), {"a": "2", "runner": "r"})
        self.ecs.stop_task(cluster="c", task=arn)

    def test_a_client_token_starts_a_task_once(self):
        self.define("tokened")
        token = {"clientToken": "0123456789abcdef" * 2, "group": "warm"}
        first = self.run_task("tokened", "sleep 60", **token)["taskArn"]
        self.assertEqual(self.run_task("tokened", "sleep 60", **token)["taskArn"], first)
        self.ecs.stop_task(cluster="c", task=first)
        self.task_is(first, "STOPPED")
        again = self.run_task("tokened", "sleep 60", **token)
        self.assertEqual((again["taskArn"], again["lastStatus"]), (first, "STOPPED"))
        other = lambda **more: self.run_task("tokened", "exit 0", **{**token, **more})
        self.assertEqual(self.error_code(other), "ConflictException")
        self.assertEqual(self.error_code(lambda: other(clientToken="x" * 65)), "InvalidParameterException")
        self.assertNotEqual(other(clientToken="another")["taskArn"], first)

    def test_a_lost_answer_of_a_client_token_gives_the_same_task(self):
        self.define("lost")
        order = {"service": "ecs", "operation": "RunTask", "effect": "lost", "error": "ServerException", "status": 500}
        self.engine.control("POST", "/faults", order)
        # It runs for longer than the test, so that it is in one list only.
        run = lambda: self.run_task("lost", "sleep 60", clientToken="lost-1")
        self.assertEqual(self.error_code(run), "ServerException")
        started = self.ecs.list_tasks(cluster="c", family="lost")["taskArns"]
        self.assertEqual([run()["taskArn"]], started)
        self.ecs.stop_task(cluster="c", task=started[0])

    def test_rules_tell_a_groups_beginnings_and_ends(self):
        for status in ("RUNNING", "STOPPED"):
            self.sqs.create_queue(QueueName=f"warm-{status}")
            detail = {"group": ["some:deployment:warm"], "lastStatus": [status]}
            pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": detail}
            self.events.put_rule(Name=f"warm-{status}", EventPattern=json.dumps(pattern))
            target = {"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:000000000000:warm-{status}"}
            self.events.put_targets(Rule=f"warm-{status}", Targets=[target])
        self.define("grouped")
        self.task_is(self.run_task("grouped", "exit 0")["taskArn"], "STOPPED")
        arn = self.run_task("grouped", "exit 0", group="some:deployment:warm")["taskArn"]
        for status in ("RUNNING", "STOPPED"):
            url = self.sqs.get_queue_url(QueueName=f"warm-{status}")["QueueUrl"]
            messages = until(f"{status}", lambda url=url: self.sqs.receive_message(QueueUrl=url).get("Messages"))
            detail = json.loads(messages[0]["Body"])["detail"]
            self.assertEqual((detail["taskArn"], detail["lastStatus"]), (arn, status))

    def test_a_task_role_credential_is_for_the_holder_of_the_task_token_alone(self):
        self.define("role", role="arn:aws:iam::000000000000:role/runner")
        code = (
            "import os, urllib.request as u\n"
            "url = os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']\n"
            "token = os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN']\n"
            "print(u.urlopen(u.Request(url, headers={'Authorization': token})).read().decode())\n"
            "try: u.urlopen(url)\n"
            "except OSError as error: print(error)\n"
        )
        arn = self.run_task("role", f'{sys.executable} -c "{code}"')["taskArn"]
        self.task_is(arn, "STOPPED")
        given, refused = self.engine.task_log(arn).splitlines()
        self.assertEqual(json.loads(given)["RoleArn"], "arn:aws:iam::000000000000:role/runner")
        self.assertIn("401", refused)

    def test_a_task_has_the_role_that_runtask_overrides(self):
        self.define("other-role", role="arn:aws:iam::000000000000:role/runner")
        code = (
            "import os, urllib.request as u\n"
            "token = os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN']\n"
            "request = u.Request(os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'], headers={'Authorization': token})\n"
            "print(u.urlopen(request).read().decode())\n"
        )
        request = self.run_task_request("other-role", f'{sys.executable} -c "{code}"')
        request["overrides"]["taskRoleArn"] = "arn:aws:iam::000000000000:role/deploy"
        arn = self.ecs.run_task(**request)["tasks"][0]["taskArn"]
        self.task_is(arn, "STOPPED")
        given = json.loads(self.engine.task_log(arn))
        self.assertEqual(given["RoleArn"], "arn:aws:iam::000000000000:role/deploy")


class RefusalTest(EngineTestCase):
    def refused(self, **more):
        return self.error_code(lambda: self.run_task("r", "exit 0", **more))

    def test_run_task_refuses_what_fargate_refuses(self):
        self.define("r")
        self.assertEqual(self.refused(networkConfiguration={}), "InvalidParameterException")
        self.assertEqual(self.refused(cluster="nowhere"), "ClusterNotFoundException")
        self.assertEqual(self.refused(taskDefinition="nothing"), "ClientException")
        self.assertEqual(self.refused(overrides={"cpu": "256", "memory": "4096"}), "ClientException")
        self.assertEqual(self.refused(overrides={"containerOverrides": [{"name": "x"}]}), "InvalidParameterException")
        self.assertEqual(self.refused(startedBy="not allowed!"), "InvalidParameterException")
        self.assertEqual(self.refused(tags=[{"key": "k", "value": "a;b"}]), "InvalidParameterException")
        strategy = [{"capacityProvider": "elsewhere", "weight": 1}]
        self.assertEqual(self.refused(capacityProviderStrategy=strategy), "InvalidParameterException")

    def test_a_task_on_its_instances_network_is_refused_with_a_network_of_its_own(self):
        self.ecs.register_task_definition(
            family="bridge",
            requiresCompatibilities=["EC2"],
            networkMode="bridge",
            containerDefinitions=[{"name": "runner", "image": "runner:latest", "essential": True, "memory": 512}],
        )
        request = self.run_task_request("bridge", "exit 0", launchType="EC2")
        self.assertEqual(self.error_code(lambda: self.ecs.run_task(**request)), "InvalidParameterException")
        del request["networkConfiguration"]
        self.assertEqual(len(self.ecs.run_task(**request)["tasks"]), 1)

    def test_a_family_means_its_newest_active_revision(self):
        first, second = self.define("revisions"), self.define("revisions")
        self.ecs.deregister_task_definition(taskDefinition=second)
        self.assertEqual(self.run_task("revisions", "exit 0")["taskDefinitionArn"], first)
        described = self.ecs.describe_task_definition(taskDefinition="revisions")["taskDefinition"]
        self.assertEqual(described["taskDefinitionArn"], first)
        self.assertEqual(
            self.error_code(lambda: self.run_task("revisions", "exit 0", taskDefinition=second)), "ClientException"
        )

    def test_a_capacity_provider_of_the_cluster_places_the_task(self):
        self.define("spot")
        task = self.run_task("spot", "exit 0", capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT"}])
        self.assertEqual((task["capacityProviderName"], task["launchType"]), ("FARGATE_SPOT", "FARGATE"))

    def test_families_are_paged(self):
        for family in ("page-a", "page-b", "page-c"):
            self.define(family)
        page = self.ecs.list_task_definition_families(familyPrefix="page-", maxResults=2)
        self.assertEqual(page["families"], ["page-a", "page-b"])
        rest = self.ecs.list_task_definition_families(familyPrefix="page-", maxResults=2, nextToken=page["nextToken"])
        self.assertEqual(rest["families"], ["page-c"])


def _alive(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
