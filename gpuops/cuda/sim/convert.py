"""Conversions between number types (PTX ``cvt``), with their rounding modes.

Integers narrower than 64 bits go through float64, which holds them exactly; 64-bit integers and
directed rounding go through NumPy's ``longdouble`` where it has 64 bits of mantissa or more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuops.cuda.sim.arith import F2, F4, F8, U1, U2, U4, Value, bf16_down, bf16_up, pick

__all__ = ["directed", "fp8_down", "fp8_up", "pair_down", "round_integral", "tf32", "to_integer"]

_INTEGRAL = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def round_integral(x: Value, mode: str) -> Value:
    """Round to an integral value: rni to nearest even, rzi to zero, rmi down, rpi up."""
    return _INTEGRAL[mode](x)


def to_integer(x: Value, dtype: Any, mode: str) -> Value:
    """A float to an integer: rounded, clamped to the type's range, 0 for NaN."""
    info = np.iinfo(dtype)
    rounded = _INTEGRAL[mode](x.astype(F8))
    high = rounded >= float(info.max)
    low = rounded <= float(info.min)
    inside = pick(np.isnan(rounded) | high | low, F8(0), rounded).astype(dtype)
    return pick(high, dtype(info.max), pick(low, dtype(info.min), inside))


def directed(exact: Value, dtype: Any, mode: str) -> Value:
    """Round a value of a wider type to `dtype`: rz to zero, rm down, rp up."""
    near = exact.astype(dtype)
    back = near.astype(exact.dtype)
    infinity = dtype(np.inf)
    down, up = np.nextafter(near, -infinity), np.nextafter(near, infinity)
    if mode == "rm":
        return pick(back > exact, down, near)
    if mode == "rp":
        return pick(back < exact, up, near)
    outward = np.abs(back) > np.abs(exact)
    return pick(outward, pick(exact > 0, down, up), near)


def tf32(x: Value) -> Value:
    """float32 rounded to 10 bits of mantissa, to nearest with ties away from zero, as bits."""
    bits = x.view(U4)
    return pick(np.isnan(x), bits, (bits + U4(0x1000)) & U4(0xFFFFE000))


def pair_down(high: Value, low: Value, kind: str, relu: bool, saturate: bool) -> Value:
    """Two float32 packed into one register as f16x2 or bf16x2."""
    if relu:
        high, low = np.maximum(high, F4(0)), np.maximum(low, F4(0))
    if saturate:
        limit = F4(65504)
        high, low = (np.fmin(np.fmax(v, -limit), limit) for v in (high, low))
    down = bf16_down if kind == "bf16x2" else lambda x: x.astype(F2).view(U2)
    return (down(high).astype(U4) << U4(16)) | down(low).astype(U4)


# -- fp8: OCP 8-bit floating point specification, revision 1.0 ----------------------------------


def _fp8_values(exponent_bits: int, finite: bool) -> Any:
    """The float32 value of each of 256 codes."""
    codes = np.arange(256, dtype=np.int64)
    mantissa_bits = 7 - exponent_bits
    bias = (1 << (exponent_bits - 1)) - 1
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = codes & ((1 << mantissa_bits) - 1)
    subnormal = exponent == 0
    fraction = mantissa / (1 << mantissa_bits) + ~subnormal
    value = fraction * 2.0 ** (np.maximum(exponent, 1) - bias)
    if finite:
        value[(codes & 0x7F) == 0x7F] = np.nan
    else:
        top = exponent == (1 << exponent_bits) - 1
        value[top] = np.where(mantissa[top] == 0, np.inf, np.nan)
    return np.where(codes & 0x80, -value, value).astype(F4)


_FP8 = {"e4m3": _fp8_values(4, True), "e5m2": _fp8_values(5, False)}


def fp8_up(codes: Value, kind: str) -> Value:
    """fp8 codes (uint8) to float32."""
    return _FP8[kind].take(codes)


def fp8_down(x: Value, kind: str) -> Value:
    """float32 to fp8 codes, to nearest even; beyond the largest finite value that value.

    Infinities saturate too and NaN stays NaN (PTX ``cvt.rn.satfinite``).
    """
    table = _FP8[kind]
    count = 0x7F if kind == "e4m3" else 0x7C  # codes of finite values that are not negative
    positive = table[:count].astype(F8)
    size = np.abs(x.astype(F8))
    upper = np.minimum(np.searchsorted(positive, size), count - 1)
    lower = np.maximum(upper - 1, 0)
    to_lower, to_upper = size - positive[lower], positive[upper] - size
    even = (upper & 1) == 0
    code = pick((to_upper < to_lower) | ((to_upper == to_lower) & even), upper, lower)
    code = pick(size >= positive[-1], count - 1, code)
    code = pick(np.isnan(x), 0x7F, code) | pick(np.signbit(x) & ~np.isnan(x), 0x80, 0)
    return np.asarray(code).astype(U1)[()]


def bf16_pair(bits: Value) -> tuple[Value, Value]:
    """The low and the high half of a bf16x2 register as float32."""
    return bf16_up(bits & U4(0xFFFF)), bf16_up(bits >> U4(16))


def bf16_directed(x: Value, mode: str) -> Value:
    """A float to bfloat16 bits, rounded to zero (rz), down (rm) or up (rp)."""
    single = directed(x, F4, mode) if x.dtype.itemsize > 4 else x
    bits = single.view(U4)
    cut = bits >> U4(16)
    inexact = (bits & U4(0xFFFF)) != 0
    negative = np.signbit(single)
    away = {"rz": False, "rm": inexact & negative, "rp": inexact & ~negative}[mode]
    moved = cut + (U4(0) if away is False else away.astype(U4))
    return pick(np.isnan(single), U4(0x7FFF), moved).astype(U2)


def clamp(x: Value, dtype: Any) -> Value:
    """An integer clamped to the range of another integer type."""
    info, own = np.iinfo(dtype), np.iinfo(x.dtype)
    low, high = max(int(info.min), int(own.min)), min(int(info.max), int(own.max))
    kind = x.dtype.type
    return np.minimum(np.maximum(x, kind(low)), kind(high)).astype(dtype)


def fp8_pack(high: Value, low: Value, kind: str, relu: bool) -> Value:
    """Two float32 as a pair of fp8 codes, uint16."""
    if relu:
        high, low = np.maximum(high, F4(0)), np.maximum(low, F4(0))
    return (fp8_down(high, kind).astype(U2) << U2(8)) | fp8_down(low, kind).astype(U2)


def fp8_pack_x2(pair: Value, kind: str, bfloat: bool, relu: bool) -> Value:
    """f16x2 or bf16x2 as a pair of fp8 codes, uint16."""
    low, high = bf16_pair(pair) if bfloat else _f16_pair(pair)
    return fp8_pack(high, low, kind, relu)


def fp8_unpack(pair: Value, kind: str, relu: bool) -> Value:
    """A pair of fp8 codes (uint16) as f16x2, uint32."""
    low, high = fp8_up(pair & U2(0xFF), kind), fp8_up(pair >> U2(8), kind)
    return pair_down(high, low, "f16x2", relu, False)


def _f16_pair(pair: Value) -> tuple[Value, Value]:
    low, high = (pair & U4(0xFFFF)).astype(U2), (pair >> U4(16)).astype(U2)
    return low.view(F2).astype(F4), high.view(F2).astype(F4)
