"""Draft tracing on device "cuda", in the simulator anywhere and on a GPU where there is one."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

import gpuops
import gpuops_kernels
from gpuops import trace
from gpuops.profiles import FailureKind, unsafe_generate_fake_kernels
from gpuops.profiles.snapshot import Snapshot

DEVICES = [
    pytest.param("simulated_cuda", id="simulated"),
    pytest.param("cuda_device", id="gpu", marks=pytest.mark.cuda),
]


@pytest.fixture
def device(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_state_and_arrays_of_the_device_are_as_before(device):  # X17
    x = gpuops.asarray(np.ones((2, 8), np.float32), device=device.device)
    weight = gpuops.asarray(np.ones(8, np.float32), device=device.device)
    state = gpuops.random.RNGState(3, device=device.device)

    def fn(x, weight):
        # A factory's fake is on "cuda", and its kernel's result on one of the GPUs.
        return gpuops_kernels.rms_norm(x, weight) * gpuops_kernels.uniform(
            [8], state, device="cuda"
        )

    graph, report = trace(fn, "draft")(x, weight)
    assert {failure.kind for failure in report.failures} == {FailureKind.GUARD_ADDED}
    assert state == gpuops.random.RNGState(3) and report.unrestored == []
    first, again = device.get(graph(x, weight)), gpuops.random.RNGState(3, device=device.device)
    assert state.offset.get()[0] if hasattr(state.offset, "get") else state.offset[0]
    state = again
    np.testing.assert_array_equal(first, device.get(fn(x, weight)))


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_a_missing_fake_is_profiled_on_the_device_type(device):  # X10, X12
    with gpuops.Library("draft_cuda", "DEF") as library:
        library.define("f(Array x) -> Array")
        library.impl("f", lambda x: gpuops_kernels.softmax(x, -1), "cuda")
        x = gpuops.asarray(np.ones((2, 8), np.float32), device=device.device)

        def fn(x):
            return gpuops.ops.draft_cuda.f(x)

        _, report = trace(fn, "draft")(x)
        (profile,) = report.op_profiles["draft_cuda::f"]
        assert profile.args_profile[0].device == profile.out_profile.device == "cuda"
        with unsafe_generate_fake_kernels(report.op_profiles):
            graph = trace(fn, "symbolic")(x)
        np.testing.assert_allclose(device.get(graph(x)), np.full((2, 8), 1 / 8), rtol=1e-6)
        with pytest.raises(gpuops.GraphError, match="Array device mismatch!"):
            graph(np.ones((2, 8), np.float32))


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_arrays_of_the_device_in_objects_are_kept(device):  # X17
    held = gpuops.make_opaque({"x": gpuops.asarray(np.ones(3, np.float32), device=device.device)})
    before = Snapshot()
    before.add(held)
    gpuops.get_payload(held)["x"][...] = 5
    assert before.restore() == []
    np.testing.assert_array_equal(device.get(gpuops.get_payload(held)["x"]), np.ones(3))


def test_a_draft_takes_at_most_four_times_the_memory_of_its_input():  # X17
    with gpuops.Library("draft_memory", "DEF") as library:
        library.define("f(Array x) -> Array")
        library.impl("f", lambda x: x + 1, "cpu")

        def fn(x):
            for _ in range(5):
                x = gpuops.ops.draft_memory.f(x)
            return x

        x = np.ones(1 << 20)
        trace(fn, "draft")(np.ones(2))  # what is imported and cached does not count
        gc.collect()
        tracemalloc.start()
        try:
            trace(fn, "draft")(x)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 2 * x.nbytes < peak <= 3.2 * x.nbytes  # beside the input itself
