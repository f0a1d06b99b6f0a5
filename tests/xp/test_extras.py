"""NumPy's functions beyond the standard: shape, dtype, strides and refusals are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuops.xp import extras
from gpuops.xp.robust import CUMULATIVE, POSITIONS, SPREADS, WITHOUT_NAN
from tests.xp.common import agree, arrays, axes, broadcastable, laid_out, quick


@st.composite
def einsums(draw: Any) -> tuple[str, list[np.ndarray]]:
    sizes = {letter: draw(st.integers(0, 3)) for letter in "ijkl"}
    terms = []
    operands = []
    extra = draw(st.lists(st.integers(1, 2), max_size=2))
    for _ in range(draw(st.integers(1, 3))):
        letters = "".join(draw(st.lists(st.sampled_from("ijkl"), max_size=3)))
        shape = [sizes[letter] for letter in letters]
        shape = [1 if draw(st.integers(0, 7)) == 0 else n for n in shape]
        if draw(st.integers(0, 3)) == 0:
            place = draw(st.integers(0, len(letters)))
            letters = letters[:place] + "..." + letters[place:]
            shape[place:place] = extra
        terms.append(letters)
        dtype = draw(st.sampled_from(["float32", "float64", "int8", "bool", ">f8"]))
        operands.append(laid_out(shape, dtype, draw))
    text = ",".join(terms)
    if draw(st.booleans()):
        known = sorted(set(text) - set(",."))
        output = "".join(draw(st.permutations(known))[: draw(st.integers(0, len(known)))])
        text += "->" + ("..." if "..." in text and draw(st.integers(0, 5)) else "") + output
    if draw(st.integers(0, 20)) == 0:
        text = draw(st.sampled_from([text + "z", text + "->", "1", text + ",i", text[1:]]))
    return text, operands


@quick
@given(einsums())
def test_einsum(case: tuple[str, list[np.ndarray]]) -> None:
    agree("einsum", *case)


@quick
@given(
    arrays(),
    st.lists(st.integers(-1, 2), max_size=6),
    st.sampled_from(["constant", "edge", "reflect", "empty", "nothing"]),
)
def test_pad(x: np.ndarray, widths: list[int], mode: str) -> None:
    widths = (widths + [0, 1] * 3)[: 2 * x.ndim]
    agree("pad", x, widths, mode)


@quick
@given(
    arrays(), arrays(max_dims=2, dtypes=["int64", "uint8", "float32"]), st.one_of(st.none(), axes)
)
def test_repeat_each(x: np.ndarray, repeats: np.ndarray, axis: Any) -> None:
    try:
        made = np.repeat(x, repeats, axis)
    except (ValueError, TypeError, IndexError):
        made = x.reshape(-1)
    place = 0 if axis is None else axis
    with pytest.MonkeyPatch.context() as patch:
        size = made.shape[place] if made.ndim and -made.ndim <= place < made.ndim else 0
        patch.setattr(extras, "dynamic_size", lambda low, high: size)
        agree("repeat_each", x, repeats, axis)


@quick
@given(
    arrays(dtypes=["float32", "float64", "int8", "complex64"]),
    st.integers(0, 4),
    st.sampled_from([(None, None), (0.0, 4.0), (4.0, 0.0)]),
    st.booleans(),
)
def test_histogram(x: np.ndarray, bins: int, bounds: Any, density: bool) -> None:
    agree("histogram", x, bins, *bounds, density=density)


@quick
@given(
    arrays(max_dims=2, dtypes=["int64", "uint8", "float32", "bool"]),
    st.booleans(),
    st.integers(-1, 9),
)
def test_bincount(x: np.ndarray, weighted: bool, minlength: int) -> None:
    weights = np.ones(x.shape) if weighted and x.ndim == 1 else None
    size = max(int(x.max()) + 1, minlength) if x.size else minlength
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extras, "dynamic_size", lambda low, high: size)
        agree("bincount", x, weights, minlength)


@quick
@given(broadcastable(2))
def test_elements(operands: list[np.ndarray]) -> None:
    agree("isclose", *operands)
    agree("isin", *operands)
    agree("nan_to_num", operands[0])


@quick
@given(arrays(), st.integers(-1, 3), axes, st.booleans(), st.data())
def test_diff(x: np.ndarray, n: int, axis: int, ends: bool, data: Any) -> None:
    prepend = data.draw(arrays(max_dims=1)) if ends else None
    agree("diff", x, n, axis, prepend)
    agree("diff", x, n, axis)


@pytest.mark.parametrize("name", sorted(WITHOUT_NAN))
@quick
@given(
    arrays(dtypes=["float32", "float64", "int8", "bool", ">f8"]),
    st.one_of(st.none(), st.lists(axes, max_size=2)),
    st.booleans(),
)
def test_without_nan(name: str, x: np.ndarray, axis: Any, keepdims: bool) -> None:
    agree(name, x, axis, keepdims=keepdims)


vectors = arrays(max_dims=2, dtypes=["float64", "float32", "int64", "complex64"])


@quick
@given(vectors, vectors, st.sampled_from(["full", "same", "valid", "none"]))
def test_sequences(x: np.ndarray, y: np.ndarray, mode: str) -> None:
    agree("convolve", x, y, mode)
    agree("correlate", x, y, mode)
    agree("diag_of", x, len(mode) - 5)


@quick
@given(arrays(dtypes=["float64", "int8"]), vectors)
def test_tables(x: np.ndarray, bins: np.ndarray) -> None:
    bins = np.sort(bins.reshape(-1)) if bins.ndim else bins
    agree("digitize", x, bins)
    agree("interp", x, bins.real, bins)


@quick
@given(arrays(), st.lists(st.integers(-4, 3), min_size=1, max_size=2), axes)
def test_partition(x: np.ndarray, kth: list[int], axis: int) -> None:
    agree("partition", x, kth, axis)


with_nan = arrays(dtypes=["float32", "float64", "float16", "int8", "bool", ">f8", "complex64"])


@pytest.mark.parametrize("name", sorted(SPREADS))
@quick
@given(with_nan, st.one_of(st.none(), st.lists(axes, max_size=2)), st.booleans())
def test_spreads_without_nan(name: str, x: np.ndarray, axis: Any, keepdims: bool) -> None:
    agree(name, x, axis, keepdims=keepdims, correction=1.0)


@pytest.mark.parametrize("name", sorted([*CUMULATIVE, *POSITIONS]))
@quick
@given(with_nan, st.one_of(st.none(), axes))
def test_along_an_axis_without_nan(name: str, x: np.ndarray, axis: Any) -> None:
    agree(name, x, axis)
