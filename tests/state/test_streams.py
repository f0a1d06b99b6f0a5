"""Streams and events: simulated, checked for order, and in graphs."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Graph, GraphError, cuda, trace
from gpuops.cuda import Event, OrderError, Stream, StreamError, current_stream, record_stream
from gpuops.cuda import streams as streams_module
from gpuops.cuda.streams import kept_arrays
from gpuops.pytest_plugin import CudaDevice
from gpuops.transforms.trace.writes import written_inputs

_ADD = cuda.Kernel(
    """
extern "C" __global__ void add_one(const float* x, float* out, int n) {
    if (threadIdx.x < n) out[threadIdx.x] = x[threadIdx.x] + 1;
}""",
    "add_one",
)

library = gpuops.Library("test_streams", "DEF")
library.define("inc(Array x) -> Array")
library.define("twice(Array x) -> Array[]")
library.define("into(Array x, Array(a!) out) -> ()")
library.define("fail(Array x) -> Array")
ops = gpuops.ops.test_streams


def _inc(x: Any) -> Any:
    out = x.__array_namespace__().empty(x.shape, dtype=x.dtype)
    _ADD(1, 32, (x, out, x.size))
    return out


def _fail(x: Any) -> Any:
    raise ZeroDivisionError("a kernel that fails")


library.impl("inc", _inc, "cuda")
library.impl("twice", lambda x: [_inc(x), _inc(x)], "cuda")
library.impl("into", lambda x, out: _ADD(1, 32, (x, out, x.size)), "cuda")
library.impl("fail", _fail, "cuda")
for _name in ("inc", "fail"):
    library.register_fake(f"test_streams::{_name}", lambda x: x.new_empty(x.shape))
library.register_fake("test_streams::twice", lambda x: [x.new_empty(x.shape) for _ in "ab"])


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the arrays that earlier tests left to streams: waiting here may end these, too."""
    monkeypatch.setattr(streams_module, "_kept", {})


def is_gone(found: weakref.ref[Any]) -> bool:
    """Whether an object is gone, after the cycles that a simulated launch leaves behind are.

    While another thread's collection runs, `gc.collect` returns at once and has done nothing.
    """
    deadline = time.monotonic() + 5
    while found() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.001)
    return found() is None


@pytest.fixture
def x(simulated_cuda: CudaDevice) -> Any:
    return simulated_cuda.asarray(np.zeros(4, np.float32))


def run_code(graph: Graph, *args: Any) -> Any:
    code = graph.code
    scope = dict(graph.objects)
    exec(code, scope)
    return scope["forward"](*args)


# -- regions ---------------------------------------------------------------------------------------


# AA1, AA2
def test_regions_nest_and_restore(simulated_cuda: CudaDevice) -> None:
    outer = current_stream()
    first, second = Stream(), Stream()
    with first as entered:
        assert entered is first is current_stream()
        with second:
            assert current_stream() is second
            with first:
                assert current_stream() is first
            assert current_stream() is second
        assert current_stream() is first
    assert current_stream() is outer
    with pytest.raises(ZeroDivisionError), first:
        raise ZeroDivisionError
    assert current_stream() is outer


def test_streams_are_left_in_reverse_order(simulated_cuda: CudaDevice) -> None:
    first, second = Stream(), Stream()
    with first:
        with pytest.raises(StreamError, match="in the reverse order"):
            second.__exit__(None, None, None)
    with pytest.raises(StreamError, match="in the reverse order"):
        first.__exit__(None, None, None)


def test_the_current_stream_is_each_threads_own(simulated_cuda: CudaDevice) -> None:
    streams = [Stream() for _ in range(16)]
    failures: list[int] = []
    together = threading.Barrier(16, timeout=30)

    def work(number: int) -> None:
        with streams[number]:
            together.wait()
            if current_stream() is not streams[number]:
                failures.append(number)
            together.wait()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# Z8
def test_streams_and_events_are_distinct_and_weakly_referable(simulated_cuda: CudaDevice) -> None:
    streams = [Stream() for _ in range(3)]
    assert len(set(map(id, streams))) == 3
    gpuops.external_objects.store_user_object_weakrefs(*streams, event := Event())
    assert gpuops.external_objects.get_external_object_by_index(2) is streams[2]
    assert gpuops.external_objects.get_external_object_by_index(3) is event
    found = weakref.ref(streams[0])
    del streams
    assert is_gone(found)
    gpuops.external_objects.reset_user_object_tracking()


def test_without_a_gpu_or_the_simulator_there_are_no_streams() -> None:
    from gpuops.cuda.available import why_unavailable

    if why_unavailable() is None:
        pytest.skip("there is a GPU here")
    for cls in (Stream, Event, current_stream):
        with pytest.raises(gpuops.DeviceError, match="simulator"):
            cls()


# -- order -----------------------------------------------------------------------------------------


def test_a_use_that_nothing_orders_is_an_error_naming_both_lines(x: Any) -> None:
    stream = Stream()
    y = ops.inc(x)
    with (
        stream,
        pytest.raises(OrderError, match="was written by kernel add_one on stream") as caught,
    ):
        ops.inc(y)
    text = str(caught.value)
    assert text.count(f"{__file__}:") == 2 and "Record an event on stream" in text


# AA4
@pytest.mark.parametrize("how", ["event", "stream", "host", "host event", "through a third"])
def test_what_orders_two_streams(x: Any, how: str) -> None:
    first, second, third, event = Stream(), Stream(), Stream(), Event()
    with first:
        y = ops.inc(x)
    if how == "event":
        first.record(event)
        second.wait(event)
    elif how == "stream":
        second.wait_stream(first)
    elif how == "host":
        first.synchronize()
    elif how == "host event":
        first.record(event)
        event.synchronize()
    else:
        third.wait_stream(first)
        second.wait_stream(third)
    with second:
        assert ops.inc(y).get().tolist() == [2] * 4


# AA4
@pytest.mark.parametrize(
    "mistake", ["wait first", "recorded too early", "other event", "reused event", "wrong way"]
)
def test_planted_mistakes_are_found(x: Any, mistake: str) -> None:
    first, second, event, other = Stream(), Stream(), Event(), Event()
    first.record(other)
    if mistake in ("recorded too early", "wait first"):
        first.record(event)
        second.wait(event)
    with first:
        y = ops.inc(x)
    if mistake == "wait first":
        first.record(event)  # after it was waited for
    elif mistake == "other event":
        first.record(event)
        second.wait(other)
    elif mistake == "reused event":
        first.record(event)
        second.record(event)  # the last record counts
        second.wait(event)
    elif mistake == "wrong way":
        first.wait_stream(second)
    with second, pytest.raises(OrderError):
        ops.inc(y)


def test_writing_over_what_another_stream_still_reads(x: Any) -> None:
    first, second = Stream(), Stream()
    y = ops.inc(x)
    first.wait_stream(current_stream())
    second.wait_stream(current_stream())
    with first:
        ops.inc(y)
    with second:
        ops.inc(y)  # two readers may
        with pytest.raises(OrderError, match="the array was read by"):
            ops.into(x, y)
        second.wait_stream(first)
        ops.into(x, y)


def test_only_memory_that_overlaps_matters(x: Any) -> None:
    stream = Stream()
    both = gpuops.asarray(np.zeros(8, np.float32), device="cuda")
    ops.into(x, both[:4])
    with stream:
        ops.into(x, both[4:])
        with pytest.raises(OrderError):
            ops.into(x, both[2:6])


def test_products_of_a_handle_are_ordered_too(x: Any) -> None:
    stream, handle = Stream(), cuda.CublasHandle()
    matrix = x.reshape(2, 2)
    y = ops.inc(matrix)
    out = gpuops.asarray(np.zeros((2, 2), np.float32), device="cuda")
    with stream:
        with pytest.raises(OrderError, match="kernel of cuBLAS on stream"):
            handle.product(matrix, y, out)
        handle.product(matrix, matrix, out)
    handle.close()


def test_pointers_into_arrays_are_uses(x: Any) -> None:
    stream = Stream()
    y = ops.inc(x)
    with stream, pytest.raises(OrderError):
        _ADD(1, 32, (cuda.pointer(y), x, 2))


def test_an_event_that_was_never_recorded(simulated_cuda: CudaDevice) -> None:
    event = Event()
    assert event.done
    event.synchronize()
    with pytest.raises(StreamError, match="never recorded"):
        Stream().wait(event)


def test_many_launches_are_not_remembered_for_ever(x: Any) -> None:
    from gpuops.cuda import ordering

    y = ops.inc(x)
    for _ in range(50):
        ops.inc(y)
        ops.into(x, y)
    history = ordering._history(y)
    assert len(history.reads) <= 1 and len(history.writes) == 1
    before = len(ordering._histories)
    del y, history
    gc.collect()
    assert len(ordering._histories) < before


# -- arrays that are still used --------------------------------------------------------------------


# AA8
def test_an_array_lives_until_the_stream_is_done(x: Any) -> None:
    stream = Stream()
    y = ops.inc(x)
    stream.wait_stream(current_stream())
    with stream:
        ops.inc(y)
    record_stream(y, stream)
    found = weakref.ref(y)
    del y
    gc.collect()
    assert found() is not None and kept_arrays() == 1
    stream.synchronize()
    assert is_gone(found) and kept_arrays() == 0
    record_stream(np.zeros(3), stream)
    assert kept_arrays() == 0


# -- in graphs -------------------------------------------------------------------------------------

GLOBAL: dict[str, Any] = {}


def _fork_and_join(x: Any, stream: Any, event: Any) -> Any:
    y = ops.inc(x)
    stream.wait_stream(current_stream())
    with stream:
        z = ops.inc(y)
        stream.record(event)
    current_stream().wait(event)
    return ops.inc(z)


def _targets(graph: Graph) -> list[str]:
    return [node.operator.name for node in graph.nodes]


FORKED = ["inc", "wait_stream", "enter", "inc", "record", "exit", "wait", "inc"]


# AA1, AA3
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_regions_events_and_waits_are_nodes_in_order(x: Any, mode: str) -> None:
    stream, event = Stream(), Event()
    GLOBAL["event"] = event
    graph = trace(lambda x: _fork_and_join(x, stream, GLOBAL["event"]), mode)(x)
    assert _targets(graph) == FORKED
    assert [e.source.text for e in graph.externals] == [
        "current_stream()",
        "L['stream']",
        "G['GLOBAL']['event']",
    ]
    for _ in range(3):
        assert graph(x).get().tolist() == [3] * 4
    # Index 0 is the caller's current stream (Z8).
    with Stream() as caller:
        caller.wait_stream(stream)
        assert graph(x).get().tolist() == [3] * 4
        assert current_stream() is caller
        gpuops.external_objects.store_user_object_weakrefs(caller, stream, event)
        assert run_code(graph, x).get().tolist() == [3] * 4
    gpuops.external_objects.reset_user_object_tracking()


# AA3
def test_nothing_of_it_is_dropped(x: Any) -> None:
    stream, event = Stream(), Event()

    def function(x):  # type: ignore[no-untyped-def]
        with stream:
            stream.record(event)
        event.synchronize()
        stream.synchronize()
        ops.inc(x)  # but this is
        return x

    expected = ["enter", "record", "exit", "synchronize_event", "synchronize"]
    assert _targets(trace(function, "fake")(x)) == expected


# AA4
def test_a_graph_that_was_reordered_is_caught(x: Any) -> None:
    stream, event = Stream(), Event()
    graph = trace(lambda x: _fork_and_join(x, stream, event), "fake")(x)
    graph(x)
    wait = next(node for node in graph.nodes if node.operator.name == "wait")
    # Fresh streams: the first replay has ordered the old ones.
    stream, event = Stream(), Event()
    graph.nodes.remove(wait)
    graph._function = None
    with pytest.raises(OrderError):
        graph(x)


def test_streams_can_be_arguments(x: Any) -> None:
    graph = trace(_fork_and_join, "fake")(x, Stream(), Event())
    assert _targets(graph) == FORKED
    for _ in range(2):
        assert graph(x, Stream(), Event()).get().tolist() == [3] * 4
    assert run_code(graph, x, Stream(), Event()) is not None if not graph.externals else True
    with pytest.raises(GraphError, match="input 'stream' must be a Stream, got None"):
        graph(x, None, Event())


# AA2
@pytest.mark.parametrize("mode", ["real", "fake"])
def test_streams_that_a_function_makes_are_made_anew(x: Any, mode: str) -> None:
    seen: list[Any] = []
    with gpuops.Library("test_streams_seen", "DEF") as lib:
        lib.define("see(Stream s) -> ()")
        lib.impl("see", seen.append)
        lib.register_fake("test_streams_seen::see", lambda s: None)

        def function(x):  # type: ignore[no-untyped-def]
            made, event = Stream(), Event()
            gpuops.ops.test_streams_seen.see(made)
            return _fork_and_join(x, made, event)

        graph = trace(function, mode)(x)
        seen.clear()
        assert _targets(graph) == ["made_stream", "made_event", "see", *FORKED]
        text = graph.print_readable(print_output=False)
        assert "stream = external_objects.construct_external_object(1)" in text
        for _ in range(2):
            assert graph(x).get().tolist() == [3] * 4
    assert len(seen) == 2 and seen[0] is not seen[1]
    with pytest.raises(GraphError, match="has no text|cannot be saved as text"):
        graph.to_text()


def test_the_stream_inside_a_region_is_the_regions(x: Any) -> None:
    stream = Stream()

    def function(x):  # type: ignore[no-untyped-def]
        with stream:
            current_stream().synchronize()
        return x

    for mode in ("real", "fake"):
        graph = trace(function, mode)(x)
        assert [str(node.args[0]) for node in graph.nodes] == ["stream"] * 3


# AA1
def test_calls_say_which_stream_they_are_on(x: Any) -> None:
    first, second = Stream(), Stream()

    def function(x):  # type: ignore[no-untyped-def]
        with first:
            a = ops.inc(x)
            with second:
                second.wait_stream(first)
                b = ops.inc(a)
            ops.into(x, x)
        return ops.inc(b)

    lines = trace(function, "fake")(x).print_readable(print_output=False).splitlines()
    on = [
        line.rpartition("; on ")[2] if "; on " in line else "" for line in lines if "inc(" in line
    ]
    assert on == ["first", "second", ""]
    assert [line.endswith("; on first") for line in lines if "into(" in line] == [True]


# AA5
@pytest.mark.parametrize("how", ["wait", "synchronize_event", "synchronize"])
@pytest.mark.parametrize("where", ["external", "argument", "made"])
def test_what_is_used_after_a_wait_is_used_after_it_in_the_graph(
    x: Any, how: str, where: str
) -> None:
    def function(x, stream, event=None):  # type: ignore[no-untyped-def]
        event = Event() if where == "made" else event
        stream.wait_stream(current_stream())
        with stream:
            y = ops.inc(x)
            stream.record(event)
        if how == "wait":
            current_stream().wait(event)
        elif how == "synchronize":
            stream.synchronize()
        else:
            event.synchronize()
        return ops.inc(y)

    def traced():  # type: ignore[no-untyped-def]
        stream, event = Stream(), Event()
        if where == "external":
            graph = trace(lambda x: function(x, stream, event), "fake")(x)
            return graph, (x,), (stream, event)
        graph = trace(lambda x, s, e: function(x, s, e), "fake")(x, Stream(), Event())
        return graph, (x, stream, event), ()

    graph, args, _kept = traced()
    names = _targets(graph)
    assert names[-2:] == [how, "inc"] and names.index("record") < names.index(how)
    assert graph(*args).get().tolist() == [2] * 4
    graph, args, _kept = traced()
    # The last wait is for what the graph did; without it nothing orders the two.
    graph.nodes.remove(next(node for node in graph.nodes if node.operator.name == how))
    graph._function = None
    with pytest.raises(OrderError):
        graph(*args)


# AA10
def test_a_copy_and_a_synchronize_give_the_host_the_data(x: Any) -> None:
    stream, event = Stream(), Event()

    def function(x):  # type: ignore[no-untyped-def]
        stream.wait_stream(current_stream())
        with stream:
            y = ops.inc(x)
            record_stream(x, stream)
            stream.record(event)
        event.synchronize()
        return y

    graph = trace(function, "fake")(x)
    for run in (function, graph):
        assert run(x).get().tolist() == [1] * 4
        assert event.done and kept_arrays() == 0


# AA6
def test_waiting_keeps_no_array_alive(x: Any) -> None:
    seen: list[weakref.ref[Any]] = []
    alive: list[bool] = []
    with gpuops.Library("test_streams_life", "DEF") as lib:
        lib.define("watch(Array x) -> ()")
        lib.define("look() -> ()")
        lib.impl("watch", lambda x: seen.append(weakref.ref(x)), "cuda")
        # A simulated launch leaves cycles behind.
        lib.impl("look", lambda: [gc.collect(), alive.append(seen[-1]() is not None)][1])
        lib.register_fake("test_streams_life::watch", lambda x: None)
        lib.register_fake("test_streams_life::look", lambda: None)
        own, stream = gpuops.ops.test_streams_life, Stream()

        def function(x):  # type: ignore[no-untyped-def]
            y = ops.inc(x)
            own.watch(y)
            z = ops.inc(y)
            own.look()
            stream.wait_stream(current_stream())
            own.look()
            return z

        graph = trace(function, "fake")(x)
        alive.clear()
        graph(x)
    assert alive == [False, False]


# AA7. Elsewhere an event that is recorded after a write to an input is an error, as the write is
# moved to the end of the graph there. Here it stays where it is, in order, also through views, and
# so the stronger thing holds: whoever waits for the event sees what was written. Only in a CUDA
# graph, whose inputs are buffers, would it be lost, and there it is an error.
@pytest.mark.parametrize("how", ["whole", "view", "view of a view", "reshaped"])
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_an_event_after_a_write_to_an_input_comes_after_it(x: Any, how: str, mode: str) -> None:
    stream, event = Stream(), Event()

    def function(x, out):  # type: ignore[no-untyped-def]
        with stream:
            ops.into(x, _part(out, how))
            stream.record(event)
        current_stream().wait(event)
        return ops.inc(out)

    def zeros():  # type: ignore[no-untyped-def]
        return gpuops.asarray(np.zeros(4 if how == "whole" else 8, np.float32), device="cuda")

    graph = trace(function, mode)(x, zeros())
    names = _targets(graph)
    assert names.index("into") < names.index("record") < names.index("wait") < names.index("inc")
    out = zeros()
    found = graph(x, out).get().tolist()
    assert found == [2] * 4 + [1] * (len(out) - 4)
    assert out.get().tolist()[:4] == [1] * 4, "it is the caller's array that is written to"
    # The tester: without the wait the checker finds that nothing orders the two.
    graph.nodes.remove(next(node for node in graph.nodes if node.operator.name == "wait"))
    graph._function = None
    with pytest.raises(OrderError, match="was written by kernel add_one"):
        graph(x, zeros())


def _part(out: Any, how: str) -> Any:
    return {
        "whole": lambda: out,
        "view": lambda: out[:4],
        "view of a view": lambda: out[:6][:4],
        "reshaped": lambda: out.reshape(2, 4)[0],
    }[how]()


# AA7
@pytest.mark.parametrize("how", ["whole", "view", "view of a view", "reshaped"])
@pytest.mark.parametrize("region", [True, False])
def test_in_a_cuda_graph_it_is_an_error_with_both_lines(x: Any, how: str, region: bool) -> None:
    stream, event = Stream(), Event()

    def function(x, out):  # type: ignore[no-untyped-def]
        if region:
            stream.__enter__()
        ops.into(x, _part(out, how))  # the write
        current_stream().record(event)  # the record
        if region:
            stream.__exit__()
        return x

    out = gpuops.asarray(np.zeros(4 if how == "whole" else 8, np.float32), device="cuda")
    graph = trace(function, "fake")(x, out)
    with pytest.raises(GraphError) as caught:
        graph.cuda_graph(x, out)
    text = str(caught.value)
    assert text.startswith("the event 'event' is recorded at ")
    assert "wrote to the input 'out' at" in text
    assert "# the write`" in text and "# the record`" in text and text.count(__file__) == 2


def _before(x: Any, out: Any, stream: Any, event: Any) -> None:
    stream.record(event)
    with stream:
        ops.into(x, out)


def _on_another(x: Any, out: Any, stream: Any, event: Any) -> None:
    with stream:
        ops.into(x, out)
    current_stream().record(event)


def _what_it_made(x: Any, out: Any, stream: Any, event: Any) -> None:
    with stream:
        ops.into(x, ops.inc(out))
        stream.record(event)


def _an_event_of_its_own(x: Any, out: Any, stream: Any, event: Any) -> None:
    with stream:
        ops.into(x, out)
        stream.record(made := Event())
    current_stream().wait(made)


# AA7
@pytest.mark.parametrize("body", [_before, _on_another, _what_it_made, _an_event_of_its_own])
def test_other_events_in_a_cuda_graph_are_fine(x: Any, body: Any) -> None:
    from gpuops.cuda.available import why_unavailable

    if why_unavailable() is None:
        pytest.skip("there is a GPU here, which simulated arrays are not on")
    stream, event = Stream(), Event()
    out = gpuops.asarray(np.zeros(4, np.float32), device="cuda")

    def function(x, out):  # type: ignore[no-untyped-def]
        body(x, out, stream, event)
        return x

    graph = trace(function, "fake")(x, out)
    with pytest.raises(gpuops.DeviceError, match="there is none"):
        graph.cuda_graph(x, out)
    assert written_inputs(graph) == ([] if body is _what_it_made else [1])


def test_an_error_in_a_region_leaves_it(x: Any) -> None:
    stream = Stream()

    def function(x):  # type: ignore[no-untyped-def]
        with stream:
            return ops.fail(x)

    before = current_stream()
    graph = trace(function, "fake")(x)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            graph(x)
        assert current_stream() is before
    given = trace(lambda x, s: [s.__enter__(), ops.fail(x), s.__exit__()][1], "fake")(x, Stream())
    with pytest.raises(ZeroDivisionError):
        given(x, Stream())
    assert current_stream() is before


def test_a_dead_stream_is_named(x: Any) -> None:
    stream, event = Stream(), Event()
    graph = trace(lambda x: _fork_and_join(x, stream, event), "fake")(x)  # noqa: F821
    del event
    with pytest.raises(
        gpuops.DeadObjectError, match=r"L\['event'\] \(a Event\), is no longer alive"
    ):
        graph(x)


# AA8
def test_a_graph_keeps_arrays_until_the_other_stream_is_done(x: Any) -> None:
    stream = Stream()

    def function(x):  # type: ignore[no-untyped-def]
        y = ops.inc(x)
        pair = ops.twice(x)
        stream.wait_stream(current_stream())
        with stream:
            z = ops.inc(y)
            w = ops.inc(pair[1])
        return z, w

    def single(x):  # type: ignore[no-untyped-def]
        with stream:
            return ops.inc(ops.inc(x))

    graph = trace(single, "fake")(x)
    stream.wait_stream(current_stream())
    graph(x)
    assert kept_arrays() == 0
    graph = trace(function, "fake")(x)
    graph(x)
    assert kept_arrays() == 3
    stream.synchronize()
    assert kept_arrays() == 0


# -- CUDA graphs -----------------------------------------------------------------------------------


def test_without_a_gpu_there_is_no_cuda_graph(x: Any) -> None:
    from gpuops.cuda.available import why_unavailable

    if why_unavailable() is None:
        pytest.skip("there is a GPU here")
    graph = trace(ops.inc, "fake")(x)
    with pytest.raises(gpuops.DeviceError, match="Graph.cuda_graph captures a GPU's launches"):
        graph.cuda_graph(x)


@pytest.mark.cuda
def test_a_cuda_graph_replays_what_the_graph_does() -> None:
    import cupy

    a, b = (cupy.arange(n, n + 4, dtype=cupy.float32) for n in (0, 10))
    graph = trace(lambda x: ops.inc(ops.inc(x)))(a)
    captured = graph.cuda_graph(a)
    for array in (a, b, a):
        assert cupy.array_equal(captured(array), array + 2)
    with pytest.raises(GraphError, match="argument 0 of the CUDA graph is"):
        captured(a.astype("float64"))
