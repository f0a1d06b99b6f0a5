"""`opcheck` as it is called: names, tolerances, what it returns and what it leaves alone."""

import numpy as np
import pytest
from zoo import Animal, alive, like, matrix

import gpuops
from gpuops.opchecks import CHECKS, OpCheckError

GOOD = Animal("good", "(Array x) -> Array", lambda x: np.array(x, order="C"), like, matrix)
BAD = Animal("bad", "(Array x) -> Array", lambda x: x, like, matrix)


@pytest.fixture
def good():
    with alive(GOOD, "opcheck_api") as op:
        yield op


def test_all_checks_by_default(good):  # V1
    assert gpuops.opcheck(good, matrix()) == dict.fromkeys(CHECKS, "SUCCESS")


@pytest.mark.parametrize("chosen", ["test_fake", ["test_fake"], ("test_fake", "test_schema")])
def test_checks_by_name(good, chosen):  # V1
    names = [chosen] if isinstance(chosen, str) else list(chosen)
    assert list(gpuops.opcheck(good, matrix(), test_utils=chosen)) == names


def test_unknown_check(good):  # V1
    with pytest.raises(ValueError, match="subset of test_schema.*got 'test_nothing'"):
        gpuops.opcheck(good, matrix(), test_utils="test_nothing")


def test_a_function_is_no_operator():  # V2
    with pytest.raises(ValueError, match="opcheck takes an operator"):
        gpuops.opcheck(np.sin, matrix())


def test_sample_that_does_not_fit(good):
    with pytest.raises(gpuops.ArgumentError, match="'x'"):
        gpuops.opcheck(good, ("text",))


def test_failures_are_returned_or_raised():  # V3
    with alive(BAD, "opcheck_api") as op:
        found = gpuops.opcheck(op, matrix(), raise_exception=False)
        assert isinstance(found["test_schema"], gpuops.AliasError)
        assert found["test_fake"] == "SUCCESS"
        with pytest.raises(OpCheckError, match="^test_schema failed: opcheck_api::bad"):
            gpuops.opcheck(op, matrix())


def test_one_tolerance_is_an_error(good):  # V13
    with pytest.raises(ValueError, match="both atol and rtol"):
        gpuops.opcheck(good, matrix(), atol=1.0)


def test_tolerances(monkeypatch):  # V13, V17
    calls = []

    def drifting(x):
        calls.append(1)
        return np.array(x + 1e-12 * len(calls), order="C")

    animal = Animal("drifting", "(Array x) -> Array", drifting, like, matrix)
    with alive(animal, "opcheck_api") as op:
        gpuops.opcheck(op, matrix(), test_utils="test_trace")
        with pytest.raises(OpCheckError, match="Absolute difference"):
            gpuops.opcheck(op, matrix(), test_utils="test_trace", atol=0, rtol=0)


def test_the_caller_keeps_what_is_mutated():  # V16
    animal = Animal("fill", "(Array(a!) x) -> ()", lambda x: x.fill(3), None, matrix)
    with alive(animal, "opcheck_api") as op:
        args = matrix()
        gpuops.opcheck(op, args)
        np.testing.assert_array_equal(args[0], matrix()[0])


def test_poisoned_memory_is_taken_back():
    before = np.empty, np.empty_like
    with alive(BAD, "opcheck_api") as op:
        gpuops.opcheck(op, matrix(), test_utils="test_initialised")
    assert (np.empty, np.empty_like) == before


@pytest.mark.parametrize("planted", [None, "another value", "another dtype"])
def test_forward_of_a_formula_computes_what_the_operator_does(ns, planted):
    @gpuops.custom_op(f"{ns}::double", mutates_args=())
    def double(x: gpuops.Array) -> gpuops.Array:
        return np.asarray(2 * x)

    double.register_fake(lambda x: x.new_empty(x.shape))

    def forward(x):
        out = gpuops.xp.multiply(x, 2.0)
        if planted == "another value":
            out = out + 1  # which no finite difference shows
        if planted == "another dtype":
            out = gpuops.xp.astype(out, "float32")
        return out, None

    double.register_autograd(
        lambda ctx, g: 2 * gpuops.xp.astype(g, "float64"),
        setup_context=lambda ctx, inputs, output, residuals: None,
        forward=forward,
    )
    found = gpuops.opcheck(double, matrix(), test_utils="test_autograd", raise_exception=False)
    if planted is None:
        assert found["test_autograd"] == "SUCCESS"
        return
    with pytest.raises(OpCheckError, match=r"output 0 is not what it is elsewhere"):
        gpuops.opcheck(double, matrix(), test_utils="test_autograd")


# V4
@pytest.mark.parametrize("name", ["softmax", "linear"])
def test_samples_of_a_gpu_pass(simulated_cuda, name):
    import gpuops_kernels

    x = simulated_cuda.asarray(np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
    rest = {"softmax": (-1,), "linear": (x, None, None)}[name]
    found = gpuops.opcheck(getattr(gpuops_kernels, name), (x, *rest))
    assert set(found.values()) == {"SUCCESS"}


def test_further_inputs_can_be_left_out(good):
    seen = []

    def kernel(x):
        seen.append(x.shape)
        return np.array(x, order="C")

    with gpuops.register_kernel(good, "cpu", kernel):
        gpuops.opcheck(good, matrix(), test_utils="test_schema", draws=False)
        assert set(seen) == {(3, 4)}
        gpuops.opcheck(good, matrix(), test_utils="test_schema")
        assert len(set(seen)) > 10


@pytest.mark.parametrize("args", [3, None, np.ones((2, 3)), {"x": 1}])
def test_args_are_a_tuple(good, args):
    with pytest.raises(gpuops.ArgumentError, match="args must be a tuple of the positional"):
        gpuops.opcheck(good, args)


@pytest.mark.parametrize("kwargs", [3, [("x", 1)], np.ones(2)])
def test_kwargs_are_a_dict(good, kwargs):
    with pytest.raises(gpuops.ArgumentError, match="kwargs must be a dict of arguments by name"):
        gpuops.opcheck(good, (), kwargs)
