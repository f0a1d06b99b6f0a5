"""What a call on fakes costs beside its peers, and what replaying a graph adds to its operators.

    python -m bench.bench_fake

All are timed in turns, many short rounds each; the figure is the least round. Peers that are not
installed are left out. The exit status is 1 if a limit is missed.
"""

from __future__ import annotations

import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gpuops
import gpuops_kernels as kernels
from bench.bars import Bar
from bench.peers import NotComparable, load
from gpuops import Array, FakeArray, FakeMode, custom_op, trace

ROUNDS = 200
SECONDS = 0.001

MOST_MICROSECONDS = 5.0
MOST_REPLAY = 1.5
MOST_KILOBYTES = 64
NODES = 50

SHAPE = (64, 128)

CALL = "gpuops: an operator"
GUFUNC = "gpuops: an operator with a gufunc signature"
PACK = "gpuops: rms_norm of the pack"
SYMBOLIC = "gpuops: an operator, symbolic sizes"
ADD = "gpuops: a + b"
TRANSPOSED = "gpuops: x.T"
RESHAPED = "gpuops: x.reshape(128, 64)"
INDEXED = "gpuops: x[0]"
SLICED = "gpuops: x[1:]"
TORCH_CALL = "torch: a custom_op"
TORCH_ADD = "torch: a + b"
JAX = "jax: eval_shape of a + b"

Call = Callable[[], Any]


def gpuops_calls(stack: ExitStack) -> Iterator[tuple[str, Call]]:
    @custom_op("gpuops_bench::scale", mutates_args=())
    def scale(x: Array, y: Array) -> Array:
        return x * y

    @custom_op("gpuops_bench::matmul", mutates_args=(), signature="(m,k),(k,n)->(m,n)")
    def matmul(x: Array, y: Array) -> Array:
        return x @ y

    scale.register_fake(lambda x, y: x.new_empty(x.shape))
    stack.callback(scale.undo)
    stack.callback(matmul.undo)
    mode = FakeMode()
    a, b = (mode.from_array(np.empty(SHAPE, np.float32)) for _ in range(2))
    weight = mode.from_array(np.empty(SHAPE[1:], np.float32))
    square = mode.from_array(np.empty((SHAPE[1], SHAPE[1]), np.float32))
    yield CALL, lambda: scale(a, b)
    yield GUFUNC, lambda: matmul(a, square)
    yield PACK, lambda: kernels.rms_norm(a, weight, 1e-6)
    assert mode.shape_env is not None
    n = mode.shape_env.new_dynamic()
    with mode:
        symbolic = FakeArray((n, SHAPE[1]), "float32")
    yield SYMBOLIC, lambda: kernels.rms_norm(symbolic, weight, 1e-6)
    try:
        gpuops.ops.xp.add(a, b)
    except gpuops.OperatorNotFoundError as error:
        raise NotComparable(str(error)) from error
    yield ADD, lambda: a + b
    yield TRANSPOSED, lambda: a.T
    yield RESHAPED, lambda: a.reshape(128, 64)
    yield INDEXED, lambda: a[0]
    yield SLICED, lambda: a[1:]


def torch_calls(stack: ExitStack) -> Iterator[tuple[str, Call]]:
    torch = load("torch")
    fakes = load("torch._subclasses.fake_tensor")

    scale = torch.library.custom_op(
        "gpuops_bench_fake::scale",
        lambda x, y: x * y,
        mutates_args=(),
        schema="(Tensor x, Tensor y) -> Tensor",
    )
    scale.register_fake(lambda x, y: torch.empty_like(x))
    mode = stack.enter_context(fakes.FakeTensorMode())
    a, b = (mode.from_tensor(torch.empty(SHAPE)) for _ in range(2))
    yield TORCH_CALL, lambda: scale(a, b)
    yield TORCH_ADD, lambda: a + b


def jax_calls(stack: ExitStack) -> Iterator[tuple[str, Call]]:
    jax = load("jax")
    array = jax.ShapeDtypeStruct(SHAPE, np.float32)
    # A new function each time: jax remembers what it has traced before.
    yield JAX, lambda: jax.eval_shape(lambda x, y: x + y, array, array)


def replay_calls(stack: ExitStack) -> Iterator[tuple[str, Call]]:
    """A chain of operators that do nothing: replayed, and called from a function by hand."""

    @custom_op("gpuops_bench::step", mutates_args=(), device_types="cpu")
    def step(x: Array, s: float) -> Array:
        return result

    result = np.empty(8)
    stack.callback(step.undo)
    body = "".join(f"    x{i + 1} = step(x{i}, 2.0)\n" for i in range(NODES))
    scope: dict[str, Any] = {"step": step}
    exec(f"def by_hand(x0):\n{body}    return x{NODES}\n", scope)
    by_hand = scope["by_hand"]
    graph = trace(by_hand)(result)
    if len(graph.nodes) != NODES:
        raise AssertionError("the graph has another number of calls than the function")
    yield "by hand", lambda: by_hand(result)
    yield "replay", lambda: graph(result)


def measure(calls: dict[str, Call]) -> dict[str, float]:
    """Seconds per call: the least of many rounds, all calls in turns."""
    least: dict[str, float] = {}
    numbers = {name: calibrate(call) for name, call in calls.items()}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            number = range(numbers[name])
            start = perf_counter()
            for _ in number:
                call()
            seconds = (perf_counter() - start) / len(number)
            least[name] = min(least.get(name, seconds), seconds)
    return least


def calibrate(call: Call) -> int:
    """The number of calls that fill a round, after some to warm up."""
    start = perf_counter()
    count = 0
    while perf_counter() - start < 0.05:
        call()
        count += 1
    return max(1, round(count * SECONDS / 0.05))


def petabyte_kilobytes() -> float:
    """The most memory that a pipeline over a fake petabyte takes."""
    x = FakeArray((2**22, 2**26), "float32", "cuda:7")
    weight = FakeArray((2**26,), "float32", "cuda:7")

    def pipeline() -> FakeArray:
        y = x
        for _ in range(4):
            y = kernels.silu_mul(kernels.softmax(kernels.rms_norm(y, weight)), x)
        out: FakeArray = y
        return out

    pipeline()
    tracemalloc.start()
    out = pipeline()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if out.nbytes != 2**50:
        raise AssertionError(f"the pipeline's result has {out.nbytes} bytes")
    return peak / 1024


def bars(us: dict[str, float], replay: float, kilobytes: float) -> list[Bar]:
    """The limits, with the figures."""
    found = []
    for name in (CALL, GUFUNC, PACK, ADD, TRANSPOSED, RESHAPED, INDEXED, SLICED):
        text = f"{name}, on fakes, takes at most {MOST_MICROSECONDS:g} us"
        if name in us:
            found.append(Bar(us[name] <= MOST_MICROSECONDS, f"{text}: {us[name]:.2f} us"))
        else:
            found.append(Bar(False, f"{text}: not measured"))
    text = f"replaying a call takes at most {MOST_REPLAY:g}x of making it by hand"
    found.append(Bar(replay <= MOST_REPLAY, f"{text}: {replay:.2f}x ({NODES} calls)"))
    text = f"a pipeline of 12 operators over a petabyte takes at most {MOST_KILOBYTES} KiB"
    found.append(Bar(kilobytes <= MOST_KILOBYTES, f"{text}: {kilobytes:.1f} KiB"))
    return found


def main() -> int:
    """Measure and print; the exit status."""
    console = Console(width=100) if not sys.stdout.isatty() else Console()
    calls: dict[str, Call] = {}
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in (gpuops_calls, torch_calls, jax_calls):
            try:
                for name, call in source(stack):
                    calls[name] = call
            except NotComparable as error:
                console.print(f"left out: {error}", highlight=False, markup=False)
        us = {name: 1e6 * seconds for name, seconds in measure(calls).items()}
    with ExitStack() as stack:
        chain = measure(dict(replay_calls(stack)))
    table = Table(title=f"A call on fakes of shape {SHAPE}, Python {sys.version.split()[0]}")
    table.add_column("call", no_wrap=True)
    table.add_column("us", justify="right")
    table.add_column(f"/ {CALL}", justify="right")
    for name, value in us.items():
        table.add_row(name, f"{value:,.2f}", f"{value / us[CALL]:,.1f}x")
    console.print(table)
    per_call = {name: 1e9 * seconds / NODES for name, seconds in chain.items()}
    console.print(
        f"{NODES} calls of an operator that does nothing, ns per call: by hand "
        f"{per_call['by hand']:.1f}, replayed {per_call['replay']:.1f}",
        highlight=False,
    )
    found = bars(us, chain["replay"] / chain["by hand"], petabyte_kilobytes())
    for bar in found:
        console.print(f"{'kept' if bar.kept else 'MISSED'}: {bar.line}", highlight=False)
    return int(not all(bar.kept for bar in found))


if __name__ == "__main__":
    sys.exit(main())
