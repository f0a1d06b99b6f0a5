"""Draft tracing: what a report says, and that nothing is changed by making it."""

from __future__ import annotations

import numpy as np
import pytest

import gpuops
import gpuops_kernels
from gpuops import trace
from gpuops.profiles import OpProfile, unsafe_generate_fake_kernels
from gpuops.profiles.draft import FailureKind


@pytest.fixture
def library():
    with gpuops.Library("drafted", "FRAGMENT") as library:

        def define(schema, kernel, fake=None):
            name = schema.partition("(")[0]
            library.define(schema)
            library.impl(name, kernel, "cpu")
            if fake is not None:
                library.register_fake(name, fake)
            return getattr(gpuops.ops.drafted, name)

        yield define


def test_a_missing_fake_is_reported_once_and_profiled(library):  # X10
    f = library("f(Array x) -> Array", lambda x: x * 2)

    def fn(x):
        return f(f(x))

    x = np.ones((2, 3))
    graph, report = trace(fn, tracing_mode="draft")(x)
    (failure,) = report.failures
    assert failure.kind is FailureKind.MISSING_FAKE_KERNEL and failure.operator == "drafted::f"
    assert "return f(f(x))" in str(failure) and not report.ok
    assert [len(options) for options in report.op_profiles.values()] == [1]
    np.testing.assert_array_equal(graph(x), x * 4)
    with pytest.raises(gpuops.NoFakeError):
        trace(fn, tracing_mode="symbolic")(x)
    with unsafe_generate_fake_kernels(report.op_profiles):
        symbolic = trace(fn, tracing_mode="symbolic")(x)
    wide = np.ones((4, 5))
    np.testing.assert_array_equal(symbolic(wide), wide * 4)


def test_two_ranks_are_two_profiles_and_one_failure(library):  # X11
    f = library("f(Array x) -> Array", lambda x: x * 2)
    _, report = trace(lambda x, y: (f(x), f(y)), "draft")(np.ones(2), np.ones((2, 2)))
    assert len(report.failures) == 1
    assert len(report.op_profiles["drafted::f"]) == 2
    _, again = trace(lambda x: f(x), "draft")(np.ones(2, np.float32))
    (profile,) = again.op_profiles["drafted::f"]
    assert isinstance(profile, OpProfile) and profile.args_profile[0].dtype == "float32"


def test_outputs_that_no_fake_can_stand_for(library):  # X13
    wide = library("wide(Array x) -> Array", lambda x: np.ones((4, 4))[:, ::2])
    later = library("later(Array x) -> Array", lambda x: np.ones((4, 4))[1:])
    ones = library("ones(Array x) -> Array", lambda x: np.ones((4, 1, 4)).transpose(2, 1, 0))
    with pytest.raises(gpuops.TraceError, match="drafted::wide .* is not dense in memory"):
        trace(lambda x: wide(x), "draft")(np.ones(2))
    with pytest.raises(gpuops.TraceError, match="drafted::later .* non-zero storage offset"):
        trace(lambda x: later(x), "draft")(np.ones(2))
    _, report = trace(lambda x: ones(x), "draft")(np.ones(2))
    assert len(report.failures) == 1


def test_wrong_fakes_are_reported_with_both_values_and_the_real_result_is_used(library):  # X14
    f = library("f(Array x) -> Array", lambda x: x + 1, lambda x: x.new_empty((7,)))
    g = library("g(Array x) -> Array", lambda x: x + 1, lambda x: x.new_empty(x.shape, "int8"))
    h = library(
        "h(Array x) -> Array",
        lambda x: (x + 1).T.copy().T,
        lambda x: x.new_empty(x.shape),
    )
    graph, report = trace(lambda x: (f(f(x)), g(x), h(x)), "draft")(np.ones((2, 3)))
    text = str(report)
    kinds = {failure.kind for failure in report.failures}
    assert kinds == {FailureKind.MISMATCHED_FAKE_KERNEL} and len(report.failures) == 3
    assert "output 0: shape mismatch: the fake says (7), the kernel returned (2, 3)" in text
    assert "output 0: dtype mismatch: the fake says int8, the kernel float64" in text
    assert "output 0: strides mismatch: the fake says (24, 8), the kernel (8, 16)" in text
    assert graph(np.ones((2, 3)))[0][0, 0] == 3
    assert set(report.op_profiles) == {"drafted::f", "drafted::g", "drafted::h"}


def test_a_right_fake_is_not_reported(library):
    f = library("f(Array x) -> Array", lambda x: x + 1, lambda x: x.new_empty(x.shape))
    _, report = trace(lambda x: f(x) + x, "draft")(np.ones((2, 3)))
    assert report.failures == [] and report.ok and report.op_profiles == {}


def test_other_aliasing_is_reported(library):  # X15
    view = library("view(Array x) -> Array", lambda x: x + 1, lambda x: x[:])
    kernel = library("kernel(Array x) -> Array", lambda x: x[:], lambda x: x.new_empty(x.shape))
    own = library("own(Array x) -> Array", lambda x: x + 1, lambda x: x)
    _, report = trace(lambda x: (view(x), kernel(x), own(x)), "draft")(np.ones(3))
    found = {failure.operator: failure.reason for failure in report.failures}
    assert set(found) == {"drafted::view", "drafted::kernel", "drafted::own"}
    assert all("Mismatched aliasing spec" in reason for reason in found.values())
    assert "the kernel shares memory of output 0 with input 0" in found["drafted::kernel"]


def test_branches_on_data_are_reported_once_by_place():  # X16
    def fn(x):
        for _ in range(2):
            if x.sum() > 0:
                x = x + 1
        return x * float(x[0])

    x = np.ones(3)
    graph, report = trace(fn, "draft")(x)
    found = report.of_kind(FailureKind.DATA_DEPENDENT_ERROR)
    assert ["branches" in f.reason for f in found] == [True, False]
    assert found[0].location.line == fn.__code__.co_firstlineno + 2
    np.testing.assert_array_equal(graph(x), fn(x))


def test_conditions_on_sizes_are_reported_with_their_line():  # X16
    def fn(x):
        if x.shape[0] > 2:
            x = x + 1
        return x

    _, report = trace(fn, "draft")(np.ones(3))
    (failure,) = report.failures
    assert failure.kind is FailureKind.GUARD_ADDED and report.ok
    assert failure.location.line == fn.__code__.co_firstlineno + 1
    assert "s0" in failure.reason


def test_inputs_and_opaque_state_are_as_before(library):  # X17
    fill = library("fill_(Array(a!) x) -> ()", lambda x: x.fill(9))
    x = np.arange(6.0)
    view = x[::2]
    state = gpuops.random.RNGState(3)
    before = state.offset.copy() if hasattr(state.offset, "copy") else state.offset

    def fn(x, view, state):
        fill(x)
        return view + 1, gpuops_kernels.uniform([3], state)

    graph, _ = trace(fn, "draft")(x, view, state)
    np.testing.assert_array_equal(x, np.arange(6.0))
    np.testing.assert_array_equal(state.offset, before)
    assert "fill_" in graph.code


def test_inputs_are_restored_after_an_error(library):  # X17
    fill = library("fill_(Array(a!) x) -> ()", lambda x: x.fill(9))

    def fn(x):
        fill(x)
        raise ZeroDivisionError

    x = np.arange(3.0)
    with pytest.raises(ZeroDivisionError):
        trace(fn, "draft")(x)
    np.testing.assert_array_equal(x, np.arange(3.0))
