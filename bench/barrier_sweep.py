"""Take every barrier out of right kernels, one at a time: which ones does the simulator not miss?

    python -m bench.barrier_sweep [--repo PATH ...]

Without --repo, the kernels of tests/cuda_corpus; otherwise those of a checkout that
`bench.foreign_kernels` knows. A removal is noticed if there is a report or a wrong result. Those
that are not are printed with the lines around them, for somebody to say whether the barrier is
needed: redundant ones are common.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.foreign_kernels import REPOSITORIES, difference
from bench.foreign_source import device_source
from gpuops import cuda
from tests.cuda_corpus import planted_memory, planted_order
from tests.cuda_corpus.control_launches import CONTROLS
from tests.cuda_corpus.corpus import HERE, Launch, simulate
from tests.cuda_corpus.mutant_table import RIGHT

BARRIER = re.compile(
    r"__syncthreads\(\);|__syncwarp\([^)]*\);|cg::sync\(\w+\);|\b\w+\.sync\(\);"
    r'|asm volatile\("bar\.[^;]*;"[^;]*;|__pipeline_wait_prior\([^)]*\);'
)


@dataclass(frozen=True)
class Subject:
    """A right kernel: its source, its name, and how to launch it."""

    title: str
    source: str
    name: str
    build: Callable[[], Launch]


def own() -> Iterator[Subject]:
    """The sound kernels of the corpus."""
    planted = {**planted_memory.PLANTED, **planted_order.PLANTED}
    for folder, table in (("mutants", RIGHT), ("controls", CONTROLS)):
        for name, (build, _) in table.items():
            source = (HERE / folder / f"{name}.cu").read_text(encoding="utf-8")
            yield Subject(f"{folder}/{name}", source, name, build)
    for name, (build, _) in planted.items():
        source = sound((HERE / "planted" / f"{name}.cu").read_text(encoding="utf-8"))
        yield Subject(f"planted/{name}", source, name, lambda build=build: build(False))


def sound(source: str) -> str:
    """Without what only the defect compiles; those lines become empty."""
    lines, kept = [], True
    for line in source.splitlines():
        if line.startswith(("#ifdef DEFECT", "#ifndef DEFECT")):
            kept = line.startswith("#ifndef")
        elif line.startswith("#else"):
            kept = not kept
        elif line.startswith("#endif"):
            kept = True
        else:
            lines.append(line if kept else "")
            continue
        lines.append("")
    return "\n".join(lines) + "\n"


def foreign(root: Path) -> Iterator[Subject]:
    """The kernels of a checkout that have no flaw of their own."""
    cases = next(cases for mark, (_, cases) in REPOSITORIES.items() if (root / mark).is_file())
    seen = set()
    for case in cases:
        if case.flaw is None and (case.file, case.name) not in seen:
            seen.add((case.file, case.name))
            source = device_source(root, case.file, without=case.without, first=case.first)
            yield Subject(f"{case.file} {case.name}", source, case.name, case.build)


def body_of(source: str, name: str) -> tuple[int, int]:
    """Where the kernel's body starts and ends in the source."""
    function = name.partition("<")[0]
    head = re.search(rf"__global__[^;{{]*?\b{function}\s*\(", source)
    if head is None:
        raise ValueError(f"no kernel {function!r}")
    start, depth = source.index("{", head.end()), 0
    for position in range(start, len(source)):
        depth += (source[position] == "{") - (source[position] == "}")
        if depth == 0:
            return start, position
    raise ValueError(f"the body of {function!r} does not end")


def noticed(source: str, subject: Subject) -> bool:
    launch = subject.build()
    try:
        simulate(cuda.Kernel(source, subject.name), launch)
    except cuda.SimulationError:
        return True
    return bool(difference(launch))


def sweep(subjects: Iterator[Subject]) -> tuple[int, int]:
    """(noticed, all); prints those that are not."""
    found = total = 0
    for subject in subjects:
        source = subject.source
        for barrier in BARRIER.finditer(source, *body_of(source, subject.name)):
            total += 1
            if noticed(source[: barrier.start()] + ";" + source[barrier.end() :], subject):
                found += 1
                continue
            line = source.count("\n", 0, barrier.start())
            around = source.splitlines()[max(line - 2, 0) : line + 3]
            print(f"{subject.title}, line {line + 1}:", *around, sep="\n    ", flush=True)
    return found, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", type=Path, action="append", default=[])
    roots = parser.parse_args().repo
    for subjects in [foreign(root) for root in roots] or [own()]:
        found, total = sweep(subjects)
        print(f"{found} of {total} removals noticed")


if __name__ == "__main__":
    main()
