"""Draft tracing: branches on sizes and numbers that depend on data, and lines in fake kernels."""

from __future__ import annotations

import numpy as np
import pytest

import gpuops
from gpuops import get_ctx, trace
from gpuops.profiles import FailureKind, ProfileWarning, unsafe_generate_fake_kernels

DATA, GUARD = FailureKind.DATA_DEPENDENT_ERROR, FailureKind.GUARD_ADDED


def _branching_fake(x):
    if x.shape[0] > 2:
        return x.new_empty(x.shape)
    return x.new_empty(x.shape)


BRANCH = _branching_fake.__code__.co_firstlineno + 1


@pytest.fixture(scope="module")
def ops():
    with gpuops.Library("draft_sizes", "FRAGMENT") as library:

        def define(schema, kernel, fake=None):
            name = schema.partition("(")[0]
            library.define(schema)
            library.impl(name, kernel, "cpu")
            if fake is not None:
                library.register_fake(name, fake)

        define(
            "positive(Array x) -> Array",
            lambda x: x[x > 0],
            lambda x: x.new_empty((get_ctx().new_dynamic_size(),)),
        )
        define("count(Array x) -> int", lambda x: int((x > 0).sum()))
        define("twice(Array x) -> Array", lambda x: x * 2, _branching_fake)
        define("unknown(Array x) -> Array", lambda x: x * 2)
        define(
            "pairs(Array x) -> Array",
            lambda x: np.repeat(x[x > 0], 2),
            lambda x: x.new_empty((get_ctx().new_dynamic_size(max=4) * 2,)),
        )
        define("size(Array x) -> int", lambda x: x.shape[0] + 1, lambda x: x.shape[0])
        yield gpuops.ops.draft_sizes


def _line(fn, text):
    import inspect

    lines, first = inspect.getsourcelines(fn)
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_all_branches_on_unknown_sizes_are_reported_with_their_lines(ops):  # X16
    def fn(x):
        y = ops.positive(x)
        if y.shape[0] > 1:
            y = y + 1
        for _ in range(2):
            if y.shape[0] > 1:  # the same question elsewhere
                y = y + 1
        n = ops.count(x)
        if n == 3:
            y = y * 2
        return y * float(y.shape[0])

    x = np.array([1.0, -1, 2, 3])
    graph, report = trace(fn, "draft")(x)
    found = {failure.location.line: failure for failure in report.of_kind(DATA)}
    wanted = ("shape[0] > 1:\n", "the same question", "n == 3", "float(")
    assert list(found) == [_line(fn, text) for text in wanted]
    first = next(iter(found.values()))
    assert "branches on 1 < u0" in first.reason and "it is True here" in first.reason
    assert "axis 0 of the output of draft_sizes::positive" in first.reason
    assert "test_draft_sizes.py" in first.reason  # where the fake made the size
    np.testing.assert_array_equal(graph(x), fn(x))
    # The graph went the way that these data went, and checks it.
    with pytest.raises(gpuops.GraphError, match="the graph holds where 1 < u0"):
        graph(np.array([1.0, -1, -2, -3]))


def test_a_line_in_a_fake_is_reported_with_the_line_of_the_call(ops):  # X16
    def fn(x):
        y = ops.twice(x)
        z = ops.twice(ops.positive(x))  # both
        for _ in range(2):
            y = ops.twice(y)
        return y, z

    _, report = trace(fn, "draft")(np.ones(3))
    guard, data = report.failures
    assert (guard.kind, guard.operator, guard.reason) == (GUARD, "draft_sizes::twice", "2 < s0")
    assert data.kind is DATA and "branches on 2 < u0" in data.reason
    for failure, text in ((guard, "y = ops.twice(x)"), (data, "# both")):
        line = _line(fn, text)
        assert (failure.location.line, failure.fake_location.line) == (line, BRANCH)
        place = f"in the fake of draft_sizes::twice ({__file__}:{BRANCH}), called at {__file__}:"
        assert f"{place}{line}: `" in str(failure)


def test_places_in_fakes_are_told_apart_by_the_call(ops):  # X16
    def fn(x, y):
        a = [ops.twice(x) for _ in range(3)]
        return a, ops.twice(y)

    _, report = trace(fn, "draft")(np.ones(3), np.ones(4))
    lines = [failure.location.line for failure in report.failures]
    assert lines == [_line(fn, "for _ in"), _line(fn, "ops.twice(y)")]


def test_sizes_of_generated_fakes_are_unknown_and_go_on(ops):  # X10
    def fn(x):
        y = ops.unknown(x)
        if y.shape[0] == 3:
            y = y[1:]
        return y + ops.unknown(y)

    graph, report = trace(fn, "draft")(np.arange(3.0))
    kinds = [failure.kind for failure in report.failures]
    assert kinds == [FailureKind.MISSING_FAKE_KERNEL, DATA, GUARD]
    np.testing.assert_array_equal(graph(np.arange(3.0)), [6.0, 12.0])
    with unsafe_generate_fake_kernels(report.op_profiles), pytest.raises(gpuops.UnknownSizeError):
        trace(fn, "symbolic")(np.arange(3.0))


def test_dynamic_sizes_are_solved_for_and_their_bounds_checked(ops):
    _, report = trace(lambda x: ops.pairs(x), "draft")(np.ones(4))
    assert report.failures == []
    _, report = trace(lambda x: ops.pairs(x), "draft")(np.ones(5))
    (failure,) = report.failures
    assert failure.kind is FailureKind.MISMATCHED_FAKE_KERNEL
    assert "the fake says (2*u0), the kernel returned (10,)" in failure.reason


def test_a_number_that_a_fake_computes_is_compared(ops):  # X14
    graph, report = trace(lambda x: x + ops.size(x), "draft")(np.ones(3))
    (failure,) = report.failures
    assert failure.kind is FailureKind.MISMATCHED_FAKE_KERNEL
    assert failure.reason == "output 0: number mismatch: the fake says 3, the kernel returned 4"
    np.testing.assert_array_equal(graph(np.ones(2)), np.full(2, 4.0))


def test_what_a_fake_requires_and_the_data_do_not_do_is_reported(ops):
    def fn(x):
        return ops.unknown(x[:1]) + x  # taken for sizes that are equal

    graph, report = trace(fn, "draft")(np.ones(3))
    (failure,) = report.of_kind(DATA)
    assert "needs" in failure.reason and "does not hold here" in failure.reason
    np.testing.assert_array_equal(graph(np.ones(3)), np.full(3, 3.0))


def test_the_same_is_wrong_in_a_loop_once_and_at_other_lines_again():  # X14
    with gpuops.Library("draft_loop", "FRAGMENT") as library:
        library.define("f(Array x) -> Array")
        library.impl("f", lambda x: np.concatenate([x, x]), "cpu")
        library.register_fake("f", lambda x: x.new_empty(x.shape))
        f = gpuops.ops.draft_loop.f

        def fn(x):
            for _ in range(3):
                x = f(x)
            return f(x)

        graph, report = trace(fn, "draft")(np.ones(1))
        assert [failure.location.line for failure in report.failures] == [
            _line(fn, "x = f(x)"),
            _line(fn, "return f(x)"),
        ]
        assert graph(np.ones(1)).shape == (16,)


def test_a_fake_that_raises_anything_is_reported_and_the_kernel_goes_on():
    with gpuops.Library("draft_raise", "FRAGMENT") as library:
        library.define("f(Array x) -> Array")
        library.impl("f", lambda x: x + 1, "cpu")
        library.register_fake("f", lambda x: {}["planted"])
        graph, report = trace(lambda x: gpuops.ops.draft_raise.f(x), "draft")(np.ones(2))
        (failure,) = report.failures
        assert failure.reason == "the fake raised KeyError: 'planted'"
        assert graph(np.ones(2)).tolist() == [2.0, 2.0]
        with (
            pytest.warns(ProfileWarning, match="draft_raise::f has a fake kernel"),
            unsafe_generate_fake_kernels(report.op_profiles),
        ):
            symbolic = trace(lambda x: gpuops.ops.draft_raise.f(x), "symbolic")(np.ones(2))
        assert symbolic(np.ones(1)).tolist() == [2.0]


def test_what_a_wrong_fake_asked_is_no_condition():
    def fake(x):
        if x.shape[0] == 2:
            return x.new_empty(x.shape, "int8")
        return x.new_empty(x.shape)

    with gpuops.Library("draft_asked", "FRAGMENT") as library:
        library.define("f(Array x) -> Array")
        library.impl("f", lambda x: x + 1, "cpu")
        library.register_fake("f", fake)

        def fn(x):
            return gpuops.ops.draft_asked.f(x) if x.shape[0] > 1 else x

        graph, report = trace(fn, "draft")(np.ones(2))
        kinds = [failure.kind for failure in report.failures]
        assert kinds == [GUARD, FailureKind.MISMATCHED_FAKE_KERNEL]
        assert list(map(str, graph.conditions)) == ["1 < s0"]
        assert graph(np.ones(5)).shape == (5,)


def test_a_default_kernel_that_cannot_be_a_fake_is_a_missing_fake():  # P4
    with gpuops.Library("draft_default", "FRAGMENT") as library:
        library.define("f(Array x) -> Array")
        library.impl("f", lambda x: np.array([float(v) for v in x]))
        _, report = trace(lambda x: gpuops.ops.draft_default.f(x), "draft")(np.ones(2))
        (failure,) = report.failures
        assert failure.kind is FailureKind.MISSING_FAKE_KERNEL
        assert list(report.op_profiles) == ["draft_default::f"]
