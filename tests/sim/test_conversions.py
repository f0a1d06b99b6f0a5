"""``cvt`` against NumPy, exact arithmetic, and the fp8 specification."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from tests.sim.ptx_kernels import run_each
from tests.sim.test_floats import floats

few = settings(max_examples=8, deadline=None)
INTEGERS = {f"{s}{8 * n}": f"{'i' if s == 's' else 'u'}{n}" for n in (1, 2, 4, 8) for s in "su"}
ROUND = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


@pytest.mark.parametrize("source", ["f32", "f64", "f16"])
@pytest.mark.parametrize("target", INTEGERS)
def test_floats_to_integers_clamp(source: str, target: str) -> None:
    dtype = {"f32": np.float32, "f64": np.float64, "f16": np.float16}[source]
    info = np.iinfo(INTEGERS[target])

    @few
    @given(floats(dtype))
    def check(a: np.ndarray) -> None:
        body = [f"cvt.{m}.{target}.{source} %d{k}, %a0;" for k, m in enumerate(ROUND)]
        # The narrowest register has 16 bits, so bytes come back extended.
        kind = target if target[1:] != "8" else f"{target[0]}16"
        found = run_each(body, [(kind, INTEGERS[kind])] * 4, [(source, a)])
        for mode, results in zip(ROUND, found, strict=True):
            for value, result in zip(a.tolist(), results.tolist(), strict=True):
                if value != value:
                    assert result == 0
                elif abs(value) == np.inf:
                    assert result == (info.max if value > 0 else info.min)
                else:
                    exact = int(ROUND[mode](np.float64(value)))
                    assert result == min(max(exact, info.min), info.max)

    check()


@pytest.mark.parametrize("source", ["s32", "u32", "s64", "u64", "s16"])
def test_integers_to_floats(source: str) -> None:
    info = np.iinfo(INTEGERS[source])
    edges = [info.min, info.max, info.max - 1, 0, 1, 16777217, 33554435, 2**53 + 1, 12345]
    a = np.array([v for v in edges if info.min <= v <= info.max], INTEGERS[source])
    body = [f"cvt.rn.f32.{source} %d0, %a0;", f"cvt.rn.f64.{source} %d1, %a0;"]
    body += [f"cvt.{mode}.f32.{source} %d{k}, %a0;" for k, mode in enumerate(("rz", "rm", "rp"), 2)]
    results = [("f32", np.float32), ("f64", np.float64), *[("f32", np.float32)] * 3]
    single, double, zero, down, up = run_each(body, results, [(source, a)])
    assert np.array_equal(single, a.astype(np.float32))
    assert np.array_equal(double, a.astype(np.float64))
    for value, low, high, cut in zip(
        a.tolist(), down.tolist(), up.tolist(), zero.tolist(), strict=True
    ):
        assert int(low) <= value <= int(high)
        assert high == low or np.nextafter(np.float32(low), np.float32(np.inf)) == high
        assert cut == (low if value >= 0 else high)


def test_integers_are_cut_extended_and_clamped() -> None:
    a = np.array([0x12345678, -1, 300, -300, 2**31 - 1], np.int32)
    body = [
        "cvt.u16.u32 %d0, %a0;",
        "cvt.s64.s32 %d1, %a0;",
        "cvt.u64.u32 %d2, %a0;",
        "cvt.sat.s8.s32 %d3, %a0;",
        "cvt.sat.u8.s32 %d4, %a0;",
        "cvt.sat.u32.s32 %d5, %a0;",
    ]
    results = [
        ("u16", "u2"),
        ("s64", "i8"),
        ("u64", "u8"),
        ("s16", "i2"),
        ("u16", "u2"),
        ("u32", "u4"),
    ]
    cut, signed, unsigned, byte, positive, word = run_each(body, results, [("s32", a)])
    assert cut.tolist() == (a & 0xFFFF).tolist()
    assert signed.tolist() == a.tolist()
    assert unsigned.tolist() == a.view(np.uint32).tolist()
    assert byte.tolist() == np.clip(a, -128, 127).tolist()
    assert positive.tolist() == np.clip(a, 0, 255).tolist()
    assert word.tolist() == np.maximum(a, 0).tolist()


@few
@given(floats(np.float64))
def test_floats_to_floats(a: np.ndarray) -> None:
    body = [
        "cvt.rn.f32.f64 %d0, %a0;",
        "cvt.rz.f32.f64 %d1, %a0;",
        "cvt.rp.f32.f64 %d2, %a0;",
        "cvt.rm.f32.f64 %d3, %a0;",
        "cvt.f64.f32 %d4, %d0;",
        "cvt.rn.f16.f64 %d5, %a0;",
        "cvt.rzi.f64.f64 %d6, %a0;",
    ]
    kinds = ["f32"] * 4 + ["f64", "f16", "f64"]
    types = {"f32": np.float32, "f64": np.float64, "f16": np.float16}
    found = run_each(body, [(k, types[k]) for k in kinds], [("f64", a)])
    near, zero, up, down, wide, half, whole = found
    with np.errstate(all="ignore"):
        assert np.array_equal(near, a.astype(np.float32), equal_nan=True)
        assert np.array_equal(wide, a.astype(np.float32).astype(np.float64), equal_nan=True)
        assert np.array_equal(half, a.astype(np.float16), equal_nan=True)
        assert np.array_equal(whole, np.trunc(a), equal_nan=True)
    real = ~np.isnan(a)
    assert (down[real] <= a[real]).all() and (up[real] >= a[real]).all()
    assert (np.abs(zero[real]) <= np.abs(a[real])).all()


def test_tf32_rounds_to_ten_bits() -> None:
    a = np.array([1.0, 1 + 2**-11, 1 + 2**-10, 1 + 3 * 2**-11, -1 - 2**-11], np.float32)
    (found,) = run_each("cvt.rna.tf32.f32 %d0, %a0;", [("tf32", np.float32)], [("f32", a)])
    assert found.tolist() == [1, 1 + 2**-10, 1 + 2**-10, 1 + 2**-9, -1 - 2**-10]


def fp8(code: int, kind: str) -> float:
    """The value of a code, from the OCP specification's formulas."""
    exponent_bits, bias = (4, 7) if kind == "e4m3" else (5, 15)
    mantissa_bits = 7 - exponent_bits
    sign = -1 if code >> 7 else 1
    exponent = code >> mantissa_bits & ((1 << exponent_bits) - 1)
    mantissa = code & ((1 << mantissa_bits) - 1)
    if kind == "e4m3" and code & 0x7F == 0x7F:
        return float("nan")
    if kind == "e5m2" and exponent == 31:
        return float("nan") if mantissa else sign * float("inf")
    if not exponent:
        return sign * mantissa * 2.0 ** (1 - bias - mantissa_bits)
    return sign * (1 + mantissa / (1 << mantissa_bits)) * 2.0 ** (exponent - bias)


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_every_fp8_code_has_its_value_and_comes_back(kind: str) -> None:
    codes = np.arange(0, 2**16, 257, dtype=np.uint16)  # 0x0000, 0x0101, ... 0xffff
    text = f"cvt.rn.f16x2.{kind}x2 %d0, %a0;"
    (pairs,) = run_each(text, [("f16x2", np.uint32)], [(f"{kind}x2", codes)])
    values = pairs.view(np.float16).reshape(-1, 2)
    expected = np.array([fp8(c, kind) for c in range(256)])
    assert np.array_equal(values[:, 0], expected, equal_nan=True)
    assert np.array_equal(values[:, 1], expected, equal_nan=True)
    single = values[:, 0].astype(np.float32)
    text = f"cvt.rn.satfinite.{kind}x2.f32 %d0, %a0, %a1;"
    (back,) = run_each(text, [(f"{kind}x2", np.uint16)], [("f32", single), ("f32", single[::-1])])
    finite = np.isfinite(single)
    assert np.array_equal(back[finite] >> 8, codes[finite] & 0xFF)
    assert np.array_equal((back & 0xFF)[finite[::-1]], (codes[::-1] & 0xFF)[finite[::-1]])


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_fp8_rounds_to_the_nearest_and_saturates(kind: str) -> None:
    finite = np.array([v for v in (fp8(c, kind) for c in range(256)) if np.isfinite(v)])
    rng = np.random.default_rng(1)
    a = np.concatenate([rng.uniform(-600, 600, 60), rng.uniform(-0.02, 0.02, 60), [1e9, -1e9]])
    a = a.astype(np.float32)
    text = [
        f"cvt.rn.satfinite.{kind}x2.f32 %d0, %a0, %a0;",
        f"cvt.rn.f16x2.{kind}x2 %d1, %d0;",
    ]
    _, pairs = run_each(text, [(f"{kind}x2", np.uint16), ("f16x2", np.uint32)], [("f32", a)])
    found = pairs.view(np.float16).reshape(-1, 2)[:, 0].astype(np.float64)
    best = np.abs(finite[None] - a[:, None].astype(np.float64)).min(1)
    assert np.array_equal(np.abs(found - a), best)
