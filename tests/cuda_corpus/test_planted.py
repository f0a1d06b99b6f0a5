"""Every planted defect is reported with its kind and line; its sound twin is left alone.

A kernel's file holds both: the defect is compiled in by `-DDEFECT`. The lines that a report may
name carry `// defect`; of a race or a barrier that is one of two or three.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuops import cuda
from gpuops.errors import ArgumentError
from tests.cuda_corpus import planted_memory, planted_order
from tests.cuda_corpus.corpus import HERE, WORDS, Launch, kernel_of, run_and_compare, simulate
from tests.cuda_corpus.planted_causes import CAUSES

FOLDER = HERE / "planted"
EVERY = [*planted_memory.PLANTED.params(), *planted_order.PLANTED.params()]
each = pytest.mark.parametrize(("name", "build", "facts"), EVERY)

Build = Callable[[bool], Launch]


def marked_lines(path: Path) -> dict[int, str]:
    """The lines with the marker: number -> text."""
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return {number: text.strip() for number, text in lines if text.endswith("// defect")}


@each
def test_the_defect_is_reported(name: str, build: Build, facts: dict[str, Any]) -> None:
    path = FOLDER / f"{name}.cu"
    kernel = kernel_of(path, "-DDEFECT")
    if facts["kind"] == "ARGUMENT":
        with pytest.raises(ArgumentError, match=name):
            simulate(kernel, build(True))
        return
    kinds = (facts["kind"],) if isinstance(facts["kind"], str) else facts["kind"]
    with pytest.raises(cuda.SimulationError) as caught:
        simulate(kernel, build(True))
    report, text = caught.value, str(caught.value)
    assert report.kind in kinds, text
    assert report.kind in text and WORDS[report.kind] in text.lower(), text
    assert report.kernel == name and name in text
    for part in CAUSES.get(name, ()):
        assert part in text
    if report.kind == "LAUNCH":
        return
    lines = marked_lines(path)
    if report.file.endswith(path.name):
        assert report.line in lines, f"expected line {sorted(lines)}: {text}"
        assert f"{path.name}:{report.line}" in text
        assert lines[report.line].removesuffix("// defect").strip() in text, text
    else:  # in a header of CUDA's: the message also says where that was inlined
        assert any(f"inlined at {path.name}:{line}" in text for line in lines), text
    assert report.block is not None and report.thread is not None
    if report.kind not in ("BARRIER-DIVERGENCE", "NO-PROGRESS"):
        assert re.search(r"thread \(\d+, ?\d+, ?\d+\)", text) and "block" in text


@each
def test_the_sound_twin_is_left_alone(name: str, build: Build, facts: dict[str, Any]) -> None:
    run_and_compare(kernel_of(FOLDER / f"{name}.cu"), build(False))


def test_every_file_is_launched_and_every_kind_is_there() -> None:
    names = {param.values[0] for param in EVERY}
    assert set(CAUSES) <= names
    assert names == {path.stem for path in FOLDER.glob("*.cu")}
    assert len(names) >= 30
    count: Counter[str] = Counter()
    for param in EVERY:
        kind = param.values[2]["kind"]
        count.update([kind] if isinstance(kind, str) else kind)
    assert set(count) == {*WORDS, "ARGUMENT"}
    assert (
        min(count[kind] for kind in ("OUT-OF-BOUNDS", "MISALIGNED", "UNINITIALISED", "RACE")) >= 5
    )


def test_a_wrong_result_is_found_out() -> None:
    """The comparison with the right values has to fail for one wrong element."""
    launch = planted_memory.oob_view(False)
    launch = Launch(launch.grid, launch.block, launch.args, {1: launch.right[1] + np.eye(8)[3]})
    with pytest.raises(AssertionError, match="Mismatched elements: 1 / 8"):
        run_and_compare(kernel_of(FOLDER / "oob_view.cu"), launch)
