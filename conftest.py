"""What the tests in tests/ and those beside the kernels share."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator
from functools import cache

import pytest

# Asked for an attribute, `gpuops.ops` takes it for a namespace, and pytest asks every module for
# some of its own. Its doctests are run by tests/test_lookup.py.
collect_ignore = ["gpuops/ops.py"]


@cache
def why_no_cuda() -> str | None:
    """Why tests marked `cuda` cannot run here; None if they can.

    Asks the driver and not CuPy: importing CuPy would change what the other tests see.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no CUDA driver (libcuda.so.1) on this machine"
    count = ctypes.c_int(0)
    error = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if error:
        return f"the CUDA driver reports error {error}"
    if not count.value:
        return "the CUDA driver finds no device"
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed (extra cuda12 or cuda13)"
    return None


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled CUDA kernels of the tests do not go to the user's cache, nor come from there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPUOPS_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        patch.delenv("GPUOPS_CUBIN_PATH", raising=False)
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") is None:
        return
    reason = why_no_cuda()
    if reason is not None:
        pytest.skip(reason)
