"""Exponentials that LLVM can vectorise.

Numba compiles ``math.exp`` to a call of the C library for every element, unless Intel's SVML is
installed. The functions here are arithmetic only, so a loop around them becomes vector code.

Method: the argument is reduced to ``x = n ln 2 + r`` with ``|r| <= ln(2) / 2``, where ``n ln 2`` is
subtracted in two parts (W. J. Cody, W. Waite: Software Manual for the Elementary Functions, 1980,
chapter 6); ``exp(r)`` is ``1 + r + r**2 q(r)`` with a polynomial q; and ``2**n`` is made from bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.typing.templates import Signature
from numba.extending import intrinsic, overload
from numpy.polynomial import Chebyshev, Polynomial

__all__ = [
    "bits32",
    "bits64",
    "exp",
    "exp32",
    "exp32_below_0",
    "exp64",
    "exp_below_0",
    "from_bits32",
    "from_bits64",
    "logistic",
    "logistic32",
    "logistic64",
    "order",
    "unorder",
]


def _bitcast(target: types.Type, llvm_type: ir.Type, source: types.Type) -> Any:
    """An intrinsic that takes the bits of a `source` for a `target` of the same size."""

    @intrinsic
    def cast(typing_context: Any, value: types.Type) -> tuple[Signature, Any] | None:
        if value != source:
            return None

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            return builder.bitcast(args[0], llvm_type)

        return target(value), generate

    return cast


bits32 = _bitcast(types.int32, ir.IntType(32), types.float32)
from_bits32 = _bitcast(types.float32, ir.FloatType(), types.int32)
bits64 = _bitcast(types.int64, ir.IntType(64), types.float64)
from_bits64 = _bitcast(types.float64, ir.DoubleType(), types.int64)

_F = np.float32
_LOG2E_32 = _F(1 / math.log(2))
# ln 2 in two parts: the first has few enough bits that its product with any n is exact.
_LN2_HI_32 = _F(0.693359375)
_LN2_LO_32 = _F(math.log(2) - 0.693359375)
# Adding 1.5 * 2**23 leaves the nearest whole number in the low bits of a float32.
_ROUND_32 = _F(1.5 * 2**23)
_ROUND_BITS_32 = np.int32(_ROUND_32.view(np.int32))
_ONE_32 = _F(1)


def _tail(r: np.ndarray) -> np.ndarray:
    """``(exp(r) - 1 - r) / r**2``, by its series."""
    return sum(r**k / math.factorial(k + 2) for k in range(16))


# q interpolated at the Chebyshev nodes: the error is spread evenly, and the degree 4 gives what
# the Taylor polynomial needs 5 for. In exp(r) it is 8e-9, an eighth of an ulp.
_q = Chebyshev.interpolate(_tail, 4, domain=[-math.log(2) / 2, math.log(2) / 2])
_C2, _C3, _C4, _C5, _C6 = (_F(c) for c in _q.convert(kind=Polynomial).coef)
# Beyond these, the result is inf or 0 in any case.
_LOWEST_32, _HIGHEST_32 = _F(-104), _F(89)
_LOWEST_NORMAL_32, _ZERO_32 = _F(-87.3365), _F(0)
_SHIFT_32, _BIAS_32, _HALVE_32 = np.int32(23), np.int32(127), np.int32(1)


@njit(fastmath={"contract"})
def exp32(x):  # type: ignore[no-untyped-def]
    """exp(x) for a float32, with an error of less than 1.1 ulp.

    Overflow gives inf, nan gives nan; results below 1.2e-38 are subnormal, and less than 1.5 ulp
    off.
    """
    x = _LOWEST_32 if x < _LOWEST_32 else x
    x = _HIGHEST_32 if x > _HIGHEST_32 else x
    n = bits32(x * _LOG2E_32 + _ROUND_32) - _ROUND_BITS_32
    nf = _F(n)
    r = (x - nf * _LN2_HI_32) - nf * _LN2_LO_32
    p = (((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2
    p = (p * r) * r + r + _ONE_32
    # In two steps: one power of two alone could not reach the subnormal numbers.
    half = np.int32(n >> _HALVE_32)
    first = from_bits32(np.int32((half + _BIAS_32) << _SHIFT_32))
    second = from_bits32(np.int32((np.int32(n - half) + _BIAS_32) << _SHIFT_32))
    return p * first * second


@njit(fastmath={"contract"})
def exp32_below_0(x):  # type: ignore[no-untyped-def]
    """exp(x) for a float32 that is 0, negative or nan, with an error of less than 1.1 ulp.

    A third less work than `exp32`: results below 1.2e-38 are 0.
    """
    shifted = x * _LOG2E_32 + _ROUND_32
    n = shifted - _ROUND_32
    r = (x - n * _LN2_HI_32) - n * _LN2_LO_32
    p = (((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2
    p = (p * r) * r + r + _ONE_32
    # All bits of the shifted argument but those of n are shifted out.
    power = from_bits32(np.int32((bits32(shifted) + _BIAS_32) << _SHIFT_32))
    return _ZERO_32 if x < _LOWEST_NORMAL_32 else p * power


_LOG2E_64 = 1 / math.log(2)
_LN2_HI_64 = float.fromhex("0x1.62e42fee00000p-1")
# ln 2 less its first part, from the digits of ln 2 beyond double precision.
_LN2_LO_64 = float.fromhex("0x1.a39ef35793c76p-33")
_ROUND_64 = 1.5 * 2.0**52
_ROUND_BITS_64 = np.int64(np.float64(_ROUND_64).view(np.int64))
_D = tuple(1 / math.factorial(k) for k in range(14))
_LOWEST_64, _HIGHEST_64 = -746.0, 710.0


@njit(fastmath={"contract"})
def exp64(x):  # type: ignore[no-untyped-def]
    """exp(x) for a float64, with an error of less than 1.1 ulp.

    Overflow gives inf, nan gives nan; results below 2.3e-308 are subnormal, and less than 1.5 ulp
    off.
    """
    x = _LOWEST_64 if x < _LOWEST_64 else x
    x = _HIGHEST_64 if x > _HIGHEST_64 else x
    n = bits64(x * _LOG2E_64 + _ROUND_64) - _ROUND_BITS_64
    nf = np.float64(n)
    r = (x - nf * _LN2_HI_64) - nf * _LN2_LO_64
    p = ((((_D[13] * r + _D[12]) * r + _D[11]) * r + _D[10]) * r + _D[9]) * r + _D[8]
    p = (((((p * r + _D[7]) * r + _D[6]) * r + _D[5]) * r + _D[4]) * r + _D[3]) * r + 0.5
    p = (p * r) * r + r + 1.0
    half = n >> 1
    first = from_bits64((half + 1023) << 52)
    second = from_bits64((n - half + 1023) << 52)
    return p * first * second


def exp(x: Any) -> Any:
    """`exp32` or `exp64`, by the type of `x`, in compiled code."""
    return np.exp(x)


@overload(exp)
def _exp(x):  # type: ignore[no-untyped-def]
    return {types.float32: lambda x: exp32(x), types.float64: lambda x: exp64(x)}.get(x)


def exp_below_0(x: Any) -> Any:
    """`exp32_below_0` or `exp64`, by the type of `x`, in compiled code; `x` is not above 0."""
    return np.exp(x)


@overload(exp_below_0)
def _exp_below_0(x):  # type: ignore[no-untyped-def]
    return {types.float32: lambda x: exp32_below_0(x), types.float64: lambda x: exp64(x)}.get(x)


# -- the logistic function -------------------------------------------------------------------------

# exp(-|x|) times this is normal wherever it is not 0: one power of two is enough to make it.
_SCALE_32, _SCALE_64 = _F(2.0**24), 2.0**53
_SCALE_BITS_32, _SCALE_BITS_64 = np.int32(24), 53
# Beyond these, exp(-|x|) is less than half the least subnormal number.
_NONE_LEFT_32, _NONE_LEFT_64 = _F(103.98), 745.14


@njit(error_model="numpy", fastmath={"contract"})
def logistic32(x):  # type: ignore[no-untyped-def]
    """``1 / (1 + exp(-x))`` and ``1 / (1 + exp(x))`` for a float32.

    Each has an error of less than 2.5 ulp; subnormal results are less than 1.5 ulp off.

    ``silu_mul`` takes three fifths of its time with `exp32`: the exponential's argument is never
    above 0, and the fraction is extended by a power of two, so that the exponential's own power
    is an addition to the exponent's bits.
    """
    away = abs(x)
    shifted = _ROUND_32 - away * _LOG2E_32
    n = shifted - _ROUND_32
    r = (-away - n * _LN2_HI_32) - n * _LN2_LO_32
    p = (((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2
    p = (p * r + _ONE_32) * r + _ONE_32
    power = np.int32(np.int32(bits32(shifted) + _SCALE_BITS_32) << _SHIFT_32)
    small = _ZERO_32 if away > _NONE_LEFT_32 else from_bits32(np.int32(bits32(p) + power))
    part = _ONE_32 / (small + _SCALE_32)
    low, high = small * part, _SCALE_32 * part
    return (low, high) if x < _ZERO_32 else (high, low)


@njit(error_model="numpy", fastmath={"contract"})
def logistic64(x):  # type: ignore[no-untyped-def]
    """``1 / (1 + exp(-x))`` and ``1 / (1 + exp(x))`` for a float64; see `logistic32`."""
    away = abs(x)
    shifted = _ROUND_64 - away * _LOG2E_64
    n = shifted - _ROUND_64
    r = (-away - n * _LN2_HI_64) - n * _LN2_LO_64
    p = ((((_D[13] * r + _D[12]) * r + _D[11]) * r + _D[10]) * r + _D[9]) * r + _D[8]
    p = (((((p * r + _D[7]) * r + _D[6]) * r + _D[5]) * r + _D[4]) * r + _D[3]) * r + 0.5
    p = (p * r + 1.0) * r + 1.0
    power = (bits64(shifted) + _SCALE_BITS_64) << 52
    small = 0.0 if away > _NONE_LEFT_64 else from_bits64(bits64(p) + power)
    part = 1.0 / (small + _SCALE_64)
    low, high = small * part, _SCALE_64 * part
    return (low, high) if x < 0.0 else (high, low)


def logistic(x: Any) -> Any:
    """`logistic32` or `logistic64`, by the type of `x`, in compiled code."""
    e = np.exp(x)
    return e / (1 + e), 1 / (1 + e)


@overload(logistic)
def _logistic(x):  # type: ignore[no-untyped-def]
    return {types.float32: lambda x: logistic32(x), types.float64: lambda x: logistic64(x)}.get(x)


# -- the order of floats as whole numbers ----------------------------------------------------------

_ALL_BUT_SIGN_32, _SIGN_AT_32 = np.int32(2**31 - 1), np.int32(31)
_ALL_BUT_SIGN_64, _SIGN_AT_64 = 2**63 - 1, 63


def order(x: Any) -> Any:
    """A whole number for a float, in the same order; for compiled code.

    LLVM makes vector code of the maximum of whole numbers, and not of that of floats, because of
    nan. These numbers are the float's bits, the order of negative ones turned round. Positive nans
    come after inf, negative ones before -inf.
    """
    raise NotImplementedError("order is for compiled code only")


def unorder(k: Any) -> Any:
    """The float that `order` made `k` of; for compiled code."""
    raise NotImplementedError("unorder is for compiled code only")


@overload(order)
def _order(x):  # type: ignore[no-untyped-def]
    def order32(x):  # type: ignore[no-untyped-def]
        bits = bits32(x)
        return np.int32(bits ^ (np.int32(bits >> _SIGN_AT_32) & _ALL_BUT_SIGN_32))

    def order64(x):  # type: ignore[no-untyped-def]
        bits = bits64(x)
        return bits ^ ((bits >> _SIGN_AT_64) & _ALL_BUT_SIGN_64)

    return {types.float32: order32, types.float64: order64}.get(x)


@overload(unorder)
def _unorder(k):  # type: ignore[no-untyped-def]
    def unorder32(k):  # type: ignore[no-untyped-def]
        return from_bits32(np.int32(k ^ (np.int32(k >> _SIGN_AT_32) & _ALL_BUT_SIGN_32)))

    def unorder64(k):  # type: ignore[no-untyped-def]
        return from_bits64(k ^ ((k >> _SIGN_AT_64) & _ALL_BUT_SIGN_64))

    return {types.int32: unorder32, types.int64: unorder64}.get(k)
