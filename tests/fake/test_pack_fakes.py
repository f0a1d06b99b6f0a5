"""The pack on fakes of all of its cases: metadata as that of the kernels' results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
import gpuops_kernels
from gpuops import FakeArray, FakeMode, ShapeError, UnknownSizeError
from gpuops.cases import Case, load_cases
from gpuops.symbols import SymInt

CASES = [
    pytest.param(name, case, id=f"{name}-{case.id}")
    for name in sorted(gpuops_kernels.__all__)
    for case in load_cases(f"gpuops_kernels::{name}").cases
]


def agrees(fake: Any, real: np.ndarray) -> None:
    """Require the metadata of a fake to be a real array's, for some values of its symbols."""
    assert type(fake) is FakeArray and fake.dtype == real.dtype and fake.ndim == real.ndim
    for size, true in zip(fake.shape, real.shape, strict=True):
        if isinstance(size, SymInt):
            symbol = size.env.symbol(size)
            assert symbol is not None and symbol.low <= true <= symbol.high
        else:
            assert size == true
    assert fake.flags.c_contiguous and fake.flags.owndata and fake.flags.writeable
    assert fake.device == "cpu"
    # The strides of an array without elements lead nowhere, and kernels differ in them.
    if real.size and not any(isinstance(size, SymInt) for size in fake.shape):
        assert fake.strides == real.strides


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_fake_call_has_the_metadata_of_a_real_one(name: str, case: Case) -> None:  # P3
    args, kwargs = case.build(np.random.default_rng(7))
    operator = getattr(gpuops.ops.gpuops_kernels, name)
    mode = FakeMode()

    def faked(value: Any) -> Any:
        return mode.from_array(value) if isinstance(value, np.ndarray) else value

    fakes = [faked(value) for value in args]
    with mode:  # for operators without arrays
        out = operator(*fakes, **{key: faked(value) for key, value in kwargs.items()})
    real = operator(*args, **kwargs)
    if not isinstance(real, tuple):
        out, real = (out,), (real,)
    for fake, array in zip(out, real, strict=True):
        agrees(fake, array)


def test_nonzero_has_a_size_that_depends_on_data() -> None:  # Q1
    x = FakeMode().from_array(np.zeros((3, 4)))
    out = gpuops_kernels.nonzero(x)
    assert str(out.shape) == "(u0, 2)" and out.dtype == np.int64
    assert (out.shape[0] <= 12) is True
    with pytest.raises(UnknownSizeError, match="u0 .*axis 0 of the output of gpuops_kernels"):
        bool(out.shape[0] == 3)
    # Nonzero elements of nonzero's output: at most as many as it has.
    again = gpuops_kernels.nonzero(out)
    assert (again.shape[0] <= out.shape[0] * 2) is True


FLOATS = FakeArray((2, 3), "float32")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda k: k.softmax(FakeArray((2,), "int8")), TypeError, "got int8"),
        (lambda k: k.softmax(FLOATS, 2), ValueError, "there is no axis 2"),
        (lambda k: k.rms_norm(FLOATS, FakeArray((3,))), TypeError, "weight must be float32"),
        (lambda k: k.rms_norm(FLOATS, FakeArray((2,), "float32")), ShapeError, "axis 0: 2 and 3"),
        (lambda k: k.rms_norm(FakeArray((), "float32"), FLOATS), ValueError, "at least one axis"),
        (lambda k: k.silu_mul(FLOATS, FakeArray((2, 3))), TypeError, "up must be float32"),
        (lambda k: k.silu_mul(FLOATS, FakeArray((3,), "float32")), ShapeError, "shape of gate"),
        (lambda k: k.nonzero(FakeArray(())), ValueError, "0-d array"),
    ],
)
def test_fakes_refuse_what_kernels_refuse(call: Any, error: type, message: str) -> None:  # P3
    with pytest.raises(error, match=message):
        call(gpuops_kernels)


def test_sizes_that_are_not_known_become_conditions() -> None:
    mode = FakeMode()
    env = mode.shape_env
    assert env is not None
    with mode:
        n, m = env.new_dynamic(), env.new_dynamic()
        x = FakeArray((4, n), "float32")
        assert gpuops_kernels.rms_norm(x, FakeArray((m,), "float32")).shape[1] is n
        assert gpuops_kernels.silu_mul(x, FakeArray((4, n), "float32")).shape[1] is n
    assert [str(condition) for condition in env.conditions] == ["u1 == u0"]


def test_a_petabyte_pipeline_runs_in_kilobytes() -> None:
    import tracemalloc

    x = FakeArray((2**22, 2**26), "float32", "cuda:7")
    weight = FakeArray((2**26,), "float32", "cuda:7")
    assert x.nbytes == 2**50
    gpuops_kernels.silu_mul(gpuops_kernels.rms_norm(x, weight), x)
    tracemalloc.start()
    try:
        y = gpuops_kernels.rms_norm(x, weight)
        for _ in range(3):
            y = gpuops_kernels.silu_mul(gpuops_kernels.softmax(y), y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert y.shape == x.shape and y.device == "cuda:7"
    assert peak < 16 * 1024
