"""The examples in the documentation give what it shows."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import gpuops

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_examples_of_fakes_and_tracing_run() -> None:
    pytest.importorskip("gpuops.xp", reason="the operators of the namespace xp are not there")
    try:
        failed, tried = doctest.testfile(
            str(DOCS / "fake.md"),
            module_relative=False,
            optionflags=doctest.NORMALIZE_WHITESPACE,
        )
    finally:
        for operator in gpuops.operators("docs_fake"):
            operator.call.undo()  # type: ignore[attr-defined]
    assert tried > 30
    assert failed == 0
