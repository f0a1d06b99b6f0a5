"""Fake rules of NumPy's universal functions: dtypes by the ufunc itself, layouts by "K" order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gpuops.xp._meta import Meta, broadcast, elementwise_strides, is_symbolic

__all__ = ["Loop", "elementwise_result_dtype", "find_loop", "ufunc_metas", "ufunc_rule"]

_SMALL = range(128)
"""Python ints that every integer dtype holds, so that their value does not matter."""


class Loop(NamedTuple):
    """What a ufunc does with certain dtypes.

    Attributes:
        outputs: the dtypes of its results.
        uncast: for each operand, whether it is used without being cast.
    """

    outputs: tuple[np.dtype[Any], ...]
    uncast: tuple[bool, ...]


@lru_cache(maxsize=8192)
def find_loop(ufunc: np.ufunc, operands: tuple[Any, ...]) -> Loop:
    """The loop of a ufunc for dtypes, and for the types of Python's numbers among them.

    Raises:
        TypeError: the ufunc has none.
    """
    given = tuple(np.dtype(bool) if kind is bool else kind for kind in operands)
    resolved = ufunc.resolve_dtypes((*given, *(None,) * ufunc.nout))
    return Loop(
        resolved[ufunc.nin :],
        tuple(a == b for a, b in zip(given, resolved[: ufunc.nin], strict=True)),
    )


def _kind(operand: Any) -> Any:
    """What stands for an operand in `find_loop`."""
    dtype = getattr(operand, "dtype", None)
    if dtype is not None:
        return dtype
    return type(operand) if type(operand) in (bool, int, float, complex) else int


def _check_number(ufunc: np.ufunc, operands: Sequence[Any]) -> None:
    """Let NumPy itself refuse a Python int that the other operand's dtype does not hold.

    Raises:
        OverflowError: as for arrays with elements.
    """
    prototypes = [
        np.empty((0,), operand.dtype) if hasattr(operand, "dtype") else operand
        for operand in operands
    ]
    ufunc(*prototypes)


def ufunc_metas(ufunc: np.ufunc, operands: Sequence[Any]) -> list[Meta]:
    """The results of a ufunc of arrays and Python numbers.

    Raises:
        TypeError: it has no loop for the dtypes.
        ShapeError: the shapes cannot be broadcast together.
        OverflowError: a Python int does not fit.
    """
    for operand in operands:
        if type(operand) is int and operand not in _SMALL:
            _check_number(ufunc, operands)
    loop = find_loop(ufunc, tuple(map(_kind, operands)))
    arrays = [operand for operand in operands if hasattr(operand, "dtype")]
    uncast = [
        direct
        for operand, direct in zip(operands, loop.uncast, strict=True)
        if hasattr(operand, "dtype")
    ]
    shape = broadcast(*arrays)
    if ufunc.nout > 1:
        # Only ufuncs with one result have NumPy's short cut for operands of one layout.
        uncast = [False] * len(arrays)
    layout = _strides if any(_symbolic(array) for array in arrays) else _remembered
    parts = tuple((array.shape, array.strides, array.dtype.itemsize) for array in arrays)
    return [
        Meta(shape, dtype, layout(shape, dtype.itemsize, parts, tuple(uncast)))
        for dtype in loop.outputs
    ]


def _symbolic(array: Any) -> bool:
    return is_symbolic(array.shape) or is_symbolic(array.strides)


class _Operand(NamedTuple):
    """The layout of an operand, without what does not matter to the result's."""

    shape: tuple[Any, ...]
    strides: tuple[Any, ...]
    dtype: Any


class _Itemsize(NamedTuple):
    itemsize: int


def _strides(
    shape: tuple[Any, ...],
    itemsize: int,
    parts: tuple[tuple[tuple[Any, ...], tuple[Any, ...], int], ...],
    uncast: tuple[bool, ...],
) -> tuple[Any, ...]:
    operands = [_Operand(size, strides, _Itemsize(item)) for size, strides, item in parts]
    return elementwise_strides(shape, itemsize, operands, uncast)


_remembered = lru_cache(maxsize=8192)(_strides)


def ufunc_rule(ufunc: np.ufunc) -> Callable[..., Any]:
    """The fake rule of an operator that is a ufunc; Python's numbers among the operands are weak.

    >>> from gpuops.xp._meta import fresh
    >>> ufunc_rule(np.add)(fresh((2, 1), np.dtype("float32")), 1.5)
    Meta(shape=(2, 1), dtype=dtype('float32'), strides=(4, 4))
    """
    if ufunc.nout == 1:

        def rule(*operands: Any) -> Any:
            return ufunc_metas(ufunc, operands)[0]
    else:

        def rule(*operands: Any) -> Any:
            return tuple(ufunc_metas(ufunc, operands))

    rule.__name__ = f"{ufunc.__name__}_rule"
    rule.ufunc = ufunc  # type: ignore[attr-defined]  # what `gpuops.xp._fakes` has a short cut for
    return rule


def elementwise_result_dtype(*operands: Any) -> np.dtype[Any]:
    """The dtype of arrays and Python numbers together, by NumPy's promotion.

    Raises:
        TypeError: they have none.
    """
    given = [getattr(operand, "dtype", operand) for operand in operands]
    given = [g if isinstance(g, (np.dtype, bool, int, float, complex)) else 0 for g in given]
    dtype: np.dtype[Any] = np.result_type(*given)
    return dtype
