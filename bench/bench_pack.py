"""The pack's CPU kernels beside torch's, with the same number of threads and in one run.

    python bench/bench_pack.py --passes 3 --json bench-out/pack.json

An operator's counterpart is the function `run` of the module ``torch_peer`` in its folder. Its
result is compared with the operator's before anything is timed. Each side is timed in processes of
its own, which take turns: in one process, torch's threads go on spinning for milliseconds on a core
that the other side needs (softmax took twice its time). The least time counts: what disturbs
a measurement only makes it longer. The exit status is 1 if an operator is slower than torch at
4096x1024 float32.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import gpuops
from gpuops.cases import BenchShape, Case, load_cases
from gpuops.registry import Operator

LIMIT_SHAPE = "4096x1024-float32"
MOST = 1.0  # of torch's time
ROUND_S = 5e-3
ROUNDS = 40
SIDES = ("gpuops", "torch")


@dataclass(frozen=True, slots=True)
class Row:
    """One shape: milliseconds of the operator and of torch, and their ratio."""

    operator: str
    shape: str
    gpuops_ms: float
    torch_ms: float
    of_torch: float


def pairs() -> Iterator[tuple[Operator, Callable[..., Any], BenchShape]]:
    """Every operator of the pack that has a counterpart, with it and each shape."""
    gpuops.load_packs()
    for operator in gpuops.operators("gpuops_kernels"):
        name = operator.location.module.rpartition(".")[0] + ".torch_peer"
        if importlib.util.find_spec(name) is not None:
            peer = importlib.import_module(name).run
            for shape in load_cases(operator).bench:
                yield operator, peer, shape


def calls(
    operator: Operator, peer: Callable[..., Any], shape: BenchShape
) -> dict[str, Callable[[], Any]]:
    """For each side, a function without arguments that does the work."""
    args, kwargs = shape.build(np.random.default_rng(0))
    torch = importlib.import_module("torch")
    again, _ = shape.build(np.random.default_rng(0))
    given = [torch.from_numpy(arg) if isinstance(arg, np.ndarray) else arg for arg in again]
    return {
        "gpuops": partial(operator.call, *args, **kwargs),
        "torch": partial(peer, *given, **kwargs),
    }


def check_results() -> None:
    """Compare the results of both sides.

    Raises:
        AssertionError: they differ by more than the dtype's tolerance.
    """
    for operator, peer, shape in pairs():
        both = calls(operator, peer, shape)
        results, expected = both["gpuops"](), both["torch"]()
        if not isinstance(results, tuple):
            results, expected = (results,), (expected,)
        for got, tensor in zip(results, expected, strict=True):
            wanted = tensor.numpy()
            rtol, atol = Case("", shape.build).tolerances(got.dtype)
            if wanted.dtype.kind == "f":
                # Sums of products differ by roundings of their largest terms.
                atol += rtol * float(np.abs(wanted).max(initial=0))
            title = f"{operator.qualname} at {shape.id}"
            np.testing.assert_allclose(got, wanted, rtol, atol, err_msg=title)


def time_side(side: str) -> list[tuple[str, str, float]]:
    """Operator, shape and seconds of a call, of one side."""
    return [
        (operator.qualname, shape.id, least(calls(operator, peer, shape)[side]))
        for operator, peer, shape in pairs()
    ]


def least(run: Callable[[], Any]) -> float:
    """The least time of a call over all rounds."""
    run()
    start = perf_counter()
    run()
    loops = max(1, round(ROUND_S / (perf_counter() - start)))
    best = float("inf")
    for _ in range(ROUNDS):
        start = perf_counter()
        for _ in range(loops):
            run()
        best = min(best, (perf_counter() - start) / loops)
    return best


def measure(passes: int, threads: int) -> list[Row]:
    """Both sides in turns, each in a process of its own."""
    best: dict[tuple[str, str], dict[str, float]] = {}
    for _ in range(passes):
        for side in SIDES:
            command = [sys.executable, __file__, "--side", side, "--threads", str(threads)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            for operator, shape, seconds in json.loads(done.stdout):
                known = best.setdefault((operator, shape), {})
                known[side] = min(seconds, known.get(side, seconds))
    return [
        Row(*key, 1e3 * s["gpuops"], 1e3 * s["torch"], s["gpuops"] / s["torch"])
        for key, s in best.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=3, help="processes of each side")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    try:
        torch = importlib.import_module("torch")
    except ModuleNotFoundError as error:
        print(f"bench_pack: {error}; `make bench` installs it", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    if options.side is not None:
        print(json.dumps(time_side(options.side)))
        return 0
    check_results()
    rows = measure(options.passes, options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads each")
    print(f"{'operator':36}{'shape':28}{'gpuops ms':>11}{'torch ms':>11}{'of torch':>10}")
    for row in rows:
        print(
            f"{row.operator:36}{row.shape:28}{row.gpuops_ms:>11.3f}{row.torch_ms:>11.3f}"
            f"{row.of_torch:>9.2f}x"
        )
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return judge(rows)


def judge(rows: list[Row]) -> int:
    """Print whether each operator keeps the limit; 1 if one does not, or none was timed."""
    limited = [row for row in rows if row.shape.startswith(LIMIT_SHAPE)]
    status = int(not limited)
    for row in limited:
        kept = row.of_torch <= MOST
        status |= not kept
        print(
            f"{'kept' if kept else 'MISSED'}: {row.operator} takes at most {MOST:g}x of torch's "
            f"time at {row.shape}: {row.of_torch:.2f}x"
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
