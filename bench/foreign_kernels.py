"""Measure the CUDA simulator on kernels nobody here wrote.

    python -m bench.foreign_kernels --repo PATH [--repo PATH ...] [--only TEXT]

PATH is a checkout of github.com/karpathy/llm.c or github.com/NVIDIA/cuda-samples. Their kernels
are compiled as they stand, launched in the simulator with all checks on, and their results compared
with references in NumPy. Prints a Markdown table; NVRTC's time is not in the seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import foreign_llmc, foreign_llmc_attention, foreign_samples
from bench.foreign_case import Case, float32
from bench.foreign_source import device_source
from gpuops import cuda
from tests.cuda_corpus.corpus import Launch, simulate

# A file that tells the repositories apart -> its cases.
REPOSITORIES = {
    "dev/cuda/common.h": ("karpathy/llm.c", foreign_llmc.CASES + foreign_llmc_attention.CASES),
    "Common/helper_cuda.h": ("NVIDIA/cuda-samples", foreign_samples.CASES),
}


@dataclass
class Row:
    """What came of a case: `right` is "yes", "no" or "flaw reported"."""

    case: Case
    right: str
    seconds: float
    report: str = ""


def kernel_of(root: Path, case: Case) -> cuda.Kernel:
    source = device_source(root, case.file, without=case.without, first=case.first)
    return cuda.Kernel(source, case.name)


def difference(launch: Launch) -> str:
    """How the results differ from the right values; "" if they do not.

    Where a right value is nan, any result will do: the kernel leaves it open.
    """
    for position, expected in launch.right.items():
        got = launch.args[position]
        if got.dtype == np.uint16:
            got, expected = float32(got), float32(expected)
        expected = np.asarray(expected).reshape(got.shape) if got.size > 1 else expected
        got = np.where(np.isnan(expected), expected, got)
        try:
            np.testing.assert_allclose(got, expected, rtol=launch.rtol, atol=launch.rtol / 10)
        except AssertionError as error:
            return f"argument {position}: {' '.join(str(error).split())[:150]}"
    return ""


def measure(root: Path, case: Case) -> Row:
    """Run a case; the seconds are those of the quickest of three runs."""
    try:
        kernel, launch = kernel_of(root, case), case.build()
        simulate(kernel, launch)
        problem = difference(launch)
        seconds = min(timed(kernel, case.build()) for _ in range(3))
    except Exception as error:  # whatever it is, the other kernels are measured all the same
        kind = getattr(error, "kind", type(error).__name__)
        expected = case.flaw is not None and kind == case.flaw[0]
        return Row(case, "flaw reported" if expected else "no", 0.0, " ".join(str(error).split()))
    if case.flaw is not None:
        problem = problem or f"no report, expected {case.flaw[0]}: {case.flaw[1]}"
    return Row(case, "no" if problem else "yes", seconds, problem)


def timed(kernel: cuda.Kernel, launch: Launch) -> float:
    """Seconds of a launch in the simulator."""
    started = time.perf_counter()
    simulate(kernel, launch)
    return time.perf_counter() - started


def line_of(row: Row) -> str:
    flaw = row.case.flaw if row.right == "flaw reported" else None
    report = f"{flaw[0]}: {flaw[1]}" if flaw else row.report
    seconds = f"{row.seconds:.3f}" if row.seconds else ""
    where = row.case.file.rpartition("/")[2]
    return f"| `{where}` | `{row.case.name}` | {row.right} | {seconds} | {report[:300]} |"


def commit_of(root: Path) -> str:
    command = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "(no git checkout)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", type=Path, action="append", required=True)
    parser.add_argument("--only", default="", help="cases whose file or name holds this text")
    options = parser.parse_args()
    for root in options.repo:
        title, cases = next(
            found for mark, found in REPOSITORIES.items() if (root / mark).is_file()
        )
        chosen = [c for c in cases if options.only in c.name or options.only in c.file]
        print(f"\n{title} at {commit_of(root)}\n")
        print("| file | kernel | right? | seconds | report |\n|---|---|---|---|---|")
        rows = []
        for case in chosen:
            rows.append(measure(root, case))
            print(line_of(rows[-1]), flush=True)
        good = sum(row.right == "yes" for row in rows)
        flaws = sum(row.right == "flaw reported" for row in rows)
        total = sum(row.seconds for row in rows)
        print(f"\n{good} of {len(rows)} right, {flaws} with a flaw of their own reported, ", end="")
        print(f"{len(rows) - good - flaws} neither; {total:.2f} s")


if __name__ == "__main__":
    main()
