"""Outputs that are no arrays: what is recorded of them, and what generated fakes return."""

from __future__ import annotations

import numpy as np
import pytest

import gpuops
from gpuops import FakeMode, trace
from gpuops.profiles import (
    FailureKind,
    OpProfile,
    ProfileError,
    ScalarProfile,
    check_against,
    generate_yaml_from_profiles,
    read_profiles_from_yaml,
    record_op_profiles,
    unsafe_generate_fake_kernels,
)
from gpuops.symbols import SymComplex, SymFlag, SymFloat, SymInt


@pytest.fixture(scope="module")
def ops():
    with gpuops.Library("scalars", "FRAGMENT") as library:

        def define(schema, kernel):
            library.define(schema)
            library.impl(schema.partition("(")[0], kernel, "cpu")

        define(
            "both(Array x) -> (Array, float, bool, complex, int, str)",
            lambda x: (x * 2, float(x.sum()), bool(x[0]), 1j * x.sum(), len(x), "fast"),
        )
        define("mean(Array x) -> float", lambda x: float(x.mean()))
        define("mode(Array x) -> str", lambda x: "big" if x.sum() > 5 else "small")
        define("kind(Array x) -> dtype", lambda x: x.dtype)
        define("nothing(Array x) -> int?", lambda x: None)
        define("two(Array x) -> float[]", lambda x: [1.0, 2.0])
        yield gpuops.ops.scalars


def _recorded(*calls):
    with record_op_profiles() as recorded:
        for operator, *args in calls:
            operator(*args)
    return recorded


def test_generated_fakes_return_unknown_numbers_and_constants(ops):  # X8
    x = np.ones(3)
    recorded = _recorded((ops.both, x), (ops.nothing, x), (ops.two, x))
    with unsafe_generate_fake_kernels(recorded), FakeMode() as mode:
        out = ops.both(mode.from_array(x))
        assert [type(v) for v in out[1:]] == [SymFloat, SymFlag, SymComplex, SymInt, str]
        assert out[5] == "fast" and ops.nothing(mode.from_array(x)) is None
        assert [type(v) for v in ops.two(mode.from_array(x))] == [SymFloat, SymFloat]


def test_a_string_is_recorded_while_it_is_the_same(ops):
    small, big = np.ones(3), np.full(3, 4.0)
    same = _recorded((ops.mode, small), (ops.mode, small))
    both = _recorded((ops.mode, small), (ops.mode, big), (ops.mode, small))
    assert same == both  # it is no metadata
    (profile,) = same["scalars::mode"]
    assert profile.out_profile.value == "small" and str(profile).endswith("-> str 'small'")
    (profile,) = both["scalars::mode"]
    assert profile.out_profile.value is None
    with unsafe_generate_fake_kernels(same), FakeMode() as mode:
        assert ops.mode(mode.from_array(small)) == "small"
    with unsafe_generate_fake_kernels(both), FakeMode() as mode:
        with pytest.raises(gpuops.NoFakeError, match="value of type str, and several were"):
            ops.mode(mode.from_array(small))
    with check_against(same):
        assert ops.mode(big) == "big"


def test_another_object_cannot_be_made_and_says_so(ops):
    recorded = _recorded((ops.kind, np.ones(3)))
    with (
        unsafe_generate_fake_kernels(recorded),
        pytest.raises(gpuops.NoFakeError, match="scalars::kind returns a value of type object"),
    ):
        ops.kind(FakeMode().from_array(np.ones(3)))


def test_a_value_is_written_with_the_format_that_has_it(ops):  # X4
    text = generate_yaml_from_profiles(_recorded((ops.mode, np.ones(3))))
    assert text.startswith("format: '1.1'\n") and "out: {scalar: str, value: small}" in text
    (profile,) = read_profiles_from_yaml(text)["scalars::mode"]
    assert profile.out_profile.value == "small"
    assert generate_yaml_from_profiles({"scalars::mode": {profile}}) == text
    without = generate_yaml_from_profiles(_recorded((ops.mean, np.ones(3))))
    assert without.startswith("format: '1.0'\n")


@pytest.mark.parametrize("value", ["", "3", "null", "ünï", "a: b\nc", "x" * 300, "'", "!!str"])
def test_any_string_comes_back(value):
    profiles = {"a::b": {OpProfile((), ScalarProfile("str", value))}}
    (profile,) = read_profiles_from_yaml(generate_yaml_from_profiles(profiles))["a::b"]
    assert profile.out_profile.value == value


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("{scalar: int, value: 3}", "line 6, key 'value': only a scalar of type str"),
        ("{scalar: str, value: [1]}", "line 6, key 'value': expected text, got a list"),
        ("{scalar: str, value: null}", "key 'value': expected text"),
        ("{value: a}", "line 6, key 'out': the key 'rank' is missing"),
        ("{scalar: word, value: a}", "key 'scalar': expected one of"),
        ("{scalar: str, values: a}", "line 6, key 'out': the key 'rank' is missing"),
    ],
)
def test_wrong_values_in_files(out, said):  # X5
    text = f"format: '1.1'\ngpuops: '1'\noperators:\n  a::b:\n  - args: []\n    out: {out}\n"
    with pytest.raises(ProfileError) as caught:
        read_profiles_from_yaml(text)
    assert said in str(caught.value)
    with pytest.raises(ProfileError, match=r"The file has the format 1\.7; this gpuops .* knows"):
        read_profiles_from_yaml(text.replace("'1.1'", "'1.7'"))


def test_wrong_scalars():
    for type_, value in (("float", "1"), ("str", 3), (["str"], None)):
        with pytest.raises(ProfileError):
            ScalarProfile(type_, value)


def test_a_draft_hands_numbers_on_and_reports_where_one_is_needed(ops):  # X16
    def fn(x):
        y, total, *_ = ops.both(x)
        m = ops.mean(x)
        if m > 0.5:
            y = y * total
        return y + (m + 1)

    x = np.arange(3.0)
    graph, report = trace(fn, "draft")(x)
    np.testing.assert_array_equal(graph(x), fn(x))
    missing = report.of_kind(FailureKind.MISSING_FAKE_KERNEL)
    needed = report.of_kind(FailureKind.DATA_DEPENDENT_ERROR)
    assert [f.operator for f in missing] == ["scalars::both", "scalars::mean"]
    first = fn.__code__.co_firstlineno
    assert [f.location.line - first for f in needed] == [3, 5]
    assert "needs the float that" in needed[0].reason and "it is 1.0 here" in needed[0].reason
    assert "both_1" in graph.code


def test_the_profiles_of_a_draft_then_trace_symbolically(ops):  # X10
    def fn(x):
        y, total, *_ = ops.both(x)
        return y * total * ops.mean(x), total

    _, report = trace(fn, "draft")(np.arange(3.0))
    assert {f.kind for f in report.failures} == {FailureKind.MISSING_FAKE_KERNEL}
    with unsafe_generate_fake_kernels(report.op_profiles):
        graph = trace(fn, "symbolic")(np.arange(3.0))
    wide = np.arange(5.0)
    for got, wanted in zip(graph(wide), fn(wide), strict=True):
        np.testing.assert_array_equal(got, wanted)
