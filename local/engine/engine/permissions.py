"""Checks whether the caller's role allows a call: always for the call log, and enforced on request.

MiniStack's own enforcement requires signatures of every client, uses the cluster as the resource of task actions, and
omits the calls of Step Functions. Here its evaluator gets the actions, resources and condition keys that AWS
documents for the calls of a deployment.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, ecs, iam

from engine.callbacks import machine_of
from engine.faults import Caller
from engine.grants import Grants
from engine.hooks import Hooks


@dataclass(frozen=True)
class Needed:
    """A permission that a call requires."""

    action: str
    resource: str
    context: dict[str, Any] = field(default_factory=dict)
    """The service's condition keys, in lower case."""

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


def install(hooks: Hooks) -> None:
    """Declares the used parts of MiniStack's evaluator."""
    hooks.require(iam_evaluator, "_gather_role_policies", "_permissions_boundary", "EvalContext", "evaluate")
    hooks.require(iam, "_roles")
    hooks.require(dynamodb, "_tables")
    hooks.require(ecs, "_tags", "_task_defs")


def denied(
    grants: Grants, caller: Caller | None, service: str, operation: str, request: dict, path: str = ""
) -> str | None:
    """The permission that the caller's role lacks, as `action on resource`; empty if it lacks none.

    Records the required permissions in `grants`. None if unknown: no role, or a call that this module does not know.
    """
    describe = _NEEDS.get(f"{service}:{operation}")
    account = get_account_id()
    if caller is None or caller.role is None or describe is None:
        return None
    if iam._roles.get_scoped(account, None, caller.role) is None:
        return None
    policies = iam_evaluator._gather_role_policies(caller.role, account)
    limits = iam_evaluator._permissions_boundary(iam._roles, caller.role, account)
    for needed in describe({**request, "_path": path}):
        context = iam_evaluator.EvalContext(
            principal_arn=principal(caller),
            principal_type="AssumedRole",
            principal_account=account,
            action=needed.action,
            resource_arn=needed.resource,
            region=get_region(),
            service_context=needed.context,
        )
        if iam_evaluator.evaluate(context, policies, *limits).decision != "Allow":
            grants.refuse(caller.role, str(needed))
            return str(needed)
        grants.use(caller.role, needed.action)
    return ""


def message(caller: Caller, what: str) -> str:
    """AWS's message for a denied call."""
    action, _, resource = what.partition(" on ")
    return (
        f"User: {principal(caller)} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


def principal(caller: Caller) -> str:
    """ARN of the caller's role session."""
    return f"arn:aws:sts::{get_account_id()}:assumed-role/{caller.role}/{caller.name}"


def _arn(service: str, resource: str) -> str:
    if resource.startswith("arn:"):
        return resource
    return f"arn:aws:{service}:{get_region()}:{get_account_id()}:{resource}"


def _parameter(name: str) -> str:
    return _arn("ssm", name if name.startswith("arn:") else f"parameter/{name.lstrip('/')}")


def _parameters(action: str) -> Callable[[dict], list[Needed]]:
    def needs(request: dict) -> list[Needed]:
        names = request.get("Names") or [request.get("Name") or request.get("Path") or request.get("ResourceId")]
        return [Needed(f"ssm:{action}", _parameter(name)) for name in names]

    return needs


def _put_parameter(request: dict) -> list[Needed]:
    resource = _parameter(request["Name"])
    tagging = [Needed("ssm:AddTagsToResource", resource)] if request.get("Tags") else []
    return [Needed("ssm:PutParameter", resource), *tagging]


def _field(action: str, name: str) -> Callable[[dict], list[Needed]]:
    return lambda request: [Needed(action, request.get(name) or "*")]


def _anything(action: str) -> Callable[[dict], list[Needed]]:
    return lambda _request: [Needed(action, "*")]


def _cluster(request: dict) -> str:
    return _arn("ecs", "cluster/" + (request.get("cluster") or "default").rsplit("/", 1)[-1])


def _tasks(action: str) -> Callable[[dict], list[Needed]]:
    def needs(request: dict) -> list[Needed]:
        cluster = _cluster(request)
        ids = request.get("tasks") or [request.get("task") or ""]
        prefix = "task/" + cluster.rsplit("/", 1)[-1]
        return [
            Needed(action, _arn("ecs", f"{prefix}/{task.rsplit('/', 1)[-1]}"), {"ecs:cluster": cluster}) for task in ids
        ]

    return needs


def _run_task(request: dict) -> list[Needed]:
    cluster = _cluster(request)
    key = ecs._resolve_td_key(request.get("taskDefinition") or "") or ""
    definition, overrides = ecs._task_defs.get(key) or {}, request.get("overrides") or {}
    context = {"ecs:cluster": cluster}
    context |= _resource_tags(definition.get("taskDefinitionArn", "")) | _request_tags(request)
    needs = [Needed("ecs:RunTask", _arn("ecs", f"task-definition/{key}"), context)]
    if request.get("tags"):
        tasks = _arn("ecs", f"task/{cluster.rsplit('/', 1)[-1]}/*")
        context = {"ecs:cluster": cluster, "ecs:createaction": "RunTask", **_request_tags(request)}
        needs.append(Needed("ecs:TagResource", tasks, context))
    for name in ("taskRoleArn", "executionRoleArn"):
        role = overrides.get(name) or definition.get(name)
        if role:
            needs.append(Needed("iam:PassRole", role, {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}))
    return needs


def _resource_tags(arn: str) -> dict[str, str]:
    return {f"aws:resourcetag/{tag['key']}".lower(): tag["value"] for tag in ecs._tags.get(arn, [])}


def _request_tags(request: dict) -> dict[str, Any]:
    tags = request.get("tags") or []
    keys = {"aws:tagkeys": [tag["key"] for tag in tags]} if tags else {}
    return {**{f"aws:requesttag/{tag['key']}".lower(): tag.get("value", "") for tag in tags}, **keys}


def _tag_resource(request: dict) -> list[Needed]:
    arn = request.get("resourceArn") or ""
    return [Needed("ecs:TagResource", arn, _resource_tags(arn) | _request_tags(request))]


def _send_task(action: str) -> Callable[[dict], list[Needed]]:
    """The resource is the state machine that waits, as in CDK's `grantTaskResponse`. An unknown token has none."""

    def needs(request: dict) -> list[Needed]:
        machine = machine_of(request.get("taskToken"))
        return [Needed(f"states:{action}", machine)] if machine else []

    return needs


def _table(name: str) -> str:
    return _arn("dynamodb", f"table/{name}")


def _partition_key(table: str) -> str:
    return (dynamodb._tables.get(table.rsplit("/", 1)[-1]) or {}).get("pk_name") or ""


def _leading_keys(table: str, items: list[dict]) -> dict[str, list[str]]:
    """The partition keys that a request names: `dynamodb:LeadingKeys`. Without any, there is no such key.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    key = _partition_key(table)
    values = [str(value) for item in items for value in (item.get(key) or {}).values()]
    return {"dynamodb:leadingkeys": values} if values else {}


def _item(action: str) -> Callable[[dict], list[Needed]]:
    """A call for the one item that its `Key` or `Item` names."""

    def needs(request: dict) -> list[Needed]:
        table = request.get("TableName") or ""
        context = _leading_keys(table, [request.get("Key") or request.get("Item") or {}])
        context["dynamodb:returnvalues"] = request.get("ReturnValues") or "NONE"
        return [Needed(f"dynamodb:{action}", _table(table), context)]

    return needs


def _query(request: dict) -> list[Needed]:
    table, index = request.get("TableName") or "", request.get("IndexName")
    names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
    equals = re.findall(r"([#\w]+)\s*=\s*(:\w+)", request.get("KeyConditionExpression") or "")
    item = {names.get(name, name): values.get(value) or {} for name, value in equals}
    resource = _table(table) + (f"/index/{index}" if index else "")
    return [Needed("dynamodb:Query", resource, _leading_keys(table, [item]))]


def _batch(action: str) -> Callable[[dict], list[Needed]]:
    def items(entries: Any) -> Iterator[dict]:
        for entry in entries["Keys"] if isinstance(entries, dict) else entries:
            change = entry.get("PutRequest") or entry.get("DeleteRequest") or {}
            yield change.get("Item") or change.get("Key") or entry

    def needs(request: dict) -> list[Needed]:
        return [
            Needed(f"dynamodb:{action}", _table(table), _leading_keys(table, list(items(entries))))
            for table, entries in (request.get("RequestItems") or {}).items()
        ]

    return needs


_IN_TRANSACTION = {
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def _transaction(request: dict) -> list[Needed]:
    """A transaction needs the permission of each call in it."""
    parts = [part for item in request.get("TransactItems") or () for part in item.items()]
    return [needed for kind, part in parts for needed in _item(_IN_TRANSACTION[kind])(part)]


def _whole_table(action: str) -> Callable[[dict], list[Needed]]:
    return lambda request: [Needed(f"dynamodb:{action}", _table(request.get("TableName") or ""))]


def _invoke(request: dict) -> list[Needed]:
    # Over HTTP, the path names the function and the body is its event.
    in_path = unquote(request["_path"].partition("/functions/")[2].partition("/")[0])
    function = in_path or request.get("FunctionName") or ""
    resource = function if function.startswith("arn:") else f"function:{function}"
    return [Needed("lambda:InvokeFunction", _arn("lambda", resource))]


def _queue(action: str) -> Callable[[dict], list[Needed]]:
    return lambda request: [Needed(f"sqs:{action}", _arn("sqs", (request.get("QueueUrl") or "").rsplit("/", 1)[-1]))]


_NEEDS: dict[str, Callable[[dict], list[Needed]]] = {
    "ssm:GetParameter": _parameters("GetParameter"),
    "ssm:GetParameters": _parameters("GetParameters"),
    "ssm:GetParametersByPath": _parameters("GetParametersByPath"),
    "ssm:PutParameter": _put_parameter,
    "ssm:DeleteParameter": _parameters("DeleteParameter"),
    "ssm:DeleteParameters": _parameters("DeleteParameters"),
    "ssm:AddTagsToResource": _parameters("AddTagsToResource"),
    "ssm:DescribeParameters": _anything("ssm:DescribeParameters"),
    "states:StartExecution": _field("states:StartExecution", "stateMachineArn"),
    "states:ListExecutions": _field("states:ListExecutions", "stateMachineArn"),
    "states:DescribeExecution": _field("states:DescribeExecution", "executionArn"),
    "states:StopExecution": _field("states:StopExecution", "executionArn"),
    "states:GetExecutionHistory": _field("states:GetExecutionHistory", "executionArn"),
    "states:SendTaskSuccess": _send_task("SendTaskSuccess"),
    "states:SendTaskFailure": _send_task("SendTaskFailure"),
    "states:SendTaskHeartbeat": _send_task("SendTaskHeartbeat"),
    "ecs:ListTaskDefinitionFamilies": _anything("ecs:ListTaskDefinitionFamilies"),
    "ecs:DescribeTaskDefinition": _anything("ecs:DescribeTaskDefinition"),
    "ecs:ListTasks": lambda request: [Needed("ecs:ListTasks", "*", {"ecs:cluster": _cluster(request)})],
    "ecs:DescribeTasks": _tasks("ecs:DescribeTasks"),
    "ecs:StopTask": _tasks("ecs:StopTask"),
    "ecs:RunTask": _run_task,
    "ecs:TagResource": _tag_resource,
    "dynamodb:GetItem": _item("GetItem"),
    "dynamodb:PutItem": _item("PutItem"),
    "dynamodb:UpdateItem": _item("UpdateItem"),
    "dynamodb:DeleteItem": _item("DeleteItem"),
    "dynamodb:Query": _query,
    "dynamodb:Scan": _whole_table("Scan"),
    "dynamodb:BatchGetItem": _batch("BatchGetItem"),
    "dynamodb:BatchWriteItem": _batch("BatchWriteItem"),
    "dynamodb:TransactGetItems": _transaction,
    "dynamodb:TransactWriteItems": _transaction,
    "dynamodb:DescribeTable": _whole_table("DescribeTable"),
    "dynamodb:DeleteTable": _whole_table("DeleteTable"),
    "lambda:Invoke": _invoke,
    "sqs:SendMessage": _queue("SendMessage"),
    "sqs:ChangeMessageVisibilityBatch": _queue("ChangeMessageVisibility"),
    "sqs:ReceiveMessage": _queue("ReceiveMessage"),
    "sqs:DeleteMessage": _queue("DeleteMessage"),
    "sqs:GetQueueAttributes": _queue("GetQueueAttributes"),
}
