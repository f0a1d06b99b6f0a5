"""Arrays of every layout that a kernel may be handed, for the cases of the operators."""

from __future__ import annotations

import numpy as np

from gpuops.random import RNGState

__all__ = ["DTYPES", "LAYOUTS", "OFFSETS", "sample", "state"]

DTYPES = ("float16", "float32", "float64")
LAYOUTS = ("contiguous", "strided", "fortran", "reversed", "broadcast", "readonly", "unaligned")

# Blocks from which streams are drawn: the first; where the counter's second word begins to be used
# within a few blocks; where block numbers begin anew.
OFFSETS = (0, 2**32 - 2, 2**64 - 2)


def state(rng: np.random.Generator, offset: int = 0) -> RNGState:
    """A random state with any seed, of which `offset` blocks have been drawn.

    >>> state(np.random.default_rng(0), 3)
    RNGState(seed=11749869230777074271, offset=3, device='cpu')
    """
    made = RNGState(int(rng.integers(2**64, dtype=np.uint64)))
    made.jump(offset)
    return made


def sample(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: str,
    layout: str = "contiguous",
    density: float = 1.0,
) -> np.ndarray:
    """Normal numbers (mean 0, deviation 1; of whole numbers 100) in a shape, dtype and layout.

    Args:
        rng: where they come from.
        shape: of the array.
        dtype: of the array.
        layout: one of LAYOUTS.
        density: the share of numbers that are not zero.

    >>> sample(np.random.default_rng(0), (2, 3), "float32", "strided").strides
    (48, 8)
    """
    numbers = rng.standard_normal(shape)
    if np.dtype(dtype).kind in "iu":
        numbers = np.abs(100 * numbers) % 100 + 1
    if density < 1:
        numbers = np.where(rng.random(shape) < density, numbers, 0)
    values = np.asarray(numbers).astype(dtype)
    if layout == "strided":
        every_other = np.zeros([2 * length for length in shape], dtype)
        view = every_other[tuple(slice(None, None, 2) for _ in shape)]
        view[...] = values
        return view
    if layout == "fortran":
        return np.asfortranarray(values)
    if layout == "reversed":
        backwards = tuple(slice(None, None, -1) for _ in shape)
        return np.ascontiguousarray(values[backwards])[backwards]
    if layout == "broadcast":
        return np.broadcast_to(values[:1], shape)
    if layout == "readonly":
        values.flags.writeable = False
        return values
    if layout == "unaligned":
        raw = np.zeros(values.nbytes + 1, np.uint8)
        view = raw[1:].view(dtype).reshape(shape)
        view[...] = values
        return view
    return values
