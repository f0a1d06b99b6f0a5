"""Every operator of the namespace ``xp``: batched, it does what a loop over the elements does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import VmapError, xp
from gpuops.batching import VMAP
from gpuops.transforms.providers import find_rule
from tests.vmap.batches import (
    assert_same,
    batched,
    choices,
    leaves,
    run_loop,
    with_arrays,
)
from tests.xp.samples import samples

SAMPLES = {name: call for name, call in samples().items() if leaves(call[0])}
MUTATING = ("copyto", "setitem")
# What is in an element decides how many results there are.
RAGGED = ("bincount", "nonzero", "repeat_each", "unique_all", "unique_counts", "unique_inverse")


def caller(name: str) -> tuple[Any, list[np.ndarray]]:
    args, kwargs = SAMPLES[name]
    places = leaves(args)
    arrays = [args[index] if item is None else args[index][item] for index, item in places]
    operator = xp.ROWS[name].operator

    def function(*given: Any) -> Any:
        given = [g.copy() if name in MUTATING and n == 0 else g for n, g in enumerate(given)]
        out = operator(*with_arrays(args, places, given), **kwargs)
        return given[0] if name in MUTATING else out

    return function, arrays


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_batched_it_is_a_loop_over_the_elements(name: str) -> None:
    function, arrays = caller(name)
    rng = np.random.default_rng(len(name))
    with np.errstate(all="ignore"):
        for dims in choices(arrays, rng):
            if name in MUTATING and dims[0] is None:
                continue
            given = [x if d is None else batched(x, d) for x, d in zip(arrays, dims, strict=True)]
            try:
                expected = run_loop(function, given, dims)
            except ValueError:
                assert name in RAGGED
                with pytest.raises(VmapError, match=f"xp::{name} returned"):
                    gpuops.vmap(function, dims)(*given)
                continue
            if name == "empty_like":
                expected = [np.zeros_like(x) for x in expected]
                assert gpuops.vmap(function, dims)(*given).shape == expected[0].shape
                continue
            assert_same(gpuops.vmap(function, dims)(*given), expected)


# What these return differs in shape from element to element, or is not defined.
@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {*RAGGED, "empty_like", "unique_values"}))
def test_nested_it_is_a_loop_in_a_loop(name: str) -> None:
    function, arrays = caller(name)
    with np.errstate(all="ignore"):
        twice = [batched(batched(x, 0, 2), 1) for x in arrays]
        expected = run_loop(
            lambda *outer: run_loop(function, outer, [0] * len(outer)), twice, [1] * len(twice)
        )
        found = gpuops.vmap(gpuops.vmap(function), 1)(*twice)
    assert_same(found, expected)


# P: an operator has a rule, or takes no arrays that could be batched.
@pytest.mark.parametrize("name", sorted(xp.ROWS))
def test_there_is_a_rule(name: str) -> None:
    row = xp.ROWS[name]
    for operator in row.operators.values():
        assert (find_rule(operator, VMAP) is not None) == bool(operator.schema.array_parameters)
