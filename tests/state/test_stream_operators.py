"""The operators of streams: on objects, on indices of the table, in graphs, and checked."""

from __future__ import annotations

import copy
import itertools
import pickle
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import GraphError, cuda, external_objects, trace
from gpuops.cuda import Event, OrderError, Stream, current_stream, record_stream
from gpuops.cuda import streams as streams_module
from gpuops.cuda.streams import entered_stream, kept_arrays
from gpuops.effects import EffectType, effect_of
from gpuops.pytest_plugin import CudaDevice

_COPY = cuda.Kernel(
    'extern "C" __global__ void copy(const float* x, float* out, int n) {'
    " if (threadIdx.x < n) out[threadIdx.x] = x[threadIdx.x]; }",
    "copy",
)
streams = gpuops.ops.streams

BY_INDEX = {
    "fork": (0, 1),
    "join": (0, 1),
    "record_event": (2, 0),
    "wait_event": (2, 1),
    "synchronize_stream": (0,),
    "synchronize_event": None,
    "record_stream": ("x", 1),
    "sync_dealloc": (2, 1, "x"),
}


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_module, "_kept", {})


@pytest.fixture
def x(simulated_cuda: CudaDevice) -> Any:
    return simulated_cuda.asarray(np.arange(4, dtype=np.float32))


@pytest.fixture
def table(x: Any) -> Iterator[tuple[Stream, Stream, Event]]:
    """Two streams and a recorded event, with the indices 0 to 2."""
    found = Stream(), Stream(), Event()
    found[0].record(found[2])
    external_objects.store_user_object_weakrefs(*found)
    yield found
    external_objects.reset_user_object_tracking()


def copied(x: Any) -> Any:
    out = x.__array_namespace__().empty(x.shape, dtype=x.dtype)
    _COPY(1, 32, (x, out, x.size))
    return out


# AA3
@pytest.mark.parametrize("name", [name for name, args in BY_INDEX.items() if args is not None])
@pytest.mark.parametrize("swapped", [False, True])
def test_opcheck_on_indices(x: Any, table: Any, name: str, swapped: bool) -> None:
    args = tuple(x if arg == "x" else arg for arg in BY_INDEX[name] or ())
    if swapped:
        other = {0: 1, 1: 0}
        args = tuple(other.get(arg, arg) if isinstance(arg, int) else arg for arg in args)
    found = gpuops.opcheck(getattr(streams, name), args)
    assert set(found.values()) == {"SUCCESS"} and len(found) >= 9
    assert entered_stream() is None, "what the operator entered is left"
    assert external_objects.get_external_object_by_index(1) is table[1]


# AA3
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("enter", "s"),
        ("record", "es"),
        ("wait", "es"),
        ("wait_stream", "st"),
        ("synchronize", "s"),
        ("synchronize_event", "e"),
        ("keep", "xs"),
    ],
)
def test_opcheck_on_objects(x: Any, table: Any, name: str, args: str) -> None:
    given = {"s": table[0], "t": table[1], "e": table[2], "x": x}
    found = gpuops.opcheck(getattr(streams, name), tuple(given[key] for key in args))
    assert set(found.values()) == {"SUCCESS"}
    assert entered_stream() is None


# AA3
def test_all_of_them_have_an_effect_and_a_fake(x: Any) -> None:
    operators = gpuops.operators("streams")
    assert len(operators) == 17
    for operator in operators:
        assert effect_of(operator) is EffectType.ORDERED, operator
    fake, stream, event = gpuops.FakeArray((3,), "float32", "cuda"), Stream(), Event()
    with gpuops.FakeMode():
        streams.record_stream(fake, 7)
        streams.sync_dealloc(5, 6, fake)
        streams.keep(fake, stream)
        streams.record(event, stream)
        streams.fork(3, 4)
    assert kept_arrays() == 0 and entered_stream() is None


def test_fork_and_join(x: Any, table: Any) -> None:
    _, second, event = table
    outer = current_stream()
    external_objects.store_user_object_weakrefs(outer, second, event)
    y = copied(x)
    streams.record_event(2, 0)
    streams.wait_event(2, 1)
    streams.fork(0, 1)
    assert current_stream() is second
    z = copied(y)
    streams.record_event(2, 1)
    streams.join(1, 0)
    assert current_stream() is outer and entered_stream() is None
    with pytest.raises(OrderError):
        copied(z)
    streams.wait_event(2, 0)
    assert copied(z).get().tolist() == [0, 1, 2, 3]
    streams.synchronize_stream(1)


def test_arrays_are_kept_by_index(x: Any, table: Any) -> None:
    streams.record_stream(x, 1)
    assert kept_arrays() == 1
    streams.synchronize_stream(1)
    assert kept_arrays() == 0
    streams.record_stream(np.ones(2), 1)  # of the host: nothing to keep
    assert kept_arrays() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: streams.fork(0, 9), "external object 9 is not registered. .* 3 objects"),
        (lambda x: streams.join(-1, 0), "external object -1 is negative and not registered"),
        (lambda x: streams.fork(0, 2), "external object 2 must be a Stream, got"),
        (lambda x: streams.wait_event(0, 1), "external object 0 must be a Event, got"),
        (lambda x: streams.record_event(2, 2), "external object 2 must be a Stream, got"),
        (lambda x: streams.record_stream(x, 2), "external object 2 must be a Stream, got"),
    ],
)
def test_wrong_indices_are_named(x: Any, table: Any, call: Any, message: str) -> None:
    with pytest.raises(gpuops.ExternalObjectError, match=message):
        call(x)
    assert entered_stream() is None


def test_a_dead_stream_is_named_by_its_source(x: Any) -> None:
    stream = Stream()
    index = external_objects.register_user_object(stream, "L['stream']")
    del stream
    with pytest.raises(gpuops.DeadObjectError, match=r"L\['stream'\]"):
        streams.synchronize_stream(index)
    external_objects.reset_user_object_tracking()


# -- in graphs -------------------------------------------------------------------------------------


def test_indices_in_a_graph_are_those_of_the_caller(x: Any, table: Any) -> None:
    def function(x: Any) -> Any:
        streams.fork(0, 1)
        streams.record_event(2, 1)
        streams.join(1, 0)
        streams.record_stream(x, 1)
        return x

    graph = trace(function, "fake")(x)
    assert [node.operator.name for node in graph.nodes] == [
        "fork",
        "record_event",
        "join",
        "record_stream",
    ]
    with streams_module.restoring_streams():
        graph(x)
    assert kept_arrays() == 1


def test_indices_beside_objects_that_the_graph_found_are_refused(x: Any, table: Any) -> None:
    stream = Stream()

    def function(x: Any) -> Any:
        with stream:
            streams.record_event(2, 1)
        return x

    with pytest.raises(
        GraphError,
        match=r"streams::record_event, called at .*, takes indices of the table .* \(stream\)",
    ):
        trace(function, "fake")(x)


def test_record_stream_is_a_call_of_the_graph(x: Any) -> None:
    stream = Stream()

    def function(x: Any) -> Any:
        y = x * 2
        record_stream(y, stream)
        return y + 1

    graph = trace(function, "fake")(x)
    assert [node.operator.name for node in graph.nodes] == ["multiply", "keep", "add"]
    assert graph(x).get().tolist() == [1, 3, 5, 7]
    assert kept_arrays() == 1
    stream.synchronize()
    assert kept_arrays() == 0


def test_record_stream_of_a_batch_and_in_a_gradient(x: Any) -> None:
    stream = Stream()
    rows = gpuops.asarray(np.ones((3, 4), np.float32), device="cuda")

    def function(row: Any) -> Any:
        y = row * row
        record_stream(y, stream)
        streams.keep(row, stream)
        return gpuops.xp.sum(y)

    found = gpuops.vmap(gpuops.grad(function))(rows)
    assert found.get().tolist() == [[2] * 4] * 3
    assert kept_arrays() == 2


def test_record_stream_takes_arrays_and_streams(x: Any) -> None:
    with pytest.raises(gpuops.ArgumentError, match="argument 'x' .* must be an array"):
        record_stream(3, Stream())
    with pytest.raises(gpuops.ArgumentError, match="argument 'stream' .* must be a Stream"):
        record_stream(x, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", [Stream, Event])
def test_streams_and_events_are_not_copied(simulated_cuda: CudaDevice, cls: Any) -> None:
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=f"a {cls.__name__} is a part of a device"):
            way(cls())


# -- on a GPU, with a stand-in for CuPy ------------------------------------------------------------


class Native:
    """Stands for CuPy's streams; `now` is its current one."""

    now: Native

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr
        self.device_id = 0 if ptr else -1
        self.before: list[Native] = []

    def __enter__(self) -> None:
        self.before.append(Native.now)
        Native.now = self

    def __exit__(self, *exc_info: object) -> None:
        Native.now = self.before.pop()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    Native.now = Native(0)
    cuda_module = SimpleNamespace(
        Stream=type("Stream", (Native,), {"null": Native.now, "__init__": _numbered}),
        get_current_stream=lambda: Native.now,
        runtime=SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=RuntimeError),
    )
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda_module))
    monkeypatch.setattr(streams_module, "why_unavailable", lambda: None)
    monkeypatch.setattr(streams_module, "_defaults", {})


_pointers = itertools.count(64, 64)


def _numbered(self: Native, non_blocking: bool) -> None:
    Native.__init__(self, next(_pointers))


def test_fakes_do_not_change_the_gpus_current_stream(gpu: Any) -> None:
    stream = Stream()
    seen: list[Any] = []

    def function(x: Any) -> Any:
        with stream:
            seen.append((current_stream(), Native.now.ptr, streams_module.outer_stream()))
        seen.append((current_stream(), Native.now.ptr, streams_module.outer_stream()))
        return x

    default = current_stream()
    graph = trace(function, "fake")(np.ones(2))
    assert seen == [(stream, 0, stream), (default, 0, None)]
    seen.clear()
    trace(function, "real")(np.ones(2))
    assert seen[0] == (stream, stream._native.ptr, stream) and Native.now.ptr == 0
    graph(np.ones(2))
    assert Native.now.ptr == 0


def test_the_stream_around_a_tracing_may_be_cupys(gpu: Any) -> None:
    foreign = Native(32)
    with foreign:  # type: ignore[attr-defined]
        graph = trace(lambda x: [current_stream().synchronize(), x][1], "fake")(np.ones(2))
    assert [external.source.text for external in graph.externals] == ["current_stream()"]
    assert graph.externals[0].find() is current_stream()


@pytest.mark.parametrize("mode", ["real", "fake"])
def test_tracing_leaves_what_the_function_entered(gpu: Any, mode: str) -> None:
    stream = Stream()
    graph = trace(lambda x: [stream.__enter__(), x][1], mode)(np.ones(2))
    assert entered_stream() is None and Native.now.ptr == 0
    graph(np.ones(2))
    assert entered_stream() is None and Native.now.ptr == 0

    def fails(x: Any) -> Any:
        stream.__enter__()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trace(fails, mode)(np.ones(2))
    assert entered_stream() is None and Native.now.ptr == 0
