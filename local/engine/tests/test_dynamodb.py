"""DynamoDB: tables of stacks, conditional writes, and one winner among many clients."""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import botocore.exceptions
from support import EngineTestCase, until

FAILED = "ConditionalCheckFailedException"

SCHEMA = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
    "SSESpecification": {"SSEEnabled": True},
}


def ticket(number: int, **more: Any) -> dict:
    return {"pk": {"S": "stock#family"}, "sk": {"S": f"slot#{number:02}"}, **more}


class ItemTest(EngineTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.table(cls, "pool", "pk", "sk")

    def at_once(self, clients: int, call: Callable[[Any, int], Any]) -> list[str]:
        """Calls from many clients at the same time; each one's error code, empty for a success."""
        barrier, codes = threading.Barrier(clients), [""] * clients

        def work(number: int) -> None:
            barrier.wait()
            try:
                call(self.dynamodb, number)
            except botocore.exceptions.ClientError as error:
                codes[number] = error.response["Error"]["Code"]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return codes

    def get(self, key: dict) -> dict | None:
        return self.dynamodb.get_item(TableName="pool", Key=key, ConsistentRead=True).get("Item")

    def test_one_of_twenty_clients_deletes_a_ticket(self):
        for round_number in range(5):
            name = {"S": f"id-{round_number}"}
            self.dynamodb.put_item(TableName="pool", Item=ticket(1, id=name, state={"S": "ready"}))
            codes = self.at_once(
                20,
                lambda client, _number, name=name: client.delete_item(
                    TableName="pool",
                    Key=ticket(1),
                    ConditionExpression="id = :id AND #state = :ready",
                    ExpressionAttributeNames={"#state": "state"},
                    ExpressionAttributeValues={":id": name, ":ready": {"S": "ready"}},
                ),
            )
            self.assertEqual(sorted(codes), [""] + [FAILED] * 19)

    def test_one_of_twenty_clients_takes_a_free_slot(self):
        codes = self.at_once(
            20,
            lambda client, number: client.put_item(
                TableName="pool",
                Item=ticket(2, id={"S": str(number)}),
                ConditionExpression="attribute_not_exists(pk)",
            ),
        )
        self.assertEqual(sorted(codes), [""] + [FAILED] * 19)
        self.assertEqual(self.get(ticket(2))["id"], {"S": str(codes.index(""))})

    def test_twenty_clients_count_to_twenty(self):
        key = {"pk": {"S": "share#f#o/r#1"}, "sk": {"S": "share"}}
        increment = {"UpdateExpression": "ADD taken :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
        codes = self.at_once(20, lambda client, _number: client.update_item(TableName="pool", Key=key, **increment))
        self.assertEqual(set(codes), {""})
        self.assertEqual(self.get(key)["taken"], {"N": "20"})
        limit = {**increment["ExpressionAttributeValues"], ":limit": {"N": "20"}}
        more = {**increment, "ExpressionAttributeValues": limit, "ConditionExpression": "taken < :limit"}
        refused = self.error_code(lambda: self.dynamodb.update_item(TableName="pool", Key=key, **more))
        self.assertEqual(refused, FAILED)

    def test_one_of_two_takes_a_bell_back_or_answers_it(self):
        key = {"pk": {"S": "bell#1"}, "sk": {"S": "bell"}}
        said = lambda condition, what: {
            "TableName": "pool",
            "Key": key,
            "UpdateExpression": "SET what = :what",
            "ConditionExpression": condition,
            "ExpressionAttributeValues": {":ring": {"S": "ring"}, ":what": {"S": what}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        calls = [said("what = :ring", "taken"), said("attribute_not_exists(pk) OR what = :ring", "leave")]
        for _ in range(10):
            self.dynamodb.put_item(TableName="pool", Item={**key, "what": {"S": "ring"}})
            codes = self.at_once(2, lambda client, number: client.update_item(**calls[number]))
            self.assertEqual(sorted(codes), ["", FAILED])
            self.assertEqual(self.get(key)["what"], {"S": ["taken", "leave"][codes.index("")]})
        self.dynamodb.delete_item(TableName="pool", Key=key)
        self.assertEqual(self.error_code(lambda: self.dynamodb.update_item(**calls[0])), FAILED)
        self.assertIsNone(self.get(key))
        self.dynamodb.update_item(**calls[1])
        self.assertEqual(self.get(key)["what"], {"S": "leave"})

    def test_a_write_returns_what_it_was_asked_for(self):
        key = ticket(3)
        set_ended = {"TableName": "pool", "Key": key, "UpdateExpression": "SET ended = :true"}
        set_ended["ExpressionAttributeValues"] = {":true": {"BOOL": True}}
        only_waiting = {**set_ended, "ConditionExpression": "attribute_exists(#token)"}
        only_waiting["ExpressionAttributeNames"] = {"#token": "token"}
        self.assertEqual(self.error_code(lambda: self.dynamodb.update_item(**only_waiting)), FAILED)
        self.assertIsNone(self.get(key))
        self.dynamodb.put_item(TableName="pool", Item={**key, "token": {"S": "t"}})
        updated = self.dynamodb.update_item(**only_waiting, ReturnValues="ALL_NEW")
        self.assertEqual(updated["Attributes"], {**key, "token": {"S": "t"}, "ended": {"BOOL": True}})
        put = {"TableName": "pool", "Item": key, "ConditionExpression": "attribute_not_exists(ended)"}
        with self.assertRaises(botocore.exceptions.ClientError) as refused:
            self.dynamodb.put_item(**put, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        self.assertEqual(refused.exception.response["Error"]["Code"], FAILED)
        self.assertEqual(refused.exception.response["Item"]["token"], {"S": "t"})
        deleted = self.dynamodb.delete_item(TableName="pool", Key=key, ReturnValues="ALL_OLD")
        self.assertEqual(deleted["Attributes"]["ended"], {"BOOL": True})
        self.assertNotIn("Attributes", self.dynamodb.delete_item(TableName="pool", Key=key, ReturnValues="ALL_OLD"))

    def test_a_query_returns_the_tickets_of_a_family(self):
        for number in (10, 11, 12):
            self.dynamodb.put_item(
                TableName="pool",
                Item={**ticket(number), "pk": {"S": "stock#asked"}, "revision": {"N": str(number)}},
            )
        self.dynamodb.put_item(TableName="pool", Item={"pk": {"S": "stock#asked"}, "sk": {"S": "keeper"}})
        found = self.dynamodb.query(
            TableName="pool",
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :slot)",
            FilterExpression="revision >= :revision",
            ExpressionAttributeValues={
                ":pk": {"S": "stock#asked"},
                ":slot": {"S": "slot#"},
                ":revision": {"N": "11"},
            },
        )
        self.assertEqual([item["sk"]["S"] for item in found["Items"]], ["slot#11", "slot#12"])

    def test_faults_reject_delay_and_lose_calls(self):
        order = {"service": "dynamodb", "operation": "DeleteItem", "match": "slot#20"}
        delete = lambda: self.dynamodb.delete_item(TableName="pool", Key=ticket(20))
        self.dynamodb.put_item(TableName="pool", Item=ticket(20))
        self.engine.control("POST", "/faults", {**order, "error": "ProvisionedThroughputExceededException"})
        self.assertEqual(self.error_code(delete), "ProvisionedThroughputExceededException")
        self.assertIsNotNone(self.get(ticket(20)))
        self.engine.control("POST", "/faults", {**order, "effect": "delay", "seconds": 0.3})
        started = time.monotonic()
        delete()
        self.assertGreaterEqual(time.monotonic() - started, 0.3)
        self.dynamodb.put_item(TableName="pool", Item=ticket(20))
        lost = {**order, "effect": "lost", "error": "InternalServerError", "status": 500}
        self.engine.control("POST", "/faults", lost)
        self.assertEqual(self.error_code(delete), "InternalServerError")
        self.assertIsNone(self.get(ticket(20)))

    def test_items_can_be_made_older(self):
        born = int(time.time())
        number = lambda value: {"N": str(value)}
        item = ticket(21, id={"S": "aged-ticket"}, born=number(born), revision=number(7), expires=number(born + 60))
        self.dynamodb.put_item(TableName="pool", Item=item)
        self.dynamodb.put_item(TableName="pool", Item=ticket(22, id={"S": "young"}, born=number(born)))
        self.assertEqual(self.engine.control("POST", "/ages", {"match": "aged-ticket", "seconds": 90}), {"aged": 1})
        aged = self.get(ticket(21))
        self.assertEqual((aged["born"], aged["expires"]), (number(born - 90), number(born - 30)))
        self.assertEqual((aged["revision"], self.get(ticket(22))["born"]), (number(7), number(born)))


class StackTest(EngineTestCase):
    def deployed(self, kind: str, name: str, **properties: Any) -> None:
        pool = {"Type": f"AWS::DynamoDB::{kind}", "Properties": {**SCHEMA, "TableName": name, **properties}}
        outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Pool", "Arn"]}}, "Name": {"Value": {"Ref": "Pool"}}}
        template = json.dumps({"Resources": {"Pool": pool}, "Outputs": outputs})
        self.cloudformation.create_stack(StackName=name, TemplateBody=template)

        def look() -> dict | None:
            stack = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            return stack if stack["StackStatus"].endswith(("_COMPLETE", "_FAILED")) else None

        stack = until("the stack", look)
        self.assertEqual(stack["StackStatus"], "CREATE_COMPLETE")
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}"
        self.assertEqual(outputs, {"Arn": arn, "Name": name})

    def test_a_stack_makes_an_on_demand_table_with_its_time_to_live_and_encryption(self):
        for kind, more in (("Table", {}), ("GlobalTable", {"Replicas": [{"Region": "us-east-1"}]})):
            name = f"made-{kind}"
            self.deployed(kind, name, **more)
            table = self.dynamodb.describe_table(TableName=name)["Table"]
            self.assertEqual(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
            self.assertEqual(table["SSEDescription"]["Status"], "ENABLED")
            lifetime = self.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            self.assertEqual(lifetime, {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"})
            self.dynamodb.put_item(TableName=name, Item=ticket(1))
            self.cloudformation.delete_stack(StackName=name)
            gone = lambda name=name: name not in self.dynamodb.list_tables()["TableNames"]
            until("the table's end", gone)


class RoleTest(EngineTestCase):
    """A task's role reads and deletes its own kind of items, and nothing else."""

    options = ("--enforce-iam",)

    def test_a_role_is_held_to_its_actions_its_table_and_its_leading_keys(self):
        for name in ("bells", "other"):
            self.table(name, "pk", "sk")
        allowed = {
            "Action": ["dynamodb:GetItem", "dynamodb:DeleteItem"],
            "Resource": "arn:aws:dynamodb:us-east-1:000000000000:table/bells",
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["bell#*"]}},
        }
        self.define("listening", role=self.role("listener-role", allowed))
        code = (
            "import botocore.session as b\n"
            "client = b.get_session().create_client('dynamodb', region_name='us-east-1')\n"
            "bell, stock = ({'pk': {'S': k}, 'sk': {'S': 's'}} for k in ('bell#1', 'stock#f'))\n"
            "query = dict(KeyConditionExpression='pk = :k', ExpressionAttributeValues={':k': {'S': 'bell#1'}})\n"
            "for call, request in ((client.get_item, {'Key': bell}), (client.delete_item, {'Key': bell}),\n"
            "  (client.get_item, {'Key': stock}), (client.delete_item, {'Key': stock}), (client.query, query),\n"
            "  (client.put_item, {'Item': bell}), (client.scan, {}),\n"
            "  (client.update_item, {'Key': bell, 'UpdateExpression': 'REMOVE x'}),\n"
            "  (client.get_item, {'Key': bell, 'TableName': 'other'})):\n"
            "  try: call(**{'TableName': 'bells', **request}); print('done')\n"
            "  except Exception as error: print(error.response['Error']['Code'])\n"
            "for call, request in ((client.batch_get_item, {'bells': {'Keys': [bell]}}),\n"
            "  (client.batch_write_item, {'bells': [{'DeleteRequest': {'Key': stock}}]})):\n"
            "  try: print(call(RequestItems=request))\n"
            "  except Exception as error: print(error.response['Error']['Code'])\n"
            "get = [{'Get': {'TableName': 'bells', 'Key': stock}}]\n"
            "try: print(client.transact_get_items(TransactItems=get))\n"
            "except Exception as error: print(error.response['Error']['Code'])\n"
        )
        arn = self.run_task("listening", f'{sys.executable} -c "{code}"')["taskArn"]
        self.task_is(arn, "STOPPED")
        self.assertEqual(self.engine.task_log(arn).splitlines(), ["done"] * 2 + ["AccessDeniedException"] * 10)
        calls = self.engine.control("GET", "/calls?service=dynamodb&operation=GetItem&error=AccessDeniedException")
        denied = "dynamodb:GetItem on arn:aws:dynamodb:us-east-1:000000000000:table/bells"
        self.assertEqual(calls["calls"][0]["denied"], denied)

    def test_a_query_is_held_to_its_partition_key(self):
        self.table("asked", "pk", "sk")
        allowed = {
            "Action": "dynamodb:Query",
            "Resource": "arn:aws:dynamodb:us-east-1:000000000000:table/asked",
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["stock#*"]}},
        }
        body = (
            "import botocore.session as b\n"
            "client = b.get_session().create_client('dynamodb', region_name='us-east-1')\n"
            "values = {':k': {'S': event['key']}, ':s': {'S': 'slot#'}}\n"
            "condition = '#pk = :k AND begins_with(sk, :s)'\n"
            "try: return client.query(TableName='asked', KeyConditionExpression=condition,"
            " ExpressionAttributeNames={'#pk': 'pk'}, ExpressionAttributeValues=values)['Count']\n"
            "except Exception as error: return error.response['Error']['Code']"
        )
        self.function("asking", body, Role=self.role("asking-role", allowed), Timeout=60)
        ask = lambda key: json.load(
            self.functions.invoke(FunctionName="asking", Payload=json.dumps({"key": key}).encode())["Payload"]
        )
        self.assertEqual((ask("stock#f"), ask("wait")), (0, "AccessDeniedException"))

    def test_a_state_machine_and_those_who_answer_it_need_permissions(self):
        self.table("tokens", "pk", "sk")
        arn = "arn:aws:dynamodb:us-east-1:000000000000:table/tokens"
        put = {"Action": "dynamodb:PutItem", "Resource": arn}
        item = {"pk": {"S": "wait"}, "sk": {"S": "{% $states.context.Execution.Name %}"}}
        item["token"] = {"S": "{% $states.context.Task.Token %}"}
        state = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken", "End": True}
        state["Arguments"] = {"TableName": "tokens", "Item": item}
        role = self.role("no-put-role", {**put, "Resource": arn + "-other"})
        refused = self.end(self.start(self.machine({"Wait": state}, role=role)))
        self.assertEqual(refused["error"], "DynamoDb.DynamoDbException")
        self.assertIn("is not authorized to perform: dynamodb:PutItem on resource: " + arn, refused["cause"])
        machine = self.machine({"Wait": state}, role=self.role("put-role", put))
        execution = self.start(machine, name="waits")
        key = {"pk": {"S": "wait"}, "sk": {"S": "waits"}}
        read = lambda: self.dynamodb.get_item(TableName="tokens", Key=key).get("Item")
        token = until("the token", read)["token"]["S"]
        body = (
            "import botocore.session as b\n"
            "client = b.get_session().create_client('stepfunctions', region_name='us-east-1')\n"
            "try: client.send_task_success(taskToken=event['token'], output='1'); return 'done'\n"
            "except Exception as error: return error.response['Error']['Code']"
        )
        answers = []
        for name, resource in (("stranger", machine + "-other"), ("answerer", machine)):
            role = self.role(f"{name}-role", {"Action": "states:SendTaskSuccess", "Resource": resource})
            self.function(name, body, Role=role, Timeout=60)
            payload = json.dumps({"token": token}).encode()
            answers.append(json.load(self.functions.invoke(FunctionName=name, Payload=payload)["Payload"]))
        self.assertEqual(answers, ["AccessDeniedException", "done"])
        self.assertEqual(self.end(execution)["output"], 1)
