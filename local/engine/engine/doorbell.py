"""Wakes threads that wait for a task or an execution to change, so that nothing polls."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Doorbell:
    """Named signals. A waiter listens to several names at once and checks itself what changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[threading.Event]] = defaultdict(set)

    @contextmanager
    def listen(self, *names: str) -> Iterator[threading.Event]:
        """Yields an event that is set whenever one of `names` is rung while the block runs."""
        bell = threading.Event()
        with self._lock:
            for name in names:
                self._waiting[name].add(bell)
        try:
            yield bell
        finally:
            with self._lock:
                for name in names:
                    self._waiting[name].discard(bell)
                    if not self._waiting[name]:
                        del self._waiting[name]

    def ring(self, name: str) -> None:
        """Wakes every waiter for `name`."""
        with self._lock:
            for bell in self._waiting.get(name, ()):
                bell.set()
