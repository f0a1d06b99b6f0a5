"""What the tests of gpuops.xp share: arrays of every layout, and NumPy as the oracle."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gpuops import xp as xp_package
from gpuops.xp._meta import Meta, meta_of

ROWS = xp_package.ROWS

INTS = ["int8", "int64", "uint8", "uint32"]
FLOATS = ["float32", "float64"]
COMPLEX = ["complex64"]
NUMBERS = [*INTS, *FLOATS, *COMPLEX]
ALL = ["bool", "float16", ">f8", *NUMBERS]

# GPUOPS_EXAMPLES=5000 looks further, each time elsewhere.
_EXAMPLES = os.environ.get("GPUOPS_EXAMPLES")

quick = settings(
    max_examples=int(_EXAMPLES or 120),
    deadline=None,
    derandomize=_EXAMPLES is None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def laid_out(shape: Sequence[int], dtype: Any, draw: Callable[..., Any]) -> np.ndarray:
    """An array with its axes in any order in memory, with gaps, and with negative strides."""
    ndim = len(shape)
    order = draw(st.permutations(range(ndim))) if ndim > 1 and draw(st.booleans()) else range(ndim)
    steps = [1] * ndim
    if ndim and draw(st.integers(0, 2)) == 0:
        steps = draw(st.lists(st.sampled_from([1, 1, 2, -1]), min_size=ndim, max_size=ndim))
    sizes = [shape[axis] * abs(steps[axis]) for axis in order]
    count = int(np.prod(sizes, dtype=int))
    values = np.arange(1, count + 1) % 7
    base = values.astype(dtype).reshape(sizes)
    base = base.transpose(np.argsort(order)) if ndim else base
    return base[(..., *(slice(None, None, step) for step in steps))]


@st.composite
def shapes(draw: Any, min_dims: int = 0, max_dims: int = 3, sizes: Any = None) -> tuple[int, ...]:
    sizes = sizes if sizes is not None else st.sampled_from([1, 2, 3, 2, 3, 4, 0])
    return tuple(draw(st.lists(sizes, min_size=min_dims, max_size=max_dims)))


@st.composite
def arrays(
    draw: Any,
    dtypes: Sequence[str] = ALL,
    shape: Any = None,
    min_dims: int = 0,
    max_dims: int = 3,
) -> np.ndarray:
    chosen = draw(shape if shape is not None else shapes(min_dims, max_dims))
    return laid_out(chosen, np.dtype(draw(st.sampled_from(dtypes))), draw)


@st.composite
def broadcastable(draw: Any, count: int, dtypes: Sequence[str] = ALL) -> list[np.ndarray]:
    """Arrays whose shapes go together, most of the time."""
    full = draw(shapes(0, 4))
    found = []
    for _ in range(count):
        shape = list(full)
        kind = draw(st.integers(0, 7))
        if kind in (0, 1, 2):
            shape = shape[draw(st.integers(0, len(shape))) :]
            shape = [1 if draw(st.integers(0, 3)) == 0 else size for size in shape]
        elif kind == 3 and shape:
            shape[draw(st.integers(0, len(shape) - 1))] = draw(st.sampled_from([1, 2, 5]))
        found.append(laid_out(shape, np.dtype(draw(st.sampled_from(dtypes))), draw))
    return found


axes = st.integers(-4, 3)


def to_meta(value: Any) -> Any:
    """Arrays as `Meta`, in lists and tuples too."""
    if isinstance(value, (np.ndarray, np.generic)):
        return meta_of(np.asarray(value))
    if type(value) in (list, tuple):
        return type(value)(map(to_meta, value))
    return value


def outcome(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[str, Any]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return "value", function(*args, **kwargs)
        except (TypeError, ValueError, IndexError, ArithmeticError) as error:
            return "error", error


def spell(value: Any) -> str:
    if isinstance(value, Meta):
        return f"{value.dtype}{list(value.shape)}@{value.strides}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spell, value))}]"
    return repr(value)


def agree(name: str, *args: Any, overload: str = "", **kwargs: Any) -> Any:
    """Let the fake rule and NumPy's kernel of a row give the same shape, dtype and strides.

    Where NumPy refuses, the rule has to refuse with an error of a class that NumPy's is one of.

    Returns:
        NumPy's result, or the error.
    """
    row = ROWS[name]
    kernel = row.operators[overload].kernel("cpu").value
    kind, real = outcome(kernel, args, kwargs)
    fake_args = [to_meta(value) for value in args]
    fake_kwargs = {key: to_meta(value) for key, value in kwargs.items()}
    fake_kind, fake = outcome(row.fake, fake_args, fake_kwargs)
    given = f"{name}({', '.join(map(spell, fake_args))}, {fake_kwargs})"
    if kind == "error":
        assert fake_kind == "error", f"{given}: NumPy raises {real!r}, the fake gives {spell(fake)}"
        related = isinstance(fake, type(real)) or isinstance(real, type(fake))
        assert related, f"{given}: NumPy raises {real!r}, the fake {fake!r}"
        return real
    assert fake_kind == "value", f"{given}: NumPy gives {spell(to_meta(real))}, the fake {fake!r}"
    expected = to_meta(real)
    if isinstance(expected, (list, tuple)) and not isinstance(expected, Meta):
        expected, fake = list(expected), list(fake)
    assert fake == expected, f"{given}: NumPy {spell(expected)}, the fake {spell(fake)}"
    return real
