"""Leaves the caller's process as it was: random generators, error handling, warnings."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["preserved"]


@contextmanager
def preserved(seed: int) -> Iterator[None]:
    """Give kernels that draw from global generators the same numbers each time, and put all back.

    Warnings are off within: NaN and empty arrays are the checks' idea, not the caller's.
    """
    state, numbers, error_call = random.getstate(), np.random.get_state(), np.geterrcall()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            random.seed(seed)
            np.random.seed(seed % 2**32)
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numbers)
        np.seterrcall(error_call)
