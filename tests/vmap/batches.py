"""What `vmap` is compared with: a Python loop over the elements of a batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import gpuops

SIZE = 3


def variants(x: np.ndarray, size: int = SIZE) -> list[np.ndarray]:
    """Arrays that operators take where they take `x`: in order, definite, in range."""
    if x.dtype.kind in "fc":
        return [x * x.dtype.type(1 + index / 4) for index in range(size)]
    return [np.roll(x.reshape(-1), index).reshape(x.shape) for index in range(size)]


def batched(x: np.ndarray, dim: int, size: int = SIZE) -> np.ndarray:
    return np.stack(variants(x, size), axis=dim)


def leaves(args: Sequence[Any]) -> list[tuple[int, int | None]]:
    """Where the arrays are in a call's arguments: the argument, and the item of a list."""
    found: list[tuple[int, int | None]] = []
    for index, arg in enumerate(args):
        if isinstance(arg, np.ndarray):
            found.append((index, None))
        elif isinstance(arg, list) and arg and isinstance(arg[0], np.ndarray):
            found += [(index, item) for item in range(len(arg))]
    return found


def with_arrays(args: Sequence[Any], places: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    out = [list(arg) if isinstance(arg, list) else arg for arg in args]
    for (index, item), array in zip(places, arrays, strict=True):
        if item is None:
            out[index] = array
        else:
            out[index][item] = array
    return out


def flat(out: Any) -> list[np.ndarray]:
    if out is None:
        return []
    return [x for item in out for x in flat(item)] if isinstance(out, (list, tuple)) else [out]


def run_loop(function: Callable[..., Any], arrays: Sequence[Any], dims: Sequence[Any]) -> Any:
    """The results for each element, stacked along a new first axis."""
    size = next(x.shape[d] for x, d in zip(arrays, dims, strict=True) if d is not None)
    results = [
        flat(
            function(
                *(
                    x if d is None else np.moveaxis(x, d, 0)[index, ...]
                    for x, d in zip(arrays, dims, strict=True)
                )
            )
        )
        for index in range(size)
    ]
    return [np.stack(items) for items in zip(*results, strict=True)]


def assert_same(found: Any, expected: Sequence[np.ndarray], rtol: float = 1e-6) -> None:
    found = flat(found)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if b.dtype.kind in "mM":
            assert np.array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def check(function: Callable[..., Any], arrays: Sequence[Any], dims: Sequence[Any]) -> None:
    """`vmap` of a function of arrays is the loop over slices."""
    expected = run_loop(function, arrays, dims)
    assert_same(gpuops.vmap(function, tuple(dims))(*arrays), expected)


def choices(arrays: Sequence[np.ndarray], rng: np.random.Generator, most: int = 6) -> list[Any]:
    """Which arrays are batched, and along which axis: some of all possibilities."""
    masks = [m for m in itertools.product([True, False], repeat=len(arrays)) if any(m)]
    rng.shuffle(masks)
    return [
        tuple(
            int(rng.integers(-x.ndim - 1, x.ndim + 1)) if on else None
            for x, on in zip(arrays, mask, strict=True)
        )
        for mask in masks[:most]
        for _ in range(2)
    ]
