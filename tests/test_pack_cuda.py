"""The "cuda" kernels of the pack through the operator call, on all cases.

On any machine in the simulator, with its checks; on a GPU, where there is one, with ``-m cuda``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuops
import gpuops_kernels
from gpuops import cuda
from gpuops.cases import Case, arguments_on, load_cases
from gpuops.cli.arrays import arrays_in
from gpuops.profiles import check_against, load_op_profiles
from gpuops.pytest_plugin import CudaDevice

NAMES = sorted(gpuops_kernels.__all__)
EVERY_CASE = [
    pytest.param(name, case, id=f"{name}-{case.id}")
    for name in NAMES
    for case in load_cases(f"gpuops_kernels::{name}").cases
]
DEVICES = [
    pytest.param("simulated_cuda", id="simulated"),
    pytest.param("cuda_device", id="gpu", marks=pytest.mark.cuda),
]


@cache
def recorded(name: str) -> Any:
    """What is recorded of an operator of the pack: on no device it does anything else."""
    folder = Path(gpuops_kernels.__file__).parent / name
    return load_op_profiles(folder / "profile.yaml")


def check(device: CudaDevice, name: str, case: Case) -> None:
    """Call the operator with arrays of the device and compare with the reference."""
    operator = getattr(gpuops_kernels, name)
    args, kwargs = case.build(np.random.default_rng(7))
    expected = (case.reference or gpuops.get_kernel(operator))(*args, **kwargs)
    # Anew, as the first call may have changed them; with their strides and their alignment.
    again = case.build(np.random.default_rng(7))
    move = partial(cuda.copy_with_layout, device=device.device)
    args, kwargs = arguments_on(operator, again, device.device, move=move)
    with check_against(recorded(name)):
        results = operator(*args, **kwargs)
    for got, wanted in zip(arrays_in(results), arrays_in(expected), strict=True):
        assert gpuops.device_of(got) is device.device and got.flags.c_contiguous
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        rtol, atol = case.tolerances(got.dtype)
        np.testing.assert_allclose(device.get(got), wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize(("name", "case"), EVERY_CASE)
def test_the_cuda_kernel_agrees_with_the_reference(
    name: str, case: Case, where: str, request: pytest.FixtureRequest
) -> None:
    check(request.getfixturevalue(where), name, case)


def test_a_wrong_kernel_is_found_out(simulated_cuda: CudaDevice) -> None:
    """Of a result that is wrong in its last element, and of a kernel that reads too far."""
    cases = load_cases("gpuops_kernels::silu_mul").cases
    case = next(c for c in cases if c.id.startswith("3x64") and "float32" in c.id)
    operator = gpuops_kernels.silu_mul
    right = gpuops.get_kernel(operator, "cuda")

    def inexact(gate: Any, up: Any) -> Any:
        out = right(gate, up)
        out[..., -1] += 0.01
        return out

    with gpuops.register_kernel(operator, "cuda", inexact):
        with pytest.raises(AssertionError, match="Mismatched elements"):
            check(simulated_cuda, "silu_mul", case)

    far = cuda.Kernel(
        'extern "C" __global__ void far(const float* gate, float* out, int n) {\n'
        "    int i = threadIdx.x;\n"
        "    if (i <= n) out[i] = gate[i];\n"
        "}",
        "far",
    )

    def too_far(gate: Any, up: Any) -> Any:
        out = gate.__array_namespace__().empty(gate.shape, dtype=gate.dtype)
        far(1, 256, (gate, out, gate.size))
        return out

    with gpuops.register_kernel(operator, "cuda", too_far):
        with pytest.raises(cuda.SimulationError, match="out of bounds") as caught:
            check(simulated_cuda, "silu_mul", case)
    assert caught.value.kind == "OUT-OF-BOUNDS" and "far.cu:3" in str(caught.value)


def test_launches_of_the_simulator_follow_the_arrays_not_the_thread(
    simulated_cuda: CudaDevice,
) -> None:
    """Arrays that a context made may be used in a thread that is in none."""
    x = simulated_cuda.asarray(np.ones((2, 4), np.float32))
    # Of a pool: what goes wrong in the thread is raised here, and not lost with it.
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(gpuops_kernels.softmax, x).result()
    assert np.array_equal(result.get(), np.full((2, 4), 0.25))


def test_arguments_of_a_simulated_launch_are_checked_as_those_of_a_gpu(
    simulated_cuda: CudaDevice,
) -> None:
    scale = cuda.Kernel(
        'extern "C" __global__ void scale(float* x, float s, int n) {\n'
        "    if (threadIdx.x < n) x[threadIdx.x] *= s;\n"
        "}",
        "scale",
    )
    x = simulated_cuda.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    scale(1, 32, (x, 2.0, 6))
    assert x.get().ravel().tolist() == [0, 2, 4, 6, 8, 10]
    for args, problem in [
        ((x, 2.0), "takes 3 arguments, got 2"),
        ((x.astype(np.float64), 2.0, 6), "must be .* of float32"),
        ((x.T, 2.0, 6), "C-contiguous"),
        ((x, np.float64(2.0), 6), "not a NumPy scalar of another type"),
        ((x, 2.0, 2**40), "an int from"),
        ((x, x, 6), "must be a float"),
    ]:
        with pytest.raises(gpuops.ArgumentError, match=problem):
            scale(1, 32, args)
    with pytest.raises(gpuops.ArgumentError, match="SimulatedArray"):
        scale(1, 32, (x.get(), 2.0, x))
