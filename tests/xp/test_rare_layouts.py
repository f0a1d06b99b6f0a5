"""Layouts that a search through random arrays finds rarely, and that were wrong once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from gpuops import FakeArray
from tests.xp.common import agree

PLACES = np.zeros(2, np.intp)


def laid(shape: tuple[int, ...], strides: tuple[int, ...], dtype: str) -> np.ndarray:
    """Zeros of that layout."""
    return as_strided(np.zeros(64, dtype), shape, strides)


CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "an ellipsis of no axes keeps indices apart": (
        "getitem",
        (np.zeros((1, 2, 3)), "saei", [None, None, None, 0], [PLACES]),
        {},
    ),
    "a mask before an ellipsis of no axes": (
        "getitem",
        (np.zeros((2, 3)), "ae", [], [np.zeros((2, 3), bool)]),
        {},
    ),
    "sort, the greatest first": (
        "sort",
        (laid((2, 1, 2), (1, 4, 2), "bool"), 0),
        {"descending": True},
    ),
    "bools are counted as they lie": (
        "count_nonzero",
        (laid((0, 2, 2, 1), (4, 1, 2, 1), "bool"), [0]),
        {},
    ),
    "the mean of float16 is cast": ("mean", (laid((1, 1, 2, 2), (8, 2, 2, 4), "float16"), []), {}),
    "rounded complex numbers": ("round", (laid((1, 2, 1), (32, 16, 32), "complex64"),), {}),
    "a Euclidean norm adds squares": (
        "linalg_vector_norm",
        (laid((1, 2, 1, 2), (4, 1, 4, 2), "bool"), [0]),
        {"ord": 2.0},
    ),
    "the greatest of nothing": (
        "linalg_vector_norm",
        (np.zeros(0, bool), None),
        {"ord": math.inf},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_layout_is_numpys(name: str) -> None:
    row, args, kwargs = CALLS[name]
    if name == "a mask before an ellipsis of no axes":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gpuops.xp._index.dynamic_size", lambda low, high: 0)
            agree(row, *args, **kwargs)
    else:
        agree(row, *args, **kwargs)


def test_shapes_are_broadcast_before_numbers_are_looked_at() -> None:
    masks = np.ones(5, bool), np.ones(2, bool)
    agree("where", masks[0], 2**70, masks[1], overload="scalar_x1")


def test_indices_that_an_ellipsis_keeps_apart_come_first() -> None:
    x, fake = np.zeros((4, 2, 3)), FakeArray((4, 2, 3))
    for key in [
        (slice(None), PLACES, ..., 0),
        (..., PLACES, slice(None), 0),
        (slice(None), PLACES, 0, ...),
        (slice(None), 0, ..., PLACES),
    ]:
        assert fake[key].shape == x[key].shape
        assert fake[key].strides == x[key].strides
