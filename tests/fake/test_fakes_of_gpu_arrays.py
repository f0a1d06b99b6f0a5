"""Fakes and graphs of arrays on GPUs, with a stand-in for CuPy."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpuops import Array, Device, DeviceError, FakeArray, FakeMode, GraphError, custom_op, trace
from tests import standin_cupy
from tests.standin_cupy import StandIn


@pytest.fixture
def cupy() -> Iterator[StandIn]:
    with standin_cupy.loaded(devices=2) as module:
        # All that CuPy's flags have: its arrays are always writeable and aligned.
        module.ndarray.flags = property(lambda self: SimpleNamespace(owndata=self.base is None))
        yield module


def test_from_array_keeps_the_device(cupy: StandIn) -> None:
    array = cupy.ones(2, 3, device=1)
    fake = FakeMode().from_array(array)
    assert fake.device is Device("cuda:1") and fake.shape == (2, 3) and fake.strides == (24, 8)
    assert fake.flags.owndata and fake.flags.writeable and fake.flags.aligned
    assert not FakeMode().from_array(array[1:]).flags.owndata


def test_fakes_stay_on_their_device(cupy: StandIn, ns: str) -> None:
    @custom_op(f"{ns}::f", mutates_args=())
    def f(x: Array, y: Array) -> Array:
        return x + y

    f.register_fake(lambda x, y: x.new_empty(x.shape))
    mode = FakeMode()
    one, other = (mode.from_array(cupy.ones(3, device=index)) for index in (1, 0))
    assert f(one, one).device == "cuda:1"
    with pytest.raises(DeviceError, match="'x' is on cuda:1 and 'y' is on cuda:0"):
        f(one, other)


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_graphs_of_gpu_arrays(cupy: StandIn, ns: str, mode: str) -> None:  # X12
    @custom_op(f"{ns}::double", mutates_args=(), device_types="cuda")
    def double(x: Array) -> Array:
        return x + x

    double.register_fake(lambda x: x.new_empty(x.shape))
    graph = trace(lambda x: double(double(x)), mode)(cupy.ones(3, device=1))
    assert str(graph.nodes[0].meta).endswith("on cuda:1")
    assert graph(cupy.ones(3, device=0)).host.tolist() == [4, 4, 4]
    assert type(graph(FakeArray((3,), device="cuda:5"))) is FakeArray
    with pytest.raises(GraphError, match="Array device mismatch! .* on cuda:1, got float64"):
        graph(np.ones(3))


def test_constants_on_a_gpu_have_no_text(cupy: StandIn, ns: str) -> None:
    @custom_op(f"{ns}::add", mutates_args=(), device_types="cuda")
    def add(x: Array, y: Array) -> Array:
        return x + y

    weight = cupy.ones(3)
    graph = trace(lambda x: add(x, weight))(cupy.ones(3))
    scope: dict[str, Any] = {}
    code = graph.code
    assert "# constant: float64[3] on cuda:0, from the graph's `objects`" in code
    scope.update(graph.objects)
    exec(code, scope)
    assert scope["forward"](cupy.ones(3)).host.tolist() == [2, 2, 2]
    with pytest.raises(GraphError, match="the constant 'constant' cannot be saved as text"):
        graph.to_text()
