"""The reverse pass on several streams: simulated, so that what is checked is the order."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import cuda, grad, jacrev, trace, value_and_grad, vjp, vmap, xp
from gpuops.cuda import OrderError, Stream, current_stream
from gpuops.cuda import streams as streams_module
from gpuops.cuda.streams import kept_arrays
from gpuops.pytest_plugin import CudaDevice
from gpuops.transforms.autograd import streaming

_BINARY = cuda.Kernel(
    """
template <bool IS_SUM> __global__ void binary(const float* x, const float* y, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = IS_SUM ? x[i] + y[i] : x[i] * y[i];
}""",
    "binary<true>",
)
_KERNELS = {"add": _BINARY, "mul": cuda.Kernel(_BINARY.source, "binary<false>")}

library = gpuops.Library("test_backward_streams", "DEF")
ops = gpuops.ops.test_backward_streams
seen: list[tuple[str, Stream]] = []
"""What was launched, and where."""


def _define(name: str) -> None:
    def run(x: Any, y: Any) -> Any:
        # As `current_stream`, also outside of the simulator.
        here = streams_module.entered_stream() or streams_module.default_stream(True)
        seen.append((name, here))
        x, y = cuda.contiguous(x), cuda.contiguous(y)
        out = x.__array_namespace__().empty(x.shape, dtype=x.dtype)
        _KERNELS[name](cuda.grid_size(x.size, 32), 32, (x, y, out, x.size))
        return out

    library.define(f"{name}(Array x, Array y) -> Array")
    library.impl(name, run, "cuda")
    library.register_fake(name, lambda x, y: x.new_empty(x.shape))
    library.register_vmap(name, lambda info, dims, *args: (_batched(name, info, dims, args), 0))


def _batched(name: str, info: Any, dims: Any, args: Any) -> Any:
    whole = [
        xp.broadcast_to(arg, (info.batch_size, *arg.shape)) if dim is None else arg
        for arg, dim in zip(args, dims, strict=True)
    ]
    return getattr(ops, name)(*whole)


_define("add")
_define("mul")
library.register_autograd("add", lambda ctx, g: (g, g))
library.register_autograd(
    "mul",
    lambda ctx, g: (ops.mul(g, ctx.saved_arrays[1]), ops.mul(g, ctx.saved_arrays[0])),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)
# What adds up gradients is a launch too, so that its order is checked.
add_gradients = ops.add


@pytest.fixture(autouse=True)
def sums(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(streaming, "xp", SimpleNamespace(add=lambda x, y: add_gradients(x, y)))
    seen.clear()
    yield
    seen.clear()


@pytest.fixture
def x(simulated_cuda: CudaDevice) -> Any:
    return simulated_cuda.asarray(np.arange(1, 5, dtype=np.float32))


def ones_like(x: Any) -> Any:
    return gpuops.asarray(np.ones(x.shape, np.float32), device="cuda")


def fork(x: Any, a: Stream, b: Stream) -> Any:
    """x^3 on one stream, x^4 on another, and their sum on the stream of the caller."""
    here = current_stream()
    y = ops.mul(x, x)
    a.wait_stream(here)
    b.wait_stream(here)
    with a:
        p = ops.mul(y, x)
    with b:
        q = ops.mul(y, y)
    here.wait_stream(a)
    here.wait_stream(b)
    return ops.add(p, q)


def derivative(x: Any) -> np.ndarray:
    values = x.get()
    return 3 * values**2 + 4 * values**3


# AA9
def test_backward_runs_on_the_forwards_streams(x: Any) -> None:
    a, b, here = Stream(), Stream(), current_stream()
    _, back = vjp(lambda x: fork(x, a, b), x)
    assert seen == [("mul", here), ("mul", a), ("mul", b), ("add", here)]
    seen.clear()
    (found,) = back(ones_like(x))
    np.testing.assert_array_equal(found.get(), derivative(x))
    # Two products each; sums are where the result is needed.
    assert [s for name, s in seen if name == "mul"] == [b, b, a, a, here, here]
    assert {s for name, s in seen if name == "add"} == {here}
    assert current_stream() is here


# AA9
@pytest.mark.parametrize("inside", ["another", "one of them", "none"])
def test_wherever_backward_is_called(x: Any, inside: str) -> None:
    a, b, other, here = Stream(), Stream(), Stream(), current_stream()
    _, back = vjp(lambda x: fork(x, a, b), x)
    g = ones_like(x)
    seen.clear()
    called_on = {"another": other, "one of them": b, "none": here}[inside]
    with called_on:
        # The gradient that is passed is of this stream.
        g = ops.mul(g, g)
        seen.clear()
        (found,) = back(g)
        assert current_stream() is called_on
        # And so is the result, without a synchronization by hand.
        ops.add(found, found)
    np.testing.assert_array_equal(found.get(), derivative(x))
    assert [s for name, s in seen if name == "mul"] == [b, b, a, a, here, here]


def test_a_program_on_one_stream_needs_no_events(x: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream()
    monkeypatch.setattr(streaming, "_Pass", None)

    def f(x: Any) -> Any:
        return ops.mul(x, ops.mul(x, x))

    before = kept_arrays()
    for region in (stream, None):
        if region is not None:
            region.wait_stream(current_stream())
            with region:
                (found,) = vjp(f, x)[1](ones_like(x))
        else:
            (found,) = vjp(f, x)[1](ones_like(x))
        np.testing.assert_array_equal(found.get(), 3 * x.get() ** 2)
    assert kept_arrays() == before


# AA9: only the default stream in the forward, another one in the reverse pass.
def test_the_default_stream_is_a_stream_too(x: Any) -> None:
    stream = Stream()
    _, back = vjp(lambda x: ops.mul(x, x), x)
    seen.clear()
    with stream:
        (found,) = back(ones_like(x))
        ops.add(found, found)
    assert [s for _, s in seen] == [current_stream(), current_stream(), stream, stream]


# AA9, the planted mistake
@pytest.mark.parametrize("planted", ["wait", "record too early"])
def test_without_the_events_the_checker_reports(
    x: Any, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    a, b = Stream(), Stream()
    _, back = vjp(lambda x: fork(x, a, b), x)
    back(ones_like(x), retain_graph=True)
    if planted == "wait":
        monkeypatch.setattr(streaming._Pass, "_await", lambda self, row, stream: row.waits.clear())
    else:
        names = ("enter", "exit", "made_event", "wait")
        right = {name: getattr(gpuops.ops.streams, name) for name in names}
        early = SimpleNamespace(record=lambda event, stream: setattr(event, "_clock", {}), **right)
        monkeypatch.setattr(streaming, "ops", SimpleNamespace(streams=early))
    with pytest.raises(OrderError, match="was written by kernel binary"):
        back(ones_like(x))
    assert current_stream() not in (a, b), "an error leaves the streams that were entered"


# AA9
@pytest.mark.parametrize("mode", ["real", "fake"])
def test_regions_and_events_of_the_reverse_pass_are_in_the_graph_in_order(
    x: Any, mode: str
) -> None:
    a, b = Stream(), Stream()

    def f(x: Any, g: Any) -> Any:
        return vjp(lambda x: fork(x, a, b), x)[1](g)[0]

    graph = trace(f, mode)(x, ones_like(x))
    names = [node.operator.name for node in graph.nodes]
    start = names.index("made_event")
    assert names[start:] == [
        "made_event", "record",  # the gradient is there
        "enter", "wait", "mul", "mul", "made_event", "record", "exit",  # on b
        "wait", "add",
        "enter", "wait", "mul", "mul", "made_event", "record", "exit",  # on a
        "wait", "add",
        "mul", "mul", "add", "add",
    ]  # fmt: skip
    text = graph.print_readable(print_output=False)
    backward = [line for line in text.splitlines() if ".mul(" in line][-6:]
    assert [line.rpartition("; on ")[2] if "; on " in line else "" for line in backward] == [
        "b", "b", "a", "a", "", "",
    ]  # fmt: skip
    for _ in range(2):
        np.testing.assert_array_equal(graph(x, ones_like(x)).get(), derivative(x))
    # Reordered, it is caught: without the last wait, the sum reads what stream a may not have made.
    graph.nodes.remove([node for node in graph.nodes if node.operator.name == "wait"][-1])
    graph._function = None
    with pytest.raises(OrderError):
        graph(x, ones_like(x))


def test_a_graph_of_a_gradient_is_for_the_callers_stream(x: Any) -> None:
    a, b = Stream(), Stream()
    graph = trace(lambda x, g: vjp(lambda x: fork(x, a, b), x)[1](g)[0], "fake")(x, ones_like(x))
    with Stream() as caller:
        caller.wait_stream(a)
        found = graph(x, ones_like(x))
        ops.add(found, found)
        np.testing.assert_array_equal(found.get(), derivative(x))
    # Backward in a region of its own, inside of a tracing.
    region = Stream()

    def f(x: Any, g: Any) -> Any:
        _, back = vjp(lambda x: ops.mul(x, x), x)
        with region:
            return back(g)[0]

    graph = trace(f, "fake")(x, ones_like(x))
    names = [node.operator.name for node in graph.nodes]
    assert names == [
        "enter", "made_event", "record", "enter", "wait", "mul", "mul", "made_event", "record",
        "exit", "wait", "add", "exit",
    ]  # fmt: skip
    np.testing.assert_array_equal(graph(x, ones_like(x)).get(), 2 * x.get())


def test_other_transformations(x: Any) -> None:
    a, b = Stream(), Stream()
    back = value_and_grad(lambda x: xp.sum(fork(x, a, b)))(x)[1]
    np.testing.assert_array_equal(back.get(), derivative(x))
    jacobian = jacrev(lambda x: fork(x, a, b))(x)
    np.testing.assert_array_equal(jacobian.get(), np.diag(derivative(x)))
    second = grad(lambda x: xp.sum(grad(lambda x: xp.sum(fork(x, a, b)))(x)))(x)
    np.testing.assert_allclose(second.get(), 6 * x.get() + 12 * x.get() ** 2)
    rows = gpuops.asarray(np.stack([x.get(), 2 * x.get()]), device="cuda")
    one = ones_like(x)

    def weighted(row: Any) -> Any:
        with a:
            a.wait_stream(streams_module.default_stream(True))
            y = ops.mul(row, one)
        current_stream().wait_stream(a)
        return xp.sum(y)

    np.testing.assert_array_equal(vmap(grad(weighted))(rows).get(), np.ones((2, 4)))


def test_what_is_used_on_another_stream_is_kept_until_it_is_done(x: Any) -> None:
    a, here = Stream(), current_stream()
    watched: list[weakref.ref[Any]] = []

    def f(x: Any) -> Any:
        y = ops.mul(x, x)
        watched.append(weakref.ref(y.value))
        a.wait_stream(here)
        with a:
            z = ops.mul(y, y)
        here.wait_stream(a)
        return z

    for stream in (a, here):
        stream.synchronize()
    before = kept_arrays()
    (found,) = vjp(f, x)[1](ones_like(x))
    gc.collect()  # a simulated launch leaves cycles behind
    # y was made here and is read on stream a, which nobody has waited for.
    assert watched[0]() is not None
    assert kept_arrays() > before
    np.testing.assert_array_equal(found.get(), 4 * x.get() ** 3)
    for stream in (a, here):
        stream.synchronize()
    gc.collect()
    assert watched[0]() is None and kept_arrays() == before


def test_gradients_that_pass_through_unchanged_stay_kept(x: Any) -> None:
    """`add` gives on what it gets: its gradient's memory is that of the stream before it."""
    a, here = Stream(), current_stream()
    events: list[tuple[Any, Stream]] = []
    plain = streams_module.keep_until_done

    def keep(arrays: Any, stream: Stream) -> None:
        events.extend((array, stream) for array in arrays)
        plain(arrays, stream)

    g = ones_like(x)
    a.wait_stream(here)
    _, back = vjp(lambda x: _chain(x, a), x)
    original, streams_module.keep_until_done = plain, keep
    try:
        back(g)
    finally:
        streams_module.keep_until_done = original
    # Each of the three calls on stream a used it there, after which it may go.
    assert [stream for array, stream in events if array is g][:3] == [a, a, a]


def _chain(x: Any, stream: Stream) -> Any:
    one = ones_like(x)
    with stream:
        y = ops.add(ops.add(ops.add(x, one), one), one)
    current_stream().wait_stream(stream)
    return y


def test_threads_and_regions_of_their_own(x: Any) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with cuda.simulator():
                a, b = Stream(), Stream()
                for _ in range(3):
                    (found,) = vjp(lambda x: fork(x, a, b), x)[1](ones_like(x))
                    np.testing.assert_array_equal(found.get(), derivative(x))
                    for stream in (a, b, current_stream()):
                        stream.synchronize()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_outside_of_the_simulator_it_is_the_arrays_that_are_simulated() -> None:
    with cuda.simulator():
        x = gpuops.asarray(np.arange(1, 5, dtype=np.float32), device="cuda")
        g = ones_like(x)
        a, b = Stream(), Stream()
        _, back = vjp(lambda x: fork(x, a, b), x)
    np.testing.assert_array_equal(back(g)[0].get(), derivative(x))


def test_nothing_is_noted_of_arrays_of_the_host() -> None:
    def f(x: Any) -> Any:
        y = x * x
        assert not y.transform.streams and not hasattr(y.node, "stream")
        return xp.sum(y)

    with cuda.simulator(), Stream():
        grad(f)(np.ones(3))
        grad(lambda x: xp.sum(grad(f)(x)))(np.ones(3))


# -- CuPy's own streams, with a stand-in -----------------------------------------------------------


def test_a_stream_of_cupys_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    null = SimpleNamespace(ptr=0, device_id=-1)
    now = [null]
    stand_in = SimpleNamespace(
        cuda=SimpleNamespace(
            get_current_stream=lambda: now[0],
            runtime=SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=RuntimeError),
        )
    )
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    in_use = streams_module.stream_in_use
    assert in_use(native=True) is None
    now[0] = SimpleNamespace(ptr=64, device_id=0)
    found = in_use(native=True)
    assert found is not None and found._native is now[0]
    # The same stream may come in another object.
    now[0] = SimpleNamespace(ptr=64, device_id=0)
    assert in_use(native=True) is found is current_stream()
    now[0] = SimpleNamespace(ptr=65, device_id=0)
    assert in_use(native=True) is not found
    gone = weakref.ref(found)
    del found
    assert gone() is None
