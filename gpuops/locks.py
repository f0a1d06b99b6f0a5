"""Locks that survive `os.fork`."""

from __future__ import annotations

import os
from typing import Protocol, TypeVar

__all__ = ["fork_safe"]


class _Lock(Protocol):
    def __enter__(self) -> object: ...
    def __exit__(self, *exc_info: object) -> object: ...


L = TypeVar("L", bound=_Lock)


def fork_safe(lock: L) -> L:
    """Let no child be forked while another thread holds `lock`; for locks that live for ever.

    A child gets its parent's locks as they are but none of its other threads: a lock that one of
    them held would never be released. The forking thread takes the lock first, so that the child
    also finds what it guards between two changes and not within one.

    >>> import threading
    >>> lock = fork_safe(threading.Lock())
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.__enter__, after_in_parent=lock.__exit__, after_in_child=lock.__exit__
        )
    return lock
