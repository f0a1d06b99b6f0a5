"""Any program of operators: a draft's graph does what the function does, and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuops
from gpuops import get_ctx, trace
from gpuops.profiles import FailureKind, unsafe_generate_fake_kernels


@pytest.fixture(scope="module")
def ops():
    with gpuops.Library("programs", "DEF") as library:

        def define(schema, kernel, fake=None):
            name = schema.partition("(")[0]
            library.define(schema)
            library.impl(name, kernel, "cpu")
            if fake is not None:
                library.register_fake(name, fake)

        define("missing(Array x) -> Array", lambda x: x * 2)
        define("right(Array x) -> Array", lambda x: x + 1, lambda x: x.new_empty(x.shape))
        define("wrong(Array x) -> Array", lambda x: np.append(x, x[:1]),
               lambda x: x.new_empty((3,), "int8"))  # fmt: skip
        define("positive(Array x) -> Array", lambda x: x[x > 0],
               lambda x: x.new_empty((get_ctx().new_dynamic_size(),)))  # fmt: skip
        define("add_(Array(a!) x, float v) -> ()", _add)
        define("count(Array x) -> int", lambda x: int((x > 0).sum()))
        define("mean(Array x) -> float", lambda x: float(x.sum()) / max(x.size, 1))
        define("push(OpaqueObject q, Array x) -> Array", _push, lambda q, x: x.new_empty(()))
        yield gpuops.ops.programs


def _add(x, v):
    x += v


def _push(queue, x):
    items = gpuops.get_payload(queue)
    items.append(float(x.sum()))
    return np.array(float(len(items)))


STEPS = {
    "missing": lambda ops, s, x: ops.missing(x),
    "right": lambda ops, s, x: ops.right(x),
    "wrong": lambda ops, s, x: ops.wrong(x),
    "positive": lambda ops, s, x: ops.positive(x),
    "change the array": lambda ops, s, x: (ops.add_(x, 1.0), x)[1],
    "change the input": lambda ops, s, x: (ops.add_(s.first, 2.0), x)[1],
    "change a constant": lambda ops, s, x: (
        ops.add_(s.constant, 3.0),
        x + gpuops.xp.sum(s.constant),
    )[1],
    "use a number": lambda ops, s, x: x * ops.mean(x) + ops.count(x),
    "push": lambda ops, s, x: x + ops.push(s.queue, x),
    "branch on a size": lambda ops, s, x: x + 1 if x.shape[0] > 2 else x - 1,
    "branch on data": lambda ops, s, x: x * 2 if (x > 0).any() else x - 3,
    "branch on a number": lambda ops, s, x: x - 1 if ops.mean(x) > 1 else x + 5,
    "slice": lambda ops, s, x: x[1:],
    "need an int": lambda ops, s, x: x * dict.fromkeys(range(99), 1.0)[x.shape[0]],
    "loop": lambda ops, s, x: sum((x * i for i in range(ops.count(x))), x),
}


class State:
    def __init__(self):
        self.constant = np.arange(2.0)
        self.queue = gpuops.make_opaque([1.0])
        self.first = None

    def reset(self):
        self.constant[:] = np.arange(2.0)
        gpuops.get_payload(self.queue)[:] = [1.0]

    def values(self):
        return self.constant.tolist(), list(gpuops.get_payload(self.queue))


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6),
    st.lists(st.integers(-3, 3), max_size=5),
)
def test_the_graph_does_what_the_function_does(ops, steps, data):  # X10, X14, X16, X17
    state = State()

    def fn(x):
        state.first = x
        for step in steps:
            x = STEPS[step](ops, state, x)
        return x

    def outcome(run, x):
        """The result, and everything that was changed; an error by its type."""
        try:
            result = np.asarray(run(x)).tolist()
        except Exception as error:
            result = type(error)
        found = result, x.tolist(), state.values()
        state.reset()
        return found

    x = np.array(data, float)
    expected = outcome(fn, x.copy())
    before = x.copy(), state.values()
    if isinstance(expected[0], type):
        with pytest.raises(expected[0]):
            trace(fn, "draft")(x)
        return
    graph, report = trace(fn, "draft")(x)
    assert (x == before[0]).all() and state.values() == before[1]
    assert outcome(graph, x.copy()) == expected
    missing = {failure.operator for failure in report.of_kind(FailureKind.MISSING_FAKE_KERNEL)}
    wrong = {failure.operator for failure in report.of_kind(FailureKind.MISMATCHED_FAKE_KERNEL)}
    assert missing | wrong == set(report.op_profiles)
    if report.ok or {f.kind for f in report.failures} == {FailureKind.MISSING_FAKE_KERNEL}:
        with unsafe_generate_fake_kernels(report.op_profiles):
            symbolic = trace(fn, "symbolic")(x)
        state.reset()
        assert outcome(symbolic, x.copy()) == expected
