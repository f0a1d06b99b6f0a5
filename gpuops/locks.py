"""Locks that survive `os.fork`."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

__all__ = ["fork_safe"]

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
