"""The names that type hints of operators are written with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gpuops.errors import UsageError

__all__ = ["Array", "DType", "Scalar"]

if TYPE_CHECKING:
    # An operator's body sees NumPy arrays, CuPy arrays, fakes and wrappers in turn. No common
    # static type describes them, and a protocol with every operator would still reject
    # `np.exp(x)`; `Any` lets a body be checked for everything else.
    Array: TypeAlias = Any
    DType: TypeAlias = np.dtype[Any]
else:

    class Array:
        """An array of any library that gpuops knows: the type hint for array parameters."""

        def __new__(cls, *args: object, **kwargs: object) -> Any:
            raise UsageError(
                "gpuops.Array is a type hint, not a constructor: make arrays with NumPy or CuPy"
            )

    DType = np.dtype

Scalar: TypeAlias = int | float | bool | complex
"""A number of any kind: the type hint for parameters that keep the type the caller passed."""
