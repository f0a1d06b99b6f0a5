"""What a check leaves out is told apart from what it has looked at."""

from __future__ import annotations

import numpy as np
import pytest
from zoo import Animal, alive, like, matrix

import gpuops
from gpuops.opchecks import Verdicts

ONE = "(Array x) -> Array"


def _copy(x):
    return np.array(x, order="C")


def _unchecked(animal, check):
    with alive(animal, "unchecked") as op:
        found = gpuops.opcheck(op, animal.sample(), test_utils=check)
    assert type(found) is Verdicts and found == {check: "SUCCESS"}
    return " | ".join(found.unchecked.get(check, ()))


def _no_float64(x):
    if x.dtype.kind == "f":
        raise TypeError("x must hold whole numbers")
    return _copy(x)


@gpuops.custom_op("unchecked_parts::passed_on", mutates_args=())
def passed_on(g: gpuops.Array) -> gpuops.Array:
    """It has no gradient of its own."""
    return _copy(g)


passed_on.register_fake(like)


def _gradient(ctx, g):
    return passed_on(g)


CASES = {
    "no_formula": (  # V15
        Animal("f", ONE, _copy, like, matrix),
        "test_autograd",
        "no autograd formula was registered, though it takes and gives floating-point arrays",
    ),
    "no_formula_needed": (
        Animal(
            "f",
            ONE,
            lambda x: np.array(x > 0, order="C"),
            lambda x: x.new_empty(x.shape, np.bool_),
            matrix,
        ),
        "test_autograd",
        "by its dtypes there is nothing to differentiate",
    ),
    "mutation": (
        Animal("f", "(Array(a!) x) -> ()", lambda x: x.fill(3), None, matrix),
        "test_autograd",
        "it writes to its arguments",
    ),
    "no_second": (
        Animal("f", ONE, _copy, like, matrix, backward=_gradient),
        "test_autograd",
        "the second gradient: the formula cannot be differentiated",
    ),
    "integers_only": (
        Animal("f", ONE, _no_float64, like, lambda: (np.arange(3),), backward=lambda ctx, g: g),
        "test_autograd",
        "no input was found that has floating-point arrays",
    ),
    "no_rule": (Animal("f", ONE, _copy, like, matrix), "test_vmap", "no batching rule"),
    "nothing_to_batch": (
        Animal(
            "f",
            "(Array[] xs) -> Array",
            lambda xs: np.zeros(3),
            lambda xs: gpuops.FakeArray((3,)),
            lambda: ([],),
            vmap=lambda info, in_dims, xs: (np.zeros(3), None),
        ),
        "test_vmap",
        "the sample has no arrays to batch",
    ),
    "no_cuda": (Animal("f", ONE, _copy, like, matrix), "test_devices", "no 'cuda' kernel"),
    "kept_order": (
        Animal("f", ONE, lambda x: x * 2, like, matrix),
        "test_fake",
        "the strides of the output where an argument is not C-contiguous",
    ),
}


@pytest.mark.parametrize(
    ("animal", "check", "text"),
    CASES.values(),
    ids=CASES,
)
def test_what_is_left_out_is_told(animal, check, text):
    assert text in _unchecked(animal, check)


def test_what_is_checked_says_nothing():
    animal = Animal(
        "f",
        ONE,
        lambda x: np.array(x**2, order="C"),
        like,
        matrix,
        backward=lambda ctx, g: 2 * ctx.saved_arrays[0] * g,
        vmap=lambda info, in_dims, x: (x**2, in_dims[0]),
        cuda=lambda x: x**2,
    )
    with alive(animal, "unchecked") as op:
        found = gpuops.opcheck(op, matrix())
    assert set(found.values()) == {"SUCCESS"}
    assert found.unchecked == {}


def test_a_stated_reason_is_given():
    animal = Animal("f", ONE, _copy, like, matrix)
    with alive(animal, "unchecked") as op:
        with gpuops.register_no_gradient(op, "it is a constant to whoever uses it"):
            found = gpuops.opcheck(op, matrix(), test_utils="test_autograd")
    assert "it is a constant to whoever uses it" in found.unchecked["test_autograd"][0]
