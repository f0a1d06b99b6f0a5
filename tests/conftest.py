"""Fixtures for all tests."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

import gpuops
from tests import standin_cupy
from tests.standin_cupy import StandIn

_serial = count()


@pytest.fixture
def ns() -> Iterator[str]:
    """A namespace nobody else uses; its operators are removed after the test."""
    namespace = f"test_{next(_serial)}"
    yield namespace
    for operator in gpuops.operators(namespace):
        undo = getattr(operator.call, "undo", None)
        if undo is not None:
            undo()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the import path, like site-packages; what was imported from it is dropped."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    before = {operator.qualname for operator in gpuops.operators()}
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    for operator in gpuops.operators():
        undo = getattr(operator.call, "undo", None)
        # An installed pack that the test happened to be the first to load stays as it is.
        stays = operator.location.module in sys.modules
        if operator.qualname not in before and not stays and undo is not None:
            undo()


@pytest.fixture
def cupy() -> Iterator[StandIn]:
    with standin_cupy.loaded() as module:
        yield module


@pytest.fixture
def two_gpus() -> Iterator[StandIn]:
    with standin_cupy.loaded(devices=2) as module:
        yield module
