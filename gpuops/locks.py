"""Locks that survive `os.fork`, and the one that writers of the registry hold."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar, final

__all__ = ["RegistryLock", "fork_safe", "registry_lock"]

L = TypeVar("L", bound=AbstractContextManager[Any])


def fork_safe(lock: L) -> L:
    """Let no child be forked while another thread holds `lock`; for locks that live for ever.

    A child gets its parent's locks as they are but none of its other threads: a lock that one of
    them held would never be released. The forking thread takes the lock first, so that the child
    also finds what it guards between two changes and not within one.

    >>> import threading
    >>> lock = fork_safe(threading.Lock())
    """
    if hasattr(os, "register_at_fork"):
        release = partial(lock.__exit__, None, None, None)
        os.register_at_fork(before=lock.__enter__, after_in_parent=release, after_in_child=release)
    return lock


@final
class RegistryLock:
    """A re-entrant lock for writers that also takes work from finalisers.

    A finaliser runs wherever the garbage collector strikes, which may be between two steps of a
    registration in the same thread, where a re-entrant lock would let it in. Its work waits until
    the lock is released.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0
        self._deferred: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *exc_info: object) -> None:
        try:
            while self._depth == 1 and self._deferred:
                self._deferred.popleft()()
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._owner = None
            self._lock.release()
        if self._deferred and self._owner != threading.get_ident():
            # A finaliser ran after the last look above.
            with self:
                """Leaving the block runs what was deferred."""

    def defer(self, work: Callable[[], None]) -> None:
        """Run `work` under the lock: now, or when this thread is done with what it is doing."""
        self._deferred.append(work)
        if self._owner != threading.get_ident():
            with self:
                """Leaving the block runs what was deferred."""


registry_lock = fork_safe(RegistryLock())
"""Held by whoever changes what is registered."""
