#!/usr/bin/env python3
"""Checks the IAM policies of synthesized CloudFormation templates with parliament.

    python scripts/check-policies.py TEMPLATE...

Needs local/engine/requirements-checks.txt. Exits with 1 if a finding is not listed in EXPLAINED.
"""

import json
import re
import sys

from parliament import analyze_policy_string

# Accepted findings, with the reason.
EXPLAINED = {
    # parliament requires every resource type of these actions; a Standard workflow's execution is only one of them.
    ("RESOURCE_MISMATCH", "states:DescribeExecution"): "there are no express executions",
    ("RESOURCE_MISMATCH", "states:ListExecutions"): "there are no map runs",
    # AWS checks the call on the machine's ARN, although its list names no resource (https://github.com/aws/aws-cdk/pull/8486).
    ("RESOURCE_MISMATCH", "states:SendTaskSuccess"): "checked on the state machine",
    ("RESOURCE_MISMATCH", "states:SendTaskFailure"): "checked on the state machine",
    # The action's resource is a container instance, and Fargate has none; the condition names the cluster.
    ("RESOURCE_STAR", "ecs:ListTasks"): "limited by the condition on the cluster",
    # Lambda creates a function's network interfaces with the function's role, and requires the permission on all resources.
    ("RESOURCE_STAR", "ec2:CreateNetworkInterface"): "required by Lambda",
    ("RESOURCE_STAR", "ec2:DeleteNetworkInterface"): "required by Lambda",
    ("RESOURCE_STAR", "ec2:AssignPrivateIpAddresses"): "required by Lambda",
    ("RESOURCE_STAR", "ec2:UnassignPrivateIpAddresses"): "required by Lambda",
    # parliament's list is older than the action, which aws-cdk-lib grants to managed instances too.
    ("UNKNOWN_ACTION", "Unknown action ecs:PutSystemLogEvents"): "newer than parliament's list",
}

# Values for references, so that ARNs are well-formed.
PSEUDO_PARAMETERS = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012"}
ARNS = {
    "AWS::CodeBuild::Project": "arn:aws:codebuild:us-east-1:123456789012:project/x",
    "AWS::ECR::Repository": "arn:aws:ecr:us-east-1:123456789012:repository/x",
    "AWS::ECS::Cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/x",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/x",
    "AWS::KMS::Key": "arn:aws:kms:us-east-1:123456789012:key/x",
    "AWS::Lambda::Function": "arn:aws:lambda:us-east-1:123456789012:function:x",
    "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:123456789012:log-group:x:*",
    "AWS::S3::Bucket": "arn:aws:s3:::x",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:123456789012:x",
    "AWS::StepFunctions::StateMachine": "arn:aws:states:us-east-1:123456789012:stateMachine:x",
}

REFERRED_TO_BY_ARN = {"AWS::StepFunctions::StateMachine"}


def main(paths: list[str]) -> int:
    """Prints the findings of each template and returns the exit status."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    wrong = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            resources = json.load(file)["Resources"]
        policies = 0
        for logical_id, resource in resources.items():
            if resource["Type"] != "AWS::IAM::Policy":
                continue
            policies += 1
            document = plain(resource["Properties"]["PolicyDocument"], resources)
            for finding in analyze_policy_string(json.dumps(document)).findings:
                if not explained(finding):
                    wrong += 1
                    print(f"{path}: {logical_id}: {finding.issue}: {finding.detail}")
        print(f"{path}: {policies} policies checked")
    return 1 if wrong else 0


def explained(finding) -> bool:
    """Whether every call that a finding names is in the table above."""
    details = finding.detail if isinstance(finding.detail, list) else [finding.detail]
    calls = [detail.get("action") if isinstance(detail, dict) else detail for detail in details]
    return bool(calls) and all((finding.issue, call) in EXPLAINED for call in calls)


def plain(value, resources: dict):
    """A policy with its references replaced by something that they could be."""
    if isinstance(value, list):
        return [plain(item, resources) for item in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        # Of what policies refer to, a name; of a state machine, its ARN.
        if resources.get(value["Ref"], {}).get("Type") in REFERRED_TO_BY_ARN:
            return arn(value["Ref"], resources)
        return PSEUDO_PARAMETERS.get(value["Ref"], "x")
    if "Fn::Sub" in value:
        return re.sub(r"\$\{([^}]*)\}", lambda name: PSEUDO_PARAMETERS.get(name[1], "x"), value["Fn::Sub"])
    if "Fn::GetAtt" in value:
        return arn(value["Fn::GetAtt"][0], resources)
    if "Fn::Join" in value:
        delimiter, parts = value["Fn::Join"]
        return delimiter.join(plain(part, resources) for part in parts)
    return {key: plain(item, resources) for key, item in value.items()}


def arn(logical_id: str, resources: dict) -> str:
    """An ARN of the kind that a resource has."""
    kind = resources[logical_id]["Type"]
    if kind not in ARNS:
        raise SystemExit(f"{kind} is referred to by a policy; add its ARN's form to scripts/check-policies.py")
    return ARNS[kind]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
