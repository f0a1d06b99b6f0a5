"""Legal but tricky kernels are left alone by every check, and compute the right values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cuda_corpus.control_launches import CONTROLS
from tests.cuda_corpus.corpus import HERE, Launch, kernel_of, run_and_compare

FOLDER = HERE / "controls"


@pytest.mark.parametrize(("name", "build", "facts"), CONTROLS.params())
def test_a_legal_kernel_is_left_alone(
    name: str, build: Callable[[], Launch], facts: dict[str, Any]
) -> None:
    run_and_compare(kernel_of(FOLDER / f"{name}.cu"), build())


def test_every_file_is_launched() -> None:
    assert set(CONTROLS) == {path.stem for path in FOLDER.glob("*.cu")}
    assert len(CONTROLS) >= 14
