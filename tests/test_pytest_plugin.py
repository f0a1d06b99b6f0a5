"""The fixtures that pytest finds wherever gpuops is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpuops.cuda.available import why_unavailable
from gpuops.pytest_plugin import CudaDevice


def test_arrays_go_there_and_back(cuda_device: CudaDevice) -> None:
    assert str(cuda_device.device) == "cuda:0"
    assert cuda_device.simulated == (why_unavailable() is not None)
    assert (cuda_device.reason is None) == (not cuda_device.simulated)
    x = cuda_device.asarray(np.arange(3), dtype=np.float32)
    assert x.dtype == np.float32
    back = cuda_device.get(x + 1)
    assert type(back) is np.ndarray and back.tolist() == [1, 2, 3]
    cuda_device.synchronize()


def test_the_simulator_can_be_asked_for(simulated_cuda: CudaDevice) -> None:
    assert simulated_cuda.simulated
    assert type(simulated_cuda.asarray([1])).__name__ == "SimulatedArray"


def test_the_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert 'gpuops.pytest_plugin' in sys.modules\n"
        "    assert not {'numba', 'cupy', 'gpuops.cuda'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_each_test_gets_its_own_context(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import gpuops, pytest
        from gpuops.devices import simulated_kind
        def test_inside(simulated_cuda):
            assert simulated_kind.get() is not None
        def test_outside():
            assert simulated_kind.get() is None
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
