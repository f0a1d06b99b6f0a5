"""The "cuda" kernel of ``nonzero``: count, sum the counts up, write."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops import cuda
from gpuops_kernels.nonzero.op import check

__all__ = ["KERNELS", "run"]


def _kernels() -> dict[tuple[str, str], cuda.Kernel]:
    """By step and by dtype character; numbers of the same C++ type share a kernel."""
    found = {("sum_up", ""): cuda.Kernel("nonzero.cu", "sum_up")}
    made: dict[str, cuda.Kernel] = {}
    for char in "?bBhHiIlLqQefdFD":
        dtype = np.dtype(char)
        parts = 2 if dtype.kind == "c" else 1
        # A bool is read as a byte: anything but 0 is true, as for NumPy.
        element = np.dtype("u1") if char == "?" else np.dtype(char.lower()) if parts == 2 else dtype
        for step in ("count_nonzero", "write_nonzero"):
            name = f"{step}<{cuda.ctype(element)}, {parts}>"
            made[name] = made.get(name) or cuda.Kernel("nonzero.cu", name)
            found[step, char] = made[name]
    return found


KERNELS = _kernels()

_THREADS = 256
_SHARE = 16 * _THREADS  # elements a block looks at, as in the source


def run(x: Any) -> Any:
    """As the operator; allocates with the array's own namespace."""
    check(x)
    xp = x.__array_namespace__()
    x = cuda.contiguous(x)
    if not x.size:
        return xp.empty((0, x.ndim), dtype=np.int64)
    shares = cuda.ceil_div(x.size, _SHARE)
    blocks = cuda.grid_size(shares, 1)
    per_share = xp.empty(shares, dtype=np.int64)
    offsets = xp.empty(shares + 1, dtype=np.int64)
    char = x.dtype.char
    # Bools are read as bytes, complex numbers as pairs of their parts.
    data = cuda.pointer(x) if x.dtype.kind in "bc" else x
    KERNELS["count_nonzero", char](blocks, _THREADS, (data, x.size, shares, per_share))
    KERNELS["sum_up", ""](1, 1024, (per_share, shares, offsets))
    # The one place where the host has to know what the device found: a copy of eight bytes on the
    # current stream, and a wait for it. Nothing else here synchronises.
    count = int(offsets[-1])
    out = xp.empty((count, x.ndim), dtype=np.int64)
    if count:
        shape = xp.asarray(x.shape, dtype=np.int64)
        args = (data, x.size, shares, offsets, shape, x.ndim, out)
        KERNELS["write_nonzero", char](blocks, _THREADS, args)
    return out
