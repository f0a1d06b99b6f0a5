"""Arithmetic of PTX instructions on NumPy arrays and NumPy scalars alike.

A value that is the same for all threads of a frame is a scalar, any other an array with an element
a thread. Everything here takes either and never gives a 0-d array back. Half types compute in
float32 and round once, which for +, -, *, / and sqrt is correct rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "Value",
    "bf16_down",
    "bf16_up",
    "bfe",
    "bfi",
    "bfind",
    "bmsk",
    "borrow_sub",
    "brev",
    "carry_add",
    "clz",
    "cnot",
    "column",
    "copysign",
    "divide",
    "dp2a",
    "dp4a",
    "fma32",
    "fma64",
    "fma16",
    "fns",
    "funnel_left",
    "greatest",
    "least",
    "funnel_right",
    "is_normal",
    "is_subnormal",
    "lop3",
    "mul_hi",
    "pack_mask",
    "pack_x2",
    "pick",
    "popc",
    "prmt",
    "rem",
    "rsqrt32",
    "sad",
    "saturate",
    "unpack_x2",
    "xorsign",
]

Value = Any
"""A NumPy array with an element a thread, or a NumPy scalar."""

U1, U2, U4, U8 = np.uint8, np.uint16, np.uint32, np.uint64
I1, I4, I8 = np.int8, np.int32, np.int64
F2, F4, F8 = np.float16, np.float32, np.float64

_UNSIGNED = {1: U1, 2: U2, 4: U4, 8: U8}
_LOW = U8(0xFFFFFFFF)
# The bits of a float64 that float32 lacks, and their pattern at a tie.
_BELOW_F4, _HALF_F4 = I8((1 << 29) - 1), I8(1 << 28)
_32 = U8(32)


def pick(condition: Value, yes: Value, no: Value) -> Value:
    """``condition ? yes : no``, thread by thread.

    >>> pick(np.True_, np.uint32(1), np.uint32(2))
    np.uint32(1)
    """
    if condition.__class__ is np.bool_:
        return yes if condition else no
    return np.where(condition, yes, no)


def bf16_up(bits: Value) -> Value:
    """bfloat16 bits to float32."""
    return (bits.astype(U4) << U4(16)).view(F4)


def bf16_down(x: Value) -> Value:
    """float32 to bfloat16 bits, to nearest even."""
    bits = x.view(U4)
    rounded = (bits + (U4(0x7FFF) + ((bits >> U4(16)) & U4(1)))) >> U4(16)
    return pick(np.isnan(x), U4(0x7FFF), rounded).astype(U2)


def unpack_x2(bits: Value, bfloat: bool) -> Value:
    """Two packed halves as float32, shape (threads, 2)."""
    halves = np.asarray(bits).reshape(-1, 1).view(U2)
    return bf16_up(halves) if bfloat else halves.view(F2).astype(F4)


def pack_x2(x: Value, bfloat: bool) -> Value:
    """The inverse of `unpack_x2`; a scalar where there is one row."""
    halves = bf16_down(x) if bfloat else x.astype(F2)
    packed = np.ascontiguousarray(halves).view(U4)[:, 0]
    return packed[0] if len(packed) == 1 else packed


def saturate(x: Value) -> Value:
    """Clamp to [0, 1]; NaN becomes 0."""
    one = x.dtype.type(1)
    return np.fmin(np.fmax(x, one - one), one)


def fma32(a: Value, b: Value, c: Value) -> Value:
    """a * b + c of float32, rounded once.

    float64 holds the product exactly. The sum is rounded there, which only matters where it then
    looks like a tie between two float32 numbers.
    """
    total = a.astype(F8) * b + c
    tie = (total.view(I8) & _BELOW_F4) == _HALF_F4
    if tie.any():
        if total.__class__ is not np.ndarray:
            return _untied(a, b, c, total).astype(F4)
        some = np.flatnonzero(tie)
        x, y, z = (v[some] if v.__class__ is np.ndarray else v for v in (a, b, c))
        total[some] = _untied(x, y, z, total[some])
    return total.astype(F4)


def _untied(a: Value, b: Value, c: Value, total: Value) -> Value:
    """Sums that look like ties, moved by a hair to the side on which the exact sum is.

    The rounding error of the sum is Knuth's (two-sum).
    """
    p = a.astype(F8) * b
    z = total - p
    error = (p - (total - z)) + (c - z)
    return pick(error != 0, np.nextafter(total, np.copysign(F8(np.inf), error)), total)


def fma64(a: Value, b: Value, c: Value) -> Value:
    """a * b + c with the product's and the sum's rounding errors added back.

    Dekker's product and Knuth's sum ("A floating-point technique for extending the available
    precision", Numer. Math. 18, 1971).
    """
    p = a * b
    split = F8(134217729.0)
    t = a * split
    a_high = t - (t - a)
    t = b * split
    b_high = t - (t - b)
    a_low, b_low = a - a_high, b - b_high
    error = ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = p + c
    z = total - p
    exact = total + (((p - (total - z)) + (c - z)) + error)
    return pick(np.isfinite(exact), exact, total)


def fma16(a: Value, b: Value, c: Value) -> Value:
    """a * b + c of float16 numbers given as float32; in float64, for the caller to round once."""
    return a.astype(F8) * b + c


def rsqrt32(x: Value) -> Value:
    """1 / sqrt(x) in float32, computed in float64."""
    return (F8(1) / np.sqrt(x.astype(F8))).astype(F4)


def xorsign(a: Value, b: Value, size: Value) -> Value:
    """`size` with the exclusive or of the signs of `a` and `b`."""
    negative = np.signbit(a) ^ np.signbit(b)
    return pick(negative, -size, size)


def least(a: Value, b: Value) -> Value:
    """The smaller of two floats; of a NaN and a number the number, even if the NaN signals."""
    found = np.fmin(a, b)
    return _number(found, a, b) if np.isnan(found).any() else found


def greatest(a: Value, b: Value) -> Value:
    """As `least`, the larger."""
    found = np.fmax(a, b)
    return _number(found, a, b) if np.isnan(found).any() else found


def _number(found: Value, a: Value, b: Value) -> Value:
    return pick(np.isnan(a), b, pick(np.isnan(b), a, found))


def cnot(x: Value) -> Value:
    """1 where `x` is 0, else 0."""
    return (x == 0).astype(x.dtype)


def column(pairs: Value, k: int) -> Value:
    """Column `k` of (threads, 2); a scalar where there is one row."""
    found = pairs[:, k]
    return found[0] if len(found) == 1 else found


def pack_mask(pairs: Value) -> Value:
    """Two truth values as halves of all ones or zeros, uint32."""
    low, high = column(pairs, 0), column(pairs, 1)
    return low.astype(U4) * U4(0xFFFF) | (high.astype(U4) * U4(0xFFFF)) << U4(16)


def is_subnormal(x: Value) -> Value:
    """Whether a float is smaller than the least normal number, and not zero."""
    return (x != 0) & (np.abs(x) < np.finfo(x.dtype).tiny)


def is_normal(x: Value) -> Value:
    """Whether a float is finite, not zero and not subnormal."""
    return np.isfinite(x) & (np.abs(x) >= np.finfo(x.dtype).tiny)


def copysign(sign: Value, x: Value) -> Value:
    """The magnitude of `x` with the sign of `sign`."""
    return np.copysign(x, sign)


def mul_hi(a: Value, b: Value) -> Value:
    """The upper half of the product of two integers of one type."""
    kind, size = a.dtype.kind, a.dtype.itemsize
    if size < 8:
        wide = I8 if kind == "i" else U8
        return ((a.astype(wide) * b.astype(wide)) >> wide(8 * size)).astype(a.dtype)
    ua, ub = a.view(U8), b.view(U8)
    a_low, a_high, b_low, b_high = ua & _LOW, ua >> _32, ub & _LOW, ub >> _32
    low_high, high_low = a_low * b_high, a_high * b_low
    middle = ((a_low * b_low) >> _32) + (low_high & _LOW) + (high_low & _LOW)
    high = a_high * b_high + (low_high >> _32) + (high_low >> _32) + (middle >> _32)
    if kind == "i":
        high = high - pick(a < 0, ub, U8(0)) - pick(b < 0, ua, U8(0))
    return high.view(a.dtype)


def divide(a: Value, b: Value) -> Value:
    """Integer division towards zero. Division by zero gives all ones, as NVIDIA GPUs do."""
    zero = b == 0
    divisor = pick(zero, b.dtype.type(1), b)
    if a.dtype.kind == "u":
        quotient = a // divisor
    else:
        floor = a // divisor
        # Floored and truncated quotients differ by one if inexact and of different signs.
        inexact = (floor * divisor != a) & ((a < 0) != (divisor < 0))
        quotient = floor + inexact
    ones = a.dtype.type(-1) if a.dtype.kind == "i" else ~a.dtype.type(0)
    return pick(zero, ones, quotient).astype(a.dtype)


def rem(a: Value, b: Value) -> Value:
    """The remainder of `divide`; by zero it is `a`."""
    zero = b == 0
    divisor = pick(zero, b.dtype.type(1), b)
    return pick(zero, a, a - divide(a, divisor) * divisor).astype(a.dtype)


def popc(x: Value) -> Value:
    """The number of ones, uint32."""
    return np.bitwise_count(x).astype(U4)


def clz(x: Value) -> Value:
    """The number of leading zeros, uint32."""
    bits = 8 * x.dtype.itemsize
    for shift in (1, 2, 4, 8, 16, 32):
        if shift < bits:
            x = x | (x >> x.dtype.type(shift))
    return U4(bits) - np.bitwise_count(x).astype(U4)


def bfind(x: Value, shift: bool) -> Value:
    """The place of the highest one (of a negative number: highest zero), or 0xffffffff.

    Args:
        x: integers.
        shift: give how far to shift left instead, so that it becomes the highest bit.
    """
    bits = 8 * x.dtype.itemsize
    plain = x.view(_UNSIGNED[x.dtype.itemsize])
    if x.dtype.kind == "i":
        plain = pick(x < 0, ~plain, plain)
    place = U4(bits - 1) - clz(plain)
    missing = plain == 0
    return pick(missing, U4(0xFFFFFFFF), U4(bits - 1) - place if shift else place)


def brev(x: Value) -> Value:
    """The bits in reverse order."""
    dtype = x.dtype.type
    for shift, mask in ((1, 0x55), (2, 0x33), (4, 0x0F)):
        pattern = dtype(int.from_bytes(bytes([mask]) * x.dtype.itemsize, "little"))
        x = ((x >> dtype(shift)) & pattern) | ((x & pattern) << dtype(shift))
    return x.byteswap()


def _mask(length: Value) -> Value:
    """`length` ones, uint64; 64 and more give all ones."""
    full = length >= U8(64)
    return pick(full, ~U8(0), (U8(1) << pick(full, U8(0), length)) - U8(1))


def bfe(x: Value, position: Value, length: Value) -> Value:
    """The bit field of `length` bits from `position`; signed types extend its highest bit."""
    bits = 8 * x.dtype.itemsize
    pos, count = position.astype(U8) & U8(255), length.astype(U8) & U8(255)
    wide = x.astype(I8) if x.dtype.kind == "i" else x.astype(U8)
    mask = _mask(count)
    field = (wide >> pos.view(wide.dtype)).view(U8) & mask
    if x.dtype.kind == "i":
        # Beyond the highest bit the field is filled with it.
        high = np.minimum(pos + count - U8(1), U8(bits - 1))
        sign = ((wide.view(U8) >> high) & U8(1)).astype(bool) & (count > 0)
        field = pick(sign, field | ~mask, field)
    return field.astype(_UNSIGNED[x.dtype.itemsize]).view(x.dtype)


def bfi(field: Value, into: Value, position: Value, length: Value) -> Value:
    """`into` with `length` bits from `position` replaced by the lowest of `field`."""
    dtype = into.dtype
    pos, count = position.astype(U8) & U8(255), length.astype(U8) & U8(255)
    mask = _mask(count) << pos
    return ((into.astype(U8) & ~mask) | ((field.astype(U8) << pos) & mask)).astype(dtype)


def bmsk(position: Value, length: Value, clamp: bool) -> Value:
    """A mask of `length` ones from `position`, both clamped to 32 or taken modulo 32."""
    pos, count = position.astype(U8), length.astype(U8)
    if clamp:
        pos, count = np.minimum(pos, _32), np.minimum(count, _32)
    else:
        pos, count = pos & U8(31), count & U8(31)
    return ((_mask(count) << pos) & _LOW).astype(U4)


def funnel_left(low: Value, high: Value, shift: Value, wrap: bool) -> Value:
    """The upper word of high:low shifted left."""
    count = (shift & U4(31) if wrap else np.minimum(shift, U4(32))).astype(U8)
    return ((((high.astype(U8) << _32) | low) << count) >> _32).astype(U4)


def funnel_right(low: Value, high: Value, shift: Value, wrap: bool) -> Value:
    """The lower word of high:low shifted right."""
    count = (shift & U4(31) if wrap else np.minimum(shift, U4(32))).astype(U8)
    return ((((high.astype(U8) << _32) | low) >> count) & _LOW).astype(U4)


def lop3(a: Value, b: Value, c: Value, table: int) -> Value:
    """The bitwise function of three operands whose truth table is `table`."""
    result: Value = U4(0)
    for k in range(8):
        if table >> k & 1:
            term = (a if k & 4 else ~a) & (b if k & 2 else ~b) & (c if k & 1 else ~c)
            result = result | term
    return result


def prmt(a: Value, b: Value, selector: Value, mode: str) -> Value:
    """Four bytes of b:a, picked by the nibbles of `selector` or by one of the fixed patterns."""
    pool = a.astype(U8) | (b.astype(U8) << _32)
    result: Value = U4(0)
    for k in range(4):
        nibble = _nibble(selector, k, mode).astype(U8)
        byte = (pool >> ((nibble & U8(7)) << U8(3))) & U8(0xFF)
        if not mode:
            sign = pick((byte & U8(0x80)) != 0, U8(0xFF), U8(0))
            byte = pick((nibble & U8(8)) != 0, sign, byte)
        result = result | (byte.astype(U4) << U4(8 * k))
    return result


def _nibble(selector: Value, k: int, mode: str) -> Value:
    low = selector & U4(3)
    if not mode:
        return (selector >> U4(4 * k)) & U4(15)
    if mode == "f4e":
        return low + U4(k)
    if mode == "b4e":
        return (low - U4(k)) & U4(7)
    if mode == "rc8":
        return low
    if mode == "ecl":
        return np.maximum(low, U4(k))
    if mode == "ecr":
        return np.minimum(low, U4(k))
    return (low & U4(1)) * U4(2) + U4(k & 1)  # rc16


def _bytes_of(x: Value, signed: bool) -> Value:
    return np.asarray(x).reshape(-1, 1).view(I1 if signed else U1).astype(I4)


def _row_sums(products: Value, c: Value) -> Value:
    total = products.sum(axis=1, dtype=I4)
    return (total[0] if len(total) == 1 else total).view(U4) + c


def dp4a(a: Value, b: Value, c: Value, a_signed: bool, b_signed: bool) -> Value:
    """c plus the dot product of four bytes and four bytes, uint32."""
    return _row_sums(_bytes_of(a, a_signed) * _bytes_of(b, b_signed), c)


def dp2a(a: Value, b: Value, c: Value, a_signed: bool, b_signed: bool, high: bool) -> Value:
    """c plus the dot product of two 16-bit numbers and the low or high two bytes, uint32."""
    words = np.asarray(a).reshape(-1, 1).view(np.int16 if a_signed else U2).astype(I4)
    pair = _bytes_of(b, b_signed)[:, 2:] if high else _bytes_of(b, b_signed)[:, :2]
    return _row_sums(words * pair, c)


def sad(a: Value, b: Value, c: Value) -> Value:
    """c + |a - b|."""
    return c + (np.maximum(a, b) - np.minimum(a, b)).astype(c.dtype)


def fns(mask: Value, base: Value, offset: Value) -> Value:
    """The place of the n-th one of `mask` from `base` on (up if offset > 0, else down)."""

    def find(bits: int, start: int, count: int) -> int:
        step = 1 if count >= 0 else -1
        wanted = abs(count) if count else 1
        at = start
        while 0 <= at < 32:
            if bits >> at & 1:
                if not count:
                    return at
                wanted -= 1
                if not wanted:
                    return at
            elif not count:
                return 0xFFFFFFFF
            at += step
        return 0xFFFFFFFF

    found = np.frompyfunc(find, 3, 1)(
        np.asarray(mask).astype(object), np.asarray(base).astype(object),
        np.asarray(offset).astype(object),
    )  # fmt: skip
    return U4(found) if isinstance(found, int) else found.astype(U4)


def carry_add(a: Value, b: Value, carry: Value) -> tuple[Value, Value]:
    """a + b + carry of unsigned integers, and whether it overflowed."""
    total = a + b
    over = total < a
    result = total + carry.astype(a.dtype)
    return result, over | (result < total)


def borrow_sub(a: Value, b: Value, carry: Value) -> tuple[Value, Value]:
    """a - b - carry of unsigned integers, and whether it borrowed."""
    difference = a - b
    under = a < b
    result = difference - carry.astype(a.dtype)
    return result, under | (result > difference)
