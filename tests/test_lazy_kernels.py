"""Kernels that are named by a string and imported at the first call."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import custom_op
from tests.standin_cupy import StandIn

X = np.ones(2)


def returns(value: float) -> Any:
    return lambda x: np.full(1, value)


LAZY = """
import numpy as np
from gpuops import Array, custom_op

@custom_op("{ns}::f", mutates_args=())
def f(x: Array) -> Array:
    return x + 1

f.register_kernel("cpu", ".cpu:run")
f.register_kernel("cuda", ".{other}:run")
"""


@pytest.fixture
def package(ns: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / f"pack_{ns}"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "op.py").write_text(LAZY.format(ns=ns, other="missing"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_a_lazy_kernel_is_imported_at_the_first_call(ns: str, package: Any) -> None:
    import importlib

    (package / "cpu.py").write_text("def run(x):\n    return x + 10\n")
    f = importlib.import_module(f"{package.name}.op").f
    assert f"{package.name}.cpu" not in sys.modules
    assert f.operator.kernel_table()["cpu"].startswith(f"{package.name}.cpu:run (registered at ")
    assert f(X).tolist() == f(X).tolist() == [11, 11]
    assert f"{package.name}.cpu" in sys.modules
    assert gpuops.get_kernel(f, "cpu")(X).tolist() == [11, 11]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No module named"),
        ("walk = 3", "no attribute 'run'"),
        ("run = 3", "not a function"),
        ("def run(x, y): return x", "cannot take the arguments"),
    ],
)
def test_what_a_lazy_kernel_can_lack(ns: str, package: Any, text: str | None, problem: str) -> None:
    import importlib

    if text is not None:
        (package / "cpu.py").write_text(text)
    f = importlib.import_module(f"{package.name}.op").f
    with pytest.raises(RuntimeError, match=problem) as caught:
        f(X)
    assert f"{ns}::f" in str(caught.value) and str(package / "op.py") in str(caught.value)


def test_a_lazy_kernel_for_another_device_stays_unimported(
    ns: str, package: Any, cupy: StandIn
) -> None:
    import importlib

    (package / "cpu.py").write_text("def run(x):\n    return x + 10\n")
    f = importlib.import_module(f"{package.name}.op").f
    assert f(X).tolist() == [11, 11]
    with pytest.raises(RuntimeError, match=r"cuda kernel .*missing:run.* cannot be imported"):
        f(cupy.ones(1))


def test_malformed_lazy_strings(ns: str) -> None:
    f = custom_op(f"{ns}::f", returns(0), mutates_args=(), schema="(Array x) -> Array")
    for text in ("", "module", "module:", ":run", "a b:run", "module:1", "..:run", "m:run:twice"):
        with pytest.raises(ValueError, match="must look like 'package.module:name'"):
            f.register_kernel("cpu", text)
    assert f.operator.kernel_table().keys() == {"default"}
