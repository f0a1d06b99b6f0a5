"""Floating-point instructions against NumPy and exact fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.ptx_kernels import run_each

few = settings(max_examples=8, deadline=None)
REAL = {"f32": np.float32, "f64": np.float64}
SPECIAL = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-40, 65504.0, 2.5, 3.5]


def floats(dtype: Any, n: int = 16) -> st.SearchStrategy[np.ndarray]:
    """n floats: special ones, moderate ones, and any pattern of bits."""
    size = np.dtype(dtype).itemsize
    pattern = st.integers(0, 256**size - 1).map(
        lambda v: np.array([v], f"u{size}").view(dtype)[0].item()
    )
    moderate = st.floats(-1000, 1000, width=32)
    one = st.one_of(st.sampled_from(SPECIAL), moderate, pattern)
    return st.lists(one, min_size=n, max_size=n).map(lambda v: np.array(v, dtype))


def same(found: Any, expected: Any) -> bool:
    """Equal bit for bit; one NaN is as good as another."""
    nan = np.isnan(found) & np.isnan(expected)
    size = found.dtype.itemsize
    return bool((nan | (found.view(f"u{size}") == expected.view(f"u{size}"))).all())


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div.rn": np.divide,
    "min": np.fmin,
    "max": np.fmax,
    "min.NaN": np.minimum,
}


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("op", BINARY)
def test_operations_of_two_floats(op: str, kind: str) -> None:
    dtype = REAL[kind]
    name = op if "." in op or op[0] == "m" else f"{op}.rn"

    @few
    @given(floats(dtype), floats(dtype))
    def check(a: np.ndarray, b: np.ndarray) -> None:
        if op[:3] in ("min", "max"):
            b[(a == 0) & (b == 0)] = 1  # NumPy does not say which zero is less
        (found,) = run_each(
            f"{name}.{kind} %d0, %a0, %a1;", [(kind, dtype)], [(kind, a), (kind, b)]
        )
        with np.errstate(all="ignore"):
            assert same(found, BINARY[op](a, b))

    check()


@pytest.mark.parametrize("kind", REAL)
def test_fused_multiplication_and_addition_rounds_once(kind: str) -> None:
    dtype = REAL[kind]
    moderate = st.lists(st.floats(-1e6, 1e6, width=32), min_size=8, max_size=8)

    @few
    @given(st.tuples(moderate, moderate, moderate))
    def check(lists: tuple[list[float], ...]) -> None:
        a, b, c = (np.array(v, dtype) for v in lists)
        (found,) = run_each(
            f"fma.rn.{kind} %d0, %a0, %a1, %a2;", [(kind, dtype)], [(kind, v) for v in (a, b, c)]
        )
        for x, y, z, r in zip(a, b, c, found, strict=True):
            exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
            error = abs(Fraction(float(r)) - exact)
            assert error <= Fraction(float(np.spacing(np.abs(r)))) / 2

    check()


def test_sums_that_look_like_ties() -> None:
    # 1 + 2^-24 is half way between two float32 numbers, what is below it is lost in float64.
    one = np.full(4, 1 + 2**-12, np.float32)
    c = np.array([-(2**-11) + 2**-60, 2.0**-24, 1e-30, -1e-30], np.float32)
    a = np.array([1, 1, 1 + 2**-12, 1 + 2**-12], np.float32)
    (found,) = run_each(
        "fma.rn.f32 %d0, %a0, %a1, %a2;",
        [("f32", np.float32)],
        [("f32", a), ("f32", one), ("f32", c)],
    )
    for x, y, z, r in zip(a, one, c, found, strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        near = [np.nextafter(r, np.float32(side)) for side in (-np.inf, np.inf)]
        errors = [abs(Fraction(float(v)) - exact) for v in (r, *near)]
        assert errors[0] == min(errors)
    assert found[2] != found[3]


def test_a_product_whose_rounding_error_is_the_answer() -> None:
    a = np.array([1 + 2.0**-30, 1 + 2.0**-52], np.float64)
    c = -(a * a)
    (found,) = run_each(
        "fma.rn.f64 %d0, %a0, %a0, %a1;", [("f64", np.float64)], [("f64", a), ("f64", c)]
    )
    exact = [Fraction(float(x)) ** 2 + Fraction(float(z)) for x, z in zip(a, c, strict=True)]
    assert [Fraction(float(v)) for v in found] == exact and found[0] != 0


UNARY: dict[str, Callable[[Any], Any]] = {
    "sqrt.rn": np.sqrt,
    "rcp.rn": np.reciprocal,
    "abs": np.abs,
    "neg": np.negative,
}


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("op", UNARY)
def test_operations_of_one_float(op: str, kind: str) -> None:
    dtype = REAL[kind]

    @few
    @given(floats(dtype))
    def check(a: np.ndarray) -> None:
        (found,) = run_each(f"{op}.{kind} %d0, %a0;", [(kind, dtype)], [(kind, a)])
        with np.errstate(all="ignore"):
            assert same(found, UNARY[op](a))

    check()


@pytest.mark.parametrize(
    ("op", "reference"),
    [
        ("ex2.approx", np.exp2),
        ("lg2.approx", np.log2),
        ("sin.approx", np.sin),
        ("cos.approx", np.cos),
        ("tanh.approx", np.tanh),
        ("rsqrt.approx", lambda x: 1 / np.sqrt(x)),
    ],
)
def test_approximations_are_at_full_precision(op: str, reference: Callable[[Any], Any]) -> None:
    a = np.linspace(0.01, 9, 64, dtype=np.float32)
    (found,) = run_each(f"{op}.f32 %d0, %a0;", [("f32", np.float32)], [("f32", a)])
    np.testing.assert_allclose(found, reference(a.astype(np.float64)), rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("mode", ["rz", "rm", "rp"])
@pytest.mark.parametrize("op", ["add", "mul", "div", "sqrt", "rcp", "fma"])
def test_directed_rounding(op: str, mode: str) -> None:
    @few
    @given(st.lists(st.floats(2**-10, 1000, width=32), min_size=12, max_size=12))
    def check(values: list[float]) -> None:
        a = np.array(values[:4], np.float32)
        b = np.array(values[4:8], np.float32) * np.float32(-1 if op not in ("sqrt", "rcp") else 1)
        c = np.array(values[8:], np.float32)
        inputs = {"sqrt": "%a0", "rcp": "%a0", "fma": "%a0, %a1, %a2"}.get(op, "%a0, %a1")
        text = f"{op}.{mode}.f32 %d0, {inputs};"
        (found,) = run_each(text, [("f32", np.float32)], [("f32", a), ("f32", b), ("f32", c)])
        for x, y, z, r in zip(a, b, c, found, strict=True):
            x, y, z = (Fraction(float(v)) for v in (x, y, z))
            got = Fraction(float(r))
            after = Fraction(float(np.nextafter(r, np.float32(np.inf))))
            before = Fraction(float(np.nextafter(r, np.float32(-np.inf))))
            if op == "sqrt":
                assert got**2 <= x < after**2 or (mode == "rp" and before**2 < x <= got**2)
                continue
            exact = {"add": x + y, "mul": x * y, "div": x / y, "rcp": 1 / x, "fma": x * y + z}[op]
            down = mode == "rm" or (mode == "rz" and exact > 0)
            assert got <= exact < after if down else before < exact <= got

    check()


COMPARE: dict[str, Callable[[float, float], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b and a == a and b == b,
    "lt": lambda a, b: a < b,
    "ge": lambda a, b: a >= b,
    "equ": lambda a, b: not (a < b or a > b),
    "neu": lambda a, b: a != b,
    "ltu": lambda a, b: not a >= b,
    "leu": lambda a, b: not a > b,
    "gtu": lambda a, b: not a <= b,
    "geu": lambda a, b: not a < b,
    "num": lambda a, b: a == a and b == b,
    "nan": lambda a, b: a != a or b != b,
}


@pytest.mark.parametrize("kind", ["f32", "f64", "f16", "bf16"])
def test_comparisons_know_what_to_do_with_nan(kind: str) -> None:
    values = np.array([1, 2, -1, np.nan, np.inf, 0.0, -0.0])
    a, b = (v.reshape(-1) for v in np.meshgrid(values, values))
    bits = [bf16(v) if kind == "bf16" else v.astype({"f16": "f2"}.get(kind, "f8")) for v in (a, b)]
    if kind == "f32":
        bits = [v.astype(np.float32) for v in (a, b)]
    body = [f"setp.{op}.{kind} %d{k}, %a0, %a1;" for k, op in enumerate(COMPARE)]
    found = run_each(body, [("pred", np.bool_)] * len(COMPARE), [(kind, v) for v in bits])
    for op, results in zip(COMPARE, found, strict=True):
        expected = [COMPARE[op](x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        assert results.tolist() == expected, op


def bf16(x: Any) -> np.ndarray:
    """float32 to bfloat16 bits, by exact comparison of the two neighbours."""
    single = np.asarray(x, np.float32)
    low = single.view(np.uint32) >> 16
    out = []
    for value, code in zip(single.tolist(), low.tolist(), strict=True):
        if value != value:
            out.append(0x7FFF)
            continue
        near = [np.array([c << 16], np.uint32).view(np.float32)[0].item() for c in (code, code + 1)]
        limit = 2.0**128  # what follows the largest finite number, for rounding
        ends = [Fraction(min(max(v, -limit), limit)) if v == v else None for v in near]
        if value in (near[0], np.inf, -np.inf) or ends[1] is None:
            out.append(code)
            continue
        to = [abs(Fraction(value) - e) for e in ends]
        out.append(code + (to[1] < to[0] or (to[1] == to[0] and code % 2 == 1)))
    return np.array(out, np.uint16)


def up(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


HALF: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "min": np.fmin,
    "max": np.fmax,
}


@pytest.mark.parametrize("op", HALF)
def test_halves_round_once(op: str) -> None:
    name = op if op[0] == "m" and op != "mul" else f"{op}.rn"

    @few
    @given(floats(np.float16), floats(np.float16))
    def check(a: np.ndarray, b: np.ndarray) -> None:
        if op in ("min", "max"):
            b[(a == 0) & (b == 0)] = 1
        packed = [np.ascontiguousarray(v).view(np.uint32) for v in (a, b)]
        body = f"{name}.f16 %d0, %a0, %a1;"
        (single,) = run_each(body, [("f16", np.float16)], [("f16", a), ("f16", b)])
        pair = f"{name}.f16x2 %d0, %a0, %a1;"
        (double,) = run_each(pair, [("f16x2", np.uint32)], [("f16x2", v) for v in packed])
        with np.errstate(all="ignore"):
            expected = HALF[op](a, b).astype(np.float16)
        assert same(single, expected)
        assert same(double.view(np.float16), expected)

    check()


@few
@given(floats(np.float32), floats(np.float32))
def test_bfloat16_rounds_to_nearest_even(a: np.ndarray, b: np.ndarray) -> None:
    (down,) = run_each("cvt.rn.bf16.f32 %d0, %a0;", [("bf16", np.uint16)], [("f32", a)])
    assert np.array_equal(down & 0x7FFF, bf16(a) & 0x7FFF)
    x, y = bf16(a), bf16(b)
    body = ["add.rn.bf16 %d0, %a0, %a1;", "mul.rn.bf16 %d1, %a0, %a1;"]
    total, product = run_each(body, [("bf16", np.uint16)] * 2, [("bf16", x), ("bf16", y)])
    with np.errstate(all="ignore"):
        assert same(up(total), up(bf16(up(x) + up(y))))
        assert same(up(product), up(bf16(up(x) * up(y))))


def test_fused_halves() -> None:
    rng = np.random.default_rng(5)
    a, b, c = (rng.standard_normal(64).astype(np.float16) for _ in range(3))
    body = ["fma.rn.f16 %d0, %a0, %a1, %a2;", "fma.rn.relu.f16 %d1, %a0, %a1, %a2;"]
    plain, positive = run_each(body, [("f16", np.float16)] * 2, [("f16", v) for v in (a, b, c)])
    expected = (a.astype(np.float64) * b + c).astype(np.float16)
    assert same(plain, expected)
    assert np.array_equal(positive, np.maximum(expected, 0))


def test_saturation_classification_and_signs() -> None:
    a = np.array([-1, 0.25, 2, np.nan, np.inf, 1e-40, -np.inf, -0.0], np.float32)
    body = [
        "add.sat.f32 %d0, %a0, 0f00000000;",
        "testp.finite.f32 %d1, %a0;",
        "testp.infinite.f32 %d2, %a0;",
        "testp.notanumber.f32 %d3, %a0;",
        "testp.subnormal.f32 %d4, %a0;",
        "testp.normal.f32 %d5, %a0;",
        "copysign.f32 %d6, %a0, 0f40400000;",
    ]
    results = [("f32", np.float32), *[("pred", np.bool_)] * 5, ("f32", np.float32)]
    clamped, finite, infinite, nan, small, normal, copied = run_each(body, results, [("f32", a)])
    assert clamped.tolist() == [0, 0.25, 1, 0, 1, float(a[5]), 0, 0]
    assert finite.tolist() == np.isfinite(a).tolist()
    assert infinite.tolist() == np.isinf(a).tolist()
    assert nan.tolist() == np.isnan(a).tolist()
    assert small.tolist() == [False] * 5 + [True, False, False]
    assert normal.tolist() == [True, True, True, False, False, False, False, False]
    assert copied[[0, 1, 6, 7]].tolist() == [-3, 3, -3, -3]
