"""What the tests in tests/ and those beside the kernels share."""

from __future__ import annotations

import pytest

from gpuops.cuda.available import why_unavailable

pytest_plugins = ["pytester"]

# Asked for an attribute, `gpuops.ops` takes it for a namespace, and pytest asks every module for
# some of its own. Its doctests are run by tests/test_lookup.py.
collect_ignore = ["gpuops/ops.py"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") is None:
        return
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
