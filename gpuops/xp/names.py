"""The names of the namespace: the standard's, and NumPy's other names for the same."""

from __future__ import annotations

from typing import Final

__all__ = ["ALIASES", "STANDARD"]

STANDARD: Final = frozenset(
    # creation
    "arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones "
    "ones_like tril triu zeros zeros_like "
    # data types
    "astype can_cast finfo iinfo isdtype result_type bool int8 int16 int32 int64 uint8 uint16 "
    "uint32 uint64 float32 float64 complex64 complex128 "
    # elementwise
    "abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift "
    "bitwise_invert bitwise_or bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh "
    "divide equal exp expm1 floor floor_divide greater greater_equal hypot imag isfinite isinf "
    "isnan less less_equal log log1p log2 log10 logaddexp logical_and logical_not logical_or "
    "logical_xor maximum minimum multiply negative nextafter not_equal positive pow real "
    "reciprocal remainder round sign signbit sin sinh square sqrt subtract tan tanh trunc "
    # indexing, searching, sets, sorting
    "take take_along_axis argmax argmin count_nonzero nonzero searchsorted where unique_all "
    "unique_counts unique_inverse unique_values argsort sort "
    # linear algebra
    "matmul matrix_transpose tensordot vecdot "
    # manipulation
    "broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape "
    "roll squeeze stack tile unstack "
    # statistics and utility
    "cumulative_prod cumulative_sum max mean min prod std sum var all any diff "
    # constants, extensions
    "e inf nan newaxis pi fft linalg".split()
)
"""What the Array API standard 2024.12 has in its main namespace."""

ALIASES: Final[dict[str, str]] = {
    "absolute": "abs",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "around": "round",
    "bitwise_not": "bitwise_invert",
    "concatenate": "concat",
    "conjugate": "conj",
    "degrees": "rad2deg",
    "identity": "eye",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "mod": "remainder",
    "power": "pow",
    "radians": "deg2rad",
    "right_shift": "bitwise_right_shift",
    "true_divide": "divide",
}
"""NumPy's name -> the standard's."""
