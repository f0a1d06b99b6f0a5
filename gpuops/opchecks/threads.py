"""`test_threads`: calls in several threads at once give what one call gives."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gpuops import external_objects
from gpuops.opchecks.report import difference, leaves
from gpuops.opchecks.subject import Subject, copied
from gpuops.opchecks.trace import check_repeatable

__all__ = ["check"]

_THREADS, _CALLS = 4, 4


def check(subject: Subject) -> None:
    """Call the operator from four threads that start together, each with its own arguments.

    A race is found if it happens: a pass is no proof.

    Raises:
        Failure: a call fails, or its values differ.
    """
    expected, _ = check_repeatable(subject)
    start = threading.Barrier(_THREADS)

    # Each thread has a table of its own, and a call may name objects by their indices.
    table = external_objects.snapshot()

    def work(_: int) -> list[Any]:
        external_objects.restore(table)
        given = [copied(subject.values) for _ in range(_CALLS)]
        start.wait(timeout=30)
        with np.errstate(all="ignore"):
            return [subject.call(values) for values in given]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            results = [result for calls in pool.map(work, range(_THREADS)) for result in calls]
    except Exception as error:
        raise subject.fail(
            f"a call fails while others run in other threads: {type(error).__name__}: {error}"
        ) from error
    finally:
        sys.setswitchinterval(interval)
    for result in results:
        pairs = zip(
            leaves(subject.operator, expected), leaves(subject.operator, result), strict=True
        )
        for (name, left), (_, right) in pairs:
            problem = difference(left, right, rtol=subject.rtol, atol=subject.atol)
            if problem:
                raise subject.fail(
                    f"{name} differs while other threads call the operator: {problem}"
                )
