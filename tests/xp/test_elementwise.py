"""Elementwise operators: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpuops import xp
from gpuops.xp.elementwise import BINARY, MANY, UNARY
from tests.xp.common import ALL, agree, arrays, broadcastable, quick


@quick
@given(st.sampled_from(sorted(UNARY)), arrays(max_dims=4))
def test_unary(name: str, x: np.ndarray) -> None:
    agree(name, x)


@quick
@given(st.sampled_from(sorted(BINARY)), broadcastable(2))
def test_binary(name: str, operands: list[np.ndarray]) -> None:
    agree(name, *operands)


numbers = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([127, 128, 255, 256, -129, 2**31, 2**63, 2**64, -(2**63) - 1]),
    st.sampled_from([0.0, 1.5, 1e300, float("inf"), float("nan")]),
    st.sampled_from([1j, 1 + 2j]),
)


@quick
@given(st.sampled_from(sorted(BINARY)), arrays(), numbers, st.booleans())
def test_binary_with_a_number(name: str, x: np.ndarray, number: object, first: bool) -> None:
    if first:
        agree(name, number, x, overload="scalar_x1")
    else:
        agree(name, x, number, overload="scalar_x2")


@quick
@given(st.sampled_from(sorted(MANY)), broadcastable(2))
def test_several_results(name: str, operands: list[np.ndarray]) -> None:
    agree(name, *operands[: xp.ROWS[name].operator.schema.parameters.__len__()])


@quick
@given(arrays(), st.integers(-1, 2))
def test_round(x: np.ndarray, decimals: int) -> None:
    agree("round", x, decimals)


def test_every_pair_of_dtypes() -> None:
    for name in BINARY:
        for a in ALL:
            for b in ALL:
                agree(name, np.ones(2, a), np.ones(2, b))


@quick
@given(arrays(max_dims=4))
def test_parts(x: np.ndarray) -> None:
    agree("real", x)
    agree("imag", x)


bounds = st.one_of(st.none(), st.integers(-2, 3), st.sampled_from([1.5, 300, -200, 2**70, 1j]))


@quick
@given(broadcastable(3), bounds, bounds)
def test_clip(operands: list[np.ndarray], low: object, high: object) -> None:
    agree("clip", *operands)
    agree("clip", operands[0], operands[1], None)
    agree("clip", operands[0], None, operands[1])
    agree("clip", operands[0], low, high, overload="scalar_min_max")
    agree("clip", operands[0], operands[1], high, overload="scalar_max")
