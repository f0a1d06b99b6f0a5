"""Draft tracing leaves behind what it found, and runs the function once."""

from __future__ import annotations

import numpy as np
import pytest

import gpuops
import gpuops_kernels
from gpuops import trace
from gpuops.profiles import FailureKind

BUFFER = np.arange(4.0)
QUEUE = gpuops.make_opaque([])


class Counter(gpuops.OpaqueBase):
    total = 0

    def __init__(self):
        self.seen = {"calls": [0]}
        self.data = np.zeros(2)
        self.numbers = iter(range(9))


class Model:
    def __init__(self):
        self.state = gpuops.random.RNGState(5)
        self.hidden = {"buffer": np.arange(4.0)}


@pytest.fixture(scope="module")
def operators():
    if not gpuops.is_opaque_type(Counter):
        gpuops.register_opaque_type(Counter, "test_draft_state.Counter", typ="reference")
    with gpuops.Library("draft_state", "FRAGMENT") as library:

        def define(schema, kernel, fake=None):
            name = schema.partition("(")[0]
            library.define(schema)
            library.impl(name, kernel, "cpu")
            if fake is not None:
                library.register_fake(name, fake)

        define("fill_(Array(a!) x, float v=9.0) -> ()", lambda x, v: x.fill(v))
        define("push(OpaqueObject q, Array x) -> ()", _push, lambda q, x: None)
        define("count(test_draft_state.Counter c, Array x) -> Array", _count, lambda c, x: x + 1)
        define("fail(Array x) -> Array", _fail, lambda x: x.new_empty(x.shape))
        define("view(Array(a) x) -> Array(a)", lambda x: x[1:], lambda x: x[1:])
        yield gpuops.ops.draft_state


def _push(queue, x):
    gpuops.get_payload(queue).append(float(x.sum()))


def _count(counter, x):
    counter.seen["calls"][0] += 1
    counter.total += 1
    counter.data += x[:2]
    next(counter.numbers)
    return x + 1


def _fail(x):
    x[...] = 0  # not even declared
    raise ZeroDivisionError("planted")


def test_the_function_runs_once(operators):
    calls = []

    def fn(x):
        calls.append(len(calls))
        operators.push(QUEUE, x)
        return x + x.shape[0]

    graph, report = trace(fn, "draft")(np.ones(3))
    assert calls == [0] and report.ok
    assert gpuops.get_payload(QUEUE) == []
    np.testing.assert_array_equal(graph(np.ones(5)), np.full(5, 6.0))
    assert gpuops.get_payload(QUEUE) == [5.0]
    gpuops.get_payload(QUEUE).clear()


def test_state_of_globals_closures_and_attributes_is_as_before(operators):  # X17
    model, counter, closed = Model(), Counter(), np.arange(3.0)
    parts = counter.seen, counter.seen["calls"], counter.data

    def fn(x):
        operators.fill_(BUFFER)
        operators.fill_(BUFFER[1:], 3.0)
        operators.fill_(operators.view(closed))
        operators.fill_(model.hidden["buffer"])
        operators.push(QUEUE, x)
        y = operators.count(counter, x)
        return y + gpuops_kernels.uniform([4], model.state)

    x = np.arange(4.0)
    graph, report = trace(fn, "draft")(x)
    np.testing.assert_array_equal(BUFFER, np.arange(4.0))
    np.testing.assert_array_equal(closed, np.arange(3.0))
    np.testing.assert_array_equal(model.hidden["buffer"], np.arange(4.0))
    assert gpuops.get_payload(QUEUE) == [] and model.state == gpuops.random.RNGState(5)
    assert (counter.seen, counter.total) == ({"calls": [0]}, 0) and "total" not in vars(counter)
    assert all(one is two for one, two in zip(
        (counter.seen, counter.seen["calls"], counter.data), parts, strict=True))  # fmt: skip
    (lost,) = report.unrestored
    assert "range_iterator" in lost and "Counter" in lost and "not as it was before" in str(report)
    # The graph then does what the function does.
    expected = x + 1 + gpuops_kernels.uniform([4], gpuops.random.RNGState(5))
    np.testing.assert_array_equal(graph(x), expected)
    assert counter.total == 1 and model.state.offset[0] == 1
    BUFFER[:] = np.arange(4.0)
    gpuops.get_payload(QUEUE).clear()


class SideEffects:
    """Changes its arrays without an operator, and goes by what is in them."""

    def __init__(self):
        self.a = np.array(2)
        self.table = {"rows": [np.zeros((2, 2))]}
        self.state = gpuops.random.RNGState(7)
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        x = x * (2 if self.a.item() == 2 else 3)
        self.a += 1
        self.table["rows"][0][1] = 5
        self.table["rows"][0][0, :] = x
        self.state.reserve(3)
        BUFFER[0] = 7
        return x * (4 if self.a.item() == 3 else 5)


def test_what_is_changed_without_an_operator_is_as_before(monkeypatch):  # X17
    module = SideEffects()
    graph, report = trace(module, "draft")(np.ones(2))
    assert module.a == 2 and module.a.shape == () and module.calls == 1
    np.testing.assert_array_equal(module.table["rows"][0], np.zeros((2, 2)))
    assert module.state == gpuops.random.RNGState(7) and report.unrestored == []
    np.testing.assert_array_equal(BUFFER, np.arange(4.0))
    np.testing.assert_array_equal(graph(np.ones(2)), np.full(2, 8.0))
    # What is too large to be copied is named.
    monkeypatch.setattr("gpuops.profiles.draft._KEPT", 8)
    _, report = trace(module, "draft")(np.ones(2))
    assert report.unrestored
    assert all("was too large to be kept" in lost for lost in report.unrestored)
    BUFFER[:] = np.arange(4.0)


def test_a_large_array_that_an_operator_writes_to_is_put_back(operators, monkeypatch):  # X17
    monkeypatch.setattr("gpuops.profiles.draft._KEPT", 0)

    def fn(x):
        operators.fill_(BUFFER)
        return x

    _, report = trace(fn, "draft")(np.ones(2))
    assert report.unrestored == []
    np.testing.assert_array_equal(BUFFER, np.arange(4.0))


def test_any_error_that_symbols_cause_leads_to_a_run_with_ints():
    class NoInt(Exception):
        pass

    def fn(x):
        if not isinstance(x.shape[0], int):
            raise NoInt("planted")
        return x * 2

    graph, report = trace(fn, "draft")(np.ones(3))
    (failure,) = report.failures
    assert failure.reason == "NoInt on symbols for sizes: planted"
    np.testing.assert_array_equal(graph(np.ones(3)), np.full(3, 2.0))


@pytest.mark.parametrize("nested", [False, True])
def test_opaque_arguments_are_as_before(operators, nested):  # X17
    state, queue = gpuops.random.RNGState(3), gpuops.make_opaque([1])
    offset = state.offset

    def fn(x, held):
        held, queue = held
        operators.push(queue, x)
        return gpuops_kernels.uniform([3], held) + x

    graph, _ = trace(fn, "draft")(np.ones(3), (state, queue) if not nested else [state, queue])
    assert state.offset is offset and offset[0] == 0 and gpuops.get_payload(queue) == [1]
    assert len(graph.object_inputs) == 2


def test_after_an_error_everything_is_as_before_and_the_error_is_the_kernels(operators):  # X17
    calls = []

    def fn(x):
        calls.append(1)
        operators.push(QUEUE, x)
        operators.fill_(BUFFER)
        return operators.fail(x)

    x = np.arange(3.0)
    with pytest.raises(ZeroDivisionError, match="planted"):
        trace(fn, "draft")(x)
    assert calls == [1] and gpuops.get_payload(QUEUE) == []
    np.testing.assert_array_equal(x, np.arange(3.0))
    np.testing.assert_array_equal(BUFFER, np.arange(4.0))


def test_arrays_made_in_the_run_are_the_functions_own(operators):
    kept = []

    def fn(x):
        own = np.zeros(2)
        operators.fill_(own)
        kept.append(own)
        y = x + 1
        operators.fill_(y)
        return y

    graph, _ = trace(fn, "draft")(np.ones(3))
    # One that NumPy made is a constant of the graph, which fills it again.
    np.testing.assert_array_equal(kept[0], np.zeros(2))
    np.testing.assert_array_equal(graph(np.ones(3)), np.full(3, 9.0))


def test_a_function_that_cannot_use_symbols_runs_again_with_ints(operators):
    calls = []

    def fn(x):
        calls.append(1)
        operators.push(QUEUE, x)
        return x * {(3,): 2.0}[x.shape]

    graph, report = trace(fn, "draft")(np.ones(3))
    (failure,) = report.failures
    assert failure.kind is FailureKind.DATA_DEPENDENT_ERROR and "SymInt" in failure.reason
    assert failure.location.line == fn.__code__.co_firstlineno + 3
    assert len(calls) == 2 and gpuops.get_payload(QUEUE) == []
    np.testing.assert_array_equal(graph(np.ones(3)), np.full(3, 2.0))
    gpuops.get_payload(QUEUE).clear()
    with pytest.raises(gpuops.GraphError, match="shape mismatch"):
        graph(np.ones(4))


def test_fakes_are_refused():
    with pytest.raises(gpuops.ArgumentError, match="a draft runs on real arrays, got FakeArray"):
        trace(lambda x: x, "draft")(gpuops.FakeArray((3,)))


def test_recording_tells_of_a_draft_what_the_kernels_did(operators):
    from gpuops.profiles import record_op_profiles

    with gpuops.Library("draft_state", "FRAGMENT") as library:
        library.define("wrong(Array x) -> Array")
        library.impl("wrong", lambda x: x + 1, "cpu")
        library.register_fake("wrong", lambda x: x.new_empty((1, 1), "int8"))
        with record_op_profiles() as recorded:
            trace(lambda x: gpuops.ops.draft_state.wrong(x), "draft")(np.ones(3))
    (profile,) = recorded["draft_state::wrong"]
    assert (profile.out_profile.rank, profile.out_profile.dtype) == (1, "float64")


def test_real_arrays_are_dropped_when_the_function_drops_them():  # X17
    import weakref

    alive = []

    def fn(x):
        y = x + 1
        alive.append(weakref.ref(y))
        return y + 1

    trace(fn, "draft")(np.ones(3))
    assert alive[0]() is None
