"""Integer instructions against Python's unbounded integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.ptx_kernels import run_each

KINDS = {f"{s}{8 * n}": np.dtype(f"{'i' if s == 's' else 'u'}{n}") for s in "su" for n in (2, 4, 8)}
few = settings(max_examples=8, deadline=None)


def numbers(kind: str) -> st.SearchStrategy[int]:
    """Integers of a type, often at the ends of its range."""
    info = np.iinfo(KINDS[kind])
    low, high = int(info.min), int(info.max)
    edges = [low, low + 1, -1 if low else 0, 0, 1, 2, high - 1, high]
    return st.one_of(st.sampled_from(edges), st.integers(low, high))


def columns(*kinds: str, n: int = 16) -> st.SearchStrategy[list[np.ndarray]]:
    """An array of n numbers of each type."""
    return st.tuples(
        *(st.lists(numbers(k), min_size=n, max_size=n).map(lambda v, k=k: np.array(v, KINDS[k]))
          for k in kinds)
    ).map(list)  # fmt: skip


def wrap(value: int, kind: str) -> int:
    bits = 8 * KINDS[kind].itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value


def truncated(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


BINARY: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul.lo": lambda a, b: a * b,
    "min": min,
    "max": max,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", BINARY)
def test_sums_products_and_extremes_wrap_around(op: str, kind: str) -> None:
    @few
    @given(columns(kind, kind))
    def check(values: list[np.ndarray]) -> None:
        (found,) = run_each(
            f"{op}.{kind} %d0, %a0, %a1;", [(kind, KINDS[kind])], [(kind, v) for v in values]
        )
        pairs = zip(*(v.tolist() for v in values), strict=True)
        assert found.tolist() == [wrap(BINARY[op](a, b), kind) for a, b in pairs]

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_division_goes_towards_zero(kind: str) -> None:
    @few
    @given(columns(kind, kind))
    def check(values: list[np.ndarray]) -> None:
        values[1][values[1] == 0] = 3
        operands = [(kind, v) for v in values]
        body = [f"div.{kind} %d0, %a0, %a1;", f"rem.{kind} %d1, %a0, %a1;"]
        quotient, rest = run_each(body, [(kind, KINDS[kind])] * 2, operands)
        pairs = list(zip(*(v.tolist() for v in values), strict=True))
        assert quotient.tolist() == [wrap(truncated(a, b), kind) for a, b in pairs]
        assert rest.tolist() == [wrap(a - truncated(a, b) * b, kind) for a, b in pairs]

    check()


@pytest.mark.parametrize("kind", ["s16", "u16", "s32", "u32"])
def test_wide_products_and_their_sums_are_exact(kind: str) -> None:
    wide = kind[0] + str(16 * KINDS[kind].itemsize)

    @few
    @given(columns(kind, kind, wide))
    def check(values: list[np.ndarray]) -> None:
        operands = list(zip((kind, kind, wide), values, strict=True))
        body = [f"mul.wide.{kind} %d0, %a0, %a1;", f"mad.wide.{kind} %d1, %a0, %a1, %a2;"]
        product, total = run_each(body, [(wide, KINDS[wide])] * 2, operands)
        triples = list(zip(*(v.tolist() for v in values), strict=True))
        assert product.tolist() == [a * b for a, b, _ in triples]
        assert total.tolist() == [wrap(a * b + c, wide) for a, b, c in triples]

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_the_upper_half_of_a_product(kind: str) -> None:
    bits = 8 * KINDS[kind].itemsize

    @few
    @given(columns(kind, kind))
    def check(values: list[np.ndarray]) -> None:
        operands = [(kind, v) for v in values]
        (found,) = run_each(f"mul.hi.{kind} %d0, %a0, %a1;", [(kind, KINDS[kind])], operands)
        pairs = zip(*(v.tolist() for v in values), strict=True)
        assert found.tolist() == [wrap(a * b >> bits, kind) for a, b in pairs]

    check()


def test_an_immediate_of_a_wide_product_is_of_the_narrow_type() -> None:
    # -252645135 is 0xf0f0f0f1, which NVRTC writes so where it divides by 17.
    a = np.array([0, 17, 34 * 1000, 2**32 - 1], np.uint32)
    (found,) = run_each("mul.wide.u32 %d0, %a0, -252645135;", [("u64", np.uint64)], [("u32", a)])
    assert found.tolist() == [int(v) * 0xF0F0F0F1 for v in a]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "s16"])
def test_shifts_by_any_amount(kind: str) -> None:
    bits = 8 * KINDS[kind].itemsize

    @few
    @given(columns(kind, "u32"))
    def check(values: list[np.ndarray]) -> None:
        values[1][:12] %= bits + 3
        operands = [(kind, values[0]), ("u32", values[1])]
        body = [f"shl.b{bits} %d0, %a0, %a1;", f"shr.{kind} %d1, %a0, %a1;"]
        left, right = run_each(body, [(kind, KINDS[kind])] * 2, operands)
        pairs = list(zip(*(v.tolist() for v in values), strict=True))
        assert left.tolist() == [wrap(a << min(b, bits), kind) for a, b in pairs]
        assert right.tolist() == [a >> min(b, bits) for a, b in pairs]

    check()


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_bit_counts(kind: str) -> None:
    bits = 8 * KINDS[kind].itemsize

    @few
    @given(columns(kind))
    def check(values: list[np.ndarray]) -> None:
        body = [
            f"popc.b{bits} %d0, %a0;",
            f"clz.b{bits} %d1, %a0;",
            f"brev.b{bits} %d2, %a0;",
            f"bfind.{kind} %d3, %a0;",
            f"bfind.shiftamt.{kind} %d4, %a0;",
        ]
        unsigned = KINDS[f"u{bits}"]
        results = [("u32", np.uint32)] * 2 + [(f"u{bits}", unsigned)] + [("u32", np.uint32)] * 2
        ones, zeros, back, place, shift = run_each(body, results, [(kind, values[0])])
        plain = [int(v) & ((1 << bits) - 1) for v in values[0]]
        assert ones.tolist() == [v.bit_count() for v in plain]
        assert zeros.tolist() == [bits - v.bit_length() for v in plain]
        assert back.tolist() == [int(f"{v:0{bits}b}"[::-1], 2) for v in plain]
        # Of a negative number the highest zero counts.
        looked = [
            v if int(a) >= 0 else v ^ ((1 << bits) - 1)
            for a, v in zip(values[0], plain, strict=True)
        ]
        assert place.tolist() == [v.bit_length() - 1 if v else 2**32 - 1 for v in looked]
        assert shift.tolist() == [bits - v.bit_length() if v else 2**32 - 1 for v in looked]

    check()


def field(a: int, pos: int, length: int, bits: int, signed: bool) -> int:
    """PTX ISA, ``bfe``: beyond the highest bit the field is filled with it if signed."""
    pos, length = pos & 255, length & 255
    sign = a >> min(pos + length - 1, bits - 1) & 1 if signed and length else 0
    found = 0
    for k in range(bits):
        inside = k < length and pos + k < bits
        found |= (a >> (pos + k) & 1 if inside else sign) << k
    return found


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_bit_fields(kind: str) -> None:
    bits = 8 * KINDS[kind].itemsize

    @few
    @given(columns(kind, kind, "u32", "u32"))
    def check(values: list[np.ndarray]) -> None:
        values[2][:10] %= bits + 2
        values[3][:12] %= bits + 2
        a, b, c, d = values
        operands = [(kind, a), (kind, b), ("u32", c), ("u32", d)]
        body = [f"bfe.{kind} %d0, %a0, %a2, %a3;", f"bfi.b{bits} %d1, %a0, %a1, %a2, %a3;"]
        unsigned = KINDS[f"u{bits}"]
        taken, put = run_each(body, [(kind, KINDS[kind]), (f"u{bits}", unsigned)], operands)
        mask = (1 << bits) - 1
        rows = list(zip(a.tolist(), b.tolist(), c.tolist(), d.tolist(), strict=True))
        expected = [field(x & mask, p, n, bits, kind[0] == "s") for x, _, p, n in rows]
        assert [v & mask for v in taken.tolist()] == expected
        inserted = []
        for x, y, p, n in rows:
            hole = ((1 << min(n & 255, bits)) - 1) << (p & 255) & mask
            inserted.append((y & mask & ~hole) | ((x & mask) << (p & 255) & hole))
        assert put.tolist() == inserted

    check()


@few
@given(columns("u32", "u32", "u32"), st.integers(0, 255))
def test_three_operand_logic_and_byte_permutation(values: list[np.ndarray], table: int) -> None:
    operands = [("u32", v) for v in values]
    body = [f"lop3.b32 %d0, %a0, %a1, %a2, {table};", "prmt.b32 %d1, %a0, %a1, %a2;"]
    logic, bytes_ = run_each(body, [("u32", np.uint32)] * 2, operands)
    for a, b, c, found in zip(*(v.tolist() for v in values), logic.tolist(), strict=True):
        index = ((a >> k & 1) << 2 | (b >> k & 1) << 1 | c >> k & 1 for k in range(32))
        assert found == sum((table >> i & 1) << k for k, i in enumerate(index))
    for a, b, c, found in zip(*(v.tolist() for v in values), bytes_.tolist(), strict=True):
        pool = (a | b << 32).to_bytes(8, "little")
        picked = []
        for k in range(4):
            byte = pool[c >> 4 * k & 7]
            picked.append((0xFF if byte >> 7 else 0) if c >> (4 * k + 3) & 1 else byte)
        assert found == int.from_bytes(bytes(picked), "little")


@few
@given(columns("u32", "u32", "u32"))
def test_funnel_shifts(values: list[np.ndarray]) -> None:
    values[2][:12] %= 40
    modes = [(side, way) for side in "lr" for way in ("wrap", "clamp")]
    body = [f"shf.{s}.{w}.b32 %d{k}, %a0, %a1, %a2;" for k, (s, w) in enumerate(modes)]
    results = run_each(body, [("u32", np.uint32)] * 4, [("u32", v) for v in values])
    for (side, way), found in zip(modes, results, strict=True):
        for a, b, c, r in zip(*(v.tolist() for v in values), found.tolist(), strict=True):
            count = c & 31 if way == "wrap" else min(c, 32)
            both = b << 32 | a
            assert r == ((both << count) >> 32 if side == "l" else both >> count) & 0xFFFFFFFF


@pytest.mark.parametrize("a_kind", ["u32", "s32"])
@pytest.mark.parametrize("b_kind", ["u32", "s32"])
def test_dot_products_of_bytes(a_kind: str, b_kind: str) -> None:
    @few
    @given(columns("u32", "u32", "u32"))
    def check(values: list[np.ndarray]) -> None:
        a, b, c = values
        body = [
            f"dp4a.{a_kind}.{b_kind} %d0, %a0, %a1, %a2;",
            f"dp2a.lo.{a_kind}.{b_kind} %d1, %a0, %a1, %a2;",
            f"dp2a.hi.{a_kind}.{b_kind} %d2, %a0, %a1, %a2;",
        ]
        four, low, high = run_each(body, [("u32", np.uint32)] * 3, [("u32", v) for v in values])
        bytes_a = a.view("i1" if a_kind == "s32" else "u1").reshape(-1, 4).astype(np.int64)
        bytes_b = b.view("i1" if b_kind == "s32" else "u1").reshape(-1, 4).astype(np.int64)
        words = a.view("i2" if a_kind == "s32" else "u2").reshape(-1, 2).astype(np.int64)
        start = c.astype(np.int64)
        assert np.array_equal(four, ((bytes_a * bytes_b).sum(1) + start).astype(np.uint32))
        assert np.array_equal(low, ((words * bytes_b[:, :2]).sum(1) + start).astype(np.uint32))
        assert np.array_equal(high, ((words * bytes_b[:, 2:]).sum(1) + start).astype(np.uint32))

    check()


@few
@given(columns("u64", "u64", "u64", "u64"))
def test_carries_make_wider_sums_and_differences(values: list[np.ndarray]) -> None:
    operands = [("u64", v) for v in values]
    body = [
        "add.cc.u64 %d0, %a0, %a2;",
        "addc.u64 %d1, %a1, %a3;",
        "sub.cc.u64 %d2, %a0, %a2;",
        "subc.u64 %d3, %a1, %a3;",
    ]
    found = run_each(body, [("u64", np.uint64)] * 4, operands)
    rows = zip(*(v.tolist() for v in values), *(f.tolist() for f in found), strict=True)
    for low_a, high_a, low_b, high_b, add_low, add_high, sub_low, sub_high in rows:
        a, b = high_a << 64 | low_a, high_b << 64 | low_b
        assert add_high << 64 | add_low == (a + b) % (1 << 128)
        assert sub_high << 64 | sub_low == (a - b) % (1 << 128)


@few
@given(columns("u32", "u32", "u32", "u32"))
def test_multiplication_with_carries(values: list[np.ndarray]) -> None:
    # 32 x 32 + 64 bits in two steps, as big-integer code does.
    body = ["mad.lo.cc.u32 %d0, %a0, %a1, %a2;", "madc.hi.u32 %d1, %a0, %a1, %a3;"]
    low, high = run_each(body, [("u32", np.uint32)] * 2, [("u32", v) for v in values])
    rows = zip(*(v.tolist() for v in values), low.tolist(), high.tolist(), strict=True)
    for a, b, c, d, first, second in rows:
        assert second << 32 | first == (a * b + (d << 32 | c)) % (1 << 64)


COMPARE: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


@pytest.mark.parametrize("kind", KINDS)
def test_comparisons_and_selection(kind: str) -> None:
    @few
    @given(columns(kind, kind))
    def check(values: list[np.ndarray]) -> None:
        values[1][:4] = values[0][:4]
        operands = [(kind, v) for v in values]
        body = [f"setp.{op}.{kind} %d{k}, %a0, %a1;" for k, op in enumerate(COMPARE)]
        body += [f"selp.{kind} %d6, %a0, %a1, %d2;"]
        results = [("pred", np.bool_)] * 6 + [(kind, KINDS[kind])]
        *tests, picked = run_each(body, results, operands)
        pairs = list(zip(*(v.tolist() for v in values), strict=True))
        for op, found in zip(COMPARE, tests, strict=True):
            assert found.tolist() == [COMPARE[op](a, b) for a, b in pairs]
        assert picked.tolist() == [a if a < b else b for a, b in pairs]

    check()


def test_predicates_combine_and_set_gives_all_ones() -> None:
    a, b = np.arange(8, dtype=np.int32), np.full(8, 4, np.int32)
    body = [
        "setp.lt.s32 %p0, %a0, 2;",
        "setp.ge.and.s32 %d0|%d1, %a0, %a1, !%p0;",
        "set.lt.u32.s32 %d2, %a0, %a1;",
        "set.ge.f32.s32 %d3, %a0, %a1;",
    ]
    results = [("pred", np.bool_)] * 2 + [("u32", np.uint32), ("f32", np.float32)]
    both, other, ones, real = run_each(body, results, [("s32", a), ("s32", b)])
    assert both.tolist() == [False] * 4 + [True] * 4
    assert other.tolist() == [False, False, True, True, False, False, False, False]
    assert ones.tolist() == [2**32 - 1] * 4 + [0] * 4
    assert real.tolist() == [0.0] * 4 + [1.0] * 4


def test_narrow_registers_are_extended_by_the_sign_of_the_type() -> None:
    a = np.array([-1, -128, 127, 5], np.int8)
    text = ["cvt.s32.s8 %d0, %a0;", "cvt.u32.u8 %d1, %a0;", "cvt.s64.s8 %d2, %a0;"]
    results = [("s32", np.int32), ("u32", np.uint32), ("s64", np.int64)]
    signed, unsigned, wide = run_each(text, results, [("s8", a)])
    assert signed.tolist() == wide.tolist() == a.tolist()
    assert unsigned.tolist() == a.view(np.uint8).tolist()


def test_vectors_pack_and_unpack() -> None:
    a = np.array([0x0123456789ABCDEF, 2**64 - 2], np.uint64)
    body = ["mov.b64 {%d0, %d1}, %a0;", "mov.b64 %d2, {%d1, %d0};"]
    results = [("u32", np.uint32), ("u32", np.uint32), ("u64", np.uint64)]
    low, high, swapped = run_each(body, results, [("u64", a)])
    assert low.tolist() == [0x89ABCDEF, 0xFFFFFFFE]
    assert high.tolist() == [0x01234567, 0xFFFFFFFF]
    assert swapped.tolist() == [0x89ABCDEF01234567, 0xFFFFFFFEFFFFFFFF]


def test_saturating_sums() -> None:
    a = np.array([2**31 - 1, -(2**31), 5], np.int32)
    b = np.array([1, -1, -7], np.int32)
    body = ["add.sat.s32 %d0, %a0, %a1;", "sub.sat.s32 %d1, %a0, %a1;"]
    total, difference = run_each(body, [("s32", np.int32)] * 2, [("s32", a), ("s32", b)])
    assert total.tolist() == [2**31 - 1, -(2**31), -2]
    assert difference.tolist() == [2**31 - 2, -(2**31) + 1, 12]


def test_products_of_24_bits_and_sums_of_differences() -> None:
    a = np.array([0xFF800001, 0x7FFFFF, 3], np.uint32)
    b = np.array([2, 2, 5], np.uint32)
    body = [
        "mul24.lo.u32 %d0, %a0, %a1;",
        "mul24.lo.s32 %d1, %a0, %a1;",
        "mad24.lo.u32 %d2, %a0, %a1, %a1;",
        "sad.u32 %d3, %a0, %a1, %a1;",
        "cnot.b32 %d4, %a0;",
        "bmsk.clamp.b32 %d5, %a1, %a1;",
        "fns.b32 %d6, %a0, 0, 1;",
    ]
    found = run_each(body, [("u32", np.uint32)] * 7, [("u32", a), ("u32", b)])
    low = [int(v) & 0xFFFFFF for v in a]
    signed = [v - (1 << 24) if v >> 23 else v for v in low]
    assert found[0].tolist() == [(v * int(w)) & 0xFFFFFFFF for v, w in zip(low, b, strict=True)]
    assert found[1].tolist() == [(v * int(w)) & 0xFFFFFFFF for v, w in zip(signed, b, strict=True)]
    assert found[2].tolist() == [(v * int(w) + int(w)) % 2**32 for v, w in zip(low, b, strict=True)]
    assert found[3].tolist() == [abs(int(v) - int(w)) + int(w) for v, w in zip(a, b, strict=True)]
    assert found[4].tolist() == [0, 0, 0]
    assert found[5].tolist() == [0b1100, 0b1100, 0b1111100000]
    assert found[6].tolist() == [0, 0, 0]
