"""`test_threads`: calls in several threads at once give what one call gives."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

import gpuops
from gpuops import external_objects
from gpuops.opchecks.subject import Subject, copied
from gpuops.opchecks.trace import Outcome, compare
from gpuops.opchecks.variants import elements, on_its_device, other_values, resized

__all__ = ["check"]

_THREADS, _CALLS = 4, 4

# With as many elements, an operation lets other threads run by itself.
_ELEMENTS = 1 << 14

# Of a kernel's bytecodes, how many are followed by a turn of another thread.
_TURNS = 0.5


def check(subject: Subject) -> None:
    """Call the operator from four threads that start together, each with its own arguments.

    They hold different values, and come in sizes that the operator has not seen yet, too: what it
    prepares at the first call, it prepares in several threads. Then the calls run again with other
    threads taking turns in the middle of the kernel's Python code. A race is found if it happens: a
    pass is no proof, least of all for compiled code.

    Raises:
        Failure: a call fails, or its values differ.
    """
    groups = [_different(subject, subject.values)]
    if elements(subject, subject.values) <= _ELEMENTS:
        groups += [_moved(subject, values) for values in _unseen(subject)]
    if all(group is None for group in groups):
        subject.leave_unchecked("calls in threads: the operator takes no values but the sample's")
    for group in groups:
        if group is None:
            group = [subject.values] * _THREADS
        _check_group(subject, group, lambda work: work)
    first = groups[0] or [subject.values] * _THREADS
    _check_group(subject, first, _taking_turns)


def _check_group(
    subject: Subject,
    group: list[list[Any]],
    wrapped: Callable[[Callable[[], Any]], Callable[[], Any]],
) -> None:
    # In threads first: afterwards there may be nothing left to prepare.
    start = threading.Barrier(_THREADS)

    # Each thread has a table of its own, and a call may name objects by their indices.
    table = external_objects.snapshot()

    def work(number: int) -> list[Outcome | Exception]:
        external_objects.restore(table)
        given = [copied(group[number]) for _ in range(_CALLS)]
        found: list[Outcome | Exception] = []

        def calls() -> None:
            with np.errstate(all="ignore"):
                for values in given:
                    try:
                        found.append((subject.call(values), values))
                    except Exception as error:
                        found.append(error)

        start.wait(timeout=30)
        wrapped(calls)()
        return found

    with _switching_often(), ThreadPoolExecutor(_THREADS) as pool:
        results = list(pool.map(work, range(_THREADS)))
    for number, outcomes in enumerate(results):
        values = copied(group[number])
        try:
            with np.errstate(all="ignore"):
                expected = (subject.call(values), values)
        except Exception:
            continue  # not only in threads: the values are none of the operator's
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise subject.fail(
                    f"a call fails while others run in other threads: "
                    f"{type(outcome).__name__}: {outcome}",
                    group[number],
                ) from outcome
            how = "called while other threads call it, too"
            compare(subject, expected, outcome, how, group[number])


def _different(subject: Subject, values: list[Any]) -> list[list[Any]] | None:
    """Arguments for each thread; None where the operator takes no others than these."""
    found = [other_values(subject, values, number) for number in range(1, _THREADS)]
    if any(other is None for other in found):
        return None
    return [values, *(other for other in found if other is not None)]


def _moved(subject: Subject, values: list[Any]) -> list[list[Any]]:
    """Likewise, without asking the operator, which is not to be called with them before."""

    def by(number: int) -> Callable[[Any, Any], Any]:
        def one(parameter: Any, array: Any) -> Any:
            moved = np.roll(array, number)
            if array.dtype.kind not in "fc":
                return moved
            return np.asarray(moved * (1 + number / 8), array.dtype)

        return on_its_device(one)

    return [subject.map(copied(values), by(number)) for number in range(_THREADS)]


def _unseen(subject: Subject) -> Iterator[list[Any]]:
    """The sample in sizes that no other check has used: accepted or not is seen in the threads."""
    sizes = sorted({n for array in subject.arrays(subject.values) for n in array.shape})
    for grown in (11, 17):
        values = resized(subject, subject.values, {n: n + grown for n in sizes})
        if elements(subject, values) <= 64 * _ELEMENTS:
            yield values


@contextmanager
def _switching_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def _is_of_a_kernel(filename: str, known: dict[str, bool]) -> bool:
    """Whether a file is neither NumPy's, nor the standard library's, nor of gpuops itself."""
    found = known.get(filename)
    if found is None:
        found = known[filename] = not filename.startswith(_OTHERS)
    return found


_OTHERS = (
    "<frozen",
    os.path.dirname(os.__file__) + os.sep + "threading",
    os.path.dirname(os.__file__) + os.sep + "concurrent",
    os.path.dirname(os.__file__) + os.sep + "contextlib",
    os.path.dirname(np.__file__) + os.sep,
    os.path.dirname(gpuops.__file__) + os.sep,
    "<gpuops",
)


def _taking_turns(work: Callable[[], Any]) -> Callable[[], Any]:
    """`work` with other threads let in between the bytecodes of a kernel's Python code."""
    chance = random.Random(threading.get_ident())
    known: dict[str, bool] = {}

    def follow(frame: FrameType, event: str, argument: Any) -> Any:
        if not _is_of_a_kernel(frame.f_code.co_filename, known):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and chance.random() < _TURNS:
            time.sleep(0)
        return follow

    def followed() -> Any:
        before = sys.gettrace()
        sys.settrace(follow)
        try:
            return work()
        finally:
            sys.settrace(before)

    return followed
