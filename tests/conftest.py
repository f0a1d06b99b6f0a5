"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

import gpuops

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
