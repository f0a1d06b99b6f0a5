"""Running a check in a forked child."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["passes_in_child"]


def passes_in_child(check: Callable[[], Any]) -> bool:
    """Whether a check returns something true in a child of this process."""
    # Of the threads of other libraries' (jax has some once a test has imported it) Python and jax
    # warn. The checks use none of them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        passed = False
        try:
            passed = bool(check())
        finally:
            # Nothing of pytest's may run twice.
            os._exit(0 if passed else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
