#!/usr/bin/env python3
"""What end-to-end tests needed that is not granted, and what is granted that none needed, with the reason.

    scripts/check-grants.py target/local/engine-of-tests/grants.json tests/unused-grants.toml

The first file is the engine's: per role what it is granted, and what its calls needed and were refused. The second has
per role, or pattern of roles, reasons and what is granted for each although nothing used it. Fails for a refused call,
for a grant without a reason, and for a reason without a grant. That one was used after all is no failure: some are
needed only now and then.
"""

import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

DEPLOYMENT = "fargate-runners-"
"""Roles of the default deployment begin like this; the variants' are made by the same code."""


def main() -> None:
    recorded, reasons = (Path(argument) for argument in sys.argv[1:])
    if not recorded.exists():
        sys.exit(f"{recorded} is missing: it is written by the end-to-end tests")
    roles = {
        short(name): role for name, role in json.loads(recorded.read_text()).items() if name.startswith(DEPLOYMENT)
    }
    if not roles:
        sys.exit(f"{recorded} has no role of {DEPLOYMENT}*: were all end-to-end tests run?")
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
            missing.append(f"{name} is granted {action}, which nothing needed")
    held = {(name, action) for name, role in roles.items() for action in role["granted"]}
    print(f"{len(roles)} roles are granted {len(held)} actions, of which {len(unused)} were not needed:")
    for (name, reason), actions in shown.items():
        print(f"  {name}: {', '.join(actions)}: {reason}")

    problems = [f"{name} was refused {what}" for name, role in roles.items() for what in role["refused"]]
    problems += missing
    problems += [
        f"{name} has a reason for {action}, and isn't granted it"
        for name, action in explained
        if not any(covers((name, action), one) for one in held)
    ]
    if problems:
        sys.exit("\n".join([f"{recorded} and {reasons} disagree:", *problems]))


def covers(explained: tuple[str, str], granted: tuple[str, str]) -> bool:
    """Whether a reason's pattern of roles and action are those of a grant."""
    return fnmatchcase(granted[0], explained[0]) and granted[1] == explained[1]


def short(role: str) -> str:
    """A role's name without the stack's and without what CloudFormation and CDK make it unique by."""
    return re.sub(r"[0-9A-F]{8}-?[0-9A-Za-z]+$", "", role.removeprefix(DEPLOYMENT))


def idle(role: dict[str, list[str]]) -> Iterator[str]:
    """The granted actions, or patterns of actions, under which no needed one falls."""
    for action in role["granted"]:
        if not any(fnmatchcase(used.lower(), action.lower()) for used in role["used"]):
            yield action


if __name__ == "__main__":
    main()
