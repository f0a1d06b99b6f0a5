"""`test_vmap`: the batching rule gives what a loop over the elements gives."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuops.batching import VMAP
from gpuops.convert import Arguments
from gpuops.devices import array_kind
from gpuops.errors import PerformanceWarning
from gpuops.memory import shares_memory
from gpuops.opaque import is_opaque_type
from gpuops.opchecks.report import leaves
from gpuops.opchecks.subject import Subject, copied
from gpuops.opchecks.variants import elements, other_values
from gpuops.transforms.providers import find_rule
from gpuops.transforms.vmap import vmap

__all__ = ["check"]

# No size of most samples, so that a rule which takes another axis for the batch's shows.
_BATCHES = (3, 2, 1)
_SUBSETS = 9
# Batches hold the sample a few times.
_LARGE = 1 << 20


def check(subject: Subject) -> None:
    """Batch the arrays, all of them and some, along each kind of axis, and compare with a loop.

    What is written to arguments is compared, too. Objects are the same for all elements, and what
    draws random numbers draws the same ones.

    An operator without a rule of its own passes: it is called once for each element anyway.

    Raises:
        Failure: the rule fails, gives other values, or writes to what it was given.
    """
    operator = subject.operator
    entry = find_rule(operator, VMAP)
    if entry is None and operator.signature is None:
        subject.leave_unchecked("no batching rule was registered: vmap runs it for each element")
        return
    if not subject.arrays(subject.values):
        subject.leave_unchecked("the batching rule: the sample has no arrays to batch")
        return
    where = f"at {entry.location}" if entry is not None else f"as {operator.signature}"
    checked = 0
    for plan in _plans(subject):
        for rows in _rows(subject, plan):
            if rows is not None and _compare(subject, plan, rows, where):
                checked += 1
                break
    if not checked:
        subject.leave_unchecked(
            "the batching rule: for no batch made from the sample do all elements have results of "
            "one shape"
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """One way to batch.

    Attributes:
        in_dims: for each array of the call, its batch axis or None.
        out_dims: of all outputs.
        batch: how many elements.
    """

    in_dims: tuple[int | None, ...]
    out_dims: int
    batch: int

    def __str__(self) -> str:
        text = f"in_dims={self.in_dims}"
        if self.out_dims:
            text += f", out_dims={self.out_dims}"
        return text if self.batch == _BATCHES[0] else f"{text} and a batch of {self.batch}"


def _plans(subject: Subject) -> Iterator[_Plan]:
    found = Arguments(subject.operator, tuple(subject.values)).arrays
    number = len(found)
    # An element's result has to go somewhere: what is written to is batched.
    needed = {i for i, one in enumerate(found) if one.parameter.is_mutated}
    ranks = [one.array.ndim for one in found]
    subsets = [set(range(number))]
    if number > 1:
        subsets += [needed | {i} for i in range(number)]
    if number > 2:
        subsets += [set(range(number)) - {i} | needed for i in range(number)]
    seen: list[set[int]] = []
    for subset in subsets:
        if subset not in seen and len(seen) < _SUBSETS:
            seen.append(subset)

    def dims(subset: set[int], *axes: int) -> tuple[int | None, ...]:
        turns = iter(axes * number)
        chosen = [next(turns) if i in subset else None for i in range(number)]
        return tuple(
            None if axis is None else max(-1 - rank, min(axis, rank))
            for axis, rank in zip(chosen, ranks, strict=True)
        )

    batch = _BATCHES[0]
    if subject.is_drawn or elements(subject, subject.values) > _LARGE:
        for subset in seen:
            yield _Plan(dims(subset, 0, -1), 0, batch)
        return
    plans: list[_Plan] = []
    for subset in seen:
        for axes in ((0,), (-1,), (1,), (0, -1), (-2, 0)):
            plans.append(_Plan(dims(subset, *axes), 0, batch))
    plans += [_Plan(dims(seen[0], 0), axis, batch) for axis in (1, -1)]
    plans += [_Plan(dims(subset, 0), 0, size) for subset in seen[:2] for size in _BATCHES[1:]]
    yield from dict.fromkeys(plans)


def _rows(subject: Subject, plan: _Plan) -> Iterator[list[list[Any]] | None]:
    """The arrays of each element: with other values, then the sample's moved, then as they are."""
    base = subject.arrays(subject.values)

    def row(arrays: list[Any]) -> list[Any]:
        return [
            old if axis is None else new
            for old, new, axis in zip(base, arrays, plan.in_dims, strict=True)
        ]

    others = [other_values(subject, subject.values, number) for number in range(plan.batch)]
    if all(other is not None for other in others):
        yield [row(subject.arrays(other)) for other in others if other is not None]
    yield [row([np.roll(array, shift) for array in base]) for shift in range(plan.batch)]
    yield [row(base) for _ in range(plan.batch)]


def _call(subject: Subject, arrays: Any, *, objects: list[Any] | None = None) -> Any:
    """The sample's call with other arrays, and copies of its objects unless they are given."""
    base = subject.arrays(subject.values)
    table = {id(old): new for old, new in zip(base, arrays, strict=True)}

    def one(value: Any, kept: Any) -> Any:
        if isinstance(value, list):
            return [one(item, None) for item in value]
        if id(value) in table:
            return table[id(value)]
        return copied([value])[0] if kept is None else kept

    kept = [None] * len(subject.values) if objects is None else objects
    pairs = zip(subject.values, kept, strict=True)
    return subject.call([one(value, keep) for value, keep in pairs])


def _loop(
    subject: Subject, rows: list[list[Any]], *, shared: bool
) -> list[tuple[list[tuple[str, Any]], list[Any]]] | None:
    """What each element gives, and its arrays afterwards; None where one is refused.

    Args:
        subject: the operator.
        rows: the arrays of each element.
        shared: whether one object goes through all elements, or each gets a copy.
    """
    objects = [value if is_opaque_type(type(value)) else None for value in copied(subject.values)]
    found = []
    for row in rows:
        arrays = copied(row)
        try:
            with np.errstate(all="ignore"):
                result = _call(subject, arrays, objects=objects if shared else None)
        except Exception:
            return None
        found.append((leaves(subject.operator, result), arrays))
    shapes = {
        (len(outputs), *(np.shape(value) for _, value in outputs if _is_array(value)))
        for outputs, _ in found
    }
    return found if len(shapes) == 1 else None


def _is_array(value: Any) -> bool:
    return array_kind(type(value)) is not None


def _compare(subject: Subject, plan: _Plan, rows: list[list[Any]], where: str) -> bool:
    """Compare one batch with a loop; False where there is no loop to compare with."""
    expected = _loop(subject, rows, shared=False)
    if expected is None:
        return False
    batched = [
        np.stack([row[i] for row in rows], axis=axis)
        if axis is not None
        else copied([rows[0][i]])[0]
        for i, axis in enumerate(plan.in_dims)
    ]
    before = [array.tobytes() for array in batched]
    run = vmap(
        lambda *arrays: _call(subject, arrays),
        in_dims=plan.in_dims,
        out_dims=plan.out_dims if subject.operator.schema.returns else 0,
        randomness="same",
    )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", PerformanceWarning)
            got = leaves(subject.operator, run(*batched))
    except Exception as error:
        if plan.out_dims and not all(np.ndim(value) for _, value in expected[0][0]):
            return True  # there is no such axis in the batch of 0-d results
        raise subject.fail(
            f"the batching rule registered {where} fails with {plan}: "
            f"{type(error).__name__}: {error}"
        ) from error
    _check_inputs(subject, plan, batched, before, got, where)
    problem = _problem(subject, plan, expected, got, batched)
    if problem and any(is_opaque_type(type(value)) for value in subject.values):
        # An object may as well go through the elements one after the other.
        again = _loop(subject, rows, shared=True)
        if again is not None and _problem(subject, plan, again, got, batched) is None:
            return True
    if problem:
        name, text = problem
        raise subject.fail(
            f"with {plan}, {name} of the batching rule registered {where} is not "
            f"what a loop gives: {text}"
        )
    return True


def _problem(
    subject: Subject, plan: _Plan, expected: list[Any], got: list[Any], batched: list[Any]
) -> tuple[str, str] | None:
    """The first output or argument that differs, and how."""
    columns = zip(*(outputs for outputs, _ in expected), strict=True)
    pairs = []
    for column, (name, value) in zip(columns, got, strict=True):
        if _is_array(column[0][1]):
            stacked = np.stack([item for _, item in column], axis=plan.out_dims)
            pairs.append((name, stacked, np.asarray(value)))
    found = Arguments(subject.operator, tuple(subject.values)).arrays
    for i, (one, axis) in enumerate(zip(found, plan.in_dims, strict=True)):
        if one.parameter.is_mutated and axis is not None:
            stacked = np.stack([arrays[i] for _, arrays in expected], axis=axis)
            pairs.append((f"what is written to {one.name!r}", stacked, batched[i]))
    for name, stacked, value in pairs:
        text = subject.difference(stacked, value)
        if text:
            return name, text
    return None


def _check_inputs(
    subject: Subject,
    plan: _Plan,
    batched: list[Any],
    before: list[bytes],
    got: list[tuple[str, Any]],
    where: str,
) -> None:
    """A rule writes to no argument that the operator does not write to, and returns none."""
    found = Arguments(subject.operator, tuple(subject.values)).arrays
    for one, array, bits in zip(found, batched, before, strict=True):
        if one.parameter.is_mutated:
            continue
        if array.tobytes() != bits:
            raise subject.fail(
                f"with {plan}, the batching rule registered {where} writes to {one.name!r}, which "
                "is not defined as mutable"
            )
        for name, value in got if subject.operator.schema.is_functional else []:
            if _is_array(value) and value.size and shares_memory(value, array):
                raise subject.fail(
                    f"with {plan}, {name} of the batching rule registered {where} shares memory "
                    f"with {one.name!r}: return a new array"
                )
