"""Two words, or four, to two normally distributed numbers: the arithmetic, for NumPy and Numba.

Method: G. E. P. Box, M. E. Muller: A note on the generation of random normal deviates, 1958. With
u from (0, 1] and t a part of a turn, ``sqrt(-2 ln u)`` times the cosine and the sine of t are two
independent normal numbers.

Every step is an addition, multiplication, division or square root that IEEE 754 rounds in one
way only, or is exact, and no step is fused with another. So the numbers have the same bits in
NumPy, in compiled loops and on a GPU (``_include/normal.cuh`` has the same steps).

The logarithm: ``u = 2**e * m`` with m from [sqrt(1/2), sqrt(2)); with ``f = m - 1`` and
``s = f / (2 + f)``, ``ln m = 2 atanh(s)``, arranged so that f, which is exact, carries the result
(J.-M. Muller: Elementary Functions, 3rd edition, 2016, chapter 11). Sine and cosine: the nearest
quarter of a turn is taken off as a whole number, which is exact. The polynomials interpolate at
Chebyshev nodes; their coefficients are written out, so that no library's rounding can change them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "pair32",
    "pair64",
    "parts32",
    "parts64",
    "radius32",
    "radius64",
    "unit32",
    "unit64",
]


def _coefficients(dtype: type, *digits: str) -> tuple[Any, ...]:
    return tuple(dtype(float.fromhex(number)) for number in digits)


_F, _D, _I = np.float32, np.float64, np.int64

# -- float32 ---------------------------------------------------------------------------------------

# (2 atanh(s) / s - 2) / s**2 by powers of s**2; relative error 3.0e-7, in the logarithm 2.9e-9.
LOG32 = _coefficients(_F, "0x1.55555cp-1", "0x1.997c30p-2", "0x1.2ee610p-2")
# sin(2 pi y) / y by powers of y**2, |y| <= 1/8; relative error 3.5e-8.
SIN32 = _coefficients(_F, "0x1.921fb6p+2", "-0x1.4abbbap+5", "0x1.465ec4p+6", "-0x1.2d9b40p+6")
# (cos(2 pi y) - 1) / y**2, likewise; relative error 3.1e-8.
COS32 = _coefficients(_F, "-0x1.3bd3ccp+4", "0x1.03c1eap+6", "-0x1.55cb98p+6", "0x1.db6492p+5")
# ln 2 in two parts, of which the first has few enough bits that its product with any e is exact.
LN2_32 = _coefficients(_F, "0x1.62e400p-1", "0x1.7f7d1cp-20")

_L0, _L1, _L2 = LOG32
_S0, _S1, _S2, _S3 = SIN32
_C0, _C1, _C2, _C3 = COS32
_HI, _LO = LN2_32
_0F, _HALF_F, _1F, _2F, _256F = _F(0), _F(0.5), _F(1), _F(2), _F(256)
_2_32, _2_33 = _F(2.0**-32), _F(2.0**-33)
_SQRT_HALF_32 = np.int32(0x3F3504F3)


def unit32(w: Any) -> Any:
    """``(w + 1/2) * 2**-32`` for a word (int64), rounded to float32: a number from (0, 1]."""
    # As two whole numbers that are exact in float32, whose sum is rounded once.
    whole = _F(np.int32(w >> _I(8))) * _256F + _F(np.int32(w & _I(255)))
    return whole * _2_32 + _2_33


def parts32(bits: Any) -> Any:
    """e and the bits of m, for the bits of a float32 (all int32)."""
    exponent = np.int32(np.int32(bits - _SQRT_HALF_32) >> np.int32(23))
    return exponent, np.int32(bits - np.int32(exponent << np.int32(23)))


def radius32(exponent: Any, m: Any) -> Any:
    """``sqrt(-2 (e ln 2 + ln m))``."""
    e = _F(exponent)
    f = m - _1F
    s = f / (_2F + f)
    z = s * s
    half = _HALF_F * f * f
    series = z * (_L0 + z * (_L1 + z * _L2))
    logarithm = e * _HI - ((half - (s * (half + series) + e * _LO)) - f)
    return np.sqrt(_0F - _2F * logarithm)


def pair32(radius: Any, w: Any) -> Any:
    """The radius times cosine and sine of ``w * 2**-32`` turns, for a word w (int64)."""
    quarter = (w + _I(2**29)) >> _I(30)
    y = _F(np.int32(w - (quarter << _I(30)))) * _2_32
    z = y * y
    sine = y * (_S0 + z * (_S1 + z * (_S2 + z * _S3)))
    cosine = _1F + z * (_C0 + z * (_C1 + z * (_C2 + z * _C3)))
    # Multiplication by 0, 1 and -1 instead of a choice: exact, and vector code.
    q = np.int32(quarter)
    swap = _F(q & np.int32(1))
    keep = _1F - swap
    sign = _1F - _F(q & np.int32(2))
    turned = _1F - _F((q + np.int32(1)) & np.int32(2))
    first = (cosine * keep + sine * swap) * turned
    second = (sine * keep + cosine * swap) * sign
    return radius * first, radius * second


# -- float64 ---------------------------------------------------------------------------------------

# As above; relative errors 4.7e-16 (in the logarithm 4.6e-18), 3.9e-17 and 6.4e-17.
LOG64 = _coefficients(
    _D, "0x1.5555555555558p-1", "0x1.99999999952e2p-2", "0x1.2492492df148dp-2",
    "0x1.c71c62e5800a1p-3", "0x1.7462b4ab2ef6bp-3", "0x1.39fe606542ddep-3", "0x1.2b584aae78a57p-3",
)  # fmt: skip
SIN64 = _coefficients(
    _D, "0x1.921fb54442d18p+2", "-0x1.4abbce625be41p+5", "0x1.466bc677587f8p+6",
    "-0x1.32d2cce2e5b19p+6", "0x1.50782fda12d96p+5", "-0x1.e30071afc3e59p+3",
    "0x1.e3f38399551bfp+1",
)  # fmt: skip
COS64 = _coefficients(
    _D, "-0x1.3bd3cc9be45dep+4", "0x1.03c1f081b5ac0p+6", "-0x1.55d3c7e3cb241p+6",
    "0x1.e1f5068688d5bp+5", "-0x1.a6d1eef479be1p+4", "0x1.f9ce245cada0bp+2",
    "-0x1.b2f3eb054afcdp+0",
)  # fmt: skip
LN2_64 = _coefficients(_D, "0x1.62e42fee00000p-1", "0x1.a39ef35793c76p-33")

_M0, _M1, _M2, _M3, _M4, _M5, _M6 = LOG64
_T0, _T1, _T2, _T3, _T4, _T5, _T6 = SIN64
_D0, _D1, _D2, _D3, _D4, _D5, _D6 = COS64
_HI64, _LO64 = LN2_64
_SQRT_HALF_64 = _I(0x3FE6A09E667F3BCD)


def unit64(a: Any, b: Any) -> Any:
    """``((a >> 5) * 2**26 + (b >> 6) + 1) * 2**-53`` for two words (int64): from (0, 1], exact."""
    whole = np.float64(np.int32(a >> _I(5))) * 2.0**26 + np.float64(np.int32(b >> _I(6)))
    return (whole + 1.0) * 2.0**-53


def parts64(bits: Any) -> Any:
    """e and the bits of m, for the bits of a float64 (all int64)."""
    exponent = (bits - _SQRT_HALF_64) >> _I(52)
    return np.int32(exponent), bits - (exponent << _I(52))


def radius64(exponent: Any, m: Any) -> Any:
    """``sqrt(-2 (e ln 2 + ln m))``."""
    e = np.float64(exponent)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    series = z * (_M0 + z * (_M1 + z * (_M2 + z * (_M3 + z * (_M4 + z * (_M5 + z * _M6))))))
    logarithm = e * _HI64 - ((half - (s * (half + series) + e * _LO64)) - f)
    return np.sqrt(0.0 - 2.0 * logarithm)


def pair64(radius: Any, a: Any, b: Any) -> Any:
    """The radius times cosine and sine of ``(a * 2**32 + b) * 2**-64`` turns (words as int64)."""
    quarter = (a + _I(2**29)) >> _I(30)
    high = np.float64(np.int32(a - (quarter << _I(30))))
    # b by way of two numbers that are exact in int32.
    low = np.float64(np.int32(b >> _I(16))) * 65536.0 + np.float64(np.int32(b & _I(65535)))
    y = (high * 2.0**32 + low) * 2.0**-64
    z = y * y
    sine = y * (_T0 + z * (_T1 + z * (_T2 + z * (_T3 + z * (_T4 + z * (_T5 + z * _T6))))))
    cosine = 1.0 + z * (_D0 + z * (_D1 + z * (_D2 + z * (_D3 + z * (_D4 + z * (_D5 + z * _D6))))))
    q = np.int32(quarter)
    swap = np.float64(q & np.int32(1))
    keep = 1.0 - swap
    sign = 1.0 - np.float64(q & np.int32(2))
    turned = 1.0 - np.float64((q + np.int32(1)) & np.int32(2))
    first = (cosine * keep + sine * swap) * turned
    second = (sine * keep + cosine * swap) * sign
    return radius * first, radius * second
