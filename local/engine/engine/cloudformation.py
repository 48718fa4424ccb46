"""Resource types of the stacks that MiniStack lacks; it rejects a whole stack for one of them."""

import functools
from collections.abc import Callable
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import dynamodb, ecs
from ministack.services.cloudformation import provisioners

from engine.hooks import Hooks


def install(hooks: Hooks) -> None:
    """Declares the resource types."""
    hooks.require(ecs, "_put_cluster_capacity_providers")
    hooks.require(provisioners, "_pascal_to_camel")
    hooks.require(dynamodb, "_tables", "_update_ttl")

    # MiniStack evaluates no metric math, and no test looks at an alarm's state: such an alarm is recorded with the
    # first metric of its expression.
    @hooks.around(provisioners, "_cw_metric_alarm_record")
    def record(original, name, props):
        return original(name, _without_math(props))

    def declare(resource_type, create, update, delete):
        handlers = {"create": create, "update": update, "delete": delete}
        hooks.entry(provisioners, "_RESOURCE_HANDLERS", resource_type, handlers)

    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecs-clustercapacityproviderassociations.html
    declare(
        "AWS::ECS::ClusterCapacityProviderAssociations",
        lambda _logical_id, props, _stack: _associate(props),
        lambda _physical_id, _old, props, _stack: _associate(props),
        lambda physical_id, _props: ecs._put_cluster_capacity_providers({"cluster": physical_id}),
    )
    # MiniStack's tables keep neither the attribute of their time to live nor their encryption.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
    hooks.require(provisioners, "_RESOURCE_HANDLERS")
    for resource_type in ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"):
        handlers = provisioners._RESOURCE_HANDLERS[resource_type]
        complete = {"create": _completed(handlers["create"], 1), "update": _completed(handlers["update"], 2)}
        hooks.entry(provisioners, "_RESOURCE_HANDLERS", resource_type, {**handlers, **complete})
    # There is no console here, so a saved query is only recorded.
    declare(
        "AWS::Logs::QueryDefinition",
        lambda _logical_id, _props, _stack: (new_uuid(), {}),
        lambda physical_id, _old, _props, _stack: (physical_id, {}),
        lambda _physical_id, _props: None,
    )


def _completed(provision: Callable, position: int) -> Callable:
    """A table's create or update, whose properties are the argument at `position`, with what MiniStack leaves out."""

    @functools.wraps(provision)
    def complete(*arguments: Any, **more: Any) -> tuple:
        answer, props = provision(*arguments, **more), arguments[position]
        name = answer[0]
        if lifetime := props.get("TimeToLiveSpecification"):
            dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": lifetime})
        if (props.get("SSESpecification") or {}).get("SSEEnabled"):
            dynamodb._tables[name]["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS"}
        return answer

    return complete


def _without_math(props: dict) -> dict:
    """An alarm's properties, with one of its metrics in place of an expression."""
    stats = [entry["MetricStat"] for entry in props.get("Metrics") or [] if "MetricStat" in entry]
    if not stats:
        return props
    plain = {key: value for key, value in props.items() if key != "Metrics"}
    return plain | stats[0]["Metric"] | {"Period": stats[0]["Period"], "Statistic": stats[0]["Stat"]}


def _associate(props: dict) -> tuple[str, dict]:
    cluster = props["Cluster"].rsplit("/", 1)[-1]
    request = {
        "cluster": cluster,
        "capacityProviders": props.get("CapacityProviders") or [],
        "defaultCapacityProviderStrategy": provisioners._pascal_to_camel(
            props.get("DefaultCapacityProviderStrategy") or []
        ),
    }
    status, _, body = ecs._put_cluster_capacity_providers(request)
    if status != 200:
        raise ValueError(f"AWS::ECS::ClusterCapacityProviderAssociations: {body!r}")
    return cluster, {}
