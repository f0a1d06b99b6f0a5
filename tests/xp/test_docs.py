"""The examples in docs/xp.md give what it shows."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np

import gpuops
from gpuops import FakeArray, xp

PAGE = Path(__file__).resolve().parents[2] / "docs" / "xp.md"


def test_the_examples_run() -> None:
    failed, tried = doctest.testfile(
        str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried >= 20
    assert failed == 0


def test_the_row_that_is_shown_works_and_can_be_taken_back() -> None:
    (block,) = re.findall(r"^```python\n(from gpuops.*?)^```", PAGE.read_text(), re.M | re.S)
    names: dict[str, object] = {"__name__": "docs.xp_page"}
    exec(compile(block, "<docs/xp.md>", "exec"), names)
    row = xp.ROWS["flip_all"]
    try:
        x = np.ones((2, 3))
        assert xp.flip_all(x).strides == xp.flip_all(FakeArray((2, 3))).strides == (-24, -8)
    finally:
        row.undo()
        vars(xp).pop("flip_all", None)
    assert "flip_all" not in xp.ROWS
    assert gpuops.registry.registry.overloads("xp", "flip_all") == {}
