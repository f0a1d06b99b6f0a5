"""For who writes kernels: fixtures, and tests of whole packs. pytest loads it with gpuops.

``cuda_device`` is where to test "cuda" kernels: a GPU where there is one, else the simulator::

    def test_scale(cuda_device):
        x = cuda_device.asarray(np.arange(8, dtype=np.float32))
        np.testing.assert_allclose(cuda_device.get(scale(x, 2.0)), 2 * np.arange(8))

``gpuops_pack`` in a test module makes one test of each operator of a pack and each check of
`gpuops.opcheck` (see docs/opcheck.md)::

    gpuops_pack = "my_pack"
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpuops.pytest_plugin.fixtures import CudaDevice, cuda_device, simulated_cuda

__all__ = ["CudaDevice", "cuda_device", "simulated_cuda"]

PACK = "gpuops_pack"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `gpuops_pack` can be told beside the module: options and ini settings."""
    parser.addini(PACK, "packs whose operators to check with gpuops.opcheck", type="args")
    group = parser.getgroup("gpuops", "checks of operators (gpuops_pack)")
    for name, kind, text in (
        ("cases", int, "how many cases of each operator (default: all)"),
        ("failures", str, "the failures file (default: opcheck_failures.yaml or .toml beside)"),
        ("seed", int, "the seed of what is drawn (default: 0)"),
    ):
        parser.addini(f"gpuops_{name}", text, default=None)
        group.addoption(
            f"--gpuops-{name}", type=kind, default=None, metavar=name[0].upper(), help=text
        )


def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> Any:
    """Put the tests of a pack in the place of a module's ``gpuops_pack``."""
    # Called for each name in each test module of everybody who has gpuops installed.
    if name != PACK or not isinstance(collector, pytest.Module):
        return None
    from gpuops.pytest_plugin.items import module_items

    return module_items(collector, obj)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take the file with pytest's settings for a test module, where they name a pack."""
    config = parent.config
    if file_path != config.inipath or not config.getini(PACK):
        return None
    from gpuops.pytest_plugin.items import IniModule

    return IniModule.from_parent(parent, path=file_path)


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the tests of the packs that the settings name, where `testpaths` leave their file out."""
    config = session.config
    if not config.getini(PACK) or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    from gpuops.pytest_plugin.items import IniModule

    if config.inipath is not None and not any(item.getparent(IniModule) for item in items):
        items += IniModule.from_parent(session, path=config.inipath).collect()
