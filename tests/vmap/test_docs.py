"""The examples in docs/vmap.md give what it shows."""

from __future__ import annotations

import doctest
from pathlib import Path

import gpuops

PAGE = Path(__file__).resolve().parents[2] / "docs" / "vmap.md"


def test_the_examples_run() -> None:
    done = doctest.testfile(str(PAGE), module_relative=False)
    for name in ("scale", "product"):
        getattr(gpuops.ops.docs_vmap, name).undo()
    assert done.attempted > 20
    assert not done.failed
