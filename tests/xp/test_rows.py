"""What holds for every row: a kernel for NumPy and for CuPy, a fake rule that agrees."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import FakeArray, FakeMode, xp
from gpuops.symbols import is_symbolic
from tests.xp.samples import samples

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = samples()


def test_there_is_a_sample_of_every_operator() -> None:
    assert set(SAMPLES) == set(xp.ROWS)


def faked(value: Any, mode: FakeMode) -> Any:
    if isinstance(value, np.ndarray):
        return mode.from_array(value)
    if isinstance(value, (list, tuple)):
        return type(value)(faked(item, mode) for item in value)
    return value


def compare(fake: Any, real: Any) -> None:
    if isinstance(real, (list, tuple)):
        assert len(fake) == len(real)
        for a, b in zip(fake, real, strict=True):
            compare(a, b)
        return
    if real is None:
        assert fake is None
        return
    assert type(fake) is FakeArray
    assert fake.dtype == real.dtype
    assert len(fake.shape) == real.ndim
    if not any(map(is_symbolic, fake.shape)):
        assert fake.shape == real.shape
        assert fake.strides == real.strides


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_operator_runs_on_arrays_and_on_fakes(name: str) -> None:
    args, kwargs = SAMPLES[name]
    operator = xp.ROWS[name].operator
    with np.errstate(all="ignore"):
        real = operator(*args, **kwargs)
    mode = FakeMode()
    with mode:
        fake = operator(*faked(args, mode), **kwargs)
    compare(fake, real)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_debug_mode_finds_no_undeclared_alias_or_mutation(name: str) -> None:
    args, kwargs = SAMPLES[name]
    with gpuops.debug(), np.errstate(all="ignore"):
        xp.ROWS[name].operator(*args, **kwargs)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_graph_of_the_operator_replays_and_is_saved_as_text(name: str) -> None:
    args, kwargs = SAMPLES[name]
    if not any(isinstance(value, np.ndarray) for value in args):
        pytest.skip("a graph has arrays as inputs, and this operator takes none, or lists of them")
    arrays = [value for value in args if isinstance(value, np.ndarray)]
    operator = xp.ROWS[name].operator

    def function(*given: Any) -> Any:
        rest = iter(given)
        return operator(
            *(next(rest) if isinstance(value, np.ndarray) else value for value in args), **kwargs
        )

    with np.errstate(all="ignore"):
        graph = gpuops.trace(function)(*arrays)
        again = gpuops.Graph.from_text(graph.to_text()) if hasattr(graph, "to_text") else graph
        results = [graph(*arrays), again(*arrays), function(*arrays)]
    for result in results[:2]:
        assert np.array_equal(_flat(result), _flat(results[2]), equal_nan=name != "isnat") or (
            name == "empty_like"
        )


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_operator_is_traced_with_symbolic_sizes(name: str) -> None:
    args, kwargs = SAMPLES[name]
    arrays: list[np.ndarray] = []

    def collect(value: Any) -> None:
        if isinstance(value, np.ndarray):
            arrays.append(value)
        for item in value if isinstance(value, list) else ():
            collect(item)

    collect(list(args))
    if not arrays:
        pytest.skip("it takes no arrays, and so has no sizes")
    operator = xp.ROWS[name].operator

    def function(*given: Any) -> Any:
        rest = iter(given)

        def put(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return next(rest)
            return [put(item) for item in value] if isinstance(value, list) else value

        return operator(*map(put, args), **kwargs)

    with np.errstate(all="ignore"):
        graph = gpuops.trace(function, tracing_mode="symbolic")(*arrays)
        found, expected = graph(*arrays), function(*arrays)
    assert _flat(found).shape == _flat(expected).shape


def _flat(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return np.concatenate([np.ravel(item).astype(complex) for item in value])
    return np.zeros(0) if value is None else np.ravel(value).astype(complex)


def test_cupys_functions_take_what_the_kernels_pass() -> None:
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed (extra cuda12 or cuda13)")
    program = ROOT / "tests" / "xp" / "cupy_calls.py"
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["failed"] == {}
    # For these, CuPy has no function; calls on the GPU say so.
    assert found["absent"] == ["isnat", "spacing"]


@pytest.mark.cuda
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_operator_runs_on_the_gpu(name: str) -> None:
    cupy = pytest.importorskip("cupy")
    args, kwargs = SAMPLES[name]

    def moved(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return cupy.asarray(value)
        return [moved(item) for item in value] if isinstance(value, list) else value

    operator = xp.ROWS[name].operator
    if not operator.schema.array_parameters or name in ("isnat", "spacing"):
        pytest.skip("it takes no arrays, or CuPy has no such function")
    expected, found = operator(*args, **kwargs), operator(*map(moved, args), **kwargs)
    for real, device in zip(_each(expected), _each(found), strict=True):
        assert real.dtype == device.dtype
        assert real.shape == device.shape
        if name not in ("empty_like", "linalg_eigh", "linalg_svd", "linalg_qr"):
            assert np.allclose(real, device.get(), equal_nan=True)


def _each(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
