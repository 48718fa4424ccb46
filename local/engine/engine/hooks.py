"""Replacing MiniStack's private functions, with a check that they are all there.

Every gap is closed by putting a function of ours round one of MiniStack's. Those are private, so a module first
*declares* its replacements and `Hooks.install` applies them only when each one exists: a different MiniStack is
refused whole, with a message that names what it lacks, rather than half patched.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from engine.errors import Incompatible


class Hooks:
    """Replacements declared by the other modules, and applied together by `install`."""

    def __init__(self) -> None:
        self._pending: list[Callable[[], None]] = []
        self._missing: list[str] = []

    def around(self, module: ModuleType, name: str) -> Callable:
        """Decorator: the function takes the place of `module.name` and gets the original as its first argument."""

        def declare(replacement: Callable) -> Callable:
            if callable(getattr(module, name, None)):
                self._pending.append(lambda: _wrap(module, name, replacement))
            else:
                self._missing.append(f"{module.__name__}.{name}")
            return replacement

        return declare

    def entry(self, module: ModuleType, table: str, key: str, value: Any) -> None:
        """Adds `module.table[key] = value`, where MiniStack looks handlers up by name."""
        target = getattr(module, table, None)
        if not isinstance(target, dict):
            self._missing.append(f"{module.__name__}.{table}")
            return
        self._pending.append(lambda: target.__setitem__(key, value))

    def require(self, module: ModuleType, *names: str) -> None:
        """Declares private names that a replacement calls, so that their absence is found at start too."""
        self._missing += [f"{module.__name__}.{name}" for name in names if not hasattr(module, name)]

    def install(self) -> None:
        """Applies every declared replacement.

        Raises `Incompatible`, having changed nothing, when anything declared isn't there.
        """
        if self._missing:
            raise Incompatible(
                "this MiniStack lacks what the launcher hooks into: "
                + ", ".join(sorted(set(self._missing)))
                + "; install the version in local/engine/requirements.txt"
            )
        for apply in self._pending:
            apply()


def _wrap(module: ModuleType, name: str, replacement: Callable) -> None:
    """Puts `replacement` round what is there now, so that a name can be wrapped more than once."""
    original = getattr(module, name)
    wrapped = functools.wraps(original)(functools.partial(replacement, original))
    setattr(module, name, wrapped)
    for table in vars(module).values():
        # Dispatch tables hold the function itself, not its name.
        if type(table) is dict:
            table.update({key: wrapped for key, entry in table.items() if entry is original})
