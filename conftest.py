"""What the tests in tests/ and those beside the kernels share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpuops.cuda.available import why_unavailable

pytest_plugins = ["pytester"]

# Asked for an attribute, `gpuops.ops` takes it for a namespace, and pytest asks every module for
# some of its own. Its doctests are run by tests/test_lookup.py.
collect_ignore = ["gpuops/ops.py"]
# Needs torch, which only the benchmarks install.
collect_ignore_glob = ["kernels/gpuops_kernels/*/torch_peer.py"]


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
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
