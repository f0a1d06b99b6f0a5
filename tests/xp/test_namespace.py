"""The namespace: names, numbers beside arrays, loading, documentation."""

from __future__ import annotations

import doctest
import inspect
import json
import subprocess
import sys
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import ops, xp
from gpuops.xp.names import ALIASES, STANDARD

# The names of the Array API standard 2024.12, by chapter.
CHAPTERS = {
    "creation": "arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid "
    "ones ones_like tril triu zeros zeros_like",
    "data types": "astype can_cast finfo iinfo isdtype result_type bool int8 int16 int32 int64 "
    "uint8 uint16 uint32 uint64 float32 float64 complex64 complex128",
    "elementwise": "abs acos acosh add asin asinh atan atan2 atanh bitwise_and "
    "bitwise_left_shift bitwise_invert bitwise_or bitwise_right_shift bitwise_xor ceil clip conj "
    "copysign cos cosh divide equal exp expm1 floor floor_divide greater greater_equal hypot imag "
    "isfinite isinf isnan less less_equal log log1p log2 log10 logaddexp logical_and logical_not "
    "logical_or logical_xor maximum minimum multiply negative nextafter not_equal positive pow "
    "real reciprocal remainder round sign signbit sin sinh square sqrt subtract tan tanh trunc",
    "indexing": "take take_along_axis",
    "searching": "argmax argmin count_nonzero nonzero searchsorted where",
    "sets": "unique_all unique_counts unique_inverse unique_values",
    "sorting": "argsort sort",
    "linear algebra": "matmul matrix_transpose tensordot vecdot",
    "manipulation": "broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims "
    "repeat reshape roll squeeze stack tile unstack",
    "statistics": "cumulative_prod cumulative_sum max mean min prod std sum var",
    "utility": "all any diff",
    "constants": "e inf nan newaxis pi",
    "inspection": "__array_namespace_info__ __array_api_version__",
}
LINALG = (
    "cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank "
    "matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm"
)
FFT = "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift"
NO_OPERATORS = {"from_dlpack", "can_cast", "finfo", "iinfo", "isdtype", "result_type"}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_name_of_the_standard(chapter: str) -> None:
    missing = [name for name in CHAPTERS[chapter].split() if not hasattr(xp, name)]
    assert missing == []


def test_every_function_of_the_standard_is_an_operator() -> None:
    functions = [
        name
        for names in CHAPTERS.values()
        for name in names.split()
        if callable(getattr(xp, name)) and not isinstance(getattr(xp, name), type)
    ]
    wanted = {name for name in functions if not name.startswith("__")} - NO_OPERATORS
    assert wanted - set(xp.ROWS) == set()
    for name in wanted:
        assert callable(getattr(ops.xp, name)), name


def test_the_extensions() -> None:
    assert [name for name in LINALG.split() if not callable(getattr(xp.linalg, name))] == []
    assert [name for name in FFT.split() if not callable(getattr(xp.fft, name))] == []
    assert sorted(xp.linalg.__all__) == sorted(LINALG.split())
    assert sorted(xp.fft.__all__) == sorted(FFT.split())


def test_the_list_of_names_is_the_standards() -> None:
    chapters = {name for names in CHAPTERS.values() for name in names.split()}
    assert STANDARD - {"fft", "linalg"} == {n for n in chapters if not n.startswith("__")}
    assert set(xp.__all__) >= STANDARD
    for name, standard in ALIASES.items():
        assert getattr(xp, name) is getattr(xp, standard)


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'gpuops.xp' has no attribute 'sine'"):
        xp.sine  # noqa: B018
    with pytest.raises(AttributeError, match="linalg"):
        xp.linalg.inverse  # noqa: B018
    with pytest.raises(AttributeError, match="fft"):
        xp.fft.dct  # noqa: B018


def test_every_function_is_documented() -> None:
    for name in xp.__all__:
        function = getattr(xp, name)
        if inspect.isfunction(function):
            assert (function.__doc__ and "Args:" in function.__doc__) or not _takes(function), name


def _takes(function: Any) -> bool:
    return bool(inspect.signature(function).parameters)


def test_examples_of_all_functions() -> None:
    """The functions are made when they are asked for, so that nothing else finds their examples."""
    finder, runner = (
        doctest.DocTestFinder(),
        doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE),
    )
    examples = 0
    spaces = [(xp, xp.__all__), (xp.linalg, xp.linalg.__all__), (xp.fft, xp.fft.__all__)]
    for space, names in spaces:
        for name in names:
            function = getattr(space, name)
            if inspect.isfunction(function):
                for test in finder.find(function, name, module=False):
                    examples += len(test.examples)
                    runner.run(test)
    assert examples > 250
    assert runner.failures == 0


# -- numbers ---------------------------------------------------------------------------------------


def test_pythons_numbers_are_weak() -> None:
    x = np.ones(2, np.float32)
    assert xp.add(x, 1.0).dtype == np.float32
    assert xp.add(2, x).dtype == np.float32
    assert xp.add(x, 1j).dtype == np.complex64
    assert xp.add(np.ones(2, np.int8), True).dtype == np.int8
    assert xp.where(x > 0, x, 0).dtype == np.float32
    assert xp.clip(x, 0.0, 0.5).dtype == np.float32


def test_numpys_numbers_are_not_weak() -> None:
    x = np.ones(2, np.float32)
    assert xp.add(x, np.float64(1)).dtype == np.float64
    assert xp.sum(np.float64(2.5)).shape == ()


def test_a_number_that_does_not_fit() -> None:
    with pytest.raises(OverflowError, match="Python integer 300 out of bounds for uint8"):
        xp.add(np.ones(2, np.uint8), 300)
    with pytest.raises(gpuops.GpuopsError, match="xp::add.scalar_x2: Python integer 300 out of"):
        xp.add(gpuops.FakeArray((2,), "uint8"), 300)


def test_a_subclass_of_a_number_is_as_weak_as_its_base() -> None:
    level = IntEnum("level", {"HIGH": 3})
    assert xp.add(np.ones(2, np.int8), level.HIGH).dtype == np.int8


def test_the_operator_carries_the_number() -> None:
    graph = gpuops.trace(lambda x: xp.multiply(x, 2.5))(np.ones(2, np.float32))
    assert "ops.xp.multiply.scalar_x2(x, 2.5)" in graph.code
    assert graph(np.ones(2, np.float32)).dtype == np.float32


def test_two_numbers_are_no_arrays() -> None:
    with pytest.raises(gpuops.ArgumentError, match="xp::add"):
        xp.add(1, 2)


def test_where_takes_both_or_none() -> None:
    assert [part.tolist() for part in xp.where(np.asarray([0, 3]))] == [[1]]
    with pytest.raises(gpuops.ArgumentError, match="both of x1 and x2, or none"):
        xp.where(np.asarray([True]), 1.0)


def test_a_list_is_no_array() -> None:
    with pytest.raises(gpuops.ArgumentError, match="xp::exp: argument 'x' .* must be an array"):
        xp.exp([1.0, 2.0])


def test_axes_as_numbers_and_tuples() -> None:
    x = np.ones((2, 3, 4))
    assert xp.sum(x, axis=1).shape == (2, 4)
    assert xp.sum(x, axis=(0, -1)).shape == (3,)
    assert xp.sum(x, axis=np.int64(0)).shape == (3, 4)
    assert xp.reshape(x, -1).shape == (24,)


# -- arrays of what is none ------------------------------------------------------------------------


def test_asarray() -> None:
    x = np.arange(3)
    assert xp.asarray(x) is x
    assert xp.asarray(x, copy=True) is not x
    assert xp.asarray([1, 2], dtype=xp.float32).dtype == np.float32
    assert xp.asarray(2.5).shape == ()
    assert xp.asarray(np.float32(1)).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        xp.asarray([1, 2], copy=False)
    with pytest.raises(ValueError, match="copy"):
        xp.asarray(x, dtype=xp.float32, copy=False)
    with pytest.raises(gpuops.DeviceError, match="tpu"):
        xp.asarray(x, device="tpu")
    assert type(xp.asarray(memoryview(b"ab"))) is np.ndarray


def test_creation_in_a_fake_mode() -> None:
    mode = gpuops.FakeMode()
    with mode:
        for made in (xp.zeros((2, 3)), xp.asarray([1, 2]), xp.arange(4), xp.eye(2)):
            assert type(made) is gpuops.FakeArray
            assert made.fake_mode is mode
        assert xp.full((1,), 1, device="cuda:1").device is gpuops.Device("cuda:1")


def test_devices() -> None:
    x = np.ones(2)
    assert xp.to_device(x, "cpu") is x
    assert xp.zeros(2, device="cpu").shape == (2,)
    with pytest.raises(ValueError, match="zeros_like: the array is on cpu, device='cuda'"):
        xp.zeros_like(x, device="cuda")
    fake = xp.to_device(gpuops.FakeArray((2,), "int8"), "cuda:1")
    assert fake.device is gpuops.Device("cuda:1")
    assert xp.add(fake, 1).device is gpuops.Device("cuda:1")
    with pytest.raises(gpuops.ArgumentError, match="streams"):
        xp.to_device(x, "cpu", stream=1)
    with pytest.raises(gpuops.ArgumentError, match="takes an array, got int 3"):
        xp.to_device(3, "cpu")


def test_dlpack() -> None:
    x = np.arange(3)
    assert np.shares_memory(xp.from_dlpack(x), x)
    assert not np.shares_memory(xp.from_dlpack(x, copy=True), x)
    with pytest.raises(gpuops.GpuopsError, match="DLPack export needs data"):
        xp.from_dlpack(gpuops.FakeArray((2,)))


def test_inspection() -> None:
    info = xp.__array_namespace_info__()
    assert info.default_device() == "cpu"
    assert "cpu" in info.devices()
    assert info.default_dtypes()["integral"] == xp.asarray([1]).dtype
    assert set(info.dtypes(kind=("bool", "signed integer"))) == {
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
    }
    assert len(info.dtypes()) == 13
    with pytest.raises(ValueError, match="unsupported kind: 'decimal'"):
        info.dtypes(kind="decimal")
    assert info.capabilities()["data-dependent shapes"] is True


def test_data_types() -> None:
    assert xp.result_type(gpuops.FakeArray((2,), "int8"), xp.float32, 1.0) == np.float32
    assert xp.can_cast(np.ones(2, np.int8), xp.int16)
    assert xp.isdtype(xp.float32, "real floating")
    assert type(xp.finfo(xp.float32).eps) is float
    assert xp.iinfo(np.ones(1, np.int8)).max == 127


# -- rows and loading ------------------------------------------------------------------------------


def test_a_row_holds_everything_of_its_operator() -> None:
    row = xp.ROWS["where"]
    assert row.chapter == "searching"
    assert set(row.operators) == {"", "scalar_x1", "scalar_x2", "scalar_x1_x2"}
    assert row.operator.device_types() == ["cpu", "cuda"]
    assert xp.where.operator is row.operator
    for name, each in xp.ROWS.items():
        for operator in each.operators.values():
            assert gpuops.registry.registry.rule(operator, "fake") is not None, name


def test_a_rule_is_registered_for_every_overload() -> None:
    row = xp.ROWS["hypot"]

    @row.rule("test_token")
    def rule(*args: Any) -> str:
        return "found"

    for operator in row.operators.values():
        assert gpuops.registry.registry.rule(operator, "test_token").value is rule


def test_looking_into_the_namespace_loads_it() -> None:
    code = (
        "import sys, json, gpuops;"
        "before = 'gpuops.xp' in sys.modules;"
        "gpuops.ops.xp.add;"
        "print(json.dumps([before, 'gpuops.xp' in sys.modules,"
        " [m for m in ('cupy', 'sympy', 'numba', 'torch') if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, True, []]


def test_the_source_of_a_function_is_visible() -> None:
    source = inspect.getsource(xp.permute_dims)
    assert source.startswith("def permute_dims(x, axes):")
    assert str(inspect.signature(xp.sum)) == "(x, axis=None, dtype=None, *, keepdims=False)"
