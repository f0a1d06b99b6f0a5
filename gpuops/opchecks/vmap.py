"""`test_vmap`: the batching rule gives what a loop over the elements gives."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from gpuops.batching import VMAP
from gpuops.errors import PerformanceWarning
from gpuops.opchecks.report import difference, leaves
from gpuops.opchecks.subject import Subject, copied
from gpuops.transforms.providers import find_rule
from gpuops.transforms.vmap import vmap

__all__ = ["check"]

_BATCH = 3


def check(subject: Subject) -> None:
    """Batch all arrays, each alone, along the first and the last axis, and compare with a loop.

    An operator without a rule of its own passes: it is called once for each element anyway. One
    that takes an object is left out, as its calls differ.

    Raises:
        Failure: the rule fails, or gives other values.
    """
    operator = subject.operator
    entry = find_rule(operator, VMAP)
    if (entry is None and operator.signature is None) or operator.schema.mutated:
        return
    plain = all(
        isinstance(v, (np.ndarray, list, int, float, complex, str, bool)) or v is None
        for v in subject.values
    )
    positions = [i for i, v in enumerate(subject.values) if isinstance(v, np.ndarray)]
    if not plain or not positions:
        return
    where = f"at {entry.location}" if entry is not None else f"as {operator.signature}"
    for in_dims in _choices(len(subject.values), positions):
        _compare(subject, in_dims, where)


def _choices(number: int, positions: list[int]) -> Iterator[tuple[int | None, ...]]:
    for axis in (0, -1):
        for chosen in [positions, *([i] for i in positions if len(positions) > 1)]:
            yield tuple(axis if i in chosen else None for i in range(number))


def _compare(subject: Subject, in_dims: tuple[int | None, ...], where: str) -> None:
    values = copied(subject.values)
    elements = [
        [np.roll(value, shift) for shift in range(_BATCH)] if axis is not None else [value] * _BATCH
        for value, axis in zip(values, in_dims, strict=True)
    ]
    batched = [
        np.stack(items, axis=axis) if axis is not None else items[0]
        for items, axis in zip(elements, in_dims, strict=True)
    ]
    try:
        with np.errstate(all="ignore"):
            rows = [subject.call([items[i] for items in elements]) for i in range(_BATCH)]
    except Exception:
        return  # the rolled sample is no input of the operator's
    listed = [leaves(subject.operator, row) for row in rows]
    shapes = {tuple(np.shape(value) for _, value in row) for row in listed}
    if len(shapes) != 1:
        return  # the shape depends on the data: there is no batch of the results
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", PerformanceWarning)
            got = vmap(lambda *args: subject.call(list(args)), in_dims=in_dims)(*batched)
    except Exception as error:
        raise subject.fail(
            f"the batching rule registered {where} fails with in_dims={in_dims}: "
            f"{type(error).__name__}: {error}"
        ) from error
    pairs = zip(zip(*listed, strict=True), leaves(subject.operator, got), strict=True)
    for column, (name, value) in pairs:
        if not isinstance(column[0][1], np.ndarray):
            continue
        problem = difference(
            np.stack([item for _, item in column]), value, rtol=subject.rtol, atol=subject.atol
        )
        if problem:
            raise subject.fail(
                f"with in_dims={in_dims}, {name} of the batching rule registered {where} is not "
                f"what a loop gives: {problem}"
            )
