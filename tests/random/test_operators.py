"""The operators that draw: what each number is made of, and what it does not depend on."""

from __future__ import annotations

import doctest
import importlib
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuops
import gpuops_kernels
from gpuops import cuda
from gpuops.random import RNGState, philox4x32
from gpuops_kernels import _normal, _parallel, dropout, dropout_apply, normal, random_bits, uniform

FLOATS = ("float16", "float32", "float64")
WORD64 = st.integers(0, 2**64 - 1)
# Where something happens to block numbers, and anywhere.
OFFSETS = st.sampled_from([0, 2**32 - 1, 2**32, 2**64 - 1]) | WORD64
SIZES = st.integers(0, 40)

# The first call of a kernel compiles it.
any_time = settings(deadline=None)


def state(seed: int, offset: int, device: str = "cpu") -> RNGState:
    made = RNGState(seed, device=device)
    made.jump(offset)
    return made


def block(seed: int, number: int) -> list[int]:
    """The four words of a block, as Python's integers."""
    number %= 2**64
    counter = np.array([number % 2**32, number // 2**32, 0, 0], np.uint32)
    words: list[int] = philox4x32(
        counter, np.array([seed % 2**32, seed // 2**32], np.uint32)
    ).tolist()
    return words


# -- what each element is --------------------------------------------------------------------------


@any_time
@given(seed=WORD64, offset=OFFSETS, size=SIZES)
def test_bits_are_the_words_of_the_stream(seed: int, offset: int, size: int) -> None:
    rng = state(seed, offset)
    got = random_bits([size], rng)
    assert got.tolist() == [block(seed, offset + i // 4)[i % 4] for i in range(size)]
    assert rng == state(seed, (offset + -(-size // 4)) % 2**64)


@any_time
@given(seed=WORD64, offset=OFFSETS, size=SIZES, bits=st.sampled_from([11, 24]))
def test_uniform_numbers_of_one_word(seed: int, offset: int, size: int, bits: int) -> None:
    rng = state(seed, offset)
    got = uniform([size], rng, dtype={11: np.float16, 24: np.float32}[bits])
    words = [block(seed, offset + i // 4)[i % 4] for i in range(size)]
    assert [float(x) for x in got] == [math.ldexp(w >> (32 - bits), -bits) for w in words]
    assert rng == state(seed, (offset + -(-size // 4)) % 2**64)


@any_time
@given(seed=WORD64, offset=OFFSETS, size=SIZES)
def test_uniform_numbers_of_two_words(seed: int, offset: int, size: int) -> None:
    rng = state(seed, offset)
    got = uniform([size], rng, dtype=np.float64)
    for i in range(size):
        a, b = block(seed, offset + i // 2)[2 * (i % 2) :][:2]
        assert got[i] == math.ldexp((a >> 5) * 2**26 + (b >> 6), -53)
    assert rng == state(seed, (offset + -(-size // 2)) % 2**64)


def box_muller(u: float, numerator: int, bits: int) -> tuple[float, float]:
    """The pair of normal numbers, in double precision; the angle is numerator / 2**bits turns."""
    quarter, rest = divmod(numerator + 2 ** (bits - 3), 2 ** (bits - 2))
    angle = 2 * math.pi * ((rest - 2 ** (bits - 3)) / 2**bits)
    sine, cosine = math.sin(angle), math.cos(angle)
    turned = [(cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine)][quarter % 4]
    radius = math.sqrt(-2 * math.log(u))
    return radius * turned[0], radius * turned[1]


@any_time
@given(seed=WORD64, offset=OFFSETS, size=SIZES)
def test_normal_numbers_of_one_word(seed: int, offset: int, size: int) -> None:
    got = normal([size], state(seed, offset), dtype=np.float32)
    half = normal([size], state(seed, offset), dtype=np.float16)
    assert np.array_equal(half, got.astype(np.float16))
    for i in range(size):
        a, b = block(seed, offset + i // 4)[i % 4 // 2 * 2 :][:2]
        u = float(np.float32(np.float32(a) * np.float32(2.0**-32) + np.float32(2.0**-33)))
        assert got[i] == pytest.approx(box_muller(u, b, 32)[i % 2], rel=5 * 2.0**-23, abs=0)


@any_time
@given(seed=WORD64, offset=OFFSETS, size=SIZES)
def test_normal_numbers_of_two_words(seed: int, offset: int, size: int) -> None:
    rng = state(seed, offset)
    got = normal([size], rng, dtype=np.float64)
    for i in range(size):
        a, b, c, d = block(seed, offset + i // 2)
        u = ((a >> 5) * 2**26 + (b >> 6) + 1) / 2**53
        expected = box_muller(u, c * 2**32 + d, 64)[i % 2]
        assert got[i] == pytest.approx(expected, rel=8 * 2.0**-52, abs=0)
    assert rng == state(seed, (offset + -(-size // 2)) % 2**64)


def ulps(got: np.ndarray, exact: np.ndarray) -> float:
    """The largest difference, in units of the last place of what is exact."""
    return float(np.max(np.abs(got - exact) / np.spacing(np.abs(exact).astype(got.dtype))))


def test_the_largest_errors_of_normal_numbers() -> None:
    """Of a million draws, against NumPy's functions in the next precision."""
    words = random_bits([2**20, 4], RNGState(11)).astype(np.int64)
    got = normal([2**21], RNGState(11)).astype(np.float32)
    a, b = words.reshape(-1, 2)[: 2**20].T
    u = (a.astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)).astype(np.float64)
    radius = np.sqrt(-2 * np.log(u))
    # By way of the nearest quarter: NumPy's cosine of a large angle is no better than the angle.
    quarter = np.round(b / 2.0**30)
    rest = 2 * np.pi * (b / 2.0**32 - quarter / 4)
    sine, cosine = np.sin(rest), np.cos(rest)
    q = quarter.astype(int) % 4
    first = np.choose(q, [cosine, -sine, -cosine, sine])
    second = np.choose(q, [sine, cosine, -sine, -cosine])
    exact = (radius[:, None] * np.stack([first, second], axis=1)).reshape(-1)
    assert ulps(got, exact) < 5


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # u = 2**-33: the largest number there is. u = 1: 0. A quarter, half and three quarters.
        ((0, 0), (math.sqrt(66 * math.log(2)), 0.0)),
        ((2**32 - 1, 12345), (0.0, 0.0)),
        ((0, 2**30), (0.0, math.sqrt(66 * math.log(2)))),
        ((0, 2**31), (-math.sqrt(66 * math.log(2)), 0.0)),
        ((0, 3 * 2**30), (0.0, -math.sqrt(66 * math.log(2)))),
        ((0, 2**29), (math.sqrt(33 * math.log(2)), math.sqrt(33 * math.log(2)))),
        ((0, 2**32 - 1), (math.sqrt(66 * math.log(2)), -9.9e-9)),
    ],
)
def test_the_ends_of_the_normal_distribution(
    words: tuple[int, int], expected: tuple[float, float]
) -> None:
    a, b = (np.array([word], np.int64) for word in words)
    exponent, bits = _normal.parts32(_normal.unit32(a).view(np.int32))
    got = _normal.pair32(_normal.radius32(exponent, bits.view(np.float32)), b)
    assert np.concatenate(got).tolist() == pytest.approx(expected, rel=3e-7, abs=1e-10)


def test_fused_products_would_be_noticed(simulated_cuda: Any) -> None:
    """What the option --fmad=false is for, and that the comparisons of bits see the difference."""
    from gpuops_kernels.normal.cuda import KERNELS

    for dtype, kernel in KERNELS.items():
        assert "--fmad=false" in kernel.options
        rng, out = RNGState(3, device="cuda"), simulated_cuda.asarray(np.zeros(400, dtype))
        fused = cuda.Kernel(Path(kernel.filename), kernel.name)
        fused(1, 128, (out, 400, rng.key, rng.offset))
        expected = normal([400], RNGState(3), dtype=dtype)
        assert np.array_equal(out.get(), expected) == (dtype == np.float16)
        assert np.allclose(out.get(), expected, rtol=1e-6, atol=0)


def test_the_source_of_the_cuda_kernel_has_the_same_constants() -> None:
    source = (Path(gpuops_kernels.__file__).parent / "normal" / "normal.cu").read_text()
    numbers = [float.fromhex(text) for text in re.findall(r"-?0x1\.[0-9a-f]+p[-+]\d+", source)]
    tables = [
        *(_normal.LOG32, _normal.SIN32, _normal.COS32, _normal.LN2_32),
        *(_normal.LOG64, _normal.SIN64, _normal.COS64, _normal.LN2_64),
    ]
    assert numbers == [float(number) for table in tables for number in table]


P = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0**-32, 2.0**-60, 1 - 2.0**-53]) | st.floats(0, 1)


@any_time
@given(seed=WORD64, offset=OFFSETS, size=SIZES, p=P, dtype=st.sampled_from(FLOATS))
def test_dropout_drops_by_the_words(
    seed: int, offset: int, size: int, p: float, dtype: str
) -> None:
    rng = state(seed, offset)
    x = np.linspace(-3, 3, size).astype(dtype)
    got = dropout(x, p, rng)
    wide = np.promote_types(dtype, np.float32).type
    with np.errstate(over="ignore"):
        scaled = (x.astype(wide) * wide(1 / (1 - p) if p < 1 else 0)).astype(dtype)
    for i in range(size):
        kept = block(seed, offset + i // 4)[i % 4] >= round(p * 2**32)
        assert got[i] == (scaled[i] if kept else 0) or np.isnan(scaled[i])
    assert rng == state(seed, (offset + -(-size // 4)) % 2**64)
    # The mask can be made again, for the gradient.
    again = state(seed, offset)
    assert np.array_equal(dropout_apply(x, p, again.key, again.offset), got, equal_nan=True)


@pytest.mark.parametrize("dtype", FLOATS)
def test_dropout_of_none_and_of_all(dtype: str) -> None:
    x = np.array([1, -0.0, np.inf, -np.inf, np.nan, 60000, 1e-7], dtype)
    kept, rng = x.copy(), RNGState(3)
    all_kept = dropout(x, 0.0, rng)
    assert all_kept is not x and not np.shares_memory(all_kept, x)
    assert all_kept.tobytes() == x.tobytes()
    dropped = dropout(x, 1.0, rng)
    assert dropped.tobytes() == np.zeros(7, dtype).tobytes()
    assert rng.offset.tolist() == [4], "how many numbers are drawn does not depend on p"
    assert x.tobytes() == kept.tobytes()


def test_dropout_goes_by_the_order_of_rows_whatever_the_layout() -> None:
    x = np.arange(1, 61, dtype=np.float32).reshape(5, 12)
    expected = dropout(x, 0.4, RNGState(3))
    assert np.array_equal(dropout(np.asfortranarray(x), 0.4, RNGState(3)), expected)
    assert np.array_equal(dropout(x[::-1][::-1], 0.4, RNGState(3)), expected)


# -- what it does not depend on --------------------------------------------------------------------

DRAWS = {
    "bits": lambda shape, rng, **device: random_bits(shape, rng, **device),
    "uniform16": lambda shape, rng, **device: uniform(shape, rng, dtype="float16", **device),
    "uniform32": lambda shape, rng, **device: uniform(shape, rng, **device),
    "uniform64": lambda shape, rng, **device: uniform(shape, rng, dtype="float64", **device),
    "normal16": lambda shape, rng, **device: normal(shape, rng, dtype="float16", **device),
    "normal32": lambda shape, rng, **device: normal(shape, rng, **device),
    "normal64": lambda shape, rng, **device: normal(shape, rng, dtype="float64", **device),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_shape_only_says_how_many(name: str) -> None:
    draw = DRAWS[name]
    long = draw([10_000], RNGState(8))
    for size in (1, 2, 3, 4, 5, 1023, 9_999):
        assert np.array_equal(draw([size], RNGState(8)), long[:size])
    assert np.array_equal(draw([10, 20, 50], RNGState(8)).reshape(-1), long)
    assert draw([], RNGState(8)).shape == () and draw([], RNGState(8)) == long[0]


@pytest.mark.parametrize("name", DRAWS)
def test_two_draws_do_not_overlap(name: str) -> None:
    draw = DRAWS[name]
    rng = RNGState(8)
    # 8 is a whole number of blocks for all of them.
    parts = [draw([8 * n], rng) for n in (1, 5, 2)]
    assert np.array_equal(np.concatenate(parts), draw([64], RNGState(8)))
    # What is left of a block is not used by the next draw.
    rng = RNGState(8)
    draw([1], rng)
    assert np.array_equal(draw([8], rng), draw([16], RNGState(8))[parts_of(name) :][:8])


def parts_of(name: str) -> int:
    return 2 if name.endswith("64") else 4


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("shape", [[0], [3, 0, 2]])
def test_an_empty_draw_draws_nothing(name: str, shape: list[int], simulated_cuda: Any) -> None:
    rng = RNGState(8)
    assert DRAWS[name](shape, rng).shape == tuple(shape)
    there = RNGState(8, device="cuda")
    assert DRAWS[name](shape, there, device="cuda").shape == tuple(shape)
    assert rng == RNGState(8) == there
    assert dropout(np.ones(shape), 0.5, rng).shape == tuple(shape) and rng == RNGState(8)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_change_nothing(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 100_003
    expected = {name: draw([size], RNGState(8)) for name, draw in DRAWS.items()}
    x = np.linspace(1, 2, size)
    dropped = dropout(x, 0.5, RNGState(8))
    monkeypatch.setenv("NUMBA_NUM_THREADS", str(threads))
    for module in ("random_bits", "uniform", "normal", "dropout_apply"):
        cpu = importlib.import_module(f"gpuops_kernels.{module}.cpu")
        monkeypatch.setattr(cpu, "_LEAST", 1000)
    _parallel._forget_pool()
    try:
        for name, draw in DRAWS.items():
            # The last block number among them, so that numbers begin anew within a thread's part.
            assert np.array_equal(draw([size], RNGState(8)), expected[name]), name
            ends = draw([size], state(8, 2**64 - 1000))[1000 * parts_of(name) :]
            assert np.array_equal(ends, expected[name][: ends.size]), name
        assert np.array_equal(dropout(x, 0.5, RNGState(8)), dropped)
    finally:
        _parallel._forget_pool()


@pytest.mark.parametrize(("grid", "block"), [(1, 1), (1, 32), (3, 64), (2, 256), (40, 33)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_grids_and_blocks_change_nothing(
    grid: int, block: int, dtype: str, simulated_cuda: Any
) -> None:
    from gpuops_kernels.dropout_apply.cuda import KERNELS as DROPOUT
    from gpuops_kernels.normal.cuda import KERNELS as NORMAL
    from gpuops_kernels.random_bits.cuda import KERNELS as BITS
    from gpuops_kernels.uniform.cuda import KERNELS as UNIFORM

    size = 130
    rng = state(5, 2**32 - 3, "cuda")
    here = state(5, 2**32 - 3)
    x = np.linspace(-1, 1, size).astype(dtype)
    expected = [
        (UNIFORM, uniform([size], here.copy(), dtype=dtype)),
        (NORMAL, normal([size], here.copy(), dtype=dtype)),
        (BITS, random_bits([size], here.copy())),
        (DROPOUT, dropout(x, 0.25, here.copy())),
    ]
    for kernels, wanted in expected:
        out = simulated_cuda.asarray(np.full(size, 77, wanted.dtype))
        args = (out, size, rng.key, rng.offset)
        if kernels is DROPOUT:
            args = (simulated_cuda.asarray(x), *args, np.uint64(2**30), 1 / 0.75)
        kernels[wanted.dtype](grid, block, args)
        assert np.array_equal(out.get(), wanted)


@settings(max_examples=10, deadline=None)
@given(seed=WORD64, offset=OFFSETS, size=st.integers(1, 700))
def test_cpu_and_cuda_have_the_same_bits(seed: int, offset: int, size: int) -> None:
    with cuda.simulator():
        for name, draw in DRAWS.items():
            here, there = state(seed, offset), state(seed, offset, "cuda")
            got = draw([size], there, device="cuda")
            assert type(got) is type(there.key)
            wanted = draw([size], here)
            assert got.dtype == wanted.dtype and got.get().tobytes() == wanted.tobytes(), name
            assert here == there
        x = np.random.default_rng(seed % 2**32).standard_normal(size).astype(np.float32)
        here, there = state(seed, offset), state(seed, offset, "cuda")
        on_device = gpuops.asarray(x, device="cuda")
        got = dropout(on_device, 0.3, there)
        assert got.get().tobytes() == dropout(x, 0.3, here).tobytes() and here == there


def test_a_view_that_is_not_aligned_can_be_dropped_from_on_cuda(simulated_cuda: Any) -> None:
    x = np.arange(1, 30, dtype=np.float32)
    for first in range(5):
        got = dropout(simulated_cuda.asarray(x)[first:], 0.5, RNGState(3, device="cuda"))
        assert np.array_equal(got.get(), dropout(x[first:], 0.5, RNGState(3)))


def test_threads_that_share_a_state_never_get_the_same_numbers() -> None:
    from concurrent.futures import ThreadPoolExecutor

    rng = RNGState(8)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda _: random_bits([4 * 25], rng), range(64)))
    expected = random_bits([64, 4 * 25], RNGState(8))
    assert sorted(part.tobytes() for part in parts) == sorted(row.tobytes() for row in expected)


# -- what is refused -------------------------------------------------------------------------------

X = np.ones(4, np.float32)
KEY, OFFSET = np.zeros(2, np.uint32), np.zeros(1, np.uint64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda rng: uniform([3, -1], rng), ValueError,
         r"uniform: shape must have no negative lengths, got \(3, -1\)"),
        (lambda rng: normal([-1], rng), ValueError, "normal: shape must have no negative"),
        (lambda rng: random_bits([-1], rng), ValueError, "random_bits: shape must have no negat"),
        (lambda rng: uniform([3], rng, dtype=np.int32), TypeError,
         "uniform: dtype must be float16, float32 or float64, got int32"),
        (lambda rng: normal([3], rng, dtype=np.complex64), TypeError,
         "normal: dtype must be float16, float32 or float64, got complex64"),
        (lambda rng: uniform([3], rng, dtype=">f4"), TypeError, "uniform: dtype must be .*>f4"),
        (lambda rng: dropout(X, -0.1, rng), ValueError,
         "dropout: p must be a probability from 0 to 1, got -0.1"),
        (lambda rng: dropout(X, 1.5, rng), ValueError, "dropout: p must be .* got 1.5"),
        (lambda rng: dropout(X, math.nan, rng), ValueError, "dropout: p must be .* got nan"),
        (lambda rng: dropout(X.astype(int), 0.5, rng), TypeError,
         "dropout: x must be float16, float32 or float64, got int64"),
        (lambda rng: dropout_apply(X, 2.0, KEY, OFFSET), ValueError, "dropout_apply: p must be"),
        (lambda rng: dropout_apply(X, 0.5, OFFSET, OFFSET), TypeError,
         "dropout_apply: key must be uint32, got uint64"),
        (lambda rng: dropout_apply(X, 0.5, KEY, KEY), TypeError,
         "dropout_apply: offset must be uint64, got uint32"),
        (lambda rng: dropout_apply(X, 0.5, KEY[:1], OFFSET), ValueError,
         r"dropout_apply: key must have shape \(2,\), got \(1,\)"),
        (lambda rng: dropout_apply(X, 0.5, KEY, OFFSET[0:0]), ValueError,
         r"dropout_apply: offset must have shape \(1,\), got \(0,\)"),
        (lambda rng: uniform([3], None), gpuops.ArgumentError,
         "gpuops_kernels::uniform: argument 'rng' .* must be a RNGState; got None"),
        (lambda rng: dropout(X, 0.5, np.random.default_rng(1)), gpuops.ArgumentError,
         "gpuops_kernels::dropout: argument 'rng' .* must be a RNGState"),
    ],
)  # fmt: skip
def test_refusals_draw_nothing(call: Any, error: type[Exception], message: str) -> None:
    rng = RNGState(1)
    with pytest.raises(error, match=message):
        call(rng)
    assert rng == RNGState(1)


def test_a_state_on_another_device_is_refused(simulated_cuda: Any) -> None:
    here, there = RNGState(1), RNGState(1, device="cuda")
    for name, draw in DRAWS.items():
        operator = re.sub(r"\d", "", name).replace("bits", "random_bits")
        with pytest.raises(gpuops.DeviceError, match=f"^{operator}: rng must be on cpu, .*cuda:0"):
            draw([3], there)
        message = f"^{operator}: rng must be on cuda, where the result is to be, but is on cpu"
        with pytest.raises(gpuops.DeviceError, match=message):
            draw([3], here, device="cuda")
    with pytest.raises(gpuops.DeviceError, match=r"dropout: rng must be on cpu, .*rng.to\('cpu'\)"):
        dropout(X, 0.5, there)
    with pytest.raises(gpuops.DeviceError, match="dropout: rng must be on cuda:0, .* is on cpu"):
        dropout(simulated_cuda.asarray(X), 0.5, here)
    assert here == there == RNGState(1)


@pytest.mark.parametrize("name", ["random_bits", "uniform", "normal", "dropout", "dropout_apply"])
def test_the_examples_of_the_operators(name: str) -> None:
    operator = getattr(gpuops_kernels, name)
    found = doctest.DocTestParser().get_doctest(operator.__doc__, {name: operator}, name, None, 0)
    assert len(found.examples) >= 2
    lines: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(found, out=lines.append)
    assert not failed, "".join(lines)


def test_the_references_do_not_load_numba() -> None:
    import subprocess

    code = (
        "import sys, gpuops, numpy as np, gpuops_kernels as k; from gpuops.random import RNGState;"
        "rng = RNGState(1); [gpuops.get_kernel(op)([5], rng)"
        "for op in (k.random_bits, k.uniform, k.normal)];"
        "gpuops.get_kernel(k.dropout)(np.ones(3), 0.5, rng);"
        "print(rng.offset[0], 'numba' in sys.modules, 'cupy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "7 False False\n"
