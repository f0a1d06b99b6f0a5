"""`vmap` beside calling the batched operators by hand, and beside jax.vmap and torch.vmap.

    python -m bench.bench_vmap --json bench-out/vmap.json

By hand and through `vmap` take turns in one process; jax and torch, whose threads would disturb
them, have a process each and are there for information: ``jax.vmap`` alone and under ``jax.jit``,
``torch.vmap`` in eager mode. All sides compute the same, which is checked first. The least time
counts: what disturbs a measurement only makes it longer. The exit status is 1 if `vmap` takes more
than 1.2 times of what is written by hand, at the sizes that take about 100 microseconds.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

MOST = 1.2  # of what is written by hand
ROUNDS = 60
ROUND_S = 2e-3
HAND, VMAP = "by hand", "vmap"
OURS, PEERS = "gpuops", ("jax", "torch")


@dataclass(frozen=True, slots=True)
class Problem:
    """One function of elements.

    Attributes:
        name: what it computes.
        shapes: of one element's arguments; for those that are the same for all elements, of them.
        in_dims: as `gpuops.vmap` takes them.
        sizes: of batches: a small one, one at which each operator takes about 100 microseconds, or
            all of them together a few hundred, and a large one.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    in_dims: tuple[int | None, ...]
    sizes: tuple[int, int, int]

    def arrays(self, size: int) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [
            rng.normal(size=shape if dim is None else (size, *shape)).astype(np.float32)
            for shape, dim in zip(self.shapes, self.in_dims, strict=True)
        ]


PROBLEMS = (
    Problem("exp(x)", ((256,),), (0,), (4, 600, 8192)),
    Problem("x * y", ((256,), (256,)), (0, None), (4, 1600, 8192)),
    Problem("sum(x)", ((256,),), (0,), (4, 2000, 8192)),
    Problem("x @ w", ((128,), (128, 128)), (0, None), (4, 256, 4096)),
    Problem("tanh(x @ w + b) * x", ((64,), (64, 64), (64,)), (0, None, None), (4, 1400, 8192)),
    Problem("softmax(x)", ((256,),), (0,), (4, 1000, 8192)),
    Problem("rms_norm(x, w)", ((256,), (256,)), (0, None), (4, 2400, 16384)),
)


# -- the sides -------------------------------------------------------------------------------------


def gpuops_functions(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """By hand for a whole batch, and for one element; the operators are the same."""
    from gpuops import xp
    from gpuops_kernels.rms_norm.op import rms_norm
    from gpuops_kernels.softmax.op import softmax

    both: dict[str, Any] = {
        "exp(x)": (xp.exp, xp.exp),
        "x * y": (xp.multiply, xp.multiply),
        "sum(x)": (lambda x: xp.sum(x, axis=1), lambda x: xp.sum(x, axis=0)),
        "x @ w": (xp.matmul, xp.matmul),
        "tanh(x @ w + b) * x": (_layer, _layer),
        "softmax(x)": (lambda x: softmax(x, 1), lambda x: softmax(x, 0)),
        "rms_norm(x, w)": (rms_norm, rms_norm),
    }
    hand, element = both[name]
    return hand, element


def _layer(x: Any, w: Any, b: Any) -> Any:
    from gpuops import xp

    return xp.multiply(xp.tanh(xp.add(xp.matmul(x, w), b)), x)


def jax_function(name: str) -> Callable[..., Any]:
    jax: Any = importlib.import_module("jax")
    jnp = jax.numpy
    functions: dict[str, Callable[..., Any]] = {
        "exp(x)": jnp.exp,
        "x * y": jnp.multiply,
        "sum(x)": jnp.sum,
        "x @ w": jnp.matmul,
        "tanh(x @ w + b) * x": lambda x, w, b: jnp.tanh(x @ w + b) * x,
        "softmax(x)": jax.nn.softmax,
        "rms_norm(x, w)": lambda x, w: x / jnp.sqrt((x * x).mean() + 1e-6) * w,
    }
    return functions[name]


def torch_function(name: str) -> Callable[..., Any]:
    torch: Any = importlib.import_module("torch")
    functions: dict[str, Callable[..., Any]] = {
        "exp(x)": torch.exp,
        "x * y": torch.mul,
        "sum(x)": torch.sum,
        "x @ w": torch.matmul,
        "tanh(x @ w + b) * x": lambda x, w, b: torch.tanh(x @ w + b) * x,
        "softmax(x)": lambda x: torch.softmax(x, 0),
        "rms_norm(x, w)": lambda x, w: torch.rms_norm(x, w.shape, w, 1e-6),
    }
    return functions[name]


def calls(side: str, problem: Problem, size: int) -> dict[str, Callable[[], Any]]:
    """For each way to compute a problem on one side, a function without arguments."""
    arrays = problem.arrays(size)
    if side == OURS:
        from gpuops import vmap

        hand, element = gpuops_functions(problem.name)
        batched = vmap(element, problem.in_dims)
        return {HAND: lambda: hand(*arrays), VMAP: lambda: batched(*arrays)}
    if side == "jax":
        jax: Any = importlib.import_module("jax")
        given = [jax.numpy.asarray(x) for x in arrays]
        plain = jax.vmap(jax_function(problem.name), problem.in_dims)
        compiled = jax.jit(plain)
        return {
            "jax.vmap": lambda: plain(*given).block_until_ready(),
            "jax.jit(jax.vmap)": lambda: compiled(*given).block_until_ready(),
        }
    torch: Any = importlib.import_module("torch")
    tensors = [torch.from_numpy(x) for x in arrays]
    eager = torch.vmap(torch_function(problem.name), problem.in_dims)
    return {"torch.vmap": lambda: eager(*tensors)}


# -- timing ----------------------------------------------------------------------------------------


def least(runs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The least time of each, in microseconds, taken in turns."""
    loops = {}
    for name, run in runs.items():
        run()
        start = perf_counter()
        run()
        loops[name] = max(1, round(ROUND_S / (perf_counter() - start)))
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = perf_counter()
            for _ in range(loops[name]):
                run()
            best[name] = min(best[name], (perf_counter() - start) / loops[name])
    return {name: 1e6 * seconds for name, seconds in best.items()}


def time_side(side: str) -> list[tuple[str, int, dict[str, float]]]:
    """Problem, size and the times of one side."""
    found = []
    for problem in PROBLEMS:
        for size in problem.sizes:
            runs = calls(side, problem, size)
            expected = calls(OURS, problem, size)[HAND]()
            for name, run in runs.items():
                np.testing.assert_allclose(
                    np.asarray(run()), expected, rtol=2e-3, atol=2e-4, err_msg=name
                )
            found.append((problem.name, size, least(runs)))
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """One problem at one size: microseconds by side, and `vmap`'s in units of what is by hand."""

    problem: str
    size: int
    limited: bool
    us: dict[str, float]
    of_hand: float


def measure(passes: int, threads: int) -> list[Row]:
    """Each side in processes of its own, gpuops' several times; the least times."""
    times: dict[tuple[str, int], dict[str, float]] = {}
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(variables, str(threads))}
    for side in (*[OURS] * passes, *PEERS):
        if importlib.util.find_spec(side) is None:
            print(f"{side} is not installed: left out; `make bench` installs it")
            continue
        command = [sys.executable, "-m", "bench.bench_vmap", "--side", side]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
        for problem, size, us in json.loads(done.stdout):
            known = times.setdefault((problem, size), {})
            for name, least_us in us.items():
                known[name] = min(least_us, known.get(name, least_us))
    limited = {(problem.name, problem.sizes[1]) for problem in PROBLEMS}
    return [Row(*key, key in limited, us, us[VMAP] / us[HAND]) for key, us in times.items()]


def show(rows: list[Row]) -> None:
    """A table, in microseconds."""
    columns = list(dict.fromkeys(name for row in rows for name in row.us))
    print(
        f"{'function of an element':24}{'batch':>7}"
        + "".join(f"{name:>19}" for name in columns)
        + f"{'of by hand':>12}"
    )
    for row in rows:
        cells = "".join(f"{row.us.get(name, float('nan')):>19,.1f}" for name in columns)
        print(f"{row.problem:24}{row.size:>7}{cells}{row.of_hand:>11.2f}x")


def judge(rows: list[Row]) -> int:
    """Print whether the limit is kept; 1 if it is not, or nothing was timed."""
    limited = [row for row in rows if row.limited]
    for row in limited:
        kept = row.of_hand <= MOST
        print(
            f"{'kept' if kept else 'MISSED'}: vmap takes at most {MOST:g}x of what is written by "
            f"hand, {row.problem} of {row.size}: {row.of_hand:.2f}x"
        )
    return int(not limited or any(row.of_hand > MOST for row in limited))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=3, help="processes of gpuops' side")
    parser.add_argument("--threads", type=int, default=1, help="of every side")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--side", choices=(OURS, *PEERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side is not None:
        if options.side == "torch":
            importlib.import_module("torch").set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        print(json.dumps(time_side(options.side)))
        return 0
    rows = measure(options.passes, options.threads)
    show(rows)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return judge(rows)


if __name__ == "__main__":
    sys.exit(main())
