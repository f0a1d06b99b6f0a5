"""Gradients beside torch's and HIPS/autograd's, in one run.

    python bench/bench_autograd.py --json bench-out/autograd.json

Two measurements:

- forward and backward of a perceptron of four layers (a linear layer, rms_norm, silu_mul each) at
  batch 256 and width 256, float32, beside torch on the CPU with the same number of threads and
  HIPS/autograd. The gradients are compared before anything is timed.
- what differentiation adds to a call of an operator whose kernel does nothing, in a chain of
  calls: forward, and forward with backward; beside torch's ``custom_op`` with
  ``register_autograd``.

Each side is timed in processes of its own, which take turns: in one process, torch's threads go on
spinning for milliseconds on a core that the other side needs. The least time counts: what disturbs
a measurement only makes it longer. The exit status is 1 if a limit is missed: the perceptron at
most 1.0 of torch's time and 0.5 of HIPS/autograd's; a call that is differentiated at most a fifth
of torch's, forward alone and forward with backward.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import gpuops
from gpuops import Array

BATCH = WIDTH = 256
LAYERS = 4
EPS = 1e-6
CHAIN = 500
# 24 MB: more than any array here, and below the 32 MB up to which glibc's threshold follows.
LARGE = 3 * 2**20
ROUNDS = 40
ROUND_S = 2e-2
# Of the other side's time, at most.
LIMITS = {
    ("mlp", "torch"): 1.0,
    ("mlp", "hips"): 0.5,
    ("forward", "torch"): 0.2,
    ("both", "torch"): 0.2,
}
SIDES = ("gpuops", "torch", "hips")


def parameters() -> dict[str, np.ndarray]:
    """The input and the weights: of each layer a gate, an up projection and a norm."""
    rng = np.random.default_rng(0)
    scale = np.float32(1 / np.sqrt(WIDTH))

    def matrix(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    found = {"x": rng.standard_normal((BATCH, WIDTH)).astype(np.float32)}
    for layer in range(LAYERS):
        found |= {
            f"norm_{layer}": 1 + matrix(WIDTH),
            f"gate_{layer}": matrix(WIDTH, WIDTH),
            f"up_{layer}": matrix(WIDTH, WIDTH),
        }
    return found


# -- the perceptron, on each side ------------------------------------------------------------------


def mlp_of_gpuops() -> Callable[[], dict[str, np.ndarray]]:
    import gpuops_kernels as kernels
    from gpuops import grad, xp

    def loss(weights: dict[str, Any], x: Any) -> Any:
        for layer in range(LAYERS):
            normed = kernels.rms_norm(x, weights[f"norm_{layer}"], EPS)
            gate = kernels.linear(normed, weights[f"gate_{layer}"], None, None)
            up = kernels.linear(normed, weights[f"up_{layer}"], None, None)
            x = xp.add(x, kernels.silu_mul(gate, up))
        return xp.mean(xp.square(x))

    weights = parameters()
    x = weights.pop("x")
    gradient = grad(loss)
    return lambda: gradient(weights, x)


def mlp_of_torch() -> Callable[[], dict[str, np.ndarray]]:
    torch = importlib.import_module("torch")
    functional = torch.nn.functional
    weights = {name: torch.from_numpy(array) for name, array in parameters().items()}
    x = weights.pop("x")
    for array in weights.values():
        array.requires_grad_()

    def run() -> dict[str, np.ndarray]:
        out = x
        for layer in range(LAYERS):
            normed = functional.rms_norm(out, (WIDTH,), weights[f"norm_{layer}"], EPS)
            gate = functional.linear(normed, weights[f"gate_{layer}"])
            up = functional.linear(normed, weights[f"up_{layer}"])
            out = out + functional.silu(gate) * up
        found = torch.autograd.grad(out.square().mean(), list(weights.values()))
        return dict(zip(weights, (array.numpy() for array in found), strict=True))

    return run


def mlp_of_hips() -> Callable[[], dict[str, np.ndarray]]:
    numpy: Any = importlib.import_module("autograd.numpy")
    grad = importlib.import_module("autograd").grad

    def loss(weights: dict[str, Any], x: Any) -> Any:
        for layer in range(LAYERS):
            mean = numpy.mean(x * x, axis=-1, keepdims=True)
            normed = x / numpy.sqrt(mean + np.float32(EPS)) * weights[f"norm_{layer}"]
            gate = numpy.dot(normed, weights[f"gate_{layer}"].T)
            up = numpy.dot(normed, weights[f"up_{layer}"].T)
            x = x + gate / (1 + numpy.exp(-gate)) * up
        return numpy.mean(x * x)

    weights = parameters()
    x = weights.pop("x")
    gradient = grad(loss)
    return lambda: gradient(weights, x)


MLPS = {"gpuops": mlp_of_gpuops, "torch": mlp_of_torch, "hips": mlp_of_hips}


# -- what differentiation adds to a call -----------------------------------------------------------


def chains_of_gpuops() -> dict[str, Callable[[], Any]]:
    result = np.ones(3)

    @gpuops.custom_op("bench_autograd::f", mutates_args=())
    def f(x: Array) -> Array:
        return result.copy()

    # The kernel returns a constant, so that only the call is timed.
    f.register_kernel("cpu", lambda x: result)
    f.register_autograd(
        lambda ctx, g: g,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
    )

    def chain(x: Any) -> Any:
        for _ in range(CHAIN):
            x = f(x)
        return x

    def both() -> Any:
        _, backward = gpuops.vjp(chain, result)
        return backward(result)

    return {
        "plain": lambda: chain(result),
        "forward": lambda: gpuops.vjp(chain, result),
        "both": both,
    }


def chains_of_torch() -> dict[str, Callable[[], Any]]:
    torch = importlib.import_module("torch")
    result = torch.ones(3)

    def f(x: Any) -> Any:
        # torch refuses a kernel that returns what it was given, or the same array twice.
        return torch.empty(3)

    f.__annotations__ = {"x": torch.Tensor, "return": torch.Tensor}
    f = torch.library.custom_op("bench_autograd::f", f, mutates_args=())
    f.register_autograd(
        lambda ctx, g: g,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
    )

    def chain(x: Any) -> Any:
        for _ in range(CHAIN):
            x = f(x)
        return x

    def plain() -> Any:
        with torch.no_grad():
            return chain(result)

    leaf = torch.ones(3, requires_grad=True)
    return {
        "plain": plain,
        "forward": lambda: chain(leaf),
        "both": lambda: torch.autograd.grad(chain(leaf), leaf, result),
    }


# -- timing ----------------------------------------------------------------------------------------


def least(run: Callable[[], Any], rounds: int) -> float:
    """The least seconds of a call, over rounds of a few milliseconds each."""
    run()
    start = perf_counter()
    run()
    number = max(1, int(ROUND_S / max(perf_counter() - start, 1e-6)))
    best = float("inf")
    for _ in range(rounds):
        start = perf_counter()
        for _ in range(number):
            run()
        best = min(best, (perf_counter() - start) / number)
    return best


def measure(side: str, rounds: int) -> dict[str, float]:
    """Milliseconds of the perceptron; microseconds of a call in the chain."""
    # All sides allocate with malloc. Once a large block has been freed, it keeps memory instead of
    # giving it back to the system each time, which costs a tenth of the perceptron's time (864
    # page faults a pass) or nothing, by chance.
    np.ones(LARGE)
    found = {"mlp": 1e3 * least(MLPS[side](), rounds)}
    chains = {"gpuops": chains_of_gpuops, "torch": chains_of_torch}.get(side)
    if chains is not None:
        found |= {name: 1e6 * least(run, rounds) / CHAIN for name, run in chains().items()}
    return found


def check_gradients() -> None:
    """Compare the gradients of all sides.

    Raises:
        AssertionError: they differ.
    """
    expected = MLPS["torch"]()()
    for side in ("gpuops", "hips"):
        found = MLPS[side]()()
        for name, wanted in expected.items():
            np.testing.assert_allclose(
                found[name], wanted, rtol=1e-3, atol=1e-7, err_msg=f"{side}: {name}"
            )


def in_turns(passes: int, rounds: int, threads: int) -> dict[str, dict[str, float]]:
    """The least figures of each side, each in processes of its own."""
    numbers = dict.fromkeys(
        ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        str(threads),
    )
    environment = {**os.environ, **numbers}
    figures: dict[str, dict[str, float]] = {side: {} for side in SIDES}
    for _ in range(passes):
        for side in SIDES:
            command = [sys.executable, __file__, "--side", side, "--rounds", str(rounds)]
            done = subprocess.run(
                command, env=environment, check=True, stdout=subprocess.PIPE, text=True
            )
            for name, value in json.loads(done.stdout).items():
                figures[side][name] = min(value, figures[side].get(name, float("inf")))
    return figures


def ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """gpuops' figures in units of the others'."""
    found = {}
    for side in ("torch", "hips"):
        for name, value in figures[side].items():
            found[f"{name} of {side}"] = figures["gpuops"][name] / value
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--passes", type=int, default=3, help="how often each side is timed")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=1, help="of every side")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options.rounds)))
        return 0
    check_gradients()
    figures = in_turns(options.passes, options.rounds, options.threads)
    of_others = ratios(figures)
    print(f"{options.threads} threads; least of {options.passes} x {options.rounds} rounds")
    for side, row in figures.items():
        units = {"mlp": "ms"}
        text = ", ".join(
            f"{name} {value:.3f} {units.get(name, 'us')}" for name, value in row.items()
        )
        print(f"{side:>8}: {text}")
    missed = []
    for (name, side), limit in LIMITS.items():
        value = of_others[f"{name} of {side}"]
        title = "forward and backward" if name == "both" else name
        print(f"{title}: {value:.3f} of {side}'s time, at most {limit}")
        if value > limit:
            missed.append(f"{name} of {side}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"figures": figures, "ratios": of_others}, indent=2)
        options.json.write_text(text + "\n")
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
