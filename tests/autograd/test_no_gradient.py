"""`register_no_gradient`: the reason why an operator has no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpuops
from gpuops import Array, Library, NoGradientError, RegistrationError, UsageError, xp
from gpuops.formulas import NO_GRADIENT
from gpuops.registry import registry

X = np.array([1.0, 2.0])
REASON = "ranks are constant almost everywhere"


@pytest.fixture
def rank(ns: str) -> Any:
    @gpuops.custom_op(f"{ns}::rank", mutates_args=())
    def rank(x: Array) -> Array:
        return np.argsort(np.argsort(x)).astype(x.dtype)

    return rank


def gradient(op: Any) -> Any:
    return gpuops.grad(lambda x: xp.sum(op(x)))(X)


def test_the_error_gives_the_reason(rank: Any) -> None:  # R2
    rank.register_no_gradient(REASON)
    assert rank(X).tolist() == [0, 1]
    with pytest.raises(NoGradientError) as caught:
        gradient(rank)
    text = str(caught.value)
    assert "no autograd formula was registered" in text and "'x'" in text
    assert f": {REASON} (stated at " in text and f"{__file__}:" in text
    assert "Register one" not in text


@pytest.mark.parametrize("how", ["object", "name", "library"])
def test_every_way_to_say_it_can_be_undone(rank: Any, ns: str, how: str) -> None:
    operator = rank.operator
    if how == "library":
        with Library(ns, "FRAGMENT") as library:
            gpuops.register_no_gradient(f"{ns}::rank", REASON, lib=library)
            assert registry.rule(operator, NO_GRADIENT).value == REASON
    else:
        handle = gpuops.register_no_gradient(rank if how == "object" else f"{ns}::rank", REASON)
        assert registry.rule(operator, NO_GRADIENT).value == REASON
        handle.undo()
    assert registry.rule(operator, NO_GRADIENT) is None
    with pytest.raises(NoGradientError, match="Register one with"):
        gradient(rank)


def test_the_last_reason_holds(rank: Any) -> None:
    rank.register_no_gradient("none was written yet")
    handle = rank.register_no_gradient(REASON)
    with pytest.raises(NoGradientError, match=REASON):
        gradient(rank)
    assert handle.location.file == __file__


def test_a_formula_that_comes_later_is_used(rank: Any) -> None:
    rank.register_no_gradient(REASON)
    rank.register_autograd(lambda ctx, g: g * 3)
    assert gradient(rank).tolist() == [3, 3]


def test_a_formula_and_a_reason_for_none_contradict(rank: Any) -> None:
    rank.register_autograd(lambda ctx, g: g)
    message = (
        rf"register_no_gradient\({rank.operator.qualname}\): .* has a gradient formula, .*\.py"
    )
    with pytest.raises(RegistrationError, match=message):
        rank.register_no_gradient(REASON)
    assert gradient(rank).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("reason", "message"),
    [(None, "required to be a str, got None"), ("", "say why, got ''"), (" \n", "say why")],
)
def test_what_is_no_reason(rank: Any, reason: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rank.register_no_gradient(reason)


def test_an_unknown_operator(ns: str) -> None:
    with pytest.raises(gpuops.OperatorNotFoundError, match=f"{ns}::nothing"):
        gpuops.register_no_gradient(f"{ns}::nothing", REASON)
