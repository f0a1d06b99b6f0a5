"""The pack's gradients: against finite differences, twice, on cpu and on the simulated device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuops
import gpuops_kernels as k
from gpuops import grad, gradcheck, gradgradcheck, vjp, vmap, xp
from gpuops.pytest_plugin import CudaDevice
from gpuops.random import RNGState

RNG = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "rms_norm": (lambda x, w: k.rms_norm(x, w, 1e-3), (normal(2, 3, 5), normal(5))),
    "rms_norm_1d": (lambda x, w: k.rms_norm(x, w), (normal(4), normal(4))),
    "softmax": (lambda x: k.softmax(x), (normal(2, 5),)),
    "softmax_axis": (lambda x: k.softmax(x, 1), (normal(2, 3, 2),)),
    "silu_mul": (lambda x, y: k.silu_mul(x, y), (normal(3, 4), normal(3, 4))),
    "linear": (lambda x, w, b: k.linear(x, w, b), (normal(2, 3, 4), normal(5, 4), normal(5))),
    "linear_plain": (lambda x, w: k.linear(x, w), (normal(4), normal(5, 4))),
    "dropout": (lambda x: k.dropout(x, 0.4, RNGState(5)), (normal(3, 5),)),
    "rms_norm_backward": (
        lambda g, x, w: k.rms_norm_backward(g, x, w, 1e-3),
        (normal(3, 4), normal(3, 4), normal(4)),
    ),
    "softmax_backward": (
        lambda g, x: k.softmax_backward(g, x, 0),
        (normal(3, 4), normal(3, 4)),
    ),
    "silu_mul_backward": (
        lambda g, x, y: k.silu_mul_backward(g, x, y),
        (normal(5), normal(5), normal(5)),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_gradients(name: str) -> None:
    function, arrays = CALLS[name]
    assert gradcheck(function, arrays)
    assert gradgradcheck(function, arrays, atol=1e-4)


@pytest.mark.parametrize("name", CALLS)
def test_the_same_on_the_simulated_device(name: str, simulated_cuda: CudaDevice) -> None:
    function, arrays = CALLS[name]
    if name == "dropout":
        function = _dropout_on(simulated_cuda)
    out, _ = vjp(CALLS[name][0], *arrays)
    cotangents = [np.cos(x) for x in (out if isinstance(out, tuple) else (out,))]
    for dtype in (np.float64, np.float32, np.float16):
        given = [x.astype(dtype) for x in arrays]
        weights = [x.astype(dtype) for x in cotangents]
        expected = vjp(CALLS[name][0], *given)[1](*weights)
        moved = [gpuops.asarray(x, device="cuda") for x in given]
        _, back = vjp(function, *moved)
        found = back(*(gpuops.asarray(x, device="cuda") for x in weights))
        rtol = {2: 2e-2, 4: 2e-5, 8: 1e-11}[np.dtype(dtype).itemsize]
        for got, wanted in zip(found, expected, strict=True):
            assert gpuops.device_of(got).type == "cuda"
            assert got.dtype == dtype
            np.testing.assert_allclose(simulated_cuda.get(got), wanted, rtol=rtol, atol=rtol)


def _dropout_on(device: CudaDevice) -> Callable[..., Any]:
    return lambda x: k.dropout(x, 0.4, RNGState(5, device="cuda"))


def test_the_backward_kernels_run() -> None:
    """Not compositions: each of the three calls its operator, once."""
    for name, arguments in (("rms_norm", 2), ("softmax", 1), ("silu_mul", 2)):
        calls = []
        operator = gpuops.ops.gpuops_kernels.__getattr__(f"{name}_backward")
        right = gpuops.get_kernel(operator, "cpu")

        def counting(*args: Any, right: Any = right, calls: Any = calls) -> Any:
            calls.append(args)
            return right(*args)

        function, arrays = CALLS[name]
        with gpuops.register_kernel(operator, "cpu", counting):
            grad(lambda *a, f=function: xp.sum(f(*a)), tuple(range(arguments)))(*arrays)
        assert len(calls) == 1


def test_dropout_takes_no_other_numbers_in_the_reverse_pass() -> None:
    rng = RNGState(1)
    x = np.ones(50)
    out, back = vjp(lambda x: k.dropout(x, 0.5, rng), x)
    k.uniform((100,), rng)
    np.testing.assert_array_equal(back(np.ones(50))[0], out)


# S12
@pytest.mark.parametrize("name", [name for name in CALLS if name != "dropout"])
def test_batched_gradients_are_a_loop(name: str) -> None:
    function, arrays = CALLS[name]
    batches = [np.stack([x, x[::-1], 2 * x]) for x in arrays]

    def total(*args: Any) -> Any:
        out = function(*args)
        parts = out if isinstance(out, tuple) else (out,)
        return sum((xp.sum(part * part) for part in parts[1:]), xp.sum(parts[0] * parts[0]))

    gradient = grad(total, tuple(range(len(arrays))))
    expected = [gradient(*(batch[i] for batch in batches)) for i in range(3)]
    found = vmap(gradient)(*batches)
    outside = grad(lambda *b: xp.sum(vmap(total)(*b)), tuple(range(len(arrays))))(*batches)
    for index, (one, other) in enumerate(zip(found, outside, strict=True)):
        wanted = np.stack([row[index] for row in expected])
        np.testing.assert_allclose(one, wanted, rtol=1e-10)
        np.testing.assert_allclose(other, wanted, rtol=1e-10)


def test_gradients_are_traced_as_operators() -> None:
    function, arrays = CALLS["rms_norm"]
    graph = gpuops.trace(grad(lambda x, w: xp.sum(function(x, w))), "symbolic")(*arrays)
    assert "rms_norm_backward" in graph.code
    expected = grad(lambda x, w: xp.sum(function(x, w)))(*arrays)
    np.testing.assert_allclose(graph(*arrays), expected)
