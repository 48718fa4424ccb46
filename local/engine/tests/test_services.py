"""Parameter Store, functions, queues and stacks."""

import io
import json
import zipfile

from support import EngineTestCase, until


class ParameterTest(EngineTestCase):
    def put(self, name: str, value: str, **more):
        return self.ssm.put_parameter(Name=name, Value=value, Type="SecureString", **more)

    def test_a_standard_parameter_holds_4096_characters_and_an_advanced_one_8192(self):
        self.assertEqual(self.put("/size/fits", "x" * 4096)["Tier"], "Standard")
        self.assertEqual(self.error_code(lambda: self.put("/size/standard", "x" * 4097)), "ValidationException")
        explicit = lambda: self.put("/size/explicit", "x" * 4097, Tier="Standard")
        self.assertEqual(self.error_code(explicit), "ValidationException")
        self.assertEqual(self.put("/size/advanced", "x" * 4097, Tier="Advanced")["Tier"], "Advanced")
        too_large = lambda: self.put("/size/too-large", "x" * 8193, Tier="Advanced")
        self.assertEqual(self.error_code(too_large), "ValidationException")

    def test_a_name_that_aws_refuses_is_refused(self):
        self.assertEqual(self.error_code(lambda: self.put("/a/b c", "x")), "ValidationException")
        self.assertEqual(self.error_code(lambda: self.put("/a" * 16, "x")), "HierarchyLevelLimitExceededException")

    def test_parameters_are_found_by_prefix_and_by_path(self):
        for name in ("/find/one/a", "/find/one/b", "/find/onerous"):
            self.put(name, "v")
        filters = [{"Key": "Name", "Option": "BeginsWith", "Values": ["/find/one/"]}]
        found = self.ssm.describe_parameters(ParameterFilters=filters)["Parameters"]
        self.assertEqual([item["Name"] for item in found], ["/find/one/a", "/find/one/b"])
        found = self.ssm.get_parameters_by_path(Path="/find/one", WithDecryption=True)["Parameters"]
        self.assertEqual(
            [(item["Name"], item["Value"]) for item in found], [("/find/one/a", "v"), ("/find/one/b", "v")]
        )

    def test_a_secure_string_is_decrypted_only_on_request_and_deleted_once(self):
        self.put("/secret/a", "hidden", Tags=[{"Key": "k", "Value": "v"}])
        self.assertNotEqual(self.ssm.get_parameter(Name="/secret/a")["Parameter"]["Value"], "hidden")
        decrypted = self.ssm.get_parameter(Name="/secret/a", WithDecryption=True)["Parameter"]
        self.assertEqual((decrypted["Value"], decrypted["Type"]), ("hidden", "SecureString"))
        self.ssm.delete_parameter(Name="/secret/a")
        self.assertEqual(self.error_code(lambda: self.ssm.delete_parameter(Name="/secret/a")), "ParameterNotFound")


class FunctionTest(EngineTestCase):
    def writer(self, name: str, before: str = "", **more):
        """A function that appends its event to a file, and that file."""
        file = self.engine.state_dir / name
        body = f"import json\nwith open({str(file)!r}, 'a') as f:\n    f.write(json.dumps(event) + chr(10))\n{before}"
        return self.function(name, body + "\nreturn 'done'", **more), file

    def events_in(self, file, count: int) -> list:
        def look():
            lines = file.read_text().splitlines() if file.exists() else []
            return lines if len(lines) >= count else None

        return [json.loads(line) for line in until(f"{count} events in {file.name}", look)]

    def test_an_asynchronous_invocation_is_accepted_and_carried_out(self):
        _, file = self.writer("later")
        answer = self.functions.invoke(FunctionName="later", InvocationType="Event", Payload=b'{"a":1}')
        self.assertEqual(answer["StatusCode"], 202)
        self.assertEqual(self.events_in(file, 1), [{"a": 1}])

    def test_a_variable_that_names_a_file_of_a_layer_names_it_where_it_was_unpacked(self):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("list.pem", "trusted")
        layer = self.functions.publish_layer_version(LayerName="list", Content={"ZipFile": archive.getvalue()})
        self.function(
            "layered",
            "import os\nreturn [open(os.environ['LIST']).read(), os.environ['OTHER']]",
            Layers=[layer["LayerVersionArn"]],
            Environment={"Variables": {"LIST": "/opt/list.pem", "OTHER": "/opt/nothing"}},
        )
        answer = self.functions.invoke(FunctionName="layered", Payload=b"{}")
        self.assertEqual(json.load(answer["Payload"]), ["trusted", "/opt/nothing"])

    def test_a_queue_feeds_its_consumer(self):
        arn, file = self.writer("consumer")
        queue = self.sqs.create_queue(QueueName="fed")["QueueUrl"]
        source = "arn:aws:sqs:us-east-1:000000000000:fed"
        self.functions.create_event_source_mapping(
            FunctionName=arn, EventSourceArn=source, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"]
        )
        self.sqs.send_message(QueueUrl=queue, MessageBody='{"job":1}')
        record = self.events_in(file, 1)[0]["Records"][0]
        self.assertEqual((record["body"], record["eventSource"]), ('{"job":1}', "aws:sqs"))

    def test_an_event_whose_function_fails_is_delivered_again(self):
        arn, file = self.writer("flaky", "if len(open(f.name).readlines()) < 2:\n    raise ValueError('once')")
        self.events.put_rule(Name="flaky", EventPattern=json.dumps({"source": ["mine"]}))
        self.events.put_targets(Rule="flaky", Targets=[{"Id": "f", "Arn": arn}])
        self.events.put_events(Entries=[{"Source": "mine", "DetailType": "d", "Detail": "{}"}])
        self.assertEqual(len(self.events_in(file, 2)), 2)

    def test_a_function_gets_nothing_of_the_engine_environment_but_the_endpoint(self):
        self.function("environment", "import os\nreturn dict(os.environ)", Environment={"Variables": {"MINE": "1"}})
        environment = json.load(self.functions.invoke(FunctionName="environment", Payload=b"{}")["Payload"])
        self.assertEqual(environment["AWS_ENDPOINT_URL"], self.engine.ready["endpoint"])
        self.assertEqual(environment["MINE"], "1")
        others = {name for name in environment if not name.startswith(("AWS_", "_", "LAMBDA_"))}
        self.assertLessEqual(others, {"PATH", "HOME", "TMPDIR", "LANG", "GATEWAY_PORT", "LC_CTYPE", "MINE"})


class StackTest(EngineTestCase):
    def test_a_cluster_is_given_its_capacity_providers_by_a_stack(self):
        template = {
            "Resources": {
                "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "stacked"}},
                "Providers": {
                    "Type": "AWS::ECS::ClusterCapacityProviderAssociations",
                    "Properties": {
                        "Cluster": {"Ref": "Cluster"},
                        "CapacityProviders": ["FARGATE", "FARGATE_SPOT"],
                        "DefaultCapacityProviderStrategy": [],
                    },
                },
            }
        }
        self.cloudformation.create_stack(StackName="providers", TemplateBody=json.dumps(template))

        def look():
            status = self.cloudformation.describe_stacks(StackName="providers")["Stacks"][0]["StackStatus"]
            return None if status.endswith("IN_PROGRESS") else status

        self.assertEqual(until("the stack", look), "CREATE_COMPLETE")
        cluster = self.ecs.describe_clusters(clusters=["stacked"])["clusters"][0]
        self.assertEqual(cluster["capacityProviders"], ["FARGATE", "FARGATE_SPOT"])

    def test_an_alarm_on_an_expression_is_recorded_with_its_first_metric(self):
        metric = {"Namespace": "n", "MetricName": "unsigned", "Dimensions": [{"Name": "a", "Value": "b"}]}
        template = {
            "Resources": {
                "Alarm": {
                    "Type": "AWS::CloudWatch::Alarm",
                    "Properties": {
                        "AlarmName": "math",
                        "ComparisonOperator": "GreaterThanThreshold",
                        "EvaluationPeriods": 1,
                        "Threshold": 10,
                        "Metrics": [
                            {"Id": "e", "Expression": "IF(m > 1, m, 0)"},
                            {
                                "Id": "m",
                                "MetricStat": {"Metric": metric, "Period": 900, "Stat": "Sum"},
                                "ReturnData": False,
                            },
                        ],
                    },
                },
            }
        }
        self.cloudformation.create_stack(StackName="math", TemplateBody=json.dumps(template))

        def look():
            status = self.cloudformation.describe_stacks(StackName="math")["Stacks"][0]["StackStatus"]
            return None if status.endswith("IN_PROGRESS") else status

        self.assertEqual(until("the stack", look), "CREATE_COMPLETE")
