#!/usr/bin/env python3
"""Compares the IAM grants of each role with the calls that the end-to-end tests made.

    scripts/check-grants.py target/local/engines-of-tests tests/unused-grants.toml

Each local AWS engine writes a `grants.json` below the directory: each role's grants, and the permissions that its calls
used and were refused. The file lists, per role or pattern of roles, the unused grants with the reason for each. Fails on
a refused call, on an unused grant without a reason, and on a reason without a grant. A listed grant may be used: some
calls are rare.
"""

import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

DEPLOYMENT = "fargate-runners-"
"""Prefix of the default deployment's roles. The variants' roles come from the same code, so they are skipped."""
NESTED = "fargate-runners-dev-"
"""Prefix of a variant's roles, whose name begins with the default deployment's."""


def main() -> None:
    recorded, reasons = (Path(argument) for argument in sys.argv[1:])
    files = sorted(recorded.glob("**/grants.json"))
    if not files:
        sys.exit(f"{recorded} has no grants.json; run the end-to-end tests, which write them")
    roles = merged(json.loads(file.read_text()) for file in files)
    if not roles:
        sys.exit(f"{recorded} has no role {DEPLOYMENT}*; run all end-to-end tests")
    unused = {(name, action) for name, role in roles.items() for action in idle(role)}
    explained = {
        (pattern, action): reason
        for pattern, reasons_of_role in tomllib.loads(reasons.read_text()).items()
        for reason, actions in reasons_of_role.items()
        for action in actions
    }
    shown, missing = defaultdict(list), []
    for name, action in sorted(unused):
        found = [reason for key, reason in explained.items() if covers(key, (name, action))]
        if found:
            shown[name, found[0]].append(action)
        else:
            missing.append(f"{name}: no test used {action}; remove the grant or add a reason")
    held = {(name, action) for name, role in roles.items() for action in role["granted"]}
    print(f"{len(roles)} roles have {len(held)} granted actions; the tests did not use {len(unused)} of them:")
    for (name, reason), actions in shown.items():
        print(f"  {name}: {', '.join(actions)}: {reason}")

    problems = [f"{name}: refused {what}; grant it or remove the call" for name, role in roles.items() for what in role["refused"]]
    problems += missing
    problems += [
        f"{name}: has a reason for {action} but no such grant; remove the reason"
        for name, action in explained
        if not any(covers((name, action), one) for one in held)
    ]
    if problems:
        sys.exit("\n".join([f"{recorded} and {reasons} disagree:", *problems]))


def merged(engines: Iterable[dict[str, dict[str, list[str]]]]) -> dict[str, dict[str, list[str]]]:
    """The default deployment's roles, with what any of the engines has written of each."""
    roles: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for engine in engines:
        for name, role in engine.items():
            if name.startswith(DEPLOYMENT) and not name.startswith(NESTED):
                for kind, entries in role.items():
                    known = roles[short(name)][kind]
                    known += [entry for entry in entries if entry not in known]
    return roles


def covers(explained: tuple[str, str], granted: tuple[str, str]) -> bool:
    """Whether a reason's role pattern and action match a grant."""
    return fnmatchcase(granted[0], explained[0]) and granted[1] == explained[1]


def short(role: str) -> str:
    """A role's name without the stack prefix and the unique suffixes of CloudFormation and CDK."""
    return re.sub(r"[0-9A-F]{8}-?[0-9A-Za-z]+$", "", role.removeprefix(DEPLOYMENT))


def idle(role: dict[str, list[str]]) -> Iterator[str]:
    """The granted actions, or action patterns, that no used action matches."""
    for action in role["granted"]:
        if not any(fnmatchcase(used.lower(), action.lower()) for used in role["used"]):
            yield action


if __name__ == "__main__":
    main()
