"""Which of the actions that a role is granted were ever needed: `grants.json` in the engine's directory."""

import json
import threading
from collections import defaultdict
from pathlib import Path

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import iam

_TOOLS = "cdk-"
"""Roles of the deployment tool, which begin like this, are nobody's business here."""


class Grants:
    """What roles are granted and what of it their calls needed, written down whenever something new is needed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        # An earlier engine's.
        file.unlink(missing_ok=True)
        self._lock = threading.Lock()
        self._used: dict[str, set[str]] = defaultdict(set)
        self._refused: dict[str, set[str]] = defaultdict(set)
        self._granted: dict[str, set[str]] = {}

    def use(self, role: str, action: str) -> None:
        """Notes that a call with this role needed, and had, this action."""
        self._note(self._used, role, action)

    def refuse(self, role: str, what: str) -> None:
        """Notes that a call with this role needed what it isn't granted, as `action on resource`."""
        self._note(self._refused, role, what)

    def _note(self, known: dict[str, set[str]], role: str, what: str) -> None:
        with self._lock:
            if what in known[role]:
                return
            known[role].add(what)
            self._granted |= _granted()
            self._write()

    def _write(self) -> None:
        roles = {
            role: {
                "granted": sorted(actions),
                "used": sorted(self._used.get(role, ())),
                "refused": sorted(self._refused.get(role, ())),
            }
            for role, actions in sorted(self._granted.items())
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Readers see the whole of it or what was before.
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(roles, indent=2) + "\n")
        new.replace(self._file)


def _granted() -> dict[str, set[str]]:
    account = get_account_id()
    found = {}
    for role in [name for name, _ in iam._roles.items() if not name.startswith(_TOOLS)]:
        policies = iam_evaluator._gather_role_policies(role, account)
        allowed = (statement for policy in policies for statement in policy if statement.effect == "Allow")
        found[role] = {action for statement in allowed for action in statement.actions}
    return found
