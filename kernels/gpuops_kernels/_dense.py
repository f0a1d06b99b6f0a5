"""Arrays as compiled loops take them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["aligned", "dense"]


def dense(x: np.ndarray, dtype: Any) -> np.ndarray:
    """The array C-contiguous, aligned and of a dtype: itself, if it is.

    What ``numpy.require`` does, which takes 2 us to find out that there is nothing to do.

    >>> x = np.zeros((2, 2))
    >>> dense(x, x.dtype) is x, dense(x.T, np.float32).flags.c_contiguous
    (True, True)
    """
    if x.dtype == dtype and x.flags.c_contiguous and x.flags.aligned:
        return x
    return np.require(x, dtype, "CA")


def aligned(x: np.ndarray, dtype: Any) -> np.ndarray:
    """The array aligned and of a dtype, in any layout: itself, if it is.

    >>> x = np.zeros((2, 2)).T
    >>> aligned(x, x.dtype) is x
    True
    """
    return x if x.dtype == dtype and x.flags.aligned else np.require(x, dtype, "A")
