"""One-line mutants of right kernels are noticed: a report, or a result that is not the reference's.

`python -m bench.simulator_corpus` prints the verdict on each.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpuops import cuda
from tests.cuda_corpus.corpus import HERE, run_and_compare, simulate, wrong
from tests.cuda_corpus.mutant_table import MUTANTS, RIGHT

FOLDER = HERE / "mutants"
SHARE_NOTICED = 0.95


def mutated(name: str, old: str, new: str) -> cuda.Kernel:
    """The kernel with a piece of its text replaced."""
    source = (FOLDER / f"{name}.cu").read_text(encoding="utf-8")
    assert source.count(old) == 1, f"{name}: {old!r} occurs {source.count(old)} times, not once"
    return cuda.Kernel(source.replace(old, new), name)


def verdict(name: str, old: str, new: str) -> str | None:
    """How a mutant was noticed: the report's kind, or "result"; None if it was not."""
    launch = RIGHT[name][0]()
    try:
        simulate(mutated(name, old, new), launch)
    except cuda.SimulationError as report:
        return str(report.kind)
    return "result" if wrong(launch) else None


def verdicts() -> Iterator[tuple[str, str, str, str | None]]:
    """(kernel, old text, new text, verdict) of every mutant."""
    for name, changes in MUTANTS.items():
        for old, new in changes:
            yield name, old, new, verdict(name, old, new)


@pytest.mark.parametrize("name", RIGHT)
def test_the_kernel_itself_is_right(name: str) -> None:
    source = (FOLDER / f"{name}.cu").read_text(encoding="utf-8")
    run_and_compare(cuda.Kernel(source, name), RIGHT[name][0]())


def test_the_mutants_are_noticed() -> None:
    every = list(verdicts())
    missed = [(name, old, new) for name, old, new, found in every if found is None]
    noticed = len(every) - len(missed)
    print(f"mutants noticed: {noticed} of {len(every)}")  # noqa: T201 - the score, with -s or -rP
    assert len(every) >= 60
    assert noticed >= SHARE_NOTICED * len(every), missed


def test_the_table_holds_changes_and_no_kernel_without_any() -> None:
    assert set(MUTANTS) == set(RIGHT) == {path.stem for path in FOLDER.glob("*.cu")}
    for changes in MUTANTS.values():
        assert len(set(changes)) == len(changes) >= 5
        assert all(old != new for old, new in changes)
