"""Runs a check on the sample and on what is drawn from it, until an input makes it fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from gpuops.errors import GpuopsError
from gpuops.opchecks.budget import Budget
from gpuops.opchecks.draw_edit import Values, arrays_of
from gpuops.opchecks.inputs import Draw, Pool, key_of
from gpuops.opchecks.subject import REFUSALS, Subject

__all__ = ["Found", "find"]

Check = Callable[[Subject], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A failure.

    Attributes:
        error: what the check raised.
        subject: the operator with the input that it raised it for.
    """

    error: Exception
    subject: Subject


@dataclass(frozen=True, slots=True)
class _Policy:
    """Which of the drawn inputs a check is run on.

    Attributes:
        number: how many, at most.
        without: tags of those that it cannot judge.
        elements: how many elements their arrays have at most.
    """

    number: int
    without: frozenset[str] = frozenset()
    elements: int = 4096


# What NumPy makes of arguments that the sample is no example for, it broadcasts or promotes: no
# fake, gradient or rule says that it was meant to.
_UNMEANT = frozenset({"alone", "kind:f", "kind:c", "kind:i", "kind:u", "kind:b"})

# test_schema goes through all of them itself: what is never written to, only all can say.
# Sums of float16 depend on their order too much for a comparison of two ways to compute them.
_POLICIES = {
    "test_fake": _Policy(160, frozenset({"alone"})),
    "test_trace": _Policy(12, _UNMEANT),
    "test_autograd": _Policy(
        6, _UNMEANT | {"special", "layout", "dtype", "scalars", "unlike", "kinks"}, elements=24
    ),
    "test_vmap": _Policy(12, _UNMEANT | {"special", "layout", "float16"}, elements=512),
    "test_layouts": _Policy(8, frozenset({"layout", "float16", "values", "kinks", "special"})),
    "test_initialised": _Policy(40),
    "test_devices": _Policy(6, _UNMEANT | {"special", "dtype", "scalars"}, elements=256),
}
_SECONDS = 1.0


def find(name: str, check: Check, subject: Subject, pool: Pool) -> Found | None:
    """Run one check on the sample and on further inputs; the first failure, or None.

    A failure of the sample may be any exception. On what is drawn, only what a check has found
    counts: neither an error of the operator's nor a rule that refuses the input.
    """
    if name == "test_schema":
        subject.trail.clear()
        pool.start()
        try:
            check(subject.with_further(pool.draws()))
        except Exception as error:
            at = subject.trail[-1] if subject.trail else subject.values
            is_sample = key_of(at) == key_of(subject.values)
            return Found(error, subject.alone(at) if is_sample else subject.at(at))
        return None
    try:
        check(subject)
    except Exception as error:
        return Found(error, subject)
    if name == "test_fake":
        return _find_fake(check, subject, pool)
    for draw in _chosen(name, pool):
        found = attempt(check, subject.at(draw.values))
        refused = found is not None and isinstance(found.error.__cause__, REFUSALS)
        if found is not None and not (refused and name in ("test_vmap", "test_devices")):
            return found
    return None


def attempt(check: Check, subject: Subject) -> Found | None:
    """Run a check on one drawn input."""
    try:
        check(subject)
    except GpuopsError as error:
        return Found(error, subject)
    except Exception:
        return None
    return None


def _chosen(name: str, pool: Pool) -> Iterator[Draw]:
    policy = _POLICIES.get(name, _Policy(0))
    budget, number = Budget(_SECONDS), 0
    if not policy.number:
        return
    for draw in pool.accepted():
        if draw.tags & policy.without or _elements(draw.values) > policy.elements:
            continue
        yield draw
        number += 1
        if number == policy.number or budget.is_spent:
            return


def _elements(values: Values) -> int:
    return int(sum(array.size for array in arrays_of(values)))


def _find_fake(check: Check, subject: Subject, pool: Pool) -> Found | None:
    """The same for fakes, which are not held to what NumPy does by itself.

    A result that is laid out as the argument was, and one whose dtype is promoted, is what many a
    kernel gives that was written for another kind of array. Strides count in the sample's layout.
    What was an array of indices selects as a mask when it is one of bools.
    Of dtypes of another kind, one that differs from the others of its kind is at fault; where all
    are promoted, NumPy did it.
    """
    promoted: dict[str, list[Found]] = {}
    judged: dict[str, set[str]] = {}
    for draw in _chosen("test_fake", pool):
        lenient = frozenset({"strides"}) if "layout" in draw.tags else frozenset[str]()
        if "kind:b" in draw.tags or _broadcasts_unlike(subject.values, draw.values):
            lenient |= {"shape"}
        found = attempt(check, subject.at(draw.values, lenient=lenient))
        kind = next((tag for tag in draw.tags if tag.startswith("kind:")), None)
        if kind is not None:
            dtypes = ",".join(sorted({array.dtype.name for array in arrays_of(draw.values)}))
            judged.setdefault(kind, set()).add(dtypes)
        if found is None:
            continue
        if kind is None or attempt(check, subject.at(draw.values, lenient=lenient | {"dtype"})):
            return found
        promoted.setdefault(kind, []).append(found)
    for kind, failures in promoted.items():
        wrong = {_dtypes(found) for found in failures}
        if len(wrong) == 1 and len(judged[kind]) > 2:
            return failures[0]
    return None


def _broadcasts_unlike(sample: Values, drawn: Values) -> bool:
    """Whether NumPy repeats axes of size 1 of arrays that in the sample are of equal sizes there.

    The kernel that multiplies by weights takes weights of more axes than it was written for.
    """
    return _repeats(arrays_of(drawn)) and not _repeats(arrays_of(sample), any_size=True)


def _repeats(arrays: list[Any], *, any_size: bool = False) -> bool:
    """Whether sizes differ where axes meet, counted from the last one, and one of them is 1."""
    for axes in zip_longest(*(array.shape[::-1] for array in arrays)):
        sizes = {size for size in axes if size is not None}
        if len(sizes) > 1 and (any_size or 1 in sizes):
            return True
    return False


def _dtypes(found: Found) -> str:
    return ",".join(sorted({array.dtype.name for array in arrays_of(found.subject.values)}))
