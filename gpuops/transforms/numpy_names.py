"""NumPy's names for what the Array API standard names otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["CREATION", "METADATA", "METHODS", "REDUCTIONS", "UFUNCS", "is_default", "xp_name"]

UFUNCS: dict[Any, str] = {
    np.absolute: "abs",
    np.arccos: "acos",
    np.arccosh: "acosh",
    np.arcsin: "asin",
    np.arcsinh: "asinh",
    np.arctan: "atan",
    np.arctan2: "atan2",
    np.arctanh: "atanh",
    np.conjugate: "conj",
    np.invert: "bitwise_invert",
    np.left_shift: "bitwise_left_shift",
    np.right_shift: "bitwise_right_shift",
    np.power: "pow",
    np.true_divide: "divide",
    np.mod: "remainder",
}
"""Ufuncs whose operator has another name than NumPy's."""

REDUCTIONS: dict[Any, str] = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
    np.logical_and: "all",
    np.logical_or: "any",
}
"""What ``ufunc.reduce`` is called."""

_FUNCTIONS: dict[str, str] = {
    "concatenate": "concat",
    "identity": "eye",
}

CREATION: frozenset[Any] = frozenset(
    {np.arange, np.array, np.asarray, np.empty, np.eye, np.full, np.identity, np.ones, np.zeros}
)
"""The functions that ``like=`` brings here although no argument of theirs is a wrapper."""

METHODS: dict[Any, str] = {
    getattr(np, name): name
    for name in [
        "all",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "clip",
        "cumprod",
        "cumsum",
        "dot",
        "max",
        "mean",
        "min",
        "nonzero",
        "prod",
        "ravel",
        "repeat",
        "reshape",
        "round",
        "squeeze",
        "std",
        "sum",
        "swapaxes",
        "take",
        "transpose",
        "var",
    ]
} | {np.amax: "max", np.amin: "min", np.around: "round"}
"""NumPy's functions that do what the first argument's method does, with the same arguments."""

_NO_VALUE = getattr(np, "_NoValue", None)

IGNORED: dict[str, tuple[Any, ...]] = {
    "casting": ("same_kind",),
    "initial": (_NO_VALUE, None),
    "keepdims": (_NO_VALUE,),
    "order": ("K", None),
    "out": (None,),
    "subok": (True, False),
    "where": (True, _NO_VALUE),
}
"""Arguments that may be left out if they have one of these values, their defaults."""


def is_default(name: str, value: Any) -> bool:
    """Whether a NumPy function's argument has its default, so that it may be left out."""
    return any(
        value is default or (type(value) is str and value == default)
        for default in IGNORED.get(name, ())
    )


def xp_name(function: Callable[..., Any]) -> str:
    """The name, with dots, of the ``xp`` function that stands for one of NumPy's.

    >>> xp_name(np.concatenate), xp_name(np.linalg.inv)
    ('concat', 'linalg.inv')
    """
    name = _FUNCTIONS.get(function.__name__, function.__name__)
    module = getattr(function, "__module__", "")
    return f"{module.removeprefix('numpy.')}.{name}" if module.startswith("numpy.") else name


def _dtype_like(value: Any) -> Any:
    # NumPy's scalars and their types have one too, which is not meant.
    numpys = isinstance(value, (np.generic, type))
    return value.dtype if hasattr(value, "dtype") and not numpys else value


METADATA: dict[Any, Callable[..., Any]] = {
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
    np.result_type: lambda *args: np.result_type(*map(_dtype_like, args)),
    np.can_cast: lambda from_, to, casting="safe": np.can_cast(
        _dtype_like(from_), _dtype_like(to), casting
    ),
    np.iscomplexobj: lambda x: x.dtype.kind == "c",
    np.isrealobj: lambda x: x.dtype.kind != "c",
    np.array_repr: lambda arr, *args, **kwargs: repr(arr),
    np.array_str: lambda a, *args, **kwargs: str(a),
}
"""NumPy's functions of metadata only: no operator runs."""
