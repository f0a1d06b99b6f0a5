"""What NumPy's releases do differently, one name each; everything else holds from 2.0 on.

Rules and kernels ask for these names; nothing else in this package looks at a version. Where a
NumPy lacks what the Array API standard or an operator's schema wants, the kernel makes up for it:

- `reshape(copy=)` and `clip` without a bound (2.1), `matvec` and `vecmat` (2.2);
- `nonzero` refuses 0-d arrays (2.0 only warns);
- `round` of ints gives a new array (before 2.4 NumPy gives its argument itself).

Where a NumPy only does something in another way, gpuops does what the one that is installed does.
"""

from __future__ import annotations

from typing import Final

import numpy as np

__all__ = [
    "BROADCAST_KEEPS_WHOLE_ARRAYS",
    "COV_TRANSPOSES_A_ROW",
    "CLIP_NEEDS_NO_BOUND",
    "INTERP_OF_NOTHING_NEEDS_NO_POINTS",
    "MERGES_AXES_OF_NOTHING",
    "NORMS_OF_NOTHING",
    "RESHAPE_HAS_COPY",
    "RFFTN_LAST_AXES_FIRST",
    "ROUND_KEEPS_ORDER_OF_COMPLEX",
    "TAKE_CASTING",
    "WHERE_LOOKS_AT_NUMBERS_FIRST",
]


def _since(major: int, minor: int) -> bool:
    """Whether the NumPy that is installed is of that release or a later one."""
    installed = tuple(int(part) for part in np.__version__.split(".")[:2])
    return installed >= (major, minor)


# -- 2.1 -------------------------------------------------------------------------------------------

RESHAPE_HAS_COPY: Final = _since(2, 1)
"""`reshape` takes `copy`."""

CLIP_NEEDS_NO_BOUND: Final = _since(2, 1)
"""`clip` with neither bound gives a copy; before, it is refused."""

TAKE_CASTING: Final = "same_kind" if _since(2, 1) else "safe"
"""How `take` casts its indices: before 2.1 it refuses uint64."""

BROADCAST_KEEPS_WHOLE_ARRAYS: Final = _since(2, 1)
"""`broadcast_arrays` gives arrays that have the shape already back as they are.

Before 2.1 only if all of them have it; otherwise axes of one element get strides of 0.
"""

RFFTN_LAST_AXES_FIRST: Final = _since(2, 1)
"""`fft.rfftn` transforms along the last axes first; the rounding errors depend on it."""

# -- 2.2 -------------------------------------------------------------------------------------------

COV_TRANSPOSES_A_ROW: Final = _since(2, 2)
"""`cov(rowvar=False)` takes the columns of one row for variables; before, the row for one."""

# -- 2.3 -------------------------------------------------------------------------------------------

NORMS_OF_NOTHING: Final = _since(2, 3)
"""Of nothing, the norms 1, 2 and infinity of matrices and infinity of vectors are 0.

Before 2.3 they are refused.
"""

# -- 2.4 -------------------------------------------------------------------------------------------

ROUND_KEEPS_ORDER_OF_COMPLEX: Final = _since(2, 4)
"""`round` of complex numbers lays axes out as its argument does; before, in C order."""

# -- 2.5 -------------------------------------------------------------------------------------------

INTERP_OF_NOTHING_NEEDS_NO_POINTS: Final = _since(2, 5)
"""`interp` at no places takes a function that is known at no points."""

WHERE_LOOKS_AT_NUMBERS_FIRST: Final = _since(2, 5)
"""`where` refuses a number that does not fit before shapes that do not go together."""

MERGES_AXES_OF_NOTHING: Final = _since(2, 5)
"""`median` and `quantile` over none or several axes take arrays without elements."""
