"""Score the CUDA simulator on tests/cuda_corpus: what it reports, leaves alone, misses.

    python -m bench.simulator_corpus [--each]

Prints a Markdown table; with `--each`, a line for every kernel and mutant before it. Times include
NVRTC's compilation and are of one run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

from gpuops import cuda
from gpuops.errors import GpuopsError
from tests.cuda_corpus import planted_memory, planted_order, test_planted
from tests.cuda_corpus.control_launches import CONTROLS
from tests.cuda_corpus.corpus import HERE, Launch, kernel_of, simulate, wrong
from tests.cuda_corpus.test_mutants import verdicts

PLANTED = {**planted_memory.PLANTED, **planted_order.PLANTED}
Verdict = tuple[str, bool, str]  # what, as it should be, what came of it


def legal(kernel: cuda.Kernel, launch: Launch) -> tuple[bool, str]:
    """Whether a launch that has to pass does, and otherwise what was reported."""
    try:
        simulate(kernel, launch)
    except GpuopsError as error:
        return False, str(error).splitlines()[0]
    difference = wrong(launch)
    return (False, f"wrong result, {difference}") if difference else (True, "right")


def planted() -> Iterator[Verdict]:
    for name, (build, facts) in PLANTED.items():
        try:
            test_planted.test_the_defect_is_reported(name, build, facts)
            yield name, True, str(facts["kind"])
        except (Exception, AssertionError) as error:
            yield name, False, str(error).splitlines()[0]


def twins() -> Iterator[Verdict]:
    for name, (build, _) in PLANTED.items():
        yield name, *legal(kernel_of(HERE / "planted" / f"{name}.cu"), build(False))


def controls() -> Iterator[Verdict]:
    for name, (build, _) in CONTROLS.items():
        yield name, *legal(kernel_of(HERE / "controls" / f"{name}.cu"), build())


def mutants() -> Iterator[Verdict]:
    for name, old, new, how in verdicts():
        yield f"{name}: {old.strip()!r} -> {new.strip()!r}", how is not None, how or "not noticed"


PARTS: dict[str, Callable[[], Iterator[Verdict]]] = {
    "planted defects reported with kind and line": planted,
    "their sound twins left alone, right values": twins,
    "legal but tricky controls left alone, right values": controls,
    "one-line mutants noticed": mutants,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", action="store_true", help="a line for every kernel and mutant")
    each = parser.parse_args().each
    rows = []
    for title, part in PARTS.items():
        started = time.perf_counter()
        found = list(part())
        seconds = time.perf_counter() - started
        for what, fine, how in found:
            if each or not fine:
                print(f"{'ok' if fine else 'NOT OK':7} {what}: {how}")
        rows.append((title, sum(fine for _, fine, _ in found), len(found), seconds))
    print("\n| | | seconds |\n|---|---|---|")
    for title, good, total, seconds in rows:
        print(f"| {title} | {good} of {total} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
