"""Random numbers of the pack beside NumPy's Philox, torch's and, on a GPU, CuPy's.

    python bench/bench_random.py --json bench-out/random.json

Every side makes a new array of the same number of elements; all of them take turns, and the least
time of a side counts: what disturbs a measurement only makes it longer. NumPy has one thread;
gpuops and torch are timed with one and with all. NumPy's generator is Philox 4x64-10; torch's on
the CPU is the Mersenne Twister, whose integers have 31 bits. The exit status is 1 if gpuops with
one thread takes longer than NumPy for any kind of number.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

# Threads of OpenMP that wait would otherwise keep the cores busy that the next side needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from gpuops.cuda.available import why_unavailable
from gpuops.random import RNGState
from gpuops_kernels import normal, random_bits, uniform

MOST = 1.0  # of NumPy's time
NUMPY, GPUOPS, TORCH = "numpy", "gpuops", "torch"
Run = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One side on one kind of number: milliseconds, and of NumPy's or, on a GPU, CuPy's time."""

    kind: str
    side: str
    threads: int
    ms: float
    of_peer: float


def gpuops_runs(n: int, device: str) -> dict[str, Run]:
    """By kind of number, a call that makes `n` of them."""
    rng = RNGState(1, device=device)
    return {
        "bits uint32": lambda: random_bits([n], rng, device=device),
        "uniform float32": lambda: uniform([n], rng, dtype=np.float32, device=device),
        "uniform float64": lambda: uniform([n], rng, dtype=np.float64, device=device),
        "normal float32": lambda: normal([n], rng, dtype=np.float32, device=device),
        "normal float64": lambda: normal([n], rng, dtype=np.float64, device=device),
    }


def numpy_runs(n: int) -> dict[str, Run]:
    bits = np.random.Philox(1)
    rng = np.random.Generator(bits)
    return {
        # The quickest way to 32 n bits.
        "bits uint32": lambda: bits.random_raw(n // 2).view(np.uint32),
        "uniform float32": lambda: rng.random(n, dtype=np.float32),
        "uniform float64": lambda: rng.random(n),
        "normal float32": lambda: rng.standard_normal(n, dtype=np.float32),
        "normal float64": lambda: rng.standard_normal(n),
    }


def torch_runs(n: int, torch: Any) -> dict[str, Run]:
    rng = torch.Generator().manual_seed(1)
    f32, f64 = torch.float32, torch.float64
    return {
        "bits uint32": lambda: torch.empty(n, dtype=torch.int32).random_(generator=rng),
        "uniform float32": lambda: torch.rand(n, generator=rng, dtype=f32),
        "uniform float64": lambda: torch.rand(n, generator=rng, dtype=f64),
        "normal float32": lambda: torch.randn(n, generator=rng, dtype=f32),
        "normal float64": lambda: torch.randn(n, generator=rng, dtype=f64),
    }


def cupy_runs(n: int, cupy: Any) -> dict[str, Run]:
    rng = cupy.random.Generator(cupy.random.Philox4x3210(1))
    return {
        "bits uint32": lambda: rng.integers(0, 2**32, n, dtype=np.uint32),
        "uniform float32": lambda: rng.random(n, dtype=np.float32),
        "uniform float64": lambda: rng.random(n, dtype=np.float64),
        "normal float32": lambda: rng.standard_normal(n, dtype=np.float32),
        "normal float64": lambda: rng.standard_normal(n, dtype=np.float64),
    }


def seconds(run: Run, finish: Run) -> float:
    finish()
    start = perf_counter()
    run()
    finish()
    return perf_counter() - start


def least(
    sides: dict[tuple[str, int], Run], rounds: int, prepare: Callable[[int], None], finish: Run
) -> dict[tuple[str, int], float]:
    """The least seconds of each side; they take turns."""
    best = dict.fromkeys(sides, float("inf"))
    for number in range(rounds + 1):
        for (name, threads), run in sides.items():
            prepare(threads)
            took = seconds(run, finish)
            if number:  # the first calls compile
                best[name, threads] = min(best[name, threads], took)
    return best


def on_cpu(n: int, rounds: int, threads: int) -> list[Row]:
    torch = importlib.import_module("torch")
    ours, theirs, torchs = gpuops_runs(n, "cpu"), numpy_runs(n), torch_runs(n, torch)

    def prepare(wanted: int) -> None:
        os.environ["NUMBA_NUM_THREADS"] = str(wanted)
        torch.set_num_threads(wanted)
        sleep(5e-3)

    rows = []
    for kind in ours:
        # All threads first: the pool of gpuops has as many as it was first asked for.
        sides = {
            (GPUOPS, threads): ours[kind],
            (NUMPY, 1): theirs[kind],
            (GPUOPS, 1): ours[kind],
            (TORCH, threads): torchs[kind],
            (TORCH, 1): torchs[kind],
        }
        best = least(sides, rounds, prepare, lambda: None)
        rows += [Row(kind, *side, 1e3 * s, s / best[NUMPY, 1]) for side, s in best.items()]
    return rows


def on_cuda(n: int, rounds: int) -> list[Row]:
    cupy = importlib.import_module("cupy")
    ours, theirs = gpuops_runs(n, "cuda"), cupy_runs(n, cupy)
    rows = []
    for kind in ours:
        sides = {("gpuops cuda", 0): ours[kind], ("cupy", 0): theirs[kind]}
        finish = cupy.cuda.get_current_stream().synchronize
        best = least(sides, rounds, lambda threads: None, finish)
        rows += [Row(kind, *side, 1e3 * s, s / best["cupy", 0]) for side, s in best.items()]
    return rows


def judge(rows: list[Row]) -> int:
    """Print whether each kind keeps the limit; 1 if one does not, or none was timed."""
    limited = [row for row in rows if row.side == GPUOPS and row.threads == 1]
    status = int(not limited)
    for row in limited:
        kept = row.of_peer <= MOST
        status |= not kept
        print(
            f"{'kept' if kept else 'MISSED'}: {row.kind} takes at most {MOST:g}x of the time of "
            f"NumPy's Philox, on one thread: {row.of_peer:.2f}x"
        )
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=2**24, help="how many numbers, an even number")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    options = parser.parse_args()
    try:
        rows = on_cpu(options.size, options.rounds, options.threads)
    except ModuleNotFoundError as error:
        print(f"bench_random: {error}; `make bench` installs it", file=sys.stderr)
        return 2
    reason = why_unavailable()
    if reason is None:
        rows += on_cuda(options.size, options.rounds)
    else:
        print(f"CPU only: {reason}")
    print(f"{options.size} numbers, NumPy {np.__version__}")
    print(f"{'kind':18}{'side':14}{'threads':>8}{'ms':>10}{'of NumPy/CuPy':>15}")
    for row in rows:
        threads = row.threads or ""
        print(f"{row.kind:18}{row.side:14}{threads:>8}{row.ms:>10.2f}{row.of_peer:>14.2f}x")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return judge(rows)


if __name__ == "__main__":
    sys.exit(main())
