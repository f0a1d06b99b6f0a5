"""The strategy that draws an operator's calls with Hypothesis."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from zoo import Animal, alive, like, matrix

import gpuops
from gpuops.opchecks.strategies import calls

SCHEMA = "(Array x, float s, *, int n=2) -> Array"


def _kernel(x, s, n):
    if x.ndim > 2:
        raise ValueError("x has at most two axes")
    return np.array(x * s, order="C")


@pytest.fixture
def scaled():
    animal = Animal("scaled", SCHEMA, _kernel, like, None)
    with alive(animal, "strategy") as op:
        yield op


def test_calls_are_accepted_and_of_many_kinds(scaled):
    seen = []
    sample = np.ones((2, 3))

    @settings(max_examples=200, deadline=None, database=None)
    @given(calls(scaled, (sample, 0.5), {"n": 3}))
    def run(call):
        args, kwargs = call
        assert list(kwargs) == ["n"]
        with np.errstate(all="ignore"):
            scaled(*args, **kwargs)
        args[0].flags.writeable and args[0].fill(7)
        seen.append((args[0].shape, args[0].dtype, args[1], kwargs["n"]))

    run()
    np.testing.assert_array_equal(sample, np.ones((2, 3)))
    shapes, dtypes, scalars, numbers = (
        set(map(repr, column)) for column in zip(*seen, strict=True)
    )
    assert min(map(len, (shapes, dtypes, scalars, numbers))) > 3
    assert all(len(shape) <= 2 for shape, *_ in seen)


def test_no_changes_give_the_sample(scaled):
    @settings(max_examples=5, database=None)
    @given(calls(scaled, (*matrix(), 0.5), changes=0))
    def run(call):
        np.testing.assert_array_equal(call[0][0], matrix()[0])
        assert call[0][1:] == (0.5,)
        assert call[1] == {"n": 2}

    run()


def test_a_failing_property_is_made_smaller_by_hypothesis(scaled):
    @settings(max_examples=300, deadline=None, database=None)
    @given(calls(scaled, (*matrix(), 0.5)))
    def run(call):
        found.append(call)
        assert call[0][1] >= 0

    found = []
    with pytest.raises(AssertionError):
        run()
    args, kwargs = found[-1]  # the smallest is run last: one change of the sample
    np.testing.assert_array_equal(args[0], matrix()[0])
    assert args[1] < 0
    assert kwargs == {"n": 2}


def test_opcheck_within_a_test_that_draws(scaled):
    @settings(max_examples=3, deadline=None, database=None)
    @given(st.data())
    def run(data):
        (x, s), kwargs = data.draw(calls(scaled, (*matrix(), 0.5)))
        try:
            gpuops.opcheck(scaled, (x, s), kwargs, test_utils="test_schema")
        except UnsatisfiedAssumption:
            pytest.fail("opcheck uses the test's own draws")

    run()


def test_a_sample_that_is_refused(scaled):
    with pytest.raises(gpuops.ArgumentError, match="strategy::scaled.*does not take the sample"):
        calls(scaled, (np.ones((2, 2, 2)), 1.0))


def test_without_hypothesis(scaled, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(gpuops.HypothesisNotInstalledError, match="pip install 'gpuops"):
        calls(scaled, (*matrix(), 0.5))


def test_opcheck_needs_no_hypothesis(tmp_path):  # V16
    script = (
        "import sys\n"
        "for name in ('hypothesis', 'pytest', 'numba', 'optree', 'yaml', 'sympy', 'typer'):\n"
        "    sys.modules[name] = None\n"
        "import numpy as np, gpuops\n"
        "@gpuops.custom_op('bare::twice', mutates_args=())\n"
        "def twice(x: gpuops.Array) -> gpuops.Array:\n"
        "    return np.array(x * 2, order='C')\n"
        "twice.register_fake(lambda x: x.new_empty(x.shape))\n"
        "print(gpuops.opcheck(twice, (np.ones((2, 3)),)))\n"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.count("'SUCCESS'") == 9, ran.stderr
    assert not list(tmp_path.iterdir())
