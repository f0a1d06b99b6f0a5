"""Every operator of the pack on all of its cases; what holds for any of them.

A new operator needs no line here: its folder is found, and its cases are run.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
import gpuops_kernels
from gpuops.cases import Case, CaseError, has_cases, load_cases
from gpuops.cli.arrays import arrays_in
from gpuops.random import RNGState
from gpuops_kernels import _parallel

NAMES = sorted(gpuops_kernels.__all__)
EVERY_CASE = [
    pytest.param(name, case, id=f"{name}-{case.id}")
    for name in NAMES
    for case in load_cases(f"gpuops_kernels::{name}").cases
]
FOLDER = Path(gpuops_kernels.__file__).parent


def call(name: str, case: Case) -> tuple[Any, Any]:
    """The result of an operator on a case, and what it has to be."""
    operator = gpuops.ops.gpuops_kernels.__getattr__(name)
    reference = case.reference or gpuops.get_kernel(operator)
    # Anew for each call: the first may change what it is given, as a random state.
    (args, kwargs), (again, by_name) = (case.build(np.random.default_rng(7)) for _ in range(2))
    return operator(*args, **kwargs), reference(*again, **by_name)


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize(("name", "case"), EVERY_CASE)
def test_the_cpu_kernel_agrees_with_the_reference(name: str, case: Case, debug: bool) -> None:
    with gpuops.debug(debug):
        results, references = call(name, case)
    for got, expected in zip(arrays_in(results), arrays_in(references), strict=True):
        assert type(got) is np.ndarray and got.flags.c_contiguous and got.flags.writeable
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        rtol, atol = case.tolerances(got.dtype)
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


def test_the_cases_are_what_is_promised() -> None:
    """Ranks 1 to 4, empty and strided arrays, float16, float32 and float64, for each operator.

    Of an operator that takes no array, the same holds for the shapes and dtypes that it is asked
    for, if it can be asked for a dtype.
    """
    for name in NAMES:
        operator = gpuops.ops.gpuops_kernels.__getattr__(name)
        cases = load_cases(f"gpuops_kernels::{name}")
        calls = [case.build(np.random.default_rng(0)) for case in cases.cases]
        assert cases.bench
        if not operator.schema.array_parameters:
            assert {1, 2, 3, 4} <= {len(args[0]) for args, _ in calls}
            assert any(0 in args[0] for args, _ in calls)
            dtypes = {kwargs["dtype"].name for _, kwargs in calls if "dtype" in kwargs}
            chosen = any(parameter.name == "dtype" for parameter in operator.schema.parameters)
            assert not chosen or {"float16", "float32", "float64"} <= dtypes
            continue
        arrays = [args[0] for args, _ in calls]
        assert {1, 2, 3, 4} <= {array.ndim for array in arrays}
        assert any(array.size == 0 for array in arrays)
        assert any(not array.flags.c_contiguous for array in arrays)
        assert any(not array.flags.writeable for array in arrays)
        assert any(not array.flags.aligned for array in arrays)
        assert {"float16", "float32", "float64"} <= {array.dtype.name for array in arrays}


def test_a_wrong_kernel_is_found_out() -> None:
    """The comparison above has to fail for a kernel that is wrong in one element of one case."""
    (case, *_) = load_cases("gpuops_kernels::rms_norm").cases
    operator = gpuops.ops.gpuops_kernels.rms_norm
    right = gpuops.get_kernel(operator, "cpu")

    def wrong(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
        out: np.ndarray = right(x, weight, eps)
        out.flat[-1] += out.dtype.type(0.01)
        return out

    with gpuops.register_kernel(operator, "cpu", wrong):
        with pytest.raises(AssertionError, match="Mismatched elements: 1 / 5"):
            test_the_cpu_kernel_agrees_with_the_reference("rms_norm", case, False)
    test_the_cpu_kernel_agrees_with_the_reference("rms_norm", case, False)


# -- the pack as a package -------------------------------------------------------------------------


def test_every_folder_is_an_operator_with_all_its_parts() -> None:
    folders = {path.parent for path in FOLDER.glob("*/op.py")}
    assert sorted(folder.name for folder in folders) == NAMES
    for folder in folders:
        expected = {"__init__.py", "op.py", "cpu.py", "cuda.py", "cases.py"}
        assert expected <= {path.name for path in folder.iterdir()}
        # A kernel of its own, or one that another operator has too.
        kernels = importlib.import_module(f"gpuops_kernels.{folder.name}.cuda").KERNELS
        sources = {Path(kernel.filename) for kernel in kernels.values()}
        assert sources and all(source.parent in folders for source in sources)
        assert (folder / f"{folder.name}.cu" in sources) == bool([*folder.glob("*.cu")])
        operator = gpuops.ops.gpuops_kernels.__getattr__(folder.name)
        assert operator.operator.kernel_table().keys() == {"default", "cpu", "cuda"}


@pytest.mark.parametrize("name", NAMES)
def test_an_operator_can_be_had_by_import_and_by_name(name: str) -> None:
    operator = getattr(gpuops_kernels, name)
    assert operator is gpuops.ops.gpuops_kernels.__getattr__(name)
    assert operator.__name__ == name and operator.__doc__
    __import__(f"gpuops_kernels.{name}.cpu")
    assert getattr(gpuops_kernels, name) is operator, "importing a kernel hid the operator"


def test_the_references_need_no_numba(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, gpuops_kernels as k, gpuops\n"
        "x = np.ones((2, 3), np.float32)\n"
        "print(gpuops.get_kernel(k.softmax)(x, -1)[0, 0], 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"


def test_operators_without_cases_say_where_they_belong() -> None:
    op = gpuops.custom_op("no_cases::f", lambda x: x, mutates_args=(), schema="(Array x) -> Array")
    assert not has_cases(op)
    with pytest.raises(CaseError, match="no_cases::f has no cases: expected a module"):
        load_cases(op)
    op.undo()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no CASES"),
        ("CASES = []", "has no CASES"),
        ("CASES = [3]", "expected a list of Case, found int 3"),
        ("CASES = [Case('a', None), Case('a', None)]", "the id 'a' appears twice"),
        ("CASES = [Case('a', None)]\nBENCH = ['b']", "expected a list of BenchShape, found str"),
    ],
)
def test_malformed_cases(
    text: str, problem: str, tmp_path: Path, ns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / f"cases_{ns}"
    folder.mkdir()
    (folder / "op.py").write_text(
        "import gpuops\n"
        f"f = gpuops.custom_op('{ns}::f', lambda x: x, mutates_args=(), schema='(Array x)->Array')"
    )
    (folder / "cases.py").write_text(f"from gpuops.cases import Case\n{text}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__(f"{folder.name}.op", fromlist=["f"])
    with pytest.raises(CaseError, match=problem) as caught:
        load_cases(module.f)
    assert f"{ns}::f" in str(caught.value)


# -- threads and processes -------------------------------------------------------------------------


BIG = np.random.default_rng(0).standard_normal((512, 1024)).astype(np.float32)


def all_results() -> list[np.ndarray]:
    """Each operator on something that is large enough to be divided among threads."""
    return [
        gpuops_kernels.rms_norm(BIG, BIG[0]),
        gpuops_kernels.softmax(BIG),
        gpuops_kernels.silu_mul(BIG, BIG),
        gpuops_kernels.nonzero(BIG > 1),
        gpuops_kernels.random_bits(BIG.shape, RNGState(3)),
        gpuops_kernels.uniform(BIG.shape, RNGState(3)),
        gpuops_kernels.normal(BIG.shape, RNGState(3), dtype=np.dtype(np.float64)),
        gpuops_kernels.dropout(BIG, 0.3, RNGState(3)),
        *gpuops_kernels.rms_norm_backward(BIG, BIG[::-1], BIG[0]),
        gpuops_kernels.softmax_backward(BIG, BIG),
        *gpuops_kernels.silu_mul_backward(BIG, BIG, BIG[::-1]),
    ]


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """More threads than the machine may have; the pool is made anew for them, and after them."""
    monkeypatch.setenv("NUMBA_NUM_THREADS", "4")
    _parallel._forget_pool()
    yield
    _parallel._forget_pool()


def test_results_do_not_depend_on_the_number_of_threads(
    four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = all_results()
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    for one, many in zip(all_results(), several, strict=True):
        assert np.array_equal(one, many)


def test_kernels_may_be_called_from_many_threads_at_once(four_threads: None) -> None:
    expected = all_results()
    with ThreadPoolExecutor(8) as pool:
        for results in pool.map(lambda _: all_results(), range(32)):
            for result, wanted in zip(results, expected, strict=True):
                assert np.array_equal(result, wanted)


def child(queue: Any) -> None:
    queue.put([float(result.sum()) for result in all_results()])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_kernels_work_in_a_forked_child(four_threads: None) -> None:
    expected = [float(result.sum()) for result in all_results()]  # starts the parent's threads
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = context.Process(target=child, args=(queue,))
        process.start()
    process.join(60)
    code = process.exitcode
    process.kill()
    assert code == 0, "the child hangs" if code is None else "the child failed"
    assert queue.get() == expected


def test_what_a_range_raises_is_raised_after_all_have_ended(four_threads: None) -> None:
    ended = []

    def work(start: int, stop: int) -> None:
        if start == 0:
            raise ValueError("in the first range")
        ended.append((start, stop))

    with pytest.raises(ValueError, match="in the first range"):
        _parallel.for_each_chunk(work, 100, 100, 1)
    assert sorted(ended) == [(25, 50), (50, 75), (75, 100)]

    def other(start: int, stop: int) -> None:
        if start == 50:
            raise KeyError("in the third range")

    with pytest.raises(KeyError, match="in the third range"):
        _parallel.for_each_chunk(other, 100, 100, 1)


def test_small_work_is_not_divided(four_threads: None) -> None:
    ranges: list[tuple[int, int]] = []
    _parallel.for_each_chunk(lambda *bounds: ranges.append(bounds), 10, 10, 11)
    assert ranges == [(0, 10)]
    ranges.clear()
    _parallel.for_each_chunk(lambda *bounds: ranges.append(bounds), 2, 10**9, 1)
    assert sorted(ranges) == [(0, 1), (1, 2)]
