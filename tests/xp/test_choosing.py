"""select, choose, argpartition: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.xp.common import agree, arrays, axes, broadcastable, quick


@quick
@given(st.integers(1, 3).flatmap(lambda n: broadcastable(2 * n)), st.sampled_from("bbbbbi"))
def test_select(operands: list[np.ndarray], kind: str) -> None:
    count = len(operands) // 2
    conditions = [x.real.astype({"b": bool, "i": int}[kind]) for x in operands[:count]]
    agree("select", conditions, operands[count:], 3, overload="scalar_default")
    agree("select", conditions, operands[count:], operands[0])
    agree("select", conditions, operands[count:][1:], operands[0])


def test_select_of_nothing() -> None:
    agree("select", [], [], np.zeros(3))


@quick
@given(
    broadcastable(3),
    st.sampled_from(["int64", "int8", "bool", "uint64", "float32"]),
    st.sampled_from(["raise", "wrap", "clip", "sideways"]),
)
def test_choose(operands: list[np.ndarray], dtype: str, mode: str) -> None:
    x = (operands[0].real * 0).astype(dtype)
    agree("choose", x, operands[1:], mode)
    agree("choose", x, operands[1:2], mode)
    agree("choose", x, [], mode)


@quick
@given(arrays(), st.lists(st.integers(-4, 3), min_size=1, max_size=2), axes)
def test_argpartition(x: np.ndarray, kth: list[int], axis: Any) -> None:
    agree("argpartition", x, kth, axis)


@quick
@given(arrays(max_dims=4))
def test_contiguous_arrays(x: np.ndarray) -> None:
    agree("ascontiguousarray", x)
    agree("asfortranarray", x)
